"""The simulated vCenter's agents (vSphere Cluster Services): where they run, what they stand in the way of, and how they go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import refused_by_vcenter as acts
from tests.support import vsim
from tests.support import vsim_wishes as wishes
from tests.support.vsim import Site, fault, vim
from tests.support.waiting import until

pytestmark = pytest.mark.lab


@pytest.fixture
def site() -> Iterator[Site]:
    with vsim.site(hosts=3, vcenter=True) as made:
        yield made


def _clustered(site: Site, hosts: int = 3) -> tuple[Any, list[Any]]:
    """A cluster with so many hosts in it."""
    made, first = acts.managed(site)
    more = [f"esx-{number:02}" for number in range(2, hosts + 1)]
    added = [vsim.wait(made.AddHost_Task(site.connect_spec(name), True, None, None)) for name in more]
    return made, [first, *added]


def _number(site: Site) -> list[int]:
    return sorted(len(names) for names in wishes.agents(site).values())


def _carry(site: Site, *number: int) -> None:
    until(lambda: _number(site) == sorted(number), f"the hosts carry {number} agents")


def _mode(cluster: Any, mode: str) -> None:
    spec = vim.cluster.ConfigSpecEx(systemVMsConfig=vim.cluster.SystemVMsConfigSpec(deploymentMode=mode))
    vsim.wait(cluster.ReconfigureComputeResource_Task(spec, True))


def test_a_cluster_of_two_hosts_or_more_has_two_agents_whatever_else_it_has(site: Site) -> None:
    made = acts.cluster(site, drs=False, ha=False)
    for name, carried in (("esx-01", (0, 0, 1)), ("esx-02", (0, 1, 1)), ("esx-03", (0, 1, 1))):
        vsim.wait(made.AddHost_Task(site.connect_spec(name), True, None, None))
        _carry(site, *carried)


def test_they_lie_in_a_folder_of_their_own_and_on_no_datastore(site: Site) -> None:
    made, _ = _clustered(site, 2)
    _carry(site, 0, 1, 1)
    (folder,) = acts.datacenter(site).vmFolder.childEntity
    assert folder.name == "vCLS"
    until(lambda: len(folder.childEntity) == 2, "vCenter shows what its hosts carry")
    agents = list(folder.childEntity)
    assert {vm.name for vm in agents} == {name for names in wishes.agents(site).values() for name in names}
    for vm in agents:
        assert vm.resourcePool == made.resourcePool
        assert vm.runtime.powerState == "poweredOn"
        assert vm.config.files.vmPathName == f"[] /var/run/crx/infra/{vm.name}/{vm.name}.vmx"
        assert not list(vm.datastore)
        assert fault(vm.PowerOffVM_Task) == "NotSupported"
    for name in site.hosts:
        files = site.steer(f"/inventory?server={name}")["datastores"]
        assert all(not store["files"] for store in files.values())
        assert not [call for call in site.trace(name) if call["write"]]


def test_up_to_version_8_0_2_there_are_three_and_they_lie_on_datastores() -> None:
    with vsim.site(hosts=3, version="8.0.2") as old:
        old.vcenter = old.more_vcenter("older.north.example", version="8.0.2")
        made, _ = _clustered(old)
        _carry(old, 1, 1, 1)
        disks = {name: f"{agent}/{agent}.vmdk" for name, (agent,) in wishes.agents(old).items()}
        until(lambda: all(disks[name] in _files(old, name) for name in disks), "each has its disk")
        wishes.retreat(old, made, on=True)
        _carry(old, 0, 0, 0)
        until(lambda: not any(_files(old, name) for name in old.hosts), "their files go")


def _files(site: Site, host: str) -> set[str]:
    stores = site.steer(f"/inventory?server={host}")["datastores"].values()
    return {file for store in stores for file in store["files"]}


def test_a_vcenter_from_before_there_were_any_has_none() -> None:
    with vsim.site(hosts=1, version="7.0.0") as old:
        old.vcenter = old.more_vcenter("older.north.example", version="7.0.0")
        acts.managed(old)
        wishes.new_vm(old.host(), "something-else")
        until(lambda: len(acts.datacenter(old).vmFolder.childEntity) == 1, "vCenter has looked at the host")
        assert _number(old) == [0]


def test_retreat_takes_them_away_and_its_end_brings_them_back(site: Site) -> None:
    made, _ = _clustered(site, 2)
    _carry(site, 0, 1, 1)
    first = wishes.agents(site)
    wishes.retreat(site, made, on=True)
    _carry(site, 0, 0, 0)
    folder = acts.datacenter(site).vmFolder.childEntity[0]
    until(lambda: not list(folder.childEntity), "vCenter shows them no more")
    wishes.retreat(site, made, on=False)
    _carry(site, 0, 1, 1)
    assert wishes.agents(site) != first
    # As the client does it since 8.0.2.
    _mode(made, "ABSENT")
    _carry(site, 0, 0, 0)
    _mode(made, "SYSTEM_MANAGED")
    _carry(site, 0, 1, 1)


def test_they_make_way_for_maintenance_by_vcenter_and_stand_in_its_way_without(site: Site) -> None:
    _, (host, *_) = _clustered(site, 2)
    _carry(site, 0, 1, 1)
    alone = wishes.compute(site.host())
    assert fault(lambda: alone.EnterMaintenanceMode_Task(0, None, None)) == "Timedout"
    assert not alone.runtime.inMaintenanceMode
    vsim.wait(host.EnterMaintenanceMode_Task(0, None, None))
    assert alone.runtime.inMaintenanceMode
    assert _number(site) == [0, 0, 1]
    vsim.wait(host.ExitMaintenanceMode_Task(0))
    _carry(site, 0, 1, 1)


def test_a_host_that_cannot_enter_maintenance_gets_its_agent_back(site: Site) -> None:
    _, (host, *_) = _clustered(site, 1)
    vsim.wait(acts.machine(site).PowerOnVM_Task(None))
    assert fault(lambda: host.EnterMaintenanceMode_Task(0, None, None)) == "Timedout"
    _carry(site, 0, 0, 1)


def test_an_agent_stays_on_a_host_that_leaves_and_is_a_stranger_to_whoever_takes_it_in(site: Site) -> None:
    made, (host, *_) = _clustered(site, 1)
    _carry(site, 0, 0, 1)
    left = wishes.agents(site)["esx-01"]
    vsim.wait(host.DisconnectHost_Task())
    wishes.retreat(site, made, on=True)
    vsim.wait(host.Destroy_Task())
    assert wishes.agents(site)["esx-01"] == left
    assert wishes.compute(site.host()).vm[0].runtime.powerState == "poweredOn"
    vsim.wait(made.AddHost_Task(site.connect_spec("esx-01"), True, None, None))
    folder = acts.datacenter(site).vmFolder
    assert left == [vm.name for vm in folder.childEntity if isinstance(vm, vim.VirtualMachine)]
