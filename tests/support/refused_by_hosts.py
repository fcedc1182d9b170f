"""For each row of the simulator's table of refusals that a bare host is for: an act that the row must refuse.

A probe returns the fault that it met, by its class or status, and None when it passed.
"""

from __future__ import annotations

import socket as sockets
import ssl
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tests.support import vsim
from tests.support import vsim_wishes as wishes
from tests.support.vsim import Site, fault, vim
from tests.support.vsim_wishes import group

Probe = Callable[[Site], str | None]


def _network(site: Site) -> Any:
    return wishes.compute(site.host()).configManager.networkSystem


def _services(site: Site) -> Any:
    return wishes.compute(site.host()).configManager.serviceSystem


def _switch(uplinks: list[str] | None = None, mtu: int = 1500) -> Any:
    bridge = vim.host.VirtualSwitch.BondBridge(nicDevice=uplinks) if uplinks else None
    return vim.host.VirtualSwitch.Specification(numPorts=128, mtu=mtu, bridge=bridge)


def _licence_free(site: Site) -> str | None:
    site.steer("/licence", {"server": "esx-01", "licence": "free"})
    return fault(lambda: _network(site).AddPortGroup(group("x")))


def _portgroup_duplicate(site: Site) -> str | None:
    _network(site).AddPortGroup(group("x"))
    return fault(lambda: _network(site).AddPortGroup(group("x")))


def _portgroup_in_use(site: Site) -> str | None:
    network = _network(site)
    network.AddPortGroup(group("x"))
    wishes.new_vm(site.host(), network="x")
    return fault(lambda: network.RemovePortGroup("x"))


def _switch_in_use(site: Site) -> str | None:
    network = _network(site)
    network.AddVirtualSwitch("vSwitch1", _switch())
    network.AddPortGroup(group("x", switch="vSwitch1"))
    wishes.new_vm(site.host(), network="x")
    return fault(lambda: network.RemoveVirtualSwitch("vSwitch1"))


def _dns_address(site: Site) -> str | None:
    config = vim.host.DnsConfig(
        dhcp=False, hostName="esx-01", domainName="north.example", address=["dns.north.example"]
    )
    return fault(lambda: _network(site).UpdateDnsConfig(config))


def _autostart_vm(site: Site) -> str | None:
    host = wishes.compute(site.host())
    return _started(host, vim.VirtualMachine("vm-999", host._stub), order=1)


def _autostart_order(site: Site) -> str | None:
    content = site.host()
    return _started(wishes.compute(content), wishes.new_vm(content), order=2)


def _started(host: Any, vm: Any, *, order: int) -> str | None:
    """The fault of having a machine started with its host."""
    info = vim.host.AutoStartManager.AutoPowerInfo(
        key=vm,
        startOrder=order,
        startDelay=-1,
        waitForHeartbeat="no",
        startAction="powerOn",
        stopDelay=-1,
        stopAction="none",
    )
    spec = vim.host.AutoStartManager.Config(powerInfo=[info])
    return fault(lambda: host.configManager.autoStartManager.ReconfigureAutostart(spec))


def _account_duplicate(site: Site) -> str | None:
    account = vim.host.LocalAccountManager.AccountSpecification(id="auditor", password="Paver-Lab-3!")
    manager = site.host().accountManager
    manager.CreateUser(account)
    return fault(lambda: manager.CreateUser(account))


def _bare_clone(site: Site) -> str | None:
    content = site.host()
    vm = wishes.new_vm(content)
    spec = vim.vm.CloneSpec(
        location=vim.vm.RelocateSpec(pool=wishes.pool(content)), powerOn=False, template=False
    )
    return fault(lambda: vm.CloneVM_Task(wishes.vm_folder(content), "copy", spec))


def _bare_vapp(site: Site) -> str | None:
    vm = wishes.new_vm(site.host())
    info = vim.vApp.PropertyInfo(key=0, id="hostname", value="x")
    spec = vim.vApp.VmConfigSpec(property=[vim.vApp.PropertySpec(operation="add", info=info)])
    return fault(lambda: vm.ReconfigVM_Task(vim.vm.ConfigSpec(vAppConfig=spec)))


def _vm_duplicate(site: Site) -> str | None:
    content = site.host()
    wishes.new_vm(content, "twin")
    return fault(lambda: wishes.new_vm(content, "twin"))


def _extra_config_size(site: Site) -> str | None:
    vm = wishes.new_vm(site.host())
    option = vim.option.OptionValue(key="guestinfo.userdata", value="x" * 70000)
    return fault(lambda: vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option])))


def _swap_room(site: Site) -> str | None:
    vm = wishes.new_vm(site.host(), memoryMB=1024)
    return fault(lambda: vm.PowerOnVM_Task(None))


def _resize_powered_on(site: Site) -> str | None:
    vm = wishes.new_vm(site.host())
    vsim.wait(vm.PowerOnVM_Task(None))
    return fault(lambda: vm.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=4)))


