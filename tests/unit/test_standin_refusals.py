"""The documentation's table of what the stand-ins refuse: each row is a test, with as many cases as the test has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs/explanation/what-is-simulated.md"
FILES = (
    *sorted((TESTS / "unit").glob("test_standin_*.py")),
    *sorted((TESTS / "sim/standins").glob("test_*.py")),
    TESTS / "unit/test_vcsa_template.py",
    TESTS / "sim/test_vcsa_deploy.py",
    TESTS / "sim/test_lab_jumpbox.py",
    TESTS / "sim/test_lab_vcsa.py",
)
HEAD = "| stand-in | refused | cases | source | test |"
_REFUSED = re.compile(r"_(is|are)_refused|_refuses_a_|_fails_in_the_cpi")


def _cases(function: ast.FunctionDef) -> int:
    """How many cases a test has, by its parameters as they are written; 0 where they are no list."""
    number = 1
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.parametrize":
            values = decorator.args[1]
            number *= len(values.elts) if isinstance(values, ast.List | ast.Tuple) else 0
    return number


def _tests() -> Iterator[tuple[str, int]]:
    for file in FILES:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                yield node.name, _cases(node)


def _rows() -> list[list[str]]:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    begin = lines.index(HEAD) + 2
    rows = []
    for line in lines[begin:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def test_every_row_is_a_test_with_so_many_cases_and_every_test_of_a_refusal_has_a_row() -> None:
    tests = dict(_tests())
    told = {row[4].strip("` "): int(row[2]) for row in _rows()}
    assert told == {name: tests.get(name) for name in told}
    assert {name for name in tests if _REFUSED.search(name)} - told.keys() == set()


@pytest.mark.parametrize("column", [0, 1, 3])
def test_every_row_says_of_what_what_and_where_that_is_known_from(column: int) -> None:
    assert all(row[column] for row in _rows())
    assert all(len(row) == len(HEAD.strip("|").split(" | ")) for row in _rows())
