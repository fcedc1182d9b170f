"""The CPI's way into vCenter: the session, and what the configuration's names stand for there.

Every name is looked up where the real CPI looks for it and refused in its words
(bosh-vsphere-cpi-release, lib/cloud/vsphere/resources), so that a wrong variable fails here as it would there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from paver.lab.standins.cpi_errors import CloudError
from paver.lab.standins.soap import SoapStubAdapter, vim, vmodl

_TASK_SECONDS = 600
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Cloud:
    """A session, the one datacenter and the clusters that the CPI was given, its disks' type, and the id of the director that calls."""

    content: Any
    context: ssl.SSLContext
    host: str
    agent: dict[str, Any]
    settings: dict[str, Any]
    director: str = ""
    disk_type: str = "preallocated"

    def within(self, datacenters: list[dict[str, Any]] | None) -> Cloud:
        """The same session in what an availability zone's cloud properties say: a datacenter and its clusters."""
        if not datacenters:
            return self
        wanted = {key: datacenters[0][key] for key in ("name", "clusters") if datacenters[0].get(key)}
        return dataclasses.replace(self, settings={**self.settings, **wanted})

    @functools.cached_property
    def datacenter(self) -> Any:
        """The datacenter of the configured name."""
        name = self.settings["name"]
        found = self.content.searchIndex.FindByInventoryPath(name)
        if not isinstance(found, vim.Datacenter):
            raise CloudError(f"Datacenter '{name}' not found")
        return found

    @functools.cached_property
    def clusters(self) -> list[tuple[Any, dict[str, Any]]]:
        """The clusters of the configured names, and their own settings."""
        datacenter = self.datacenter
        clusters = []
        for entry in self.settings["clusters"]:
            name, own = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
            found = self.content.searchIndex.FindByInventoryPath(f"{datacenter.name}/host/{name}")
            if not isinstance(found, vim.ClusterComputeResource):
                raise CloudError(f"Can't find cluster '{name}'")
            clusters.append((found, own or {}))
        return clusters

    @property
    def cluster(self) -> tuple[Any, dict[str, Any]]:
        """The cluster that machines are put into, the first one, and its own settings."""
        found, own = self.clusters[0]
        if not list(found.host):
            raise CloudError("No valid placement found for VM compute and storage requirement")
        return found, own

    @property
    def resource_pool(self) -> Any:
        """The cluster's root pool, or the pool of the configured name below it."""
        cluster, own = self.cluster
        wanted = own.get("resource_pool")
        if not wanted:
            return cluster.resourcePool
        for pool in cluster.resourcePool.resourcePool:
            if pool.name == wanted:
                return pool
        raise CloudError(f"Could not find resource pool {wanted}")

    def datastores(self, key: str = "datastore_pattern") -> list[Any]:
        """The datastores of the cluster for machines whose name matches the pattern under `key`."""
        cluster, _ = self.cluster
        found = self.matching(cluster.datastore, key)
        if not found:
            pattern = self._pattern(key)
            names = ", ".join(sorted(store.name for store in cluster.datastore))
            raise CloudError(
                "No valid placement found for VM compute and storage requirement: "
                f"no datastore of the cluster matches /{pattern}/ (there are: {names})"
            )
        return found

    def accessible(self) -> list[Any]:
        """The datastores of all configured clusters, in whatever zone a call is made: those that disks are looked for on."""
        stores = dict.fromkeys(store for cluster, _ in self.clusters for store in cluster.datastore)
        return [store for store in stores if store.summary.accessible]

    def matching(self, stores: Iterable[Any], key: str) -> list[Any]:
        """Those of these datastores whose name matches the pattern under `key`, by name."""
        # Ruby's \z is Python's \Z; Ruby's \Z lets a newline pass, which no name has.
        expression = re.compile(self._pattern(key).replace(r"\z", r"\Z"))
        found = [store for store in stores if expression.search(store.name)]
        return sorted(found, key=lambda store: str(store.name))

    def _pattern(self, key: str) -> str:
        return str(self.settings.get(key) or self.settings["datastore_pattern"])

    def network(self, name: str) -> Any:
        """The network of that name in the datacenter."""
        for network in self.datacenter.network:
            if network.name == name:
                return network
        # The real CPI goes on looking for ten minutes before it says so.
        raise CloudError(
            f"Error in finding network '{name}' after multiple retries. Verify that the portgroup exists."
        )

    def folder_path(self, key: str) -> str:
        """The path of the folder under `key`; with a resource pool each director has one of its own in it."""
        path = str(self.settings[key])
        clusters = (entry for entry in self.settings["clusters"] if isinstance(entry, dict))
        pooled = any((own or {}).get("resource_pool") for entry in clusters for own in entry.values())
        return f"{path}/{self.director}" if pooled else path

    def folder(self, key: str) -> Any:
        """The VM folder under `key`, made if it isn't there."""
        here = self.datacenter.vmFolder
        for part in filter(None, self.folder_path(key).split("/")):
            below = [
                entry for entry in here.childEntity if isinstance(entry, vim.Folder) and entry.name == part
            ]
            here = below[0] if below else here.CreateFolder(part)
        return here

    def machines(self, wanted: Callable[[str], bool]) -> list[Any]:
        """The machines of the datacenter whose name is a wanted one, in whatever folder."""
        kind = vmodl.query.PropertyCollector
        view = self.content.viewManager.CreateContainerView(self.datacenter, [vim.VirtualMachine], True)
        try:
            all_of_it = kind.TraversalSpec(name="all", type=vim.view.ContainerView, path="view", skip=False)
            names = kind.FilterSpec(
                objectSet=[kind.ObjectSpec(obj=view, skip=True, selectSet=[all_of_it])],
                propSet=[kind.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
            )
            # A machine may go while it is looked at: it has no name then.
            found = self.content.propertyCollector.RetrieveContents([names])
            return [one.obj for one in found if any(wanted(entry.val) for entry in one.propSet)]
        finally:
            view.DestroyView()

    def find_vm(self, cid: str) -> Any | None:
        """The VM of that name, or None: it stays where it was made, though the configuration may name another folder by now."""
        return next(iter(self.machines(cid.__eq__)), None)

    def wait(self, task: Any) -> Any:
        """Returns a task's result, or raises its fault."""
        limit = time.monotonic() + _TASK_SECONDS
        while time.monotonic() < limit:
            info = self._leaves(task, "info.state", "info.error", "info.result")
            if info["info.state"] == vim.TaskInfo.State.success:
                return info.get("info.result")
            if info["info.state"] == vim.TaskInfo.State.error:
                raise info["info.error"]
            time.sleep(_POLL_SECONDS)
        raise CloudError(f"task {task} took longer than {_TASK_SECONDS} seconds")

    def _leaves(self, thing: Any, *paths: str) -> dict[str, Any]:
        # By leaf paths: as a whole, a task's info may hold an entity of a type that pyVmomi refuses.
        kind = vmodl.query.PropertyCollector
        wanted = kind.FilterSpec(
            objectSet=[kind.ObjectSpec(obj=thing)],
            propSet=[kind.PropertySpec(type=type(thing), pathSet=list(paths))],
        )
        [content] = self.content.propertyCollector.RetrieveContents([wanted])
        return {entry.name: entry.val for entry in content.propSet}


@contextlib.contextmanager
def connected(properties: dict[str, Any], director: str) -> Iterator[Cloud]:
    """Logs in with the job's properties and logs out at the end."""
    vcenter = properties["vcenters"][0]
    context = _context((vcenter.get("connection_options") or {}).get("ca_cert"))
    name, _, port = str(vcenter["host"]).partition(":")
    stub = SoapStubAdapter(
        host=name, port=int(port or 443), path="/sdk", version="vim.version.v7_0", sslContext=context
    )
    with contextlib.ExitStack() as ending:
        ending.callback(stub.DropConnections)
        content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
        content.sessionManager.Login(vcenter["user"], vcenter["password"], None)
        ending.callback(content.sessionManager.Logout)
        yield Cloud(
            content,
            context,
            str(vcenter["host"]),
            properties["agent"],
            vcenter["datacenters"][0],
            director,
            vcenter.get("default_disk_type", "preallocated"),
        )


def words(error: BaseException) -> str:
    """Returns what an operator reads in the CLI's output for an error of the API, of TLS or of the network."""
    if isinstance(error, vim.fault.InvalidLogin):
        return "Cannot complete login due to an incorrect user name or password."
    if isinstance(error, vim.fault.NoPermission):
        return f"Permission to perform this operation was denied. NoPermission: {error.privilegeId}"
    if isinstance(error, vmodl.MethodFault):
        return f"{type(error).__name__.rpartition('.')[2]}: {error.msg}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"SSL_connect returned=1 errno=0 state=error: certificate verify failed ({error.verify_message})"
        )
    return f"{type(error).__name__}: {error}"


def _context(ca_cert: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_cert:
        context.load_verify_locations(cadata=ca_cert)
    else:
        # The real CPI verifies nothing unless connection_options.ca_cert is set.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
