"""The hands of vCenter's installer on an ESXi host: certificate, checks, OVF import over NFC, power.

It does what ovftool does for the installer: import, transfer, power on; a VM that can't be powered on is
deleted again, one whose first boot fails is not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.client
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyVim.connect
import pyVmomi

from paver.ovf.ova import Ova, Window

# Their stubs declare types, but leave constructors and functions untyped.
vim: Any = pyVmomi.vim
vmodl: Any = pyVmomi.vmodl
connect: Any = pyVim.connect

_TIMEOUT_SECONDS = 30
_CHUNK = 2**20
_POLL_SECONDS = 0.05
_ENDED = {vim.TaskInfo.State.success, vim.TaskInfo.State.error}


class HostError(Exception):
    """The host refuses, or can't be reached; the message is for the installer's log."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where on a host the appliance goes."""

    pool: Any
    folder: Any
    host: Any
    datastore: Any
    network: Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """The appliance to be made; `settings` go into its configuration as they are."""

    name: str
    cpus: int
    memory_mb: int
    thin: bool
    settings: Mapping[str, str] = dataclasses.field(repr=False)


def certificate(address: str, port: int) -> str:
    """Returns the certificate (PEM) that the host shows, whoever it is.

    Raises:
        HostError: it doesn't answer.
    """
    try:
        return ssl.get_server_certificate((address, port), timeout=_TIMEOUT_SECONDS)
    except OSError as error:
        raise HostError(f"Could not connect to '{address}:{port}': {error}") from error


def thumbprint(pem: str) -> str:
    """Returns the SHA-1 thumbprint of a certificate, as `AB:CD:…`."""
    digest = hashlib.sha1(ssl.PEM_cert_to_DER_cert(pem), usedforsecurity=False).hexdigest().upper()
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))


class Host:
    """A session with a host whose certificate is pinned to `pem`."""

    def __init__(self, address: str, port: int, pem: str, instance: Any, context: ssl.SSLContext) -> None:
        self._address = address
        self._port = port
        self._pem = pem
        self._context = context
        self._content = instance.RetrieveContent()
        self._stub = instance._stub  # noqa: SLF001 - pyVmomi shows the session's cookie nowhere else

    def place(self, name: str, port_group: str, datastore: str) -> Place:
        """Finds where the appliance goes, and checks that nothing of that name is there.

        Raises:
            HostError: something is missing, or in the way.
        """
        center = self._read(self._content.rootFolder, "childEntity")[0]
        compute = self._read(self._read(center, "hostFolder"), "childEntity")[0]
        folder = self._read(center, "vmFolder")
        stores = self._by_name(compute, "datastore")
        networks = self._by_name(compute, "network")
        if name in self._by_name(folder, "childEntity"):
            raise HostError(f"A virtual machine with the name '{name}' already exists on the target ESXi.")
        if datastore not in stores:
            raise HostError(f"Datastore '{datastore}' is not found; available: {sorted(stores)}.")
        if port_group not in networks:
            raise HostError(f"Network '{port_group}' is not found; available: {sorted(networks)}.")
        return Place(
            pool=self._read(compute, "resourcePool"),
            folder=folder,
            host=self._read(compute, "host")[0],
            datastore=stores[datastore],
            network=networks[port_group],
        )

    def free(self, place: Place) -> int:
        """Returns the free bytes of the datastore."""
        return int(self._read(place.datastore, "summary.freeSpace"))

    def deploy(self, image: Path, machine: Machine, place: Place, report: Callable[[int], None]) -> Any:
        """Imports the OVA `image` as `machine`; `report` gets the percentage that is over there.

        Raises:
            HostError: the host refuses, or the transfer fails; what was there of the VM is gone again.
        """
        with Ova(image) as ova:
            ova.verify()
            spec = self._spec(ova, machine, place)
            try:
                lease = place.pool.ImportVApp(spec.importSpec, place.folder, place.host)
            except vmodl.MethodFault as error:
                raise HostError(f"OVF Tool: {_fault(error)}") from error
            try:
                self._wait(lease)
                info = self._read(lease, "info")
                for item in spec.fileItem:
                    url = next(each.url for each in info.deviceUrl if each.importKey == item.deviceId)
                    self._send(ova.member(item.path), url, lease, report)
                lease.HttpNfcLeaseComplete()
            except BaseException as error:
                # The lease may be gone with the host or the session; the first error is the one to tell.
                with contextlib.suppress(vmodl.MethodFault, OSError, http.client.HTTPException):
                    lease.HttpNfcLeaseAbort()
                if isinstance(error, vmodl.MethodFault | OSError | http.client.HTTPException):
                    raise HostError(f"OVF Tool: Transfer failed: {_fault(error)}") from error
                raise
            return info.entity

    def power_on(self, machine: Any) -> None:
        """Powers the VM on; deletes it if that fails.

        Raises:
            HostError: the host refuses.
        """
        try:
            self._finish(machine.PowerOnVM_Task())
        except HostError:
            self._finish(machine.Destroy_Task())
            raise

    def guestinfo(self, machine: Any, key: str) -> str:
        """Returns what the guest tells under `key`, or an empty string."""
        found = self._read(machine, "config.extraConfig") or []
        return next((str(each.value) for each in found if each.key == key), "")

    def _spec(self, ova: Ova, machine: Machine, place: Place) -> Any:
        mapping = [
            vim.OvfManager.NetworkMapping(name=each.name, network=place.network)
            for each in ova.descriptor.networks
        ]
        parameters = vim.OvfManager.CreateImportSpecParams(
            entityName=machine.name,
            networkMapping=mapping,
            diskProvisioning="thin" if machine.thin else "thick",
            locale="en_US",
            deploymentOption="",
        )
        result = self._content.ovfManager.CreateImportSpec(
            ova.descriptor.text, place.pool, place.datastore, parameters
        )
        if result.error:
            raise HostError(f"OVF Tool: {'; '.join(_fault(each) for each in result.error)}")
        spec = result.importSpec.configSpec
        spec.numCPUs = machine.cpus
        spec.memoryMB = machine.memory_mb
        settings = [vim.option.OptionValue(key=key, value=value) for key, value in machine.settings.items()]
        spec.extraConfig = [*spec.extraConfig, *settings]
        return result

    def _wait(self, lease: Any) -> None:
        while (state := self._read(lease, "state")) == vim.HttpNfcLease.State.initializing:
            time.sleep(_POLL_SECONDS)
        if state != vim.HttpNfcLease.State.ready:
            raise HostError(f"OVF Tool: {_fault(self._read(lease, 'error'))}")

    def _send(self, window: Window, url: str, lease: Any, report: Callable[[int], None]) -> None:
        parts = urllib.parse.urlsplit(url)
        # A host doesn't know by which name it was called, and writes `*`.
        star = parts.hostname == "*" or parts.netloc == "*"
        address, port = (self._address, self._port) if star else (parts.hostname or "", parts.port or 443)
        connection = http.client.HTTPSConnection(
            address, port, context=self._context, timeout=_TIMEOUT_SECONDS, blocksize=_CHUNK
        )
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Content-Type": "application/x-vnd.vmware-streamVmdk",
            "Content-Length": str(window.size),
            "Cookie": self._stub.cookie.partition(";")[0],
        }
        with contextlib.closing(connection):
            connection.request("POST", target, body=_chunks(window, lease, report), headers=headers)
            answer = connection.getresponse()
            answer.read()
        if answer.status not in {200, 201}:
            raise HostError(f"OVF Tool: Transfer failed: HTTP {answer.status} {answer.reason}")

    def _finish(self, task: Any) -> None:
        try:
            while (state := self._read(task, "info.state")) not in _ENDED:
                time.sleep(_POLL_SECONDS)
            if state == vim.TaskInfo.State.error:
                raise HostError(_fault(self._read(task, "info.error")))
        except vmodl.MethodFault as error:
            raise HostError(_fault(error)) from error

    def _by_name(self, of: Any, path: str) -> dict[str, Any]:
        return {self._read(each, "name"): each for each in self._read(of, path) or ()}

    def _read(self, of: Any, path: str) -> Any:
        """Reads one property: whole objects may hold what pyVmomi has no type for. None: unset."""
        collector = vmodl.query.PropertyCollector
        wanted = collector.FilterSpec(
            objectSet=[collector.ObjectSpec(obj=of)],
            propSet=[collector.PropertySpec(type=type(of), pathSet=[path])],
        )
        try:
            answer = self._content.propertyCollector.RetrieveContents([wanted])
        except (vmodl.MethodFault, OSError, http.client.HTTPException) as error:
            raise HostError(f"'{self._address}' does not answer: {_fault(error)}") from error
        for found in answer:
            for each in found.propSet or ():
                return each.val
        return None


