"""The command as a process of its own: what it loads, how it stops."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from paver.image import artefacts

HEAVY = ("pyVmomi", "paramiko", "botocore", "minio", "httpx", "jinja2", "rich")


def loaded(*argv: str, cwd: Path) -> set[str]:
    """Returns the top-level modules that a command has loaded at its end."""
    code = (
        "import sys\n"
        "from paver.cli import entry\n"
        f"entry.main({list(argv)!r})\n"
        "sys.stderr.write('LOADED ' + ' '.join(sorted({m.partition('.')[0] for m in sys.modules})))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True, timeout=60
    )
    return set(ran.stderr.rpartition("LOADED ")[2].split())


def test_validate_loads_no_session_and_no_rendering(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "paver", "init", "site.yml"], cwd=tmp_path, check=True, timeout=60)
    assert not loaded("validate", cwd=tmp_path) & set(HEAVY)
    assert not loaded("schema", cwd=tmp_path) & set(HEAVY)
    assert not loaded("ports", cwd=tmp_path) & set(HEAVY)


def test_help_loads_next_to_nothing(tmp_path: Path) -> None:
    assert not loaded("--help", cwd=tmp_path) & {*HEAVY, "argparse", "pydantic", "yaml"}


@pytest.mark.parametrize(("option", "most"), [("--version", 60), ("--help", 35)])
def test_a_command_that_only_tells_loads_few_modules(option: str, most: int) -> None:
    """What starting costs is loading; the time of it is what `make bench` compares."""
    code = f"import sys\nbefore = set(sys.modules)\nfrom paver.cli import entry\nentry.main([{option!r}])\n"
    told = "sys.stderr.write('LOADED ' + ' '.join(sorted(set(sys.modules) - before)))"
    ran = subprocess.run(
        [sys.executable, "-c", code + told], capture_output=True, text=True, check=True, timeout=60
    )
    found = ran.stderr.rpartition("LOADED ")[2].split()
    assert "paver.cli.entry" in found
    assert len(found) <= most, found


@pytest.mark.parametrize(("library", "left_out"), [("paramiko", {"invoke"}), ("httpx", {"click", "rich"})])
def test_a_library_comes_without_what_only_its_command_line_needs(library: str, left_out: set[str]) -> None:
    code = (
        "import sys\n"
        "from paver.transport import lean\n"
        f"lean.load({library!r})\n"
        "before = set(sys.modules)\n"
        f"import {library}\n"
        "print(*sorted({name.partition('.')[0] for name in before}))\n"
        "import invoke, httpx._main\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    found = set(ran.stdout.split())
    assert library in found
    assert not found & left_out


_ASKED = """
source ./paver.bash
asked=$(complete -p paver); asked=${asked#*-F }; asked=${asked%% *}
for line in "$@"; do
  IFS=' ' read -ra COMP_WORDS <<< "$line"
  [[ $line != *' ' ]] || COMP_WORDS+=('')
  COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )) COMPREPLY=()
  "$asked" paver "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
  echo "${COMPREPLY[@]}"
done
"""


def test_bash_completes_commands_options_values_and_files(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "paver", "completion", "bash"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=60,
    )
    (tmp_path / "paver.bash").write_bytes(made.stdout)
    (tmp_path / "site.plan").touch()
    # Which tools there are, the site's driver says.
    subprocess.run([sys.executable, "-m", "paver", "init", "site.yml"], cwd=tmp_path, check=True, timeout=60)
    asked = {
        "paver pre": "preflight",
        "paver lab re": "rehearse",
        "paver apply --pro": "--progress",
        "paver apply --progress li": "live lines",
        "paver plan --phase site": "site-services",
        "paver destroy --phase h": "hosts handover",
        "paver env g": "govc",
        "paver secrets generate name --policy v": "vcenter",
        "paver init --driver ": "vsphere",
        "paver apply site.p": "site.plan",
    }
    ran = subprocess.run(
        ["bash", "-c", _ASKED, "bash", *asked],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert dict(zip(asked, ran.stdout.splitlines(), strict=True)) == asked, ran.stderr


def test_where_the_locale_lacks_a_sign_the_rest_is_told(tmp_path: Path) -> None:
    paver = [sys.executable, "-m", "paver"]
    subprocess.run([*paver, "init", "site.yml"], cwd=tmp_path, check=True, timeout=60)
    ran = subprocess.run(
        [*paver, "plan", "--offline"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2, ran.stderr
    assert b"nothing else is written to" in ran.stdout
    assert ran.stdout.isascii()
    argv = [*paver, "validate", "--json", "-s", "näher.yml"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ran = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False)
    assert json.loads(ran.stdout)["what"] == "the site file näher.yml can't be read"


def test_output_that_nobody_reads_ends_quietly(tmp_path: Path) -> None:
    ran = subprocess.Popen(
        [sys.executable, "-m", "paver", "schema"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    if ran.stdout is None or ran.stderr is None:
        raise AssertionError(ran)
    ran.stdout.close()
    assert ran.stderr.read() == b""
    ran.stderr.close()
    assert ran.wait(timeout=60) in {0, 1}


def _paver(
    line: str, folder: Path, environment: Mapping[str, str] = MappingProxyType({}), *given: int
) -> subprocess.CompletedProcess[str]:
    """Runs a line of shell in which `paver` is this one; its output is left to its own buffer."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", f'paver() {{ "{sys.executable}" -m paver "$@"; }}; {line}'],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        pass_fds=given,
    )


