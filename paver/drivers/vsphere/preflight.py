"""Looks at every host before anything is planned: all findings at once, nothing is written.

Certificate, login, licence, version, clock, manager, maintenance, datastore, adapters, port groups, and the files that a host holds. Hosts are
looked at side by side; what one refuses does not hide what another one shows.
"""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import re
import ssl
from collections.abc import Callable, Iterator
from typing import Any

from paver.driver import BadInput, Finding, Grade, PaverError, Unobservable
from paver.drivers.vsphere import (
    ending,
    endpoints,
    evaluation,
    preflight_bosh,
    preflight_clock,
    preflight_ha,
    preflight_nfs,
    preflight_room,
    preflight_state,
    settings,
)
from paver.drivers.vsphere.host import licence, reading
from paver.drivers.vsphere.settings import Host
from paver.ovf.ova import Ova
from paver.sitefile.site import Site
from paver.transport import tls
from paver.transport.context import Wire
from paver.transport.vsphere import LoginError, NoAccessError, VsphereConnector

MOST_AT_ONCE = 16
_SINCE = {
    14: (6, 7),
    15: (6, 7),
    17: (7, 0),
    18: (7, 0, 1),
    19: (7, 0, 2),
    20: (8, 0),
    21: (8, 0, 2),
    22: (9, 0),
}
"""By virtual hardware: the first ESXi that has it (Broadcom KB 315655). Older hardware every host has that may be
managed; 6.7 U2, which vmx-15 needs, does not tell itself from 6.7."""

FILES = "files"
IMAGE = "jumpbox image"
HARDWARE = "jumpbox hardware"
HOST_API = "HostAgent"


def preflight(site: Site, wire: Wire) -> Iterator[Finding]:
    """Yields what was found of the image, and at every host, in the order of the site file."""
    yield _image(site, wire)
    yield from preflight_nfs.installer(site, wire)
    iaas = settings.of(site)
    connectors = endpoints.connectors(site)
    stores: dict[str, preflight_ha.Stores] = {}
    rooms: dict[str, preflight_bosh.Room] = {}

    def seen(name: str, session: Any) -> None:
        stores[name], rooms[name] = preflight_ha.stores(session), preflight_bosh.room(session)

    def look(name: str) -> list[Finding]:
        connector = connectors[endpoints.host(name).name]
        if not isinstance(connector, VsphereConnector):
            raise TypeError(f"{name} is reached in an unknown way")
        return list(_host(site, name, connector, wire, seen))

    with concurrent.futures.ThreadPoolExecutor(MOST_AT_ONCE, "preflight") as pool:
        for findings in pool.map(look, iaas.hosts):
            yield from findings
    yield from preflight_ha.shared(site, stores)
    yield from preflight_bosh.placeable(site, rooms)


def _image(site: Site, wire: Wire) -> Finding:
    """Reads the whole image: its digests are compared with its manifest, as before it is sent."""
    text = site.jumpbox.image
    if site.jumpbox.placed_by == "hand":
        return Finding(subject=FILES, check=IMAGE, seen="placed by hand")
    if not site.path(text).is_file():
        if wire.station == "jumpbox":
            # Like `jumpbox.image`: it stands on the VM of which one this is.
            return Finding(subject=FILES, check=IMAGE, seen="not here, and not needed: the jumpbox stands")
        return Finding(
            subject=FILES,
            check=IMAGE,
            grade=Grade.INPUT,
            seen=f"no {text}",
            wanted=str(site.path(text)),
            do="put it there, or name another one under jumpbox.image",
        )
    try:
        with Ova(site.path(text)) as image:
            verified = image.verify()
    except BadInput as error:
        return _problem(FILES, IMAGE, Grade.INPUT, error)
    shown = f"{text}, {verified.size / 1e6:.1f} MB, {len(verified.files)} files as its manifest says"
    return Finding(subject=FILES, check=IMAGE, seen=shown)


