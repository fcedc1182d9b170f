"""Marks in vCenter: custom attributes of entities, and the ledger's slots on the root folder."""

# ruff: noqa: ARG002, N802, N803 (the fake vCenter has the vendor's names and faces)
from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import Mark, PaverError, ResourceId
from paver.drivers.vsphere.inventory import attributes
from paver.transport.vsphere import faults, new

ROOT, FIELDS = "root folder", "fields"


class VCenter:
    """Custom attributes in memory."""

    name = "vcsa"

    def __init__(self) -> None:
        self.content = SimpleNamespace(rootFolder=ROOT, customFieldsManager=FIELDS)
        self.fields: dict[int, tuple[str, Any]] = {}
        self.values: dict[str, dict[int, str]] = {ROOT: {}, "north": {}}
        self.calls: list[str] = []

    def _custom(self, entity: str) -> list[Any]:
        return [SimpleNamespace(key=key, value=value) for key, value in self.values[entity].items()]

    def value(self, managed: str, path: str) -> Any:
        if managed == FIELDS:
            return [SimpleNamespace(name=name, key=key) for key, (name, _) in self.fields.items()]
        assert path == "customValue"
        return self._custom(managed)

    def each(self, *wants: tuple[str, str]) -> list[Any]:
        return [self.value(managed, path) for managed, path in wants]

    def snapshot(self, wants: Any) -> None:
        pass

    def objects(self, type_name: str, paths: tuple[str, ...]) -> list[Any]:
        if type_name != "Datacenter":
            return []
        return [("north", {"customValue": self._custom("north")})]

    def call(self, managed: str, method: str, **arguments: Any) -> Any:
        self.calls.append(method)
        return getattr(self, method)(**arguments)

    def AddCustomFieldDef(self, name: str, moType: Any, fieldDefPolicy: None, fieldPolicy: None) -> Any:
        if name in [known for known, _ in self.fields.values()]:
            raise faults.translate(new("DuplicateName", name=name), "AddCustomFieldDef", self.name)
        key = max(self.fields, default=100) + 1
        self.fields[key] = (name, moType)
        return SimpleNamespace(key=key)

    def SetField(self, entity: str, key: int, value: str) -> None:
        assert key in self.fields
        self.values[entity][key] = value

    def RemoveCustomFieldDef(self, key: int) -> None:
        del self.fields[key]
        for values in self.values.values():
            values.pop(key, None)

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.fields.values()}


def mark(key: str, *, site: str = "north", complete: bool = True) -> Mark:
    return Mark(site, ResourceId(f"vsphere.role:{key}"), "a" * 64, complete)


@pytest.fixture
def vcenter() -> VCenter:
    return VCenter()


def test_an_entity_bears_its_mark_under_one_definition(vcenter: VCenter) -> None:
    attributes.put(vcenter, "north", mark("a", complete=False))
    attributes.put(vcenter, "north", mark("a"))
    assert vcenter.names == {"paver.mark"}
    assert attributes.mark_of(vcenter, vcenter._custom("north")) == mark("a")


def test_what_somebody_else_wrote_is_no_mark(vcenter: VCenter) -> None:
    attributes.put(vcenter, "north", mark("a"))
    (key,) = vcenter.fields
    for text in ("", "mine", "{}", '{"site": 1}'):
        assert attributes.mark_of(vcenter, [SimpleNamespace(key=key, value=text)]) is None
    assert attributes.mark_of(vcenter, [SimpleNamespace(key=key + 1, value=mark("a").dumps())]) is None


def test_a_long_mark_is_shortened_where_it_is_not_needed_to_know_whose_it_is(vcenter: VCenter) -> None:
    long = dataclasses.replace(mark("a"), id=ResourceId(f"vsphere.resource-pool:{'c' * 80}/{'p' * 60}"))
    attributes.put(vcenter, "north", long)
    found = attributes.mark_of(vcenter, vcenter._custom("north"))
    assert found is not None
    assert (found.site, found.id, found.complete) == (long.site, long.id, long.complete)
    assert max(len(text) for text in vcenter.values["north"].values()) <= 255


def test_each_entry_of_the_ledger_has_a_slot_and_keeps_it(vcenter: VCenter) -> None:
    attributes.note(vcenter, mark("a", complete=False))
    attributes.note(vcenter, mark("b"))
    attributes.note(vcenter, mark("a"))
    assert vcenter.names == {"paver.ledger.1", "paver.ledger.2"}
    book = attributes.ledger(vcenter)
    assert book.get("north", "vsphere.role:a") == mark("a")
    assert [one.id for one in book.of_kind("vsphere.role", "north")] == ["vsphere.role:a", "vsphere.role:b"]
    assert list(book.of_kind("vsphere.role", "south")) == []


def test_striking_takes_value_and_definition_in_one_last_call(vcenter: VCenter) -> None:
    attributes.put(vcenter, "north", mark("north"))
    attributes.note(vcenter, mark("a"))
    attributes.note(vcenter, mark("b"))
    attributes.strike(vcenter, "north", "vsphere.role:a")
    assert vcenter.names == {"paver.mark", "paver.ledger.2"}
    vcenter.values["north"].clear()
    vcenter.calls.clear()
    attributes.strike(vcenter, "north", "vsphere.role:b")
    assert vcenter.calls == ["RemoveCustomFieldDef", "RemoveCustomFieldDef"]
    assert vcenter.names == set()


def test_a_free_slot_is_used_again(vcenter: VCenter) -> None:
    for key in ("a", "b"):
        attributes.note(vcenter, mark(key))
    attributes.strike(vcenter, "north", "vsphere.role:a")
    attributes.note(vcenter, mark("c"))
    assert vcenter.names == {"paver.ledger.1", "paver.ledger.2"}


def test_two_sites_that_take_a_slot_at_once_do_not_take_the_same(
    vcenter: VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quicker(_: Any, name: str, **rest: Any) -> Any:
        monkeypatch.undo()
        attributes.note(vcenter, mark("theirs", site="south"))
        return vcenter.AddCustomFieldDef(name, **rest)

    monkeypatch.setattr(VCenter, "AddCustomFieldDef", quicker)
    attributes.note(vcenter, mark("ours"))
    found = {one.id for one in attributes.ledger(vcenter).slots.values()}
    assert found == {"vsphere.role:ours", "vsphere.role:theirs"}


def test_two_sites_in_one_vcenter_have_the_same_ids_and_neither_takes_the_others_entry(
    vcenter: VCenter,
) -> None:
    for site in ("north", "south", "north"):
        attributes.note(vcenter, mark("cpi-root", site=site))
    book = attributes.ledger(vcenter)
    for site in ("north", "south"):
        assert book.get(site, "vsphere.role:cpi-root") == mark("cpi-root", site=site)
    attributes.strike(vcenter, "south", "vsphere.role:cpi-root")
    assert list(attributes.ledger(vcenter).slots.values()) == [mark("cpi-root")]


def test_attributes_of_others_are_left_alone(vcenter: VCenter) -> None:
    vcenter.fields[7] = ("owner", None)
    attributes.note(vcenter, mark("a"))
    attributes.strike(vcenter, "north", "vsphere.role:a")
    assert vcenter.names == {"owner"}


def test_a_ledger_that_is_full_is_told(vcenter: VCenter) -> None:
    for number in range(64):
        attributes.note(vcenter, mark(str(number)))
    with pytest.raises(PaverError, match="ledger is full"):
        attributes.note(vcenter, mark("one more"))
