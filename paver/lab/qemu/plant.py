"""Putting files on a machine's disk before it boots: without root, loop devices or mounts, by e2fsprogs' debugfs."""

from __future__ import annotations

import struct
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from paver.errors import BadInput, PaverError
from paver.lab.qemu import programs
from paver.ovf import vmdk

ROOT = uuid.UUID("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709")
"""The type of a partition that holds the root file system of an x86-64 (UAPI's discoverable partitions)."""

_SECTOR = 512
_HEADER = struct.Struct("<8s64xQII")
_ENTRY = struct.Struct("<16s16sQQ")


def unpack(disk: Path, into: Path) -> Path:
    """Writes the packed VMDK `disk` as the raw, sparse disk `into`.

    Raises:
        BadInput: it is broken.
    """
    with disk.open("rb") as source:
        vmdk.decode(source, into, name=disk.name)
    return into


def plant(raw: Path, files: Mapping[str, str]) -> None:
    """Writes executable files into the root file system of the raw disk.

    Args:
        raw: the disk.
        files: contents by path; the folders are there, the files are not.

    Raises:
        BadInput: the disk has no root partition.
        PaverError: debugfs is not there, or refuses.
    """
    at = root_at(raw)
    with tempfile.TemporaryDirectory(dir=raw.parent) as folder:
        commands = []
        for number, (name, content) in enumerate(files.items()):
            source = Path(folder, str(number))
            source.write_text(content)
            commands += [f"write {source} {name}", f"set_inode_field {name} mode 0100755"]
        script = Path(folder, "script")
        script.write_text("\n".join(commands) + "\n")
        _debugfs("-w", "-f", str(script), f"{raw}?offset={at}")
    for name, content in files.items():
        if _debugfs("-R", f"cat {name}", f"{raw}?offset={at}") != content:
            raise PaverError(f"{name} could not be written on the disk", why="debugfs did not say why")


def root_at(raw: Path) -> int:
    """Returns where in the disk, in bytes, the root file system begins.

    Raises:
        BadInput: there is none.
    """
    with raw.open("rb") as disk:
        disk.seek(_SECTOR)
        magic, table, count, size = _HEADER.unpack(disk.read(_HEADER.size))
        if magic == b"EFI PART" and size >= _ENTRY.size and count <= 1024:
            disk.seek(table * _SECTOR)
            entries = disk.read(count * size)
            for start in range(0, len(entries) - _ENTRY.size + 1, size):
                kind, _, first, _ = _ENTRY.unpack_from(entries, start)
                if uuid.UUID(bytes_le=kind) == ROOT:
                    return int(first) * _SECTOR
    raise BadInput("the disk has no root partition", why="its table (GPT) names none of the type for x86-64")


def _debugfs(*argv: str) -> str:
    command = [programs.find(programs.DEBUGFS), *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise PaverError(
            "the disk could not be written to", seen=done.stderr.strip()[-800:], why="debugfs refused"
        )
    return done.stdout