def _host(
    site: Site, name: str, connector: VsphereConnector, wire: Wire, seen: Callable[[str, Any], None]
) -> Iterator[Finding]:
    certificate = _certificate(connector, wire)
    yield certificate
    if certificate.grade is not Grade.OK:
        return
    try:
        connection = connector.connect(wire)
    except (BadInput, Unobservable) as error:
        # The host answered a moment ago: what it refuses now is the login, or the secret is not there.
        grade = Grade.INPUT if isinstance(error, BadInput | LoginError) else Grade.UNREACHABLE
        if isinstance(error, NoAccessError):
            grade = Grade.REFUSED
        yield _problem(name, "login", grade, error, wanted=connector.user)
        return
    except PaverError as error:
        yield _problem(name, "login", Grade.REFUSED, error)
        return
    try:
        yield Finding(subject=name, check="login", seen=connector.user)
        session = connection.reader()
        yield from _inside(site, name, session)
        seen(name, session)
    except PaverError as error:
        yield _problem(name, "reading", Grade.UNREACHABLE, error)
    finally:
        connection.close()


def _certificate(connector: VsphereConnector, wire: Wire) -> Finding:
    name, pin = connector.name, connector.pins[0]
    try:
        pem = tls.fetch_certificate(connector.address, connector.port, timeout=wire.timeouts.connect)
    except ssl.SSLError as error:
        return Finding(
            subject=name,
            check="certificate",
            grade=Grade.UNREACHABLE,
            seen=f"{connector.address} does not speak TLS: {error.reason}",
            do="check that this is the host's address",
        )
    except OSError as error:
        return Finding(
            subject=name,
            check="certificate",
            grade=Grade.UNREACHABLE,
            seen=f"{connector.address}:{connector.port} does not answer",
            why=str(error.strerror or error),
            do="check that it is powered on, and that the port is open from here (`paver ports`)",
        )
    seen = tls.fingerprint(pem)
    if tls.matches(pem, pin):
        return Finding(subject=name, check="certificate", seen=seen, wanted=pin)
    anchor = wire.anchor("vmca")
    if anchor is not None and _issued(connector, anchor, wire):
        return Finding(subject=name, check="certificate", seen=f"{seen}, issued by vCenter", wanted=pin)
    placeholder = not pin.removeprefix("sha256:").strip("0:")
    return Finding(
        subject=name,
        check="certificate",
        grade=Grade.INPUT,
        seen=seen,
        wanted="a placeholder" if placeholder else pin,
        why="" if placeholder else "installed anew, certificate replaced, or somebody stands in between",
        do="compare it with the fingerprint on the host's own console, then write it into the site file",
    )


def _issued(connector: VsphereConnector, anchor: str, wire: Wire) -> bool:
    try:
        tls.handshake(
            connector.address,
            connector.port,
            tls.ca_context(anchor),
            server_name=connector.server_name,
            timeout=wire.timeouts.connect,
        )
    except PaverError:
        return False
    return True


def _inside(site: Site, name: str, session: Any) -> Iterator[Finding]:
    host = settings.of(site).hosts[name]
    yield _licence(name, host, session)
    yield from preflight_state.state(site, name, session)
    if session.content.about.apiType == HOST_API:
        yield preflight_clock.clock(site, name, session)
    if name == site.jumpbox.on and site.jumpbox.placed_by != "hand":
        yield from _hardware(site, name, session)
    yield from preflight_room.room(site, name, host, session)
    yield from _network(name, host, session)


def _licence(name: str, host: Host, session: Any) -> Finding:
    seen = licence.look(session)
    shown = f"{seen.name}, edition {seen.edition}"
    if seen.evaluates and host.licence is None:
        return _evaluation(name, shown, evaluation.until(session))
    if seen.writes:
        return Finding(subject=name, check="licence", seen=shown)
    if host.licence is not None:
        return Finding(subject=name, check="licence", seen=shown, wanted=f"secret:{host.licence.name}")
    return Finding(
        subject=name,
        check="licence",
        grade=Grade.REFUSED,
        seen=shown,
        why="the free licence makes the API read-only",
        do=f"set iaas.hosts.{name}.licence to a reference, or start the 60-day evaluation on the host",
    )


