"""A VM made from the lab's stemcell: starts the agent with the settings that the CPI left in its guestinfo."""

from __future__ import annotations

import base64
import binascii
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from paver.lab.room import machine, world

_SETTINGS = "guestinfo.bosh.env"
_OWN_RESOLVERS = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


class Stemcell:
    """See `world.System`."""

    kind = "bosh-stemcell"
    waits = True

    def __init__(self, place: world.World, event: world.Event, monitor: world.Monitor) -> None:
        self._world = place
        self._event = event
        self._console = monitor.say
        self._folder = place.folder(event.uuid)
        self._settings: dict[str, Any] = {}
        self._process: machine.Process | None = None

    def wake(self) -> tuple[world.Wanted, ...]:
        """Reads the agent's settings; without them the VM waits for ever, as the real one does."""
        try:
            value = self._event.extra_config[_SETTINGS]
            self._settings = json.loads(base64.b64decode(value, validate=True))
            networks = [each for each in self._settings["networks"].values() if each.get("ip")]
        except (KeyError, TypeError, AttributeError, ValueError, binascii.Error) as error:
            self._console(f"agent: no settings in {_SETTINGS}: {type(error).__name__}")
            self._settings = {}
            return ()
        macs = self._event.macs
        found = []
        for index, network in enumerate(networks):
            mac = str(network.get("mac") or (macs[index] if index < len(macs) else "")).lower()
            found.append(world.Wanted(mac, str(network["ip"])))
        return tuple(found)

    def launch(self, up: tuple[str, ...]) -> world.Guest:
        """Starts the agent once the VM has an address."""
        if not self._settings or not up:
            return world.Guest(None, {})
        settings = self._folder / "settings.json"
        with os.fdopen(os.open(settings, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as sink:
            json.dump(self._settings, sink)
        # The programs that a deployed job starts are found by name, as in a package's bin folder.
        places = dict.fromkeys(
            str(path.parent) for path in (*self._world.programs.values(), *self._world.tools.values())
        )
        path = os.pathsep.join([*places, os.environ.get("PATH", "")])
        isolated = [
            *("unshare", "-mpf", "--kill-child", "--mount-proc", "--propagation", "private"),
            *("sh", "-c", _OWN_RESOLVERS, "sh", str(self._resolvers())),
        ]
        argv = [sys.executable, "-m", "paver.lab.standins.agent", "--settings", str(settings)]
        self._process = machine.spawn(
            self._world,
            self._folder,
            [*(isolated if self._world.isolated else []), *argv],
            self._folder / "agent.log",
            {"PATH": path},
        )
        port = urlsplit(str(self._settings.get("mbus", ""))).port or 6868
        if machine.await_port(up[0], port):
            self._console(f"agent: listens on {up[0]} port {port}")
        else:
            self._console(f"agent: does not listen on {up[0]} port {port}, see agent.log")
        return world.Guest(up[0], {})

    def _resolvers(self) -> Path:
        """Writes the VM's own resolv.conf: the DNS servers of its networks, and no other."""
        servers = [
            str(server)
            for network in self._settings["networks"].values()
            for server in network.get("dns") or ()
        ]
        path = self._folder / "resolv.conf"
        lines = [f"nameserver {server}" for server in dict.fromkeys(servers)]
        path.write_text("\n".join([*lines, "options timeout:2 attempts:1"]) + "\n")
        return path

    def halt(self) -> None:
        """Cuts the power."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def about(self) -> dict[str, Any]:
        """Returns nothing beyond the general."""
        return {}
