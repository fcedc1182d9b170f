"""The phase `services`: object store and registry on the director, buckets, CredHub, Concourse. Pure."""

from __future__ import annotations

from typing import Any

from paver.driver import Endpoint, Ground, Material, Resource, Secret, output, resource_id
from paver.foundation import manifests, named_files, places, yaml_text
from paver.foundation.concourse.team import Pipeline, Team
from paver.foundation.credhub.entry import CredhubEntry
from paver.foundation.director.deployment import Deployment
from paver.foundation.object_store.bucket import Bucket
from paver.foundation.object_store.user import StoreUser
from paver.foundation.wish import Wish
from paver.sitefile.site import Site

SMOKE = """\
jobs:
- name: smoke
  plan:
  - task: smoke
    config:
      platform: linux
      image_resource: {type: mock, source: {mirror_self: true}}
      run: {path: "true"}
"""
"""What is set where the site file names no file. A task on Linux has to have an image; this one is the worker's own, and
is fetched from nowhere."""

KINDS: tuple[type[Resource[Any]], ...] = (CredhubEntry, Deployment, Bucket, StoreUser, Team, Pipeline)
"""Every kind of this phase, in creation order."""


def add(wish: Wish) -> None:
    """Adds the phase's resources to the wish."""
    if wish.site.services.object_store.external is None:
        _object_store(wish)
    if wish.site.services.registry.external is None:
        _registry(wish)
    _buckets(wish)
    _concourse(wish)


def grounds(site: Site, jumpbox: Endpoint[Any, Any]) -> tuple[Ground, ...]:
    """Returns where the phase's kinds are looked for, in creation order."""
    director, store = places.director(), places.object_store(site)
    return (
        Ground(CredhubEntry, places.credhub(), "services"),
        Ground(Deployment, director, "services"),
        Ground(Bucket, store, "services", also=(jumpbox,)),
        Ground(StoreUser, store, "services"),
        Ground(Team, places.concourse(), "services", also=(director,)),
        Ground(Pipeline, places.concourse(), "services", also=(director,)),
    )


def _entry(wish: Wish, path: str, type_: str, parts: dict[str, Any]) -> CredhubEntry:
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


def _certificate(wish: Wish, name: str, hostname: str, address: str) -> tuple[Material, dict[str, Any]]:
    item = wish.need(Material(kind="certificate", name=name, dns=(wish.site.fqdn(hostname),), ip=(address,)))
    root = wish.need(places.root())
    parts = {
        "ca": output(root.id, "pem", str),
        "certificate": output(item.id, "pem", str),
        "private_key": item.secret,
    }
    return item, parts


def _deployment(
    wish: Wish, name: str, manifest: dict[str, Any], secrets: dict[str, Secret], entries: list[CredhubEntry]
) -> None:
    release = manifest["releases"][0]["name"]
    wish.add(
        Deployment(
            id=resource_id("bosh.deployment", name),
            phase="services",
            at=places.director(),
            after=frozenset(
                {
                    places.STEMCELL,
                    places.CLOUD,
                    places.RUNTIME,
                    resource_id("bosh.release", release),
                    *(e.id for e in entries),
                }
            ),
            around=wish.under.around,
            name=name,
            manifest=manifest,
            cloud=manifests.cloud_of(wish.site, wish.under, manifest),
            versions=secrets
            | {variable: wish.need(places.authority(variable)).secret for variable in places.AGENTS},
        )
    )


def _object_store(wish: Wish) -> None:
    site, store = wish.site, wish.site.services.object_store
    secret = wish.need(places.store_root_password())
    item, parts = _certificate(wish, "object-store", store.hostname, str(store.address))
    base = f"/{site.name}/object-store"
    entries = [
        _entry(wish, f"{base}/secret_key", "password", {"value": secret.secret}),
        _entry(wish, f"{base}/tls", "certificate", parts),
    ]
    manifest = manifests.object_store(site, places.ARTEFACT)
    _deployment(wish, "object-store", manifest, {"secret_key": secret.secret, "tls": item.secret}, entries)


