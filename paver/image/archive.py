"""Debian's archive as this machine reaches it: packages resolved and fetched by apt, from the mirrors apt is set up for.

apt runs in a folder of its own with the image's suite; nothing of this machine's packages is read or changed. It
checks the archive's signatures; what comes is held to the lock's digests as well.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from paver.errors import BadInput, PaverError
from paver.image.lock import Deb

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_URI = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) ?(?P<digest>\S*)$")
_PIECE = 2**20


class Archive:
    """One suite of the archive, its lists fetched into `folder`.

    Args:
        folder: apt's own, made if it is not there.
        suite: as `trixie`.
        architecture: as `amd64`.
    """

    def __init__(self, folder: Path, suite: str, architecture: str) -> None:
        self._folder = folder
        self._suite = suite
        self._architecture = architecture

    def update(self) -> None:
        """Fetches the lists.

        Raises:
            PaverError: this machine reaches no mirror of Debian, or the mirror no such suite.
        """
        for name in ("lists/partial", "cache/archives/partial", "parts"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        main, security = _mirrors()
        sources = [
            (main, self._suite),
            (main, f"{self._suite}-updates"),
            (security, f"{self._suite}-security"),
        ]
        lines = [f"deb [signed-by={KEYRING}] {uri} {suite} main\n" for uri, suite in sources if uri]
        (self._folder / "sources.list").write_text("".join(lines))
        done = self._apt("update", "--quiet", "--error-on=any")
        if done.returncode:
            raise PaverError(
                f"the package lists of {self._suite} could not be fetched",
                seen=_tail(done.stderr),
                do="make the Debian mirror reachable, or build from a kept pool: --pool DIR",
            )

    def resolve(self, packages: Iterable[str]) -> tuple[Deb, ...]:
        """Returns the essential packages, `packages`, and all that they depend on, nothing recommended.

        Raises:
            BadInput: one of them does not exist, or two of them can't be had together.
        """
        done = self._apt(
            "install", "--yes", "--quiet", "--quiet", "--print-uris", "?essential", "apt", *sorted(packages)
        )
        if done.returncode:
            raise BadInput(
                "the image's packages can't be had together",
                seen=_tail(done.stderr or done.stdout),
                do="mend ova/content.yml",
            )
        files = [match["file"] for line in done.stdout.splitlines() if (match := _URI.match(line))]
        wanted = [urllib.parse.unquote(file).rsplit("_", 2) for file in files]
        return self._described([f"{name}={version}" for name, version, _ in wanted])

    def fetch(self, debs: Sequence[Deb], into: Path, tell: Callable[[int, int], None]) -> None:
        """Fetches `debs` into the folder `into`, each under its name there once it is whole and the one wanted.

        Args:
            debs: what is wanted.
            into: the folder.
            tell: told how many bytes of how many are there.

        Raises:
            PaverError: the mirror has one no more, or another one under its name.
        """
        into.mkdir(parents=True, exist_ok=True)
        done, total = 0, sum(deb.size for deb in debs)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=into) as scratch:
            for start in range(0, len(debs), 24):
                some = debs[start : start + 24]
                ran = self._apt("download", "--quiet", *(_exact(deb) for deb in some), cwd=Path(scratch))
                _refuse_gone(some, Path(scratch), ran, self._suite)
                for deb in some:
                    [found] = _found(Path(scratch), deb)
                    require(found, deb)
                    found.replace(into / deb.file)
                    done += deb.size
                    tell(done, total)

    def _described(self, exact: list[str]) -> tuple[Deb, ...]:
        done = self._apt("show", "--no-all-versions", *exact, program="apt-cache")
        debs = []
        for stanza in done.stdout.split("\n\n"):
            fields = dict(
                line.split(": ", 1) for line in stanza.splitlines() if re.match(r"[A-Za-z0-9-]+: ", line)
            )
            if "SHA256" in fields:
                debs.append(
                    Deb(
                        name=fields["Package"],
                        version=fields["Version"],
                        architecture=fields["Architecture"],
                        sha256=fields["SHA256"],
                        size=int(fields["Size"]),
                    )
                )
        if done.returncode or len(debs) != len(exact):
            raise PaverError(f"apt described {len(debs)} of {len(exact)} packages", seen=_tail(done.stderr))
        return tuple(sorted(debs))

    def _apt(
        self, *argv: str, program: str = "apt-get", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        options = {
            "Dir::Etc::sourcelist": self._folder / "sources.list",
            "Dir::Etc::sourceparts": self._folder / "parts",
            "Dir::Etc::preferencesparts": self._folder / "parts",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::State::lists": self._folder / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": self._folder / "cache",
            "APT::Architecture": self._architecture,
            "APT::Architectures": self._architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Debug::NoLocking": "1",
        }
        given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        return subprocess.run(
            [program, *given, *argv],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        )


def require(file: Path, deb: Deb) -> None:
    """Holds `file` to what the lock says of `deb`.

    Raises:
        BadInput: it is another one.
    """
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            digest.update(piece)
    if digest.hexdigest() != deb.sha256:
        raise BadInput(
            f"{deb.file} is not the one of the lock",
            seen=f"sha256 {digest.hexdigest()}, {file.stat().st_size} bytes",
            why=f"the lock has sha256 {deb.sha256}, {deb.size} bytes",
            do="take it from where the lock was made, or renew the lock: `paver image lock --refresh`",
        )


def _mirrors() -> tuple[str, str]:
    """Returns the addresses of Debian's archive and of its security archive that this machine's apt knows."""
    if shutil.which("apt-get") is None:
        raise PaverError(
            "there is no apt-get here", do="build the image on a Debian machine, or from a pool: --pool DIR"
        )
    asked = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        origin, label, uri = line.split("|", 2)
        if origin == "Debian":
            found.setdefault(label, uri)
    if "Debian" not in found:
        raise PaverError(
            "this machine's apt knows no mirror of Debian",
            do="add one to its sources and run `apt-get update`, or build from a kept pool: --pool DIR",
        )
    return found["Debian"], found.get("Debian-Security", "")


def _exact(deb: Deb) -> str:
    return f"{deb.name}={deb.version}"


def _found(folder: Path, deb: Deb) -> list[Path]:
    # apt percent-encodes what a file name may not hold, and keeps the epoch.
    version = deb.version.replace(":", "%3a")
    return [path for path in folder.iterdir() if path.name == f"{deb.name}_{version}_{deb.architecture}.deb"]


def _refuse_gone(
    debs: Sequence[Deb], folder: Path, ran: subprocess.CompletedProcess[str], suite: str
) -> None:
    gone = [deb for deb in debs if not _found(folder, deb)]
    if not gone:
        return
    raise PaverError(
        f"the mirror does not give {', '.join(_exact(deb) for deb in gone)}",
        seen=_tail(ran.stderr),
        why=f"mirrors drop what {suite} has superseded",
        do="renew the lock: `paver image lock --refresh`; or build from a pool that was kept: --pool DIR",
    )


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-6:])[-1500:]
