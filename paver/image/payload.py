"""What of ours is laid over the base: paver in an environment of its own, and the programs that the lab pins.

Wheels are fetched for the image's Python, held to the lock's hashes, and installed by that Python without a network: in
a part of the image that is thrown away, all but what was installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from paver.errors import PaverError
from paver.image import base, layers, mmdebstrap

PYTHON = "3.13"
"""The image's Python: Debian 13's."""

WHEELS = "/usr/share/paver/wheels"
PLACE = "/usr/share/paver/venv"
LOCK = "requirements.lock"
_PLATFORMS = (
    "manylinux_2_34_x86_64",
    "manylinux_2_28_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
)

_PIP = (
    # The one that venv would bring, from Debian's own wheel, which does not stay.
    f"PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) python3 -m pip --python {PLACE}/bin/python install"
    " --quiet --no-index --no-compile --no-cache-dir --disable-pip-version-check"
)
INSTALL = (
    f"python3 -m venv --without-pip {PLACE}",
    f"{_PIP} --find-links {WHEELS} --require-hashes --requirement {WHEELS}/{LOCK}",
    f"{_PIP} --no-deps {WHEELS}/iaas_paver-*.whl",
    f"ln -s {PLACE}/bin/paver /usr/local/bin/paver",
    f"ln -s {PLACE}/bin/paver-bootstrap {PLACE}/bin/paver-console {PLACE}/bin/paver-firstboot /usr/local/sbin/",
    # Where a wheel came from is of the machine that builds.
    f"find {PLACE} -name direct_url.json -delete",
    # Nothing writes below it later.
    f"{base.BYTECODE} {PLACE}/lib",
    f"rm -rf {WHEELS} /root/.cache",
)
"""What the chroot runs once the wheels lie at `WHEELS`."""

_MADE = ("/usr/share/paver", "/usr/local")
_PROGRAMS = "usr/local/bin"
_NOT_NEEDED = (
    "./boot",
    "./dev/*",
    "./usr/include",
    "./usr/lib/gcc",
    "./usr/lib/git-core",
    "./usr/lib/grub",
    "./usr/lib/modules",
    "./usr/lib/ruby",
    "./usr/libexec/gcc",
    "./usr/share/i18n",
    "./usr/share/perl",
)
"""What of the image Python does well without, half of it."""


def digest(source: Path) -> str:
    """Returns the SHA-256 of all that decides what paver is in the image: its sources and its lock."""
    total = hashlib.sha256(PYTHON.encode())
    for path in [source / LOCK, source / "pyproject.toml", *sorted((source / "paver").rglob("*"))]:
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def wheels(source: Path, into: Path, kept: Path, epoch: int, tell: Callable[[str], None]) -> None:
    """Brings paver's wheel, and those of all that it needs, into `into`.

    Args:
        source: paver's source tree.
        into: a folder.
        kept: where fetched wheels are kept for the next build.
        epoch: the date of what is in paver's own wheel.
        tell: told what is being done.

    Raises:
        PaverError: one can't be had for the image's Python.
    """
    into.mkdir(parents=True)
    tell("fetching Python packages")
    fetch(source, into, kept)
    tell("making paver's own package")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(into), str(source), epoch=epoch)
    shutil.copy2(source / LOCK, into / LOCK)


def fetch(source: Path, into: Path, kept: Path) -> None:
    """Brings the wheels that the lock below `source` names into the folder `into`, and keeps them in `kept` for the next time.

    Raises:
        PaverError: one can't be had for the image's Python.
    """
    kept.mkdir(parents=True, exist_ok=True)
    wanted = [part for platform in _PLATFORMS for part in ("--platform", platform)]
    abis = ["--abi", f"cp{PYTHON.replace('.', '')}", "--abi", "abi3", "--abi", "none"]
    options = ["--only-binary", ":all:", "--python-version", PYTHON, "--implementation", "cp", *wanted, *abis]
    fetched = [
        "--require-hashes",
        "--requirement",
        str(source / LOCK),
        "--dest",
        str(into),
        "--find-links",
        str(kept),
    ]
    _pip("download", *options, *fetched)
    for wheel in into.iterdir():
        if not (kept / wheel.name).exists():
            shutil.copy2(wheel, kept / wheel.name)


def programs(built: Mapping[str, Path], names: Iterable[str], into: Path) -> None:
    """Lays the programs `names` out in `into`."""
    into.mkdir(parents=True)
    for name in names:
        shutil.copy2(built[name], into / name)
        (into / name).chmod(0o755)


def lay(root: Path, fed: Path, epoch: int, target: Path, tell: Callable[[str], None]) -> None:
    """Writes the tar `target`: the root file system `root` with the payload in it.

    Args:
        root: a tar, with the image's Python in it.
        fed: the folder with `wheels` and `bin`.
        epoch: seconds since 1970, the date of every file.
        target: the tar; there only once it is whole.
        tell: told what is being done.

    Raises:
        PaverError: the wheels do not install.
    """
    with tempfile.TemporaryDirectory(prefix=".payload-", dir=target.parent) as scratch:
        wheels_ = Path(scratch) / "wheels"
        shutil.copytree(fed / "wheels", wheels_)
        base.plain(wheels_)
        made = {place: Path(scratch) / f"{number}.tar" for number, place in enumerate(_MADE)}
        unpacked = ["tar", "--extract", "--numeric-owner", *(f"--exclude={path}" for path in _NOT_NEEDED)]
        argv = [
            "--mode=unshare",
            "--variant=custom",
            "--format=null",
            "--skip=setup,update,cleanup",
            f'--setup-hook={shlex.join(unpacked)} --directory "$1"',
            f'--customize-hook=mkdir -p "$1"{WHEELS}',
            f"--customize-hook=sync-in {shlex.quote(str(wheels_))} {WHEELS}",
            *(f'--customize-hook=chroot "$1" sh -euc {shlex.quote(line)}' for line in INSTALL),
            *(f"--customize-hook=tar-out {place} {shlex.quote(str(tar))}" for place, tar in made.items()),
            "-",
            "-",
            # Nothing is taken from there; mmdebstrap wants an address.
            "deb [trusted=yes] copy:///nowhere ./",
        ]
        mmdebstrap.run(argv, what="the payload", epoch=epoch, scratch=Path(scratch), tell=tell, stdin=root)
        tell("laying it over the base")
        with contextlib.ExitStack() as opened:
            found = [
                entry
                for place, tar in made.items()
                for entry in layers.entries(opened.enter_context(tarfile.open(tar)), str(Path(place).parent))
            ]
            found += [
                layers.of_file(f"{_PROGRAMS}/{path.name}", path) for path in sorted((fed / "bin").iterdir())
            ]
            layers.merge(root, layers.linked(found), _nothing, epoch, target)


def _nothing(_: str) -> bool:
    return False


def _pip(*argv: str, epoch: int | None = None) -> None:
    environment = {**os.environ, **({} if epoch is None else {"SOURCE_DATE_EPOCH": str(epoch)})}
    done = subprocess.run(
        [sys.executable, "-m", "pip", *argv, "--quiet", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    if done.returncode:
        raise PaverError(
            f"`pip {argv[0]}` failed",
            seen=done.stderr.strip()[-1500:],
            do="make the package index reachable, or keep its wheels in the cache",
        )
