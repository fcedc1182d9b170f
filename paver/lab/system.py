"""The system programs that the lab needs: what is there, what is missing, and how it is got.

What the host has is used as it is. What it lacks is unpacked from Debian's packages into the cache (see
`debian`), so that nothing is installed on the user's machine and no daemon starts there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import paver
from paver.errors import PaverError
from paver.lab import cache, debian


@dataclass(frozen=True)
class Need:
    """A program that the lab runs, the package that has it, and what the lab does with it."""

    program: str
    package: str
    purpose: str


NEEDS: tuple[Need, ...] = (
    Need("ip", "iproute2", "gives the lab's machines their addresses"),
    Need("unshare", "util-linux", "makes the lab's namespaces"),
    Need("nsenter", "util-linux", "runs a command inside of the lab"),
    Need("sshd", "openssh-server", "is the jumpbox's SSH server"),
    Need("ssh", "openssh-client", "is the client that others wrote"),
    Need("ssh-keygen", "openssh-client", "makes the jumpbox's host key"),
    Need("dnsmasq", "dnsmasq-base", "is the DNS server of the jumpbox or the site"),
    Need("chronyd", "chrony", "is the time server of the jumpbox"),
    Need("xorriso", "xorriso", "reads the installer's ISO"),
    Need("ruby", "ruby", "renders templates for the official bosh CLI"),
    Need("openssl", "openssl", "is the verifier of certificates that others wrote"),
)

NFS: tuple[Need, ...] = (
    Need("nfs-cat", "libnfs-utils", "reads the installer's ISO from an NFS server"),
    Need("nfs-ls", "libnfs-utils", "says whether it is there, and how large"),
)
"""What a lab takes beside these where its plan has an NFS server."""


@dataclass(frozen=True)
class Survey:
    """What of `NEEDS` is there, by path; what is missing; and the packages that would be unpacked."""

    present: Mapping[str, Path]
    missing: tuple[Need, ...]
    packages: tuple[debian.Package, ...] = ()

    @property
    def download_bytes(self) -> int:
        """Returns how many bytes will be downloaded."""
        return sum(package.bytes for package in self.packages)

    def lines(self) -> list[str]:
        """Returns what will be done, a line each; nothing where nothing is missing."""
        if not self.missing:
            return []
        names = ", ".join(sorted({need.package for need in self.missing}))
        size = f"{len(self.packages)} Debian packages, {self.download_bytes / 1e6:.1f} MB"
        return [f"{names}: unpacked into the lab's cache, nothing is installed on this machine ({size})"]


def search_path(folder: Path | None = None) -> str:
    """Returns PATH as the lab sees it: the user's, the system's sbin folders, then the cache."""
    places = os.environ.get("PATH", "").split(os.pathsep)
    places += ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]
    places += [str(path) for path in debian.unpacked(folder or cache.root())]
    return os.pathsep.join(dict.fromkeys(place for place in places if place))


def python_path() -> str:
    """Returns PYTHONPATH for a Python that the lab starts: this very paver, and what it was started with."""
    places = [str(Path(paver.__file__).parent.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return os.pathsep.join(dict.fromkeys(place for place in places if place))


def survey(
    folder: Path | None = None,
    needs: Iterable[Need] = NEEDS,
    *,
    resolved: bool = True,
    path: str | None = None,
) -> Survey:
    """Returns what is there and what is missing, and changes nothing.

    Args:
        folder: the cache.
        needs: the programs to look for.
        resolved: ask apt what it would take; without it `packages` stays empty.
        path: where to look instead of `search_path`.
    """
    folder = folder or cache.root()
    wanted = tuple(needs)
    path = path or search_path(folder)
    found = {need.program: shutil.which(need.program, path=path) for need in wanted}
    missing = tuple(need for need in wanted if found[need.program] is None)
    packages: tuple[debian.Package, ...] = ()
    if missing and resolved:
        _require_debian(missing)
        packages = debian.resolve(sorted({need.package for need in missing}), folder)
    return Survey(
        {name: Path(place) for name, place in found.items() if place is not None}, missing, packages
    )


def provide(found: Survey, folder: Path | None = None) -> Mapping[str, Path]:
    """Brings what is missing into the cache and returns the path of every program.

    Raises:
        PaverError: the host has no apt, or a package can't be had.
    """
    folder = folder or cache.root()
    if not found.missing:
        return found.present
    _require_debian(found.missing)
    wrappers = debian.unpack(found.packages, sorted(need.program for need in found.missing), folder)
    return {**found.present, **{need.program: wrappers / need.program for need in found.missing}}


def _require_debian(missing: Iterable[Need]) -> None:
    if debian.available():
        return
    needs = tuple(missing)
    raise PaverError(
        "programs are needed that this machine lacks",
        seen=f"not on PATH: {', '.join(need.program for need in needs)}",
        why="they can be unpacked from Debian's packages only where apt-get is",
        do=f"install {', '.join(sorted({need.package for need in needs}))} with this system's package manager",
    )
