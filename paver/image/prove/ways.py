"""The ways to boot an image, and one boot: switched on, waited for, asked."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import json
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from paver.drivers.vsphere.jumpbox import first_boot
from paver.drivers.vsphere.jumpbox.first_boot import FirstBoot
from paver.errors import PaverError
from paver.image.bill import Bill
from paver.image.prove import checks, firstboot, form, guest, lynis, release, shut
from paver.image.prove.report import Line, Section
from paver.image.stages import Tell
from paver.lab.qemu import guestinfo, hardware, machine, plant
from paver.lab.qemu.acceleration import Acceleration
from paver.signing import public_line, ssh
from paver.trust import ssh_keys

BOOT = 120.0
"""Seconds until the kernel speaks; software emulation needs 10."""

FIRST_BOOT = 600.0
"""Seconds that cloud-init may take from then on."""
CHECKS = 900.0
"""Seconds that all that is looked at may take together."""

NOCLOUD, GUESTINFO, FORM = "nocloud", "guestinfo", "console"
_MARK = "/etc/paver/firstboot.done"
_AWAIT_MARK = f"for i in $(seq 300); do [ -s {_MARK} ] && break; sleep 1; done; cat {_MARK}"
_FAILS_WITHOUT_VMWARE = ("open-vm-tools.service",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """What is proved.

    Attributes:
        disk: the packed VMDK.
        bill: what it is made of, None where nothing says.
        version: what it calls itself.
        source: paver's source tree, which says why findings stand.
    """

    disk: Path
    bill: Bill | None
    version: str
    source: Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Way:
    """A way to boot: its name, the firmware, how the machine is told who it is, in words, what is not real, and whether a release is compiled and lynis run on it."""

    name: str
    firmware: str
    told_by: str
    how: str
    stands_in: str = ""
    compiles: bool = False
    audits: bool = False


WAYS = (
    Way(
        name="bios-nocloud",
        firmware=hardware.BIOS,
        told_by=NOCLOUD,
        how="BIOS, pvscsi, vmxnet3; told by a NoCloud CD-ROM",
        compiles=True,
    ),
    Way(
        name="uefi-nocloud",
        firmware=hardware.UEFI,
        told_by=NOCLOUD,
        how="UEFI, virtio-blk, vmxnet3; told by a NoCloud CD-ROM",
        audits=True,
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
        how="BIOS, pvscsi, vmxnet3; told nothing, the form filled in on the serial console",
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
    network = hardware.UserNetwork(port=_free_port(), cidr=firstboot.CIDR, address=told.address)
    pc = _pc(image, way, told, network, folder)
    clock = _Clock()
    with machine.Machine(pc, acceleration, folder) as running:
        tell(f"{way.name} boot: waiting for SSH")
        if values is not None:
            values.serve(folder / "guestinfo.sock")
        running.console.wait("Linux version", BOOT, running.runs, what="its kernel")
        clock.note("kernel")
        if way.told_by == FORM:
            tell(f"{way.name} form: waiting for it, filling it in")
            form.fill_in(running.console, form.steps(told), guest.ANSWERS, running.runs)
            clock.note("form")
        with _guest(running, network, pair.private_key.reveal()) as asked:
            clock.note("ssh")
            tell(f"{way.name} first boot: SSH answers; waiting for its end")
            lines = [] if way.told_by == FORM else [_ended(asked)]
            lines.append(_marked(asked, way.told_by))
            clock.note("first boot")
            tell(f"{way.name} checks: looking")
            lines += _published(running, asked)
            if values is not None:
                lines += _through_guestinfo(values, asked)
            failing = () if values is None else _FAILS_WITHOUT_VMWARE
            lines += _looked(asked, list(_probes(image, told, failing)))
            clock.note("checks")
            if way.compiles:
                tell(f"{way.name} release: compiling it")
                lines += _compiled(asked)
                clock.note("release")
            if way.audits:
                lines += _audited(asked, image, lambda text: tell(f"{way.name} {text}"))
                clock.note("lynis")
    return Section(
        name=way.name, how=way.how, stands_in=way.stands_in, seconds=clock.seconds, lines=tuple(lines)
    )


def _pc(
    image: Image, way: Way, told: FirstBoot, network: hardware.UserNetwork, folder: Path
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


def _looked(asked: guest.Guest, probes: Sequence[checks.Probe]) -> list[Line]:
    ran = asked.run("sh -s", root=True, timeout=CHECKS, stdin=checks.script(probes).encode())
    try:
        return checks.judged(probes, ran.text)
    except ValueError as error:
        raise PaverError(
            "the checks ended before their end",
            seen=ran.err.decode("utf-8", "replace")[-500:],
            why=str(error),
        ) from error


def _audited(asked: guest.Guest, image: Image, tell: Tell) -> list[Line]:
    brought = lynis.archive(tell)
    tell("lynis: auditing")
    asked.run(f"mkdir -p {lynis.FOLDER} && tar -xC {lynis.FOLDER}", root=True, stdin=brought)
    return lynis.judge(asked.run(lynis.COMMAND, root=True, timeout=lynis.SECONDS).text, image.source)


def _compiled(asked: guest.Guest) -> list[Line]:
    asked.run(f"mkdir -p {release.FOLDER} && tar -xC {release.FOLDER}", stdin=release.archive())
    return release.judge(asked.run(release.COMMAND, timeout=release.SECONDS).text)


def _ended(asked: guest.Guest) -> Line:
    ran = asked.run("cloud-init status --wait --long", root=True, timeout=FIRST_BOOT)
    words = " ".join(ran.text.split())
    return Line(checks.FIRST_BOOT, "cloud-init ended without an error", "status: done" in words, words[:300])


def _marked(asked: guest.Guest, told_by: str) -> Line:
    """The machine's own mark of a first boot that came to its end."""
    ran = asked.run(_AWAIT_MARK, root=True, timeout=FIRST_BOOT)
    try:
        mark = json.loads(ran.text)
        seen = f"way {mark['way']}, {mark['address']}, {mark['fingerprint']}"
        holds = (mark["way"], mark["fingerprint"]) == (told_by, ssh.fingerprint(asked.host_key))
    except (ValueError, KeyError, TypeError):
        seen, holds = f"{_MARK} is {ran.text[:100] or 'not there'}", False
    return Line(checks.FIRST_BOOT, "the first boot is marked as done in this way", holds, seen)


