"""lynis in the booted machine: its own audit, held to the reasons that stand in `ova/hardening.yml`.

It is brought along for the audit and taken away again, since it is no part of the image.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from paver.errors import BadInput
from paver.image import hardening
from paver.image.prove.guest import Guest
from paver.image.prove.report import Line
from paver.lab import cache, debian

GROUP = "lynis"
FOLDER = "/run/paver-lynis"
SECONDS = 2400.0
"""That it may take: it starts some ten thousand programs, each slow where the processor is emulated."""

_PACKAGE = "lynis"
_PARTS = {
    "usr/sbin/lynis": "lynis",
    "usr/share/lynis": ".",
    "etc/lynis/default.prf": "default.prf",
    "etc/lynis/plugins": "plugins",
}
COMMAND = (
    f"cd {FOLDER} && sh ./lynis audit system --quick --quiet --no-colors --logfile {FOLDER}/log --report-file {FOLDER}/report"
    f" >{FOLDER}/out 2>&1 </dev/null; cat {FOLDER}/report; rm -rf {FOLDER}"
)
"""Prints the report. lynis reads its parts from the folder that it is started in."""


def audit(asked: Guest, source: Path, tell: Callable[[str], None]) -> list[Line]:
    """Runs lynis on the machine, and holds what it finds to the reasons in the source tree `source`.

    Raises:
        PaverError: lynis can't be had, or the machine does not answer any more.
    """
    brought = archive(tell)
    tell("lynis: auditing")
    asked.run(f"mkdir -p {FOLDER} && tar -xC {FOLDER}", root=True, stdin=brought)
    return judge(asked.run(COMMAND, root=True, timeout=SECONDS).text, source)


def archive(say: Callable[[str], None]) -> bytes:
    """Returns lynis as a tar, out of Debian's package.

    Raises:
        PaverError: it can't be had.
    """
    folder = cache.root()
    say("lynis: unpacked into the lab's cache")
    root = debian.unpack(debian.resolve([_PACKAGE], folder), [_PACKAGE], folder).parent / "root"
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for part, name in _PARTS.items():
            tar.add(root / part, name, filter=_of_root)
    return raw.getvalue()


def _of_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    # It runs nothing that is not root's, or that others may write to.
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mode = 0o755 if info.isdir() else 0o644
    return info


def judge(out: str, source: Path) -> list[Line]:
    """Returns what the report `out` proves against the reasons in the source tree `source`."""
    try:
        report = hardening.loads(out)
    except BadInput as error:
        last = "\n".join(out.strip().splitlines()[-6:])
        return [Line(GROUP, "it comes to its end", holds=False, seen=f"{error.what}\n{last}")]
    count = len(report.findings)
    index = Line(
        GROUP, "it comes to its end", holds=True, seen=f"hardening index {report.index}, {count} findings"
    )
    file = source / hardening.FILE
    if not file.is_file():
        return [index, Line(GROUP, "every finding has a reason", holds=False, seen=f"{file} is not there")]
    accepted = hardening.reasons(file.read_text())
    found = hardening.judge(report, accepted)
    lacking = "\n".join(map(str, found.unexplained))
    seen = f"{count} findings, {count - len(found.unexplained)} with a reason"
    return [
        index,
        Line(GROUP, "every finding has a reason", not lacking, seen if not lacking else f"{seen}\n{lacking}"),
    ]
