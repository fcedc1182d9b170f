"""What the proof's commands print, run by a shell with stand-ins for what only a booted image has."""

from __future__ import annotations

import subprocess
from pathlib import Path

from paver.image.prove import shut

LISTED = """\
-w /etc/ssh -p wa -k ssh
-w /etc/paver -p wa -k paver
-a always,exit -F arch=b64 -S execve -F euid=0 -F auid>=1000 -F auid!=-1 -F key=as-root
"""


def test_the_probes_commands_print_what_they_are_judged_by(tmp_path: Path) -> None:
    for name, printed in (("auditctl", LISTED), ("cat", "1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{printed}\nEND\n")
        (tmp_path / name).chmod(0o755)

    def prints(what: str) -> str:
        path = f"{tmp_path}:/usr/bin:/bin"
        return subprocess.check_output(
            ["sh", "-c", {probe.what: probe.command for probe in shut.probes()}[what]],
            env={"PATH": path},
            text=True,
        )

    assert prints("auditd has its rules").split() == ["as-root", "paver", "ssh"]
    assert prints("the kernel is set as it should be").splitlines() == [f"{name} 1" for name in shut.KERNEL]
