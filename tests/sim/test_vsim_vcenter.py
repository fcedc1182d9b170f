"""The simulated vCenter: it starts empty, takes hosts in, has them do the work, and lets them go again."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from paver.lab import pki
from paver.transport import tls
from tests.support import refused_by_vcenter as acts
from tests.support import vsim
from tests.support import vsim_wishes as wishes
from tests.support.vsim import Site, fault, vim
from tests.support.waiting import until

pytestmark = pytest.mark.lab


@pytest.fixture
def site() -> Iterator[Site]:
    with vsim.site(hosts=2, vcenter=True) as made:
        yield made


def _inventory(site: Site) -> Any:
    return site.steer("/inventory", at=site.vcenter_control)


def test_it_starts_empty(site: Site) -> None:
    content = site.center()
    assert not list(content.rootFolder.childEntity)
    assert (content.about.apiType, content.about.apiVersion) == ("VirtualCenter", "8.0.3.0")
    assert _inventory(site)["entities"] == {}


@pytest.mark.parametrize("user", ["administrator@vsphere.local", "VSPHERE.LOCAL\\Administrator"])
def test_the_administrator_logs_in_in_either_form(site: Site, user: str) -> None:
    site.center(user)
    assert fault(lambda: site.center(user, "wrong")) == "InvalidLogin"


def test_a_cluster_keeps_its_whole_specification(site: Site) -> None:
    spec = vim.cluster.ConfigSpecEx(
        drsConfig=vim.cluster.DrsConfigInfo(enabled=True, defaultVmBehavior="fullyAutomated", vmotionRate=2),
        dasConfig=vim.cluster.DasConfigInfo(enabled=True, admissionControlEnabled=False),
    )
    made = acts.datacenter(site).hostFolder.CreateClusterEx("compute", spec)
    kept = made.configurationEx
    assert (kept.drsConfig.enabled, kept.drsConfig.defaultVmBehavior, kept.drsConfig.vmotionRate) == (
        True,
        "fullyAutomated",
        2,
    )
    assert (kept.dasConfig.enabled, kept.dasConfig.admissionControlEnabled) == (True, False)
    off = vim.cluster.ConfigSpecEx(dasConfig=vim.cluster.DasConfigInfo(enabled=False))
    vsim.wait(made.ReconfigureComputeResource_Task(off, True))
    assert (made.configurationEx.dasConfig.enabled, made.configurationEx.drsConfig.enabled) == (False, True)


def test_a_view_shows_what_came_after_it(site: Site) -> None:
    content = site.center()

    def view() -> Any:
        return content.viewManager.CreateContainerView(content.rootFolder, None, True)

    before = view()
    acts.managed(site)
    acts.machine(site)
    until(lambda: wishes.agents(site)["esx-01"], "the cluster has its agent")
    seen, there = (sorted(str(one) for one in shown.view) for shown in (before, view()))
    assert seen == there
    assert len([name for name in there if "vim.Folder" in name]) == 5


def test_a_host_is_dialled_before_it_is_believed(site: Site) -> None:
    made = acts.cluster(site)
    shown = vsim.thumbprint(*site.where("esx-01"))
    refused = site.connect_spec("esx-01", sslThumbprint=None)
    with pytest.raises(vim.fault.SSLVerifyFault) as error:
        vsim.wait(made.AddHost_Task(refused, True, None, None))
    assert error.value.thumbprint == shown
    assert acts.add(site, made, "esx-01", password="wrong") == "InvalidLogin"
    assert acts.add(site, made, "esx-01", port=1) == "NoHost"
    assert acts.add(site, made, "esx-01", hostName="esx-01.north.example") == "NoHost"
    assert not list(made.host)
    assert vsim.thumbprint(*site.where("esx-01")) == shown


def test_a_host_that_is_taken_in_leaves_with_a_certificate_of_the_vmca(site: Site) -> None:
    before = vsim.thumbprint(*site.where("esx-01"))
    _, host = acts.managed(site)
    here, port = site.where("esx-01")
    assert vsim.thumbprint(here, port) != before
    context = ssl.create_default_context(cafile=str(site.folder / "vcenter.north.example-vmca.crt"))
    with (
        socket.create_connection((here, port)) as line,
        context.wrap_socket(line, server_hostname="esx-01.north.example") as secured,
    ):
        assert secured.getpeercert()
    assert host.config.certificate


def test_what_the_hosts_have_shows_in_the_vcenter(site: Site) -> None:
    wishes.new_vm(site.host("esx-01"), "was-there")
    content = site.center()
    made, one = acts.managed(site, content)
    two = vsim.wait(made.AddHost_Task(site.connect_spec("esx-02"), True, None, None))
    where = acts.datacenter(site, content)
    assert [host.name for host in made.host] == [site.where("esx-01")[0], site.where("esx-02")[0]]
    assert sorted(store.name for store in made.datastore) == ["datastore1", "datastore1 (1)"]
    assert [vm.name for vm in wishes.but_agents(where.vmFolder.childEntity)] == ["was-there"]
    assert [network.name for network in where.network] == ["VM Network"]

    for name in ("esx-01", "esx-02"):
        system = wishes.compute(site.host(name)).configManager.networkSystem
        system.AddPortGroup(wishes.group("bosh", 30))
    [bosh] = [network for network in where.network if network.name == "bosh"]
    assert sorted(host.name for host in bosh.host) == sorted(host.name for host in (one, two))
    for name in ("esx-01", "esx-02"):
        wishes.compute(site.host(name)).configManager.networkSystem.RemovePortGroup("bosh")
    assert [network.name for network in where.network] == ["VM Network"]


def test_a_second_datastore_of_one_name_is_renamed_on_its_host_with_all_that_lies_on_it(site: Site) -> None:
    for name in ("esx-01", "esx-02"):
        wishes.new_vm(site.host(name), f"on-{name}", disk_kb=1024)
    made, _ = acts.managed(site)
    vsim.wait(made.AddHost_Task(site.connect_spec("esx-02"), True, None, None))
    for name, store in (("esx-01", "datastore1"), ("esx-02", "datastore1 (1)")):
        there = wishes.compute(site.host(name))
        assert [each.name for each in there.datastore] == [store]
        assert [each.summary.name for each in there.datastore] == [store]
        [vm] = wishes.but_agents(there.vm)
        assert vm.config.files.vmPathName.startswith(f"[{store}] ")
        assert vm.summary.config.vmPathName.startswith(f"[{store}] ")
        [disk] = [each for each in vm.config.hardware.device if isinstance(each, vim.vm.device.VirtualDisk)]
        assert disk.backing.fileName.startswith(f"[{store}] ")
        assert list(site.steer(f"/inventory?server={name}")["datastores"]) == [store]
    [ours] = [vm for vm in acts.datacenter(site).vmFolder.childEntity if vm.name == "on-esx-02"]
    assert ours.config.files.vmPathName.startswith("[datastore1 (1)] ")
    vsim.wait(ours.PowerOnVM_Task(None))
    vsim.wait(ours.PowerOffVM_Task())
    vsim.wait(ours.Destroy_Task())
    assert not site.steer("/inventory?server=esx-02")["datastores"]["datastore1 (1)"]["files"]


def test_the_hosts_do_what_the_vcenter_is_asked(site: Site) -> None:
    content = site.center()
    _, host = acts.managed(site, content)
    host.configManager.networkSystem.AddPortGroup(wishes.group("bosh", 30))
    there = wishes.compute(site.host())
    assert "bosh" in [group.spec.name for group in there.config.network.portgroup]

    vm = acts.machine(site, network="bosh", disk_kb=1024)
    [found] = wishes.but_agents(there.vm)
    assert found.name == "vm-1"
    vsim.wait(vm.PowerOnVM_Task(None))
    assert found.runtime.powerState == "poweredOn"
    assert fault(lambda: there.configManager.networkSystem.RemovePortGroup("bosh")) == "ResourceInUse"
    option = vim.option.OptionValue(key="guestinfo.bosh.env", value="e30=")
    vsim.wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option])))
    site.steer("/guest", {"vm": vm.config.uuid, "ip": "10.30.0.10", "tools": "guestToolsRunning"})
    assert vm.guest.ipAddress == "10.30.0.10"
    vsim.wait(vm.PowerOffVM_Task())
    vsim.wait(vm.Destroy_Task())
    assert not wishes.but_agents(there.vm)
    assert not wishes.but_agents(acts.datacenter(site, content).vmFolder.childEntity)


def test_a_clone_has_disks_of_its_own(site: Site) -> None:
    content = site.center()
    acts.managed(site, content)
    where = acts.datacenter(site, content)
    template = acts.machine(site, "template", disk_kb=1024, network="VM Network")
    flat = site.folder / "esx-01" / "template" / "template-flat.vmdk"
    flat.write_bytes(wishes.DISK)
    template.MarkAsTemplate()
    assert fault(lambda: template.PowerOnVM_Task(None)) == "InvalidState"
    folder = where.vmFolder.CreateFolder("clones")
    spec = vim.vm.CloneSpec(
        location=vim.vm.RelocateSpec(pool=where.hostFolder.childEntity[0].resourcePool),
        powerOn=True,
        template=False,
    )
    clone = vsim.wait(template.CloneVM_Task(folder, "clone", spec))
    assert (clone.parent.name, clone.runtime.powerState) == ("clones", "poweredOn")
    assert (site.folder / "esx-01" / "clone" / "clone-flat.vmdk").read_bytes() == wishes.DISK
    cards = [
        device.macAddress
        for vm in (template, clone)
        for device in vm.config.hardware.device
        if isinstance(device, vim.vm.device.VirtualEthernetCard)
    ]
    assert len(set(cards)) == 2
    vsim.wait(clone.PowerOffVM_Task())
    vsim.wait(clone.Destroy_Task())
    assert flat.exists()


def test_what_changes_of_a_machine_on_its_host_is_shown_and_others_keep_what_they_have(site: Site) -> None:
    acts.managed(site)
    kept, other = (acts.machine(site, name, disk_kb=1024) for name in ("kept", "other"))
    taken = vsim.wait(kept.CreateSnapshot_Task("initial", None, False, False))
    there = {one.name: one for one in wishes.compute(site.host()).vm}

    def shown() -> tuple[object, ...]:
        return (kept.config.hardware.memoryMB, kept.snapshot.currentSnapshot, other.config.hardware.memoryMB)

    before = shown()
    vsim.wait(there["other"].ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=12)))
    assert shown() == (before[0], taken, 12)
    vsim.wait(there["kept"].ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=16)))
    assert shown() == (16, taken, 12)
    assert taken.config.hardware.memoryMB == before[0]
    vsim.wait(there["kept"].RemoveAllSnapshots_Task())
    assert not hasattr(kept, "snapshot") or kept.snapshot is None
    assert fault(lambda: taken.config) == "ManagedObjectNotFound"
    vsim.wait(there["other"].Destroy_Task())
    assert fault(lambda: other.config) == "ManagedObjectNotFound"
    assert kept.config.hardware.memoryMB == 16


def test_whoever_looks_at_a_host_gives_its_vcenter_nothing_to_read(site: Site) -> None:
    acts.managed(site)
    machine, content = acts.machine(site), site.host()

    def read() -> int:
        assert machine.config.name == "vm-1"
        return sum(
            line["user"] == "vpxuser" and line["method"].startswith("Retrieve")
            for line in site.trace("esx-01")
        )

    until(lambda: wishes.agents(site)["esx-01"], "the cluster has its agent")
    until(lambda: read() == read(), "nothing changes any more")
    before = read()
    content.viewManager.CreateContainerView(content.rootFolder, None, True)
    assert read() == before
    vsim.wait(machine.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=12)))
    assert read() > before


def test_a_linked_clone_is_a_child_of_a_snapshots_disks_and_is_born_as_it_is_asked_for(site: Site) -> None:
    """As BOSH's CPI makes its VMs out of a stemcell."""
    content = site.center()
    acts.managed(site, content)
    where = acts.datacenter(site, content)
    source = acts.machine(site, "stemcell", disk_kb=1024)
    (site.folder / "esx-01" / "stemcell" / "stemcell-flat.vmdk").write_bytes(wishes.DISK)
    taken = vsim.wait(source.CreateSnapshot_Task("initial", None, False, False))
    assert source.snapshot.currentSnapshot == taken
    assert [one.name for one in source.snapshot.rootSnapshotList] == ["initial"]
    vsim.wait(source.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=4)))

    devices = source.config.hardware.device
    controller = next(one for one in devices if isinstance(one, vim.vm.device.VirtualSCSIController))
    edited = vim.vm.device.VirtualLsiLogicController(
        key=controller.key, busNumber=controller.busNumber, sharedBus=controller.sharedBus
    )
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName="[datastore1] vm-1/ephemeral_disk.vmdk", diskMode="persistent", thinProvisioned=True
    )
    disk = vim.vm.device.VirtualDisk(
        key=-2, controllerKey=controller.key, unitNumber=1, capacityInKB=2048, backing=backing
    )
    change = vim.vm.device.VirtualDeviceSpec
    wanted = vim.vm.ConfigSpec(
        numCPUs=2,
        managedBy=vim.ext.ManagedByInfo(extensionKey="sddc.cpi.extension", type="cpi-managed-resource"),
        deviceChange=[
            change(operation="edit", device=edited),
            change(operation="add", fileOperation="create", device=disk),
        ],
    )
    location = vim.vm.RelocateSpec(
        pool=where.hostFolder.childEntity[0].resourcePool, diskMoveType="createNewChildDiskBacking"
    )
    spec = vim.vm.CloneSpec(location=location, snapshot=taken, config=wanted, powerOn=False, template=False)
    clone = vsim.wait(source.CloneVM_Task(where.vmFolder, "vm-1", spec))
    hardware = clone.config.hardware
    assert (hardware.numCPU, hardware.memoryMB) == (2, taken.config.hardware.memoryMB)
    assert clone.config.managedBy.extensionKey == "sddc.cpi.extension"
    assert [
        type(one).__name__.rpartition(".")[2] for one in hardware.device if one.key == controller.key
    ] == ["VirtualLsiLogicController"]
    system, ephemeral = (one for one in hardware.device if isinstance(one, vim.vm.device.VirtualDisk))
    assert system.backing.parent.fileName == "[datastore1] stemcell/stemcell.vmdk"
    assert (site.folder / "esx-01" / "vm-1" / "vm-1-flat.vmdk").read_bytes() == wishes.DISK
    assert (ephemeral.backing.fileName, ephemeral.backing.parent) == (backing.fileName, None)
    assert not hasattr(clone, "snapshot")

    other = acts.machine(site, "other", disk_kb=1024)
    assert fault(lambda: other.CloneVM_Task(where.vmFolder, "copy", spec)) == "ManagedObjectNotFound"
    vsim.wait(source.Destroy_Task())
    assert not (site.folder / "esx-01" / "stemcell").exists()
    assert fault(lambda: taken.config.name) == "ManagedObjectNotFound"


