"""What a plan says of each kind, one file a case: wish and facts in, changes and verb out."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from paver.driver import Endpoint, Facts, Mark, Paved, Resource, ResourceId
from paver.drivers.vsphere import DRIVER
from paver.drivers.vsphere.host import autostart, default_switch, dns, ntp, port_group, service, switch
from paver.drivers.vsphere.inventory import cluster, cluster_host, entity, permission, vm_override
from paver.drivers.vsphere.jumpbox import facts as jumpbox_facts
from paver.engine.board import Board
from paver.engine.plan import Plan
from paver.engine.planner import Heading, Request, plan
from paver.engine.world import Connections, ReadingWorld
from paver.machine.site_services import dns as site_dns
from paver.machine.site_services import time as site_time

CASES = pathlib.Path(__file__).parents[1] / "cases"
AT: Endpoint[Any, Any] = Endpoint("there")
FACTS: dict[str, type[Facts]] = {
    "site.dns": site_dns.DnsFacts,
    "site.ntp": site_time.NtpFacts,
    "vsphere.autostart": autostart.AutostartFacts,
    "vsphere.cluster": cluster.ClusterFacts,
    "vsphere.cluster-host": cluster_host.ClusterHostFacts,
    "vsphere.datacenter": entity.EntityFacts,
    "vsphere.default-switch": default_switch.DefaultSwitchFacts,
    "vsphere.dns": dns.DnsFacts,
    "vsphere.folder": entity.EntityFacts,
    "vsphere.jumpbox": jumpbox_facts.JumpboxFacts,
    "vsphere.ntp": ntp.NtpFacts,
    "vsphere.permission": permission.PermissionFacts,
    "vsphere.port-group": port_group.PortGroupFacts,
    "vsphere.resource-pool": entity.EntityFacts,
    "vsphere.service": service.ServiceFacts,
    "vsphere.switch": switch.SwitchFacts,
    "vsphere.vm-override": vm_override.VmOverrideFacts,
}
FILES = [path for kind in sorted(FACTS) for path in sorted((CASES / kind).glob("*.json"))]


def frozen(value: Any) -> Any:
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def wish_of(kind: type[Resource[Any]], document: dict[str, Any]) -> Resource[Any]:
    fields = {key: frozen(value) for key, value in document.items()}
    if any(field.name == "ledger_on" for field in dataclasses.fields(kind)):
        fields["ledger_on"] = "datastore1"
    return kind(id=ResourceId(f"{kind.kind}:it"), phase="p", at=AT, **fields)


def facts_of(kind: str, document: dict[str, Any]) -> Facts:
    fields = {key: frozen(value) for key, value in document.items()}
    whole, foreign = fields.pop("complete", True), fields.pop("foreign", False)
    mark = Mark(fields.pop("site", "north"), ResourceId(f"{kind}:it"), "a1", complete=whole)
    return FACTS[kind](mark=None if foreign else mark, **fields)


def planned(wish: Resource[Any], facts: Facts, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr(type(wish), "read", lambda _self, _world: facts)
    monkeypatch.setattr(type(wish), "foresees", lambda *_: "")
    board = Board()
    connections = Connections({}, None, board.for_reading)
    world = ReadingWorld("north", connections, lambda _: None)
    heading = Heading(site="north", site_digest="d", paver="1", driver="vsphere/1")
    return plan(Paved(phases=("p",), resources=(wish,)), heading, Request(), world, board)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_plan_says_what_the_case_says(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = json.loads(file.read_text())
    kind = next(one for one in DRIVER.kinds if one.kind == file.parent.name)
    made = planned(wish_of(kind, case["wish"]), facts_of(kind.kind, case["facts"]), monkeypatch)
    (action,) = made.actions
    assert action.verb.value == case["verb"], action.reason
    assert {change.field: [change.before, change.after] for change in action.changes} == case["changes"]


def test_every_kind_with_a_diff_of_its_own_has_cases() -> None:
    assert {path.parent.name for path in FILES} == set(FACTS)
