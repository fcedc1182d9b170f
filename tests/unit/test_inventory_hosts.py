"""A host's way into a cluster and out of it: what vCenter's refusals mean, and the agents that clusters leave."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from paver.driver import PaverError, Secret
from paver.drivers.vsphere import endpoints
from paver.drivers.vsphere.inventory import pave as inventory
from paver.drivers.vsphere.inventory import retreat
from paver.drivers.vsphere.inventory.cluster_host import ClusterHost, _pinned
from paver.drivers.vsphere.inventory.entity import Found
from paver.lab import pki
from paver.transport import tls
from paver.transport.vsphere import faults, new, ref

WISH = ClusterHost(
    id=inventory.host_id("esx-01"),
    phase="inventory",
    at=endpoints.VCENTER,
    also=(endpoints.host("esx-01"),),
    name="esx-01.north.example",
    host="esx-01",
    datacenter="north",
    cluster="compute",
    user="root",
    password=Secret("esx-root"),
)

PEM = ssl.DER_cert_to_PEM_cert(
    pki.host("esx-01.north.example", "10.20.0.11").certificate.public_bytes(serialization.Encoding.DER)
)

TOLD = {
    "InvalidLogin": "refuses user or password",
    "SSLVerifyFault": "another certificate under that name",
    "AlreadyBeingManaged": "another vCenter manages the host",
    "AlreadyConnected": "elsewhere",
    "DuplicateName": "elsewhere",
    "NotSupportedHost": "hosts of that version",
    "NotEnoughLicenses": "no licence for the host",
    "NoHost": "does not reach the host",
    "AgentInstallFailed": "its agent does not run there",
    "NoPermissionOnHost": "the host's account may not",
    "TooManyHosts": "as many hosts as its licence allows",
    "GatewayHostNotReachable": "cannot connect the host",
    "HostConnectFault": "cannot connect the host",
    "SystemError": "may pass",
}


@dataclasses.dataclass
class VCenter:
    """A vCenter of one host, with a ledger that is empty; agents that come once more come back as the host leaves."""

    agents: tuple[str, ...] = ()
    comes_back: int = 0
    lost: bool = False
    calls: list[tuple[str, dict[str, Any]]] = dataclasses.field(default_factory=list)
    content: Any = dataclasses.field(
        default_factory=lambda: SimpleNamespace(
            setting="setting",
            customFieldsManager="f",
            rootFolder="r",
            about=SimpleNamespace(apiVersion="8.0.3.0"),
        )
    )
    name: str = "vcsa"
    enabled: str = "true"

    def query(self, _: object, method: str, name: str) -> list[Any]:
        assert method == "QueryOptions"
        return [new("OptionValue", key=name, value=self.enabled)]

    def value(self, managed: Any, path: str) -> Any:
        del managed, path

    def each(self, *wants: tuple[Any, str]) -> list[Any]:
        return [self.value(managed, path) for managed, path in wants]

    def snapshot(self, wants: Any) -> None:
        pass

    def forget(self) -> None:
        pass

    def objects(self, type_name: str, paths: tuple[str, ...]) -> list[Any]:
        if type_name != "VirtualMachine":
            return []
        assert "runtime.host" in paths
        vms = {"vm-1": "vm-of-bosh", **{f"vm-{number}": name for number, name in enumerate(self.agents, 2)}}
        host = ref("HostSystem", "host-12")
        return [
            (ref("VirtualMachine", moid), {"name": name, "parent": None, "runtime.host": host})
            for moid, name in vms.items()
        ]

    def call(self, managed: Any, method: str, **arguments: Any) -> None:
        self.calls.append((f"{managed}.{method}", arguments))
        self.enabled = arguments["changedValue"][0].value
        self.agents = ()

    def task(self, managed: Any, method: str) -> None:
        assert managed._moId == "host-12"
        self.calls.append((method, {}))
        if method == "ReconnectHost_Task" and self.lost:
            raise faults.translate(new("HostConnectFault"), method, "vcsa")
        if method == "DisconnectHost_Task" and self.comes_back:
            self.comes_back -= 1
            self.agents = ("vCLS-4200-2",)

    def wait(
        self,
        managed: Any,
        paths: tuple[str, ...],
        until: Callable[[Mapping[str, Any]], bool],
        on_look: Callable[[Mapping[str, Any]], None],
        **_: Any,
    ) -> None:
        assert (managed._moId, paths) == ("host-12", ("vm",))
        on_look({})
        on_look({})
        assert not until({"vm": [ref("VirtualMachine", "vm-1"), ref("VirtualMachine", "vm-2")]})
        assert until({"vm": [ref("VirtualMachine", "vm-1")]})
        assert until({"vm": None})


NORTH: Any = SimpleNamespace(site="north")


@pytest.mark.parametrize("fault", TOLD)
def test_a_refusal_to_add_a_host_says_which_of_its_causes_it_was(fault: str) -> None:
    seen = faults.translate(new(fault), "AddHost_Task", "vcsa")
    told = WISH._explained(seen, NORTH, VCenter())
    assert isinstance(told, PaverError)
    assert "vCenter cannot add esx-01 (esx-01.north.example)" in told.what
    assert TOLD[fault] in told.why
    assert told.do
    assert fault in told.seen


def test_vcenter_knows_a_host_by_its_certificate_where_its_api_takes_one_else_by_a_sha1_of_it() -> None:
    assert _pinned(PEM, "9.0.0.0") == {"sslCertificate": PEM}
    assert _pinned(PEM, "8.0.3.0") == {"sslThumbprint": tls.thumbprint(PEM)}


def test_any_other_refusal_is_told_as_it_came() -> None:
    seen = faults.translate(new("NoPermission", privilegeId="Host.Inventory"), "AddHost_Task", "vcsa")
    assert WISH._explained(seen, NORTH, VCenter()) is seen


def _leave(vcenter: VCenter, state: str = "connected") -> list[str]:
    """Takes the host out; returns the calls, settings by what they were set to."""
    world: Any = SimpleNamespace(report=lambda _: None)
    values = {"runtime.connectionState": state, "parent": ref("ClusterComputeResource", "domain-c8")}
    ClusterHost.remove(world, vcenter, Found(ref("HostSystem", "host-12"), values))
    return calls_of(vcenter)


def calls_of(vcenter: VCenter) -> list[str]:
    return [_switched(arguments) if arguments else name for name, arguments in vcenter.calls]


def _switched(arguments: dict[str, Any]) -> str:
    (option,) = arguments["changedValue"]
    assert option.key == "config.vcls.clusters.domain-c8.enabled"
    return f"agents: {option.value}"


ON, OFF = "agents: false", "agents: true"
"""Retreat is on where the agents are not enabled."""


@pytest.mark.parametrize(
    ("state", "calls"),
    [
        ("connected", [ON, "DisconnectHost_Task", OFF, "Destroy_Task"]),
        ("notResponding", ["DisconnectHost_Task", "Destroy_Task"]),
        # It was killed when the host carried an agent that came back, or somebody disconnected the host.
        ("disconnected", ["ReconnectHost_Task", ON, "DisconnectHost_Task", OFF, "Destroy_Task"]),
    ],
)
def test_a_clusters_agents_are_taken_away_for_as_long_as_a_host_leaves_but_for_one_that_is_lost(
    state: str, calls: list[str]
) -> None:
    """Left in retreat, the cluster's other hosts would be without DRS."""
    assert _leave(VCenter(agents=("vCLS-4200-1",)), state) == calls


