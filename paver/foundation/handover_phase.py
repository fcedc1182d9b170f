"""The phase `handover`: proofs and the contract. Pure."""

from __future__ import annotations

from typing import Any

from paver.driver import Endpoint, Ground, Resource, ResourceId, Secret, output, resource_id
from paver.foundation import places
from paver.foundation.handover import document
from paver.foundation.handover.contract import Contract
from paver.foundation.handover.proofs import ObjectStoreProof, RegistryLogin, RegistryProof
from paver.foundation.wish import Wish
from paver.sitefile.site import Site

KINDS: tuple[type[Resource[Any]], ...] = (ObjectStoreProof, RegistryProof, RegistryLogin, Contract)
"""Every kind of this phase, in creation order."""


def add(wish: Wish) -> None:
    """Adds the phase's resources to the wish."""
    site = wish.site
    buckets = sorted(site.services.object_store.buckets)
    proofs: set[ResourceId] = set()
    if buckets:
        proof = ObjectStoreProof(
            id=resource_id("proof.object-store", buckets[0]),
            phase="handover",
            at=wish.jumpbox,
            also=(places.object_store(site),),
            after=frozenset({resource_id("s3.bucket", buckets[0])}),
            bucket=buckets[0],
            of=_store(site),
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
                "release": output(places.ARTEFACT, "registry_version", str),
            },
        )
        proofs.add(proof_of_registry.id)
        wish.add(proof_of_registry)
    else:
        proof_of_login = RegistryLogin(
            id=resource_id(RegistryLogin.kind, "registry"),
            phase="handover",
            at=wish.jumpbox,
            also=(places.registry(site),),
            of={"secret": places.registry_secret(site), "endpoint": places.registry_url(site)},
        )
        proofs.add(proof_of_login.id)
        wish.add(proof_of_login)
    wish.add(
        Contract(
            id=resource_id("contract.document", "site"),
            phase="handover",
            at=wish.jumpbox,
            after=frozenset({places.DIRECTOR_ID, places.CLOUD, *proofs}),
            document=document.contract(site, wish.under),
        )
    )


def _store(site: Site) -> dict[str, Any]:
    """Returns what a proof of the object store holds for."""
    external = site.services.object_store.external
    if external is not None:
        return {"secret": Secret(external.login.password.name), "endpoint": external.endpoint}
    return {
        "secret": places.store_root_password().secret,
        "release": output(places.ARTEFACT, "minio_version", str),
    }


def grounds(site: Site, jumpbox: Endpoint[Any, Any]) -> tuple[Ground, ...]:
    """Returns where the phase's kinds are looked for, in creation order."""
    store = places.object_store(site)
    return (
        Ground(ObjectStoreProof, jumpbox, "handover", also=(store,)),
        Ground(RegistryProof, jumpbox, "handover", also=(places.registry(site),)),
        Ground(RegistryLogin, jumpbox, "handover", also=(places.registry(site),)),
        Ground(Contract, jumpbox, "handover"),
    )