def _uplink_down(host: Any) -> bool:
    """Whether the vCenter shows that the host's second uplink has no link."""
    (uplink,) = (one for one in host.config.network.pnic if one.device == "vmnic1")
    return getattr(uplink, "linkSpeed", None) is None


def test_a_host_that_loses_a_machine_while_it_is_read_still_responds(site: Site) -> None:
    _, host = acts.managed(site)
    until(lambda: wishes.agents(site)["esx-01"], "the cluster has its agent")
    before = wishes.agents(site)

    def logins() -> int:
        return sum(line["user"] == "vpxuser" and line["method"] == "Login" for line in site.trace("esx-01"))

    logged_in = logins()
    lost = {"server": "esx-01", "method": "RetrievePropertiesEx", "fault": "ManagedObjectNotFound"}
    site.steer("/fault", {**lost, "times": -1})
    site.steer("/uplink", {"server": "esx-01", "device": "vmnic1", "up": False})
    assert host.runtime.connectionState == "connected"
    assert not _uplink_down(host), "it could not be read"
    site.steer("/faults", method="DELETE")
    assert _uplink_down(host), "it is read again"
    assert wishes.agents(site) == before
    assert logins() == logged_in, "with the session of before"


def test_whoever_looks_at_a_host_that_loses_a_machine_meanwhile_sees_the_rest(site: Site) -> None:
    _, host = acts.managed(site)
    lost = {"server": "esx-01", "method": "RetrievePropertiesEx", "fault": "ManagedObjectNotFound"}
    site.steer("/fault", lost)
    site.steer("/uplink", {"server": "esx-01", "device": "vmnic1", "up": False})
    assert _uplink_down(host)


