"""What vCenter's installer shows and keeps: hard-wrapped output, a log, a status file.

The log's line format, its place and the wrapping in mid-token are as seen in logs that users published; the
values of the status file's `status` are not evidenced, and nobody should depend on more than its being there.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
import time
from pathlib import Path
from typing import TextIO

WIDTH = 80


class Console:
    """One run's output: every line goes to the log whole, and to `out` cut at `width` characters.

    Args:
        folder: where `workflow_<ms>` is made; None: a new folder `vcsaCliInstaller-…` in the temporary one.
        out: the installer's stdout.
        terse: keep what ovftool says out of `out`.
    """

    def __init__(self, folder: Path | None, out: TextIO, *, terse: bool = False, width: int = WIDTH) -> None:
        if folder is None:
            stamp = dt.datetime.now().astimezone().strftime("%Y-%m-%d-%H-%M-")
            folder = Path(tempfile.mkdtemp(prefix=f"vcsaCliInstaller-{stamp}"))
        self.folder = folder / f"workflow_{time.time_ns() // 1_000_000}"
        self.folder.mkdir(parents=True)
        self._out = out
        self._width = width
        self._terse = terse
        self._log = (self.folder / "vcsa-cli-installer.log").open("a", encoding="utf-8")
        self._tasks: list[dict[str, str]] = []

    def say(self, text: str, *, level: str = "INFO", chatter: bool = False) -> None:
        """Writes a line; `chatter` is what a terse run does not show."""
        now = dt.datetime.now().astimezone()
        stamp = f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}"
        self._log.write(f"{stamp} - vCSACliInstallLogger - {level} - {text}\n")
        self._log.flush()
        if chatter and self._terse:
            return
        for start in range(0, max(len(text), 1), self._width):
            self._out.write(text[start : start + self._width] + "\n")
        self._out.flush()

    def start(self, what: str) -> None:
        """Opens a task."""
        self.say(f"[START] Start executing Task: {what} at {_clock()}")

    def done(self, task: str, flow: str) -> None:
        """Closes a task that went well."""
        self._tasks.append({"name": task, "status": "success"})
        self.say(f"[SUCCEEDED] Successfully executed Task '{task}' in TaskFlow '{flow}' at {_clock()}")

    def failed(self, task: str) -> None:
        """Closes a task that failed."""
        self._tasks.append({"name": task, "status": "error"})
        self.say(f"[FAILED] Task: {task} execution failed at {_clock()}", level="ERROR")

    def error(self, why: str) -> None:
        """Tells why the run fails."""
        self.say(f"Error message: {why}", level="ERROR")

    def progress(self, task: str, percent: int, message: str, *, state: str = "RUNNING") -> None:
        """Tells how far the appliance's own first boot is."""
        self.say(
            f"VCSA Deployment Progress Report         Task: {task}.({state} {percent}/100)    - {message}"
        )

    def status(self, status: str, why: str = "") -> None:
        """Writes the status file."""
        content = {"status": status, "tasks": self._tasks, "error": why}
        path = self.folder / "vcsa-cli-installer.json"
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")

    def close(self) -> None:
        """Ends the log."""
        self._log.close()


def _clock() -> str:
    return f"{dt.datetime.now().astimezone():%H:%M:%S}"
