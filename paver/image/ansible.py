"""Ansible of its own, below the cache: Debian 12's knows no Python 3.13, which is what the image has.

It is installed from `playbooks/requirements.lock`, held to the hashes there, as a folder of packages that may be moved.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from paver.errors import PaverError
from paver.image import stages

LOCK = Path("playbooks") / "requirements.lock"
PLAYBOOK = "ansible-playbook"
_PACKAGES = "packages"


def key(source: Path) -> str:
    """Returns the key of what `install` makes of the lock below `source`, for the Python that runs this."""
    return stages.key(sys.executable, sys.version, (source / LOCK).read_bytes())


def install(source: Path, into: Path, tell: stages.Tell) -> None:
    """Installs Ansible and ansible-lint into the folder `into`, and the command `ansible-playbook` beside them.

    Raises:
        PaverError: a package can't be had, or is another one than the lock's.
    """
    tell("fetching Ansible")
    _pip(source, "install", "--target", str(into / _PACKAGES))
    command = into / PLAYBOOK
    command.write_text(
        "#!/bin/sh\n"
        f'PYTHONPATH="$(dirname "$(readlink -f "$0")")/{_PACKAGES}" exec {shlex.quote(sys.executable)} -m ansible playbook "$@"\n'
    )
    command.chmod(0o755)


def fetch(source: Path, into: Path) -> None:
    """Brings the packages of the lock below `source` into the folder `into`, and installs nothing.

    Raises:
        PaverError: a package can't be had, or is another one than the lock's.
    """
    _pip(source, "download", "--dest", str(into))


def _pip(source: Path, verb: str, *options: str) -> None:
    argv = [sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check", "--require-hashes"]
    argv += ["--only-binary", ":all:", *options, "--requirement", str(source / LOCK)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise PaverError(
            "Ansible cannot be installed" if verb == "install" else "Ansible cannot be fetched",
            seen=done.stderr.strip()[-1500:],
            do="make the package index reachable, or keep the image's cache of a build that had it",
        )


def environment(installed: Path) -> dict[str, str]:
    """Returns the environment in which the programs that were installed find each other."""
    packages = installed / _PACKAGES
    path = os.environ.get("PATH", "/usr/bin:/bin")
    return {**os.environ, "PATH": f"{packages / 'bin'}:{path}", "PYTHONPATH": str(packages)}
