"""What QEMU runs a PC with: the processor itself, where that really works, or software emulation.

A /dev/kvm that can be opened may still run a PC a hundred times slower than software does, or end QEMU at a register that
it cannot set (nested or emulated virtualisation). So both are tried, with the processor that a PC will have: a boot sector
counts and then ends QEMU, and KVM is taken where it is no slower. A limit in seconds would be met or missed by the hour.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from paver.lab.qemu import programs

KVM = Path("/dev/kvm")
_PORT = 0x501
_COUNT = 100_000_000
"""Software emulation needs 0.3 s for it, a processor 0.05; what interprets each instruction, two minutes."""
# mov ecx, _COUNT; dec ecx; jnz back to it.
_COUNTS = b"\x66\xb9" + _COUNT.to_bytes(4, "little") + b"\x66\x49\x75\xfc"
# mov dx, 0x501; mov al, 0x21; out dx, al; hlt. The device at that port ends QEMU with twice the value plus one.
_CODE = _COUNTS + bytes((0xBA, _PORT & 0xFF, _PORT >> 8, 0xB0, 0x21, 0xEE, 0xF4))
_ENDED = 0x21 * 2 + 1
_SECONDS = 20.0
"""That software emulation may take; it needs half of one."""


@dataclasses.dataclass(frozen=True)
class Acceleration:
    """How QEMU runs a PC: `name` is what `-accel` takes, `why` is for the report."""

    name: str
    why: str


def choose(runs: Callable[[str, float], float | None] | None = None) -> Acceleration:
    """Returns KVM where a PC really runs with it, and no slower than in software; else software emulation.

    Args:
        runs: runs a PC with the acceleration of that name for so many seconds at most (`probe`).

    Raises:
        PaverError: QEMU is not there.
    """
    if not KVM.exists():
        return Acceleration("tcg", f"there is no {KVM}")
    if not os.access(KVM, os.R_OK | os.W_OK):
        return Acceleration("tcg", f"{KVM} may not be opened")
    runs = runs or probe
    software = runs("tcg", _SECONDS)
    if software is None:
        return Acceleration("tcg", f"no PC ran in software, which {KVM} is measured by")
    if (took := runs("kvm", software)) is None:
        return Acceleration(
            "tcg", f"{KVM} is there, but no PC was through with it in the {software:.1f} s that software took"
        )
    return Acceleration("kvm", f"a PC took {took:.1f} s with it, and {software:.1f} s in software")


def probe(name: str, seconds: float) -> float | None:
    """Returns the seconds in which a PC boots and counts with the acceleration `name`; None if it takes more than `seconds`.

    Raises:
        PaverError: QEMU is not there.
    """
    with tempfile.TemporaryDirectory(prefix="paver-probe-") as folder:
        disk = Path(folder) / "disk"
        disk.write_bytes(_CODE.ljust(510, b"\0") + b"\x55\xaa")
        argv = [
            *(programs.find(programs.QEMU), "-accel", name, "-machine", "pc", "-cpu", "max", "-m", "64"),
            *("-nodefaults", "-no-user-config", "-display", "none"),
            *("-device", f"isa-debug-exit,iobase={_PORT:#x},iosize=1"),
            *("-drive", f"file={disk},format=raw,if=ide"),
        ]
        began = time.monotonic()
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return None
        took = time.monotonic() - began
    return took if done.returncode == _ENDED else None
