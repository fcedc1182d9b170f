"""Putting files on a machine's disk before it boots: without root, loop devices or mounts, by e2fsprogs' debugfs."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from paver.errors import BadInput, PaverError
from paver.lab.qemu import programs
from paver.ovf import gpt, vmdk


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

        def read(offset: int, size: int) -> bytes:
            disk.seek(offset)
            return disk.read(size)

        try:
            at = gpt.root_at(read)
        except ValueError:
            at = None
    if at is None:
        raise BadInput(
            "the disk has no root partition", why="its table (GPT) names none of the type for x86-64"
        )
    return at


def _debugfs(*argv: str) -> str:
    command = [programs.find(programs.DEBUGFS), *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise PaverError(
            "the disk could not be written to", seen=done.stderr.strip()[-800:], why="debugfs refused"
        )
    return done.stdout
