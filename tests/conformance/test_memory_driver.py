"""The driver of a third party: installed from its wheel, found by its entry points, held to the suite."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paver.runs.conformance import NotConforming, lives
from tests.support.memory import memory

SOURCE = Path(__file__).parent / "memory_driver"
ASK = "from paver.runs.compose import drivers; d = drivers(); print(sorted(d), d['memory'].kinds[1].kind)"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(build, cwd=SOURCE, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    target = out / "site"
    # Installing a pure wheel is unpacking it: metadata and entry points lie in its .dist-info.
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(target)
    return target


def python(installed: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Runs Python where the driver is installed, far from paver's source tree."""
    env = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *argv], env=env, cwd=installed, capture_output=True, text=True, check=False
    )


def test_a_driver_is_found_by_its_entry_point(installed: Path) -> None:
    assert python(installed, "-c", ASK).stdout == "['memory', 'vsphere'] memory.box\n"


def test_a_driver_needs_nothing_but_the_plugin_api(installed: Path) -> None:
    tree = ast.parse((installed / "paver_memory" / "__init__.py").read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert {name for name in modules if name.startswith("paver")} == {"paver.driver"}


def test_what_a_driver_finds_in_a_site_file_comes_from_the_plugin_api_which_loads_no_pydantic_for_it(
    installed: Path,
) -> None:
    ran = python(
        installed,
        "-c",
        "import sys, paver.driver; print('pydantic' in sys.modules)\n"
        "from paver.driver import Diagnostic, Severity\n"
        "found = Diagnostic(file='site.yml', line=3, column=5, path='iaas.shelves', message='two of one name')\n"
        "print(found.lines()[0], found.severity is Severity.ERROR)",
    )
    assert ran.stdout == "False\nerror: site.yml:3:5: iaas.shelves: two of one name True\n", ran.stderr


def test_a_third_partys_driver_is_led_through_its_life_by_the_command(installed: Path) -> None:
    ran = python(installed, "-m", "paver", "lab", "conformance", "--driver", "memory")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[0] == "memory: 2 of 2 kinds take part"
    assert ran.stdout.splitlines()[-1] == "memory 1 conforms"


def _reads_what_it_wishes(patch: pytest.MonkeyPatch) -> None:
    read = memory.Box.read

    def wished(self: Any, world: Any) -> Any:
        found = read(self, world)
        return found and dataclasses.replace(found, size=self.size)

    patch.setattr(memory.Box, "read", wished)


def _writes_while_planning(patch: pytest.MonkeyPatch) -> None:
    read = memory.Box.read

    def busy(self: Any, world: Any) -> Any:
        memory.Room(world.session(self.at)._path, lambda *_: None).write("put", "seen", None)
        return read(self, world)

    patch.setattr(memory.Box, "read", busy)


def _keeps_its_old_mark(patch: pytest.MonkeyPatch) -> None:
    update = memory.Box.update

    def kept(self: Any, world: Any, facts: Any, fields: Any) -> None:
        if fields:
            update(self, world, facts, fields)

    patch.setattr(memory.Box, "update", kept)


def _leaves_something(patch: pytest.MonkeyPatch) -> None:
    delete = memory.Box.delete.__func__

    def left(cls: Any, world: Any, at: Any, facts: Any) -> None:
        delete(cls, world, at, facts)
        world.writing(at).write("remove", "crumbs", {"colour": "grey"})

    patch.setattr(memory.Box, "delete", classmethod(left))


def _deletes_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memory.Box, "delete", classmethod(lambda *_: None))


def _discovers_no_boxes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memory.Box, "discover", classmethod(lambda *_: ()))


def _discovers_no_dials(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memory.Dial, "discover", classmethod(lambda *_: ()))


def _discovers_what_it_would_not_read(patch: pytest.MonkeyPatch) -> None:
    discover = memory.Box.discover.__func__

    def otherwise(cls: Any, world: Any, at: Any) -> Any:
        return [dataclasses.replace(one, colour="") for one in discover(cls, world, at)]

    patch.setattr(memory.Box, "discover", classmethod(otherwise))


def _has_no_grounds(patch: pytest.MonkeyPatch) -> None:
    offered: Any = importlib.import_module("paver_memory.conformance")
    wish = offered.wish
    patch.setattr(offered, "wish", lambda settings: dataclasses.replace(wish(settings), grounds=()))


def _has_one_more_kind(patch: pytest.MonkeyPatch) -> None:
    more = type("Crate", (memory.Box,), {"kind": "memory.crate"})
    patch.setattr(memory.MemoryDriver, "kinds", (memory.Dial, memory.Box, more))


BROKEN: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    _reads_what_it_wishes: "what is wished otherwise, and nothing else, is planned",
    _writes_while_planning: "planning writes nothing",
    _keeps_its_old_mark: "could not be acted on",
    _leaves_something: "the end equals the start",
    _deletes_nothing: "could not be acted on",
    _discovers_no_boxes: "what was made is found by its kind where nobody wishes for it",
    _discovers_no_dials: "what was made is found by its kind where nobody wishes for it",
    _discovers_what_it_would_not_read: "what is found by its kind is what its wish would read",
    _has_no_grounds: "what was made is found by its kind where nobody wishes for it",
    _has_one_more_kind: "every kind is led through, or said to be beyond this world",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: one.__name__.strip("_"))
def test_a_driver_that_breaks_a_rule_does_not_conform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    broken(monkeypatch)
    offer: Any = importlib.import_module("paver_memory.conformance").subject
    with offer(tmp_path) as subject, pytest.raises(NotConforming, match=BROKEN[broken]):
        for _ in lives(subject):
            pass


def test_a_driver_that_offers_nothing_is_told_how(installed: Path) -> None:
    ran = python(installed, "-m", "paver", "lab", "conformance", "--driver", "vsphere")
    assert ran.returncode == 3
    assert "nothing is offered to hold the driver vsphere by" in ran.stderr
