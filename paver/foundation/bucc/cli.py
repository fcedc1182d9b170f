"""The bosh CLI that an artefact brings has to be the one that its BUCC asks for: any other it fetches from the Internet."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from paver.driver import BadInput

_VERSIONS, _PROGRAM = ".versions", "bin/bosh"


def agrees(machine: Any, tree: PurePosixPath) -> None:
    """Does nothing if `bin/bosh` calls itself what `.versions` names, as every command of BUCC asks it (`bin/bucc`).

    Raises:
        BadInput: if it does not, or cannot be run.
    """
    named = machine.read_file(str(tree / _VERSIONS)) or b""
    lines = [line for line in named.decode("utf-8", "replace").splitlines() if "bosh" in line]
    wanted = lines[0].partition("=")[2].strip() if lines else ""
    ran = machine.run([str(tree / _PROGRAM), "--version"], env={"HOME": str(tree)}, check=False)
    says = (ran.out.decode("utf-8", "replace").splitlines() or [""])[0]
    if ran.ok and wanted in says:
        return
    raise BadInput(
        "BUCC's artefact brings another bosh CLI than its BUCC asks for",
        seen=f"{_VERSIONS}: {lines[0] if lines else 'nothing'}\n{_PROGRAM}: {says or 'it cannot be run'}",
        why="BUCC would fetch that one from the Internet, before anything else and with every command",
        do=f"write into {_VERSIONS} what `{_PROGRAM} --version` says, and make the artefact anew",
    )
