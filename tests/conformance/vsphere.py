"""The vSphere driver in the simulator's world: what it wishes, otherwise too, and what somebody else does to it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from paver.driver import Endpoint, Paved, ResourceId, Secret
from paver.drivers.vsphere import DRIVER
from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.inventory import licences
from paver.drivers.vsphere.inventory.entity import every
from paver.engine.executor import Outcome
from paver.engine.plan import Plan
from paver.engine.planner import Request
from paver.ovf.write import make_ova
from paver.runs.conformance import Drift, Subject
from paver.sitefile.load import loads
from paver.transport.vsphere import new
from tests.support.left import without
from tests.support.vcenter_lab import InventoryRun, VCenter, vcenter
from tests.support.vsphere_lab import hosts, text_of

BEHIND_SSH = "it lives on the jumpbox, behind SSH, and the simulator is hosts and vCenter alone"
BEYOND = {
    "vsphere.ledger-folder": "nobody wishes for it: a killed run may leave it, and a destroy takes it away",
    "site.file": "it waits for the jumpbox that its file is brought to",
    "jumpbox.artefact": BEHIND_SSH,
    "site.dns": BEHIND_SSH,
    "site.ntp": BEHIND_SSH,
    "site.names": BEHIND_SSH,
    "site.time": BEHIND_SSH,
    "site.clock": BEHIND_SSH,
    "vsphere.installer": BEHIND_SSH,
    "vsphere.appliance": "the vendor's installer makes it, as a job on the jumpbox",
    "vsphere.anchor": "it is read from the appliance that the vendor's installer makes",
}
"""Held to the same life where their world is whole: `tests/e2e/test_life.py`."""

LOOKED_AT = "paver looks at it and never changes it"
ITS_NAME = "nothing of it is wished but its name, which is its id"
FIXED = {
    "vsphere.datastore": LOOKED_AT,
    "vsphere.image": "another image is another jumpbox, which goes only where it is named",
    "vsphere.datacenter": ITS_NAME,
    "vsphere.folder": ITS_NAME,
    "vsphere.resource-pool": ITS_NAME,
    "vsphere.disk-folder": ITS_NAME,
    "vsphere.vm-override": "it is there for one thing alone, that DRS leaves the VM where it is",
    "vsphere.host-certificate": "it is what the host shows",
}
UNTOUCHED = {
    "vsphere.datastore": LOOKED_AT,
    "vsphere.licence": "the key that counts on a host which vCenter has is the one that is assigned there: vsphere.cluster-host",
    "vsphere.image": "it is a file where paver runs",
    "vsphere.host-certificate": "it stands in the sealed store, which only paver writes",
}
NAMED = frozenset(
    {
        "trust.ssh-key",
        "trust.password",
        "vsphere.jumpbox",
        "vsphere.cluster",
        "vsphere.host-certificate",
        "vsphere.disk-folder",
        "vsphere.vm-override",
        "vsphere.role",
        "vsphere.permission",
    }
)
"""A site has one jumpbox, hosts name their cluster by its id, and the others have their name or path in it alone."""

SECRETS = {
    "esx-licence": "STD00-STD00-STD00-STD00-STD00",
    "esx-licence-2": "EPLUS-EPLUS-EPLUS-EPLUS-EPLUS",
    "cpi-2": "Paver-Cpi-2!",
}
OTHER: dict[str, dict[str, Any]] = {
    "vsphere.licence:esx-01": {"key": Secret("esx-licence-2")},
    "vsphere.licence:esx-02": {"key": Secret("esx-licence-2")},
    "vsphere.service:esx-01/TSM-SSH": {"policy": "on", "running": True},
    "vsphere.switch:esx-01/vSwitch1": {"mtu": 9000},
    "vsphere.port-group:esx-01/bosh": {"vlan": 31},
    "vsphere.default-switch:esx-01": {"mtu": 9000},
    "vsphere.dns:esx-01": {"servers": ("10.20.0.54",)},
    "vsphere.ntp:esx-01": {"servers": ("10.20.0.55",)},
    "vsphere.autostart:esx-01": {"enabled": False},
    "vsphere.jumpbox:jumpbox": {"memory_mb": 8192},
    "vsphere.cluster:spare": {"ha": True},
    "vsphere.cluster-host:esx-01": {"licence": Secret("esx-licence-2")},
    "vsphere.cluster-host:esx-02": {"licence": Secret("esx-licence-2")},
    "vsphere.role:cpi-root": {"privileges": ("Global.ManageCustomFields",)},
    "vsphere.account:cpi": {"password": Secret("cpi-2")},
    "vsphere.permission:/": {"propagate": True},
}


class Whole(InventoryRun):
    """Hosts, jumpbox and inventory of one site; plans and acts on the wish that it is given."""

    def __init__(self, there: VCenter, folder: Path) -> None:
        text = text_of(list(there.hosts.pins.values()))
        for old, new_text in (
            ("login: secret:esx-root", "login: secret:esx-root\n      licence: secret:esx-licence"),
            ("mtu: 1500}}", "mtu: 1500}, vSwitch1: {uplinks: [vmnic1]}}"),
            ("vlan: 30}}", "vlan: 30}, spare: {switch: vSwitch1, vlan: 40}}"),
            # High availability switches off what starts the jumpbox with its host: it is tried where no jumpbox is.
            (
                "{hosts: [esx-01, esx-02]}",
                "{hosts: [esx-01], resource_pool: bosh, azs: [z1]}, spare: {hosts: [esx-02], azs: [z1]}",
            ),
        ):
            assert old in text, old
            text = text.replace(old, new_text)
        site = loads(text, {"vsphere": DRIVER}, file="site.yml", folder=folder)
        super().__init__(site, there, folder)
        self._keep = _carried
        self.placed = frozenset({"vsphere.jumpbox:jumpbox"})
        self.secrets |= SECRETS
        self._given: Paved | None = None

    def paved(self) -> Paved:
        """Returns the wish that is led through its life."""
        if self._given is not None:
            return self._given
        inventory = super().paved()
        before = [ground for ground in self._of_hosts if ground.phase in {"hosts", "jumpbox"}]
        return dataclasses.replace(inventory, grounds=(*before, *inventory.grounds))

    @property
    def _of_hosts(self) -> Any:
        wished = DRIVER.pave(self.site).grounds
        return [ground for ground in wished if isinstance(ground.at, Endpoint) and ground.at.provider is None]

    def under(self, paved: Paved) -> contextlib.AbstractContextManager[None]:
        """Puts a wish in place of the site's."""

        @contextlib.contextmanager
        def given() -> Iterator[None]:
            self._given = paved
            try:
                yield
            finally:
                self._given = None

        return given()


