"""Logins that were refused: what a run has been told once, it does not ask again."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable

import pytest

from paver.errors import Unobservable
from paver.transport.logins import LoginError, Logins


class Server:
    """Knows one password, and counts who asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def with_password(self, password: str) -> Callable[[], str]:
        def log_in() -> str:
            self.asked.append(password)
            if password != "right":
                raise LoginError("the server refuses the login of root")
            return "a session"

        return log_in


def test_a_wrong_password_is_sent_once_however_often_it_is_asked_with() -> None:
    server, logins = Server(), Logins()
    for _ in range(5):
        with pytest.raises(LoginError, match="refuses the login of root"):
            logins.once("esx-01", "root", "wrong", server.with_password("wrong"))
    assert server.asked == ["wrong"]


def test_another_password_account_or_server_is_asked_for_itself() -> None:
    server, logins = Server(), Logins()
    for where, account, password in (
        ("esx-01", "root", "wrong"),
        ("esx-01", "root", "other"),
        ("esx-01", "auditor", "wrong"),
        ("esx-02", "root", "wrong"),
    ):
        with pytest.raises(LoginError):
            logins.once(where, account, password, server.with_password(password))
    assert server.asked == ["wrong", "other", "wrong", "wrong"]
    assert logins.once("esx-01", "root", "right", server.with_password("right")) == "a session"


def test_who_is_let_in_may_come_again_and_what_is_no_refusal_is_tried_again() -> None:
    server, logins = Server(), Logins()
    for _ in range(2):
        assert logins.once("esx-01", "root", "right", server.with_password("right")) == "a session"
    assert server.asked == ["right", "right"]
    tries = 0

    def silent() -> str:
        nonlocal tries
        tries += 1
        raise Unobservable("esx-01 does not answer")

    for _ in range(2):
        with pytest.raises(Unobservable):
            logins.once("esx-01", "root", "right", silent)
    assert tries == 2


def test_of_many_who_ask_at_once_one_sends_the_wrong_password() -> None:
    server, logins = Server(), Logins()
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait(10)
        with pytest.raises(LoginError):
            logins.once("vcsa", "administrator", "wrong", server.with_password("wrong"))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(ask) for _ in range(8)]:
            done.result()
    assert server.asked == ["wrong"]
