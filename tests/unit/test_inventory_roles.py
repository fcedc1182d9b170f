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

    def lasting(self, name: str, ask: Callable[[], Any], *, until: frozenset[str], anew: bool) -> Any:
        self.until = until
        if anew or name not in self.kept:
            self.kept[name] = ask()
        return self.kept[name]


@pytest.fixture
def vcenter() -> VCenter:
    found = VCenter()
    assert role.names(found, [1]) == {1: "Admin"}
    found.read = 0
    return found


def test_names_that_are_known_are_not_read_again(vcenter: VCenter) -> None:
    assert role.names(vcenter, [7, 1]) == {1: "Admin", 7: "paver-north-cpi-root"}
    assert vcenter.read == 0
    assert vcenter.until == {"AddAuthorizationRole", "UpdateAuthorizationRole", "RemoveAuthorizationRole"}


def test_a_role_that_somebody_made_since_is_asked_for_once(vcenter: VCenter) -> None:
    vcenter.there[9] = "theirs"
    for _ in range(2):
        assert role.names(vcenter, [1, 9]) == {1: "Admin", 9: "theirs"}
    assert vcenter.read == 1


def test_a_role_that_is_not_there_has_neither_name_nor_number(vcenter: VCenter) -> None:
    assert role.names(vcenter, [1, 13]) == {1: "Admin"}
    assert role.number(vcenter, "nobody") is None


def test_who_acts_by_a_role_gets_its_number_as_it_is_now(vcenter: VCenter) -> None:
    vcenter.there = {1: "Admin", 7: "theirs", 12: "paver-north-cpi-root"}
    assert role.names(vcenter, [7]) == {7: "paver-north-cpi-root"}, "as it was"
    assert role.number(vcenter, "paver-north-cpi-root") == 12
    assert role.number(vcenter, "theirs") == 7
