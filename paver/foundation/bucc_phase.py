"""The phase `bucc`: artefact, director, stemcell, releases and configs. Pure."""

from __future__ import annotations

from typing import Any

from paver.driver import STORE, Endpoint, Ground, Resource, output, resource_id
from paver.foundation import manifests, named_files, places
from paver.foundation.bucc import operations
from paver.foundation.bucc.artefact import BuccArtefact
from paver.foundation.bucc.bucc import Bucc
from paver.foundation.director.configs import Config
from paver.foundation.director.uploads import Release, Stemcell
from paver.foundation.wish import Wish
from paver.sitefile.site import Site

KINDS: tuple[type[Resource[Any]], ...] = (BuccArtefact, Bucc, Stemcell, Release, Config)
"""Every kind of this phase, in creation order."""


def add(wish: Wish) -> None:
    """Adds the phase's resources to the wish."""
    _bucc(wish)
    _director(wish)


def grounds(jumpbox: Endpoint[Any, Any]) -> tuple[Ground, ...]:
    """Returns where the phase's kinds are looked for, in creation order."""
    director = places.director()
    return (
        Ground(BuccArtefact, jumpbox, "bucc"),
        Ground(Bucc, jumpbox, "bucc", also=(STORE, director)),
        Ground(Stemcell, director, "bucc"),
        # That of the director's own DNS is wished for as long as there is one: only a service's can be left over.
        Ground(Release, director, "services"),
        Ground(Config, director, "bucc"),
    )


def _bucc(wish: Wish) -> None:
    site, under = wish.site, wish.under
    brought = under.brought["bucc"]
    digest = output(brought, "sha256", str)
    wish.add(
        BuccArtefact(
            id=places.ARTEFACT,
            phase="bucc",
            at=wish.jumpbox,
            after=under.needs,
            sha256=digest,
            source=output(brought, "path", str),
            deploys=frozenset(_deployed(site)),
        )
    )
    seeds: dict[str, Any] = {}
    for variable in places.CAS:
        item = wish.need(places.authority(variable))
        pem = output(item.id, "pem", str)
        seeds[variable] = {"ca": pem, "certificate": pem, "private_key": item.secret}
    for variable in places.PASSWORDS:
        seeds[variable] = wish.need(places.password(variable)).secret
    operators = {name: data.decode() for name, data in operations.common(site.bucc.vm).items()}
    operators |= dict(under.cpi_operators)
    for number, text in enumerate(site.bucc.operators):
        # Behind BUCC's own up to `9-`, what an artefact has for releases, and flags, which begin with letters.
        operators[f"zz-site-{number:02d}-{text.rpartition('/')[2]}"] = named_files.operators(site, text)
    wish.add(
        Bucc(
            id=places.DIRECTOR_ID,
            phase="bucc",
            at=wish.jumpbox,
            also=(STORE, Endpoint("director")),
            after=under.needs,
            around=under.around,
            artefact=digest,
            tree=output(places.ARTEFACT, "tree", str),
            cpi=under.cpi,
            ip=str(site.bucc.address),
            variables=_variables(wish),
            seeds=seeds,
            operators=operators,
            flags=under.cpi_flags,
            renew_before_days=site.trust.lifetimes.renew_before.days,
        )
    )


def _variables(wish: Wish) -> dict[str, Any]:
    site = wish.site
    network = site.networks[site.network_of(site.bucc.address) or ""]
    roots = [output(wish.need(places.root()).id, "pem", str)]
    extra = "".join(named_files.roots(site, name) for name in site.trust.extra_roots)
    return {
        "director_name": site.name,
        "alias": site.bucc.alias or site.name,
        "internal_cidr": str(network.cidr),
        "internal_gw": str(network.gateway),
        "internal_ip": str(site.bucc.address),
        "internal_ntp": list(site.ntp),
        "trusted_ca_cert": roots[0],
        "extra_ca_certs": extra,
        **wish.under.cpi_values,
    }


def _director(wish: Wish) -> None:
    at = places.director()

    def release(name: str, prefix: str, phase: str) -> Release:
        return Release(
            id=resource_id("bosh.release", name),
            phase=phase,
            at=at,
            adopt=True,
            name=name,
            version=output(places.ARTEFACT, f"{prefix}_version", str),
            file=output(places.ARTEFACT, f"{prefix}_file", str),
        )

    dns = release("bosh-dns", "bosh_dns", "bucc")
    wish.add(
        Stemcell(
            id=places.STEMCELL,
            phase="bucc",
            at=at,
            adopt=True,
            name=output(places.ARTEFACT, "stemcell_name", str),
            version=output(places.ARTEFACT, "stemcell_version", str),
            file=output(places.ARTEFACT, "stemcell_file", str),
        ),
        dns,
        # A director takes any YAML hash for a config, and reads it when a manifest meets it: from the moment on that this one
        # stands, each deployment that it applies to fails without its release, also those of others. Hence this order.
        Config(
            id=places.RUNTIME,
            phase="bucc",
            at=at,
            after=frozenset({dns.id, places.STEMCELL}),
            type_="runtime",
            name="paver-dns",
            document=manifests.runtime_config(places.ARTEFACT),
        ),
        Config(
            id=places.CLOUD,
            phase="bucc",
            at=at,
            after=frozenset({places.RUNTIME}),
            type_="cloud",
            name="default",
            document=manifests.cloud_config(wish.site, wish.under),
        ),
    )
    for name, prefix in _deployed(wish.site).items():
        wish.add(release(name, prefix, "services"))


def _deployed(site: Site) -> dict[str, str]:
    """Returns the releases that the site deploys, each with how the artefact's facts call it."""
    services = site.services
    minio = {"minio": "minio"} if services.object_store.external is None else {}
    registry = {"docker-registry": "registry"} if services.registry.external is None else {}
    return minio | registry
