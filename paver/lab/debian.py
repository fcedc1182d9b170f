"""Debian packages without installing them: resolved by apt, unpacked into the cache, never configured.

Nothing of the host changes: no daemon starts, no file of the system is touched, no root is needed. What apt
would add to this host is downloaded and unpacked into one folder, and each wanted program gets a wrapper
that finds its libraries there.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from paver.errors import PaverError
from paver.lab import cache

# 'uri' file-name size digest, as `apt-get --print-uris` prints it.
_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) ?\S*$")


@dataclass(frozen=True)
class Package:
    """One package to fetch: name, exact version, and how many bytes the download has."""

    name: str
    version: str
    bytes: int


def parse_uris(text: str) -> tuple[Package, ...]:
    """Returns the packages that `apt-get install --print-uris` lists."""
    found = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        # name_version_architecture.deb, the version percent-encoded so that it holds no underscore or colon.
        name, version, *_ = match["file"].split("_")
        found.append(Package(name, urllib.parse.unquote(version), int(match["size"])))
    return tuple(found)


def available() -> bool:
    """Returns whether this host has the tools of a Debian: apt-get and dpkg."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


def resolve(names: Iterable[str], folder: Path) -> tuple[Package, ...]:
    """Returns what apt would download to have the packages `names` here, dependencies included.

    Where the system has no package lists (a fresh container), apt fetches them into the cache.

    Raises:
        PaverError: apt knows no way to have them.
    """
    wanted = list(names)
    argv = ["install", "--print-uris", "--quiet", "--yes", "--no-install-recommends", "--reinstall", *wanted]
    done = _apt(folder, argv)
    # Those that there are do not do: one source of several that cannot be had is no reason to keep them.
    if done.returncode != 0 and _update(folder, whole=False):
        done = _apt(folder, argv)
    if done.returncode != 0:
        raise PaverError(
            "the lab's system packages could not be resolved",
            seen=done.stderr.strip()[-1500:],
            why=f"apt knows no way to have {', '.join(wanted)} on this host",
            do=f"apt-get install --no-install-recommends {' '.join(wanted)}",
        )
    return parse_uris(done.stdout)


def unpack(packages: Iterable[Package], programs: Iterable[str], folder: Path) -> Path:
    """Downloads and unpacks `packages` and returns the folder with a wrapper for each of `programs`.

    Where one of them cannot be had any more, apt fetches its lists anew: a mirror has a package's newest version alone.

    Raises:
        PaverError: a download failed (apt checks its signature chain), or a program is not in them.
    """
    wanted = tuple(packages)
    try:
        return _unpack(wanted, tuple(programs), folder)
    except _NotFetched:
        if not _update(folder, whole=True):
            raise
        return _unpack(resolve([package.name for package in wanted], folder), tuple(programs), folder)


def _unpack(wanted: Iterable[Package], programs: tuple[str, ...], folder: Path) -> Path:
    named = sorted(f"{package.name}={package.version}" for package in wanted)
    final = folder / "debian" / hashlib.sha256("\n".join(named).encode()).hexdigest()[:16]
    with cache.locked(folder, "debian"):
        if not final.exists():
            with cache.draft(final) as target:
                _fill(target, named, programs, final, folder)
    return final / "bin"


def unpacked(folder: Path) -> list[Path]:
    """Returns the folders with wrappers that earlier calls left in the cache."""
    # A name with a dot is a draft's, which another process fills.
    return sorted((folder / "debian").glob("[!.]*/bin"))


class _NotFetched(PaverError):
    pass


def _fill(target: Path, named: list[str], programs: tuple[str, ...], final: Path, folder: Path) -> None:
    archives, root = target / "archives", target / "root"
    archives.mkdir()
    root.mkdir()
    done = _apt(folder, ["download", "--quiet", *named], cwd=archives)
    if done.returncode != 0:
        raise _NotFetched(
            "the lab's system packages could not be downloaded",
            seen=done.stderr.strip()[-1500:],
            why="apt could not fetch them",
            do=f"make the Debian mirror reachable, or apt-get install {' '.join(name.split('=')[0] for name in named)}",
        )
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True, capture_output=True)
    shutil.rmtree(archives)
    wrappers = target / "bin"
    wrappers.mkdir()
    for name in programs:
        found = [
            path for place in ("usr/sbin", "usr/bin", "sbin", "bin") if (path := root / place / name).exists()
        ]
        if not found:
            raise PaverError(f"none of the packages {', '.join(named)} has the program {name}")
        wrapper = wrappers / name
        wrapper.write_text(_wrapper(final / "root", found[0].relative_to(root)))
        wrapper.chmod(0o755)


def _wrapper(root: Path, program: Path) -> str:
    # One text for any program: Ruby's library folders do no harm to the others.
    triplets = sorted({"x86_64-linux-gnu", "aarch64-linux-gnu"})
    libraries = [str(root / place / triplet) for place in ("usr/lib", "lib") for triplet in triplets]
    return "\n".join(
        (
            "#!/bin/sh",
            f"root={shlex.quote(str(root))}",
            f"LD_LIBRARY_PATH={shlex.quote(':'.join(libraries))}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}",
            "export LD_LIBRARY_PATH",
            'for place in "$root"/usr/lib/ruby/[0-9]*.* "$root"/usr/lib/*/ruby/[0-9]*.* "$root"/usr/lib/ruby/vendor_ruby; do',
            '  [ -d "$place" ] && RUBYLIB=$place${RUBYLIB:+:$RUBYLIB} && export RUBYLIB',
            "done",
            f'exec "$root"/{shlex.quote(str(program))} "$@"',
            "",
        )
    )


def _update(folder: Path, *, whole: bool) -> bool:
    """Fetches apt's lists into the cache; False where that fails: what there was, the system's or ours, stays then.

    Args:
        folder: the cache.
        whole: it fails if one of the lists cannot be had; else if none can.
    """
    lists = folder / "apt" / "lists"
    lists.parent.mkdir(parents=True, exist_ok=True)
    with cache.locked(folder, "apt"), tempfile.TemporaryDirectory(dir=lists.parent) as aside:
        fetched = Path(aside) / "lists"
        (fetched / "partial").mkdir(parents=True)
        # apt by itself is content also where no mirror answers.
        done = _apt(folder, ["update", "--quiet", *(["--error-on=any"] if whole else [])], lists=fetched)
        if done.returncode != 0 or not any(fetched.glob("*Packages*")):
            return False
        if lists.exists():
            lists.rename(Path(aside) / "old")
        fetched.rename(lists)
    return True


def _apt(
    folder: Path, argv: list[str], cwd: Path | None = None, lists: Path | None = None
) -> subprocess.CompletedProcess[str]:
    options = ["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"]
    lists = lists or folder / "apt" / "lists"
    if lists.exists():
        cached = folder / "apt" / "cache"
        (cached / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        options += ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cached}"]
    return subprocess.run(
        ["apt-get", *options, *argv],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )
