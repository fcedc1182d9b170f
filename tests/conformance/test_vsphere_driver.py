"""The vSphere driver, held to the suite that holds any driver, against simulated hosts and their vCenter."""

from __future__ import annotations

from pathlib import Path

import pytest

from paver.runs.conformance import NotConforming, lives
from tests.conformance.vsphere import BEYOND, subject

pytestmark = pytest.mark.lab


def test_every_kind_that_the_simulator_carries_lives_from_list_to_delete(tmp_path: Path) -> None:
    told: list[str] = []
    with subject(tmp_path) as driver:
        try:
            told.extend(lives(driver))
        except NotConforming as error:
            pytest.fail("\n".join([*told, *error.lines()]))
    assert told[0] == f"{len(driver.kinds) - len(BEYOND)} of {len(driver.kinds)} kinds take part"
    assert told[-1].startswith("they are taken away")
