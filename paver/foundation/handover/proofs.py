"""Proofs that write: an object goes through the store, a manifest through the registry. In the plan like any other.

A proof holds for what it was made of (`of`); when that changes it is made again. What it puts, it takes away.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from paver.driver import Check, Endpoint, Facts, PaverError, Reader, Resource, Verb, Writer
from paver.foundation import record

KEY = ".paver/proof"
STORE: Endpoint[Any, Any] = Endpoint("s3")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProofFacts(Facts):
    """What it was made of."""

    of: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Proof(Resource[ProofFacts]):
    of: Mapping[str, Any]

    def read(self, world: Reader) -> ProofFacts | None:
        found = record.read(world, self.at, self.id)
        return None if found is None else _facts(found)

    def create(self, world: Writer) -> None:
        record.write(world, self.at, self.id, {"of": self.of}, complete=False)
        self.prove(world)
        record.write(world, self.at, self.id, {"of": self.of}, complete=True)

    def update(self, world: Writer, facts: ProofFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    def prove(self, world: Writer) -> None:
        """Raises PaverError if it does not hold."""
        raise NotImplementedError

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[ProofFacts]:
        return [_facts(found) for found in record.every(world, at, cls.kind)]

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: ProofFacts) -> None:
        if facts.mark is not None:
            record.remove(world, at, facts.mark.id)


OBJECT_CALLS = record.CALLS | {"s3:put_object", "s3:delete_object"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectStoreProof(_Proof):
    """Puts an object, reads it back, takes it away (every version of it)."""

    kind: ClassVar[str] = "proof.object-store"
    calls: ClassVar = {
        Verb.CREATE: OBJECT_CALLS,
        Verb.UPDATE: OBJECT_CALLS,
        Verb.DELETE: record.REMOVE | {"s3:delete_object"},
    }
    unmanaged: ClassVar[frozenset[str]] = frozenset({"bucket"})

    bucket: str

    def says(self) -> str:
        return f"put, get and delete in {self.bucket}"

    def checks(self, world: Reader, facts: ProofFacts) -> Iterable[Check]:
        del facts
        world.session(self.also[0]).query("head_bucket", Bucket=self.bucket)
        yield Check("the store answers, with our certificate, and knows the account", ok=True)

    def prove(self, world: Writer) -> None:
        store = world.writing(self.also[0])
        body = secrets.token_bytes(64)
        store.put_object(self.bucket, KEY, body)
        got = store.read_object(self.bucket, KEY)
        _clear(store, self.bucket)
        if got != body:
            raise PaverError("the object store gave back something else than was put into it")

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: ProofFacts) -> None:
        if facts.mark is not None and not facts.mark.complete:
            _clear(world.writing(STORE), str(facts.mark.id).partition(":")[2])
        super().delete(world, at, facts)


def _clear(store: Any, bucket: str) -> None:
    """Takes away every version of the proof's object: a run that was killed may have left one."""
    locked = store.find("get_object_lock_configuration", Bucket=bucket) or {}
    # A lock holds the proof's own object too, for days; an administrator may take it away.
    how = {"BypassGovernanceRetention": True} if "Rule" in locked.get("ObjectLockConfiguration", {}) else {}
    for one in store.versions(bucket, KEY):
        if one["Key"] == KEY:
            which = {"VersionId": one["VersionId"]} if "VersionId" in one else {}
            store.call("delete_object", Bucket=bucket, Key=KEY, **which, **how)


REGISTRY_CALLS = record.CALLS | {
    "POST /v2/:name/blobs/uploads/",
    "PUT /v2/:name/blobs/uploads/:id",
    "PUT /v2/:name/manifests/:tag",
    "DELETE /v2/:name/manifests/:digest",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegistryProof(_Proof):
    """Pushes an empty image, pulls its manifest, deletes it."""

    kind: ClassVar[str] = "proof.registry"
    calls: ClassVar = {
        Verb.CREATE: REGISTRY_CALLS,
        Verb.UPDATE: REGISTRY_CALLS,
        Verb.DELETE: record.REMOVE,
    }

    def says(self) -> str:
        return "push, pull and delete an empty image"

    def checks(self, world: Reader, facts: ProofFacts) -> Iterable[Check]:
        del facts
        # Nothing else of a plan speaks to the registry: one that is down would go unseen.
        world.session(self.also[0]).get("/v2/")
        yield Check("it answers, with our certificate, and knows the account", ok=True)

    def prove(self, world: Writer) -> None:
        registry = world.writing(self.also[0])
        config = json.dumps(
            {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        )
        blob = _push(registry, config.encode())
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": blob,
                    "size": len(config),
                },
                "layers": [],
            }
        ).encode()
        registry.put(
            "/v2/paver/proof/manifests/proof",
            call="PUT /v2/:name/manifests/:tag",
            content=manifest,
            headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
        )
        pulled = registry.get(
            "/v2/paver/proof/manifests/proof",
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        )
        if pulled.body != manifest:
            raise PaverError("the registry gave back another manifest than was pushed")
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        registry.delete(
            f"/v2/paver/proof/manifests/{digest}", call="DELETE /v2/:name/manifests/:digest", expect=(405,)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegistryLogin(_Proof):
    """Asks a registry that is there already whether it knows the site's account; pushes nothing to somebody else's."""

    kind: ClassVar[str] = "proof.registry-login"
    calls: ClassVar = {
        Verb.CREATE: record.CALLS,
        Verb.UPDATE: record.CALLS,
        Verb.DELETE: record.REMOVE,
    }

    def says(self) -> str:
        return "it answers, and knows the account"

    def checks(self, world: Reader, facts: ProofFacts) -> Iterable[Check]:
        del facts
        world.session(self.also[0]).get("/v2/")
        yield Check("it answers, with its own certificate, and knows the account", ok=True)

    def prove(self, world: Writer) -> None:
        world.session(self.also[0]).get("/v2/")


def _push(registry: Any, data: bytes) -> str:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    begun = registry.post("/v2/paver/proof/blobs/uploads/", call="POST /v2/:name/blobs/uploads/")
    place = begun.headers["location"]
    path = place[place.index("/v2/") :]
    joined = "&" if "?" in path else "?"
    registry.put(
        f"{path}{joined}digest={digest}",
        call="PUT /v2/:name/blobs/uploads/:id",
        content=data,
        headers={"Content-Type": "application/octet-stream"},
    )
    return digest


def _facts(found: record.Record) -> ProofFacts:
    return ProofFacts(mark=found.mark, of=found.wish["of"])
