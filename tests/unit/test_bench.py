"""The bench measures what users run, and tells what nobody gets below."""

from __future__ import annotations

import importlib.util
import marshal
import os
import sys
from pathlib import Path

import pytest

from tests.bench import ova
from tests.bench.__main__ import compiled
from tests.bench.measure import Row


def test_what_is_measured_is_compiled_also_where_python_writes_nothing_that_it_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = tmp_path / "paver" / "deep" / "module.py"
    module.parent.mkdir(parents=True)
    module.write_text("SAID = 'once'\n")

    assert compiled(tmp_path / "paver")

    assert said(module) == "once"
    module.write_text("SAID = 'again'\n")
    os.utime(module, (1, 1))  # compiled files are known by whole seconds
    assert compiled(tmp_path / "paver")
    assert said(module) == "again"


def test_what_cannot_be_compiled_is_told(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("SAID = 'once'\n")
    # No folder can be made where a file lies: a place that nobody may write, also for root.
    (tmp_path / "__pycache__").write_text("")

    assert not compiled(tmp_path)


def test_the_floor_of_an_upload_is_its_digest_alone_and_then_what_the_peer_takes() -> None:
    row = Row("OVA", paver=3.0, peer=2.0, against="govc", ratio=1.5, goal=1.05)

    found = ova.floor(row, 0.5)

    assert (found.paver, found.peer, found.ratio, found.goal) == (2.5, 2.0, 1.25, None)
    assert "0.50 s" in found.what


def said(module: Path) -> str:
    data = Path(importlib.util.cache_from_source(str(module))).read_bytes()
    found: dict[str, str] = {}
    exec(marshal.loads(data[16:]), found)  # noqa: S102, S302 - compiled a moment ago
    return found["SAID"]