def test_a_machine_that_the_vcenter_finds_before_its_task_ends_comes_where_it_was_asked_for(
    site: Site,
) -> None:
    made, _ = acts.managed(site)
    where = acts.datacenter(site)
    folder = where.vmFolder.CreateFolder("asked")
    pool = made.resourcePool.CreateResourcePool("for", made.resourcePool.config)
    # It hears late of the end of the host's task, and looks at the host all the time.
    site.steer("/fault", {"server": "esx-01", "method": "WaitForUpdatesEx", "delay_ms": 1000})
    task = folder.CreateVM_Task(wishes.machine_spec("vm-1"), pool)

    def found() -> list[str]:
        return [vm.name for there in (where.vmFolder, folder) for vm in there.childEntity]

    until(lambda: "vm-1" in found(), "the vCenter has found it")
    vm = vsim.wait(task)
    assert (vm.parent, vm.resourcePool) == (folder, pool)
    assert list(pool.vm) == [vm]
    assert list(folder.childEntity) == [vm]
    assert vm not in where.vmFolder.childEntity
    assert vm not in made.resourcePool.vm


def test_a_name_is_asked_for_again_where_the_answer_is_lost(site: Site) -> None:
    here = site.where("esx-01")[0]
    questions: list[bytes] = []

    class Names(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            question, line = self.request
            questions.append(question)
            # Number, flags and counts of an answer; the question; the name as asked for, an A record of a minute.
            head = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(here)
            answer = head + question[12:] + record
            # One that is cut short stands for one that is lost, which would take its time.
            line.sendto(answer[:9] if len(questions) < 3 else answer, self.client_address)

    address = vsim.address()
    with socketserver.UDPServer((address, 0), Names) as names:
        thread = threading.Thread(target=names.serve_forever, args=(0.01,))
        thread.start()
        try:
            port = names.server_address[1]
            site.vcenter = site.more_vcenter("other.north.example", dns=[f"{address}:{port}"])
            assert acts.add(site, acts.cluster(site), "esx-01", hostName="esx-01.north.example") is None
        finally:
            names.shutdown()
            thread.join()
    assert len(questions) > 2


def test_an_import_is_uploaded_to_the_host_by_its_name(site: Site) -> None:
    content = site.center()
    made, _ = acts.managed(site, content)
    where = acts.datacenter(site, content)
    folder = where.vmFolder.CreateFolder("templates")
    parameters = vim.OvfManager.CreateImportSpecParams(
        entityName="stemcell", locale="", deploymentOption="", diskProvisioning="thin"
    )
    spec = content.ovfManager.CreateImportSpec(
        wishes.ova(), made.resourcePool, where.datastore[0], parameters
    )
    assert not spec.error
    lease = made.resourcePool.ImportVApp(spec.importSpec, folder, None)
    until(lambda: lease.state != "initializing", "the lease is made")
    [item] = spec.fileItem
    url = urlsplit(next(u.url for u in lease.info.deviceUrl if u.importKey == item.deviceId))
    assert (url.hostname, url.port) == site.where("esx-01")
    # Its URL is the client's ticket: a session with vCenter is none with the host.
    stream = {"Content-Type": "application/x-vnd.vmware-streamVmdk"}
    assert wishes.request(site.where("esx-01"), "POST", url.path, wishes.DISK, stream)[0] == 201
    lease.HttpNfcLeaseProgress(99)
    assert lease.transferProgress == 99
    [entry] = lease.HttpNfcLeaseGetManifest()
    assert entry.sha1 == hashlib.sha1(wishes.DISK, usedforsecurity=False).hexdigest()
    vm = lease.info.entity
    assert (vm.name, vm.parent.name) == ("stemcell", "templates")
    lease.HttpNfcLeaseComplete()
    assert lease.state == "done"


def test_disks_and_folders_are_made_on_the_host(site: Site) -> None:
    content = site.center()
    acts.managed(site, content)
    where = acts.datacenter(site, content)
    content.fileManager.MakeDirectory("[datastore1] disks/persistent", where, True)
    disk = "[datastore1] disks/persistent/disk-1.vmdk"
    spec = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
        diskType="thin", adapterType="lsiLogic", capacityKb=1024
    )
    vsim.wait(content.virtualDiskManager.CreateVirtualDisk_Task(disk, where, spec))
    found = vsim.wait(where.datastore[0].browser.SearchDatastore_Task("[datastore1] disks/persistent", None))
    assert sorted(entry.path for entry in found.file) == ["disk-1-flat.vmdk", "disk-1.vmdk"]
    vsim.wait(content.virtualDiskManager.DeleteVirtualDisk_Task(disk, where))
    vsim.wait(content.fileManager.DeleteDatastoreFile_Task("[datastore1] disks", where))
    assert not (site.folder / "esx-01" / "disks").exists()


