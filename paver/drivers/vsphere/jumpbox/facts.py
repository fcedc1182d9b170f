"""The jumpbox's VM as its host shows it: found by its mark, read in two calls."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Iterator
from typing import Any

from paver.driver import MARK_KEY, Facts, Mark
from paver.drivers.vsphere import marks
from paver.drivers.vsphere.host import autostart, reading
from paver.drivers.vsphere.jumpbox import first_boot, image
from paver.signing import public_line

UPLOADED = "paver.uploaded"
"""Set once all disks are there: a VM that has it is brought to its end, one without it is made anew."""
UNTOLD = "paver.untold"
"""Set beside it where the host did not tell what arrived: why."""
DISKS = "paver.disks"
"""What identifies the disks that it came with, of which the last is that of its state: set with `UPLOADED`, else at its end.

Of a VM that was adopted, those that it had then.
"""

_SEARCH = ("name", "config.extraConfig")
_DETAILS = (
    "config.hardware.device",
    "config.hardware.memoryMB",
    "config.hardware.numCPU",
    "config.files.vmPathName",
    "runtime.powerState",
    "guest.ipAddress",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JumpboxFacts(Facts):
    """The jumpbox as it is. What paver did not write (on an adopted one) is None.

    Attributes:
        disk_gb: size of the disk that its state lies on, None where that is not there.
        host_keys: public host keys that it published since it was switched on.
        untold: why what arrived of the image was not compared; None where it was, or paver did not upload it.
    """

    name: str
    running: bool
    image: str | None = None
    datastore: str | None = None
    port_group: str | None = None
    ip: str | None = None
    prefix: int | None = None
    gateway: str | None = None
    dns: tuple[str, ...] | None = None
    hostname: str | None = None
    domain: str | None = None
    user: str | None = None
    keys: tuple[str, ...] | None = None
    cpus: int | None = None
    memory_mb: int | None = None
    disk_gb: int | None = None
    autostart: bool | None = None
    host_keys: tuple[str, ...] | None = None
    untold: str | None = None

    def lacking(self, fact: str) -> str:
        """Returns that the VM does not run, where that is why it shows no host keys."""
        off = f"the VM {self.name} does not run: it is switched off, or suspended"
        return off if fact == "host_keys" and not self.running else ""


@dataclasses.dataclass(frozen=True)
class Found:
    """The VM and all that was read of it."""

    vm: Any
    name: str
    extra: dict[str, str]
    details: dict[str, Any]

    @property
    def devices(self) -> list[Any]:
        """Its virtual hardware."""
        return list(self.details["config.hardware.device"] or ())

    @property
    def running(self) -> bool:
        """Whether it is switched on."""
        return str(self.details["runtime.powerState"]) == "poweredOn"

    @property
    def uploaded(self) -> bool:
        """Whether all of its disks are there."""
        return self.extra.get(UPLOADED) == "true"


def find(session: Any, *, site: str, id_: str, name: str | None = None) -> Found | None:
    """Returns the VM that bears the mark of `id_`; without one, the VM of that name."""
    same_name = None
    for vm, values in session.objects("VirtualMachine", _SEARCH):
        extra = marks.values(values["config.extraConfig"])
        mark = Mark.loads(extra.get(MARK_KEY))
        if mark is not None and mark.names(site, id_):
            return Found(vm, values["name"], extra, session.values(vm, *_DETAILS))
        if name is not None and values["name"] == name:
            same_name = vm, values["name"], extra
    if same_name is None:
        return None
    vm, found_name, extra = same_name
    return Found(vm, found_name, extra, session.values(vm, *_DETAILS))


def marked(session: Any, *, site: str, kind: str) -> Iterator[Found]:
    """Yields the VMs that bear the site's mark for a resource of `kind`."""
    for vm, values, extra, _ in marks.marked(session, _SEARCH, site=site, kind=kind):
        yield Found(vm, values["name"], extra, session.values(vm, *_DETAILS))