@dataclasses.dataclass(frozen=True)
class Wired:
    """The engine, wired to the simulator by the driver's own sessions."""

    run: Whole

    def plan(self, paved: Paved, request: Request | None = None) -> Plan:
        """Plans `paved`."""
        asked = request or Request()
        with self.run.under(paved), self.run.world() as world:
            return self.run.plan_in(world, asked.mode, allow=asked.allow)

    def act(self, paved: Paved, planned: Plan) -> Outcome:
        """Carries `planned` out; the board is filled by reading anew, as by any command."""
        with self.run.under(paved):
            return self.run.act(planned)


def _carried(resource: Any) -> bool:
    if resource.phase == "trust":
        return resource.id in {"trust.ssh-key:jumpbox", "trust.password:vcenter-cpi"}
    return resource.phase in {"hosts", "jumpbox", "inventory"} and resource.kind not in BEYOND


@contextlib.contextmanager
def subject(folder: Path) -> Iterator[Subject]:
    """Gives the driver with two simulated hosts and a vCenter of its own."""
    with hosts(folder, "esx-01", "esx-02") as running, vcenter(folder, running) as there:
        make_ova(
            folder / "jumpbox.ova",
            name="paver-jumpbox",
            disk=b'{"paver-lab-boot": "jumpbox"}\n',
            capacity=2**30,
            networks=("VM Network",),
        )
        run = Whole(there, folder)
        wish = run.paved()
        other = tuple(dataclasses.replace(one, **OTHER.get(one.id, {})) for one in wish.resources)

        def listing() -> Any:
            return {name: without(running.inventory(name)) for name in running.ports}, there.inventory()

        def writes() -> int:
            calls = [call for name in running.ports for call in running.trace(name)]
            return len([call for call in (*calls, *there.trace()) if call["write"]])

        yield Subject(
            kinds=DRIVER.kinds,
            under=Wired(run),
            wish=wish,
            other=dataclasses.replace(wish, resources=other),
            drift=tuple(_drift(run)),
            listing=listing,
            writes=writes,
            beyond=BEYOND,
            fixed=FIXED,
            untouched=UNTOUCHED,
            named=NAMED,
        )


