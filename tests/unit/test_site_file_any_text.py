"""Whatever stands in a file: it is a site, or findings inside of the file, and no secret gets out."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import re
from collections.abc import Iterable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as rounds
from hypothesis import strategies as st
from pydantic import BaseModel

from paver.drivers.vsphere import check, settings
from paver.sitefile import load, parse, tree
from paver.sitefile.diagnostic import Diagnostic, SiteErrors, cells
from paver.sitefile.site import Site
from paver.sitefile.source import LINE_BREAK

GOOD = (pathlib.Path(__file__).parents[1] / "cases" / "sitefile" / "good" / "lab-north.yml").read_text()
TOKENS = sorted(set(re.findall(r"[A-Za-z0-9_.:/-]+|[^A-Za-z0-9]", GOOD)))
MARKER = "Hunter2Hunter2"


@dataclasses.dataclass(frozen=True)
class Vsphere:
    name: str = "vsphere"
    settings: type[BaseModel] = settings.Settings

    def check(self, site: Site) -> Iterable[Diagnostic]:
        return check.check(site)


def findings(data: str | bytes) -> tuple[Diagnostic, ...]:
    """Loads; any other exception than SiteErrors is the test's failure."""
    try:
        site = load.loads(data, {"vsphere": Vsphere()}, file="site.yml", folder=pathlib.Path("/site"))
    except SiteErrors as error:
        return error.diagnostics
    assert len(site.digest()) == 64
    return site.warnings


def assert_inside(data: str | bytes) -> None:
    text = data if isinstance(data, str) else data.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    lines = LINE_BREAK.split(text.removeprefix("\ufeff"))
    for found in findings(data):
        assert 1 <= found.line <= len(lines)
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
        assert all(line.isprintable() for line in found.lines()), found.lines()
        start, length = found.caret
        assert start >= 0
        assert length >= 1


@given(st.text(alphabet="ab字…", min_size=1, max_size=98), st.data())
def test_an_excerpt_fits_any_terminal_and_underlines_what_it_underlined(
    text: str, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(text) - 1))
    last = data.draw(st.integers(first + 1, len(text)))
    caret = (cells(text[:first]), cells(text[first:last]))
    found = Diagnostic(file="f", line=7, column=1, path="", message="m", excerpt=text, caret=caret)
    for width in (*range(20, 111, 10), None):
        _, excerpt, under = found.lines(width)
        assert width is None or max(cells(excerpt), cells(under)) <= width
        assert excerpt.startswith("    7 | ")
        assert under.startswith("      | ")
        underlined = [at for at, sign in enumerate(under) if sign == "^"]
        told = "".join(sign for at, sign in enumerate(excerpt) if cells(excerpt[:at]) in underlined)
        whole = width is None or cells(text) + 8 <= width
        assert (
            told == text[first:last]
            if whole
            else text[first:last].startswith(told.removesuffix("…") or text[first])
        )


@given(st.text(max_size=200))
def test_any_text_is_a_site_or_findings(text: str) -> None:
    assert_inside(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_site_or_findings(data: bytes) -> None:
    assert_inside(data)


@given(st.text(alphabet="{}[]:,-#&*!|>'\"%@`?~ \n\tab1.", max_size=80))
def test_any_heap_of_yamls_own_signs_is_a_site_or_findings(text: str) -> None:
    assert_inside(text)


@rounds(max_examples=150)
@given(st.data())
def test_a_good_file_with_pieces_replaced_is_a_site_or_findings(data: st.DataObject) -> None:
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 30))
        piece = "".join(data.draw(st.lists(st.sampled_from(TOKENS), max_size=4)))
        text = text[:start] + piece + text[start + length :]
    assert_inside(text)


YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@functools.cache
def good() -> tree.Node:
    root = parse.parse(GOOD, "site.yml").root
    assert root is not None
    return root


