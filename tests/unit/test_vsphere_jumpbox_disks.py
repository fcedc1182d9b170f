"""Which image a jumpbox is made of, and which of its disks are its own, told by what identifies them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.drivers.vsphere.jumpbox import deploy, facts, image
from paver.errors import Refused
from paver.transport.vsphere import new
from tests.support import small_image


def disk(uuid: str | None, unit: int, *, controller: int = 1000, snapshot: bool = False) -> Any:
    kind = "VirtualDiskFlatVer2BackingInfo"
    backing = new(kind, uuid=uuid, fileName=f"[datastore1] {uuid}.vmdk", diskMode="persistent")
    if snapshot:
        backing.parent = new(kind, uuid=uuid, fileName="[datastore1] before.vmdk", diskMode="persistent")
    return new(
        "VirtualDisk", key=-1, controllerKey=controller, unitNumber=unit, capacityInKB=1, backing=backing
    )


class Session:
    """A host that does what it is asked, and writes it down."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def task(self, _: Any, method: str, **more: Any) -> None:
        for change in getattr(more.get("spec"), "deviceChange", None) or ():
            self.asked.append(f"{change.operation} {change.device.backing.uuid} {change.fileOperation}")
        if "spec" not in more:
            self.asked.append(method)


def removed(own: str, *disks: Any) -> list[str]:
    """Returns what a host is asked for when a machine with these disks is deleted."""
    session = Session()
    details = {"config.hardware.device": list(disks), "runtime.powerState": "poweredOn"}
    found = facts.Found(None, "paver-jumpbox", {facts.DISKS: own}, details)
    world: Any = SimpleNamespace(report=lambda *_: None, stopping=lambda: False)
    try:
        deploy._remove(world, session, found)
    except Refused:
        assert session.asked == []
        raise
    return session.asked


OWN = "system data"
BOTH = (disk("system", 0), disk("data", 1))


def test_disks_are_noted_in_the_order_of_their_places_and_only_where_each_can_be_told() -> None:
    assert facts.identities([disk("c", 0, controller=1001), disk("b", 1), disk("a", 0)]) == "a b c"
    assert facts.identities([disk("a", 0), disk(None, 1)]) == ""
    assert facts.identities([]) == ""


def test_only_disks_that_came_later_are_detached_and_their_files_stay() -> None:
    assert removed(OWN, *BOTH) == ["PowerOffVM_Task", "Destroy_Task"]
    assert removed(OWN, disk("theirs", 0, controller=200), *BOTH) == [
        "PowerOffVM_Task",
        "remove theirs None",
        "Destroy_Task",
    ]
    assert removed("", *BOTH) == ["PowerOffVM_Task", "Destroy_Task"]


def test_a_machine_whose_foreign_disk_is_part_of_a_snapshot_is_not_even_switched_off() -> None:
    with pytest.raises(Refused, match="has a snapshot, and a disk that is not its own") as refusal:
        removed(OWN, *BOTH, disk("theirs", 2, snapshot=True))
    assert refusal.value.seen == "[datastore1] theirs.vmdk"
    own = (disk("system", 0, snapshot=True), disk("data", 1, snapshot=True))
    assert removed(OWN, *own) == ["PowerOffVM_Task", "Destroy_Task"]


def test_a_restored_or_cloned_machine_keeps_its_disks_since_they_have_other_uuids() -> None:
    with pytest.raises(Refused, match="none of the disks that it was deployed with") as refusal:
        removed("of before", *BOTH)
    assert "empty paver.disks" in refusal.value.do


def test_an_image_that_was_exchanged_since_it_was_planned_is_not_deployed(tmp_path: Path) -> None:
    planned, other = (
        small_image.image(tmp_path / name, data * small_image.GRAIN)
        for name, data in (("a", b"a"), ("b", b"b"))
    )
    wish: Any = SimpleNamespace(path="jumpbox.ova", image=image.digest(planned.ova))
    world: Any = SimpleNamespace(session=lambda _: SimpleNamespace(path=lambda _: other.ova))
    with pytest.raises(Refused, match=r"the image jumpbox\.ova is not the one that was planned"):
        # Before the host is asked for anything.
        deploy._deploy(world, None, wish)
