"""An S3 object store over boto3, and MinIO's administration, with a reading and a writing face."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import os
import threading
import urllib.parse
from pathlib import Path
from typing import IO, Any

from paver.errors import PaverError, Refused, Unobservable
from paver.transport import bounds, dial, tls
from paver.transport.context import Gate, SecretRef, Wire

FIRST_REGION = "us-east-1"
_READING = ("get_", "list_", "head_")
MOST_BYTES = 16 * 1024 * 1024
"""What an object that is read whole may have; those of paver's proofs have a line."""
_ADMIN_READS = frozenset(
    {
        "info",
        "user_info",
        "user_list",
        "policy_info",
        "policy_list",
        "group_info",
        "group_list",
        "get_policy_entities",
    }
)


_WRONG_KEY = (
    "the account is not known there, or its secret is another one",
    "check the account and its secret; the sealed store's may be newer than the store's, or the other way round",
)
_HINTS = {
    "SignatureDoesNotMatch": _WRONG_KEY,
    "InvalidAccessKeyId": _WRONG_KEY,
    "AccessDenied": (
        "the account may not do that",
        "give it the right in the store, or name another account",
    ),
    "RequestTimeTooSkewed": ("this machine's clock and the store's differ", "check the time on both"),
}


class S3Error(PaverError):
    """The store refused.

    Attributes:
        code: the store's own word, as in `NoSuchBucket`.
        status: the HTTP status.
    """

    def __init__(self, name: str, call: str, code: str, status: int, message: str) -> None:
        hint = _HINTS.get(code, _HINTS["AccessDenied"] if status == 403 else ("", ""))
        super().__init__(
            f"{name}: {call} was refused with {code} ({status})", seen=message[:400], why=hint[0], do=hint[1]
        )
        self.code = code
        self.status = status


