"""A site's whole wish."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from paver.errors import BadInput
from paver.runs.compose import compose, drivers, phases
from paver.sitefile.load import load

GOOD = Path(__file__).parents[1] / "cases" / "sitefile" / "good" / "lab-north.yml"


def test_phases_come_from_trust_driver_and_foundation() -> None:
    found = phases(drivers()["vsphere"])
    assert found[0] == "trust"
    assert found[-3:] == ("bucc", "services", "handover")


def test_a_renaming_that_nobody_carries_out_is_refused() -> None:
    installed = drivers()
    site = dataclasses.replace(load(GOOD, installed), moved={"s3.bucket:a": "s3.bucket:b"})
    with pytest.raises(BadInput, match="`moved` is not carried out"):
        compose(site, installed["vsphere"])
