"""A permission: an account has a role on an object, and perhaps on all in it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from paver.driver import Facts, PaverError, Reader, ResourceId, Writer
from paver.drivers.vsphere.inventory import datacenter, role, stores
from paver.drivers.vsphere.inventory.entity import declared
from paver.drivers.vsphere.inventory.noted import Noted, Removal, Seen, key_of
from paver.transport.vsphere import describe, new


@dataclasses.dataclass(frozen=True, kw_only=True)
class PermissionFacts(Facts):
    """A permission as it is; without values where it was only begun."""

    role: str | None = None
    propagate: bool | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Permission(Noted[PermissionFacts]):
    """A permission. The key of its id is the object's inventory path, `/` for vCenter's root.

    A datastore's path means each datastore that the hosts call so.

    Attributes:
        principal: the account, `user@domain`.
        role: the role's name.
        propagate: also on all that lies in the object.
        hosts: of a datastore, whose it is, as vCenter names them.
    """

    kind = "vsphere.permission"
    facts = PermissionFacts
    unmanaged = frozenset({"principal", "hosts"})
    calls = declared(
        create=("SetEntityPermissions",), update=("SetEntityPermissions",), delete=("RemoveEntityPermission",)
    )

    principal: str
    role: str
    propagate: bool
    hosts: frozenset[str] = frozenset()

    @classmethod
    def look(cls, world: Reader, session: Any, id_: ResourceId) -> Seen | None:
        """Returns the permission on that object by one of the site's roles."""
        ours = role.prefix(world.site)
        entities = _entities(session, id_)
        found = (one for one in _on(session, entities) if str(one.values["role"]).startswith(ours))
        return _together(list(found), whole=True)

    def seen(self, world: Reader, session: Any) -> Seen | None:
        """Returns the account's permission on that object; of datastores that differ, without a role."""
        del world
        wanted = account(self.principal)
        entities, whole = self._meant(session)
        found = [one for one in _on(session, entities) if account(one.address["principal"]) == wanted]
        return _together(found, whole=whole and len(found) == len(entities))

    def _meant(self, session: Any) -> tuple[list[Any], bool]:
        """Returns the objects, and whether those of all hosts are there."""
        if not self.hosts:
            return _entities(session, self.id), True
        place, _, name = key_of(self.id).split("/", 2)
        found = datacenter.find(session, place)
        if found is None:
            return [], False
        theirs = stores.of_hosts(session, found, name, self.hosts)
        return [store.ref for store in stores.distinct(theirs.values())], None not in theirs.values()

    def make(self, world: Writer, session: Any, seen: Seen | None) -> None:
        """Sets the permission.

        Raises:
            PaverError: if the object or the role is not there.
        """
        del world
        if seen is not None and seen.values == {"role": self.role, "propagate": self.propagate}:
            return
        entities, whole = self._meant(session)
        number = role.number(session, self.role)
        if not entities or not whole or number is None:
            missing = f"the role {self.role}" if entities and whole else f"the object {key_of(self.id)}"
            raise PaverError(f"{self.principal} cannot be given {self.role}", why=f"{missing} is not there")
        user, domain = account(self.principal)
        granted = new(
            "Permission",
            principal=f"{domain.upper()}\\{user}",
            group=False,
            roleId=number,
            propagate=self.propagate,
        )
        for entity in entities:
            session.call(
                session.content.authorizationManager,
                "SetEntityPermissions",
                entity=entity,
                permission=[granted],
            )

    @classmethod
    def removing(cls, session: Any, address: Mapping[str, str]) -> list[Removal]:
        """Returns what takes the permission away, from one object after the other."""
        entities = [entity.partition(":") for entity in address["entity"].split()]
        return [
            functools.partial(
                session.call,
                session.content.authorizationManager,
                "RemoveEntityPermission",
                entity=session.ref(type_name, moid),
                user=address["principal"],
                isGroup=False,
            )
            for type_name, _, moid in entities
        ]

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{self.principal} as {self.role}" + (", inherited" if self.propagate else "")


def account(principal: str) -> tuple[str, str]:
    r"""Returns user and domain of `user@domain` or `DOMAIN\user`, as they compare."""
    domain, found, user = principal.rpartition("\\")
    if not found:
        user, _, domain = principal.partition("@")
    return user.lower(), domain.lower()


def _store(id_: ResourceId) -> str | None:
    """Returns the name of the datastore whose path this is, None if it is another object's."""
    parts = key_of(id_).split("/", 2)
    return parts[2] if len(parts) == 3 and parts[1] == "datastore" else None


def _entities(session: Any, id_: ResourceId) -> list[Any]:
    """Returns the objects that a path means."""
    path, store = key_of(id_).strip("/"), _store(id_)
    if not path:
        return [session.content.rootFolder]
    if store is not None:
        place = datacenter.find(session, path.partition("/")[0])
        return [one.ref for one in stores.named(session, place, store)] if place is not None else []
    found = session.answer(session.content.searchIndex, "FindByInventoryPath", inventoryPath=path)
    return [found] if found is not None else []


def _on(session: Any, entities: list[Any]) -> list[Seen]:
    granted = [
        (entity, one)
        for entity in entities
        for one in session.answer(
            session.content.authorizationManager, "RetrieveEntityPermissions", entity=entity, inherited=False
        )
        or ()
        if not one.group
    ]
    names = role.names(session, (one.roleId for _, one in granted)) if granted else {}
    return [
        Seen(
            {"entity": describe(entity), "principal": str(one.principal)},
            {"role": names.get(one.roleId, str(one.roleId)), "propagate": bool(one.propagate)},
        )
        for entity, one in granted
    ]


def _together(found: list[Seen], *, whole: bool) -> Seen | None:
    """Returns one account's permissions on several objects as one, None if there is none."""
    if not found:
        return None
    first = found[0]
    mine = [one for one in found if account(one.address["principal"]) == account(first.address["principal"])]
    alike = whole and all(one.values == first.values for one in mine)
    values = first.values if alike else dict.fromkeys(first.values)
    entities = " ".join(one.address["entity"] for one in mine)
    return Seen({"entity": entities, "principal": first.address["principal"]}, values)
