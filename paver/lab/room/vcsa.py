"""The vCenter appliance: first boot in stages, then the simulator of vCenter at its address.

It takes its settings from the OVF properties that the installer gave (`guestinfo.cis.*`, by the names of
VMware's own OVF), makes a CA and a certificate for its FQDN, and refuses what kills a real first boot: a name
that its DNS servers do not know both ways, and time servers that do not answer.
`progress.json` in the machine's folder, and the room's GET /machines/UUID, tell how far it is.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from defusedxml.ElementTree import fromstring

from paver.errors import PaverError
from paver.lab import pki
from paver.lab.room import hosts, machine, resolver, world
from paver.lab.vcsa import SERVICES, STATE

_PREFIX = "guestinfo.cis."
_ENVIRONMENT = "{http://schemas.dmtf.org/ovf/environment/1}"
_STEP_SECONDS = 0.05


class Appliance:
    """See `world.System`."""

    kind = "vcsa"
    waits = True

    def __init__(self, place: world.World, event: world.Event, monitor: world.Monitor) -> None:
        self._world = place
        self._event = event
        self._console = monitor.say
        self._publish = monitor.publish
        self._folder = place.folder(event.uuid)
        self._settings: dict[str, str] = {}
        self._lock = threading.Lock()
        self._halted = threading.Event()
        self._process: machine.Process | None = None
        self._progress: dict[str, Any] = {"state": "idle", "percent": 0, "message": ""}

    def wake(self) -> tuple[world.Wanted, ...]:
        """Reads the properties; without them the appliance waits for somebody at its console."""
        self._settings = settings(self._event.extra_config)
        address = self._settings.get("appliance.net.addr", "")
        if not address or not self._settings.get("appliance.net.pnid"):
            self._console("first boot: no network properties, waiting for somebody at the console")
            self._tell("failed", 0, "no network properties")
            return ()
        macs = self._event.macs
        return (world.Wanted(macs[0] if macs else "", address),)

    def launch(self, up: tuple[str, ...]) -> world.Guest:
        """Starts the first boot, or the services where there was one before."""
        if not up:
            return world.Guest(None, {})
        with self._lock:
            # Of this boot alone: it may have been halted before, where it had no address yet.
            self._halted = halted = threading.Event()
        boot = threading.Thread(target=self._boot, args=(up[0], halted), name=f"vcsa {up[0]}", daemon=True)
        boot.start()
        return world.Guest(up[0], {STATE: "running"})

    def halt(self) -> None:
        """Cuts the power, also of a first boot that is under way: it can't be resumed then."""
        with self._lock:
            self._halted.set()
            if self._process is not None:
                self._process.kill()

    def about(self) -> dict[str, Any]:
        """Returns the progress of the first boot."""
        return {"progress": self._progress}

    def _boot(self, address: str, halted: threading.Event) -> None:
        done = self._folder / "firstboot.done"
        started = self._folder / "firstboot.started"
        try:
            if not done.exists():
                # Touched once only: a first boot whose power went is never taken up again.
                started.touch(exist_ok=False)
                self._first_boot(address, halted)
            process = self._serve(address, halted)
            done.touch()
            # Stays with it: a process of a lab without namespaces ends with the thread that started it.
            process.popen.wait()
            if not halted.is_set():
                self._console(f"vCenter's services ended with {process.popen.returncode}")
        except FileExistsError:
            self._console("first boot failed: it was interrupted and can't be resumed")
            self._tell("failed", 0, "first boot was interrupted and can't be resumed")
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in there is a failed first boot
            self._console(f"first boot failed: {error} {error.why if isinstance(error, PaverError) else ''}")
            self._tell("failed", self._progress["percent"], str(error))

    def _first_boot(self, address: str, halted: threading.Event) -> None:
        found = self._settings
        name = found["appliance.net.pnid"]
        servers = tuple(
            each.strip() for each in found.get("appliance.net.dns.servers", "").split(",") if each.strip()
        )
        self._tell("running", 2, "Checking the name of the appliance")
        if name != address:
            if resolver.address(name, servers) != address:
                raise PaverError(f"DNS: {', '.join(servers) or 'nobody'} does not give {address} for {name}")
            backward = resolver.name(address, servers)
            if backward is None or backward.lower() != name.lower():
                raise PaverError(f"DNS: {address} is {backward or 'nobody'} backwards, not {name}")
        for server in found.get("appliance.ntp.servers", "").split(","):
            if server.strip() and not self._time(server.strip(), servers):
                raise PaverError(f"com.vmware.applmgmt.err_ntp_sync_failed: {server.strip()}")
        if not found.get("vmdir.password"):
            raise PaverError("no SSO password was given")
        for index, service in enumerate(SERVICES, start=1):
            self._tell("running", 5 + index * 90 // len(SERVICES), f"Starting {service}...")
            if halted.wait(_STEP_SECONDS):
                raise PaverError("the power went in first boot")
        root = pki.vmca(found.get("vmdir.domain-name", "vsphere.local"), name)
        pair = pki.machine(name, root)
        certificates = self._folder / "certificates"
        with self._lock:
            # One that was destroyed meanwhile would have a folder again.
            if halted.is_set():
                raise PaverError("the power went in first boot")
            root.write(certificates, "vmca")
            pair.write(certificates, "machine")
            guest = self._folder / "root" / "var/lib/vmware/vmca"
            guest.mkdir(parents=True, exist_ok=True)
            (guest / "root.cer").write_bytes((certificates / "vmca.crt").read_bytes())
        self._secret("guest-credentials.json", {"root": found.get("appliance.root.passwd", "")})

    def _time(self, server: str, resolvers: tuple[str, ...]) -> bool:
        where = server if server.replace(".", "").isdigit() else resolver.address(server, resolvers)
        return where is not None and resolver.tells_time(where)

    def _serve(self, address: str, halted: threading.Event) -> machine.Process:
        place, found = self._world, self._settings
        name = found["appliance.net.pnid"]
        certificates = self._folder / "certificates"
        control = place.run / "vcenter.control.sock"
        servers = [
            each.strip() for each in found.get("appliance.net.dns.servers", "").split(",") if each.strip()
        ]
        user = f"{found.get('vmdir.username', 'administrator')}@{found.get('vmdir.domain-name', 'vsphere.local')}"
        content = {
            "name": name,
            "listen": f"{address}:443",
            "certificate": str(certificates / "machine.crt"),
            "key": str(certificates / "machine.key"),
            "vmca": {"certificate": str(certificates / "vmca.crt"), "key": str(certificates / "vmca.key")},
            "sso": {"user": user, "password": found["vmdir.password"]},
            "dns": servers,
            "version": "8.0.3",
            "trace": str(place.lab / "trace" / f"{name}.jsonl"),
            "control": str(control),
            "room": str(place.run / "room.sock"),
            "hosts_control": str(place.run / "esx.control.sock"),
        }
        config, log = self._secret("vcenter.json", content), self._folder / "vcenter.log"
        with self._lock:
            if halted.is_set():
                raise PaverError("the power went in first boot")
            control.unlink(missing_ok=True)
            argv = [str(place.programs["vsim"]), "vcenter", "--config", str(config)]
            self._process = machine.spawn(self._world, self._folder, argv, log)
        hosts.await_socket(control, self._process, log)
        if not machine.await_port(address, 443):
            raise PaverError(
                "vCenter's simulator does not answer", why=log.read_text(errors="replace")[-500:]
            )
        self._tell("succeeded", 100, "vCenter is ready")
        self._console(f"vCenter {name} answers at {address}")
        return self._process

    def _secret(self, file: str, content: Any) -> Any:
        path = self._folder / file
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as sink:
            json.dump(content, sink)
        return path

    def _tell(self, state: str, percent: int, message: str) -> None:
        progress = {"state": state, "percent": percent, "message": message}
        path = self._folder / "progress.json"
        draft = path.with_suffix(".part")
        draft.write_text(json.dumps(progress))
        draft.replace(path)
        # After the file: who hears of it from the room finds it there too.
        self._progress = progress
        if state in {"failed", "succeeded"}:
            self._publish(world.Guest(self._settings.get("appliance.net.addr"), {STATE: state}))


def settings(extra_config: Mapping[str, str]) -> dict[str, str]:
    """Returns the appliance's properties, without their prefix.

    They stand in `guestinfo.ovfEnv` as on a bare host with InjectOvfEnv, or as keys of their own.
    """
    found: dict[str, str] = {}
    text = extra_config.get("guestinfo.ovfEnv", "")
    if text:
        try:
            for each in fromstring(text).iter(f"{_ENVIRONMENT}Property"):
                found[str(each.get(f"{_ENVIRONMENT}key"))] = str(each.get(f"{_ENVIRONMENT}value"))
        except ET.ParseError:
            return {}
    found |= extra_config
    return {key.removeprefix(_PREFIX): value for key, value in found.items() if key.startswith(_PREFIX)}
