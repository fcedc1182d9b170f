"""lynis in the booted machine: its own audit, held to the reasons that stand in `ova/hardening.yml`.

It is brought along for the audit and taken away again, since it is no part of the image.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from paver.errors import BadInput, PaverError
from paver.image import hardening
from paver.image.prove.guest import Guest
from paver.image.prove.report import Line
from paver.lab import cache, debian

GROUP = "lynis"
FOLDER = "/run/paver-lynis"
SECONDS = 2400.0
"""That it may take: it starts some ten thousand programs, each slow where the processor is emulated."""

LOG = "lynis.log"
"""Its report, in the folder of the boot."""

_PACKAGE = "lynis"
_PARTS = {"usr/sbin/lynis": "lynis", "usr/share/lynis": ".", "etc/lynis/plugins": "plugins"}
_PROFILE = "etc/lynis/default.prf"
# Of its profile, each line of which costs a dozen processes: plugins, of which there is Debian's alone, which starts a
# process for every program that is installed and asks for tools of whoever updates a machine; and what no Linux has.
_NOT_HERE = re.compile(
    r"#|plugin=|ssl-|upload|license|config-data=sysctl;(security\.bsd|net\.inet6?|hw|kern)\."
)
# As a unit of systemd's: what somebody does who logged in is audited, and a record for each process would take longer than
# lynis does. On one processor: two emulated ones wait for each other at each new process.
_COMMAND = (
    f"systemd-run --quiet --wait --pipe --collect --property WorkingDirectory={FOLDER} --setenv HOME=/root"
    " taskset --cpu-list 0"
    f" sh ./lynis audit system --quick --quiet --no-colors --no-log --report-file {FOLDER}/report"
    " --tests-from-group '%s'"
    f" >{FOLDER}/out 2>&1 </dev/null; cat {FOLDER}/report; tail -n 6 {FOLDER}/out; rm -rf {FOLDER}"
)
"""Prints the report, and what lynis said at last; gets the groups of tests. It reads its parts from the folder that it is
started in."""


def audit(asked: Guest, source: Path, folder: Path, tell: Callable[[str], None]) -> list[Line]:
    """Runs lynis on the machine, and holds what it finds to the reasons in the source tree `source`.

    Args:
        asked: the machine.
        source: paver's source tree.
        folder: of this boot; lynis' report is kept there.
        tell: told what is being done.

    Raises:
        BadInput: the reasons can't be read.
        PaverError: lynis can't be had, or the machine does not answer any more.
    """
    file = source / hardening.FILE
    if not file.is_file():
        raise BadInput(
            f"{file} is not there", why="it says why findings of lynis stand, and what is not asked"
        )
    given = hardening.reasons(file.read_text())
    root = unpacked(tell)
    tell("lynis: auditing")
    asked.run(f"mkdir -p {FOLDER} && tar -xC {FOLDER}", root=True, stdin=archive(root, given.skipped))
    command = _COMMAND % " ".join(groups((root / "usr/sbin/lynis").read_text(), given.skipped))
    out = asked.run(command, root=True, timeout=SECONDS).text
    (folder / LOG).write_text(out)
    return judge(out, given.accepted)


def unpacked(tell: Callable[[str], None]) -> Path:
    """Returns the folder that Debian's package was unpacked to.

    Raises:
        PaverError: it can't be had.
    """
    folder = cache.root()
    tell("lynis: unpacked into the lab's cache")
    return debian.unpack(debian.resolve([_PACKAGE], folder), [_PACKAGE], folder).parent / "root"


def groups(script: str, skipped: Iterable[str]) -> list[str]:
    """Returns the groups of tests that lynis has by its own `script`, in its order, without those that are left out.

    Raises:
        PaverError: the script does not list them.
    """
    found = re.search(r'INCLUDE_TESTS="([a-z_\s\\]+)"', script)
    if found is None:
        raise PaverError("this lynis does not say which groups of tests it has")
    return [name for name in found[1].replace("\\", " ").split() if name not in set(skipped)]


def archive(root: Path, skipped: Iterable[str]) -> bytes:
    """Returns lynis as a tar, out of what was unpacked, with a profile that leaves out the tests `skipped`."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for part, name in _PARTS.items():
            tar.add(root / part, name, filter=_of_root)
        text = profile((root / _PROFILE).read_text(), skipped).encode()
        info = tarfile.TarInfo("default.prf")
        info.size = len(text)
        tar.addfile(_of_root(info), io.BytesIO(text))
    return raw.getvalue()


def _of_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    # It runs nothing that is not root's, or that others may write to.
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mode = 0o755 if info.isdir() else 0o644
    return info


def profile(default: str, skipped: Iterable[str]) -> str:
    """Returns lynis' own profile without what is of no use here, and with the tests that are left out."""
    lines = [line for line in default.splitlines() if line and not _NOT_HERE.match(line)]
    return "\n".join([*lines, *(f"skip-test={test}" for test in skipped if test.isupper()), ""])


def judge(out: str, accepted: Mapping[str, str]) -> list[Line]:
    """Returns what the report `out` proves: a line a finding, which holds where it has a reason."""
    try:
        report = hardening.loads(out)
    except BadInput as error:
        last = "\n".join(out.strip().splitlines()[-6:])
        return [Line(GROUP, "it comes to its end", holds=False, seen=f"{error.what}\n{last}")]
    seen = f"hardening index {report.index}, {len(report.findings)} findings, lynis {report.version}"
    lines = [Line(GROUP, "it comes to its end", holds=True, seen=seen)]
    for finding, why in hardening.table(report, accepted):
        lines.append(
            Line(GROUP, f"{finding.test} has a reason", bool(why), f"{finding}\n{why or 'no reason'}")
        )
    old = ", ".join(hardening.stale(report, accepted))
    if old:
        lines.append(Line(GROUP, "reasons of what is not found here", holds=True, seen=old))
    return lines