def test_an_account_may_what_its_role_allows_and_no_more(site: Site) -> None:
    acts.managed(site)
    content = acts.with_role(
        site,
        "Folder.Create",
        "VirtualMachine.Inventory.Create",
        "VirtualMachine.Config.AddNewDisk",
        "Resource.AssignVMToPool",
        "Datastore.AllocateSpace",
        "Network.Assign",
    )
    where = acts.datacenter(site, content)
    pool = where.hostFolder.childEntity[0].resourcePool
    folder = where.vmFolder.CreateFolder("vms")
    spec = wishes.machine_spec("vm-1", network="VM Network", disk_kb=1024)
    vm = vsim.wait(folder.CreateVM_Task(spec, pool))
    with pytest.raises(vim.fault.NoPermission) as error:
        vm.PowerOnVM_Task(None)
    assert error.value.privilegeId == "VirtualMachine.Interact.PowerOn"
    assert fault(vm.Destroy_Task) == "NoPermission"
    assert fault(lambda: content.rootFolder.CreateDatacenter("south")) == "NoPermission"
    granted = content.authorizationManager.HasPrivilegeOnEntities(
        [vm], content.sessionManager.currentSession.key, ["Network.Assign", "Folder.Delete"]
    )
    assert [each.isGranted for each in granted[0].privAvailability] == [True, False]
    admin = site.center().authorizationManager
    admin.RemoveEntityPermission(where, "VSPHERE.LOCAL\\cpi", False)
    assert fault(lambda: where.vmFolder.CreateFolder("more")) == "NoPermission"


