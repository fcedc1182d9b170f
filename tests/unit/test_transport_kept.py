"""Answers of services that a session keeps, and what must not be kept."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from paver.driver import Endpoint, Mark, ResourceId
from paver.foundation.director import ledger
from paver.transport.http import Answer
from paver.transport.kept import Kept
from tests.support.ledger import Director

AT: Endpoint[Any, Any] = Endpoint("director")


def test_an_answer_is_kept_by_its_question_until_all_are_forgotten() -> None:
    kept, answers = Kept(), iter(range(9))
    assert [kept.get("a", lambda: next(answers)) for _ in range(2)] == [0, 0]
    assert kept.get("b", lambda: next(answers)) == 1
    kept.forget()
    assert [kept.get(question, lambda: next(answers)) for question in "aab"] == [2, 2, 3]


def test_what_was_asked_before_somebody_wrote_is_not_kept_after_it() -> None:
    kept, answers = Kept(), iter(range(9))

    def while_somebody_writes() -> int:
        kept.forget()
        return next(answers)

    assert kept.get("a", while_somebody_writes) == 0
    assert [kept.get("a", lambda: next(answers)) for _ in range(2)] == [1, 1]


def test_a_question_that_fails_is_asked_again() -> None:
    kept = Kept()
    for _ in range(2):
        try:
            kept.get("a", lambda: 1 // 0)
        except ZeroDivisionError:
            continue
        raise AssertionError
    assert kept.get("a", lambda: 1) == 1


class Stale(Director):
    """A director of which a session has kept that its ledger is empty."""

    def answer(self, path: str, *, params: dict[str, str]) -> Answer:
        del params
        return Answer(200, {}, b"[]", path)


def test_an_entry_is_written_beside_those_that_stand_there_now_whatever_was_kept() -> None:
    director = Stale()

    def world(resource: str) -> Any:
        def mark(*, complete: bool) -> Mark:
            return Mark("north", ResourceId(resource), "a" * 64, complete)

        def face(_: object) -> Director:
            return director

        return SimpleNamespace(site="north", session=face, writing=face, mark=mark)

    for resource in ("bosh.release:minio", "bosh.stemcell:default"):
        ledger.note(world(resource), AT, complete=True)
    entries = json.loads(director.configs["paver", "north"])["entries"]
    assert set(entries) == {"bosh.release:minio", "bosh.stemcell:default"}
    ledger.strike(world(""), AT, "bosh.release:minio")
    assert set(json.loads(director.configs["paver", "north"])["entries"]) == {"bosh.stemcell:default"}
