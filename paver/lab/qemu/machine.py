"""A running PC: QEMU's process, which never outlives whoever started it, and its console."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from paver.errors import PaverError
from paver.lab.qemu import hardware as hardwares
from paver.lab.qemu import programs
from paver.lab.qemu.acceleration import Acceleration
from paver.lab.qemu.console import Console
from paver.lab.qemu.hardware import UEFI, Hardware
from paver.lab.qemu.monitor import Monitor
from paver.lab.qemu.screen import Screen


class Machine:
    """A PC that is switched on when this is made, and off when it is closed.

    QEMU is killed by the kernel once the thread that made this has ended, also by kill -9.

    Args:
        hardware: what it is made of.
        acceleration: what runs it.
        folder: its own, with a short path: sockets lie there.

    Raises:
        PaverError: QEMU is not there.
    """

    def __init__(self, hardware: Hardware, acceleration: Acceleration, folder: Path) -> None:
        self.hardware = hardware
        self.console = Console(folder / "console.log", folder / "console.sock")
        self.monitor = Monitor(folder / "monitor.sock")
        self.screen = Screen(self.monitor)
        self.folder = folder
        self._cut = False
        if hardware.firmware == UEFI:
            shutil.copyfile(programs.firmware()[1], folder / "firmware.fd")
        command = hardwares.argv(hardware, acceleration, folder)
        with (folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", programs.find(programs.QEMU), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is meant for us: we end it when we are done.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def runs(self) -> bool:
        """Returns whether it is still on; it is not where its power was cut, or it switched itself off.

        Raises:
            PaverError: QEMU refused to run it at all, or broke down.
        """
        return self._on(self._process.poll())

    def wait(self) -> None:
        """Waits until it is off.

        Raises:
            PaverError: as `runs`.
        """
        self._on(self._process.wait())

    def _on(self, code: int | None) -> bool:
        if code and not self._cut:
            log = self.folder / "qemu.log"
            said = log.read_text(errors="replace").strip() if log.exists() else ""
            ended = f"signal {-code}, {signal.strsignal(-code) or 'which has no name'}"
            raise PaverError(
                "QEMU ended", seen=said[-1500:], why=f"exit code {code}" if code > 0 else f"by {ended}"
            )
        return code is None

    def off(self) -> None:
        """Cuts the power."""
        self._cut = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        """Returns the machine."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cuts the power."""
        self.off()


def overlay(disk: Path, kind: str, into: Path) -> Path:
    """Makes the qcow2 image `into` over the disk `disk`, which is only read.

    Args:
        disk: the disk.
        kind: its format, as QEMU calls it.
        into: the image.

    Raises:
        PaverError: qemu-img is not there, or refuses.
    """
    _create(into, "-b", str(disk), "-F", kind, what=f"no disk could be made over {disk}")
    return into


def blank(size: int, into: Path) -> Path:
    """Makes the qcow2 image `into`, a disk of `size` bytes that nothing was ever written to.

    Raises:
        PaverError: qemu-img is not there, or refuses.
    """
    _create(into, size=size, what="no blank disk could be made")
    return into


def grow(disk: Path, size: int) -> None:
    """Makes the qcow2 image `disk` a disk of `size` bytes, which is what it was, or more.

    Raises:
        PaverError: qemu-img is not there, or refuses.
    """
    _image("resize", "-f", "qcow2", str(disk), str(size), what=f"{disk.name} could not grow")


def _create(into: Path, *options: str, what: str, size: int | None = None) -> None:
    sized = () if size is None else (str(size),)
    _image("create", "-f", "qcow2", *options, str(into), *sized, what=what)


def _image(verb: str, *options: str, what: str) -> None:
    argv = [programs.find(programs.IMG), verb, "-q", *options]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PaverError(what, seen=done.stderr.strip(), why="qemu-img refused")