def _drift(run: Whole) -> Iterator[Drift]:
    def on_host(act: Callable[[Any], object]) -> Callable[[], object]:
        def acted() -> None:
            with run.someone_else("esx-01") as session:
                act(session)

        return acted

    def in_vcenter(act: Callable[[Any], object]) -> Callable[[], object]:
        def acted() -> None:
            with run.administrator() as session:
                act(session)

        return acted

    def of(id_: str, act: Callable[[], object], *also: str) -> Drift:
        return Drift(ResourceId(id_), act, frozenset(map(ResourceId, also)))

    yield of("vsphere.service:esx-01/TSM-SSH", on_host(_service("StartService", "TSM-SSH")))
    yield of("vsphere.switch:esx-01/vSwitch1", on_host(_mtu("vSwitch1")))
    yield of("vsphere.port-group:esx-01/bosh", on_host(_vlan))
    yield of("vsphere.default-switch:esx-01", on_host(_mtu("vSwitch0")))
    yield of("vsphere.dns:esx-01", on_host(_dns))
    yield of("vsphere.ntp:esx-01", on_host(_service("StopService", "ntpd")))
    yield of("vsphere.autostart:esx-01", on_host(_autostart))
    yield of("vsphere.jumpbox:jumpbox", on_host(_switched_off))
    yield of(
        "vsphere.datacenter:north",
        in_vcenter(_renamed("Datacenter", "north")),
        # What is found by its path.
        "vsphere.disk-folder:north/datastore1/BOSH_Disks",
        "vsphere.permission:north",
        "vsphere.permission:north/datastore/datastore1",
        "vsphere.permission:north/host/compute/Resources/bosh",
        "vsphere.permission:north/host/spare",
        "vsphere.permission:north/vm/BOSH_Templates",
        "vsphere.permission:north/vm/BOSH_VMs",
    )
    yield of("vsphere.cluster:spare", in_vcenter(_with_ha))
    yield of("vsphere.disk-folder:north/datastore1/BOSH_Disks", in_vcenter(_disks_gone))
    # While no host that has it is connected, nobody can look into a datastore.
    yield Drift(ResourceId("vsphere.cluster-host:esx-01"), in_vcenter(_disconnected), alone=True)
    yield of("vsphere.cluster-host:esx-01", in_vcenter(_licence))
    yield of(
        "vsphere.folder:BOSH_VMs",
        in_vcenter(_renamed("Folder", "BOSH_VMs")),
        "vsphere.permission:north/vm/BOSH_VMs",
    )
    yield of(
        "vsphere.resource-pool:compute/bosh",
        in_vcenter(_renamed("ResourcePool", "bosh")),
        "vsphere.permission:north/host/compute/Resources/bosh",
    )
    yield of("vsphere.vm-override:jumpbox", in_vcenter(_left_to_drs))
    yield of("vsphere.role:cpi-root", in_vcenter(_fewer_rights))
    yield of("vsphere.permission:/", in_vcenter(_everywhere))

    def forgotten() -> None:
        with run.sso() as accounts:
            accounts.delete("bosh-cpi")

    yield of("vsphere.account:cpi", forgotten)