def test_what_is_granted_on_a_cluster_holds_for_its_root_pool_and_reaches_no_further(site: Site) -> None:
    made, _ = acts.managed(site)
    vm = acts.machine(site)
    below = made.resourcePool.CreateResourcePool("below", made.resourcePool.config)
    assert acts.account(site, "cpi", acts.CPI_PASSWORD) is None
    manager = site.center().authorizationManager
    wanted = ["Resource.AssignVMToPool", "VirtualMachine.Interact.PowerOn"]
    role = manager.AddAuthorizationRole("cpi", wanted)
    acts.grant(site.center(), made, role, propagate=False)
    content = site.center(acts.CPI, acts.CPI_PASSWORD)
    granted = content.authorizationManager.HasPrivilegeOnEntities(
        [made, made.resourcePool, below, made.host[0], vm],
        content.sessionManager.currentSession.key,
        wanted,
    )
    assert [{each.isGranted for each in one.privAvailability} for one in granted] == [
        {True},
        {True},
        {False},
        {False},
        {False},
    ]


def test_the_rest_api_says_how_the_appliance_is(site: Site) -> None:
    where = (site.vcenter, vsim.PORT)
    secret = base64.b64encode(f"administrator@vsphere.local:{vsim.SSO}".encode()).decode()
    assert wishes.request(where, "POST", "/api/session")[0] == 401
    status, body = wishes.request(where, "POST", "/api/session", headers={"Authorization": f"Basic {secret}"})
    assert status == 201
    session = {"vmware-api-session-id": json.loads(body)}
    health = "/api/appliance/health/system"
    assert wishes.request(where, "GET", health)[0] == 401
    assert json.loads(wishes.request(where, "GET", health, headers=session)[1]) == "green"
    version = json.loads(wishes.request(where, "GET", "/api/appliance/system/version", headers=session)[1])
    assert version["version"].startswith("8.0.3")
    assert wishes.request(where, "DELETE", "/api/session", headers=session)[0] == 204
    assert wishes.request(where, "GET", health, headers=session)[0] == 401