def written(value: object) -> str:
    """Returns a value as JSON, which is YAML, with signs that YAML takes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(key)}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    escaped = "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08X}" for c in str(value))
    return f'"{escaped}"'


def replaced(path: tree.Path, value: object) -> str:
    above: Any = (root := tree.plain(good()))
    for key in path[:-1]:
        above = above[key] if key in above or isinstance(key, int) else above.setdefault(key, {})
    above[path[-1]] = value
    return written(root)


@rounds(max_examples=300)
@given(st.sampled_from([path for path, _ in tree.walk(good()) if path]), YAML_VALUES)
def test_any_value_in_any_place_is_a_site_or_findings(path: tree.Path, value: object) -> None:
    assert_inside(replaced(path, value))


SECRET_PLACES: list[tree.Path] = [
    ("iaas", "hosts", "esx-01", "login"),
    ("iaas", "hosts", "esx-01", "licence"),
    ("iaas", "hosts", "esx-01", "root_pasword"),
    ("iaas", "vcenter", "passwords"),
    ("iaas", "inventory", "cpi", "password"),
    ("services", "registry", "login"),
    ("secrets", "key"),
]
OTHER_PLACES: list[tree.Path] = [
    ("iaas", "inventory", "cpi"),
    ("services", "object_store", "users"),
    ("services", "object_store", "external"),
    ("services", "registry", "external"),
    ("jumpbox",),
    ("bucc", "artefact"),
]


def never_shown(path: tree.Path, value: object) -> None:
    found = findings(replaced(path, value))
    assert found
    assert MARKER not in "\n".join(line for one in found for line in one.lines())


@pytest.mark.parametrize("path", SECRET_PLACES, ids=tree.dotted)
@pytest.mark.parametrize(
    "value", [MARKER, [MARKER], {"root": MARKER}, {"user": "x", "password": [MARKER]}], ids=str
)
def test_what_stands_where_a_reference_belongs_is_never_shown(path: tree.Path, value: object) -> None:
    never_shown(path, value)


@pytest.mark.parametrize("path", OTHER_PLACES, ids=tree.dotted)
@pytest.mark.parametrize(
    "value",
    [
        {"password": MARKER},
        {"ci": {"secret": MARKER}},
        {"login": {"user": "x", "password": MARKER}},
        {"endpoint": f"https://me:{MARKER}@s3.corp.example"},
        f"https://me:{MARKER}@s3.corp.example/bucc.tar",
    ],
    ids=str,
)
def test_what_is_named_or_built_like_a_secret_is_never_shown(path: tree.Path, value: object) -> None:
    never_shown(path, value)


def test_three_hundred_hosts_are_one_line_each() -> None:
    hosts = "".join(
        f"    esx-{index}: {{like: esx-01, address: 10.20.{index // 200 + 1}.{index % 200 + 1}, "
        f'fingerprint: "sha256:{index:064x}"}}\n'
        for index in range(100, 400)
    )
    text = GOOD.replace("  vcenter:\n", hosts + "  vcenter:\n", 1).replace("10.20.0.0/24", "10.20.0.0/16")
    site = load.loads(text, {"vsphere": Vsphere()}, file="site.yml", folder=pathlib.Path("/site"))
    assert len(settings.of(site).hosts) == 302


def _read(text: str) -> object:
    try:
        return _plain(parse.parse(text, "site.yml").root)
    except SiteErrors as error:
        return error.diagnostics


def _plain(node: tree.Node | None) -> object:
    """Values and places, but where lists, maps and nothing end: the parsers see that a column apart."""
    if isinstance(node, tree.MapNode):
        return {(key, node.keys[key]): _plain(value) for key, value in node.entries.items()}
    if isinstance(node, tree.ListNode):
        return [_plain(item) for item in node.items]
    return None if node is None or node.value is None else node


@given(
    st.text(st.sampled_from("ab0: -?,[]{}#&*!|>'\"%@`~\\\t\r\n\ufeff\u0085\u2028äB\U0001f600"), max_size=24)
)
@rounds(max_examples=400)
def test_both_parsers_read_the_same_or_tell_the_same(text: str) -> None:
    read = _read(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "FAST", yaml.SafeLoader)
        assert _read(text) == read


def test_an_escape_that_is_no_character_is_told_with_its_place() -> None:
    (found,) = findings('name: "\\U00110000"\n')
    assert (found.line, found.message[:9]) == (1, "not YAML:")
