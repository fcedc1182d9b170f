"""The ways to boot an image, and one boot: switched on, waited for, asked."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from paver.image.bill import Bill
from paver.image.prove import came, checks, disks, firstboot, form, lynis, release, shut
from paver.image.prove.report import Section
from paver.image.stages import Tell
from paver.lab.qemu import guestinfo, hardware, machine, plant
from paver.lab.qemu.acceleration import Acceleration
from paver.machine.first_boot import FirstBoot
from paver.trust import ssh_keys

BOOT = 120.0
"""Seconds until the kernel speaks; software emulation needs 10."""

NOCLOUD, GUESTINFO, FORM = "nocloud", "guestinfo", "console"
_FAILS_WITHOUT_VMWARE = ("open-vm-tools.service",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """What is proved.

    Attributes:
        disk: the packed VMDK.
        bill: what it is made of, None where nothing says.
        version: what it calls itself.
        source: paver's source tree, which says why findings stand.
        data_disk: bytes of the data disk that its OVF declares, None where it declares none.
    """

    disk: Path
    bill: Bill | None
    version: str
    source: Path
    data_disk: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Way:
    """A way to boot: its name, the firmware, how the machine is told who it is, in words, what is not real; and whether a release is compiled and lynis run on it, a disk of artefacts attached, with which it is booted again, and the data disk left out that an import gives."""

    name: str
    firmware: str
    told_by: str
    how: str
    stands_in: str = ""
    compiles: bool = False
    audits: bool = False
    disks: bool = False
    bare: bool = False


WAYS = (
    Way(
        name="bios-nocloud",
        firmware=hardware.BIOS,
        told_by=NOCLOUD,
        how="BIOS, pvscsi, vmxnet3; told by a NoCloud CD-ROM",
        compiles=True,
        disks=True,
    ),
    Way(
        name="uefi-nocloud",
        firmware=hardware.UEFI,
        told_by=NOCLOUD,
        how="UEFI, virtio-blk, vmxnet3, no data disk; told by a NoCloud CD-ROM",
        audits=True,
        bare=True,
    ),
    Way(
        name="bios-guestinfo",
        firmware=hardware.BIOS,
        told_by=GUESTINFO,
        how="BIOS, pvscsi, vmxnet3; told by guestinfo",
        stands_in="QEMU has no guestinfo: its firmware says VMware, and a vmware-rpctool of ours was written on the"
        " unpacked disk, before the real one in PATH",
    ),
    Way(
        name="bios-console",
        firmware=hardware.BIOS,
        told_by=FORM,
        how="BIOS, pvscsi, vmxnet3; told nothing, the form filled in on the screen by keyboard, with a"
        " password, then again on the serial console, with a key",
    ),
)


def prove(image: Image, way: Way, acceleration: Acceleration, folder: Path, tell: Tell) -> Section:
    """Boots the image in one way, in the folder of that boot, and returns what was found.

    Raises:
        Hung: it does not come up.
        PaverError: a program that this needs is not there, or fails.
    """
    pair = ssh_keys.new_key_pair()
    told = firstboot.wish(pair.public_key)
    values = guestinfo.Guestinfo(firstboot.of_another(told)) if way.told_by == GUESTINFO else None
    tell(f"{way.name} disk: making it")
    key = pair.private_key.reveal()
    size = None if way.bare else image.data_disk
    more = [disks.data(folder, size)] if size is not None else []
    if way.disks:
        more.append(disks.attach(folder, key))
    # Last: whoever takes a port meanwhile would have it.
    network = hardware.UserNetwork(port=_free_port(), cidr=firstboot.CIDR, address=told.address)
    pc = _pc(image, way, told, network, folder, tuple(more))
    clock = _Clock()
    with machine.Machine(pc, acceleration, folder) as running:
        tell(f"{way.name} boot: waiting for SSH")
        if values is not None:
            values.serve(folder / "guestinfo.sock", running.runs)
        running.console.wait("Linux version", BOOT, running.runs, what="its kernel")
        clock.note("kernel")
        shown = None
        if way.told_by == FORM:
            tell(f"{way.name} form: waiting for it, filling it in on the screen, then on the serial console")
            shown = form.on_both(running, told, folder)
            clock.note("form")
        with came.reached(running, network, key) as asked:
            clock.note("ssh")
            tell(f"{way.name} first boot: SSH answers; waiting for its end")
            lines = [] if way.told_by == FORM else [came.ended(asked)]
            lines.append(came.marked(asked, way.told_by))
            clock.note("first boot")
            tell(f"{way.name} checks: looking")
            lines += came.published(running, asked, shown)
            if way.told_by == FORM:
                lines.append(came.shut(running))
            if values is not None:
                lines += came.through_guestinfo(values, asked)
            failing = () if values is None else _FAILS_WITHOUT_VMWARE
            lines += came.looked(asked, [*_probes(image, told, failing), *disks.placed(size)])
            clock.note("checks")
            if way.compiles:
                tell(f"{way.name} release: compiling it")
                lines += release.compiled(asked)
                clock.note("release")
            if way.audits:
                lines += lynis.audit(asked, image.source, folder, lambda text: tell(f"{way.name} {text}"))
                clock.note("lynis")
            if way.disks:
                tell(f"{way.name} disks: looking, and booting again")
                lines += came.looked(asked, list(disks.probes(pair.public_key)))
                lines += came.again(running, network, asked, key, size)
                clock.note("second boot")
    return Section(
        name=way.name, how=way.how, stands_in=way.stands_in, seconds=clock.seconds, lines=tuple(lines)
    )


def _pc(
    image: Image,
    way: Way,
    told: FirstBoot,
    network: hardware.UserNetwork,
    folder: Path,
    more: tuple[Path, ...],
) -> hardware.Hardware:
    if way.told_by == GUESTINFO:
        raw = plant.unpack(image.disk, folder / "disk.raw")
        plant.plant(raw, guestinfo.FILES)
        disk = machine.overlay(raw, "raw", folder / "disk.qcow2")
    else:
        disk = machine.overlay(image.disk, "vmdk", folder / "disk.qcow2")
    nocloud = way.told_by == NOCLOUD
    return hardware.Hardware(
        disk=disk,
        network=network,
        mac=told.mac,
        firmware=way.firmware,
        cdrom=firstboot.iso(firstboot.nocloud(told), folder / "first-boot.iso") if nocloud else None,
        disks=more,
        vmware=way.told_by == GUESTINFO,
    )


def _probes(image: Image, told: FirstBoot, failing: Sequence[str]) -> Iterable[checks.Probe]:
    yield from checks.first_boot(
        hostname=told.hostname,
        domain=told.domain,
        address=told.address,
        prefix=told.prefix,
        gateway=told.gateway,
        user=told.user,
    )
    yield from checks.contents(image.bill, image.version)
    yield from checks.services(failing)
    yield from shut.probes()


class _Clock:
    """How long things took, from the power button on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.seconds: dict[str, int] = {}

    def note(self, what: str) -> None:
        self.seconds[what] = round(time.monotonic() - self._began)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
