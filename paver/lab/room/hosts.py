"""The bare hosts: their addresses, and the simulator that answers there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from paver.errors import PaverError
from paver.lab.room import cables, machine, share, site_dns, world

_START_SECONDS = 20.0


def start(place: world.World) -> tuple[machine.Process, ...]:
    """Powers all hosts on, and the site's own servers where it has some; returns when they answer.

    Raises:
        PaverError: a simulator ended, or does not answer in time.
    """
    found = [*site_dns.start(place), *share.start(place)]
    if place.plan.hosts:
        cables.up(tuple(host.address for host in place.plan.hosts))
        config = place.lab / "run" / "esx.json"
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as sink:
            json.dump(configuration(place), sink, indent=1)
        folder = place.lab / "run"
        argv = [str(place.programs["vsim"]), "esx", "--config", str(config)]
        process = machine.spawn(place, folder, argv, folder / "esx.log")
        found.append(process)
        await_socket(place.run / "esx.control.sock", process, folder / "esx.log")
        for host in place.plan.hosts:
            if not machine.await_port(host.address, 443):
                raise PaverError(f"host {host.name} does not answer", seen=_tail(folder / "esx.log"))
    return tuple(found)


def configuration(place: world.World) -> dict[str, Any]:
    """Returns the simulator's configuration."""
    return {
        "hosts": [
            {
                "name": host.name,
                "listen": f"{host.address}:443",
                "hostname": host.hostname,
                "certificate": str(place.lab / "certificates" / f"{host.name}.crt"),
                "key": str(place.lab / "certificates" / f"{host.name}.key"),
                "users": [{"name": host.user, "password": host.password}],
                "datastores": [
                    {
                        "name": store.name,
                        "path": str(_made(place.lab / "hosts" / host.name / "datastores" / store.name)),
                        "capacity_bytes": store.capacity_bytes,
                    }
                    for store in host.datastores
                ],
                "uplinks": [{"device": uplink.device, "up": uplink.up} for uplink in host.uplinks],
                "licence": host.licence,
                "version": host.version,
                "trace": str(place.lab / "trace" / f"{host.name}.jsonl"),
            }
            for host in place.plan.hosts
        ],
        "control": str(place.run / "esx.control.sock"),
        "room": str(place.run / "room.sock"),
        "machines": str(place.lab / "machines"),
    }


def await_socket(socket: Path, process: machine.Process, log: Path) -> None:
    """Waits until the simulator has opened its control socket.

    Raises:
        PaverError: it ended, or did not open it in time.
    """
    end = time.monotonic() + _START_SECONDS
    while not socket.exists():
        if process.popen.poll() is not None:
            raise PaverError(f"{socket.name.split('.')[0]}'s simulator ended at its start", why=_tail(log))
        if time.monotonic() > end:
            raise PaverError(f"{socket.name.split('.')[0]}'s simulator does not answer", why=_tail(log))
        time.sleep(0.005)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-8:])
