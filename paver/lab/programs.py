"""The Go programs of the lab: which there are, what they cost to build, and which phases need them.

A module without sources of its own pins its program by the `tool` line of its go.mod. The times are of a cold
build (no module downloaded, nothing compiled) on 2 cores; the sizes are of the stripped program, and of the modules and
compiled packages that Go keeps of it beside those of the programs before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from paver.errors import BadInput, nearest


@dataclass(frozen=True)
class Program:
    """One program: `package` is built inside `servers/<module>`, whose go.mod pins its version.

    `seconds` is the expected time of a cold build on 2 cores, `megabytes` the size of the program, `room` the megabytes
    that the build leaves in Go's caches.
    """

    name: str
    module: str
    package: str
    seconds: int
    megabytes: int
    room: int
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def ldflags(self) -> str:
        """Returns the linker's flags: no symbol table, and the variables that carry the version."""
        return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in self.variables)])


PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {
        program.name: program
        for program in (
            Program("vsim", "vsphere", "./cmd/vsim", 35, 25, 300),
            Program("govc", "vsphere", "./cmd/govc", 25, 35, 240),
            # Built from a module, bosh calls itself "[DEV BUILD]": the label is what its release build sets.
            Program(
                "bosh",
                "bosh",
                "github.com/cloudfoundry/bosh-cli/v7",
                60,
                30,
                1170,
                (("github.com/cloudfoundry/bosh-cli/v7/cmd.VersionLabel", "7.4.0"),),
            ),
            Program("nfsd", "nfs", ".", 10, 4, 60),
            Program("crane", "crane", "github.com/google/go-containerregistry/cmd/crane", 10, 12, 170),
            Program("mc", "mc", "github.com/minio/mc", 40, 30, 620),
            Program(
                "registry", "registry", "github.com/distribution/distribution/v3/cmd/registry", 65, 56, 1840
            ),
            Program("minio", "minio", "github.com/minio/minio", 150, 112, 1950),
        )
    }
)

ON_REQUEST = frozenset({"nfsd"})
"""What no phase needs: a lab has it where its plan does."""

_SIMULATOR = ("vsim",)
_BY_PHASE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "trust": _SIMULATOR,  # a lab has hosts, whatever is done to them
        "hosts": _SIMULATOR,
        "jumpbox": _SIMULATOR,
        "site-services": _SIMULATOR,
        "vcenter": _SIMULATOR,
        "inventory": _SIMULATOR,
        "bucc": ("vsim", "govc", "bosh"),
        "services": ("vsim", "govc", "bosh", "mc", "crane", "registry", "minio"),
        "handover": ("vsim", "govc", "bosh", "mc", "crane", "registry", "minio"),
    }
)

PHASES = tuple(_BY_PHASE)
"""The phases of the demo's site, in order."""


def check(phases: Iterable[str]) -> None:
    """Does nothing if the demo's site has these phases.

    Raises:
        BadInput: if not.
    """
    for phase in phases:
        if phase not in PHASES:
            near = nearest(phase, PHASES)
            raise BadInput(
                f"there is no phase {phase}",
                seen=f"phases: {', '.join(PHASES)}",
                do=f"did you mean {near}?" if near else "name one of them",
            )


def required(phases: Iterable[str] | None = None) -> tuple[str, ...]:
    """Returns the programs that a lab needs for `phases` (None: for all), cheapest first.

    A phase that this table does not know needs everything, so a new phase can only cost time.
    """
    everything = tuple(name for name in PROGRAMS if name not in ON_REQUEST)
    if phases is None:
        return everything
    needed = {name for phase in phases for name in _BY_PHASE.get(phase, everything)}
    return tuple(name for name in PROGRAMS if name in needed)