def _upload_full(site: Site) -> str | None:
    site.host()
    path = "/folder/big.bin?dcPath=ha-datacenter&dsName=datastore1"
    content = site.host()
    try:
        status, _ = wishes.request(
            site.where("esx-01"), "PUT", path, bytes((1 << 28) + 1), wishes.cookie(content)
        )
    except (ConnectionError, ssl.SSLError):
        # The host hangs up on the rest of the upload, at times before its answer is read.
        return "507"
    return str(status) if status >= 400 else None


def _locked_file(site: Site) -> str | None:
    content = site.host()
    vm = wishes.new_vm(content, "busy", disk_kb=1024)
    vsim.wait(vm.PowerOnVM_Task(None))
    return fault(lambda: content.fileManager.DeleteDatastoreFile_Task("[datastore1] busy", None))


def _locked_disk(site: Site) -> str | None:
    content = site.host()
    vm = wishes.new_vm(content, "busy", disk_kb=1024)
    vsim.wait(vm.PowerOnVM_Task(None))
    return fault(
        lambda: content.virtualDiskManager.DeleteVirtualDisk_Task("[datastore1] busy/busy.vmdk", None)
    )


def _folder_login(site: Site) -> str | None:
    (site.folder / "esx-01" / "file").write_text("x")
    status, _ = wishes.request(
        site.where("esx-01"), "GET", "/folder/file?dcPath=ha-datacenter&dsName=datastore1"
    )
    return str(status) if status >= 400 else None


def _lease(site: Site, *, image: bool = False) -> tuple[Any, Any]:
    content = site.host()
    made = wishes.import_spec(content, wishes.ova(image=image))
    assert not made.error
    return content, wishes.lease_of(content, made.importSpec)


def _first(lease: Any) -> str:
    return wishes.upload_path(next(url.url for url in lease.info.deviceUrl if url.disk))


_STREAM = {"Content-Type": "application/x-vnd.vmware-streamVmdk"}


def _nfc_login(site: Site) -> str | None:
    _, lease = _lease(site)
    status, _ = wishes.request(site.where("esx-01"), "POST", _first(lease), wishes.DISK, _STREAM)
    return str(status) if status >= 400 else None


def _nfc_image_by_post(site: Site) -> str | None:
    content, lease = _lease(site, image=True)
    url = next(url.url for url in lease.info.deviceUrl if not url.disk)
    status, _ = wishes.request(
        site.where("esx-01"), "POST", wishes.upload_path(url), b"CD01", {**_STREAM, **wishes.cookie(content)}
    )
    return str(status) if status >= 400 else None


def _nfc_disk_format(site: Site) -> str | None:
    content, lease = _lease(site)
    headers = {**_STREAM, **wishes.cookie(content)}
    status, _ = wishes.request(site.where("esx-01"), "POST", _first(lease), b"not a disk", headers)
    return str(status) if status >= 400 else None


def _nfc_short(site: Site) -> str | None:
    content, lease = _lease(site)
    where = site.where("esx-01")
    head = f"POST {_first(lease)} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nCookie: {content.rootFolder._stub.cookie}\r\n\r\n"
    with sockets.create_connection(where) as plain, vsim.trusting().wrap_socket(plain) as line:
        line.sendall(head.encode() + wishes.DISK)
        line.shutdown(sockets.SHUT_WR)
        # The host hangs up when it is done; what it says is in the lease as well.
        while line.recv(4096):
            continue
    return "500" if lease.state == "error" else None


def _lease_complete(site: Site) -> str | None:
    content, lease = _lease(site)
    headers = {**_STREAM, **wishes.cookie(content)}
    wishes.request(site.where("esx-01"), "POST", _first(lease), b"not a disk", headers)
    assert lease.state == "error"
    return fault(lease.HttpNfcLeaseComplete)


def _power_on_importing(site: Site) -> str | None:
    _, lease = _lease(site)
    return fault(lambda: lease.info.entity.PowerOnVM_Task(None))


def _power_op_info(site: Site) -> str | None:
    content = site.host()
    setting = '<vmw:Config vmw:key="powerOpInfo.powerOffType" vmw:value="default"/>'
    made = wishes.import_spec(content, wishes.ova(replaced={"<!--settings-->": setting}))
    return fault(lambda: wishes.pool(content).ImportVApp(made.importSpec, None, None))


def _ovf_hardware(site: Site) -> str | None:
    made = wishes.import_spec(site.host(), wishes.ova(replaced={"vmx-14": "vmx-99"}))
    return type(made.error[0]).__name__.rpartition(".")[2] if made.error else None


def _ovf_capacity(site: Site) -> str | None:
    made = wishes.import_spec(site.host(), wishes.ova(replaced=wishes.sized_by("7", "MinValue(8)")))
    return type(made.error[0]).__name__.rpartition(".")[2] if made.error else None


