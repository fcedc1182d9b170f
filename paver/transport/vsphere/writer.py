"""The writing face of an ESXi host or a vCenter: every call passes the gate before a byte leaves."""

from __future__ import annotations

import ssl
import urllib.parse
from collections.abc import Callable
from typing import Any

from paver.errors import PaverError
from paver.transport import tls
from paver.transport.context import Gate
from paver.transport.vsphere import faults, folder, soap_gate, soap_types
from paver.transport.vsphere.reader import Link, VsphereReader


class AnswerLostError(PaverError):
    """The connection broke after a write had left: whether it was done is not known."""


class VsphereWriter(VsphereReader):
    """Reads and writes. Calls are named as in the SOAP trace (`AddPortGroup`), files as `folder:PUT`."""

    def __init__(self, link: Link, stub: Any, gate: Gate) -> None:
        super().__init__(link)
        self._stub = stub
        self._gate = gate

    def call(self, managed: Any, method: str, **arguments: Any) -> Any:
        """Calls a method by its WSDL name and returns its result; for a task, the task's reference.

        Raises:
            VsphereFault: if vSphere refuses.
            AnswerLostError: if the connection broke after the call had left.
        """
        target = f"{self.name}: {soap_types.describe(managed)}"
        bound = soap_types.rebound(managed, self._stub)
        try:
            return self._invoke(method, target, lambda: soap_types.method(bound, method)(**arguments))
        finally:
            self._wrote(managed, method)

    def task(
        self, managed: Any, method: str, on_progress: Callable[[int], None] | None = None, **arguments: Any
    ) -> Any:
        """Calls a method that makes a task (`CreateVM_Task`), waits until it ends, and returns its result.

        Args:
            managed: the object.
            method: the WSDL name.
            on_progress: is told the percentage.
            arguments: the method's, as the vendor names them.

        Raises:
            VsphereFault: if vSphere refuses, or the task fails.
        """
        task = self.call(managed, method, **arguments)
        try:
            return self._finished(task, method, f"{self.name}: {soap_types.describe(managed)}", on_progress)
        finally:
            self._wrote(managed, method)

    def datastore_put(
        self,
        datastore: str,
        path: str,
        data: bytes,
    ) -> None:
        """Writes a host's `[datastore] path` (call `folder:PUT`); its directory must be there."""
        self._gate("folder:PUT", f"{self.name}: [{datastore}] {path}", {"bytes": len(data)})
        link = self._link
        try:
            folder.put(
                link.route,
                link.stub.lent(),
                link.session.cookie,
                datastore,
                path,
                folder.ESX_DATACENTER,
                data,
            )
        finally:
            self._link.snapshot.forget_files()

    def datastore_mkdir(self, datastore: str, path: str, datacenter: Any = None) -> None:
        """Makes `[datastore] path` with its parents (call `MakeDirectory`); it may be there already."""
        try:
            self.call(
                self.content.fileManager,
                "MakeDirectory",
                name=f"[{datastore}] {path.strip('/')}",
                datacenter=datacenter,
                createParentDirectories=True,
            )
        except faults.VsphereFault as fault:
            if not fault.is_a("FileAlreadyExists"):
                raise

    def datastore_delete(self, datastore: str, path: str, datacenter: Any = None) -> None:
        """Deletes `[datastore] path`, a file or a directory (call `DeleteDatastoreFile_Task`); absent is fine."""
        try:
            self.task(
                self.content.fileManager,
                "DeleteDatastoreFile_Task",
                name=f"[{datastore}] {path.strip('/')}",
                datacenter=datacenter,
            )
        except faults.VsphereFault as fault:
            if not fault.is_a("FileNotFound"):
                raise

    def guest_read(self, vm: Any, user: str, password: str, path: str) -> bytes:
        """Returns a file of a running guest (call `InitiateFileTransferFromGuest`); needs its tools.

        Raises:
            VsphereFault: if the guest refuses (`InvalidGuestLogin`, `GuestOperationsUnavailable`, …).
        """
        manager = self.value(self.content.guestOperationsManager, "fileManager")
        auth = soap_types.new(
            "NamePasswordAuthentication", username=user, password=password, interactiveSession=False
        )
        info = self.call(manager, "InitiateFileTransferFromGuest", vm=vm, auth=auth, guestFilePath=path)
        parts = urllib.parse.urlsplit(info.url)
        connection = self._link.route.https()
        try:
            connection.request(
                "GET", f"{parts.path}?{parts.query}", headers={"Cookie": self._link.session.cookie}
            )
            response = connection.getresponse()
            body = response.read()
        except soap_gate.LOST as error:
            raise PaverError(
                f"{self.name}: {path} could not be fetched from the guest", why=str(error)
            ) from error
        finally:
            connection.close()
        if response.status != 200:
            raise PaverError(f"{self.name}: {path} could not be fetched from the guest: {response.status}")
        return body

    def admit(self, call: str, target: str, **detail: Any) -> None:
        """Passes the gate for a write that is not SOAP (a disk's upload)."""
        self._gate(call, f"{self.name}: {target}", detail or None)

    def _wrote(self, managed: Any, method: str) -> None:
        """Drops what a call of `method` on `managed` may have changed."""
        kind = soap_types.name_of(type(managed))
        if kind == "FileManager":
            self._link.snapshot.forget_files()
        elif kind == "CustomFieldsManager":
            self._link.snapshot.forget_attributes()
        else:
            self.forget()
        # After that: what is asked just now by an answer of before must not last.
        self._link.snapshot.called(method)

    def _invoke(self, method: str, target: str, act: Callable[[], Any]) -> Any:
        from pyVmomi import vmodl  # noqa: PLC0415

        try:
            return act()
        except (vmodl.MethodFault, vmodl.RuntimeFault) as fault:
            raise faults.translate(fault, method, target) from None
        except ssl.SSLCertVerificationError as error:
            raise tls.explain(error, self.name, context=self._link.route.trust.context) from error
        except soap_gate.LOST as error:
            raise AnswerLostError(
                f"{target}: the connection broke while {method} was under way",
                why=str(error) or type(error).__name__,
                do="run the same command again: paver looks first what was done",
            ) from error
