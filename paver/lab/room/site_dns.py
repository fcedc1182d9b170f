"""DNS and time of the site itself: nothing of it where the jumpbox is to provide them."""

from __future__ import annotations

import time
from pathlib import Path

from paver.errors import PaverError
from paver.lab.room import cables, machine, resolver, world

_PATIENCE = 60.0
_NESTED = ("unshare", "-U", "--map-user=1003", "--map-group=1003")


def start(place: world.World) -> tuple[machine.Process, ...]:
    """Starts what the plan says that the site has; returns the processes."""
    plan, found = place.plan, []
    cables.up(tuple(dict.fromkeys((*plan.dns, *plan.ntp))))
    folder = place.lab / "run"
    # Both would drop privileges, which a lab of one user id can't: so they start without any.
    nested = _NESTED if place.isolated else ()
    if plan.dns:
        config = folder / "dnsmasq.conf"
        config.write_text(dnsmasq(plan.dns, plan.zone, plan.records))
        argv = [*nested, str(place.tools["dnsmasq"]), "-k", "-C", str(config)]
        found.append(machine.spawn(place, folder, argv, folder / "dnsmasq.log"))
        machine.await_port(plan.dns[0], 53)
    for address in plan.ntp:
        config = folder / f"chrony-{address}.conf"
        config.write_text("\n".join((*chrony(address), f"pidfile {place.run}/chrony-{address}.pid", "")))
        argv = [*nested, str(place.tools["chronyd"]), "-U", "-u", "root", "-x", "-d", "-f", str(config)]
        found.append(machine.spawn(place, folder, argv, folder / "chrony.log"))
    for address in plan.ntp:
        _await_time(address, folder / "chrony.log")
    return tuple(found)


def _await_time(address: str, log: Path) -> None:
    """Waits until the server answers: an appliance asks once, as soon as it is switched on."""
    end = time.monotonic() + _PATIENCE
    while not resolver.tells_time(address):
        if time.monotonic() > end:
            raise PaverError(f"the time server {address} does not answer", seen=log.read_text()[-1000:])
        time.sleep(0.01)


def chrony(address: str) -> tuple[str, ...]:
    """Returns the configuration of a time server of the site: it believes its own clock."""
    return ("local stratum 3", "allow", f"bindaddress {address}", "cmdport 0", "bindcmdaddress /")


def dnsmasq(addresses: tuple[str, ...], zone: str, records: tuple[tuple[str, str], ...]) -> str:
    """Returns the configuration of the site's DNS server: A and PTR for each record, nothing else."""
    lines = [
        "no-resolv",
        "no-hosts",
        "bind-interfaces",
        *(f"listen-address={address}" for address in addresses),
        f"local=/{zone}/",
        "log-facility=-",
        "pid-file=",
        *(f"host-record={name},{where}" for name, where in records),
    ]
    return "\n".join(lines) + "\n"