@contextlib.contextmanager
def session(address: str, port: int, pem: str, user: str, password: str) -> Iterator[Host]:
    """Logs in to the host that shows the certificate `pem`, and out again at the end.

    Raises:
        HostError: it refuses the login, or shows another certificate by now.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # a bare host's name is not what it was called by; the pin stands for it
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=pem)
    try:
        instance = connect.SmartConnect(
            host=address,
            port=port,
            user=user,
            pwd=password,
            sslContext=context,
            httpConnectionTimeout=_TIMEOUT_SECONDS,
        )
    except vim.fault.InvalidLogin as error:
        raise HostError(f"Failed to log in to '{address}': incorrect user name or password.") from error
    except (vmodl.MethodFault, OSError, http.client.HTTPException) as error:
        raise HostError(f"Could not connect to '{address}:{port}': {_fault(error)}") from error
    try:
        yield Host(address, port, pem, instance, context)
    finally:
        with contextlib.suppress(vmodl.MethodFault, OSError, http.client.HTTPException):
            connect.Disconnect(instance)


def _chunks(window: Window, lease: Any, report: Callable[[int], None]) -> Iterator[bytes]:
    told, last = 0.0, -1
    while chunk := window.read(_CHUNK):
        yield chunk
        percent = window.tell() * 100 // window.size
        if percent != last:
            report(percent)
            last = percent
        if time.monotonic() - told > 2:  # a lease that hears nothing for 300 s ends
            lease.HttpNfcLeaseProgress(min(percent, 99))
            told = time.monotonic()


def _fault(error: Any) -> str:
    """Names a fault by its class and its own words, where it has any."""
    fault = getattr(error, "fault", error)
    name = type(fault).__name__.rpartition(".")[2]
    text = str(getattr(error, "localizedMessage", "") or getattr(error, "msg", "") or "")
    if not text and isinstance(error, OSError | http.client.HTTPException):
        text = str(error)
    return f"{name}: {text}" if text else name
