"""An S3 object store over botocore, and MinIO's administration, with a reading and a writing face."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import os
import threading
from pathlib import Path
from typing import IO, Any

from paver import __version__
from paver.errors import Refused
from paver.transport import bounds, s3_session
from paver.transport.context import Gate, SecretRef, Wire
from paver.transport.kept import Kept
from paver.transport.minio_admin import READS, Administration
from paver.transport.s3_errors import S3Error, unanswered

FIRST_REGION = "us-east-1"
_READING = ("get_", "list_", "head_")
_NO_STORE_OR_BUCKET = frozenset({"NoSuchBucket", "404", "Unknown"})
"""Codes of a 404 that speak of no bucket's property: of a router before the store they are the status alone."""
MOST_BYTES = 16 * 1024 * 1024
"""What an object that is read whole may have; those of paver's proofs have a line."""


class Store:
    """One store's clients, shared by both faces; thread-safe."""

    def __init__(self, connector: S3Connector, context: Wire) -> None:
        self.name = connector.name
        self.region = connector.region
        self._connector = connector
        self._context = context
        self._lock = threading.Lock()
        self._s3: Any = None
        self.administration = Administration(connector, context)
        self._roots: IO[str] | None = None
        self.kept = Kept()

    @property
    def s3(self) -> Any:
        """The S3 client."""
        from botocore.config import Config  # noqa: PLC0415

        with self._lock:
            if self._s3 is None:
                proxy = self._context.route(self._connector.via)
                times = self._context.timeouts
                self._s3 = s3_session.session().create_client(
                    s3_session.SERVICE,
                    aws_access_key_id=self._connector.access_key,
                    aws_secret_access_key=self._context.reveal(self._connector.secret_key),
                    region_name=self._connector.region,
                    endpoint_url=self._connector.endpoint,
                    verify=str(self._bundle()),
                    config=Config(
                        # Its own tells a store every detail of this machine, and is put together for each request.
                        user_agent=f"paver/{__version__}",
                        connect_timeout=times.connect,
                        read_timeout=times.answer,
                        retries={"max_attempts": 3, "mode": "standard"},
                        s3={"addressing_style": "path"},
                        # By default botocore sends a checksum behind an object, in chunks: MinIO before 2024 (BOSH's
                        # release carries one of 2021) and other stores don't know that, and refuse the upload.
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                        proxies={"https": f"http://{proxy[0]}:{proxy[1]}"} if proxy else {},
                    ),
                )
            return self._s3

    def _bundle(self) -> Path:
        # botocore takes roots as a file only. One without a name goes with the process, however that ends.
        if self._roots is None:
            self._roots = os.fdopen(os.memfd_create("roots"), "w", encoding="ascii")
            self._roots.write(self._context.pem(self._connector.roots))
            self._roots.flush()
        return Path(f"/proc/self/fd/{self._roots.fileno()}")

    def ask(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Calls a method of botocore's client.

        Raises:
            S3Error: if the store refuses.
            Unobservable: if nothing answers.
        """
        from botocore import exceptions  # noqa: PLC0415

        try:
            return dict(getattr(self.s3, call)(**arguments) or {})
        except exceptions.ClientError as error:
            told = error.response.get("Error", {})
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            raise S3Error(
                self.name, call, str(told.get("Code", "Unknown")), status, str(told.get("Message", ""))
            ) from None
        except exceptions.BotoCoreError as error:
            raise unanswered(error, self.name, self._connector.endpoint) from error

    def read(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Calls a method that only reads, as `ask` does; again while the store is busy or a connection breaks."""
        return self._context.repeated(self.name, call, lambda: self.ask(call, **arguments))

    def close(self) -> None:
        """Hangs up."""
        with self._lock:
            if self._s3 is not None:
                self._s3.close()
            if self._roots is not None:
                self._roots.close()
            self._s3 = self._roots = None
        self.administration.close()


class S3Reader:
    """Reads: methods of botocore's client that get, list or head, and MinIO's that look."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def name(self) -> str:
        """What the user calls the store."""
        return self._store.name

    def query(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Calls a reading method by botocore's name, as `get_bucket_versioning`.

        Raises:
            Refused: if it is none.
            S3Error: if the store refuses.
            Unobservable: if nothing answers.
        """
        if not call.startswith(_READING):
            _refuse(call, self.name)
        return self._store.read(call, **arguments)

    def find(self, call: str, **arguments: Any) -> dict[str, Any] | None:
        """Calls a reading method, None if there is no such thing (404)."""
        try:
            return self.query(call, **arguments)
        except S3Error as error:
            if error.status == 404:
                return None
            raise

    def answer(self, call: str, *, may_lack: bool = False, **arguments: Any) -> dict[str, Any]:
        """Calls a reading method as `query` does; its answer is kept until the next write or `forget`.

        Args:
            call: by botocore's name.
            may_lack: the bucket may have none of what is asked for; the answer is empty then.
            arguments: the method's.
        """

        def ask() -> dict[str, Any]:
            try:
                return self.query(call, **arguments)
            except S3Error as error:
                if not may_lack or error.status != 404 or error.code in _NO_STORE_OR_BUCKET:
                    raise
                return {}

        return self._store.kept.get((call, tuple(sorted(arguments.items()))), ask)

    def buckets(self, *, fresh: bool = False) -> tuple[str, ...]:
        """Returns the names of all buckets that the account sees: kept until the next write or `forget`, or `fresh`."""
        found = self.query("list_buckets") if fresh else self.answer("list_buckets")
        return tuple(entry["Name"] for entry in found.get("Buckets", []))

    def versions(self, bucket: str, prefix: str = "", most: int = 1000) -> list[dict[str, Any]]:
        """Returns what a bucket holds: versions and markers of deletions, each with `Key` and `VersionId`.

        A store without versions has objects alone, and refuses to be asked for more: MinIO on one disk before June 2022
        ("ListObjectVersions not implemented for FS mode", minio/minio `cmd/fs-v1.go`).
        """
        where = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": most}
        try:
            found = self.find("list_object_versions", **where) or {}
        except S3Error as error:
            if error.code != "NotImplemented":
                raise
            found = self.find("list_objects_v2", **where) or {}
        return [one for kind in ("Versions", "DeleteMarkers", "Contents") for one in found.get(kind, ())]

    def read_object(self, bucket: str, key: str) -> bytes | None:
        """Returns the bytes of a small object, None if there is none.

        Raises:
            Unobservable: it is larger than `MOST_BYTES`.
        """
        found = self.find("get_object", Bucket=bucket, Key=key)
        if found is None:
            return None
        with contextlib.closing(found["Body"]) as body:
            return bounds.within(bytes(body.read(MOST_BYTES + 1)), MOST_BYTES, f"{self.name}: {bucket}/{key}")

    def admin(self, call: str, *arguments: str) -> dict[str, Any]:
        """Calls a reading method of MinIO's administration, as `user_info`.

        Raises:
            Refused: if it is none.
            S3Error: if the store refuses.
            Unobservable: if nothing answers, or something else than MinIO.
        """
        if call not in READS:
            _refuse(call, self.name)
        return self._store.administration.look(call, *arguments)


class S3Writer(S3Reader):
    """Reads and writes; calls are named `s3:create_bucket` and `minio:user_add`."""

    def __init__(self, store: Store, gate: Gate) -> None:
        super().__init__(store)
        self._gate = gate

    def call(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Calls a writing method by botocore's name (call `s3:<name>`).

        Raises:
            S3Error: if the store refuses.
        """
        target = "/".join(str(arguments[key]) for key in ("Bucket", "Key") if key in arguments)
        self._gate(f"s3:{call}", f"{self.name}: {target}", None)
        try:
            return self._store.ask(call, **arguments)
        finally:
            self._store.kept.forget()

    def create_bucket(self, name: str, *, lock: bool) -> None:
        """Makes a bucket in the connector's region (call `s3:create_bucket`).

        Raises:
            S3Error: if the store refuses.
        """
        # The first region is the one that AWS takes where none is named, and it refuses to be named.
        place = {} if self._store.region == FIRST_REGION else {"LocationConstraint": self._store.region}
        named = {"CreateBucketConfiguration": place} if place else {}
        self.call("create_bucket", Bucket=name, ObjectLockEnabledForBucket=lock, **named)

    def put_object(self, bucket: str, key: str, data: bytes) -> dict[str, Any]:
        """Puts an object (call `s3:put_object`).

        Raises:
            S3Error: if the store refuses.
        """
        # AWS takes none into a bucket that locks by default without a digest; this one is known to every store.
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        return self.call("put_object", Bucket=bucket, Key=key, Body=data, ContentMD5=digest)

    def admin_call(self, call: str, target: str, *arguments: Any, **named: Any) -> Any:
        """Calls a writing method of MinIO's administration (call `minio:<name>`).

        Args:
            call: the method, as `user_add`.
            target: what is written to the journal: the user's or policy's name, never a secret.
            arguments: the method's.
            named: the method's.
        """
        self._gate(f"minio:{call}", f"{self.name}: {target}", None)
        return self._store.administration.act(call, *arguments, **named)


def _refuse(call: str, name: str) -> None:
    raise Refused(
        f"{call} on {name} was refused: this session only reads",
        why="a plan is made with sessions that cannot write",
        do="this is a fault of paver or of a driver: please report it with the command that you ran",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class S3Connector:
    """How an object store is reached.

    Attributes:
        name: what the user calls it.
        endpoint: as in `https://10.30.0.11:9000`.
        access_key: the account.
        secret_key: its secret.
        roots: PEM texts or names of anchors that its certificate must lead to.
        region: as the store has it.
        via: the machine that it lies behind, seen from outside.
    """

    name: str
    endpoint: str
    access_key: str
    secret_key: SecretRef
    roots: tuple[str, ...] = ()
    region: str = FIRST_REGION
    via: str | None = None

    def connect(self, context: Wire) -> S3Connection:
        """Returns the connection; it dials with the first request."""
        return S3Connection(Store(self, context))


class S3Connection:
    """A connected store; thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def reader(self) -> S3Reader:
        """Returns the reading face."""
        return S3Reader(self._store)

    def writer(self, gate: Gate) -> S3Writer:
        """Returns a writing face whose every write passes `gate`."""
        return S3Writer(self._store, gate)

    def forget(self) -> None:
        """Drops what was answered."""
        self._store.kept.forget()

    def close(self) -> None:
        """Hangs up."""
        self._store.close()
