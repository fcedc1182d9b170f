"""Accounts of the object store with least rights: a user and the policy of the same name (MinIO's admin API).

A user has no room for a mark, its policy has: the ID, which MinIO keeps and never reads. So whose an account is stands
where it is, and outlives the jumpbox.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from paver.driver import Endpoint, Facts, Mark, Reader, Resource, Secret, Verb, Writer
from paver.signing import canonical
from paver.transport.s3_errors import S3Error

PREFIX, ARN = "paver-", "arn:aws:s3:::"
SET = frozenset({"minio:policy_add", "minio:user_add", "minio:policy_set"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreUserFacts(Facts):
    """What its policy lets it do, if that is the one that it has; and the version of its key."""

    read_: frozenset[str]
    write: frozenset[str]
    secret: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreUser(Resource[StoreUserFacts]):
    """A user.

    Attributes:
        name: access key.
        read_: buckets that it may read.
        write: buckets that it may read and write.
        secret: its secret key.
    """

    kind: ClassVar[str] = "s3.user"
    calls: ClassVar = {
        Verb.CREATE: SET,
        Verb.UPDATE: SET,
        Verb.DELETE: frozenset({"minio:policy_add", "minio:user_remove", "minio:policy_remove"}),
    }
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str
    read_: frozenset[str]
    write: frozenset[str]
    secret: Secret

    def read(self, world: Reader) -> StoreUserFacts | None:
        policy = _policies(world, self.at).get(f"{PREFIX}{self.name}")
        user = _user(world, self.at, self.name)
        # A policy of ours without its user is half an account: of a run that was killed, or somebody took the user.
        if user is None and mark_of(policy or {}) is None:
            return None
        return _facts(self.name, user, policy)

    def create(self, world: Writer) -> None:
        store, policy = world.writing(self.at), f"{PREFIX}{self.name}"
        self._mark(world, complete=False)
        store.admin_call("user_add", self.name, self.name, world.reveal(self.secret))
        # Not "attach": only servers from 2023 on know it, and BOSH's release carries one of 2021.
        store.admin_call("policy_set", policy, policy, user=self.name)
        self._mark(world, complete=True)

    def _mark(self, world: Writer, *, complete: bool) -> None:
        """Writes the policy: who made the account stands in it from before the account does."""
        policy = _policy(self.read_, self.write)
        _bear(world, self.at, self.name, policy, world.version(self.secret), complete=complete)

    def update(self, world: Writer, facts: StoreUserFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[StoreUserFacts]:
        for policy, document in _policies(world, at).items():
            if policy.startswith(PREFIX) and mark_of(document) is not None:
                name = policy.removeprefix(PREFIX)
                yield _facts(name, _user(world, at, name), document)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: StoreUserFacts) -> None:
        store, name = world.writing(at), facts.address["name"]
        policy = f"{PREFIX}{name}"
        standing = _policies(world, at).get(policy)
        if _user(world, at, name) is not None:
            # Begun first, and the policy last: what is left of an account that was killed on its way out is known as ours.
            if standing is not None:
                _bear(world, at, name, standing, facts.secret, complete=False)
            store.admin_call("user_remove", name, name)
        store.admin_call("policy_remove", policy, policy)


def _bear(
    world: Writer,
    at: Endpoint[Any, Any],
    name: str,
    policy: Mapping[str, Any],
    secret: str | None,
    *,
    complete: bool,
) -> None:
    """Writes an account's policy with the mark in it."""
    mark = world.mark(complete=complete)
    document = {**policy, "ID": canonical.dumps({**mark.document(), "secret": secret}).decode()}
    world.writing(at).admin_call("policy_add", f"{PREFIX}{name}", f"{PREFIX}{name}", policy=document)


def _user(world: Reader, at: Endpoint[Any, Any], name: str) -> dict[str, Any] | None:
    # One by one: MinIO encrypts the list of all, by a key that takes 64 MB and a tenth of a second of a core at each end
    # (minio/madmin-go `encrypt.go`). Always after the policies: MinIO lists these once it has loaded all accounts, and until
    # then says of each of them that there is none (minio/minio `cmd/iam.go`, `ListPolicies` and `GetUserInfo`).
    try:
        user: dict[str, Any] = world.session(at).admin("user_info", name)
    except S3Error as error:
        if error.status == 404 and error.code == "XMinioAdminNoSuchUser":
            return None
        raise
    return user


def _policies(world: Reader, at: Endpoint[Any, Any]) -> dict[str, Any]:
    policies: dict[str, Any] = world.session(at).admin("policy_list")
    return policies


def _facts(name: str, user: Mapping[str, Any] | None, policy: Mapping[str, Any] | None) -> StoreUserFacts:
    has = ((user or {}).get("policyName") or "").split(",")
    reading, writing = _granted(policy or {}) if f"{PREFIX}{name}" in has else (frozenset(), frozenset())
    return StoreUserFacts(
        address={"name": name},
        mark=mark_of(policy or {}),
        read_=reading - writing,
        write=writing,
        # Who is not there has no key, so there is something to do also where he may do nothing.
        secret="" if user is None else _bearing(policy or {}).get("secret") or "",
    )


def mark_of(policy: Mapping[str, Any]) -> Mark | None:
    """Returns the mark that a policy bears, None where it is another's."""
    return Mark.of(_bearing(policy))


def _bearing(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what paver wrote into a policy's ID, nothing where it is another's."""
    try:
        found: Any = canonical.loads(policy.get("ID", ""))
    except canonical.CanonicalError:
        return {}
    match found:
        case {"secret": str() | None} if Mark.of(found) is not None:
            return dict(found)
        case _:
            return {}


def _granted(policy: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Returns the buckets whose objects a policy lets be read, and be put."""

    def buckets(action: str) -> frozenset[str]:
        return frozenset(
            resource.removeprefix(ARN).removesuffix("/*")
            for statement in policy.get("Statement", ())
            if statement.get("Effect") == "Allow" and action in statement.get("Action", ())
            for resource in statement.get("Resource", ())
        )

    return buckets("s3:GetObject"), buckets("s3:PutObject")


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
        "Resource": [f"{ARN}{bucket}{tail}" for bucket in buckets],
    }
