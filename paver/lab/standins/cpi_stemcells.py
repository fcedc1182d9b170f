"""The CPI's calls for stemcells: an OVF that is imported through a lease and marked as a template."""

from __future__ import annotations

import http.client
import tarfile
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from paver.lab.standins import cpi_devices
from paver.lab.standins.cpi_errors import CloudError
from paver.lab.standins.cpi_vcenter import Cloud
from paver.lab.standins.soap import vim


def create_stemcell(cloud: Cloud, image: str, _properties: Any) -> str:
    """Imports the image's OVF as a template; its disk goes to the host that the lease names."""
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
    if nics:
        cloud.wait(
            vm.ReconfigVM_Task(
                vim.vm.ConfigSpec(deviceChange=[cpi_devices.change("remove", nic) for nic in nics])
            )
        )
    vm.MarkAsTemplate()
    return name


def delete_stemcell(cloud: Cloud, cid: str) -> None:
    """Destroys the template."""
    template = cloud.find_vm(cid, "template_folder")
    if template is not None:
        cloud.wait(template.Destroy_Task())


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
