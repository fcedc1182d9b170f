"""BOSH's account through the real planner and executor, against a single sign-on in memory."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import Check, Endpoint, Gate, Ground, Paved, PaverError, Secret, resource_id
from paver.drivers.vsphere.inventory import account as module
from paver.drivers.vsphere.inventory.account import Account, AccountFacts
from paver.engine.again import Again
from paver.engine.board import Board
from paver.engine.executor import Executor, Hands
from paver.engine.journal import Journal
from paver.engine.plan import Plan
from paver.engine.planner import Heading, Request, plan
from paver.engine.world import Connections, ReadingWorld
from paver.transport.vsphere.ssoadmin import SsoUser

AT: Endpoint[Any, Any] = Endpoint("vcenter-sso")
WISH = Account(
    id=resource_id(Account.kind, "cpi"), phase="inventory", at=AT, user="bosh-cpi", password=Secret("cpi")
)


@dataclasses.dataclass
class SingleSignOn:
    """Accounts with their passwords and descriptions."""

    passwords: dict[str, str] = dataclasses.field(default_factory=dict)
    descriptions: dict[str, str] = dataclasses.field(default_factory=dict)
    locked: bool = False
    days: int | None = 90
    calls: list[str] = dataclasses.field(default_factory=list)

    def connect(self, context: Any) -> Any:
        del context
        return SimpleNamespace(
            reader=lambda: Session(self), writer=self._writer, forget=lambda: None, close=lambda: None
        )

    def _writer(self, gate: Gate) -> Session:
        return Session(self, gate)


@dataclasses.dataclass
class Session:
    """What the transport's faces offer."""

    there: SingleSignOn
    gate: Gate | None = None

    def user(self, name: str) -> SsoUser | None:
        return next((one for one in self.users() if one.name == name), None)

    def users(self) -> list[SsoUser]:
        return [SsoUser(name, text) for name, text in self.there.descriptions.items()]

    def admits(self, name: str, password: str) -> bool:
        return not self.there.locked and self.there.passwords.get(name) == password

    def password_days(self) -> int | None:
        return self.there.days

    def _pass(self, call: str) -> None:
        assert self.gate is not None
        self.gate(call, "sso")
        self.there.calls.append(call)

    def create(self, name: str, password: str, description: str) -> None:
        self._pass("CreateLocalPersonUser")
        self.there.passwords[name], self.there.descriptions[name] = password, description

    def describe(self, name: str, description: str) -> None:
        self._pass("UpdateLocalPersonUserDetails")
        self.there.descriptions[name] = description

    def set_password(self, name: str, password: str) -> None:
        self._pass("ResetLocalPersonUserPassword")
        self.there.passwords[name] = password

    def delete(self, name: str) -> None:
        self._pass("DeleteLocalPrincipal")
        del self.there.passwords[name], self.there.descriptions[name]


@dataclasses.dataclass
class Site:
    """The engine, wired to one single sign-on."""

    there: SingleSignOn
    folder: Path
    secret: tuple[str, str] = ("first version", "First-Password-1")

    def _paved(self, wishes: tuple[Account, ...]) -> Paved:
        return Paved(
            phases=("inventory",),
            resources=wishes,
            connectors={AT.name: self.there},
            grounds=(Ground(Account, AT, "inventory"),),
        )

    def plan(self, *wishes: Account, mode: str = "apply") -> Plan:
        paved, board = self._paved(wishes), Board()
        connections = Connections(paved.connectors, None, board.for_reading)
        world = ReadingWorld("north", connections, lambda _: self.secret[0])
        heading = Heading(site="north", site_digest="d", paver="1", driver="vsphere/1")
        return plan(paved, heading, Request(mode=mode), world, board)

    def apply(self, *wishes: Account, mode: str = "apply") -> list[BaseException]:
        made, paved, board = self.plan(*wishes, mode=mode), self._paved(wishes), Board()
        number = len(list(self.folder.iterdir()))
        with Journal(self.folder / f"journal-{number}") as journal:
            hands = Hands(
                connections=Connections(paved.connectors, None, board.for_reading),
                journal=journal,
                versions=lambda _: self.secret[0],
                reveal=lambda _: self.secret[1],
                tell=lambda _: None,
                stop=threading.Event(),
            )
            world = ReadingWorld("north", hands.connections, hands.versions)
            executor = Executor(Again(made, paved, board, world), hands)
            return [error for _, error in executor.run(lambda _: True).failed]

    def verbs(self, *wishes: Account) -> list[str]:
        return [action.verb.value for action in self.plan(*wishes).actions]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(SingleSignOn(), tmp_path)


def test_an_account_is_made_kept_and_deleted(site: Site) -> None:
    assert site.apply(WISH) == []
    assert site.there.passwords == {"bosh-cpi": "First-Password-1"}
    assert site.verbs(WISH) == ["keep"]
    assert site.apply(WISH, mode="destroy") == []
    assert site.there.passwords == {}


def _proof(site: Site) -> Check:
    world: Any = SimpleNamespace(session=lambda _: Session(site.there))
    (check,) = WISH.checks(world, AccountFacts())
    return check


def test_until_when_the_password_holds_is_proven_and_in_its_last_two_weeks_how_to_renew_it_is_said(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_today", lambda: dt.date(2026, 1, 1))
    site.apply(WISH)
    assert _proof(site).seen == "holds until 2026-04-01 (90 days from 2026-01-01)"
    for day, ok in (
        (dt.date(2026, 3, 17), True),
        (dt.date(2026, 3, 18), False),
        (dt.date(2027, 1, 1), False),
    ):
        monkeypatch.setattr(module, "_today", lambda day=day: day)
        assert _proof(site).ok is ok
    assert "paver secrets generate cpi --replace" in _proof(site).seen
    site.there.days = None
    assert _proof(site) == Check(
        "bosh-cpi's password is far from its end", ok=True, seen="it does not expire"
    )


def test_a_password_of_a_short_life_is_fresh_when_it_is_set(site: Site) -> None:
    site.there.days = 10
    site.apply(WISH)
    assert _proof(site).ok


def test_neither_mark_nor_journal_holds_the_password(site: Site) -> None:
    site.apply(WISH)
    assert "First-Password-1" not in repr(site.there.descriptions)
    assert all("First-Password-1" not in file.read_text() for file in site.folder.iterdir())


def test_another_version_of_the_secret_is_set(site: Site) -> None:
    site.apply(WISH)
    site.secret = ("second version", "Second-Password-2")
    assert site.verbs(WISH) == ["update"]
    site.apply(WISH)
    assert site.there.passwords == {"bosh-cpi": "Second-Password-2"}
    assert site.verbs(WISH) == ["keep"]


def test_an_account_that_cannot_log_in_is_told_and_not_called_complete(site: Site) -> None:
    site.there.locked = True
    (error,) = site.apply(WISH)
    assert isinstance(error, PaverError)
    assert "cannot log in" in error.what
    assert site.verbs(WISH) == ["create"]
    site.there.locked = False
    assert site.apply(WISH) == []
    assert site.verbs(WISH) == ["keep"]


def test_a_foreign_account_blocks_and_keeps_its_password(site: Site) -> None:
    site.there.passwords["bosh-cpi"] = "Somebody-Elses-1"
    site.there.descriptions["bosh-cpi"] = "for backups"
    assert site.verbs(WISH) == ["blocked"]


def test_an_account_that_is_no_longer_wished_for_goes(site: Site) -> None:
    site.apply(WISH)
    site.there.passwords["backup"], site.there.descriptions["backup"] = "x", "for backups"
    assert site.apply() == []
    assert list(site.there.passwords) == ["backup"]
