"""The floors that CONTRIBUTING.md shows are those that import-linter holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

TREE = Path(__file__).parents[2]


def test_the_table_of_floors_is_the_layers_of_the_linter() -> None:
    contracts = tomllib.loads((TREE / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    held = [{room.strip().removeprefix("paver.") for room in floor.split("|")} for floor in layers]
    _, _, table = (TREE / "CONTRIBUTING.md").read_text().partition("| floor | rooms |\n| --- | --- |\n")
    rows = table.partition("\n\n")[0].splitlines()
    assert [{*re.findall(r"`(\w+)`", row.split(" | ")[0])} for row in rows] == held