def _published(running: machine.Machine, asked: guest.Guest) -> Iterator[Line]:
    wanted = ssh.fingerprint(asked.host_key)
    there = wanted in running.console.text()
    yield Line(checks.FIRST_BOOT, "its host key's fingerprint is on the console", there, wanted)


def _through_guestinfo(values: guestinfo.Guestinfo, asked: guest.Guest) -> Iterator[Line]:
    now = values.values
    try:
        published = base64.b64decode(now.get(public_line.PUBLISHED, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        published = now[public_line.PUBLISHED]
    wanted = " ".join(asked.host_key.split()[:2])
    yield Line(
        checks.FIRST_BOOT,
        "its host key is published by guestinfo",
        wanted in published,
        ssh.fingerprint(asked.host_key)
        if wanted in published
        else f"{public_line.PUBLISHED} is {published[:60] or 'not set'}",
    )
    # Who it is stays; what may have a password in it goes.
    left = now.get(first_boot.USERDATA, "").strip("- ")
    seen = f"{len(left)} characters are still there" if left else "cleared"
    yield Line(checks.FIRST_BOOT, f"{first_boot.USERDATA} is cleared after use", not left, seen)


@contextlib.contextmanager
def _guest(running: machine.Machine, network: hardware.UserNetwork, key: str) -> Iterator[guest.Guest]:
    found = guest.await_guest(running, "127.0.0.1", network.port, firstboot.USER, key)
    try:
        yield found
    finally:
        found.close()


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