def test_an_agent_that_came_back_while_its_host_left_is_taken_away_as_well() -> None:
    """A host that left before it has ended the retreat, and vCenter puts agents onto those that are there yet."""
    assert _leave(VCenter(comes_back=1)) == [
        "DisconnectHost_Task",
        "ReconnectHost_Task",
        ON,
        "DisconnectHost_Task",
        OFF,
        "Destroy_Task",
    ]


def test_agents_that_always_come_back_are_told_and_the_host_stays() -> None:
    vcenter = VCenter(comes_back=99)
    with pytest.raises(PaverError, match="come back onto the host"):
        _leave(vcenter)
    assert calls_of(vcenter)[-2:] == ["DisconnectHost_Task", OFF]


def test_a_disconnected_host_that_is_lost_takes_its_agents_along() -> None:
    assert _leave(VCenter(agents=("vCLS-4200-1",), lost=True), "disconnected") == [
        "ReconnectHost_Task",
        "Destroy_Task",
    ]


@pytest.mark.parametrize("state", ["connected", "disconnected", "notResponding"])
def test_a_run_that_goes_on_ends_the_retreat_that_a_killed_one_left_while_its_host_still_stands(
    state: str,
) -> None:
    """The host has no agents any more, and the cluster is to be as it was planned once the host is gone."""
    vcenter = VCenter(enabled="false")
    assert _leave(vcenter, state)[-2:] == [OFF, "Destroy_Task"]
    assert vcenter.enabled == "true"


def test_a_cluster_that_does_without_agents_for_good_goes_on_so_where_drs_needs_none() -> None:
    vcenter = VCenter(enabled="false")
    vcenter.content.about.apiVersion = "9.0.0.0"
    assert _leave(vcenter) == ["DisconnectHost_Task", "Destroy_Task"]


def test_without_agents_nothing_is_switched() -> None:
    assert _leave(VCenter()) == ["DisconnectHost_Task", "Destroy_Task"]


@pytest.mark.parametrize(
    ("api", "value", "mode", "stops"),
    [
        ("8.0.3.0", "false", None, True),
        ("8.0.3.0", "False", None, True),
        ("8.0.3.0", "true", None, False),
        ("8.0.3.0", None, None, False),
        ("8.0.3.0", None, "ABSENT", True),
        ("8.0.3.0", "true", "SYSTEM_MANAGED", False),
        ("9.0.0.0", "false", "ABSENT", False),
    ],
)
def test_drs_of_a_cluster_in_retreat_does_nothing_up_to_version_8(
    api: str, value: str | None, mode: str | None, *, stops: bool
) -> None:
    def query(_: object, method: str, name: str) -> list[Any]:
        assert (method, name) == ("QueryOptions", "config.vcls.clusters.domain-c8.enabled")
        if value is None:
            raise faults.translate(new("InvalidName", name=name), method, "vcsa")
        return [new("OptionValue", key=name, value=value)]

    def read(_: object, path: str) -> Any:
        assert path == "configurationEx"
        own = new("ClusterSystemVMsConfigInfo", deploymentMode=mode)
        return new("ClusterConfigInfoEx", systemVMsConfig=own if mode else None)

    content = SimpleNamespace(about=SimpleNamespace(apiVersion=api), setting="setting")
    session: Any = SimpleNamespace(content=content, query=query, value=read)
    assert retreat.stops_drs(session, ref("ClusterComputeResource", "domain-c8")) is stops
