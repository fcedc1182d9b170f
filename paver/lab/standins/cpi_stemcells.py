"""The CPI's calls for stemcells: an OVF that is imported through a lease, and a snapshot of it.

As the real one makes them (bosh-vsphere-cpi-release 98.0.9, lib/cloud/vsphere/cloud.rb, stemcell.rb, cpi_extension.rb): a
stemcell is a machine that is off, no template. VMs are linked clones of its snapshot `initial`, on its own datastore; on any
other it is copied first, under its name and the datastore's id.
"""

from __future__ import annotations

import contextlib
import http.client
import tarfile
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from paver.lab.standins import cpi_devices
from paver.lab.standins.cpi_errors import CloudError
from paver.lab.standins.cpi_vcenter import Cloud
from paver.lab.standins.soap import vim, vmodl

EXTENSION, MANAGED = "sddc.cpi.extension", "cpi-managed-resource"
SNAPSHOT = "initial"


def create_stemcell(cloud: Cloud, image: str, _properties: Any) -> str:
    """Imports the image's OVF, its disk going to the host that the lease names, and takes the snapshot of it."""
    _register(cloud)
    store, pool = cloud.datastores()[0], cloud.resource_pool
    folder = cloud.folder("template_folder")
    name = f"sc-{uuid.uuid4()}"
    with tarfile.open(image, "r:gz") as tar:
        files = {member.name.removeprefix("./"): member for member in tar if member.isfile()}
        ovf = next((member for file, member in files.items() if file.endswith(".ovf")), None)
        if ovf is None:
            raise CloudError(f"Missing OVF for stemcell '{image}'")
        descriptor = _extracted(tar, ovf).read().decode()
        parameters = vim.OvfManager.CreateImportSpecParams(
            entityName=name, locale="US", deploymentOption="", diskProvisioning="thin"
        )
        result = cloud.content.ovfManager.CreateImportSpec(descriptor, pool, store, parameters)
        if result.importSpec is None:
            raise CloudError(f"Corrupt image '{image}', import_ovf_result: {result.error}")
        lease = pool.ImportVApp(result.importSpec, folder)
        vm = _upload(cloud, lease, tar, files, {item.deviceId: item for item in result.fileItem})
    nics = [
        device
        for device in vm.config.hardware.device
        if isinstance(device, vim.vm.device.VirtualEthernetCard)
    ]
    change = vim.vm.ConfigSpec(
        deviceChange=[cpi_devices.change("remove", nic) for nic in nics], managedBy=managed_by(cloud)
    )
    cloud.wait(vm.ReconfigVM_Task(change))
    _snapshot(cloud, vm)
    return name


def delete_stemcell(cloud: Cloud, cid: str) -> None:
    """Destroys the stemcell and its copies, wherever in the datacenter they lie."""
    for vm in replicas(cloud, cid):
        cloud.wait(vm.Destroy_Task())


def replicas(cloud: Cloud, cid: str) -> list[Any]:
    """The stemcell and its copies: all machines of the datacenter whose name holds its id."""
    return cloud.machines(lambda name: cid in name)


def replica_on(cloud: Cloud, cid: str, store: Any) -> Any:
    """The stemcell on a datastore, copied there if it is not; `cloud` says in which pool."""
    known = replicas(cloud, cid)
    if not known:
        raise CloudError(f"Could not find VM for stemcell '{cid}'")
    for vm in known:
        if [one.name for one in vm.datastore][:1] == [store.name]:
            return vm
    location = vim.vm.RelocateSpec(datastore=store, pool=cloud.resource_pool)
    spec = vim.vm.CloneSpec(location=location, powerOn=False, template=False)
    if managed_by(cloud) is not None:
        spec.config = vim.vm.ConfigSpec(managedBy=managed_by(cloud))
    name = f"{cid} %2f {store._moId}"  # noqa: SLF001 - pyVmomi's name for the id
    copy = cloud.wait(known[0].CloneVM_Task(cloud.folder("template_folder"), name, spec))
    _snapshot(cloud, copy)
    return copy


def managed_by(cloud: Cloud) -> Any | None:
    """What says whose a machine is, None where the CPI's extension could not be registered."""
    if cloud.content.extensionManager.FindExtension(EXTENSION) is None:
        return None
    return vim.ext.ManagedByInfo(extensionKey=EXTENSION, type=MANAGED)


def _register(cloud: Cloud) -> None:
    """Registers the CPI's extension; the real CPI goes on without one where that is refused."""
    manager = cloud.content.extensionManager
    if manager.FindExtension(EXTENSION) is not None:
        return
    told = vim.Description(label="BOSH vSphere CPI", summary="BOSH vSphere CPI Extension")
    extension = vim.Extension(
        key=EXTENSION,
        version="1.0.0",
        description=told,
        lastHeartbeatTime=datetime.now(UTC),
        shownInSolutionManager=True,
        managedEntityInfo=[
            vim.ext.ManagedEntityInfo(
                type=MANAGED, description="The lifecycle of this resource is managed by BOSH"
            )
        ],
    )
    with contextlib.suppress(vmodl.MethodFault):
        manager.RegisterExtension(extension)


def _snapshot(cloud: Cloud, vm: Any) -> None:
    cloud.wait(vm.CreateSnapshot_Task(SNAPSHOT, None, False, False))


def _upload(
    cloud: Cloud,
    lease: Any,
    tar: tarfile.TarFile,
    files: Mapping[str, tarfile.TarInfo],
    items: Mapping[str, Any],
) -> Any:
    while (state := lease.state) == vim.HttpNfcLease.State.initializing:
        continue
    if state != vim.HttpNfcLease.State.ready:
        raise CloudError(f"Could not acquire HTTP NFC lease: {lease.error.msg}")
    info = lease.info
    try:
        for url in info.deviceUrl:
            item = items[url.importKey]
            member = _required(files, item.path)
            _send(cloud, url.url, _extracted(tar, member), member.size)
        lease.HttpNfcLeaseProgress(100)
        lease.HttpNfcLeaseComplete()
    except Exception:
        lease.HttpNfcLeaseAbort(None)
        raise
    return info.entity


def _required(files: Mapping[str, tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    if name not in files:
        raise CloudError(f"Missing file '{name}' in the stemcell's image")
    return files[name]


def _send(cloud: Cloud, url: str, file: Any, size: int) -> None:
    parts = urlsplit(url)
    # A standalone host answers with "*" for itself; vCenter names the host, which has to resolve.
    host = cloud.host.partition(":")[0] if parts.hostname == "*" else str(parts.hostname)
    connection = http.client.HTTPSConnection(host, parts.port or 443, context=cloud.context, timeout=300)
    try:
        connection.request(
            "POST",
            parts.path + (f"?{parts.query}" if parts.query else ""),
            body=file,
            headers={"Content-Type": "application/x-vnd.vmware-streamVmdk", "Content-Length": str(size)},
        )
        response = connection.getresponse()
        text = response.read()
        status = response.status
    finally:
        connection.close()
    if status not in (200, 201):
        raise CloudError(f"Failed to upload the stemcell's disk to {host}: {status} {text[:200]!r}")


def _extracted(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    file = tar.extractfile(member)
    if file is None:
        raise CloudError(f"Corrupt image: '{member.name}' is no file")
    return file