def _ovf_errors(site: Site) -> str | None:
    made = wishes.import_spec(site.host(), wishes.ova(replaced={"VmxNet3": "Token Ring"}))
    assert made.error
    return "no importSpec" if made.importSpec is None else None


def _ovf_network(site: Site) -> str | None:
    content = site.host()
    mapping = vim.OvfManager.NetworkMapping(
        name="nat", network=vim.Network("network-999", content.rootFolder._stub)
    )
    return fault(lambda: wishes.import_spec(content, wishes.ova(), networkMapping=[mapping]))


def _guest(site: Site, *, tools: bool, password: str) -> str | None:
    content = site.host()
    vm = wishes.new_vm(content)
    vsim.wait(vm.PowerOnVM_Task(None))
    folder = site.machine_folder(vm.config.uuid)
    (folder / "root").mkdir(parents=True)
    (folder / "root" / "file").write_text("x")
    (folder / "guest-credentials.json").write_text('{"root": "right"}')
    if tools:
        site.steer("/guest", {"vm": vm.config.uuid, "tools": "guestToolsRunning", "ip": "10.20.0.10"})
    auth = vim.vm.guest.NamePasswordAuthentication(
        username="root", password=password, interactiveSession=False
    )
    files = content.guestOperationsManager.fileManager
    return fault(lambda: files.InitiateFileTransferFromGuest(vm, auth, "/file"))


def _account_lock(site: Site) -> str | None:
    for _ in range(5):
        assert fault(lambda: site.host(password="wrong")) == "InvalidLogin"
    return fault(site.host)


def _lockdown(site: Site) -> str | None:
    site.steer("/lockdown", {"server": "esx-01", "mode": "lockdownNormal"})
    return fault(site.host)


PROBES: Mapping[str, Probe] = MappingProxyType(
    {
        "licence-free": _licence_free,
        "licence-key": lambda s: fault(lambda: s.host().licenseManager.UpdateLicense("no key", None)),
        "vlan-range": lambda s: fault(lambda: _network(s).AddPortGroup(group("x", 4096))),
        "portgroup-switch": lambda s: fault(lambda: _network(s).AddPortGroup(group("x", switch="vSwitch9"))),
        "portgroup-duplicate": _portgroup_duplicate,
        "portgroup-in-use": _portgroup_in_use,
        "switch-in-use": _switch_in_use,
        "switch-uplink": lambda s: fault(
            lambda: _network(s).AddVirtualSwitch("vSwitch1", _switch(["vmnic9"]))
        ),
        "uplink-in-use": lambda s: fault(
            lambda: _network(s).AddVirtualSwitch("vSwitch1", _switch(["vmnic0"]))
        ),
        "switch-mtu": lambda s: fault(
            lambda: _network(s).AddVirtualSwitch("vSwitch1", _switch(["vmnic1"], 9999))
        ),
        "dns-address": _dns_address,
        "restart-stopped": lambda s: fault(lambda: _services(s).RestartService("ntpd")),
        "service-policy": lambda s: fault(lambda: _services(s).UpdateServicePolicy("ntpd", "always")),
        "autostart-vm": _autostart_vm,
        "autostart-order": _autostart_order,
        "account-duplicate": _account_duplicate,
        "account-lock": _account_lock,
        "lockdown": _lockdown,
        "bare-clone": _bare_clone,
        "bare-vapp": _bare_vapp,
        "vm-duplicate": _vm_duplicate,
        "vm-hardware": lambda s: fault(lambda: wishes.new_vm(s.host(), version="vmx-99")),
        "vm-guest": lambda s: fault(
            lambda: wishes.new_vm(s.host(), version="vmx-17", guestId="debian12_64Guest")
        ),
        "extra-config-size": _extra_config_size,
        "resize-powered-on": _resize_powered_on,
        "swap-room": _swap_room,
        "datastore-full": lambda s: fault(lambda: wishes.new_vm(s.host(), disk_kb=1 << 20, thin=False)),
        "upload-full": _upload_full,
        "file-locked": _locked_file,
        "disk-locked": _locked_disk,
        "folder-login": _folder_login,
        "nfc-login": _nfc_login,
        "nfc-image-by-post": _nfc_image_by_post,
        "nfc-disk-format": _nfc_disk_format,
        "nfc-short": _nfc_short,
        "lease-complete": _lease_complete,
        "power-on-importing": _power_on_importing,
        "power-op-info": _power_op_info,
        "ovf-hardware": _ovf_hardware,
        "ovf-network": _ovf_network,
        "ovf-capacity": _ovf_capacity,
        "ovf-errors": _ovf_errors,
        "guest-tools": lambda s: _guest(s, tools=False, password="right"),
        "guest-login": lambda s: _guest(s, tools=True, password="wrong"),
    }
)
