"""The services on top of the platform: object store, registry, Concourse's teams."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from paver.sitefile import credentials, values
from paver.sitefile.addresses import Address
from paver.sitefile.section import Section
from paver.sitefile.values import Duration, Label, List, Map, PathText, wrong

Port = Annotated[int, Field(ge=1, le=65535)]
_BUCKET_ADVICE = "A bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens."


def _bucket(value: object) -> object:
    text = value if isinstance(value, str) else ""
    parts = text.split(".")
    if not 3 <= len(text) <= 63 or not all(values.is_label(part) for part in parts):
        raise wrong(f"{values.shown(value)} is not a bucket's name", _BUCKET_ADVICE)
    return value


BucketName = Annotated[str, BeforeValidator(_bucket)]
"""A bucket's name that is a DNS name too (the rules of S3 for names in host names)."""


_ACCESS_KEY_ADVICE = "An account's name is its access key: 3 to 20 lower-case letters, digits and hyphens."


def is_access_key(text: str) -> bool:
    """Returns whether `text` may be an account's name."""
    # MinIO's limits (minio/internal/auth/credentials.go); longer ones would pass S3, but not the store we deploy.
    return 3 <= len(text) <= 20 and values.is_label(text)


def _access_key(value: object) -> object:
    if not is_access_key(value if isinstance(value, str) else ""):
        raise wrong(f"{values.shown(value)} is not an account's name", _ACCESS_KEY_ADVICE)
    return value


AccessKey = Annotated[str, BeforeValidator(_access_key)]
"""An account's name in the object store."""


class Login(Section):
    """An account: its user, and the reference to its password."""

    user: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="The user's name.")
    password: credentials.Reference = Field(description="The password: a reference, `secret:<name>`.")


def login_from(value: object) -> object:
    """Returns a mere reference as a login without a user; a literal is refused as such, and never quoted."""
    return value if isinstance(value, dict | Section) else {"password": value}


class Bucket(Section):
    """A bucket of the object store."""

    versioned: bool = Field(default=False, description="Old versions of an object are kept.")
    lock: Duration | None = Field(
        default=None, description="How long a version can't be deleted by anybody. Needs `versioned`."
    )

    @model_validator(mode="after")
    def _lock_needs_versions(self) -> Self:
        if self.lock and not self.versioned:
            raise wrong("a lock needs versions", "Set `versioned: true`: what is locked is a version.")
        return self


class StoreUser(Section):
    """An account of the object store, with least rights."""

    read: List[BucketName] = Field(default=(), description="Buckets that it may read.")
    write: List[BucketName] = Field(default=(), description="Buckets that it may read and write.")
    secret: credentials.Reference | None = Field(
        default=None, description="Its secret key, if not `secret:object-store-<user>`, made by paver."
    )


class ExternalStore(Section):
    """An object store that is there already."""

    endpoint: values.Url = Field(description="Its URL.")
    region: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        default="us-east-1", description="The region that requests are signed for."
    )
    login: Annotated[Login, BeforeValidator(login_from, json_schema_input_type=Login)] = Field(
        description="Access key and the reference to the secret key: {user: AKIA…, password: secret:s3}."
    )
    ca: PathText | None = Field(
        default=None, description="PEM file of its root, if not in `trust.extra_roots`."
    )


class ObjectStore(Section):
    """Object store with the S3 API: deployed by paver at `address`, or there already (`external`)."""

    address: Address | None = Field(default=None, description="Where BOSH puts it.")
    external: ExternalStore | None = Field(default=None, description="An object store that is there already.")
    hostname: Label = Field(default="objects", description="Its name in the zone, if deployed.")
    port: Port = Field(default=9000, description="Its port, if deployed.")
    disk_gb: Annotated[int, Field(ge=1, le=65536)] = Field(
        default=100, description="Persistent disk, in GiB, if deployed."
    )
    buckets: Map[BucketName, Bucket] = Field(default={}, description="Buckets, by name.")
    users: Map[AccessKey, StoreUser] = Field(
        default={}, description="Accounts beside the administrator's, by name."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        _either(self.address, self.external, "the object store")
        return self


class ExternalRegistry(Section):
    """A registry that is there already."""

    endpoint: values.Url = Field(description="Its URL.")
    login: Annotated[Login, BeforeValidator(login_from, json_schema_input_type=Login)] | None = Field(
        default=None,
        description="User and the reference to the password: {user: robot, password: secret:registry}.",
    )
    ca: PathText | None = Field(
        default=None, description="PEM file of its root, if not in `trust.extra_roots`."
    )


class Registry(Section):
    """Registry of container images: deployed by paver at `address`, or there already (`external`)."""

    address: Address | None = Field(default=None, description="Where BOSH puts it.")
    external: ExternalRegistry | None = Field(default=None, description="A registry that is there already.")
    hostname: Label = Field(default="registry", description="Its name in the zone, if deployed.")
    port: Port = Field(default=443, description="Its port, if deployed.")
    disk_gb: Annotated[int, Field(ge=1, le=65536)] = Field(
        default=100, description="Persistent disk, in GiB, if deployed."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        _either(self.address, self.external, "the registry")
        return self


class Pipeline(Section):
    """A pipeline that is set when the platform is handed over."""

    file: PathText | None = Field(
        default=None,
        description="The pipeline's YAML; if left out, paver's own: one task that only has to end well, to show that a worker takes it; its image is the worker's own.",
    )
    paused: bool = Field(default=False, description="It is set, but doesn't run yet.")


class Team(Section):
    """A team of Concourse."""

    store_user: AccessKey | None = Field(
        default=None,
        description="The account of the object store, of `object_store.users`, whose key its pipelines get. If left out: `team-<name>`, made by paver with all buckets to write; where the store is external, that one's login.",
    )
    pipelines: Map[Label, Pipeline] = Field(default={}, description="First pipelines, by name.")


class Concourse(Section):
    """Concourse as it is handed over."""

    teams: Map[Label, Team] = Field(
        default={"main": Team(pipelines={"smoke": Pipeline()})}, description="Teams, by name."
    )


class Services(Section):
    """What runs on the platform from its first day."""

    object_store: ObjectStore = Field(description="Object store with the S3 API.")
    registry: Registry = Field(description="Registry of container images.")
    concourse: Concourse = Field(default=Concourse(), description="Concourse's teams and first pipelines.")


def _either(address: object, external: object, what: str) -> None:
    if (address is None) == (external is None):
        both = "both `address` and `external`" if address is not None else "neither `address` nor `external`"
        raise wrong(
            f"{what} has {both}",
            "Write `address` where paver is to deploy it, `external` where it exists already.",
        )
