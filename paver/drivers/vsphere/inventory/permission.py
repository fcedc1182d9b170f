"""A permission: an account has a role on an object, and perhaps on all in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.driver import Facts, PaverError, Reader, ResourceId, Writer
from paver.drivers.vsphere.inventory import role
from paver.drivers.vsphere.inventory.entity import declared
from paver.drivers.vsphere.inventory.noted import Noted, Seen, key_of
from paver.transport.vsphere import describe, new


@dataclasses.dataclass(frozen=True, kw_only=True)
class PermissionFacts(Facts):
    """A permission as it is; without values where it was only begun."""

    role: str | None = None
    propagate: bool | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Permission(Noted[PermissionFacts]):
    """A permission. The key of its id is the object's inventory path, `/` for vCenter's root.

    Attributes:
        principal: the account, `user@domain`.
        role: the role's name.
        propagate: also on all that lies in the object.
    """

    kind = "vsphere.permission"
    facts = PermissionFacts
    unmanaged = frozenset({"principal"})
    calls = declared(
        create=("SetEntityPermissions",), update=("SetEntityPermissions",), delete=("RemoveEntityPermission",)
    )

    principal: str
    role: str
    propagate: bool

    @classmethod
    def look(cls, world: Reader, session: Any, id_: ResourceId) -> Seen | None:
        """Returns the permission on that object by one of the site's roles."""
        ours = role.prefix(world.site)
        found = (one for one in _on(session, id_) if str(one.values["role"]).startswith(ours))
        return next(found, None)

    def seen(self, world: Reader, session: Any) -> Seen | None:
        """Returns the account's permission on that object."""
        del world
        wanted = account(self.principal)
        found = (one for one in _on(session, self.id) if account(one.address["principal"]) == wanted)
        return next(found, None)

    def make(self, world: Writer, session: Any, seen: Seen | None) -> None:
        """Sets the permission.

        Raises:
            PaverError: if the object or the role is not there.
        """
        del world
        if seen is not None and seen.values == {"role": self.role, "propagate": self.propagate}:
            return
        entity = _entity(session, self.id)
        number = next((one.roleId for one in role.roles(session) if one.name == self.role), None)
        if entity is None or number is None:
            missing = f"the role {self.role}" if entity is not None else f"the object {key_of(self.id)}"
            raise PaverError(f"{self.principal} cannot be given {self.role}", why=f"{missing} is not there")
        user, domain = account(self.principal)
        granted = new(
            "Permission",
            principal=f"{domain.upper()}\\{user}",
            group=False,
            roleId=number,
            propagate=self.propagate,
        )
        session.call(
            session.content.authorizationManager,
            "SetEntityPermissions",
            entity=entity,
            permission=[granted],
        )

    @classmethod
    def remove(cls, session: Any, address: Mapping[str, str]) -> None:
        """Takes the permission away."""
        type_name, _, moid = address["entity"].partition(":")
        session.call(
            session.content.authorizationManager,
            "RemoveEntityPermission",
            entity=session.ref(type_name, moid),
            user=address["principal"],
            isGroup=False,
        )

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{self.principal} as {self.role}" + (", inherited" if self.propagate else "")


def account(principal: str) -> tuple[str, str]:
    r"""Returns user and domain of `user@domain` or `DOMAIN\user`, as they compare."""
    domain, found, user = principal.rpartition("\\")
    if not found:
        user, _, domain = principal.partition("@")
    return user.lower(), domain.lower()


def _entity(session: Any, id_: ResourceId) -> Any:
    path = key_of(id_).strip("/")
    if not path:
        return session.content.rootFolder
    return session.query(session.content.searchIndex, "FindByInventoryPath", inventoryPath=path)


def _on(session: Any, id_: ResourceId) -> list[Seen]:
    entity = _entity(session, id_)
    if entity is None:
        return []
    names = {one.roleId: one.name for one in role.roles(session)}
    granted = session.query(
        session.content.authorizationManager, "RetrieveEntityPermissions", entity=entity, inherited=False
    )
    return [
        Seen(
            {"entity": describe(entity), "principal": str(one.principal)},
            {"role": names.get(one.roleId, str(one.roleId)), "propagate": bool(one.propagate)},
        )
        for one in granted or ()
        if not one.group
    ]
