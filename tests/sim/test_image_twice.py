"""A second build runs as on another machine, and ends with whoever wanted it: with a stand-in for the build itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from paver.image.prove import elsewhere, second
from tests.support import tools
from tests.support.process import gone
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
BUILD = """\
import json, os, subprocess, sys
out = sys.argv[sys.argv.index("--out") + 1]
os.mkdir(out)
print("    3 s  base: unpacking")
said = dict(argv=sys.argv[1:], tree=os.path.dirname(os.path.dirname(__file__)),
    cache=os.environ["XDG_CACHE_HOME"], compiled=os.environ["GOCACHE"])
print(json.dumps(said), file=open(os.path.join(out, "said.json"), "w"))
{more}
open(os.path.join(out, "x.ova"), "w").close()
"""
WAITS = """\
child = subprocess.Popen(["sleep", "600"])
print(os.getpid(), child.pid, file=open({pids!r}, "w"), flush=True)
child.wait()
"""
PROVE = """\
import pathlib, signal, sys, paver.__main__
from paver.image.prove import elsewhere, second
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, paver.__main__._stopped)
with second.place() as within:
    tree = within / "tree"
    (tree / "paver").mkdir(parents=True)
    (tree / "paver" / "__init__.py").touch()
    (tree / "paver" / "__main__.py").write_text({build!r})
    there = elsewhere.make(within, tree)
    links = {{"GOCACHE": str(within / "compiled")}}
    print(second.built(there, links, within, pathlib.Path({log!r}), print))
    print((within / "out" / "said.json").read_text())
"""


def proof(tmp_path: Path, more: str) -> tuple[list[str], dict[str, str]]:
    code = PROVE.format(build=BUILD.format(more=more), log=str(tmp_path / "build.log"))
    # Found, so that none of them has it unpacked anew into its own cache.
    clock = tools.program("faketime", "faketime").parent
    path = f"{os.environ['PATH']}{os.pathsep}{clock}"
    return [sys.executable, "-c", code], {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PATH": path,
    }


def test_elsewhere_all_is_another_that_this_machine_lets_be(tmp_path: Path) -> None:
    tree = tmp_path / "a tree"
    tree.mkdir()
    there = elsewhere.make(tmp_path / "x y", tree)
    found = {line.what.removeprefix("another "): line for line in elsewhere.varied(there)}
    assert list(found) == [
        "path",
        "Python",
        "host name",
        "time zone",
        "locale",
        "umask",
        "number of processors",
        "date",
    ]
    assert {name for name, line in found.items() if not line.holds} == there.kept.keys()
    # Who is not root has no host name of its own to give; the rest is to be had by anybody.
    assert there.kept.keys() <= ({"host name"} if os.geteuid() else set()) | (
        {"number of processors"} if len(os.sched_getaffinity(0)) == 1 else set()
    )
    ran = subprocess.run(
        [*there.argv, str(there.python), "-c", "import pip, pydantic, time; print(time.time())"],
        env=dict(there.environment),
        cwd=tree,
        capture_output=True,
        text=True,
        check=True,
    )
    now = float(subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True).stdout)
    assert abs(float(ran.stdout) - now - elsewhere.DAYS * 86400) < 3600


def test_a_second_build_is_paver_itself_in_the_copied_tree_with_caches_of_its_own(tmp_path: Path) -> None:
    argv, environment = proof(tmp_path, "")
    ran = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    *told, made, said = ran.stdout.strip().splitlines()
    within = tmp_path / "cache" / "paver" / "image" / second.PLACE / "another path"
    assert (told, made) == (["base: unpacking"], str(within / "out" / "x.ova"))
    seen = json.loads(said)
    assert (seen["tree"], seen["cache"]) == (str(within / "tree"), str(within / "cache"))
    assert seen["compiled"] == str(within / "compiled")
    assert seen["argv"][:2] == ["image", "build"]
    assert "--offline" in seen["argv"]
    assert seen["argv"][seen["argv"].index("--pool") + 1] == str(
        tmp_path / "cache" / "paver" / "image" / "pool"
    )
    assert not within.parent.exists()


def test_a_second_build_that_fails_is_told_with_what_it_said_last(tmp_path: Path) -> None:
    argv, environment = proof(tmp_path, 'sys.exit("error: no space")')
    ran = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "paver.errors.PaverError: the second build failed" in ran.stderr
    assert (tmp_path / "build.log").read_text().splitlines()[-1] == "error: no space"
    assert not (tmp_path / "cache" / "paver" / "image" / second.PLACE).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_second_build_that_is_interrupted_leaves_no_process_and_no_folder(
    tmp_path: Path, number: signal.Signals
) -> None:
    pids = tmp_path / "pids"
    argv, environment = proof(tmp_path, WAITS.format(pids=str(pids)))
    place = tmp_path / "cache" / "paver" / "image" / second.PLACE
    with subprocess.Popen(argv, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL) as running:
        until(lambda: pids.exists() and pids.read_text().endswith("\n"), "it builds")
        mine = [int(pid) for pid in pids.read_text().split()]
        assert not any(map(gone, mine))
        running.send_signal(number)
        running.wait(60)
    if number is not signal.SIGKILL:
        assert all(map(gone, mine))
        assert not place.exists()
    until(lambda: gone(mine[0]), "the build is gone")
