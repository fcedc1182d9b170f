"""A simulated vCenter over simulated hosts on loopback, and phase `inventory` wired to it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from paver.driver import MARK_KEY, Connector, Endpoint, Mark, Paved, ResourceId, Secret
from paver.drivers.vsphere import marks
from paver.drivers.vsphere.inventory import pave as inventory
from paver.drivers.vsphere.inventory.cluster_host import ClusterHost
from paver.drivers.vsphere.inventory.vm_override import VmOverride
from paver.lab import control, pki
from paver.sitefile import Site
from paver.transport.context import Wire
from paver.transport.http import ApiSession, HttpConnector
from paver.transport.vsphere import VsphereConnector, new
from paver.transport.vsphere.ssoadmin import SsoConnector
from tests.support.ports import free_port
from tests.support.vsphere_lab import ADDRESS as HOSTS
from tests.support.vsphere_lab import Hosts, Run, World, simulator

ADDRESS = "127.0.0.22"
NAMES = "127.0.0.23"
FQDN = "vcsa.north.example"
ADMINISTRATOR = "Paver-Sso-1!"
CPI = "vcenter-cpi"


class Names(socketserver.ThreadingUDPServer):
    """A DNS server that knows one address for every name of the zone, and no other name."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((NAMES, 0), _Asked)

    @property
    def where(self) -> str:
        """Its address and port."""
        return f"{NAMES}:{self.server_address[1]}"


