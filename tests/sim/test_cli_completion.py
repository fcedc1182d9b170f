"""Completion in the shells themselves: what a TAB makes of a line."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import tools

ASKED = {
    "paver pre": "preflight",
    "paver lab up --phase ho": "hosts",
    "paver apply --progress ev": "events",
    "paver init --driver vs": "vsphere",
    "paver schema --of image-ve": "image-verify",
    "paver image prove x.ova --only bios-gu": "bios-guestinfo",
    "paver secrets show esx-r": "esx-root",
    "paver env go": "govc",
    "paver plan --only vsphere.port-group:esx-01/b": "vsphere.port-group:esx-01/bosh",
    "paver plan --phase hosts --allow vsphere.jumpbox:j": "vsphere.jumpbox:jumpbox",
    "paver plan -s near/site.yml --allow vsphere.port-group:esx-09/b": "vsphere.port-group:esx-09/bosh",
    "paver plan --site 'next door/site.yml' --only vsphere.port-group:esx-09/b": "vsphere.port-group:esx-09/bosh",
}
"""A line up to the TAB, and the word that it becomes."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a site file and a sealed store, others in `near` and `next door`, and `paver` in its `bin`."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "bin").mkdir()
    paver = folder / "bin" / "paver"
    paver.write_text(f'#!/bin/sh\necho "$*" >> ~/asked\nexec {shlex.quote(sys.executable)} -m paver "$@"\n')
    paver.chmod(0o755)
    run(folder, "init", "site.yml")
    site = folder / "site.yml"
    site.write_text(site.read_text().replace("/etc/paver/site.key", "site.key"))
    run(folder, "secrets", "init")
    for name in ("near", "next door"):
        (folder / name).mkdir()
        (folder / name / "site.yml").write_text(site.read_text().replace("esx-01", "esx-09"))
    return folder


def environment(desk: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAVER_")}
    return {**kept, "PATH": f"{desk / 'bin'}:{kept['PATH']}", "TERM": "dumb", "HOME": str(desk)}


def run(desk: Path, *argv: str) -> str:
    ran = subprocess.run(
        ["paver", *argv],
        cwd=desk,
        env=environment(desk),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stdout


def typed(argv: list[str], desk: Path, first: str, asked: Mapping[str, str] = ASKED) -> list[str]:
    """Returns what a shell on a terminal makes of each line of `asked` and a TAB, after the line `first`."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(desk)
        os.execvpe(argv[0], argv, {**environment(desk), "PS1": "> "})  # noqa: S606 - on a terminal of its own
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 500, 0, 0))
    made = []
    try:
        os.write(terminal, f"{first}; echo rea''dy\n".encode())
        until(terminal, "ready\r\n")
        for line, wanted in asked.items():
            os.write(terminal, f"{line}\t".encode())
            made.append(until(terminal, wanted))
            os.write(terminal, b"\x15")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    return made


def until(terminal: int, wanted: str) -> str:
    """Returns what a terminal shows until `wanted` is in it, or nothing more has come for a minute."""
    shown, end = "", time.monotonic() + 60
    while wanted not in shown and select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
        # Without what moves the cursor and colours.
        shown = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|\r(?!\n)|\x08", "", shown + os.read(terminal, 4096).decode())
    return shown


def words(made: list[str]) -> list[str]:
    """Returns the last word of each line, as the terminal shows it."""
    return [shown.split()[-1] for shown in made]


def test_a_tab_in_bash_completes_a_word_also_one_with_a_colon(desk: Path) -> None:
    (desk / "paver.bash").write_text(run(desk, "completion", "bash"))
    assert words(typed(["bash", "--norc", "-i"], desk, "source ./paver.bash")) == list(ASKED.values())


def test_a_tab_in_zsh_completes_a_word_also_one_with_a_colon(desk: Path) -> None:
    zsh = tools.program("zsh", "zsh")
    root = zsh.parents[1] / "root"
    (desk / "_paver").write_text(run(desk, "completion", "zsh"))
    first = f"fpath=({shlex.quote(str(desk))} $fpath); autoload -Uz compinit; compinit -u -D"
    if root.is_dir():
        modules, functions = root / "usr/lib/x86_64-linux-gnu/zsh", root / "usr/share/zsh/functions"
        first = f"module_path=({modules}/*(/)); fpath=({functions} {functions}/**/*(/)); {first}"
    (desk / "asked").unlink()
    assert words(typed([str(zsh), "-f", "-i"], desk, first)) == list(ASKED.values())
    # Of a site only what the word at hand can be: asking for all that any word may be took five seconds a TAB.
    assert (desk / "asked").read_text().splitlines() == [
        "completion zsh --names secrets --line show",
        "completion zsh --names tools --line env",
        "completion zsh --names resources --line plan --only",
        "completion zsh --names resources --line plan --phase hosts --allow",
        "completion zsh --names resources --line plan -s near/site.yml --allow",
        "completion zsh --names resources --line plan --site 'next door/site.yml' --only",
    ]


def test_a_tab_in_tcsh_completes_a_word_also_one_of_the_site(desk: Path) -> None:
    tcsh = tools.program("tcsh", "tcsh")
    (desk / "paver.tcsh").write_text(run(desk, "completion", "tcsh"))
    # It knows an option by its name alone, whatever command it is of, and a line without its quotes.
    asked = {line: word for line, word in ASKED.items() if "image prove" not in line and "'" not in line}
    first = "set edit; bindkey '^I' complete-word; source paver.tcsh"
    assert words(typed([str(tcsh), "-f", "-i"], desk, first, asked)) == list(asked.values())


def test_fish_completes_words(desk: Path) -> None:
    fish = tools.program("fish", "fish")
    root = fish.parents[1] / "root"
    (desk / "paver.fish").write_text(run(desk, "completion", "fish"))
    places = f"set fish_function_path {root}/usr/share/fish/functions; " if root.is_dir() else ""
    script = f"{places}source paver.fish; for line in $argv; complete -C $line | string split -f1 \\t; end"
    ran = subprocess.run(
        [fish, "--no-config", "-c", script, *ASKED],
        cwd=desk,
        env=environment(desk),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.stdout.splitlines() == list(ASKED.values()), ran.stderr


def test_where_there_is_no_site_file_no_name_is_completed_and_nothing_is_said(
    tmp_path: Path, desk: Path
) -> None:
    (desk / "paver.bash").write_text(run(desk, "completion", "bash"))
    names = run(desk, "completion", "bash", "--names", "secrets")
    assert names == "esx-root\n"
    line = 'source ./paver.bash; cd "$1"; COMP_WORDS=(paver secrets show \'\') COMP_CWORD=3; _paver; echo "<${COMPREPLY[*]}>"'
    ran = subprocess.run(
        ["bash", "-c", line, "bash", str(tmp_path)],
        cwd=desk,
        env=environment(desk),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("<>\n", "")
