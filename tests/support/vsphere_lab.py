"""Simulated ESXi hosts on loopback, and the engine wired to them through the real driver and sessions."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import select
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from paver.driver import STORE, Connector, Paved, ResourceId, Secret
from paver.drivers.vsphere import DRIVER, marks
from paver.drivers.vsphere.jumpbox.machine import Jumpbox
from paver.engine import moves
from paver.engine.again import Again
from paver.engine.board import Board
from paver.engine.executor import Event, Executor, Hands, Outcome
from paver.engine.journal import Journal
from paver.engine.paved import merge
from paver.engine.plan import Action, Plan
from paver.engine.planner import Heading, Request, plan
from paver.engine.world import Connections, ReadingWorld
from paver.lab import build, control, pki
from paver.sealed.keys import KeyFile
from paver.sitefile import Site
from paver.sitefile.load import loads
from paver.transport.context import Station, Wire
from paver.transport.vsphere import VsphereConnector, new
from paver.trust import paving
from paver.trust.material import Authority
from paver.trust.vault import Sealed, Vault
from tests.support.ear import Listener
from tests.support.ports import free_port

ADDRESS = "127.0.0.21"
PASSWORD = "Paver-Lab-1!"

SITE = """
paver: 1
name: {name}
iaas:
  driver: vsphere
  hosts:
    {first}:
      address: 10.20.0.11
      fingerprint: {pins[0]}
      login: secret:esx-root
      switches: {{vSwitch0: {{uplinks: {uplinks}, mtu: 1500}}}}
      port_groups: {{mgmt: {{switch: vSwitch0, vlan: 20}}, bosh: {{switch: vSwitch0, vlan: 30}}}}
      datastore: datastore1
    esx-02: {{like: {first}, address: 10.20.0.12, fingerprint: "{pins[1]}"}}
  vcenter:
    fqdn: vcsa.north.example
    address: 10.20.0.20
    size: tiny
    on: {first}
    installer: {{tree: /opt/vcsa}}
  inventory:
    datacenter: north
    clusters: {{compute: {{hosts: [{first}, esx-02]}}}}
networks:
  mgmt: {{cidr: 10.20.0.0/24, gateway: 10.20.0.1, port_group: mgmt}}
  bosh: {{cidr: 10.30.0.0/24, gateway: 10.30.0.1, port_group: bosh, reserved: [10.30.0.1-10.30.0.9],
    static: [10.30.0.10-10.30.0.30], az: z1}}
site_services: {{dns: {dns}, ntp: {ntp}, zone: north.example}}
jumpbox: {{image: jumpbox.ova, on: {first}, network: mgmt, address: 10.20.0.10, ssh_keys: [{key}]{jumpbox}}}
bucc: {{artefact: bucc.tar, address: 10.30.0.10, az: z1}}
services:
  object_store: {{address: 10.30.0.11}}
  registry: {{address: 10.30.0.12}}
