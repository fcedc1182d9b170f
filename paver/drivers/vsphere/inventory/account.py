"""An account of vCenter's single sign-on: the one by which BOSH acts. Its description carries the mark.

The password's version stands beside the mark, so that a plan compares without knowing the password; and the day on
which it was set, since vCenter lets it expire ("90 days by default", vSphere Authentication, password policy).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from paver.driver import Check, Endpoint, Facts, Mark, PaverError, Reader, Resource, Secret, Verb, Writer
from paver.drivers.vsphere import ending
from paver.signing import canonical
from paver.transport.vsphere.ssoadmin import SsoUser

_CHANGE = frozenset({"UpdateLocalPersonUserDetails", "ResetLocalPersonUserPassword"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccountFacts(Facts):
    """An account; `password` is the version of the secret that was set, None for any other."""

    password: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Account(Resource[AccountFacts]):
    """An account.

    Attributes:
        user: its name in the domain.
        password: its password.
    """

    kind = "vsphere.account"
    unmanaged = frozenset({"user"})
    calls: ClassVar[Mapping[Verb, frozenset[str]]] = {
        Verb.CREATE: _CHANGE | {"CreateLocalPersonUser"},
        Verb.UPDATE: _CHANGE,
        Verb.DELETE: frozenset({"DeleteLocalPrincipal"}),
    }

    user: str
    password: Secret

    def read(self, world: Reader) -> AccountFacts | None:
        """Returns the account as it is."""
        found = world.session(self.at).user(self.user)
        return None if found is None else _facts(found)

    def create(self, world: Writer) -> None:
        """Makes the account and proves that it can log in; or brings one that was begun to its end.

        Raises:
            PaverError: if the password was set and is not taken.
        """
        session, password = world.writing(self.at), world.reveal(self.password)
        begun = _description(world.mark(complete=False), "")
        if session.user(self.user) is None:
            session.create(self.user, password, begun)
        else:
            session.describe(self.user, begun)
            session.set_password(self.user, password)
        if not session.admits(self.user, password):
            raise PaverError(
                f"{self.user} cannot log in with the password that was just set",
                why="the account is disabled or locked",
                do="enable or unlock it in vCenter (Single Sign On, Users), then run the same command again",
            )
        version = world.version(self.password) or ""
        session.describe(self.user, _description(world.mark(complete=True), version))

    def update(self, world: Writer, facts: AccountFacts, fields: frozenset[str]) -> None:
        """Sets the password."""
        del facts, fields
        self.create(world)

    def checks(self, world: Reader, facts: AccountFacts) -> Iterable[Check]:
        """Yields that the password goes on holding: once it has expired, BOSH loses vCenter."""
        del facts
        session = world.session(self.at)
        found, days = session.user(self.user), session.password_days()
        since = _document(found.description).get("since") if found is not None else None
        yield _holds(self, since, days)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[AccountFacts]:
        """Yields the accounts that bear the site's mark."""
        for found in world.session(at).users():
            facts = _facts(found)
            if facts.mark is not None and facts.mark.site == world.site:
                yield facts

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: AccountFacts) -> None:
        """Deletes the account."""
        world.writing(at).delete(facts.address["user"])

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"secret:{self.password.name}"


def _facts(found: SsoUser) -> AccountFacts:
    mark = Mark.loads(found.description)
    version = _version(found.description) if mark is not None else None
    return AccountFacts(address={"user": found.name}, mark=mark, password=version)


def _version(description: str) -> str | None:
    version = _document(description).get("password")
    return version if isinstance(version, str) and version else None


def _document(description: str) -> Mapping[str, Any]:
    return dict(json.loads(description)) if Mark.loads(description) is not None else {}


def _holds(wish: Account, since: Any, days: int | None) -> Check:
    what = f"{wish.user}'s password"
    do = f"set another one: `paver secrets generate {wish.password.name} --replace`, then `paver apply`"
    if days is None:
        return ending.check(what, None, "it does not expire", do)
    if not isinstance(since, str):
        return ending.check(what, None, f"it holds for {days} days, from when is not known", do)
    until = dt.date.fromisoformat(since) + dt.timedelta(days=days)
    left = (until - _today()).days
    return ending.check(what, left, f"holds until {until} ({days} days from {since})", do, days)


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _description(mark: Mark, version: str) -> str:
    document = {**mark.document(), "password": version, "since": _today().isoformat()}
    return canonical.dumps(document).decode()
