"""Whose a host is, before anything is planned on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import Grade
from paver.drivers.vsphere import DRIVER, preflight_state, settings
from paver.drivers.vsphere.host import reading
from paver.sitefile import Site
from paver.sitefile.load import loads
from tests.support.vsphere_lab import text_of

PINS = ["sha256:" + ":".join([f"{number:02x}"] * 32) for number in (1, 2)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return loads(text_of(PINS), {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)


def host(manager: str | None) -> Any:
    about = SimpleNamespace(name="VMware ESXi", version="8.0.3", build="1", apiType="HostAgent")
    values = {reading.MANAGER: manager, preflight_state.MAINTENANCE: False}
    return SimpleNamespace(name="esx-01", content=SimpleNamespace(about=about), one=lambda *_: (None, values))


def grades(site: Site, manager: str | None) -> dict[str, Grade]:
    return {one.check: one.grade for one in preflight_state.state(site, "esx-01", host(manager))}


def test_a_host_that_another_vcenter_manages_is_refused_and_the_sites_own_is_not(site: Site) -> None:
    own = str(settings.of(site).vcenter.address)
    assert {grades(site, manager)["manager"] for manager in (None, "", own)} == {Grade.OK}
    (found,) = (
        one for one in preflight_state.state(site, "esx-01", host("192.0.2.7")) if one.check == "manager"
    )
    assert (found.grade, found.seen) == (Grade.REFUSED, "the vCenter at 192.0.2.7")


def test_a_host_that_is_in_no_cluster_may_be_anybodys(site: Site) -> None:
    wished = settings.of(site)
    clusters = {
        name: cluster.model_copy(update={"hosts": ("esx-02",)})
        for name, cluster in wished.inventory.clusters.items()
    }
    inventory = wished.inventory.model_copy(update={"clusters": clusters})
    alone = dataclasses.replace(site, iaas=wished.model_copy(update={"inventory": inventory}))
    assert "manager" not in grades(alone, "192.0.2.7")
