"""Who talks to whom on any IaaS: jumpbox, director, BOSH's networks and the services. Source: BUCC's listeners."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator

from paver.driver import End, Port
from paver.foundation import places
from paver.sitefile.site import Site


def ports(site: Site) -> Iterator[Port]:
    """Yields the foundation's rows of the matrix."""
    jumpbox = End("jumpbox", str(site.jumpbox.address))
    director = End("director", str(site.bucc.address))
    bosh = [End(f"network {name}", str(n.cidr)) for name, n in site.networks.items() if n.az]
    yield from _director(jumpbox, director, bosh)
    yield from _services(site, [jumpbox, director, *bosh])
    yield End("users", "any").to(director, 443, "Concourse")


def _director(jumpbox: End, director: End, bosh: list[End]) -> Iterator[Port]:
    for port, why in (
        (22, "SSH, through the director to its VMs"),
        (6868, "agent, while `bucc up` makes the director"),
        (places.DIRECTOR_PORT, "director"),
        (places.UAA_PORT, "UAA"),
        (places.CREDHUB_PORT, "CredHub"),
        (443, "Concourse"),
        (8200, "vault-credhub-proxy"),
    ):
        yield jumpbox.to(director, port, why)
    for network in bosh:
        for port, why in (
            (4222, "NATS, from the agents"),
            (25250, "blobstore, from the agents"),
            (places.TSA_PORT, "TSA, from Concourse's workers"),
            (places.UAA_PORT, "UAA"),
            (places.CREDHUB_PORT, "CredHub"),
        ):
            yield network.to(director, port, why)
        yield director.to(network, 22, "SSH to VMs")


def _services(site: Site, clients: list[End]) -> Iterator[Port]:
    store, registry = site.services.object_store, site.services.registry
    targets = (
        ("object store", store.address, store.port, store.external, "objects"),
        ("registry", registry.address, registry.port, registry.external, "images"),
    )
    for name, address, port, external, why in targets:
        url = urllib.parse.urlsplit(external.endpoint if external else f"https://{address}:{port}")
        target = End(name, url.hostname or "")
        for client in clients:
            yield client.to(target, url.port or 443, why)
