"""Another machine, as far as one machine can be another: what a program sees of where, when and as what it runs.

It does not only pretend: a program that is run there and one that is run here both say what they see (`SEEN`), and the
report has what they said.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import site
import subprocess
import sys
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from paver.errors import PaverError
from paver.image.prove.report import Line, not_asked
from paver.lab import system
from paver.lab.qemu import programs

GROUP = "what was varied"
DAYS = 40
HOST_NAME = "elsewhere"
_CLOCK = system.Need("faketime", "faketime", "lets what is built a second time believe another date")
_TIME_ZONES = ("NZST-12NZDT,M9.5.0,M4.1.0/3", "HST10")
_LOCALES = ("C.UTF-8", "C")
_UMASKS = (0o027, 0o022)
# The umask, and the name where it is an own one to give; then the command.
_ENTER = 'set -e; umask "$1"; [ -z "$2" ] || echo "$2" >/proc/sys/kernel/hostname; shift 2; exec "$@"'
_OWN_NAME = ("unshare", "--uts", "--")

SEEN = """\
import json, os, socket, sys, time
mask = os.umask(0)
name = next((os.environ[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(key)), "C")
print(json.dumps({
    "path": os.getcwd(), "Python": sys.executable, "host name": socket.gethostname(), "time zone": time.strftime("%z"),
    "locale": name, "umask": f"{mask:03o}", "number of processors": len(os.sched_getaffinity(0)),
    "date": time.strftime("%Y-%m-%d", time.gmtime())}))
"""
"""What a program sees that is run by Python."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Where a command is run.

    Attributes:
        argv: what stands before the command.
        environment: all of its environment.
        python: a Python that has what this one has.
        tree: the folder that it is run in.
        kept: what is as it is here, and why.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    python: Path
    tree: Path
    kept: Mapping[str, str]


def make(folder: Path, tree: Path) -> Elsewhere:
    """Makes another place to run something in, below `folder`, for what is in the folder `tree`."""
    kept: dict[str, str] = {}
    python = _python(folder / "python")
    here = seen([], os.environ, Path(sys.executable), Path.cwd())
    mask = next(mask for mask in _UMASKS if f"{mask:03o}" != here["umask"])
    refused = _refusal()
    if refused:
        kept["host name"] = refused
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) == 1:
        kept["number of processors"] = "there is one only"
    environment = {
        **{name: value for name, value in os.environ.items() if not _of_here(name)},
        "LANG": (locale := next(name for name in _LOCALES if _spelt(name) != _spelt(str(here["locale"])))),
        "LC_ALL": locale,
        "PATH": system.search_path(),
        "PYTHONPATH": str(tree),
        "TZ": _TIME_ZONES[time.strftime("%z") == "+1200" or time.strftime("%z") == "+1300"],
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
        **_clock(kept),
    }
    argv = [*(() if refused else _OWN_NAME), "sh", "-c", _ENTER, "sh", f"{mask:03o}"]
    argv += ["" if refused else HOST_NAME, "taskset", "--cpu-list", str(processors[-1])]
    return Elsewhere(argv=tuple(argv), environment=environment, python=python, tree=tree, kept=kept)


def seen(
    argv: Sequence[str], environment: Mapping[str, str], python: Path, folder: Path
) -> Mapping[str, object]:
    """Returns what a program sees that is run there: by `argv`, which stand before it.

    Raises:
        PaverError: it can't be run.
    """
    done = subprocess.run(
        [*argv, str(python), "-c", SEEN],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PaverError("nothing can be run elsewhere", seen=done.stderr.strip()[-1500:])
    found: Mapping[str, object] = json.loads(done.stdout)
    return found


def varied(there: Elsewhere) -> list[Line]:
    """Returns what is another there than here, as a program sees it that is run there and here."""
    here = seen([], os.environ, Path(sys.executable), Path.cwd())
    over = seen(there.argv, there.environment, there.python, there.tree)
    return judged(here, over, there.kept)


def judged(here: Mapping[str, object], there: Mapping[str, object], kept: Mapping[str, str]) -> list[Line]:
    """Returns the lines of what was seen here and there; what was `kept` as it is was not asked."""
    return [
        not_asked(GROUP, f"another {what}", kept[what])
        if what in kept
        else Line(GROUP, f"another {what}", here[what] != there[what], f"{there[what]}, here {here[what]}")
        for what in here
    ]


def _of_here(name: str) -> bool:
    # What would bring something along that was compiled here, or another language.
    return name.startswith("LC_") or name in {"LANG", "LANGUAGE", "GOCACHE", "VIRTUAL_ENV", "PYTHONHOME"}


def _spelt(locale: str) -> str:
    return locale.lower().replace("-", "")


def _python(folder: Path) -> Path:
    """Makes an environment of its own in which all is found that is found here, except this paver."""
    venv.EnvBuilder(symlinks=True).create(folder)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "here.pth").write_text("".join(f"{path}\n" for path in site.getsitepackages()))
    return folder / "bin" / "python"


def _refusal() -> str:
    """Returns why no host name of its own can be had, empty where one can."""
    argv = [*_OWN_NAME, "sh", "-c", _ENTER, "sh", "022", HOST_NAME, "true"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    said = " ".join(done.stderr.split())
    return f"only root can have one of its own here ({said})" if done.returncode else ""


def _clock(kept: dict[str, str]) -> Mapping[str, str]:
    """Returns the environment in which programs believe another date; notes why where there is none."""
    try:
        programs.provide(lambda _: None, (_CLOCK,))
    except PaverError as error:
        kept["date"] = error.what
        return {}
    program = shutil.which(_CLOCK.program, path=system.search_path())
    above = Path(program or "/").resolve().parent.parent
    found = [*above.glob("root/usr/lib/*/faketime/libfaketimeMT.so.1")]
    found += above.glob("lib/*/faketime/libfaketimeMT.so.1")
    if not found:
        kept["date"] = f"beside {program} there is no libfaketimeMT.so.1"
        return {}
    if set(" :") & set(str(found[0])):
        kept["date"] = f"{found[0]} has a space or a colon in it, at which the loader takes the words apart"
        return {}
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": f"+{DAYS}d", "FAKETIME_NO_CACHE": "1"}
