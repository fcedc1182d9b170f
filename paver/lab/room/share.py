"""NFS servers of the site itself: each serves the lab's folder `nfs`, read-only, as `/export`."""

from __future__ import annotations

from paver.errors import PaverError
from paver.lab.room import cables, machine, world

FOLDER = "nfs"
EXPORT = "/export"
PROGRAM = "nfsd"
PORTMAPPER = 111


def start(place: world.World) -> tuple[machine.Process, ...]:
    """Starts what the plan says that the site has; returns the processes.

    Raises:
        PaverError: a server does not answer in time.
    """
    cables.up(place.plan.nfs)
    folder = place.lab / FOLDER
    found = []
    for address in place.plan.nfs:
        folder.mkdir(exist_ok=True)
        log = place.lab / "run" / f"nfs-{address}.log"
        argv = [
            str(place.programs[PROGRAM]),
            "--address",
            address,
            "--folder",
            str(folder),
            "--export",
            EXPORT,
        ]
        found.append(machine.spawn(place, place.lab / "run", argv, log))
        # It opens this port last.
        if not machine.await_port(address, PORTMAPPER):
            raise PaverError(
                f"the NFS server {address} does not answer", seen=log.read_text(errors="replace")[-1500:]
            )
    return tuple(found)