def _registry(wish: Wish) -> None:
    site, registry = wish.site, wish.site.services.registry
    secret = wish.need(places.registry_password())
    cookie = wish.need(Material(kind="password", name="registry-cookie", brought="registry"))
    item, parts = _certificate(wish, "registry", registry.hostname, str(registry.address))
    base = f"/{site.name}/registry"
    entries = [
        _entry(wish, f"{base}/password", "password", {"value": secret.secret}),
        _entry(wish, f"{base}/cookie", "password", {"value": cookie.secret}),
        _entry(wish, f"{base}/tls", "certificate", parts),
    ]
    versions = {"password": secret.secret, "cookie": cookie.secret, "tls": item.secret}
    _deployment(wish, "registry", manifests.registry(site, places.ARTEFACT), versions, entries)


def _buckets(wish: Wish) -> None:
    site, at = wish.site, places.object_store(wish.site)
    wanted = site.services.object_store
    made = {}
    for name, bucket in sorted(wanted.buckets.items()):
        made[name] = Bucket(
            id=resource_id("s3.bucket", name),
            phase="services",
            at=at,
            also=(wish.jumpbox,),
            name=name,
            versioned=bucket.versioned,
            lock_days=bucket.lock.days if bucket.lock else 0,
        )
    wish.add(*made.values())
    for name, user in sorted(site.store_users.items()):
        if user.secret is None:
            wish.need(places.user_password(name))
        buckets = {*user.read, *user.write}
        wish.add(
            StoreUser(
                id=resource_id("s3.user", name),
                phase="services",
                at=at,
                after=frozenset(made[bucket].id for bucket in buckets),
                name=name,
                # Who may write may read.
                read_=frozenset(user.read) - frozenset(user.write),
                write=frozenset(user.write),
                secret=places.user_secret(site, name),
            )
        )


def _concourse(wish: Wish) -> None:
    site, at = wish.site, places.concourse()
    for name, team in sorted(site.services.concourse.teams.items()):
        made = Team(
            id=resource_id("concourse.team", name),
            phase="services",
            at=at,
            also=(places.director(),),
            within=places.DIRECTOR_ID,
            adopt=name == "main",
            name=name,
            owners=frozenset({"local:admin"}),
        )
        wish.add(made)
        for label, pipeline in sorted(team.pipelines.items()):
            config = named_files.pipeline(site, pipeline.file) if pipeline.file else yaml_text.loads(SMOKE)
            wish.add(
                Pipeline(
                    id=resource_id("concourse.pipeline", f"{name}/{label}"),
                    phase="services",
                    at=at,
                    also=(places.director(),),
                    within=made.id,
                    team=name,
                    name=label,
                    config=config,
                    paused=pipeline.paused,
                )
            )
        _shared(wish, name)


def _shared(wish: Wish, team: str) -> None:
    """Gives a team's pipelines what they reach the services with, deployed or there already."""
    site, base = wish.site, f"/concourse/{team}"
    login = places.team_login(site, team)
    if login is not None:
        user, key = login
        _entry(wish, f"{base}/object_store_access_key", "value", {"value": user})
        _entry(wish, f"{base}/object_store_secret_key", "password", {"value": key})
    password = places.registry_secret(site)
    if password is not None:
        _entry(wish, f"{base}/registry_password", "password", {"value": password})
    root = wish.need(places.root())
    _entry(wish, f"{base}/root_ca", "value", {"value": output(root.id, "pem", str)})
    # What is there already has roots of its own; without any it is held to those that every machine knows.
    for name, pem in (("object_store_ca", places.store_ca(site)), ("registry_ca", places.registry_ca(site))):
        if pem:
            _entry(wish, f"{base}/{name}", "value", {"value": pem})
