"""What BUCC and BOSH are told of a vSphere site."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from paver.driver import Output, Secret
from paver.drivers.vsphere import DRIVER, endpoints
from paver.drivers.vsphere.host.datastore import may_be
from paver.drivers.vsphere.inventory import bosh, privileges
from paver.drivers.vsphere.inventory import pave as inventory
from paver.drivers.vsphere.inventory.permission import Permission, account
from paver.drivers.vsphere.inventory.role import Role
from paver.drivers.vsphere.inventory.vm_override import id_of as override_id
from paver.drivers.vsphere.vcsa.pave import APPLIANCE
from paver.engine import graph
from paver.engine.values import kind_of
from paver.sitefile import Site
from paver.sitefile.load import loads
from paver.trust import paving
from tests.support.vcenter_lab import with_pool
from tests.support.vsphere_lab import text_of

PINS = ["sha256:" + ":".join([f"{number:02x}"] * 32) for number in (1, 2)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    text = text_of(PINS)
    return loads(text, {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)


def test_buccs_variables_are_those_of_its_vsphere_cpi(site: Site) -> None:
    values = bosh.cpi_values(site)
    assert values == {
        "network_name": "bosh",
        "vcenter_ip": "vcsa.north.example",
        "vcenter_user": "bosh-cpi@vsphere.local",
        "vcenter_password": Secret("vcenter-cpi", bosh.account_password(site).id),
        "vcenter_ca_cert": Output(endpoints.VMCA, "pem"),
        "vcenter_dc": "north",
        "vcenter_cluster": "compute",
        "vcenter_ds": r"\Adatastore1(?: \(\d+\))?\z",
        "vcenter_disks": "BOSH_Disks",
        "vcenter_templates": "BOSH_Templates",
        "vcenter_vms": "BOSH_VMs",
        "vcenter_vm_cpu": 4,
        "vcenter_vm_ram": 16640,
        "vcenter_vm_disk": 51200,
        "vcenter_dns": ["10.20.0.53"],
    }
    assert bosh.cpi_flags(site) == ("dns",)


def test_a_resource_pool_is_told_to_the_director_and_to_the_zones(site: Site) -> None:
    pooled = with_pool(site)
    assert bosh.cpi_values(pooled)["vcenter_rp"] == "bosh"
    assert bosh.cpi_flags(pooled) == ("dns", "resource-pool")
    assert bosh.azs(pooled) == {
        "z1": {"datacenters": [{"name": "north", "clusters": [{"compute": {"resource_pool": "bosh"}}]}]}
    }


def test_zones_networks_and_vm_types_carry_cloud_properties(site: Site) -> None:
    paved = inventory.pave(site)
    assert paved.azs == {"z1": {"datacenters": [{"name": "north", "clusters": [{"compute": {}}]}]}}
    assert paved.network_properties == {"bosh": {"name": "bosh"}}
    assert set(paved.vm_types) >= {"default", "small", "large"}
    assert all({"cpu", "ram", "disk"} == set(one) for one in paved.vm_types.values())
    assert paved.needs == {resource.id for resource in paved.resources}


def in_two_clusters(tmp_path: Path, director: str = "one", **pools: str) -> Site:
    """A site of the zones z1 and z2 in the clusters one and two; `director` is that of the director's zone."""
    az = {"one": ("z1", "z2"), "two": ("z2", "z1")}[director]
    clusters = (
        f"one: {{hosts: [esx-01], azs: [{az[0]}]{pools.get('one', '')}}}",
        f"two: {{hosts: [esx-02], azs: [{az[1]}]{pools.get('two', '')}}}",
    )
    text = text_of(PINS).replace("compute: {hosts: [esx-01, esx-02]}", ", ".join(clusters))
    second = "{cidr: 10.31.0.0/24, gateway: 10.31.0.1, port_group: bosh, az: z2}"
    text = text.replace("site_services:", f"  bosh-2: {second}\nsite_services:", 1)
    return loads(text, {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)


POOL = ", resource_pool: bosh"


@pytest.mark.parametrize(
    ("director", "pools", "clusters"),
    [
        ("one", {}, [{"((vcenter_cluster))": {}}, {"two": {}}]),
        ("two", {}, [{"((vcenter_cluster))": {}}, {"one": {}}]),
        ("one", {"two": POOL}, [{"((vcenter_cluster))": {}}, {"two": {"resource_pool": "bosh"}}]),
        ("one", {"one": POOL}, [{"((vcenter_cluster))": {"resource_pool": "((vcenter_rp))"}}, {"two": {}}]),
    ],
)
def test_the_directors_cpi_is_told_of_every_zones_cluster_its_own_first_and_that_of_create_env_of_one(
    tmp_path: Path, director: str, pools: dict[str, str], clusters: list[dict[str, Any]]
) -> None:
    site = in_two_clusters(tmp_path, director, **pools)
    assert bosh.cpi_values(site)["vcenter_cluster"] == director
    [operation] = yaml.safe_load(bosh.cpi_operators(site)["50-paver-vcenter-clusters.yml"])
    assert operation == {
        "type": "replace",
        "path": "/instance_groups/name=bosh/properties/vcenter/datacenters/name=((vcenter_dc))/clusters",
        "value": clusters,
    }


def test_both_of_the_cpis_configurations_verify_vcenter(site: Site) -> None:
    (text,) = inventory.pave(site).cpi_operators.values()
    operations = yaml.safe_load(text)
    assert [one["path"] for one in operations] == [
        "/instance_groups/name=bosh/properties/vcenter/connection_options?",
        "/cloud_provider/properties/vcenter/connection_options?",
    ]
    assert all(one["value"] == {"ca_cert": "((vcenter_ca_cert))"} for one in operations)


NAME = st.text(st.sampled_from("abzAZ09 ()[]{}.+*?^$|-_#&~,;:'\"!@äß"), min_size=1, max_size=20)


@given(names=st.lists(NAME, min_size=1, max_size=3, unique=True), other=NAME)
def test_the_datastores_pattern_matches_these_names_what_vcenter_renames_them_to_and_no_others(
    names: list[str], other: str
) -> None:
    # Ruby's \z is Python's \Z.
    expression = re.compile(bosh.pattern(tuple(names)).replace(r"\z", r"\Z"))
    assert all(expression.search(name) for name in names)
    assert all(expression.search(f"{name} (12)") for name in names)
    assert bool(expression.search(other)) == any(may_be(name, other) for name in names)


def test_the_inventory_hangs_together(site: Site) -> None:
    driver = DRIVER.pave(with_pool(site))
    phases = ("trust", *DRIVER.phases)
    trust = paving.pave(site, driver.material)
    made = graph.build((*trust.resources, *driver.resources), phases, driver.connectors)
    order = list(made.resources)
    needs = made.needs
    for resource in driver.resources:
        if isinstance(resource, Permission):
            assert inventory.ACCOUNT in needs[resource.id]
            assert any(kind_of(one) == Role.kind for one in needs[resource.id])
    assert inventory.cluster_id("compute") in needs[inventory.host_id("esx-01")]
    assert order.index(inventory.host_id("esx-01")) < order.index(inventory.host_id("esx-02"))
    assert trust.resources


def test_vcenters_own_host_is_added_first(site: Site) -> None:
    iaas: Any = site.iaas
    moved = iaas.model_copy(update={"vcenter": iaas.vcenter.model_copy(update={"on": "esx-02"})})
    made = {one.id: one for one in inventory.resources(dataclasses.replace(site, iaas=moved))}
    override = override_id(APPLIANCE)
    cluster = inventory.cluster_id("compute")
    assert made[inventory.host_id("esx-01")].after == {cluster, inventory.host_id("esx-02"), override}
    assert made[inventory.host_id("esx-02")].after == {cluster}
    assert made[override].within == inventory.host_id("esx-02")


def test_no_role_reaches_machines_outside_of_boshs_folders(site: Site) -> None:
    machines = {one for one in privileges.FOLDER if one.startswith("VirtualMachine.")}
    for resource in inventory.resources(site):
        if isinstance(resource, Permission) and resource.propagate:
            granted = privileges.SCOPES[resource.role.removeprefix("paver-north-")]
            if granted & machines:
                assert "/vm/BOSH_" in resource.id


def test_roles_hold_the_vendors_privileges_and_none_that_every_role_has() -> None:
    assert len(privileges.FOLDER) == 68
    assert not any(
        one.startswith(privileges.SYSTEM) for granted in privileges.SCOPES.values() for one in granted
    )
    assert {"Global.ManageCustomFields", "Extension.Register"} <= privileges.SCOPES["cpi-root"]
    assert "Datastore.UpdateVirtualMachineFiles" in privileges.SCOPES["cpi-folder"]
    assert privileges.SCOPES["cpi-datacenter"] == {"Datastore.FileManagement", "Network.Assign"}


def test_an_account_is_the_same_in_either_spelling() -> None:
    assert (
        account("VSPHERE.LOCAL\\bosh-cpi")
        == account("bosh-cpi@vsphere.local")
        == account("Bosh-CPI@VSPHERE.local")
    )
    assert account("bosh-cpi@vsphere.local") != account("bosh-cpi@north.example")
