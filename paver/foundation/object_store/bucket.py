"""Buckets: versions, object lock, and the mark as tags of the bucket.

A bucket is not born with its tags. So the intent stands in a record on the jumpbox until they are there: a run that is
killed in between would leave a bucket that nobody knows any more. What has an intent is there by it, also where the store
has no such bucket yet: else the record would be nobody's.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from paver.driver import (
    Endpoint,
    Facts,
    Mark,
    PaverError,
    Reader,
    Refused,
    Resource,
    Unobservable,
    Verb,
    Writer,
)
from paver.foundation import record
from paver.transport.s3_errors import S3Error

TAGS = {"site": "paver-site", "id": "paver-id", "action": "paver-action", "complete": "paver-complete"}
_SAID = {"true": True, "false": False}
_TAKEN = frozenset({"BucketAlreadyExists", "BucketAlreadyOwnedByYou"})
SET = frozenset(
    {
        "s3:create_bucket",
        "s3:put_bucket_versioning",
        "s3:put_object_lock_configuration",
        "s3:put_bucket_tagging",
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BucketFacts(Facts):
    """A bucket as it stands."""

    versioned: bool
    lock_days: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucket(Resource[BucketFacts]):
    """A bucket; `lock_days` 0 is without a lock. Lock and versions can't be taken away in place."""

    kind: ClassVar[str] = "s3.bucket"
    calls: ClassVar = {
        Verb.CREATE: SET | record.CALLS | record.REMOVE,
        Verb.UPDATE: SET - {"s3:create_bucket"},
        # One that a killed run left without its tags gets them first: its intent goes before it does.
        Verb.DELETE: frozenset({"s3:put_bucket_tagging", "s3:delete_bucket"}) | record.REMOVE,
    }
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name"})
    dies_with_parent: ClassVar[bool] = True

    name: str
    versioned: bool
    lock_days: int
    protected: bool = True

    def says(self) -> str:
        return ", ".join(
            [
                *(["versioned"] if self.versioned else []),
                *([f"lock {self.lock_days} d"] if self.lock_days else []),
            ]
        )

    def read(self, world: Reader) -> BucketFacts | None:
        found = _facts(world, self.at, self.name)
        if found is not None and found.mark is not None:
            return found
        intent = next((mark for mark, _ in _intents(world) if mark.id == self.id), None)
        return found if intent is None else _begun(found, self.name, intent)

    def create(self, world: Writer) -> None:
        store = world.writing(self.at)
        if self.name not in store.buckets(fresh=True):
            record.write(world, record.jumpbox(), self.id, {"name": self.name}, complete=False)
            try:
                with _explained(self.name):
                    store.create_bucket(self.name, lock=self.lock_days > 0)
            except Refused:
                record.remove(world, record.jumpbox(), self.id)
                raise
            except S3Error as error:
                if error.code in _TAKEN:
                    # Somebody was quicker: an intent must not make a foreign bucket ours.
                    record.remove(world, record.jumpbox(), self.id)
                raise
        _tag(world, self.at, self.name, complete=False)
        record.remove(world, record.jumpbox(), self.id)
        self._set(world)
        _tag(world, self.at, self.name, complete=True)

    def update(self, world: Writer, facts: BucketFacts, fields: frozenset[str]) -> None:
        if "lock_days" in fields and not facts.lock_days:
            raise Refused(
                f"the bucket {self.name} cannot be given a lock",
                why="object lock is a bucket's from its birth",
                do="make a bucket of another name with it, and move what is in this one",
            )
        self._set(world)
        _tag(world, self.at, self.name, complete=True)

    def _set(self, world: Writer) -> None:
        store = world.writing(self.at)
        if not self.lock_days:
            # A bucket with object lock is versioned by itself, and refuses to be told so.
            status = "Enabled" if self.versioned else "Suspended"
            if self.versioned or _versioned(store, self.name):
                with _explained(self.name):
                    store.call(
                        "put_bucket_versioning", Bucket=self.name, VersioningConfiguration={"Status": status}
                    )
        else:
            rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": self.lock_days}}
            store.call(
                "put_object_lock_configuration",
                Bucket=self.name,
                ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
            )

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[BucketFacts]:
        there = {name: _facts(world, at, name) for name in world.session(at).buckets()}
        yield from (one for one in there.values() if one is not None and one.mark is not None)
        for intent, name in _intents(world):
            found = there.get(name)
            if found is None or found.mark is None:
                yield _begun(found, name, intent)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: BucketFacts) -> None:
        store, name = world.writing(at), facts.address["name"]
        there = name in store.buckets(fresh=True)
        if there and store.versions(name, most=1):
            raise Refused(
                f"the bucket {name} is not empty",
                why="paver never deletes what others put into a bucket",
                do="look at it with `mc ls --versions`, empty it, then run the same command again",
            )
        if facts.mark is not None and any(mark.id == facts.mark.id for mark, _ in _intents(world)):
            if there:
                _tag(world, at, name, complete=False)
            record.remove(world, record.jumpbox(), facts.mark.id)
        if there:
            store.call("delete_bucket", Bucket=name)


def _tag(world: Writer, at: Endpoint[Any, Any], name: str, *, complete: bool) -> None:
    document = {**world.mark(complete=complete).document(), "complete": str(complete).lower()}
    tags = [{"Key": TAGS[key], "Value": value} for key, value in document.items()]
    world.writing(at).call("put_bucket_tagging", Bucket=name, Tagging={"TagSet": tags})


def _intents(world: Reader) -> list[tuple[Mark, str]]:
    """Returns whose buckets were begun and have no tags yet, with the bucket's name."""
    try:
        kept = [*record.every(world, record.jumpbox(), Bucket.kind)]
    except Unobservable:
        # Only a store that was there before paver is read without a jumpbox, and then nothing was begun in it.
        return []
    return [(dataclasses.replace(one.mark, complete=False), str(one.wish["name"])) for one in kept]


def _begun(found: BucketFacts | None, name: str, intent: Mark) -> BucketFacts:
    if found is None:
        return BucketFacts(address={"name": name}, mark=intent, versioned=False, lock_days=0)
    return dataclasses.replace(found, mark=intent)


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Says what it means that a store does not implement versions or locks."""
    try:
        yield
    except PaverError as error:
        if getattr(error, "code", "") != "NotImplemented":
            raise
        raise Refused(
            f"the object store keeps no versions, so the bucket {name} cannot have them",
            seen=error.what,
            why="MinIO before June 2022 (the BOSH release of 2021 carries such a one) has none on a single disk",
            do="use a minio release with a newer server, or take `versioned` and `lock` from the bucket",
        ) from error


def _versioned(store: Any, name: str) -> bool:
    return bool(store.answer("get_bucket_versioning", Bucket=name).get("Status") == "Enabled")


def _facts(world: Reader, at: Endpoint[Any, Any], name: str) -> BucketFacts | None:
    store = world.session(at)
    if name not in store.buckets():
        return None
    tags = store.answer("get_bucket_tagging", may_lack=True, Bucket=name)
    ours = {tag["Key"]: tag["Value"] for tag in tags.get("TagSet", [])}
    document = {name: ours.get(tag) for name, tag in TAGS.items()}
    mark = Mark.of({**document, "complete": _SAID.get(str(document["complete"]))})
    locked = store.answer("get_object_lock_configuration", may_lack=True, Bucket=name)
    lock = locked.get("ObjectLockConfiguration", {})
    return BucketFacts(
        address={"name": name},
        mark=mark,
        versioned=_versioned(store, name),
        lock_days=lock.get("Rule", {}).get("DefaultRetention", {}).get("Days", 0),
    )
