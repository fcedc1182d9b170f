"""Phase `jumpbox` as a wish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paver.driver import Endpoint, Ground, Resource, ResourceId, output, resource_id
from paver.drivers.vsphere import endpoints, settings
from paver.drivers.vsphere.host import pave as hosts
from paver.drivers.vsphere.host.autostart import Autostart
from paver.drivers.vsphere.jumpbox.image import Image
from paver.drivers.vsphere.jumpbox.machine import Jumpbox
from paver.machine import jumpbox as machine
from paver.machine.brought import pave as brought
from paver.sitefile.site import Site

PHASE = "jumpbox"
KINDS: tuple[type[Resource[Any]], ...] = (Autostart, Image, Jumpbox, *brought.KINDS)

IMAGE: ResourceId = resource_id(Image.kind, "jumpbox")
BUCC: ResourceId = brought.artefact("bucc")


def resources(site: Site) -> Iterator[Resource[Any]]:
    """Yields the jumpbox, what it is made of and what is brought to it."""
    wish = site.jumpbox
    at = endpoints.host(wish.on)
    ready = hosts.ready(site, wish.on)
    autostart = hosts.autostart(site, wish.on, PHASE)
    starts = None if autostart is None else True
    if autostart is not None:
        yield autostart
        ready |= {autostart.id}
    if wish.placed_by == "hand":
        yield Jumpbox(
            id=endpoints.JUMPBOX,
            phase=PHASE,
            at=at,
            after=ready,
            adopt=True,
            path=wish.image,
            elsewhere=_elsewhere(site),
            name=wish.name,
            autostart=starts,
        )
    else:
        yield Image(id=IMAGE, phase=PHASE, at=endpoints.FILES, path=wish.image, host=at)
        yield _made(site, ready, starts)
    yield from brought.resources("bucc", site.bucc.artefact, phase=PHASE, at=endpoints.MACHINE)


def _made(site: Site, ready: frozenset[ResourceId], starts: bool | None) -> Jumpbox:
    wish = site.jumpbox
    host = settings.of(site).hosts[wish.on]
    network = site.networks[wish.network]
    own_key = output(machine.KEY.id, "public", str)
    return Jumpbox(
        id=endpoints.JUMPBOX,
        phase=PHASE,
        at=endpoints.host(wish.on),
        also=(endpoints.MACHINE,),
        after=ready,
        path=wish.image,
        elsewhere=_elsewhere(site),
        name=wish.name,
        image=output(IMAGE, "digest", str),
        datastore=wish.datastore or host.datastore,
        port_group=network.port_group,
        ip=str(wish.address),
        prefix=network.cidr.prefixlen,
        gateway=str(network.gateway),
        dns=tuple(str(address) for address in site.network_dns(wish.network)),
        hostname=wish.hostname,
        domain=site.zone,
        user=wish.user,
        keys=(*wish.ssh_keys, own_key),
        cpus=wish.cpus,
        memory_mb=wish.memory_mb,
        disk_gb=wish.disk_gb,
        autostart=starts,
    )


def _elsewhere(site: Site) -> tuple[Endpoint[Any, Any], ...]:
    return tuple(endpoints.host(name) for name in settings.of(site).hosts if name != site.jumpbox.on)


def grounds(site: Site) -> Iterator[Ground]:
    """Yields where orphans of these kinds are looked for."""
    for name in settings.of(site).hosts:
        yield Ground(Autostart, endpoints.host(name), PHASE)
    for name in settings.of(site).hosts:
        yield Ground(Jumpbox, endpoints.host(name), PHASE)
    yield from brought.grounds(PHASE, endpoints.MACHINE)
