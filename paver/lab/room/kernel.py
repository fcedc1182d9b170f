"""The few system calls that Python's standard library lacks, by ctypes. Nothing else may live here.

It imports the standard library only: the first process of every machine loads it, and should be quick.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MS_BIND = 0x1000
MS_REC = 0x4000
MS_NOSUID = 0x2
MS_NODEV = 0x4

_LIBC = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str | Path, *, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Makes `source` appear on `target`, as the system call of that name does.

    Raises:
        OSError: the kernel refuses.
    """
    done = _LIBC.mount(
        os.fsencode(source), os.fsencode(target), os.fsencode(kind), ctypes.c_ulong(flags), os.fsencode(data)
    )
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount: {os.strerror(number)}", str(target))


def bind(source: str | Path, target: str | Path) -> None:
    """Makes `source`, with all that is mounted below it, appear at `target` as well."""
    mount(str(source), target, flags=MS_BIND | MS_REC)


def tmpfs(target: str | Path, mode: int) -> None:
    """Mounts an empty file system in memory on `target`."""
    mount("tmpfs", target, kind="tmpfs", flags=MS_NOSUID | MS_NODEV, data=f"mode={mode:o}")


def hostname(name: str) -> None:
    """Names the machine of this UTS namespace."""
    raw = os.fsencode(name)
    if _LIBC.sethostname(raw, len(raw)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"sethostname: {os.strerror(number)}", name)
