"""What leaves for an object store: nothing that an old one, or another than AWS, does not know."""

from __future__ import annotations

import base64
import hashlib
import io
import urllib.parse
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import Endpoint, PaverError, Refused, resource_id
from paver.foundation.handover.proofs import KEY, ObjectStoreProof, RegistryProof
from paver.foundation.object_store.bucket import Bucket, BucketFacts
from paver.transport.context import Wire, quiet
from paver.transport.kept import Kept
from paver.transport.retry import Retry
from paver.transport.s3 import FIRST_REGION, S3Connector, S3Reader, Store
from paver.transport.s3_errors import S3Error

ROOT = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


class Sent:
    """A store whose requests are kept instead of sent; each is answered with 200."""

    def __init__(self, region: str = FIRST_REGION, tell: Callable[[Retry], None] = quiet) -> None:
        self.requests: list[Any] = []
        connector = S3Connector(
            name="object store",
            endpoint="https://s3.north.example",
            access_key="paver",
            secret_key=SimpleNamespace(name="s3"),
            roots=(ROOT,),
            region=region,
        )
        connection = connector.connect(Wire(reveal=lambda _: "geheimgeheim", on_retry=tell))
        self.writer = connection.writer(lambda *_: None)
        self.close = connection.close
        self.writer._store.s3.meta.events.register("before-send.s3", self._kept)

    def _kept(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415
        from botocore.compat import HTTPHeaders  # noqa: PLC0415

        self.requests.append(request)
        status, body = self.answer(request)
        raw = io.BytesIO(body)
        raw.stream = lambda *_, **__: iter([body] if body else ())  # type: ignore[attr-defined]
        headers = HTTPHeaders()
        headers["Content-Length"] = str(len(body))
        return AWSResponse(request.url, status, headers, raw)

    def answer(self, request: Any) -> tuple[int, bytes]:
        """Returns status and body."""
        del request
        return 200, b""


class OnOneDisk(Sent):
    """MinIO on one disk before June 2022, as its BOSH release of 2021 carries it: it lists no versions, and has none."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}

    def answer(self, request: Any) -> tuple[int, bytes]:
        parts = urllib.parse.urlsplit(request.url)
        query = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
        bucket, _, key = parts.path.strip("/").partition("/")
        if not bucket:
            answer = "<ListAllMyBucketsResult><Buckets><Bucket><Name>state</Name></Bucket></Buckets></ListAllMyBucketsResult>"
            return 200, answer.encode()
        if {"versions", "object-lock"} & set(query):
            status, code = (
                (501, "NotImplemented")
                if "versions" in query
                else (404, "ObjectLockConfigurationNotFoundError")
            )
            return status, f"<Error><Code>{code}</Code><Message>none</Message></Error>".encode()
        if "list-type" in query:
            listed = "".join(
                f"<Contents><Key>{one}</Key></Contents>"
                for one in sorted(self.objects)
                if one.startswith(query["prefix"][0])
            )
            return 200, f"<ListBucketResult>{listed}</ListBucketResult>".encode()
        assert "versionId" not in query, "there are no versions"
        if request.method == "PUT":
            self.objects[key] = request.body.read()
        elif request.method == "DELETE":
            self.objects.pop(key, None)
        return 200, self.objects.get(key, b"") if request.method == "GET" else b""


def test_an_object_is_sent_as_it_is_without_a_checksum_in_chunks_behind_it() -> None:
    sent = Sent()
    sent.writer.put_object("state", "a", b"x" * 64)
    sent.close()
    (request,) = sent.requests
    headers = {key.lower(): value for key, value in request.headers.items()}
    assert headers["content-length"] in ("64", b"64")
    assert not {"x-amz-trailer", "content-encoding", "transfer-encoding"} & set(headers)
    assert b"TRAILER" not in bytes(headers["x-amz-content-sha256"])


@pytest.mark.parametrize(
    ("region", "body"), [(FIRST_REGION, None), ("eu-central-1", b"<LocationConstraint>eu-central-1<")]
)
def test_a_bucket_is_made_in_the_region_that_the_site_file_names(region: str, body: bytes | None) -> None:
    sent = Sent(region)
    sent.writer.create_bucket("state", lock=True)
    sent.close()
    (request,) = sent.requests
    assert request.headers["x-amz-bucket-object-lock-enabled"] in ("true", b"true")
    if body is None:
        assert not request.body
    else:
        assert body in request.body


class Locking(OnOneDisk):
    """A store whose buckets lock by default takes no object without its digest, as AWS; MinIO takes any."""

    def answer(self, request: Any) -> tuple[int, bytes]:
        if request.method == "PUT":
            body = request.body.read()
            request.body.seek(0)
            told = request.headers.get("Content-MD5", "")
            digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest())
            if told not in (digest, digest.decode()):
                words = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
                return 400, f"<Error><Code>InvalidRequest</Code><Message>{words}</Message></Error>".encode()
        return super().answer(request)


def prove(store: Sent) -> None:
    proof = ObjectStoreProof(
        id=resource_id("proof.object-store", "state"),
        phase="handover",
        at=Endpoint("machine:jumpbox"),
        also=(Endpoint("s3"),),
        of={},
        bucket="state",
    )
    world: Any = SimpleNamespace(writing=lambda _: store.writer)
    proof.prove(world)


def test_a_store_that_lists_no_versions_is_proven_all_the_same_and_nothing_is_left_in_it() -> None:
    old = OnOneDisk()
    old.objects = {KEY: b"of a run that was killed", f"{KEY}-of-others": b"x"}
    prove(old)
    assert old.objects == {f"{KEY}-of-others": b"x"}
    old.close()


def test_a_bucket_that_locks_by_default_takes_the_proofs_object() -> None:
    store = Locking()
    prove(store)
    assert [one.method for one in store.requests].count("PUT") == 1
    store.close()


def test_what_a_store_without_versions_holds_keeps_its_bucket() -> None:
    old = OnOneDisk()
    old.objects = {"a": b"x"}
    facts = BucketFacts(address={"name": "state"}, mark=None, versioned=False, lock_days=0)
    world: Any = SimpleNamespace(writing=lambda _: old.writer)
    with pytest.raises(Refused, match="the bucket state is not empty"):
        Bucket.delete(world, Endpoint("s3"), facts)
    old.objects.clear()
    Bucket.delete(world, Endpoint("s3"), facts)
    assert old.requests[-1].method == "DELETE"
    old.close()


class Forgetting(OnOneDisk):
    """A store that takes all, and gives back something else."""

    def answer(self, request: Any) -> tuple[int, bytes]:
        status, body = super().answer(request)
        return status, body[::-1] if request.method == "GET" and body in self.objects.values() else body


def test_a_store_that_gives_back_something_else_than_was_put_proves_nothing_and_nothing_is_left_in_it() -> (
    None
):
    store = Forgetting()
    with pytest.raises(PaverError, match="gave back something else than was put into it"):
        prove(store)
    assert store.objects == {}
    store.close()


class Keeper:
    """A registry's writing face: takes an image, and gives back the manifest that it has, or another one."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._manifest = b""

    def post(self, path: str, **_: Any) -> Any:
        return SimpleNamespace(headers={"location": f"https://registry.north.example{path}1"})

    def put(self, path: str, *, content: bytes, **_: Any) -> None:
        if "/manifests/" in path:
            self._manifest = content

    def get(self, *_: object, **__: object) -> Any:
        return SimpleNamespace(body=self._manifest if self._whole else self._manifest + b" ")

    def delete(self, *_: object, **__: object) -> None:
        """It is asked for no more."""


def test_a_registry_that_gives_back_another_manifest_than_was_pushed_proves_nothing() -> None:
    proof = RegistryProof(
        id=resource_id(RegistryProof.kind, "push"),
        phase="handover",
        at=Endpoint("machine:jumpbox"),
        also=(Endpoint("registry"),),
        of={},
    )
    keeps, changes = Keeper(whole=True), Keeper(whole=False)
    whole: Any = SimpleNamespace(writing=lambda _: keeps)
    proof.prove(whole)
    changed: Any = SimpleNamespace(writing=lambda _: changes)
    with pytest.raises(PaverError, match="gave back another manifest than was pushed"):
        proof.prove(changed)


class Refusing:
    """A store that answers each question with a 404 of one code, and counts them."""

    def __init__(self, code: str) -> None:
        self.name, self.kept, self.asked, self._code = "object store", Kept(), 0, code

    def read(self, call: str, **_: Any) -> dict[str, Any]:
        self.asked += 1
        raise S3Error(self.name, call, self._code, 404, "")


def test_what_a_bucket_may_lack_is_told_as_empty_and_kept() -> None:
    store: Any = Refusing("NoSuchTagSet")
    for _ in range(2):
        assert S3Reader(store).answer("get_bucket_tagging", may_lack=True, Bucket="state") == {}
    assert store.asked == 1


@pytest.mark.parametrize("code", ["NoSuchBucket", "404", "Unknown"])
def test_a_bucket_that_is_gone_and_a_router_before_the_store_are_nothing_that_a_bucket_may_lack(
    code: str,
) -> None:
    store: Any = Refusing(code)
    with pytest.raises(S3Error):
        S3Reader(store).answer("get_bucket_tagging", may_lack=True, Bucket="state")


@pytest.mark.parametrize("fresh", [True, False])
def test_a_store_that_is_not_there_is_none_without_buckets(fresh: bool) -> None:
    store: Any = Refusing("404")
    with pytest.raises(S3Error):
        S3Reader(store).buckets(fresh=fresh)


def test_a_store_that_is_busy_or_not_there_for_a_moment_is_read_again_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Retry] = []
    sent = Sent(tell=told.append)
    silence = PaverError("object store does not answer")
    silence.__cause__ = ConnectionRefusedError(111, "Connection refused")
    first = [S3Error("object store", "list_buckets", "SlowDown", 503, ""), silence]
    ask = Store.ask

    def asking(store: Store, call: str, **arguments: Any) -> dict[str, Any]:
        if first:
            raise first.pop(0)
        return ask(store, call, **arguments)

    monkeypatch.setattr(Store, "ask", asking)
    assert sent.writer.buckets(fresh=True) == ()
    assert [(one.endpoint, one.doing) for one in told] == [("object store", "list_buckets")] * 2
    first = [S3Error("object store", "put_object", "SlowDown", 503, "")]
    with pytest.raises(S3Error):
        sent.writer.put_object("state", "a", b"")
    sent.close()
