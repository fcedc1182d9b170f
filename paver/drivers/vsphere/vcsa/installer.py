"""The vendor's installer, unpacked on the jumpbox from its ISO.

xorriso drops the executable bits, so they are given back; a tree is complete once its marker lies in it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from paver.driver import Check, Endpoint, Facts, Reader, Resource, Verb, Writer
from paver.drivers.vsphere import marks
from paver.drivers.vsphere.endpoints import MACHINE

TREES = PurePosixPath("/var/lib/paver/installers")
MARKER = "paver.json"
PROGRAM = "vcsa-cli-installer/lin64/vcsa-deploy"


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstallerFacts(Facts):
    """The tree as it lies on the jumpbox."""

    sha256: str
    program: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Installer(Resource[InstallerFacts]):
    """The unpacked installer.

    Attributes:
        sha256: of the ISO.
        source: the ISO's path on the jumpbox.
    """

    kind = "vsphere.installer"
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        Verb.CREATE: frozenset(
            {"file:mkdir", "file:write", "file:remove", "run:xorriso", "run:chmod", "run:mv"}
        ),
        Verb.DELETE: frozenset({"file:remove"}),
    }
    replaces = frozenset({"sha256"})
    unmanaged = frozenset({"source"})
    dies_with_parent = True

    sha256: str
    source: str

    def says(self) -> str:
        """Returns what a plan shows."""
        return "unpack vCenter's installer"

    def estimate(self) -> int:
        """Returns about how many seconds 10 GB take."""
        return 120

    def read(self, world: Reader) -> InstallerFacts | None:
        """Returns the tree of this very ISO."""
        return _facts(world, str(TREES / self.sha256))

    def create(self, world: Writer) -> None:
        """Unpacks into a draft, which gets its name once it is whole."""
        machine = world.writing(MACHINE)
        tree, draft = str(TREES / self.sha256), str(TREES / f".{self.sha256}")
        machine.remove(draft, recursive=True)
        machine.remove(tree, recursive=True)
        machine.mkdir(draft, 0o755, "paver:paver")
        world.report("unpacking the ISO")
        machine.run(
            ["xorriso", "-osirrox", "on", "-indev", self.source, "-extract", "/", draft], timeout=3600
        )
        machine.run(["chmod", "-R", "u+rwX,go+rX", draft])
        machine.run(["chmod", "-R", "a+x", f"{draft}/vcsa-cli-installer"])
        mark = json.loads(marks.dumps(world.mark(complete=True)))
        marker = json.dumps({"mark": mark, "sha256": self.sha256}).encode()
        machine.write_file(f"{draft}/{MARKER}", marker, 0o644)
        machine.run(["mv", "--no-target-directory", draft, tree])

    def checks(self, world: Reader, facts: InstallerFacts) -> Iterable[Check]:
        """Yields that vcsa-deploy is there."""
        yield Check("the ISO has vcsa-deploy", world.session(MACHINE).exists(facts.program), facts.program)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[InstallerFacts]:
        """Yields every unpacked tree that bears the site's mark."""
        for name in world.session(at).listdir(str(TREES)) or ():
            found = None if name.startswith(".") else _facts(world, str(TREES / name))
            if found is not None and found.mark is not None:
                yield found

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: InstallerFacts) -> None:
        """Removes the tree."""
        world.writing(at).remove(facts.address["tree"], recursive=True)


def _facts(world: Reader, tree: str) -> InstallerFacts | None:
    data = world.session(MACHINE).read_file(f"{tree}/{MARKER}")
    if data is None:
        return None
    marker = json.loads(data)
    return InstallerFacts(
        address={"tree": tree},
        mark=marks.loads(json.dumps(marker["mark"])),
        sha256=marker["sha256"],
        program=f"{tree}/{PROGRAM}",
    )
