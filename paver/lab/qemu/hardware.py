"""What a PC is made of, and the command line that makes QEMU that PC. Pure, but for finding the firmware."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from paver.lab.qemu import programs
from paver.lab.qemu.acceleration import Acceleration

BIOS, UEFI = "bios", "uefi"
VMWARE = "type=1,manufacturer=VMware,, Inc.,product=VMware Virtual Platform,serial=VMware-56 4d"


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserNetwork:
    """A network that ends in QEMU: nothing gets out, and one port of this machine leads to the guest's SSH.

    Attributes:
        port: on 127.0.0.1.
        cidr: the guest's network.
        address: the guest's, which it has to take by itself.
    """

    port: int
    cidr: str
    address: str

    def argv(self) -> str:
        """Returns what `-netdev` takes."""
        forward = f"hostfwd=tcp:127.0.0.1:{self.port}-{self.address}:22"
        return f"user,id=net0,restrict=on,ipv6=off,net={self.cidr},{forward}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tap:
    """A card of the network namespace that QEMU runs in."""

    name: str

    def argv(self) -> str:
        """Returns what `-netdev` takes."""
        return f"tap,id=net0,ifname={self.name},script=no,downscript=no"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hardware:
    """A PC.

    Attributes:
        disk: a qcow2 image that is written to.
        network: what its card is attached to.
        mac: of its card.
        firmware: `bios` or `uefi`.
        cdrom: an ISO, or None.
        disks: further qcow2 images, on the same controller.
        vmware: whether its firmware says that VMware made it, and it has a second serial port, for guestinfo.
        memory_mb: its memory in MiB.
        cpus: their number.
    """

    disk: Path
    network: UserNetwork | Tap
    mac: str
    firmware: str = BIOS
    cdrom: Path | None = None
    disks: tuple[Path, ...] = ()
    vmware: bool = False
    memory_mb: int = 2048
    cpus: int = 2


def argv(hardware: Hardware, acceleration: Acceleration, folder: Path) -> list[str]:
    """Returns QEMU's arguments; consoles, sockets and copies of firmware lie in `folder`."""
    # Without the flag the guest takes itself for a VMware machine, which is what such a run is for.
    cpu = "max,-hypervisor" if hardware.vmware else "max"
    return [
        *("-name", folder.name, "-nodefaults", "-no-user-config", "-display", "none", "-vga", "std"),
        *("-machine", "pc", "-accel", _accelerated(acceleration), "-cpu", cpu),
        *("-smp", str(hardware.cpus), "-m", str(hardware.memory_mb)),
        *("-chardev", _port(folder, "console"), "-serial", "chardev:console"),
        *("-chardev", _port(folder, "monitor"), "-mon", "chardev=monitor,mode=control"),
        *_guestinfo(hardware, folder),
        *_firmware(hardware, folder),
        *_disk(hardware),
        *("-netdev", hardware.network.argv(), "-device", f"vmxnet3,netdev=net0,mac={hardware.mac},romfile="),
        *_cdrom(hardware),
        *("-rtc", "base=utc", "-object", "rng-random,id=rng0,filename=/dev/urandom"),
        *("-device", "virtio-rng-pci,rng=rng0"),
    ]


def _accelerated(acceleration: Acceleration) -> str:
    return "tcg,thread=multi,tb-size=512" if acceleration.name == "tcg" else acceleration.name


def _port(folder: Path, name: str) -> str:
    log = f",logfile={folder / name}.log" if name == "console" else ""
    return f"socket,id={name},path={folder / name}.sock,server=on,wait=off{log}"


def _guestinfo(hardware: Hardware, folder: Path) -> Sequence[str]:
    if not hardware.vmware:
        return ()
    return ("-smbios", VMWARE, "-chardev", _port(folder, "guestinfo"), "-serial", "chardev:guestinfo")


def _firmware(hardware: Hardware, folder: Path) -> Sequence[str]:
    if hardware.firmware == BIOS:
        return ()
    code, _ = programs.firmware()
    return (
        *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,file={folder / 'firmware.fd'}"),
    )


def _disk(hardware: Hardware) -> Sequence[str]:
    # Debian's OVMF does not boot from a pvscsi controller.
    bios = hardware.firmware == BIOS
    device = "scsi-hd,bus=scsi0.0" if bios else "virtio-blk-pci"
    made = ["-device", "pvscsi,id=scsi0"] if bios else []
    for name, file in [
        ("root", hardware.disk),
        *((f"disk{n}", disk) for n, disk in enumerate(hardware.disks, 1)),
    ]:
        # What QEMU wrote is thrown away with the folder: nobody needs it on the platter.
        made += ["-drive", f"if=none,id={name},format=qcow2,cache=unsafe,discard=unmap,file={file}"]
        made += ["-device", f"{device},drive={name}"]
    return made


def _cdrom(hardware: Hardware) -> Sequence[str]:
    if hardware.cdrom is None:
        return ()
    drive = f"if=none,id=cd0,media=cdrom,readonly=on,format=raw,file={hardware.cdrom}"
    return ("-drive", drive, "-device", "ich9-ahci,id=ahci", "-device", "ide-cd,bus=ahci.0,drive=cd0")