class Store:
    """One store's clients, shared by both faces; thread-safe."""

    def __init__(self, connector: S3Connector, context: Wire) -> None:
        self.name = connector.name
        self.region = connector.region
        self._connector = connector
        self._context = context
        self._lock = threading.Lock()
        self._s3: Any = None
        self._admin: Any = None
        self._pool: Any = None
        self._roots: IO[str] | None = None

    @property
    def s3(self) -> Any:
        """The S3 client."""
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        with self._lock:
            if self._s3 is None:
                proxy = self._context.route(self._connector.via)
                times = self._context.timeouts
                session = boto3.session.Session(
                    aws_access_key_id=self._connector.access_key,
                    aws_secret_access_key=self._context.reveal(self._connector.secret_key),
                    region_name=self._connector.region,
                )
                self._s3 = session.client(
                    "s3",
                    endpoint_url=self._connector.endpoint,
                    verify=str(self._bundle()),
                    config=Config(
                        connect_timeout=times.connect,
                        read_timeout=times.answer,
                        retries={"max_attempts": 3, "mode": "standard"},
                        s3={"addressing_style": "path"},
                        # By default boto3 sends a checksum behind an object, in chunks: MinIO before 2024 (BOSH's
                        # release carries one of 2021) and other stores don't know that, and refuse the upload.
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                        proxies={"https": f"http://{proxy[0]}:{proxy[1]}"} if proxy else {},
                    ),
                )
            return self._s3

    @property
    def admin(self) -> Any:
        """MinIO's administration client."""
        import minio  # noqa: PLC0415
        import urllib3  # noqa: PLC0415
        from minio.credentials.providers import StaticProvider  # noqa: PLC0415

        with self._lock:
            if self._admin is None:
                proxy = self._context.route(self._connector.via)
                times = self._context.timeouts
                options: dict[str, Any] = {
                    "ssl_context": tls.ca_context(self._context.pem(self._connector.roots)),
                    "timeout": urllib3.Timeout(connect=times.connect, read=times.answer),
                    "retries": False,
                }
                self._pool = (
                    urllib3.ProxyManager(f"http://{proxy[0]}:{proxy[1]}", **options)
                    if proxy
                    else urllib3.PoolManager(**options)
                )
                self._admin = minio.MinioAdmin(
                    endpoint=urllib.parse.urlsplit(self._connector.endpoint).netloc,
                    credentials=StaticProvider(
                        self._connector.access_key, self._context.reveal(self._connector.secret_key)
                    ),
                    region=self._connector.region,
                    http_client=self._pool,
                )
            return self._admin

    def _bundle(self) -> Path:
        # boto3 takes roots as a file only. One without a name goes with the process, however that ends.
        if self._roots is None:
            self._roots = os.fdopen(os.memfd_create("roots"), "w", encoding="ascii")
            self._roots.write(self._context.pem(self._connector.roots))
            self._roots.flush()
        return Path(f"/proc/self/fd/{self._roots.fileno()}")

    def ask(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Calls a method of boto3's client.

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
            raise self._unanswered(error) from error

    def ask_admin(self, call: str, *arguments: Any, **named: Any) -> Any:
        """Calls a method of MinIO's administration client; JSON is parsed.

        Raises:
            S3Error: if the store refuses.
            Unobservable: if nothing answers.
        """
        import json  # noqa: PLC0415

        import urllib3  # noqa: PLC0415
        from minio.error import MinioAdminException  # noqa: PLC0415

        try:
            answer = getattr(self.admin, call)(*arguments, **named)
        except MinioAdminException as error:
            body = str(getattr(error, "_body", error))
            try:
                told = json.loads(body)
            except ValueError:
                told = {}
            code = str(told.get("Code", "Unknown"))
            raise S3Error(
                self.name, call, code, int(getattr(error, "_code", 0) or 0), str(told.get("Message", ""))
            ) from None
        except urllib3.exceptions.HTTPError as error:
            raise self._unanswered(error) from error
        try:
            return json.loads(answer) if answer else None
        except ValueError:
            return answer

    def _unanswered(self, error: Exception) -> PaverError:
        called = f"{self.name} ({self._connector.endpoint})"
        refused = dial.refused_certificate(error)
        if refused is not None:
            return tls.explain(refused, called)
        return Unobservable(
            f"{called} does not answer",
            why=type(error).__name__,
            do="check that it runs and can be reached from here (`paver ports`)",
        )

    def close(self) -> None:
        """Hangs up."""
        with self._lock:
            if self._s3 is not None:
                self._s3.close()
            if self._pool is not None:
                self._pool.clear()
            if self._roots is not None:
                self._roots.close()
            self._s3 = self._admin = self._pool = self._roots = None


class S3Reader:
    """Reads: methods of boto3's client that get, list or head, and MinIO's that look."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def name(self) -> str:
        """What the user calls the store."""
        return self._store.name

    def query(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Calls a reading method by boto3's name, as `get_bucket_versioning`.

        Raises:
            Refused: if it is none.
            S3Error: if the store refuses.
            Unobservable: if nothing answers.
        """
        if not call.startswith(_READING):
            _refuse(call, self.name)
        return self._store.ask(call, **arguments)

    def find(self, call: str, **arguments: Any) -> dict[str, Any] | None:
        """Calls a reading method, None if there is no such thing (404)."""
        try:
            return self.query(call, **arguments)
        except S3Error as error:
            if error.status == 404:
                return None
            raise

    def buckets(self) -> tuple[str, ...]:
        """Returns the names of all buckets that the account sees."""
        return tuple(entry["Name"] for entry in self.query("list_buckets").get("Buckets", []))

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

    def admin(self, call: str, *arguments: Any, **named: Any) -> Any:
        """Calls a reading method of MinIO's administration, as `user_list`.

        Raises:
            Refused: if it is none.
        """
        if call not in _ADMIN_READS:
            _refuse(call, self.name)
        return self._store.ask_admin(call, *arguments, **named)


class S3Writer(S3Reader):
    """Reads and writes; calls are named `s3:create_bucket` and `minio:user_add`."""

    def __init__(self, store: Store, gate: Gate) -> None:
        super().__init__(store)
        self._gate = gate

    def call(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Calls a writing method by boto3's name (call `s3:<name>`).

        Raises:
            S3Error: if the store refuses.
        """
        target = "/".join(str(arguments[key]) for key in ("Bucket", "Key") if key in arguments)
        self._gate(f"s3:{call}", f"{self.name}: {target}", None)
        return self._store.ask(call, **arguments)

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
        return self._store.ask_admin(call, *arguments, **named)


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
        """Has nothing to drop: nothing is kept."""

    def close(self) -> None:
        """Hangs up."""
        self._store.close()