secrets: {{store: sealed, key: file:site.key}}
"""

USER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJgkWPh1kDx8dK2zBuwvWXT4LXDZV4NS8wZdTf6yYFXg user"


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHIYmqRDTUhtHaUo/EFzAUjuvSKzWNAGdkrUlZDqKfXM"


class Room(Listener):
    """Stands for the lab's room: hears which VMs are switched on, and speaks for their guests.

    Attributes:
        heard: the power events.
        boots: whether guests come up, and publish a host key.
        falls: whether a guest that does not come up switches itself off.
    """

    def __init__(self, path: Path, control_socket: Path) -> None:
        self.heard: list[dict[str, Any]] = []
        self.boots = True
        self.falls = False
        self._control = control_socket
        super().__init__(path)

    def hear(self, asked: str, body: Any) -> None:
        """Takes one power event; a guest that boots publishes its host key."""
        if asked != "/power":
            return
        self.heard.append(body)
        if body["state"] != "on":
            return
        if self.boots:
            published = base64.b64encode(f"{HOST_KEY} root@image\n".encode()).decode()
            self._tell(body, ip="10.20.0.10", guestinfo={"guestinfo.paver.host-keys": published})
        elif self.falls:
            self._tell(body, tools="guestToolsNotRunning", off=True)

    def _tell(self, event: dict[str, Any], **guest: Any) -> None:
        body = {"host": event["server"], "vm": event["vm"]["uuid"], **guest}
        control.call(self._control, "POST", "/guest", body)


@dataclasses.dataclass(frozen=True)
class Hosts:
    """Running hosts: their ports and fingerprints by name, and the simulator's control socket."""

    ports: Mapping[str, int]
    pins: Mapping[str, str]
    control: Path
    folder: Path
    room: Room

    def inventory(self, name: str) -> Any:
        """Returns all that can be changed about a host."""
        return control.call(self.control, "GET", f"/inventory?server={name}")

    def ask(self, target: str, **body: Any) -> Any:
        """Steers the simulator."""
        return control.call(self.control, "POST", target, body)

    def trace(self, name: str) -> list[dict[str, Any]]:
        """Returns the calls that a host got."""
        lines = (self.folder / f"{name}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@contextlib.contextmanager
def hosts(
    folder: Path,
    *names: str,
    capacity: int = 10**12,
    stores: Mapping[str, str] | None = None,
    **settings: Any,
) -> Iterator[Hosts]:
    """Starts hosts on loopback and stops them.

    `stores` are the names of datastores by host, where it is not `datastore1`; `settings` go into each host's
    configuration.
    """
    pins, ports, config = {}, {}, []
    for name in names:
        store = (stores or {}).get(name, "datastore1")
        pair = pki.host(f"{name}.north.example", ADDRESS)
        certificate, key = pair.write(folder, name)
        pins[name], ports[name] = pair.fingerprint, free_port(ADDRESS)
        (folder / f"{name}-{store}").mkdir()
        config.append(
            {
                "name": name,
                "listen": f"{ADDRESS}:{ports[name]}",
                "hostname": f"{name}.north.example",
                "certificate": str(certificate),
                "key": str(key),
                "users": [{"name": "root", "password": PASSWORD}],
                "datastores": [
                    {
                        "name": store,
                        "path": str(folder / f"{name}-{store}"),
                        "capacity_bytes": capacity,
                    }
                ],
                "uplinks": [{"device": "vmnic0", "up": True}, {"device": "vmnic1", "up": True}],
                "licence": "evaluation",
                "version": "8.0.3",
                "trace": str(folder / f"{name}.jsonl"),
                **settings,
            }
        )
    socket_path = folder / "control.sock"
    file = folder / "vsim.json"
    room_path = folder / "room.sock"
    file.write_text(json.dumps({"hosts": config, "control": str(socket_path), "room": str(room_path)}))
    room = Room(room_path, socket_path)
    try:
        with simulator("esx", file, folder / "vsim.log"):
            yield Hosts(ports, pins, socket_path, folder, room)
    finally:
        room.close()


@contextlib.contextmanager
def simulator(mode: str, config: Path, log: Path) -> Iterator[None]:
    """Starts the simulator as `esx` or `vcenter`, and ends it; it answers from the moment that this begins."""
    vsim = str(build.build(["vsim"])["vsim"])
    with log.open("wb") as said:
        process = subprocess.Popen(
            [vsim, mode, "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], 30)[0], log.read_text()
        assert process.stdout.readline() == b"ready\n", log.read_text()
        yield
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def text_of(pins: Sequence[str], **changes: str) -> str:
    """Returns a site file.

    `changes` are pieces of it: name, first (what the first host is called), uplinks (vSwitch0's), dns, ntp, jumpbox.
    """
    pieces = {"name": "north", "first": "esx-01", "uplinks": "[vmnic0]", "jumpbox": ""}
    pieces |= {"dns": "[10.20.0.53]", "ntp": "[10.20.0.54]"}
    return SITE.format(pins=pins, key=USER_KEY, **{**pieces, **changes})


def site_of(there: Hosts, folder: Path, **changes: str) -> Site:
    """Returns a site whose hosts are these; `changes` are those of `text_of`."""
    text = text_of(list(there.pins.values()), **changes)
    return loads(text, {"vsphere": DRIVER}, file="site.yml", folder=folder)


@dataclasses.dataclass(frozen=True)
class World:
    """What one plan is made with."""

    paved: Paved
    board: Board
    connections: Connections
    reveal: Callable[[Any], str]
    version: Callable[[Secret], str | None]


class Run:
    """The engine on one site.

    Args:
        site: the site.
        there: its hosts.
        folder: for journals.
        keep: which resources take part.
    """

    def __init__(self, site: Site, there: Hosts, folder: Path, keep: Callable[[Any], bool] = bool) -> None:
        self.site = site
        self.there = there
        self.events: list[Event] = []
        self.stop = threading.Event()
        self._folder = folder
        self._keep = keep
        self._runs = 0
        self.secrets = {"esx-root": PASSWORD}
        key = folder / "site.key"
        key.write_bytes(b"k" * 32)
        key.chmod(0o600)
        self._key = KeyFile(key)
        self.connectors: dict[str, Connector] = {}
        self.anchors: dict[str, str] = {}
        self.patience = 60
        self.station: Station = "outside"

    def _wire(self, reveal: Callable[[Any], str]) -> Wire:
        return Wire(reveal=reveal, anchor=self.anchors.get, station=self.station)

    @staticmethod
    def id(text: str) -> ResourceId:
        """Returns a resource's id."""
        return ResourceId(text)

    @staticmethod
    def extra_config(settings: Mapping[str, str]) -> Any:
        """Returns a specification that sets a VM's extraConfig; empty values remove."""
        return new("VirtualMachineConfigSpec", extraConfig=marks.options(settings))

    @contextlib.contextmanager
    def someone_else(self, name: str) -> Iterator[Any]:
        """Gives a session with a host that may write anything: somebody behind paver's back."""
        wire = self._wire(lambda secret: self.secrets[secret.name])
        connection: Any = self.paved().connectors[f"host:{name}"].connect(wire)
        try:
            yield connection.writer(_pass)
        finally:
            connection.close()

    def paved(self) -> Paved:
        """Returns the driver's wish, its hosts dialled where they are."""
        driver = DRIVER.pave(self.site)
        whole = merge(("trust", *DRIVER.phases), paving.pave(self.site, driver.material), driver)
        connectors = dict(whole.connectors)
        for name, port in self.there.ports.items():
            if f"host:{name}" not in connectors:
                continue
            connector = connectors[f"host:{name}"]
            assert isinstance(connector, VsphereConnector)
            connectors[f"host:{name}"] = dataclasses.replace(connector, address=ADDRESS, port=port)
        resources = tuple(self._quicker(resource) for resource in whole.resources if self._keep(resource))
        kinds = {resource.kind for resource in resources}
        grounds = tuple(
            ground for ground in whole.grounds if ground.at.provider is None or ground.kind.kind in kinds
        )
        wish = dataclasses.replace(
            whole, resources=resources, connectors={**connectors, **self.connectors}, grounds=grounds
        )
        return moves.carried(wish, self.site.moved)

    def _quicker(self, resource: Any) -> Any:
        match resource:
            case Jumpbox():
                return dataclasses.replace(resource, patience=self.patience)
            case Authority():
                # An RSA key takes a fifth of a second of a core, and these sign nothing that anybody looks at.
                return dataclasses.replace(resource, algorithm="ec")
        return resource

    def plan(self, mode: str = "apply", **more: Any) -> Plan:
        """Returns the plan of the world as it is."""
        with self.world() as world:
            return self.plan_in(world, mode, **more)

    @contextlib.contextmanager
    def world(self) -> Iterator[World]:
        """Opens what one plan or run needs."""
        vault = Vault(self._folder / "north.sealed", self._key, "test")
        paved, board = self.paved(), Board()
        connectors = {**paved.connectors, STORE.name: Sealed(vault)}
        paved = dataclasses.replace(paved, connectors=connectors)

        def reveal(secret: Any) -> str:
            return self.secrets.get(secret.name) or vault.reveal(Secret(secret.name))

        def version(secret: Secret) -> str | None:
            return f"version-of-{secret.name}" if secret.name in self.secrets else vault.version(secret)

        connections = Connections(connectors, self._wire(reveal), board.for_reading)
        try:
            yield World(paved, board, connections, reveal, version)
        finally:
            connections.close()
            vault.close()

    def plan_in(self, world: World, mode: str = "apply", **more: Any) -> Plan:
        """Returns the plan of a world that is open, and fills its board."""
        heading = Heading(site=self.site.name, site_digest=self.site.digest(), paver="1", driver="vsphere/1")
        reading = ReadingWorld(self.site.name, world.connections, world.version)
        return plan(world.paved, heading, Request(mode=mode, **more), reading, world.board)

    def apply(self, mode: str = "apply", **more: Any) -> Outcome:
        """Plans and acts."""
        return self._carry(lambda world: self.plan_in(world, mode, **more))

    def act(self, planned: Plan) -> Outcome:
        """Carries out what was planned before; the world is read anew."""

        def as_planned(world: World) -> Plan:
            self.plan_in(world, planned.mode, allow=planned.allow)
            return planned

        return self._carry(as_planned)

    def _carry(self, plan_of: Callable[[World], Plan]) -> Outcome:
        self._runs += 1
        journal_file = self._folder / f"journal-{self._runs}.jsonl"
        with self.world() as world, Journal(journal_file) as journal:
            planned = plan_of(world)
            hands = Hands(
                connections=world.connections,
                journal=journal,
                versions=world.version,
                reveal=world.reveal,
                tell=self.events.append,
                stop=self.stop,
            )
            reading = ReadingWorld(self.site.name, world.connections, world.version, moved=world.paved.moved)
            again = Again(planned, world.paved, world.board, reading, allow=planned.allow)
            return Executor(again, hands).run(_mine)

    def fine(self, mode: str = "apply", **more: Any) -> Outcome:
        """Plans and acts, and holds that nothing went wrong."""
        outcome = self.apply(mode, **more)
        for _, error in outcome.failed:
            raise error
        assert not outcome.left
        return outcome


def _pass(call: str, target: str = "", detail: object = None) -> None:
    del call, target, detail


def _mine(action: Action) -> bool:
    del action
    return True


def pending(made: Plan) -> dict[str, str]:
    """Returns the verbs of everything that would change."""
    return {action.resource: action.verb.value for action in made.pending}
