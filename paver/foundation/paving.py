"""The foundation as a wish: phases `bucc`, `services`, `handover`. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

import yaml

from paver.driver import Endpoint, Ground, Material, Paved, Resource, ResourceId, Secret, output, resource_id
from paver.foundation import manifests, places
from paver.foundation.bucc import operations
from paver.foundation.bucc.artefact import Artefact
from paver.foundation.bucc.bucc import Bucc
from paver.foundation.concourse.team import Pipeline, Team
from paver.foundation.credhub.entry import CredhubEntry
from paver.foundation.director.configs import Config
from paver.foundation.director.deployment import Deployment
from paver.foundation.director.uploads import Release, Stemcell
from paver.foundation.handover import document
from paver.foundation.handover.contract import Contract
from paver.foundation.handover.proofs import ObjectStoreProof, RegistryProof
from paver.foundation.object_store.bucket import Bucket
from paver.foundation.object_store.user import StoreUser
from paver.sitefile.site import Site

ARTEFACT = resource_id("bucc.artefact", "bucc")
STEMCELL = resource_id("bosh.stemcell", "default")
CLOUD = resource_id("bosh.config", "cloud/default")
RUNTIME = resource_id("bosh.config", "runtime/dns")
SMOKE = """\
jobs:
- name: smoke
  plan:
  - task: smoke
    config:
      platform: linux
      run: {path: "true"}
