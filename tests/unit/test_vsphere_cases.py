"""What a plan says of each kind, one file a case: wish and facts in, changes and verb out."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from paver.driver import Endpoint, Facts, Mark, Paved, Resource, ResourceId, Secret
from paver.drivers.vsphere import DRIVER
from paver.drivers.vsphere.host import (
    autostart,
    default_switch,
    dns,
    licence,
    ntp,
    port_group,
    service,
    switch,
)
from paver.drivers.vsphere.inventory import (
    account,
    cluster,
    cluster_host,
    disk_folder,
    entity,
    host_certificate,
    permission,
    role,
    vm_override,
)
from paver.drivers.vsphere.jumpbox import facts as jumpbox_facts
from paver.drivers.vsphere.vcsa import anchor, appliance, install, installer
from paver.engine.board import Board
from paver.engine.plan import Plan
from paver.engine.planner import Heading, Request, plan
from paver.engine.resource import META_FIELDS
from paver.engine.world import Connections, ReadingWorld
from paver.machine.brought import artefact
from paver.machine.site_services import clock as site_clock
from paver.machine.site_services import dns as site_dns
from paver.machine.site_services import time as site_time

CASES = pathlib.Path(__file__).parents[1] / "cases"
AT: Endpoint[Any, Any] = Endpoint("there")
ORDER = install.Order(
    host="esx-01",
    user="root",
    port_group="mgmt",
    datastore="datastore1",
    thin=True,
    prefix=24,
    gateway="10.20.0.1",
    dns=("10.20.0.10",),
    ntp=("10.20.0.10",),
    ssh=False,
    sso_domain="vsphere.local",
)
"""What vCenter's installer is told."""
FACTS: dict[str, type[Facts]] = {
    "jumpbox.artefact": artefact.ArtefactFacts,
    "site.clock": site_clock.ClockFacts,
    "site.dns": site_dns.DnsFacts,
    "site.ntp": site_time.NtpFacts,
    "vsphere.account": account.AccountFacts,
    "vsphere.anchor": anchor.AnchorFacts,
    "vsphere.appliance": appliance.ApplianceFacts,
    "vsphere.autostart": autostart.AutostartFacts,
    "vsphere.cluster": cluster.ClusterFacts,
    "vsphere.cluster-host": cluster_host.ClusterHostFacts,
    "vsphere.datacenter": entity.EntityFacts,
    "vsphere.default-switch": default_switch.DefaultSwitchFacts,
    "vsphere.disk-folder": disk_folder.DiskFolderFacts,
    "vsphere.dns": dns.DnsFacts,
    "vsphere.folder": entity.EntityFacts,
    "vsphere.host-certificate": host_certificate.HostCertificateFacts,
    "vsphere.installer": installer.InstallerFacts,
    "vsphere.jumpbox": jumpbox_facts.JumpboxFacts,
    "vsphere.licence": licence.LicenceFacts,
    "vsphere.ntp": ntp.NtpFacts,
    "vsphere.permission": permission.PermissionFacts,
    "vsphere.port-group": port_group.PortGroupFacts,
    "vsphere.resource-pool": entity.EntityFacts,
    "vsphere.role": role.RoleFacts,
    "vsphere.service": service.ServiceFacts,
    "vsphere.switch": switch.SwitchFacts,
    "vsphere.vm-override": vm_override.VmOverrideFacts,
}
FILES = [path for kind in sorted(FACTS) for path in sorted((CASES / kind).glob("*.json"))]


def frozen(value: Any) -> Any:
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def wished(of_type: str, value: Any) -> Any:
    if of_type.startswith("Secret"):
        return Secret(value)
    return frozenset(value) if of_type.startswith("frozenset") else frozen(value)


def wish_of(kind: type[Resource[Any]], document: dict[str, Any]) -> Resource[Any]:
    types = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    fields = {key: wished(types[key], value) for key, value in document.items()}
    # What steers how a thing is made, and is never compared.
    given = {"ledger_on": "datastore1", "host": AT, "order": ORDER}
    fields |= {key: value for key, value in given.items() if key in types and key not in fields}
    return kind(id=ResourceId(f"{kind.kind}:it"), phase="p", at=AT, **fields)


def facts_of(kind: str, document: dict[str, Any]) -> Facts:
    fields = {key: frozen(value) for key, value in document.items()}
    whole, foreign = fields.pop("complete", True), fields.pop("foreign", False)
    mark = Mark(fields.pop("site", "north"), ResourceId(f"{kind}:it"), "a1", complete=whole)
    return FACTS[kind](mark=None if foreign else mark, **fields)


def planned(
    wish: Resource[Any], facts: Facts, versions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Plan:
    monkeypatch.setattr(type(wish), "read", lambda _self, _world: facts)
    monkeypatch.setattr(type(wish), "foresees", lambda *_: "")
    board = Board()
    connections = Connections({}, None, board.for_reading)
    world = ReadingWorld("north", connections, lambda secret: versions.get(secret.name))
    heading = Heading(site="north", site_digest="d", paver="1", driver="vsphere/1")
    return plan(Paved(phases=("p",), resources=(wish,)), heading, Request(), world, board)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_plan_says_what_the_case_says(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = json.loads(file.read_text())
    kind = next(one for one in DRIVER.kinds if one.kind == file.parent.name)
    wish, facts = wish_of(kind, case["wish"]), facts_of(kind.kind, case["facts"])
    made = planned(wish, facts, case.get("versions", {}), monkeypatch)
    (action,) = made.actions
    assert action.verb.value == case["verb"], action.reason
    assert {change.field: [change.before, change.after] for change in action.changes} == case["changes"]


def compared(kind: type[Resource[Any]]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)} - META_FIELDS - kind.unmanaged


def test_every_kind_of_the_driver_that_compares_anything_has_cases() -> None:
    assert {path.parent.name for path in FILES} == {kind.kind for kind in DRIVER.kinds if compared(kind)}
