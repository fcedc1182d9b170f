"""A root tar becomes a disk: GPT, BIOS boot, EFI system partition, ext4; without root, loop devices or mounts.

Partitions, in sectors of 512 bytes:

    2048    BIOS boot   1 MiB    grub's core image
    4096    ESP         64 MiB   EFI/BOOT/BOOTX64.EFI
    135168  root        the rest ext4, filled by mke2fs from the tar; the first boot grows it to the disk

The same tar and the same names give the same bytes.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from paver.errors import BadInput
from paver.image.base import Identity
from paver.image.tools import Tools
from paver.ovf import gpt

SECTOR = 512
MIB = 2**20
_BIOS_AT, _BIOS_SECTORS = 2048, 2048
_ESP_AT, _ESP_SECTORS = 4096, 64 * MIB // SECTOR
_ROOT_AT = _ESP_AT + _ESP_SECTORS
_BIOS_TYPE = "21686148-6449-6E6F-744E-656564454649"
_ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_ROOT_TYPE = str(gpt.ROOT).upper()
_MODULES = (
    "part_gpt",
    "ext2",
    "search_fs_uuid",
    "normal",
    "linux",
    "serial",
    "terminal",
    "echo",
    "test",
    "minicmd",
)
_BIOS_MODULES = (*_MODULES, "biosdisk")
_EFI_MODULES = (*_MODULES, "fat", "efi_gop", "all_video")

# boot.img (grub's boot.h): where the core image's first sector stands, and a jump that keeps to the BIOS's drive.
_KERNEL_SECTOR, _DRIVE_CHECK, _BOOT_CODE = 0x5C, 0x66, 440
# The core image's first sector ends with the list of where the rest of it stands (grub's diskboot.h).
_BLOCKLIST = SECTOR - 12
_SEGMENT = 0x820


def make(
    root: Path, names: Identity, *, size: int, epoch: int, target: Path, tell: Callable[[str], None]
) -> None:
    """Makes the raw disk `target`, sparse, out of the tar `root`.

    Args:
        root: the root file system, with grub's modules and the programs of `tools` in it.
        names: of the file systems.
        size: of the disk in bytes, whole MiB.
        epoch: seconds since 1970.
        target: the disk; there only once it is whole.
        tell: told what is being done.

    Raises:
        BadInput: the disk is too small for what is in the tar.
        PaverError: a program failed.
    """
    need = root.stat().st_size * 6 // 5 + _ROOT_AT * SECTOR
    if size < need:
        raise BadInput(
            f"a disk of {size // MIB} MiB is too small", why=f"{need // MIB} MiB are needed at least"
        )
    with tempfile.TemporaryDirectory(prefix=".disk-", dir=target.parent) as scratch:
        folder = Path(scratch)
        tell("taking the image's own tools")
        tools = Tools(folder / "tools", root, epoch)
        draft = folder / "disk.raw"
        with draft.open("wb") as file:
            file.truncate(size)
        tell("partitioning")
        _partition(tools, names, size // SECTOR, draft)
        tell("making the root file system")
        _root(tools, names, root, size // SECTOR, draft)
        tell("making it boot")
        _efi(tools, names, draft, folder)
        _bios(tools, names, draft, folder)
        draft.replace(target)


def _partition(tools: Tools, names: Identity, sectors: int, disk: Path) -> None:
    last = sectors - 34
    script = [
        "label: gpt",
        f"label-id: {names.disk}",
        "unit: sectors",
        "first-lba: 34",
        *(
            f"start={start}, size={count}, type={kind}, uuid={_part(names, number)}, name={name}"
            for number, (start, count, kind, name) in enumerate(
                (
                    (_BIOS_AT, _BIOS_SECTORS, _BIOS_TYPE, "bios"),
                    (_ESP_AT, _ESP_SECTORS, _ESP_TYPE, "esp"),
                    (_ROOT_AT, _rounded(last - _ROOT_AT), _ROOT_TYPE, "root"),
                ),
                1,
            )
        ),
    ]
    tools.run(
        "usr/sbin/sfdisk",
        "--quiet",
        "--no-reread",
        "--no-tell-kernel",
        str(disk),
        stdin="\n".join(script) + "\n",
    )


def _root(tools: Tools, names: Identity, root: Path, sectors: int, disk: Path) -> None:
    blocks = _rounded(sectors - 34 - _ROOT_AT) * SECTOR // 4096
    options = f"offset={_ROOT_AT * SECTOR},hash_seed={names.root},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"
    features = ["-O", "^metadata_csum_seed,^orphan_file", "-m", "1", "-b", "4096", "-I", "256"]
    argv = ["-q", "-F", "-t", "ext4", "-L", "paver-root", "-U", names.root, "-E", options, *features]
    tools.run("usr/sbin/mke2fs", *argv, "-d", str(root), str(disk), str(blocks))


def _efi(tools: Tools, names: Identity, disk: Path, folder: Path) -> None:
    image, esp = folder / "BOOTX64.EFI", folder / "esp.img"
    _grub(tools, names, "x86_64-efi", _EFI_MODULES, "/boot/grub", image)
    with esp.open("wb") as file:
        file.truncate(_ESP_SECTORS * SECTOR)
    serial = f"{names.esp:08x}"
    tools.run("usr/sbin/mkfs.fat", "-F", "32", "-s", "1", "-i", serial, "-n", "ESP", "--invariant", str(esp))
    tools.run("usr/bin/mtools", "-c", "mmd", "-i", str(esp), "::/EFI", "::/EFI/BOOT")
    tools.run("usr/bin/mtools", "-c", "mcopy", "-i", str(esp), str(image), "::/EFI/BOOT/BOOTX64.EFI")
    with esp.open("rb") as file, disk.open("r+b") as into:
        for at in range(0, _ESP_SECTORS * SECTOR, MIB):
            if any(piece := file.read(MIB)):
                into.seek(_ESP_AT * SECTOR + at)
                into.write(piece)


def _bios(tools: Tools, names: Identity, disk: Path, folder: Path) -> None:
    image = folder / "core.img"
    _grub(tools, names, "i386-pc", _BIOS_MODULES, "/boot/grub", image)
    core = bytearray(image.read_bytes())
    rest = -(-len(core) // SECTOR) - 1
    if rest >= _BIOS_SECTORS:
        raise BadInput(f"grub's core image has {len(core)} bytes, more than its partition")
    struct.pack_into("<QHH", core, _BLOCKLIST, _BIOS_AT + 1, rest, _SEGMENT)
    boot = bytearray((tools.folder / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:SECTOR])
    struct.pack_into("<Q", boot, _KERNEL_SECTOR, _BIOS_AT)
    boot[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    with disk.open("r+b") as into:
        into.write(boot[:_BOOT_CODE])
        into.seek(_BIOS_AT * SECTOR)
        into.write(core)


def _grub(
    tools: Tools, names: Identity, kind: str, modules: tuple[str, ...], prefix: str, target: Path
) -> None:
    early = target.with_suffix(".cfg")
    early.write_text(f"search.fs_uuid {names.root} root\nset prefix=($root){prefix}\n")
    argv = ["-O", kind, "-d", str(tools.folder / "usr/lib/grub" / kind), "-p", prefix, "-c", str(early)]
    tools.run("usr/bin/grub-mkimage", *argv, "-o", str(target), *modules)


def _part(names: Identity, number: int) -> str:
    """Returns a partition's GUID: the disk's with its last digits counted on."""
    return names.disk[:-2] + f"{(int(names.disk[-2:], 16) + number) % 256:02x}"


def _rounded(sectors: int) -> int:
    return sectors // 2048 * 2048