"""


@dataclasses.dataclass
class _Wish:
    """What is gathered while the parts are put together."""

    site: Site
    under: Paved
    jumpbox: Endpoint[Any, Any]
    resources: list[Resource[Any]] = dataclasses.field(default_factory=list)
    material: list[Material] = dataclasses.field(default_factory=list)

    def add(self, *resources: Resource[Any]) -> None:
        self.resources.extend(resources)

    def need(self, material: Material) -> Material:
        if material not in self.material:
            self.material.append(material)
        return material


def pave(site: Site, under: Paved) -> Paved:
    """Returns the foundation of `site` on what the driver paved.

    Raises:
        ValueError: if the driver names no jumpbox.
    """
    if under.jumpbox is None:
        raise ValueError("the driver names no jumpbox")
    wish = _Wish(site, under, under.jumpbox)
    _bucc(wish)
    _director(wish)
    if site.services.object_store.external is None:
        _object_store(wish)
    if site.services.registry.external is None:
        _registry(wish)
    _buckets(wish)
    _concourse(wish)
    _handover(wish)
    return Paved(
        resources=tuple(wish.resources),
        connectors=places.connectors(site),
        grounds=_grounds(site, under.jumpbox),
        material=tuple(wish.material),
    )


def _grounds(site: Site, jumpbox: Endpoint[Any, Any]) -> tuple[Ground, ...]:
    director, store = places.director(), places.object_store(site)
    return (
        Ground(Artefact, jumpbox, "bucc"),
        Ground(Bucc, jumpbox, "bucc", also=(Endpoint("store"), director)),
        Ground(Stemcell, director, "bucc"),
        Ground(Release, director, "bucc"),
        Ground(Config, director, "bucc"),
        Ground(CredhubEntry, places.credhub(), "services"),
        Ground(Deployment, director, "services"),
        Ground(Bucket, store, "services"),
        Ground(StoreUser, store, "services", also=(jumpbox,)),
        Ground(Team, places.concourse(), "services", also=(jumpbox,)),
        Ground(Pipeline, places.concourse(), "services", also=(jumpbox,)),
        Ground(ObjectStoreProof, jumpbox, "handover", also=(store,)),
        Ground(RegistryProof, jumpbox, "handover", also=(places.registry(site),)),
        Ground(Contract, jumpbox, "handover"),
    )


def _bucc(wish: _Wish) -> None:
    site, under = wish.site, wish.under
    brought = under.brought["bucc"]
    digest = output(brought, "sha256", str)
    wish.add(
        Artefact(
            id=ARTEFACT,
            phase="bucc",
            at=wish.jumpbox,
            after=under.needs,
            sha256=digest,
            source=output(brought, "path", str),
        )
    )
    seeds: dict[str, Any] = {}
    for variable in places.CAS:
        item = wish.need(places.authority(variable))
        pem = output(item.id, "pem", str)
        seeds[variable] = {"ca": pem, "certificate": pem, "private_key": item.secret}
    for variable in places.PASSWORDS:
        seeds[variable] = wish.need(places.password(variable)).secret
    operators = {name: data.decode() for name, data in operations.common().items()}
    operators |= dict(under.cpi_operators)
    for number, text in enumerate(site.bucc.operators):
        operators[f"60-site-{number:02d}-{text.rpartition('/')[2]}"] = site.path(text).read_text(
            encoding="utf-8"
        )
    wish.add(
        Bucc(
            id=places.DIRECTOR_ID,
            phase="bucc",
            at=wish.jumpbox,
            also=(Endpoint("store"), Endpoint("director")),
            after=under.needs,
            artefact=digest,
            tree=output(ARTEFACT, "tree", str),
            cpi=under.cpi,
            ip=str(site.bucc.address),
            variables=_variables(wish),
            seeds=seeds,
            operators=operators,
            flags=under.cpi_flags,
        )
    )


def _variables(wish: _Wish) -> dict[str, Any]:
    site = wish.site
    network = site.networks[site.network_of(site.bucc.address) or ""]
    roots = [output(wish.need(places.root()).id, "pem", str)]
    extra = "".join(site.path(name).read_text(encoding="ascii") for name in site.trust.extra_roots)
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


def _director(wish: _Wish) -> None:
    at = places.director()

    def release(name: str, prefix: str, phase: str) -> Release:
        return Release(
            id=resource_id("bosh.release", name),
            phase=phase,
            at=at,
            adopt=True,
            name=name,
            version=output(ARTEFACT, f"{prefix}_version", str),
            file=output(ARTEFACT, f"{prefix}_file", str),
        )

    dns = release("bosh-dns", "bosh_dns", "bucc")
    wish.add(
        Stemcell(
            id=STEMCELL,
            phase="bucc",
            at=at,
            adopt=True,
            name=output(ARTEFACT, "stemcell_name", str),
            version=output(ARTEFACT, "stemcell_version", str),
            file=output(ARTEFACT, "stemcell_file", str),
        ),
        dns,
        # A director refuses a runtime config that names an absent release, hence this order.
        Config(
            id=RUNTIME,
            phase="bucc",
            at=at,
            after=frozenset({dns.id, STEMCELL}),
            type_="runtime",
            name="paver-dns",
            document=manifests.runtime_config(ARTEFACT),
        ),
        Config(
            id=CLOUD,
            phase="bucc",
            at=at,
            after=frozenset({RUNTIME}),
            type_="cloud",
            name="default",
            document=manifests.cloud_config(wish.site, wish.under),
        ),
    )
    if wish.site.services.object_store.external is None:
        wish.add(release("minio", "minio", "services"))
    if wish.site.services.registry.external is None:
        wish.add(release("docker-registry", "registry", "services"))


def _entry(wish: _Wish, path: str, type_: str, parts: dict[str, Any]) -> CredhubEntry:
    entry = CredhubEntry(
        id=resource_id("credhub.entry", path.removeprefix("/")),
        phase="services",
        at=places.credhub(),
        within=places.DIRECTOR_ID,
        path=path,
        type_=type_,
        parts=parts,
    )
    wish.add(entry)
    return entry


def _certificate(wish: _Wish, name: str, hostname: str, address: str) -> tuple[Material, dict[str, Any]]:
    item = wish.need(Material(kind="certificate", name=name, dns=(wish.site.fqdn(hostname),), ip=(address,)))
    root = wish.need(places.root())
    parts = {
        "ca": output(root.id, "pem", str),
        "certificate": output(item.id, "pem", str),
        "private_key": item.secret,
    }
    return item, parts


def _deployment(
    wish: _Wish, name: str, manifest: dict[str, Any], secrets: dict[str, Secret], entries: list[CredhubEntry]
) -> None:
    release = manifest["releases"][0]["name"]
    wish.add(
        Deployment(
            id=resource_id("bosh.deployment", name),
            phase="services",
            at=places.director(),
            after=frozenset(
                {STEMCELL, CLOUD, RUNTIME, resource_id("bosh.release", release), *(e.id for e in entries)}
            ),
            name=name,
            manifest=manifest,
            versions=secrets,
        )
    )


def _object_store(wish: _Wish) -> None:
    site, store = wish.site, wish.site.services.object_store
    secret = wish.need(places.store_root_password())
    item, parts = _certificate(wish, "object-store", store.hostname, str(store.address))
    base = f"/{site.name}/object-store"
    entries = [
        _entry(wish, f"{base}/secret_key", "password", {"value": secret.secret}),
        _entry(wish, f"{base}/tls", "certificate", parts),
    ]
    manifest = manifests.object_store(site, ARTEFACT)
    _deployment(wish, "object-store", manifest, {"secret_key": secret.secret, "tls": item.secret}, entries)


def _registry(wish: _Wish) -> None:
    site, registry = wish.site, wish.site.services.registry
    secret = wish.need(places.registry_password())
    cookie = wish.need(Material(kind="password", name="registry-cookie"))
    item, parts = _certificate(wish, "registry", registry.hostname, str(registry.address))
    base = f"/{site.name}/registry"
    entries = [
        _entry(wish, f"{base}/password", "password", {"value": secret.secret}),
        _entry(wish, f"{base}/cookie", "password", {"value": cookie.secret}),
        _entry(wish, f"{base}/tls", "certificate", parts),
    ]
    versions = {"password": secret.secret, "cookie": cookie.secret, "tls": item.secret}
    _deployment(wish, "registry", manifests.registry(site, ARTEFACT), versions, entries)


def _buckets(wish: _Wish) -> None:
    site, at = wish.site, places.object_store(wish.site)
    wanted = site.services.object_store
    made = {}
    for name, bucket in sorted(wanted.buckets.items()):
        made[name] = Bucket(
            id=resource_id("s3.bucket", name),
            phase="services",
            at=at,
            name=name,
            versioned=bucket.versioned,
            lock_days=bucket.lock.days if bucket.lock else 0,
        )
    wish.add(*made.values())
    for name, user in sorted(wanted.users.items()):
        item = Material(kind="password", name=f"object-store-{name}", policy="s3")
        secret = Secret(user.secret.name) if user.secret else wish.need(item).secret
        buckets = {*user.read, *user.write}
        wish.add(
            StoreUser(
                id=resource_id("s3.user", name),
                phase="services",
                at=at,
                also=(wish.jumpbox,),
                after=frozenset(made[bucket].id for bucket in buckets),
                name=name,
                read_=frozenset(user.read),
                write=frozenset(user.write),
                secret=secret,
            )
        )


def _concourse(wish: _Wish) -> None:
    site, at = wish.site, places.concourse()
    for name, team in sorted(site.services.concourse.teams.items()):
        made = Team(
            id=resource_id("concourse.team", name),
            phase="services",
            at=at,
            also=(wish.jumpbox,),
            within=places.DIRECTOR_ID,
            adopt=name == "main",
            name=name,
            owners=frozenset({"local:admin"}),
        )
        wish.add(made)
        for label, pipeline in sorted(team.pipelines.items()):
            text = site.path(pipeline.file).read_text(encoding="utf-8") if pipeline.file else SMOKE
            wish.add(
                Pipeline(
                    id=resource_id("concourse.pipeline", f"{name}/{label}"),
                    phase="services",
                    at=at,
                    also=(wish.jumpbox,),
                    within=made.id,
                    team=name,
                    name=label,
                    config=yaml.safe_load(text) or {},
                    paused=pipeline.paused,
                )
            )
        base = f"/concourse/{name}"
        _shared(wish, base)


def _shared(wish: _Wish, base: str) -> None:
    """Gives a team's pipelines what they reach the services with, deployed or there already."""
    site = wish.site
    external = site.services.object_store.external
    key = Secret(external.login.password.name) if external else places.store_root_password().secret
    _entry(wish, f"{base}/object_store_secret_key", "password", {"value": key})
    password = places.registry_secret(site)
    if password is not None:
        _entry(wish, f"{base}/registry_password", "password", {"value": password})
    root = wish.need(places.root())
    _entry(wish, f"{base}/root_ca", "value", {"value": output(root.id, "pem", str)})