class _Asked(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, answering = self.request
        end = data.index(b"\0", 12) + 5
        question, name = data[12:end], bytes(data[12 : end - 4])
        known = name.endswith(b"\x05north\x07example\0")
        flags, answers = (0x8580, 1) if known else (0x8583, 0)
        head = data[:2] + struct.pack(">HHHHH", flags, 1, answers, 0, 0)
        record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(HOSTS) if known else b""
        answering.sendto(head + question + record, self.client_address)


@dataclasses.dataclass(frozen=True)
class VCenter:
    """A running vCenter: its port, its authority's root, its control socket and the hosts that it may dial."""

    port: int
    root: str
    control: Path
    folder: Path
    hosts: Hosts

    def inventory(self) -> Any:
        """Returns all that can be changed about it."""
        return control.call(self.control, "GET", "/inventory")

    def trace(self) -> list[dict[str, Any]]:
        """Returns the calls that it got."""
        return [json.loads(line) for line in (self.folder / "vcsa.jsonl").read_text().splitlines()]

    def writes(self) -> list[str]:
        """Returns the methods of all calls that wrote, or tried to."""
        return [line["method"] for line in self.trace() if line["write"]]


@contextlib.contextmanager
def vcenter(folder: Path, hosts: Hosts, version: str = "8.0.3") -> Iterator[VCenter]:
    """Starts an empty vCenter on loopback and stops it."""
    authority = pki.vmca("vsphere.local", FQDN)
    machine = pki.machine(FQDN, authority)
    (crt, key), (root, root_key) = machine.write(folder, "vcsa"), authority.write(folder, "vmca")
    names = Names()
    threading.Thread(target=names.serve_forever, args=(0.02,), daemon=True).start()
    port = free_port(ADDRESS)
    config = {
        "name": FQDN,
        "listen": f"{ADDRESS}:{port}",
        "certificate": str(crt),
        "key": str(key),
        "vmca": {"certificate": str(root), "key": str(root_key)},
        "sso": {"user": "administrator@vsphere.local", "password": ADMINISTRATOR},
        "dns": [names.where],
        "version": version,
        "trace": str(folder / "vcsa.jsonl"),
        "control": str(folder / "vcsa.sock"),
        "room": "",
        "hosts_control": str(hosts.control),
    }
    file = folder / "vcsa.json"
    file.write_text(json.dumps(config))
    pem = authority.certificate.public_bytes(serialization.Encoding.PEM).decode()
    try:
        with simulator("vcenter", file, folder / "vcsa.log"):
            yield VCenter(port, pem, folder / "vcsa.sock", folder, hosts)
    finally:
        names.shutdown()
        names.server_close()


class InventoryRun(Run):
    """Phase `inventory` of a site whose hosts and vCenter are these; what comes before it stands already."""

    def __init__(self, site: Site, there: VCenter, folder: Path) -> None:
        super().__init__(site, there.hosts, folder, _of_inventory)
        self.vcenter = there
        self.anchors["vmca"] = there.root
        self.secrets["vcenter-administrator"] = ADMINISTRATOR
        self.changed: dict[str, dict[str, Any]] = {}
        """Fields of wishes that a test has otherwise, by the resource's id."""
        self.versions: dict[str, str] = {}
        """Versions of secrets that a test has otherwise."""
        self.placed: frozenset[str] = frozenset()
        """The machines that stand on the hosts, by what they were made for (`place`): others have no override."""

    def paved(self) -> Paved:
        """Returns the wish, vCenter dialled where it is."""
        whole = super().paved()
        connectors = dict(whole.connectors)
        for endpoint in {"vcenter", "vcenter-sso"} - set(self.connectors):
            connectors[endpoint] = self._dialled(connectors[endpoint])
        api = connectors["vcenter-appliance"]
        assert isinstance(api, HttpConnector)
        assert isinstance(api.auth, ApiSession)
        base = f"https://{ADDRESS}:{self.vcenter.port}"
        auth = dataclasses.replace(
            api.auth,
            url=f"{base}/api/session",
            server=f"{ADDRESS}:{self.vcenter.port}",
            password=Secret("vcenter-administrator"),
        )
        connectors["vcenter-appliance"] = dataclasses.replace(
            api, base_url=base, server_name=FQDN, roots=(self.vcenter.root,), via=None, auth=auth
        )
        grounds = tuple(
            dataclasses.replace(one, at=Endpoint(one.at.name)) for one in inventory.grounds(self.site)
        )
        left_out = {
            one.id
            for one in whole.resources
            if isinstance(one, VmOverride) and one.machine not in self.placed
        }
        return dataclasses.replace(
            whole,
            resources=tuple(
                self._here(dataclasses.replace(one, after=one.after - left_out))
                for one in whole.resources
                if one.id not in left_out
            ),
            connectors=connectors,
            grounds=(*(one for one in whole.grounds if one.phase == "trust"), *grounds),
        )

    def place(self, machine: str, name: str, host: str = "esx-01") -> None:
        """Makes a VM on a host that bears the mark of one of the site's machines."""
        mark = Mark(self.site.name, ResourceId(machine), "a1", complete=True).dumps()
        spec = new(
            "VirtualMachineConfigSpec",
            name=name,
            guestId="otherGuest64",
            numCPUs=1,
            memoryMB=128,
            files=new("VirtualMachineFileInfo", vmPathName="[datastore1]"),
            extraConfig=marks.options({MARK_KEY: mark}),
        )
        with self.someone_else(host) as session:
            folder = session.one("Datacenter", ("vmFolder",))[1]["vmFolder"]
            pool = session.one("ResourcePool")[0]
            session.task(folder, "CreateVM_Task", config=spec, pool=pool)
        self.placed |= {machine}

    def _dialled(self, connector: Connector) -> Connector:
        assert isinstance(connector, VsphereConnector | SsoConnector)
        return dataclasses.replace(
            connector,
            address=ADDRESS,
            port=self.vcenter.port,
            server_name=FQDN,
            roots=(self.vcenter.root,),
            via=None,
            password=Secret("vcenter-administrator"),
        )

    def _here(self, resource: Any) -> Any:
        if resource.phase != "inventory":
            return resource
        changed = dataclasses.replace(resource, at=Endpoint(resource.at.name))
        if isinstance(changed, ClusterHost):
            changed = dataclasses.replace(
                changed, port=self.vcenter.hosts.ports[changed.host], vcenter=ADDRESS
            )
        return dataclasses.replace(changed, **self.changed.get(changed.id, {}))

    @contextlib.contextmanager
    def world(self) -> Iterator[World]:
        """Opens what one plan or run needs."""
        with super().world() as world:

            def version(secret: Secret) -> str | None:
                return self.versions.get(secret.name) or world.version(secret)

            yield dataclasses.replace(world, version=version)

    @contextlib.contextmanager
    def sso(self) -> Iterator[Any]:
        """Gives a session with single sign-on that may write anything."""
        connector = self.paved().connectors["vcenter-sso"]
        connection = connector.connect(Wire(reveal=lambda _: ADMINISTRATOR))
        try:
            yield connection.writer(_pass)
        finally:
            connection.close()

    @contextlib.contextmanager
    def account(self, user: str, password: str) -> Iterator[Any]:
        """Gives a session with vCenter in which an account may try anything."""
        connector = self.paved().connectors["vcenter"]
        assert isinstance(connector, VsphereConnector)
        connection: Any = dataclasses.replace(connector, user=user).connect(Wire(reveal=lambda _: password))
        try:
            yield connection.writer(_pass)
        finally:
            connection.close()

    def administrator(self) -> contextlib.AbstractContextManager[Any]:
        """Gives a session of the administrator: somebody behind paver's back."""
        return self.account("administrator@vsphere.local", ADMINISTRATOR)


def with_pool(site: Site, name: str = "bosh") -> Site:
    """Returns the site with a resource pool in its cluster."""
    return with_cluster(site, resource_pool=name)


def with_cluster(site: Site, **changes: Any) -> Site:
    """Returns the site with its cluster otherwise."""
    iaas: Any = site.iaas
    clusters = {key: cluster.model_copy(update=changes) for key, cluster in iaas.inventory.clusters.items()}
    inventory_of = iaas.inventory.model_copy(update={"clusters": clusters})
    return dataclasses.replace(site, iaas=iaas.model_copy(update={"inventory": inventory_of}))


def _of_inventory(resource: Any) -> bool:
    return bool(resource.phase == "inventory" or resource.id == f"trust.password:{CPI}")


def _pass(call: str, target: str = "", detail: object = None) -> None:
    del call, target, detail
