"""A real disk that boots: its boot sector speaks on the first serial port; it has a root file system for files."""

from __future__ import annotations

import subprocess
from pathlib import Path

from paver.lab.qemu import plant
from paver.ovf import gpt
from paver.ovf.vmdk import write_vmdk
from tests.support import tools

SAYS = "no bootable world"
_SIZE = 64 * 2**20
# xor ax, ax; mov ds, ax; cld; mov si, text; again: lodsb; test al, al; jz halt; mov dx, 0x3f8; out dx, al; jmp again;
# halt: hlt; jmp halt
_CODE = bytes.fromhex("31c08ed8fcbe167cac84c07406baf803eeebf5f4ebfd")
SECTOR = (_CODE + SAYS.encode() + b"\r\n\0").ljust(510, b"\0") + b"\x55\xaa"


def packed(folder: Path) -> Path:
    """Returns a packed VMDK that boots and has /usr/local/bin on a root partition."""
    raw, tree, disk = folder / "boots.raw", folder / "tree", folder / "boots.vmdk"
    (tree / "usr/local/bin").mkdir(parents=True)
    with raw.open("wb") as file:
        file.truncate(_SIZE)
    table = f"label: gpt\nstart=2048, type={gpt.ROOT}\n".encode()
    sfdisk = str(tools.program("sfdisk", "fdisk"))
    subprocess.run([sfdisk, "-q", str(raw)], input=table, check=True, capture_output=True)
    options = ["-q", "-F", "-t", "ext4", "-d", str(tree), "-E", f"offset={plant.root_at(raw)}"]
    mke2fs = str(tools.program("mke2fs", "e2fsprogs"))
    subprocess.run([mke2fs, *options, str(raw), "60M"], check=True, capture_output=True)
    with raw.open("r+b") as file:
        # The table's own part of the sector stays.
        file.write(SECTOR[:440])
    with disk.open("wb") as into:
        write_vmdk(raw, into)
    return disk