def _handover(wish: _Wish) -> None:
    site = wish.site
    buckets = sorted(site.services.object_store.buckets)
    proofs: set[ResourceId] = set()
    if buckets and site.services.object_store.external is None:
        proof = ObjectStoreProof(
            id=resource_id("proof.object-store", buckets[0]),
            phase="handover",
            at=wish.jumpbox,
            also=(places.object_store(site),),
            after=frozenset({resource_id("s3.bucket", buckets[0])}),
            bucket=buckets[0],
            of={
                "secret": places.store_root_password().secret,
                "release": output(ARTEFACT, "minio_version", str),
            },
        )
        proofs.add(proof.id)
        wish.add(proof)
    if site.services.registry.external is None:
        proof_of_registry = RegistryProof(
            id=resource_id("proof.registry", "push"),
            phase="handover",
            at=wish.jumpbox,
            also=(places.registry(site),),
            after=frozenset({places.REGISTRY_DEPLOYMENT}),
            of={
                "secret": places.registry_password().secret,
                "release": output(ARTEFACT, "registry_version", str),
            },
        )
        proofs.add(proof_of_registry.id)
        wish.add(proof_of_registry)
    wish.add(
        Contract(
            id=resource_id("contract.document", "site"),
            phase="handover",
            at=wish.jumpbox,
            after=frozenset({places.DIRECTOR_ID, CLOUD, *proofs}),
            document=document.contract(site, wish.under),
        )
    )
