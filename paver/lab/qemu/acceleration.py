"""What QEMU runs a PC with: the processor itself, where that really works, or software emulation.

A /dev/kvm that can be opened may still not run anything, or run it slower than software does (nested or emulated
virtualisation). So it is tried: a boot sector of seven bytes that ends QEMU.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from paver.lab.qemu import programs

KVM = Path("/dev/kvm")
_PORT = 0x501
# mov dx, 0x501; mov al, 0x21; out dx, al; hlt. The device at that port ends QEMU with twice the value plus one.
_CODE = bytes((0xBA, _PORT & 0xFF, _PORT >> 8, 0xB0, 0x21, 0xEE, 0xF4))
_ENDED = 0x21 * 2 + 1
_SECONDS = 2.0
"""That the probe may take; software emulation needs 0.2."""


@dataclasses.dataclass(frozen=True)
class Acceleration:
    """How QEMU runs a PC: `name` is what `-accel` takes, `why` is for the report."""

    name: str
    why: str


def choose(runs: Callable[[str, float], bool] | None = None) -> Acceleration:
    """Returns KVM where a PC really runs with it, and fast; else software emulation.

    Args:
        runs: tells whether a PC runs with the acceleration of that name within so many seconds (`probe`).

    Raises:
        PaverError: QEMU is not there.
    """
    if not KVM.exists():
        return Acceleration("tcg", f"there is no {KVM}")
    if not os.access(KVM, os.R_OK | os.W_OK):
        return Acceleration("tcg", f"{KVM} may not be opened")
    if not (runs or probe)("kvm", _SECONDS):
        return Acceleration("tcg", f"{KVM} is there, but no PC booted with it within {_SECONDS:g} s")
    return Acceleration("kvm", "a PC booted with it")


def probe(name: str, seconds: float) -> bool:
    """Returns whether a PC runs its first instructions with the acceleration `name` within so many seconds.

    Raises:
        PaverError: QEMU is not there.
    """
    with tempfile.TemporaryDirectory(prefix="paver-probe-") as folder:
        disk = Path(folder) / "disk"
        disk.write_bytes(_CODE.ljust(510, b"\0") + b"\x55\xaa")
        argv = [
            programs.find(programs.QEMU),
            *(
                "-accel",
                name,
                "-machine",
                "pc",
                "-m",
                "64",
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
            ),
            *("-device", f"isa-debug-exit,iobase={_PORT:#x},iosize=1"),
            *("-drive", f"file={disk},format=raw,if=ide"),
        ]
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == _ENDED
