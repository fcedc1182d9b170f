"""Every kind of bad input, one file a case: what is wrong with a site file, and the lines that say so.

A case changes `good/lab-north.yml` (`change`: pairs of old and new text), or is a whole text (`text`, `base64`).
Its `expect` is what a terminal shows.
"""

from __future__ import annotations

import base64
import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from paver.drivers.vsphere import check, settings
from paver.errors import BadInput
from paver.sitefile import load
from paver.sitefile.diagnostic import UNSEEN, Diagnostic, Severity, SiteErrors
from paver.sitefile.site import Site

CASES = pathlib.Path(__file__).parents[1] / "cases" / "sitefile"
GOOD = (CASES / "good" / "lab-north.yml").read_text()


@dataclasses.dataclass(frozen=True)
class Vsphere:
    name: str = "vsphere"
    settings: type[BaseModel] = settings.Settings

    def check(self, site: Site) -> Iterable[Diagnostic]:
        return check.check(site)


def content(case: dict[str, Any]) -> str | bytes:
    if "text" in case:
        text: str = case["text"]
        return text
    if "base64" in case:
        return base64.b64decode(case["base64"])
    text = GOOD
    for old, new in case["change"]:
        assert old in text, f"{old!r} is not in the good site file"
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize("path", sorted(CASES.glob("*.yml")), ids=lambda path: path.stem)
def test_says_exactly_what_is_wrong(path: pathlib.Path) -> None:
    case = yaml.safe_load(path.read_text())
    expected = case["expect"].splitlines()
    if path.stem.startswith("warning-"):
        site = load.loads(content(case), {"vsphere": Vsphere()}, file="site.yml", folder=CASES)
        assert {warning.severity for warning in site.warnings} == {Severity.WARNING}
        assert SiteErrors(site.warnings, whole=True).lines() == expected
        return
    with pytest.raises(SiteErrors) as refused:
        load.loads(content(case), {"vsphere": Vsphere()}, file="site.yml", folder=CASES)
    unseen = [] if refused.value.whole else ["", UNSEEN]
    assert refused.value.lines() == [*expected, *unseen]
    assert refused.value.exit_code == 3
    assert "hunter2" not in "\n".join(refused.value.lines())


def test_no_case_is_without_its_good_file() -> None:
    site = load.loads(GOOD, {"vsphere": Vsphere()}, file="site.yml", folder=CASES)
    assert site.warnings == ()


def test_a_file_that_is_not_there_is_bad_input(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BadInput, match=r"site\.yml can't be read") as refused:
        load.load(tmp_path / "site.yml", {})
    assert refused.value.exit_code == 3


def test_a_folder_is_no_site_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BadInput, match="can't be read"):
        load.load(tmp_path, {})


def test_a_file_that_is_too_large_is_not_even_parsed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "site.yml"
    path.write_bytes(b"a" * (2 * 1024 * 1024))
    with pytest.raises(SiteErrors, match="1 error") as refused:
        load.load(path, {})
    assert "the file is too large" in refused.value.lines()[0]


def test_without_a_driver_the_rest_of_the_file_is_checked_all_the_same() -> None:
    with pytest.raises(SiteErrors) as refused:
        load.loads(GOOD.replace("10.30.0.12", "10.30.0.300"), {}, file="site.yml", folder=CASES)
    messages = [found.message for found in refused.value.diagnostics]
    assert messages == ["there is no such driver", "10.30.0.300 is not an IPv4 address"]
