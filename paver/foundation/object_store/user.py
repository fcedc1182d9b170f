"""Accounts of the object store with least rights: a user and the policy of the same name (MinIO's admin API)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any, ClassVar

from paver.driver import Endpoint, Facts, Reader, Resource, Secret, Verb, Writer
from paver.foundation import record

PREFIX = "paver-"
SET = frozenset({"minio:policy_add", "minio:user_add", "minio:policy_set"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreUserFacts(Facts):
    """What stands there; the version of its key in the record on the jumpbox."""

    read_: frozenset[str]
    write: frozenset[str]
    secret: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreUser(Resource[StoreUserFacts]):
    """A user. Its record is on the jumpbox: the store cannot hold a version.

    Attributes:
        name: access key.
        read_: buckets that it may read.
        write: buckets that it may read and write.
        secret: its secret key.
    """

    kind: ClassVar[str] = "s3.user"
    calls: ClassVar = {
        Verb.CREATE: SET | record.CALLS,
        Verb.UPDATE: SET | record.CALLS,
        Verb.DELETE: frozenset({"minio:user_remove", "minio:policy_remove"}) | record.REMOVE,
    }
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str
    read_: frozenset[str]
    write: frozenset[str]
    secret: Secret

    def read(self, world: Reader) -> StoreUserFacts | None:
        found = record.read(world, record.jumpbox(), self.id)
        if found is None or self.name not in _users(world, self.at):
            return None
        return _facts(found)

    def create(self, world: Writer) -> None:
        record.write(world, record.jumpbox(), self.id, self._kept(), complete=False)
        store = world.writing(self.at)
        store.admin_call("user_add", self.name, self.name, world.reveal(self.secret))
        policy = f"{PREFIX}{self.name}"
        store.admin_call("policy_add", policy, policy, policy=_policy(self.read_, self.write))
        # Not "attach": only servers from 2023 on know it, and BOSH's release carries one of 2021.
        store.admin_call("policy_set", policy, policy, user=self.name)
        record.write(world, record.jumpbox(), self.id, self._kept(), complete=True)

    def update(self, world: Writer, facts: StoreUserFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    def _kept(self) -> dict[str, Any]:
        return {"name": self.name, "read_": self.read_, "write": self.write, "secret": self.secret}

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[StoreUserFacts]:
        del at
        return [_facts(found) for found in record.every(world, record.jumpbox(), cls.kind)]

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: StoreUserFacts) -> None:
        store, name = world.writing(at), facts.address["name"]
        if name in _users(world, at):
            store.admin_call("user_remove", name, name)
        store.admin_call("policy_remove", f"{PREFIX}{name}", f"{PREFIX}{name}")
        if facts.mark is not None:
            record.remove(world, record.jumpbox(), facts.mark.id)


def _users(world: Reader, at: Endpoint[Any, Any]) -> dict[str, Any]:
    found = world.session(at).admin("user_list")
    listed: dict[str, Any] = json.loads(found) if isinstance(found, str | bytes) else found
    return listed


def _policy(read: frozenset[str], write: frozenset[str]) -> dict[str, Any]:
    # Who reads a versioned bucket by versions, as Concourse's s3 resource does, has to list them; who writes large
    # objects looks at the parts.
    seeing = ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation", "s3:GetBucketVersioning"]
    putting = [
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ]
    statements = [
        _statement(sorted(read | write), seeing, ""),
        _statement(sorted(read | write), ["s3:GetObject", "s3:GetObjectVersion"], "/*"),
        _statement(sorted(write), ["s3:ListBucketMultipartUploads"], ""),
        _statement(sorted(write), putting, "/*"),
    ]
    return {"Version": "2012-10-17", "Statement": [one for one in statements if one["Resource"]]}


def _statement(buckets: list[str], actions: list[str], tail: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": actions,
        "Resource": [f"arn:aws:s3:::{bucket}{tail}" for bucket in buckets],
    }


def _facts(found: record.Record) -> StoreUserFacts:
    return StoreUserFacts(
        address={"name": str(found.wish["name"])},
        mark=found.mark,
        read_=frozenset(found.wish["read_"]),
        write=frozenset(found.wish["write"]),
        secret=str(found.wish["secret"]),
    )
