"""A connection logs in with the secret as its consumer has it, and anew once that has another version."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Facts, InUse, ResourceId, Secret, output
from paver.engine.board import Board
from paver.engine.world import Connections
from paver.errors import Unobservable
from paver.sealed import keys, store
from paver.trust.vault import Vault

DEPLOYMENT = ResourceId("bosh.deployment:store")
KEY = InUse(Secret("root-key"), output(DEPLOYMENT, "versions", dict), "key")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deployed(Facts):
    versions: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Login:
    """A connector that is its own connection, and remembers who closed it."""

    key: InUse
    closed: list[str | None]

    def connect(self, context: Any) -> Login:
        del context
        return self

    def close(self) -> None:
        self.closed.append(self.key.version)


def deployed(version: str) -> Deployed:
    return Deployed(versions={"key": version})


def test_a_connection_logs_in_with_the_version_that_stands_at_the_consumer_until_that_changes() -> None:
    board, closed = Board(), list[str | None]()
    board.put(DEPLOYMENT, deployed("old"))
    logins: dict[str, Any] = {"s3": Login(KEY, closed), "other": Login(InUse(Secret("x"), {}, "x"), closed)}
    connections = Connections(logins, None, board.for_reading)
    opened: Any = [connections.get(name) for name in logins]
    assert [one.key.version for one in opened] == ["old", None]
    board.put(DEPLOYMENT, deployed("new"))
    connections.renew(ResourceId("bosh.deployment:another"))
    assert closed == []
    connections.renew(DEPLOYMENT)
    assert closed == ["old"], "what does not depend on it stays open"
    again: Any = connections.get("s3")
    assert again.key.version == "new"


def test_nobody_logs_in_before_the_consumer_stands() -> None:
    logins: dict[str, Any] = {"s3": Login(KEY, [])}
    connections = Connections(logins, None, Board().for_reading)
    with pytest.raises(Unobservable, match="s3 cannot be asked yet"):
        connections.get("s3")


def test_an_earlier_version_is_revealed_while_it_is_kept_and_the_newest_one_afterwards(
    tmp_path: Path,
) -> None:
    key = keys.new_key_file(tmp_path / "key")
    store.create(tmp_path / "sealed", key)
    with store.writer(tmp_path / "sealed", key, "test") as writer:
        versions = [writer.put("root-key", f"value {number}", made_by="test") for number in range(4)]
    vault = Vault(tmp_path / "sealed", key, "test")
    secret = Secret("root-key")
    assert vault.reveal(secret) == "value 3"
    assert vault.reveal(secret, versions[2]) == "value 2"
    assert vault.reveal(secret, versions[0]) == "value 3"
