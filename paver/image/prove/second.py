"""A second build of an image: from the same sources, with nothing of the first but what was fetched for it.

What was fetched is held to its digests again: .debs to `ova/debs.lock`, wheels to their locks, Go's modules to go.sum. What the
first one made is out of its reach: stages, compiled programs, the cache of Go's compiler.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from paver.errors import PaverError
from paver.image import ansible, archive, build, children, host, payload, pool, sources, stages
from paver.image.prove import elsewhere
from paver.lab import build as lab_build
from paver.lab import cache, system
from paver.lab.qemu import programs
from paver.trust import ssh_keys

PLACE = "twice"
"""The folder below the image's cache in which it happens."""
LOG = "build.log"
_LAST = 12


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """Yields an empty folder with a space in its name, which is gone afterwards; one that was left by a kill is gone before.

    Raises:
        PaverError: what was left cannot be removed.
    """
    root = stages.root()
    with cache.locked(root, PLACE):
        folder = root / PLACE
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise PaverError(
                f"{folder} is left of an earlier proof, and cannot be removed",
                why="it belongs to another account, or something of it is in use",
                do=f"remove it: sudo rm -r '{folder}'",
            )
        try:
            within = folder / "another path"
            within.mkdir(parents=True)
            yield within
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def copied(source: Path, tree: Path) -> Path:
    """Copies what an image is built of to the folder `tree`, in the modes of somebody whom others are not to read."""
    tree.mkdir()
    for path in source.iterdir():
        if path.is_file():
            shutil.copy2(path, tree)
    for name in sources.PARTS:
        shutil.copytree(
            source / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o027)
    return tree


def fetched(source: Path, folder: Path, tell: stages.Tell) -> Mapping[str, str]:
    """Fetches what a build of `source` would, while the date is today's; returns the environment that leads to it.

    Raises:
        BadInput: content and lock do not fit, or a .deb is another one than the lock's.
        PaverError: something can't be had.
    """
    kept, wheels = stages.root(), folder / "wheels"
    wanted, locked = build.loaded(source)
    programs.provide(lambda line: tell(f"programs: {line}"), host.NEEDS)
    tell("pool: looking at it")
    pool.fill(
        kept / build.POOL, locked, archive.Archive(kept / "apt", wanted.suite, wanted.architecture), _nothing
    )
    tell("wheels: fetching Python packages")
    payload.fetch(source, wheels, kept / "wheels")
    ansible.fetch(source, wheels)
    go = lab_build.toolchain_of(wanted.programs)
    modules = cache.root() / "modules"
    return {
        # pip takes the words apart at spaces.
        "PIP_FIND_LINKS": wheels.as_uri(),
        "PIP_NO_INDEX": "1",
        "GOCACHE": str(folder / "compiled"),
        **({"GOMODCACHE": str(modules)} if modules.is_dir() else {}),
        "PATH": f"{go.parent}:{system.search_path()}",
    }


def built(
    there: elsewhere.Elsewhere, links: Mapping[str, str], folder: Path, log: Path, tell: stages.Tell
) -> Path:
    """Builds there, and returns the OVA; what the build says is told, and kept in `log`.

    Raises:
        PaverError: it failed.
    """
    key = folder / "key"
    key.touch(0o600)
    key.write_text(ssh_keys.new_key_pair().private_key.reveal())
    out = folder / "out"
    argv = [*there.argv, str(there.python), "-m", "paver", "image", "build", "--out", str(out), "--offline"]
    argv += ["--pool", str(stages.root() / build.POOL), "--sign", str(key)]
    with (
        log.open("w") as kept,
        children.running(argv, {**there.environment, **links}, cwd=there.tree) as running,
    ):
        for line in running.stdout or ():
            kept.write(line)
            kept.flush()
            tell(line.partition(" s  ")[2].strip() or line.strip())
        code = running.wait()
    made = sorted(out.glob("*.ova"))
    if code or len(made) != 1:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise PaverError(
            "the second build failed", seen="\n".join(lines[-_LAST:]), why=f"it ended with {code}"
        )
    return made[0]


def took(folder: Path) -> dict[str, int]:
    """Returns how long the stages of the newest image in a cache took, in seconds."""
    found = {name: stages.usual(folder / name) for name in build.STAGES}
    return {name: seconds for name, seconds in found.items() if seconds is not None}


def _nothing(_: int, __: int) -> None:
    return
