"""What needs only a machine, as any driver takes it in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paver.driver import Output, Resource, ResourceId
from paver.drivers.vsphere import DRIVER
from paver.machine import jumpbox
from paver.machine.brought import pave as brought
from paver.machine.site_services import pave as site_services
from paver.sitefile import Site
from paver.sitefile.load import loads
from tests.support.vsphere_lab import text_of

MADE_BY = ResourceId("another.vm:jumpbox")
AT = jumpbox.endpoint(MADE_BY)
RECORDS = (("jumpbox.north.example", "10.20.0.10"),)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    pins = ["sha256:" + ":".join([f"{number:02x}"] * 32) for number in (1, 2)]
    return loads(
        text_of(pins, dns="jumpbox", ntp="jumpbox"), {"vsphere": DRIVER}, file="site.yml", folder=tmp_path
    )


def by_id(*resources: Resource[Any]) -> dict[str, Resource[Any]]:
    return {resource.id: resource for resource in resources}


def test_dns_and_time_stand_in_whatever_made_the_jumpbox(site: Site) -> None:
    made = by_id(*site_services.resources(site, RECORDS, phase="any", at=AT))
    assert set(made) == {site_services.DNS, site_services.NTP}
    assert {(one.phase, one.at, one.within) for one in made.values()} == {("any", AT, MADE_BY)}
    assert made[site_services.DNS].wish()["records"] == RECORDS


def test_a_file_is_brought_once_the_jumpbox_stands_and_known_by_its_digest() -> None:
    made = by_id(*brought.resources("bucc", "dist/bucc.tar.gz", phase="any", at=AT))
    here, there = (one for one in made.values())
    assert (here.after, here.within) == (frozenset({MADE_BY}), None)
    assert (there.id, there.within) == (brought.artefact("bucc"), MADE_BY)
    assert there.wish() == {
        "source": "dist/bucc.tar.gz",
        "name": "bucc.tar.gz",
        "sha256": Output(here.id, "sha256"),
    }


def test_every_kind_that_leaves_something_on_the_machine_is_looked_for_there() -> None:
    grounds = (*site_services.grounds("any", AT), *brought.grounds("any", AT))
    leaving = {kind for kind in (*site_services.KINDS, *brought.KINDS) if not kind.setting}
    assert {ground.kind for ground in grounds} == leaving
    assert {(ground.at, ground.phase) for ground in grounds} == {(AT, "any")}


def test_the_jumpbox_is_reached_by_the_keys_that_whatever_made_it_reads(site: Site) -> None:
    found: Any = jumpbox.connector(site, MADE_BY)
    assert found.host_keys == Output(MADE_BY, "host_keys")
    assert found.key == jumpbox.KEY.secret