def _licence(session: Any) -> None:
    host = _entity(session, "HostSystem", "esx-01.north.example")
    licences.assign(session, host, SECRETS["esx-licence-2"])


def _service(call: str, name: str) -> Callable[[Any], None]:
    def act(session: Any) -> None:
        session.call(reading.manager(session, "serviceSystem"), call, id=name)

    return act


def _mtu(name: str) -> Callable[[Any], None]:
    def act(session: Any) -> None:
        spec = reading.named(session, reading.SWITCHES, name, field="name").spec
        spec.mtu = 4000
        system = reading.manager(session, "networkSystem")
        session.call(system, "UpdateVirtualSwitch", vswitchName=name, spec=spec)

    return act


def _vlan(session: Any) -> None:
    spec = reading.named(session, reading.PORT_GROUPS, "bosh", field="spec.name").spec
    spec.vlanId = 99
    system = reading.manager(session, "networkSystem")
    session.call(system, "UpdatePortGroup", pgName="bosh", portgrp=spec)


def _dns(session: Any) -> None:
    config = reading.of(session, reading.DNS)
    config.address = ["10.20.0.99"]
    session.call(reading.manager(session, "networkSystem"), "UpdateDnsConfig", config=config)


def _autostart(session: Any) -> None:
    defaults = reading.of(session, reading.AUTOSTART).defaults
    defaults.enabled = False
    spec = new("HostAutoStartManagerConfig", defaults=defaults)
    session.call(reading.manager(session, "autoStartManager"), "ReconfigureAutostart", spec=spec)


def _switched_off(session: Any) -> None:
    session.task(_entity(session, "VirtualMachine", "paver-jumpbox"), "PowerOffVM_Task")


def _entity(session: Any, type_name: str, name: str) -> Any:
    return next(one.ref for one in every(session, type_name) if one.values["name"] == name)


def _renamed(type_name: str, name: str) -> Callable[[Any], None]:
    def act(session: Any) -> None:
        session.task(_entity(session, type_name, name), "Rename_Task", newName="another")

    return act


def _with_ha(session: Any) -> None:
    spec = new("ClusterConfigSpecEx", dasConfig=new("ClusterDasConfigInfo", enabled=True))
    cluster = _entity(session, "ClusterComputeResource", "spare")
    session.task(cluster, "ReconfigureComputeResource_Task", spec=spec, modify=True)


def _left_to_drs(session: Any) -> None:
    (jumpbox,) = (vm for vm, values in session.objects("VirtualMachine") if values["name"] == "paver-jumpbox")
    info = new("ClusterDrsVmConfigInfo", key=jumpbox, enabled=True)
    change = new("ClusterDrsVmConfigSpec", operation="edit", info=info)
    spec = new("ClusterConfigSpecEx", drsVmConfigSpec=[change])
    cluster = _entity(session, "ClusterComputeResource", "compute")
    session.task(cluster, "ReconfigureComputeResource_Task", spec=spec, modify=True)


def _disconnected(session: Any) -> None:
    session.task(_entity(session, "HostSystem", "esx-01.north.example"), "DisconnectHost_Task")


def _disks_gone(session: Any) -> None:
    session.datastore_delete("datastore1", "BOSH_Disks", _entity(session, "Datacenter", "north"))


def _role(session: Any) -> Any:
    manager = session.content.authorizationManager
    return next(one for one in session.value(manager, "roleList") if one.name == "paver-north-cpi-root")


def _fewer_rights(session: Any) -> None:
    role = _role(session)
    manager = session.content.authorizationManager
    session.call(manager, "UpdateAuthorizationRole", roleId=role.roleId, newName=role.name, privIds=[])


def _everywhere(session: Any) -> None:
    wide = new(
        "Permission",
        principal="bosh-cpi@vsphere.local",
        group=False,
        roleId=_role(session).roleId,
        propagate=True,
    )
    manager, root = session.content.authorizationManager, session.content.rootFolder
    session.call(manager, "SetEntityPermissions", entity=root, permission=[wide])
