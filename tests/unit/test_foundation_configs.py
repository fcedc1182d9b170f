"""A director reads its configs when a manifest meets them, too late for whoever wrote the site file: so that file is held to it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from paver.driver import Paved
from paver.drivers.vsphere import DRIVER
from paver.foundation import manifests, places
from paver.foundation.documents import plain
from paver.lab.standins import director_configs, director_manifest
from paver.lab.standins.director_wish import Known
from paver.sitefile import Site
from paver.sitefile.diagnostic import SiteErrors
from paver.sitefile.load import loads
from tests.support.vsphere_lab import text_of

PINS = ["sha256:" + ":".join([f"{number:02x}"] * 32) for number in (1, 2)]
RELEASES: dict[str, Any] = {
    "minio": {"1": {"name": "minio", "version": "1", "jobs": {"minio-server": {}}}},
    "docker-registry": {
        "1": {"name": "docker-registry", "version": "1", "jobs": {"registry": {}, "proxy": {}}}
    },
    "bosh-dns": {"1": {"name": "bosh-dns", "version": "1", "jobs": {"bosh-dns": {}}}},
}
STEMCELL = {"name": "noble", "os": "ubuntu-noble", "version": "1", "cid": "sc-1"}
SIZE, FIRST = 28, int(IPv4Address("10.30.0.0"))
COUNT = 2 ** (32 - SIZE)


@functools.cache
def under() -> Paved:
    return DRIVER.pave(loads(text_of(PINS), {"vsphere": DRIVER}, file="site.yml", folder=Path("/")))


def address(number: int) -> str:
    return str(IPv4Address(FIRST + number))


def ranges(kinds: Sequence[str], kind: str) -> str:
    """Returns the addresses of one kind as the site file writes them: neighbours as one range."""
    found: list[list[int]] = []
    for number in (number for number, one in enumerate(kinds) if one == kind):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{address(a)}-{address(b)}" for a, b in found)


def site_of(kinds: Sequence[str], gateway: int, machines: tuple[int, int, int]) -> Site:
    """Returns a site whose network for BOSH is made up so, or raises what is wrong with it."""
    director, store, registry = map(address, machines)
    text = text_of(PINS)
    text = text.replace("10.30.0.0/24", f"10.30.0.0/{SIZE}").replace(
        "10.30.0.1, port", f"{address(gateway)}, port"
    )
    text = text.replace("reserved: [10.30.0.1-10.30.0.9]", f"reserved: [{ranges(kinds, 'reserved')}]")
    text = text.replace("static: [10.30.0.10-10.30.0.30]", f"static: [{ranges(kinds, 'static')}]")
    text = text.replace("address: 10.30.0.10, az", f"address: {director}, az")
    text = text.replace("{address: 10.30.0.11}", f"{{address: {store}}}")
    text = text.replace("{address: 10.30.0.12}", f"{{address: {registry}}}")
    return loads(text, {"vsphere": DRIVER}, file="site.yml", folder=Path("/"))


def known_of(document: Any) -> Any:
    """Returns a document with the versions put in that come out of the artefact."""
    if isinstance(document, Mapping):
        named = {key: known_of(value) for key, value in document.items()}
        return {**named, **{key: "1" for key in ("version",) if key in named}}
    if isinstance(document, list):
        return [known_of(one) for one in document]
    return "ubuntu-noble" if type(document).__name__ == "Output" else document


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[str], int, tuple[int, int, int]]:
    """Draws what each address is for, the gateway, and three machines: mostly ones that fit, for few would by chance."""
    kinds = draw(
        st.lists(st.sampled_from(["reserved", "static", "static", "free"]), min_size=COUNT, max_size=COUNT)
    )
    anywhere = range(COUNT)
    apart = [number for number in anywhere[1:-1] if kinds[number] != "static"]
    gateway = draw(st.sampled_from(apart or anywhere) | st.sampled_from(anywhere))
    static = [number for number in anywhere if kinds[number] == "static"]
    machines = draw(st.permutations(static if len(static) > 2 else anywhere))
    return kinds, gateway, (machines[0], machines[1], machines[2])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
@example((["static"] * COUNT, 1, (2, 3, 4)))
@example((["free", "free", *["static"] * (COUNT - 2)], 1, (2, 3, 4)))
@example((["static", "free", *["static"] * (COUNT - 3), "free"], 1, (2, 3, 4)))
@example((["free", "free", *["static"] * (COUNT - 3), "free"], 1, (2, 3, 4)))
@example((["reserved", "free", *["static"] * (COUNT - 3), "reserved"], 1, (13, 3, 4)))
def test_a_director_takes_the_cloud_config_of_every_site_that_is_valid_and_its_deployments_find_their_places(
    drawn: tuple[list[str], int, tuple[int, int, int]],
) -> None:
    try:
        site = site_of(*drawn)
    except SiteErrors:
        event("refused by the site file")
        return
    event("valid")
    document = plain(manifests.cloud_config(site, under()))
    own = (IPv4Address(str(site.bucc.address)),)
    cloud = director_configs.cloud_config(director_configs.merged([document]), own)
    runtime = director_configs.runtime_config(known_of(plain(manifests.runtime_config(places.ARTEFACT))))
    known = Known(RELEASES, (STEMCELL,), cloud, (runtime,), {}, {})
    for manifest in (manifests.object_store, manifests.registry):
        wish = director_manifest.plan(known_of(plain(manifest(site, places.ARTEFACT))), known)
        assert [str(one.address) for one in wish.instances]


def test_as_many_machines_compile_at_once_as_there_are_addresses_for_and_a_site_without_any_is_warned() -> (
    None
):
    for left, workers in ((0, 1), (1, 1), (2, 2), (5, 2)):
        # The first and the last address are nobody's, and the gateway's is its own.
        kinds = ["free", "free", *["free"] * left, *["static"] * (COUNT - left - 4), "reserved", "free"]
        site = site_of(kinds, 1, (8, 9, 10))
        assert site.networks["bosh"].dynamic == left
        assert manifests.cloud_config(site, under())["compilation"]["workers"] == workers
        warned = [one.message for one in site.warnings if "compile" in one.message]
        assert warned == (
            [] if left else ["BOSH has no address left in bosh for the VMs that compile releases"]
        )