def of(session: Any, found: Found, *, datastore: str | None = None) -> JumpboxFacts:
    """Returns the facts of a VM; the datastore that is wished stands in them by the name that it is wished by."""
    boot = first_boot.read(found.extra)
    disk = state_disk(found)
    lies = str(found.details["config.files.vmPathName"] or "")[1:].partition("]")[0] or None
    if (
        datastore is not None
        and lies not in {None, datastore}
        and lies == reading.datastore(session, datastore)
    ):
        lies = datastore
    return JumpboxFacts(
        address={"vm": found.vm._moId, "name": found.name},  # noqa: SLF001 (pyVmomi offers no other way)
        mark=Mark.loads(found.extra.get(MARK_KEY)),
        name=found.name,
        running=found.running,
        image=found.extra.get(image.KEY),
        datastore=lies,
        port_group=next((card_network(card) for card in cards(found.devices)), None),
        ip=boot.address if boot else None,
        prefix=boot.prefix if boot else None,
        gateway=boot.gateway if boot else None,
        dns=boot.dns if boot else None,
        hostname=boot.hostname if boot else None,
        domain=boot.domain if boot else None,
        user=boot.user if boot else None,
        keys=boot.keys if boot else None,
        cpus=found.details["config.hardware.numCPU"],
        memory_mb=found.details["config.hardware.memoryMB"],
        disk_gb=int(disk.capacityInKB) // 2**20 if disk is not None else None,
        autostart=autostart.starts(session, found.vm),
        host_keys=host_keys(found.extra) if found.running else None,
        untold=found.extra.get(UNTOLD),
    )


def disks(devices: list[Any]) -> list[Any]:
    """Returns a VM's disks."""
    return [device for device in devices if hasattr(device, "capacityInKB")]


def own_disks(found: Found) -> tuple[str, ...]:
    """Returns the identities of the disks that the VM came with; none where it was not brought to its end."""
    return tuple(found.extra.get(DISKS, "").split())


def identity(disk: Any) -> str:
    """Returns what identifies a disk wherever it is attached: its UUID, which snapshots and moves keep."""
    return str(getattr(disk.backing, "uuid", None) or "")


def state_disk(found: Found) -> Any | None:
    """Returns the disk of the machine's state, None where it is not attached or not known yet.

    Neither place nor order tell which it is: somebody may attach others, in front of it too, or in its place.
    """
    own = own_disks(found)
    return next((disk for disk in disks(found.devices) if own and identity(disk) == own[-1]), None)


def identities(devices: list[Any]) -> str:
    """Returns what `DISKS` is of a VM with these devices; empty where the host does not tell it of each disk."""
    there = sorted(disks(devices), key=lambda disk: (disk.controllerKey or 0, disk.unitNumber or 0))
    found = [identity(disk) for disk in there]
    return " ".join(found) if all(found) else ""


def foreign_disks(found: Found) -> list[Any]:
    """Returns the disks that somebody attached since the VM was deployed or adopted."""
    own = own_disks(found)
    return [disk for disk in disks(found.devices) if own and identity(disk) not in own]


def cards(devices: list[Any]) -> list[Any]:
    """Returns a VM's network cards."""
    return [device for device in devices if hasattr(device, "macAddress")]


def card_network(card: Any) -> str | None:
    """Returns the port group of a standard switch that a card is attached to."""
    name = getattr(card.backing, "deviceName", None)
    return str(name) if name else None


def host_keys(extra: dict[str, str]) -> tuple[str, ...] | None:
    """Returns the host keys that a machine published, None where it has not, or not well."""
    try:
        lines = base64.b64decode(extra.get(public_line.PUBLISHED, ""), validate=True).decode().splitlines()
    except (binascii.Error, UnicodeDecodeError):
        return None
    # Without the comment: it names the machine that made the key, and nothing else.
    keys = sorted(" ".join(line.split()[:2]) for line in lines if len(line.split()) >= 2)
    return tuple(keys) or None
