"""A role: a set of privileges. Its name says whose it is; that it is ours, the ledger says."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from paver.driver import Facts, Reader, ResourceId, Writer
from paver.drivers.vsphere.inventory import privileges
from paver.drivers.vsphere.inventory.entity import declared
from paver.drivers.vsphere.inventory.noted import Noted, Removal, Seen, key_of

_ADD, _UPDATE, _REMOVE = "AddAuthorizationRole", "UpdateAuthorizationRole", "RemoveAuthorizationRole"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoleFacts(Facts):
    """A role as it is; without privileges where it was only begun."""

    privileges: frozenset[str] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Role(Noted[RoleFacts]):
    """A role, `paver-<site>-<key>`.

    Attributes:
        privileges: what it grants, without those that every role has.
    """

    kind = "vsphere.role"
    facts = RoleFacts
    calls = declared(create=(_ADD, _UPDATE), update=(_UPDATE,), delete=(_REMOVE,))

    privileges: frozenset[str]

    @classmethod
    def look(cls, world: Reader, session: Any, id_: ResourceId) -> Seen | None:
        """Returns the role of that name."""
        wanted = name(world.site, key_of(id_))
        for role in roles(session):
            if role.name == wanted:
                granted = frozenset(
                    one for one in role.privilege or () if not one.startswith(privileges.SYSTEM)
                )
                return Seen({"name": wanted, "role": str(role.roleId)}, {"privileges": granted})
        return None

    def make(self, world: Writer, session: Any, seen: Seen | None) -> None:
        """Makes the role, or sets its privileges."""
        manager, granted = session.content.authorizationManager, sorted(self.privileges)
        called = name(world.site, key_of(self.id))
        if seen is None:
            session.call(manager, _ADD, name=called, privIds=granted)
        elif seen.values["privileges"] != self.privileges:
            role = int(seen.address["role"])
            session.call(manager, _UPDATE, roleId=role, newName=called, privIds=granted)

    @classmethod
    def removing(cls, session: Any, address: Mapping[str, str]) -> list[Removal]:
        """Returns what removes the role; vCenter refuses while somebody else grants it."""
        manager, number = session.content.authorizationManager, int(address["role"])
        return [functools.partial(session.call, manager, _REMOVE, roleId=number, failIfUsed=True)]

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{len(self.privileges)} privileges"


def name(site: str, key: str) -> str:
    """Returns a role's name in vCenter."""
    return f"{prefix(site)}{key}"


def prefix(site: str) -> str:
    """Returns how the names of a site's roles begin."""
    return f"paver-{site}-"


def roles(session: Any) -> list[Any]:
    """Returns all roles of vCenter."""
    return list(session.value(session.content.authorizationManager, "roleList") or ())


def names(session: Any, numbers: Iterable[int]) -> dict[int, str]:
    """Returns the names of the roles of these numbers, as far as they are there; a role that was renamed since may have its former one.

    vCenter tells names in a list of all privileges of all roles, thousands of them. So it is asked once a session, and again
    for a number that is not known, and where paver itself changed roles. Whoever acts by a role asks for it anew: `number`.
    """
    wanted = set(numbers)
    for anew in (False, True):
        known: dict[int, str] = session.lasting(
            "names of roles",
            lambda: {role.roleId: role.name for role in roles(session)},
            until=frozenset({_ADD, _UPDATE, _REMOVE}),
            anew=anew,
        )
        if wanted <= known.keys():
            break
    return {number: known[number] for number in wanted & known.keys()}


def number(session: Any, called: str) -> int | None:
    """Returns the number of the role of that name as it is now, None if there is none."""
    return next((role.roleId for role in roles(session) if role.name == called), None)