def test_a_disconnected_host_is_left_alone_and_taken_up_again(site: Site) -> None:
    _, host = acts.managed(site)
    vm = acts.machine(site)
    vsim.wait(host.DisconnectHost_Task())
    assert host.runtime.connectionState == "disconnected"
    assert fault(lambda: vm.PowerOnVM_Task(None)) == "HostNotConnected"
    vsim.wait(host.ReconnectHost_Task(None, None))
    assert host.runtime.connectionState == "connected"
    assert fault(lambda: vm.PowerOnVM_Task(None)) is None


def test_a_host_in_maintenance_starts_no_machine(site: Site) -> None:
    _, host = acts.managed(site)
    made = acts.machine(site)
    vsim.wait(host.EnterMaintenanceMode_Task(0, None, None))
    assert fault(lambda: made.PowerOnVM_Task(None)) == "InvalidState"
    vsim.wait(host.ExitMaintenanceMode_Task(0))
    assert fault(lambda: made.PowerOnVM_Task(None)) is None


def test_hosts_and_vcenter_tell_when_their_evaluation_ends(site: Site) -> None:
    for content in (site.host(), site.center()):
        told = {one.key: one.value for one in content.licenseManager.evaluation.properties}
        left = told["expirationDate"] - dt.datetime.now(dt.UTC)
        assert dt.timedelta(days=59) < left <= dt.timedelta(days=60)


