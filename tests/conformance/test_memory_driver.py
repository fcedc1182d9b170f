"""The driver of a third party: installed from its wheel, found by its entry point, held to the suite."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conformance.suite import lives
from tests.support.engine_run import Engine
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


def test_a_driver_is_found_by_its_entry_point(installed: Path) -> None:
    env = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run([sys.executable, "-c", ASK], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout == "['memory', 'vsphere'] memory.box\n"


def test_a_driver_needs_nothing_but_the_plugin_api(installed: Path) -> None:
    text = (installed / "paver_memory" / "__init__.py").read_text()
    imports = {
        line.split()[1] for line in text.splitlines() if line.startswith(("from paver", "import paver"))
    }
    assert imports == {"paver.driver"}


def test_a_wish_lives_from_list_to_delete(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    settings = memory.Settings(
        folder=str(room), shelves={"a": {"x": 3, "y": 4}, "b": {"z": 1}}, dials={"heat": 7}
    )

    def listing() -> dict[str, object]:
        found = {path.name: json.loads(path.read_text()) for path in room.iterdir() if path.name != "trace"}
        return {name: things for name, things in found.items() if things}

    def writes() -> int:
        trace = room / "trace"
        return len(trace.read_text().splitlines()) if trace.exists() else 0

    def drift() -> set[str]:
        things = json.loads((room / "a").read_text())
        things["x"]["size"] = 99
        (room / "a").write_text(json.dumps(things))
        dials = json.loads((room / "dials").read_text())
        dials["heat"]["value"] = 1
        (room / "dials").write_text(json.dumps(dials))
        return {"memory.box:a/x", "memory.dial:heat"}

    lives(Engine(tmp_path), memory.wish(settings), listing, writes, drift)
