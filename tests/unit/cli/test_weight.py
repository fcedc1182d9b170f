"""What a verb loads: nothing that it does not use. In a process of its own it would be timed; here it is counted."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from paver.cli.commands import COMMANDS

FOLDER = Path(__file__).parents[3] / "paver" / "cli"
HEAVY = frozenset(
    {
        "pydantic",
        "yaml",
        "cryptography",
        "pyVmomi",
        "paramiko",
        "httpx",
        "botocore",
        "minio",
        "rich",
        "jinja2",
        "shtab",
    }
)
LIGHT = frozenset({"paver.cli", "paver.errors", "paver.report.table", "paver.report.words", "paver"})


def at_import(path: Path) -> set[str]:
    """Returns the modules that a file imports when it is imported itself, types aside."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found


@pytest.mark.parametrize("verb", [*COMMANDS, "opening", "acting", "entry", "parsers", "out"])
def test_a_verb_loads_nothing_heavy_before_it_runs(verb: str) -> None:
    imported = at_import(FOLDER / f"{verb}.py")
    assert not {name.partition(".")[0] for name in imported} & HEAVY
    own = {name for name in imported if name.partition(".")[0] == "paver"}
    assert {name for name in own if not name.startswith("paver.cli.")} <= LIGHT


def test_every_verb_is_a_module_with_help_and_a_function() -> None:
    for verb in COMMANDS:
        assert importlib.util.find_spec(f"paver.cli.{verb}") is not None
        names = {
            target.id
            for node in ast.parse((FOLDER / f"{verb}.py").read_text()).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        assert "EXAMPLES" in names, verb
