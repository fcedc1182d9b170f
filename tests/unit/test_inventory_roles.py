"""The names of vCenter's roles, which are dear to read: kept, and asked again for what is not among them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from paver.drivers.vsphere.inventory import role


class VCenter:
    """A list of roles that counts how often it was read, and keeps what lasts."""

    def __init__(self) -> None:
        self.content = SimpleNamespace(authorizationManager="manager")
        self.there = {1: "Admin", 7: "paver-north-cpi-root"}
        self.read = 0
        self.kept: dict[str, Any] = {}
        self.until: frozenset[str] = frozenset()

    def value(self, managed: str, path: str) -> Any:
        assert (managed, path) == ("manager", "roleList")
        self.read += 1
        return [SimpleNamespace(roleId=number, name=name) for number, name in self.there.items()]

    def lasting(self, name: str, ask: Callable[[], Any], *, until: frozenset[str]) -> Any:
        self.until = until
        return self.kept.setdefault(name, ask())


@pytest.fixture
def vcenter() -> VCenter:
    found = VCenter()
    assert role.names(found, [1]) == {1: "Admin"}
    found.read = 0
    found.lasting = lambda name, *_, **__: found.kept[name]  # type: ignore[method-assign]
    return found


def test_names_that_are_known_are_not_read_again(vcenter: VCenter) -> None:
    assert role.names(vcenter, [7, 1]) == {1: "Admin", 7: "paver-north-cpi-root"}
    assert role.number(vcenter, "paver-north-cpi-root") == 7
    assert vcenter.read == 0
    assert vcenter.until == {"AddAuthorizationRole", "UpdateAuthorizationRole", "RemoveAuthorizationRole"}


def test_a_role_that_somebody_made_since_is_asked_for_by_number_and_by_name(vcenter: VCenter) -> None:
    vcenter.there[9] = "theirs"
    assert role.names(vcenter, [1, 9]) == {1: "Admin", 9: "theirs"}
    assert role.number(vcenter, "theirs") == 9
    assert vcenter.read == 2


def test_a_role_that_is_not_there_has_neither_name_nor_number(vcenter: VCenter) -> None:
    assert role.names(vcenter, [1, 13]) == {1: "Admin"}
    assert role.number(vcenter, "nobody") is None
