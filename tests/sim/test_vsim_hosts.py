"""The simulated hosts: what is set can be read again, by the host's own API and by the lab's inventory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import vsim
from tests.support import vsim_wishes as wishes
from tests.support.vsim import Site, fault, vim

pytestmark = pytest.mark.lab


@pytest.fixture
def site() -> Iterator[Site]:
    with vsim.site(hosts=2) as made:
        yield made


def _inventory(site: Site, name: str = "esx-01") -> Any:
    return site.steer(f"/inventory?server={name}")


def test_hosts_of_one_process_are_hosts_of_their_own(site: Site) -> None:
    one, two = (wishes.compute(site.host(name)) for name in ("esx-01", "esx-02"))
    assert one.name == "esx-01.north.example"
    assert two.name == "esx-02.north.example"
    assert one.summary.hardware.uuid != two.summary.hardware.uuid
    before = _inventory(site, "esx-02")
    system = one.configManager.networkSystem
    system.AddPortGroup(wishes.group("mgmt", 20))
    system.RemovePortGroup("VM Network")
    one.configManager.firewallSystem.EnableRuleset("ntpClient")
    one.configManager.serviceSystem.StartService("ntpd")
    assert _inventory(site, "esx-02") == before


def test_it_speaks_the_api_of_an_esxi_8(site: Site) -> None:
    about = site.host().about
    assert (about.apiType, about.version, about.apiVersion) == ("HostAgent", "8.0.3", "8.0.3.0")


def test_a_wrong_password_is_refused(site: Site) -> None:
    assert fault(lambda: site.host(password="wrong")) == "InvalidLogin"


def test_a_call_without_a_session_is_refused(site: Site) -> None:
    content = site.host()
    network = wishes.compute(content).configManager.networkSystem
    content.sessionManager.Logout()
    assert fault(lambda: network.AddPortGroup(wishes.group("x"))) == "NotAuthenticated"


def test_everything_that_is_set_can_be_read_and_put_back(site: Site) -> None:
    start = _inventory(site)
    host = wishes.compute(site.host())
    manager = host.configManager
    manager.networkSystem.AddPortGroup(wishes.group("mgmt", 20))
    manager.networkSystem.UpdatePortGroup("mgmt", wishes.group("mgmt", 21))
    manager.networkSystem.AddVirtualSwitch("vSwitch1", None)
    dns = vim.host.DnsConfig(
        dhcp=False, hostName="esx-01", domainName="north.example", address=["10.20.0.10"]
    )
    manager.networkSystem.UpdateDnsConfig(dns)
    ntp = vim.host.NtpConfig(server=["10.20.0.10"])
    manager.dateTimeSystem.UpdateDateTimeConfig(vim.host.DateTimeConfig(ntpConfig=ntp))
    manager.serviceSystem.UpdateServicePolicy("ntpd", "on")
    manager.serviceSystem.StartService("ntpd")
    manager.firewallSystem.EnableRuleset("ntpClient")

    assert {g.spec.name: g.spec.vlanId for g in host.config.network.portgroup}["mgmt"] == 21
    assert "mgmt" in [network.name for network in host.network]
    assert list(manager.networkSystem.dnsConfig.address) == ["10.20.0.10"]
    assert list(manager.dateTimeSystem.dateTimeInfo.ntpConfig.server) == ["10.20.0.10"]
    assert list(host.config.dateTimeInfo.ntpConfig.server) == ["10.20.0.10"]
    [ntpd] = [s for s in manager.serviceSystem.serviceInfo.service if s.key == "ntpd"]
    assert (ntpd.running, ntpd.policy) == (True, "on")
    changed = {key for key, value in _inventory(site).items() if value != start[key]}
    assert changed == {"port_groups", "switches", "networks", "dns", "ntp", "services", "firewall"}

    manager.firewallSystem.DisableRuleset("ntpClient")
    manager.serviceSystem.StopService("ntpd")
    manager.serviceSystem.UpdateServicePolicy("ntpd", "off")
    empty = vim.host.DateTimeConfig(ntpConfig=vim.host.NtpConfig(server=[]))
    manager.dateTimeSystem.UpdateDateTimeConfig(empty)
    dns.address = []
    manager.networkSystem.UpdateDnsConfig(dns)
    manager.networkSystem.RemoveVirtualSwitch("vSwitch1")
    manager.networkSystem.RemovePortGroup("mgmt")
    assert _inventory(site) == start


def test_a_machine_comes_and_goes_with_its_files(site: Site) -> None:
    start = _inventory(site)
    content = site.host()
    vm = wishes.new_vm(content, "vm-1", network="VM Network", disk_kb=1024)
    assert sorted(_inventory(site)["datastores"]["datastore1"]["files"]) == [
        "vm-1/vm-1-flat.vmdk",
        "vm-1/vm-1.nvram",
        "vm-1/vm-1.vmdk",
        "vm-1/vm-1.vmx",
        "vm-1/vmware.log",
    ]
    vsim.wait(vm.PowerOnVM_Task(None))
    assert fault(lambda: vm.PowerOnVM_Task(None)) == "InvalidPowerState"
    assert fault(vm.Destroy_Task) == "InvalidPowerState"
    vsim.wait(vm.PowerOffVM_Task())
    vsim.wait(vm.Destroy_Task())
    assert _inventory(site) == start


def test_files_go_in_and_out_over_http(site: Site) -> None:
    content = site.host()
    where, headers = site.where("esx-01"), wishes.cookie(content)
    path = "/folder/paver/ledger.json?dcPath=ha-datacenter&dsName=datastore1"
    assert wishes.request(where, "PUT", path, b"{}", headers)[0] == 201
    assert wishes.request(where, "GET", path, headers=headers) == (200, b"{}")
    assert wishes.request(where, "HEAD", path, headers=headers)[0] == 200
    assert wishes.request(where, "DELETE", path, headers=headers)[0] == 204
    assert wishes.request(where, "GET", path, headers=headers)[0] == 404
    outside = "/folder/../../etc/passwd?dcPath=ha-datacenter&dsName=datastore1"
    assert wishes.request(where, "GET", outside, headers=headers)[0] != 200


def test_a_search_without_a_specification_finds_everything(site: Site) -> None:
    content = site.host()
    content.fileManager.MakeDirectory("[datastore1] iso", None, False)
    store = wishes.compute(content).datastore[0]
    found = vsim.wait(store.browser.SearchDatastore_Task("[datastore1]", None))
    assert [entry.path for entry in found.file] == ["iso"]


def test_the_datastore_says_how_much_room_is_left(site: Site) -> None:
    content = site.host()
    store = wishes.compute(content).datastore[0]
    before = store.summary.freeSpace
    path = "/folder/file?dcPath=ha-datacenter&dsName=datastore1"
    wishes.request(site.where("esx-01"), "PUT", path, bytes(1 << 20), wishes.cookie(content))
    assert before - store.summary.freeSpace >= 1 << 20
    assert store.summary.capacity == 1 << 28


def test_guest_files_are_read_with_the_guests_own_password(site: Site) -> None:
    content = site.host()
    vm = wishes.new_vm(content)
    vsim.wait(vm.PowerOnVM_Task(None))
    folder = site.machine_folder(vm.config.uuid)
    (folder / "root").mkdir(parents=True)
    (folder / "root" / "root.cer").write_bytes(b"certificate")
    (folder / "guest-credentials.json").write_text('{"root": "inside"}')
    guest = {
        "vm": vm.config.uuid,
        "tools": "guestToolsRunning",
        "ip": "10.20.0.10",
        "hostname": "jumpbox",
        "guestinfo": {"guestinfo.local-ipv4": "10.20.0.10"},
    }
    site.steer("/guest", guest)
    assert (vm.guest.ipAddress, vm.guest.hostName) == ("10.20.0.10", "jumpbox")
    assert {o.key: o.value for o in vm.config.extraConfig} == guest["guestinfo"]
    auth = vim.vm.guest.NamePasswordAuthentication(
        username="root", password="inside", interactiveSession=False
    )
    files = content.guestOperationsManager.fileManager
    offer = files.InitiateFileTransferFromGuest(vm, auth, "/root.cer")
    path = offer.url.partition("/guestFile")[2]
    got = wishes.request(site.where("esx-01"), "GET", f"/guestFile{path}")
    assert got == (200, b"certificate")
    assert wishes.request(site.where("esx-01"), "GET", f"/guestFile{path}")[0] == 404
    vsim.wait(vm.PowerOffVM_Task())
    assert not vm.guest.ipAddress


def test_the_trace_knows_reads_from_writes_and_keeps_no_secret(site: Site) -> None:
    host = wishes.compute(site.host())
    host.configManager.networkSystem.AddPortGroup(wishes.group("mgmt", 20))
    fault(lambda: host.configManager.networkSystem.AddPortGroup(wishes.group("mgmt", 20)))
    lines = site.trace("esx-01")
    writes = [(line["method"], line["fault"]) for line in lines if line["write"]]
    assert writes == [("AddPortGroup", None), ("AddPortGroup", "AlreadyExists")]
    assert {line["user"] for line in lines if line["write"]} == {"root"}
    assert vsim.ROOT not in (site.folder / "esx-01.jsonl").read_text()


def test_faults_come_on_request(site: Site) -> None:
    content = site.host()
    network = wishes.compute(content).configManager.networkSystem
    site.steer(
        "/fault", {"server": "esx-01", "method": "AddPortGroup", "fault": "HostConfigFault", "times": 2}
    )
    met = [fault(lambda: network.AddPortGroup(wishes.group("x"))) for _ in range(3)]
    assert met == ["HostConfigFault", "HostConfigFault", None]

    vm = wishes.new_vm(content)
    site.steer(
        "/fault",
        {
            "server": "esx-01",
            "method": "PowerOnVM_Task",
            "fault": "InsufficientResourcesFault",
            "in_task": True,
        },
    )
    assert fault(lambda: vm.PowerOnVM_Task(None)) == "InsufficientResourcesFault"
    assert fault(lambda: vm.PowerOnVM_Task(None)) is None

    site.steer("/fault", {"server": "esx-01", "method": "QueryDateTime", "drop": True, "times": -1})
    with pytest.raises((ConnectionError, OSError)):
        wishes.compute(content).configManager.dateTimeSystem.QueryDateTime()
    site.steer("/faults", method="DELETE")
    assert fault(wishes.compute(content).configManager.dateTimeSystem.QueryDateTime) is None

    site.steer("/fault", {"server": "esx-01", "method": "QueryDateTime", "delay_ms": 200})
    start = time.monotonic()
    wishes.compute(content).configManager.dateTimeSystem.QueryDateTime()
    assert time.monotonic() - start >= 0.2

    site.steer("/expire", {"server": "esx-01"})
    assert fault(lambda: network.RemovePortGroup("x")) == "NotAuthenticated"


def test_the_processes_end_cleanly_and_leave_no_socket(site: Site) -> None:
    assert site.stop() == [0]
    assert not site.esx_control.exists()