@pytest.mark.parametrize("unbuffered", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "argv",
    ["--version", "--help", "drivers", "version --json", "schema", "plan --json -s none.yml"],
)
def test_where_output_has_no_room_one_line_says_so(
    tmp_path: Path, argv: str, unbuffered: dict[str, str]
) -> None:
    ran = _paver(f"paver {argv} > /dev/full", tmp_path, unbuffered)
    told = ran.stderr.splitlines()
    assert "Traceback" not in ran.stderr
    assert told[0].startswith("error: ")
    if "none.yml" in argv:
        assert (ran.returncode, told[-1]) == (3, "  exit  3"), "what went wrong before counts"
    else:
        assert (ran.returncode, told[-1]) == (1, "  exit  1")
        assert "No space left on device" in told[0]
        assert "standard output" in ran.stderr


def test_whoever_cannot_be_asked_for_a_passphrase_is_told_how_it_is_given(tmp_path: Path) -> None:
    made = _paver("paver init site.yml", tmp_path)
    assert made.returncode == 0, made
    ran = subprocess.run(
        [sys.executable, "-m", "paver", "secrets", "init", "--key", "passphrase"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,  # without a terminal of its own
    )
    assert ran.returncode == 4
    assert ran.stderr.splitlines()[0] == (
        "error: nobody is there to be asked for the passphrase of the sealed store"
    )
    assert "passphrase-file:<path>" in ran.stderr
    assert not list(tmp_path.glob("*.sealed"))


@pytest.mark.parametrize("unbuffered", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("argv", ["--version", "--help", "drivers", "plan --json -s none.yml"])
def test_a_reader_that_went_is_no_error_whatever_is_said(
    tmp_path: Path, argv: str, unbuffered: dict[str, str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = _paver(f"paver {argv} >&{writer}", tmp_path, unbuffered, writer)
    os.close(writer)
    if "none" in argv:
        assert ran.returncode == 3
        assert ran.stderr.startswith("error: the site file none.yml")
        assert ran.stderr.endswith("  exit  3\n")
    else:
        assert (ran.returncode, ran.stderr) == (1, "")


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_what_the_caller_closed_is_nothing_that_a_command_needs(tmp_path: Path, closed: str) -> None:
    line = (
        f"paver init site.yml {closed} && paver validate {closed} && paver --version {closed}"
        f" && paver plan --offline --out site.plan {closed}"
    )
    ran = _paver(line, tmp_path)
    assert ran.returncode == 2, ran
    assert "error" not in ran.stderr
    assert (tmp_path / "site.plan").read_bytes().startswith(b'{"actions":[')
    assert (tmp_path / "site.yml").read_text().startswith("# The site lab-north")


@pytest.mark.parametrize(
    "argv", [("init", "new.yml"), ("plan", "--offline", "--out", "new.plan"), ("logs", "--out", "new.tgz")]
)
def test_a_file_that_could_not_be_written_whole_is_not_left(tmp_path: Path, argv: tuple[str, ...]) -> None:
    subprocess.run([sys.executable, "-m", "paver", "init", "site.yml"], cwd=tmp_path, check=True, timeout=60)
    before = {path.name for path in tmp_path.iterdir()}
    ran = subprocess.run(
        [sys.executable, "-m", "paver", *argv],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200)),
    )
    assert "can't be written" in ran.stderr
    assert "File too large" in ran.stderr
    assert {path.name for path in tmp_path.iterdir()} - {".paver"} == before


def test_a_place_that_is_not_this_accounts_to_write_to_is_no_fault_of_pavers(tmp_path: Path) -> None:
    """Root without its rights, since tests may be run by it: the folder is somebody else's."""
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o555)
    if os.geteuid() == 0:
        os.chown(theirs, 65534, 65534)
    (tmp_path / "bucc.tar").write_bytes(b"x")
    argv = [sys.executable, "-m", "paver", "image", "artefacts", "bucc.tar", "--out", str(theirs / "a.iso")]
    rightless = ["setpriv", "--bounding-set=-all", *argv] if os.geteuid() == 0 else argv
    ran = subprocess.run(rightless, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    said = f"{theirs / 'a.iso'} cannot be written: this machine's disk refuses: Permission denied"
    assert ran.stderr.partition("error: ")[2].splitlines()[0] == said
    assert "name another place" in ran.stderr


_KILLED = (
    "import os, signal, sys\n"
    "from pathlib import Path\n"
    "from paver.image import artefacts\n"
    "def tell(done, of):\n"
    "    print(flush=True)\n"
    "    if sys.argv[1] == 'dies': os.kill(os.getpid(), signal.SIGKILL)\n"
    "    sys.stdin.read()\n"
    "artefacts.make(Path('a.iso'), [Path('x')], tell)\n"
)


def test_what_a_killed_writer_left_is_gone_with_the_next_disk_and_what_another_writes_stays(
    tmp_path: Path,
) -> None:
    (tmp_path / "x").write_bytes(b"x" * 5000)

    def writer(how: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", _KILLED, how]
        return subprocess.Popen(argv, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    with writer("dies") as killed:
        assert killed.wait(60) == -signal.SIGKILL
    [left] = tmp_path.glob(".a.iso.*")
    with writer("waits") as at_work:
        assert at_work.stdout
        assert at_work.stdout.readline()
        assert not left.exists()
        artefacts.make(tmp_path / "a.iso", [tmp_path / "x"], lambda *_: None)
        assert len(list(tmp_path.glob(".a.iso.*"))) == 1
        assert at_work.communicate(b"", 60)
    assert at_work.returncode == 0
    assert artefacts.check(tmp_path / "a.iso").artefacts[0].name == "x"
    assert {each.name for each in tmp_path.iterdir()} == {"a.iso", "x"}


def test_who_only_looks_needs_no_right_to_write(tmp_path: Path) -> None:
    """An auditor at a site that is somebody else's, which may be read by all."""
    site = tmp_path / "site"
    site.mkdir()
    ran = _paver(
        "paver init site.yml && sed -i s,/etc/paver/site.key,site.key, site.yml && paver secrets init", site
    )
    assert ran.returncode == 0, ran
    state = site / ".paver" / "lab-north"
    (state / "lock").touch()
    (state / "sealed.seen").unlink()
    for path in (site, *site.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
    (site / "site.key").chmod(0o400)
    before = sorted(site.rglob("*"))
    for argv, code in (("status --quick", 0), ("secrets list", 0), ("ports", 0), ("plan --offline", 2)):
        rightless = "setpriv --bounding-set=-all" if os.geteuid() == 0 else ""
        ran = _paver(f'{rightless} "{sys.executable}" -m paver {argv}', site)
        assert ran.returncode == code, ran
    assert sorted(site.rglob("*")) == before


def test_a_command_that_is_asked_to_go_ends_what_it_began() -> None:
    code = (
        "import sys, time\n"
        "from paver import __main__\n"
        "from types import SimpleNamespace\n"
        "from paver.cli import parsers\n"
        "def run(arguments):\n"
        "    try:\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('ended', flush=True)\n"
        "parsers.module_of = lambda name: SimpleNamespace(run=run)\n"
        "parsers.of = lambda name, module: SimpleNamespace(parse_args=lambda rest: None)\n"
        "sys.argv = ['paver', 'status']\n"
        "sys.exit(__main__.main())\n"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        running.terminate()
        told, errors = running.communicate(timeout=20)
    assert told == "ended\n"
    assert "stopped: the same command goes on from here" in errors
    assert running.returncode == 130


def test_neither_a_command_nor_what_it_starts_leaves_its_memory_on_a_disk() -> None:
    code = (
        "import resource, subprocess, sys\n"
        "from paver import __main__\n"
        "from types import SimpleNamespace\n"
        "from paver.cli import parsers\n"
        "most = resource.getrlimit(resource.RLIMIT_CORE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (most, most))\n"
        "def run(arguments):\n"
        "    print(resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)\n"
        "    return subprocess.run(['grep', 'Max core file size', '/proc/self/limits']).returncode\n"
        "parsers.module_of = lambda name: SimpleNamespace(run=run)\n"
        "parsers.of = lambda name, module: SimpleNamespace(parse_args=lambda rest: None)\n"
        "sys.argv = ['paver', 'status']\n"
        "sys.exit(__main__.main())\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    own, theirs = ran.stdout.splitlines()
    limit = "0" if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 else "1"
    assert (own, theirs.split()[4]) == (limit, limit)
