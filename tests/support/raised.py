"""A lab that a test raised, and how the test acts in it: commands run inside, events are sent as simulators do."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paver.lab import control, plan, raising, system
from paver.lab.room import disk


@dataclass(frozen=True)
class Raised:
    """A lab, and how a test acts in it: commands run inside of its namespaces."""

    lab: raising.Lab

    def run(
        self, argv: Sequence[str], *, check: bool = True, **settings: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command inside; its output is text."""
        done = subprocess.run(
            self.lab.argv([str(each) for each in argv], self.lab.folder),
            env={**self.lab.environment(), **settings.pop("env", {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=settings.pop("timeout", 60),
            **settings,
        )
        assert not check or done.returncode == 0, f"{argv}: {done.stdout}\n{done.stderr}"
        return done

    def python(self, code: str, *arguments: str) -> Any:
        """Runs Python code inside and returns the JSON that it prints."""
        text = self.run(
            [sys.executable, "-c", code, *arguments], env={"PYTHONPATH": system.python_path()}
        ).stdout
        return json.loads(text)

    def power(self, state: str, uuid: str, **event: Any) -> None:
        """Sends a machine's power event, as a simulator does."""
        body = {"server": "esx-01", "state": state, "vm": {"uuid": uuid, "name": uuid, "moid": uuid}, **event}
        control.call(self.lab.room, "POST", "/power", body)

    def machine(self, uuid: str) -> dict[str, Any]:
        """Returns what the room knows of a machine."""
        found: dict[str, Any] = control.call(self.lab.room, "GET", f"/machines/{uuid}")
        return found

    def console(self, uuid: str) -> str:
        """Returns a machine's console."""
        path = self.lab.folder / "machines" / uuid / "console.log"
        return path.read_text() if path.exists() else ""

    def bootable(self, kind: str) -> Path:
        """Returns a raw disk that boots as `kind`."""
        path = self.lab.folder / "tmp" / f"{kind}.raw"
        path.write_bytes(disk.first_line(kind) + bytes(4096))
        return path


@contextlib.contextmanager
def held(
    wanted: plan.Plan, folder: Path, *, programs: Mapping[str, Path], tools: Mapping[str, Path]
) -> Iterator[raising.Lab]:
    """Raises a lab in `folder` that goes with this process, however that ends: the pipe closes with it."""
    reading, writing = os.pipe()
    try:
        yield raising.up(wanted, folder, programs=programs, tools=tools, hold=reading)
    finally:
        raising.down(folder)
        os.close(reading)
        os.close(writing)