def _evaluation(name: str, shown: str, end: dt.datetime | None) -> Finding:
    if end is None or not ending.near(evaluation.left(end)):
        seen = shown if end is None else f"{shown}, {evaluation.words(end)}"
        return Finding(subject=name, check="licence", seen=seen)
    return Finding(
        subject=name,
        check="licence",
        grade=Grade.REFUSED if evaluation.left(end) < 0 else Grade.WARNING,
        seen=f"{shown}, {evaluation.words(end)}",
        why="after its evaluation a host starts no machine any more, and leaves its vCenter",
        do=f"set iaas.hosts.{name}.licence to a reference",
    )


def _hardware(site: Site, name: str, session: Any) -> Iterator[Finding]:
    """Yields whether the jumpbox's host has the virtual hardware that its image was made for."""
    try:
        with Ova(site.path(site.jumpbox.image)) as image:
            families = image.descriptor.hardware
    except (BadInput, OSError):
        return  # what is wrong with the image, its own finding says
    asked = [int(one.removeprefix("vmx-")) for one in families if re.fullmatch(r"vmx-[0-9]{1,3}", one)]
    since = _SINCE.get(min(asked, default=0))
    if since is None:
        return
    about = session.content.about
    seen = f"{about.name.removeprefix('VMware ')} {about.version}"
    wanted = f"{'.'.join(str(part) for part in since)} or later"
    if preflight_state.numbers(about.version) >= since:
        yield Finding(subject=name, check=HARDWARE, seen=f"vmx-{min(asked)}, known to {seen}")
        return
    yield Finding(
        subject=name,
        check=HARDWARE,
        grade=Grade.REFUSED,
        seen=seen,
        wanted=wanted,
        why=f"the jumpbox's image is made for vmx-{min(asked)}",
        do="upgrade the host, or place the jumpbox on another one (jumpbox.on)",
    )


def _network(name: str, host: Host, session: Any) -> Iterator[Finding]:
    found = session.one("HostSystem", ("config.network.pnic",))
    adapters = {one.device: one for one in (found[1]["config.network.pnic"] if found else None) or ()}
    for switch, wished in host.switches.items():
        for uplink in wished.uplinks:
            yield _uplink(name, switch, uplink, adapters)
    groups = {one.spec.name: one.spec for one in reading.items(session, reading.PORT_GROUPS)}
    for group, carried in host.port_groups.items():
        spec = groups.get(group)
        check = f"port group {group}"
        wanted = f"vlan {carried.vlan} on {carried.switch}"
        if spec is None:
            yield Finding(subject=name, check=check, seen="absent, will be made", wanted=wanted)
            continue
        seen = f"vlan {spec.vlanId} on {spec.vswitchName}"
        differs = seen != wanted
        yield Finding(
            subject=name,
            check=check,
            grade=Grade.WARNING if differs else Grade.OK,
            seen=seen,
            wanted=wanted,
            do="`paver plan` says whether it may be changed" if differs else "",
        )


def _uplink(name: str, switch: str, uplink: str, adapters: dict[str, Any]) -> Finding:
    check = f"uplink {uplink}"
    adapter = adapters.get(uplink)
    if adapter is None:
        return Finding(
            subject=name,
            check=check,
            grade=Grade.INPUT,
            seen=f"has {', '.join(sorted(adapters)) or 'none'}",
            wanted=f"on {switch}",
            do="correct the uplinks in the site file",
        )
    if adapter.linkSpeed is None:
        return Finding(
            subject=name,
            check=check,
            grade=Grade.WARNING,
            seen="no link",
            wanted=f"on {switch}",
            do="check the cable and the switch's port",
        )
    return Finding(
        subject=name, check=check, seen=f"{adapter.linkSpeed.speedMb} Mbit/s", wanted=f"on {switch}"
    )


def _problem(subject: str, check: str, grade: Grade, error: PaverError, *, wanted: str = "") -> Finding:
    return Finding(
        subject=subject,
        check=check,
        grade=grade,
        seen=error.what.removeprefix(f"{subject}: "),
        wanted=wanted,
        why=error.why,
        do=error.do,
    )