def test_a_host_that_was_installed_anew_is_taken_back_by_an_account_and_its_certificate_and_no_other_way(
    site: Site,
) -> None:
    _, host = acts.managed(site)
    acts.machine(site)
    pair = pki.host("esx-01.north.example", site.where("esx-01")[0])
    certificate, key = (path.read_text() for path in pair.write(site.folder, "anew"))
    site.steer("/install", {"server": "esx-01", "certificate": certificate, "key": key})
    until(lambda: host.runtime.connectionState == "notResponding", "vCenter notices it")
    assert fault(lambda: host.ReconnectHost_Task(None, None)) == "HostCommunication"

    def met(**changes: Any) -> str | None:
        return fault(lambda: host.ReconnectHost_Task(site.connect_spec("esx-01", **changes), None))

    assert met(password="wrong") == "InvalidLogin"
    assert met(sslThumbprint=None) == "SSLVerifyFault"
    vsim.wait(host.ReconnectHost_Task(site.connect_spec("esx-01"), None))
    assert host.runtime.connectionState == "connected"
    assert not wishes.but_agents(host.vm), "its disks are empty"
    until(lambda: wishes.agents(site)["esx-01"], "it carries an agent again")
    assert vsim.thumbprint(*site.where("esx-01")) != tls.thumbprint(certificate)


def test_the_way_back_leaves_an_empty_vcenter_and_hosts_that_work(site: Site) -> None:
    content = site.center()
    start = _inventory(site)
    before = site.steer("/inventory?server=esx-01")
    made, host = acts.managed(site, content)
    where = acts.datacenter(site, content)
    where.vmFolder.CreateFolder("a").CreateFolder("b")
    vsim.wait(wishes.but_agents(where.vmFolder.childEntity)[0].Rename_Task("c"))
    field = content.customFieldsManager.AddCustomFieldDef("site", vim.VirtualMachine, None, None)
    vm = acts.machine(site, disk_kb=1024)
    content.customFieldsManager.SetField(vm, field.key, "north")
    assert _inventory(site)["entities"]["/north/vm/vm-1"]["attributes"] == {"site": "north"}
    role = content.authorizationManager.AddAuthorizationRole("cpi", ["Folder.Create"])
    acts.grant(content, where, role, "administrator@vsphere.local")

    content.authorizationManager.RemoveAuthorizationRole(role, False)
    content.customFieldsManager.RemoveCustomFieldDef(field.key)
    vsim.wait(vm.Destroy_Task())
    [folder] = wishes.but_agents(where.vmFolder.childEntity)
    assert folder.name == "c"
    vsim.wait(folder.Destroy_Task())
    assert fault(where.Destroy_Task) == "ResourceInUse"
    vsim.wait(host.EnterMaintenanceMode_Task(0, None, None))
    vsim.wait(host.ExitMaintenanceMode_Task(0))
    wishes.retreat(site, made, on=True)
    until(lambda: not wishes.agents(site)["esx-01"], "the agent is gone")
    vsim.wait(host.DisconnectHost_Task())
    vsim.wait(host.Destroy_Task())
    vsim.wait(made.Destroy_Task())
    vsim.wait(where.Destroy_Task())
    assert _inventory(site) == start
    after = site.steer("/inventory?server=esx-01")
    # What AddHost leaves behind on a real host as well: VMCA's certificate and the agent's account.
    assert {key for key in before if after[key] != before[key]} == {"certificate", "users"}
    assert after["users"] == ["root", "vpxuser"]
    vsim.wait(wishes.new_vm(site.host()).PowerOnVM_Task(None))


def test_both_processes_end_cleanly(site: Site) -> None:
    acts.managed(site)
    assert site.stop() == [0, 0]
    assert not site.vcenter_control.exists()
