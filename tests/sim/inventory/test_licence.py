"""Licences that vCenter gets and assigns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paver.drivers.vsphere import DRIVER, evaluation
from paver.sitefile.load import loads
from tests.support.inventory import (
    HOST,
    entity,
)
from tests.support.vcenter_lab import InventoryRun, VCenter
from tests.support.vsphere_lab import pending, site_of, text_of

pytestmark = pytest.mark.lab


def test_a_licence_that_is_added_to_vcenter_takes_its_evaluations_place_once_it_is_assigned(
    run: InventoryRun,
) -> None:
    key = "VCSTD-VCSTD-VCSTD-VCSTD-VCSTD"
    with run.administrator() as session:
        manager, own = session.content.licenseManager, session.content.about.instanceUuid
        assigner = session.value(manager, "licenseAssignmentManager")

        def assign(key: str) -> None:
            session.call(assigner, "UpdateAssignedLicense", entity=own, licenseKey=key)

        assert session.call(manager, "AddLicense", licenseKey=key).editionKey == "vc.standard.instance"
        assert key in {one.licenseKey for one in session.value(manager, "licenses")}
        assert evaluation.of_vcenter(session)
        assign(key)
        assert not evaluation.of_vcenter(session)
        assign(evaluation.KEY)
        assert evaluation.of_vcenter(session)


def test_a_licence_that_a_site_gets_once_vcenter_has_its_hosts_is_assigned_in_vcenter_and_stays(
    run: InventoryRun, there: VCenter, tmp_path: Path
) -> None:
    run.site = site_of(there.hosts, tmp_path)
    run.fine()
    text = text_of(list(there.hosts.pins.values()))
    text = text.replace("login: secret:esx-root", "login: secret:esx-root\n      licence: secret:esx-licence")
    run.site = loads(text, {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)
    of_inventory = run._keep
    run._keep = lambda resource: of_inventory(resource) or resource.kind == "vsphere.licence"
    run.secrets["esx-licence"] = "EPLUS-EPLUS-EPLUS-EPLUS-EPLUS"
    names = ("esx-01", "esx-02")
    assert pending(run.plan()) == {
        **{f"vsphere.licence:{name}": "update" for name in names},
        **{f"vsphere.cluster-host:{name}": "update" for name in names},
    }

    def licensed() -> dict[str, Any]:
        # It looks after its hosts whenever somebody reads.
        there.inventory()
        return {name: there.hosts.inventory(name)["licence"] for name in names}

    run.fine()
    assert licensed() == dict.fromkeys(names, "enterprise-plus")
    assert pending(run.plan()) == {}

    with run.administrator() as session:
        manager = session.content.licenseManager
        assigner = session.value(manager, "licenseAssignmentManager")
        host = entity(session, "HostSystem", "esx-01.north.example")._moId
        session.call(assigner, "UpdateAssignedLicense", entity=host, licenseKey=evaluation.KEY)
    assert licensed()["esx-01"] == "evaluation"
    assert pending(run.plan()) == {HOST: "update"}
    run.fine()
    assert licensed() == dict.fromkeys(names, "enterprise-plus")

    run.secrets["esx-licence"] = "STD00-STD00-STD00-STD00-STD00"
    run.versions["esx-licence"] = "another"
    run.fine()
    assert licensed() == dict.fromkeys(names, "standard")
    run.fine("destroy")
    assert {name: there.hosts.inventory(name)["licence"] for name in names} == dict.fromkeys(
        names, "evaluation"
    )
