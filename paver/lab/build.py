"""Builds the lab's Go programs from the sources in `servers/` and keeps them in the cache.

A program lies at `<cache>/bin/<digest>/<name>`, where the digest covers the module's files, the toolchain's
version and the flags: other sources, another place, and nothing stale is ever run. Sources are read
once and built from a copy, so they may lie in a read-only site-packages and may be edited meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from paver.errors import PaverError
from paver.lab import cache, toolchain
from paver.lab.programs import PROGRAMS, Program

SERVERS = Path(__file__).parent / "servers"
_TICK_SECONDS = 0.5
# Programs of earlier sources that nobody asked for in so long are dropped from the cache.
_UNUSED_DAYS = 30

State = Literal["toolchain", "waiting", "building", "built", "cached"]


@dataclass(frozen=True)
class Progress:
    """How far a build is: program `index` (from 1) of `total`, for `elapsed` of about `expected` seconds."""

    program: str
    index: int
    total: int
    state: State
    elapsed: float
    expected: int


@dataclass(frozen=True)
class Estimate:
    """What a build will do: programs to build, seconds on 2 cores at most, megabytes of disk at most."""

    missing: tuple[str, ...]
    seconds: int
    megabytes: int
    toolchain: str


@dataclass(frozen=True)
class _Source:
    program: Program
    files: Mapping[str, bytes]
    binary: Path


def silent(_: Progress) -> None:
    """Reports nothing."""


def estimate(names: Iterable[str], folder: Path | None = None) -> Estimate:
    """Returns what `build(names)` would have to do, and does none of it."""
    folder = folder or cache.root()
    wanted = tuple(names)
    go = toolchain.choose(_least(wanted), folder)
    missing = tuple(source.program for source in _sources(wanted, go, folder) if not source.binary.is_file())
    room = sum(program.room for program in missing) + (0 if go.fetched else go.megabytes)
    return Estimate(
        missing=tuple(program.name for program in missing),
        seconds=sum(program.seconds for program in missing) + (0 if go.fetched or not missing else 20),
        megabytes=sum(program.megabytes for program in missing) + room,
        toolchain=f"go {go.version}" + ("" if go.fetched else " (from PyPI)"),
    )


def build(
    names: Iterable[str], *, progress: Callable[[Progress], None] = silent, folder: Path | None = None
) -> Mapping[str, Path]:
    """Returns where each program of `names` lies, after building those that are not in the cache.

    Two builders at once are safe: the second waits for the first and finds its work done.

    Raises:
        PaverError: a program does not build, the toolchain can't be had, or the disk is too full.
    """
    folder = folder or cache.root()
    wanted = tuple(names)
    go = toolchain.choose(_least(wanted), folder)
    sources = _sources(wanted, go, folder)
    for index, source in enumerate(sources, start=1):
        program = source.program
        place = (program.name, index, len(sources))
        if not source.binary.is_file():
            _require_room(folder, program)
            if not go.fetched:
                progress(Progress(*place, "toolchain", 0.0, 20))
                toolchain.fetch(go, folder)
            started = time.monotonic()

            def tick(
                place: tuple[str, int, int] = place, begun: float = started, last: int = program.seconds
            ) -> None:
                progress(Progress(*place, "building", time.monotonic() - begun, last))

            def waiting(place: tuple[str, int, int] = place, last: int = program.seconds) -> None:
                progress(Progress(*place, "waiting", 0.0, last))

            with cache.locked(folder, f"{source.binary.parent.name}-{program.name}", waiting):
                if not source.binary.is_file():
                    tick()
                    _compile(source, go.go, folder, tick)
            progress(Progress(*place, "built", time.monotonic() - started, program.seconds))
        else:
            progress(Progress(*place, "cached", 0.0, 0))
    for source in sources:
        os.utime(source.binary.parent)
    _forget(folder / "bin")
    return {source.program.name: source.binary for source in sources}


def toolchain_of(names: Iterable[str]) -> Path:
    """Returns the `go` that builds the programs `names`, after bringing it into the cache where there is none.

    Raises:
        PaverError: it can't be had.
    """
    folder = cache.root()
    go = toolchain.choose(_least(tuple(names)), folder)
    toolchain.fetch(go, folder)
    return go.go


def module_files(module: Path) -> dict[str, bytes]:
    """Returns the module's sources by their path inside of it; tests and hidden files don't count."""
    return {
        path.relative_to(module).as_posix(): path.read_bytes()
        for path in sorted(module.rglob("*"))
        if path.is_file()
        and not path.name.endswith("_test.go")
        and not any(part.startswith(".") for part in path.relative_to(module).parts)
    }


def digest(files: Mapping[str, bytes], *, go_version: str, flags: Iterable[str]) -> str:
    """Returns the key of a program in the cache: other files, toolchain or flags give another one."""
    total = hashlib.sha256()
    for part in (
        go_version,
        *flags,
        *(f"{name} {hashlib.sha256(files[name]).hexdigest()}" for name in sorted(files)),
    ):
        total.update(part.encode() + b"\0")
    return total.hexdigest()[:32]


def _least(names: Iterable[str]) -> tuple[int, int, int]:
    # One toolchain for all, so that a program's key does not depend on which others were asked for.
    modules = {program.module for program in PROGRAMS.values()} | {PROGRAMS[name].module for name in names}
    found = [SERVERS / module / "go.mod" for module in sorted(modules)]
    return max(toolchain.minimum(path.read_text()) for path in found if path.exists())


def _sources(names: Iterable[str], go: toolchain.Toolchain, folder: Path) -> list[_Source]:
    known: dict[str, dict[str, bytes]] = {}
    found = []
    for program in (PROGRAMS[name] for name in names):
        files = known.setdefault(program.module, module_files(SERVERS / program.module))
        key = digest(files, go_version=go.version, flags=_flags(program))
        found.append(_Source(program, files, folder / "bin" / key / program.name))
    return found


def _flags(program: Program) -> list[str]:
    return ["-trimpath", "-buildvcs=false", f"-ldflags={program.ldflags}"]


def _compile(source: _Source, go: Path, folder: Path, tick: Callable[[], None]) -> None:
    program, binary = source.program, source.binary
    binary.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(folder / "build" / f"{binary.parent.name}-{program.name}") as scratch:
        module = scratch / "source"
        for name, content in source.files.items():
            _made((module / name).parent).joinpath(Path(name).name).write_bytes(content)
        output = scratch / "program"
        log = scratch / "log"
        environment = {
            **_caches(go, folder),
            **os.environ,
            # Writable modules: whoever removes the cache must not meet read-only folders in it.
            "GOFLAGS": "-mod=readonly -modcacherw",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
            # Go's own scratch goes where the room was checked, not to a small /tmp.
            "GOTMPDIR": str(scratch),
        }
        ends_with_us = ("setpriv", "--pdeathsig", "TERM", "--")
        argv = [*ends_with_us, str(go), "build", *_flags(program), "-o", str(output), program.package]
        with log.open("wb") as sink:
            running = subprocess.Popen(
                argv,
                cwd=module,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
            try:
                while _waits(running):
                    tick()
            finally:
                if running.poll() is None:
                    running.kill()
                    running.wait()
        if running.returncode != 0:
            raise PaverError(
                f"the lab's program {program.name} does not build",
                seen="\n".join(log.read_text(errors="replace").splitlines()[-20:]),
                why=f"go build of {program.package} ended with {running.returncode}",
                do="if modules could not be fetched, make the Go module proxy reachable (GOPROXY) and run it again",
            )
        output.chmod(0o755)
        output.replace(binary)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Gives an empty folder, and removes it; there may be one of a build that was killed, since nobody else builds this now."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _caches(go: Path, folder: Path) -> dict[str, str]:
    """Returns where modules and compiled packages go: into the lab's cache, where the toolchain is the lab's too."""
    if not go.resolve().is_relative_to(folder.resolve()):
        # Who has Go has its caches, wherever they are wanted.
        return {}
    return {"GOMODCACHE": str(folder / "modules"), "GOCACHE": str(folder / "compiled")}


def _forget(folder: Path) -> None:
    oldest = time.time() - _UNUSED_DAYS * 86400
    for each in folder.iterdir():
        # Another builder may have forgotten it in between.
        with contextlib.suppress(FileNotFoundError):
            if each.stat().st_mtime < oldest:
                shutil.rmtree(each, ignore_errors=True)


def _waits(running: subprocess.Popen[bytes]) -> bool:
    try:
        running.wait(_TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _require_room(folder: Path, program: Program) -> None:
    free = cache.free_bytes(folder)
    needed = (program.megabytes * 3 + program.room) * 1_000_000
    if free < needed:
        raise PaverError(
            f"too little room to build the lab's program {program.name}",
            seen=f"{free // 1_000_000} MB free below {folder}",
            why=f"building it needs about {needed // 1_000_000} MB",
            do="free some, or set XDG_CACHE_HOME to a larger disk, then run the same command again",
        )
