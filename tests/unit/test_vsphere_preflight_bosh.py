"""Whether what BOSH will make finds room, by the rule of its CPI."""

from __future__ import annotations

import pathlib

import pytest

from paver.driver import Grade
from paver.drivers.vsphere import DRIVER, preflight_bosh
from paver.drivers.vsphere.preflight_bosh import Room
from paver.sitefile import Site, load

GOOD = (pathlib.Path(__file__).parents[1] / "cases" / "sitefile" / "good" / "lab-north.yml").read_text()
GB = 10**9


@pytest.fixture
def site() -> Site:
    return load.loads(GOOD, {"vsphere": DRIVER}, file="site.yml", folder=pathlib.Path("/site"))


def grade(site: Site, *gigabytes: int, managed: bool = False) -> str | None:
    rooms = {
        host: Room(managed, {"datastore1": free * GB})
        for host, free in zip(("esx-01", "esx-02"), gigabytes, strict=False)
    }
    found = list(preflight_bosh.placeable(site, rooms))
    assert len(found) <= 1
    return found[0].grade.value if found else None


@pytest.mark.parametrize(
    ("free", "graded"),
    [
        ((700, 700), Grade.OK),
        # vCenter and the jumpbox are on the first one; of the second all is BOSH's.
        ((100, 700), Grade.OK),
        ((100, 150), Grade.WARNING),
        ((100, 105), Grade.REFUSED),
    ],
)
def test_the_largest_disk_has_to_find_its_full_size_on_one_datastore_and_all_of_them_should(
    site: Site, free: tuple[int, int], graded: Grade
) -> None:
    assert grade(site, *free) == graded.value


def test_of_hosts_that_a_vcenter_has_or_that_could_not_be_asked_nothing_is_said(site: Site) -> None:
    assert grade(site, 1, 1, managed=True) is None
    assert grade(site, 1) is None


def test_the_finding_names_the_disk_and_what_it_takes(site: Site) -> None:
    rooms = {host: Room(managed=False, free={"datastore1": 100 * GB}) for host in ("esx-01", "esx-02")}
    (found,) = preflight_bosh.placeable(site, rooms)
    assert (
        found.why == "BOSH's CPI places the object store's persistent disk only where its full size is free"
    )
    assert found.wanted == "108 GB on one"
