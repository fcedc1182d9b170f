"""The command line in this process, over the memory driver: site file, sealed store, and what a command printed."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from paver.cli import entry
from paver.driver import Paved
from paver.foundation import paving
from paver.runs import compose
from paver.trust import authority
from tests.support.memory import memory
from tests.support.ran import Ran

SITE = """\
paver: 1
name: {name}
iaas:
  driver: memory
  folder: {folder}
  colour: {colour}
  shelves: {shelves}
  dials: {dials}
networks:
  mgmt: {{cidr: 10.20.0.0/24, gateway: 10.20.0.1}}
  bosh: {{cidr: 10.30.0.0/24, gateway: 10.30.0.1, az: z1, reserved: [10.30.0.1-10.30.0.9],
    static: [10.30.0.10-10.30.0.30]}}
site_services: {{dns: jumpbox, ntp: jumpbox, zone: north.example}}
jumpbox: {{image: jumpbox.ova, on: rack, network: mgmt, address: 10.20.0.10, ssh_keys: [{key}]}}
bucc: {{artefact: bucc.tar, address: 10.30.0.10, az: z1}}
services:
  object_store: {{address: 10.30.0.11}}
  registry: {{address: 10.30.0.12}}
secrets: {{key: file:site.key}}
"""

USER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJgkWPh1kDx8dK2zBuwvWXT4LXDZV4NS8wZdTf6yYFXg user"


@dataclasses.dataclass
class Command:
    """Runs commands on one site.

    Attributes:
        folder: of the site file.
        room: the memory driver's world.
    """

    folder: Path
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    @property
    def site(self) -> Path:
        return self.folder / "site.yml"

    @property
    def room(self) -> Path:
        return self.folder / "room"

    @property
    def runs(self) -> list[Path]:
        return sorted((self.folder / ".paver" / "lab-north" / "runs").glob("*"))

    def write(
        self,
        shelves: str = "{left: {one: 1, two: 2}}",
        dials: str = "{loud: 3}",
        *,
        colour: str = "grey",
        name: str = "lab-north",
    ) -> None:
        """Writes the site file."""
        text = SITE.format(
            name=name, folder=self.room, shelves=shelves, dials=dials, colour=colour, key=USER_KEY
        )
        self.site.write_text(text)

    def run(self, *argv: str) -> Ran:
        """Runs `paver` with `argv`."""
        self.capture.readouterr()
        code = entry.main(list(argv))
        shown = self.capture.readouterr()
        return Ran(code, shown.out, shown.err)

    def fine(self, *argv: str) -> Ran:
        """Runs `paver`, which has to end with 0."""
        ran = self.run(*argv)
        assert ran.code == 0, (argv, ran)
        return ran

    def things(self, shelf: str) -> dict[str, Any]:
        """Returns what stands on a shelf."""
        found: dict[str, Any] = json.loads((self.room / shelf).read_text())
        return found

    def put(self, shelf: str, things: dict[str, Any]) -> None:
        """Changes a shelf behind paver's back."""
        (self.room / shelf).write_text(json.dumps(things))

    def terminal(self, *answers: str) -> None:
        """Makes standard input a terminal at which somebody types `answers`."""
        left = list(answers)
        self.patch.setattr(sys.stdin, "isatty", lambda: True)
        self.patch.setattr("builtins.input", lambda _="": left.pop(0))
        self.patch.setattr("getpass.getpass", lambda _="": left.pop(0))


def command(tmp_path: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> Command:
    """Returns a site of the memory driver alone, with a sealed store: no foundation, nothing that is dialled."""
    drivers = MappingProxyType({"memory": memory.DRIVER})
    patch.setattr(compose, "drivers", lambda: drivers)
    # A real key takes seconds to make; here nobody has to withstand anybody.
    patch.setattr(authority, "RSA_BITS", {"rsa": 1024})
    patch.setattr(paving, "pave", lambda _site, _under: Paved())
    for variable in ("PAVER_SITE", "PAVER_STATE", "PAVER_STATION"):
        patch.delenv(variable, raising=False)
    patch.chdir(tmp_path)
    made = Command(tmp_path, capture, patch)
    made.room.mkdir()
    made.write()
    made.fine("secrets", "init")
    return made


class Machine:
    """A jumpbox of files that can be read."""

    name = "jumpbox"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read_file(self, path: str) -> bytes | None:
        return self.files.get(path)
