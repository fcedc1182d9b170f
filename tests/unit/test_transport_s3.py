"""What leaves for an object store: nothing that an old one, or another than AWS, does not know."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from paver.transport.context import Wire
from paver.transport.s3 import FIRST_REGION, S3Connector

ROOT = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


class Sent:
    """A store whose requests are kept instead of sent; each is answered with 200."""

    def __init__(self, region: str = FIRST_REGION) -> None:
        self.requests: list[Any] = []
        connector = S3Connector(
            name="object store",
            endpoint="https://s3.north.example",
            access_key="paver",
            secret_key=SimpleNamespace(name="s3"),
            roots=(ROOT,),
            region=region,
        )
        connection = connector.connect(Wire(reveal=lambda _: "geheimgeheim"))
        self.writer = connection.writer(lambda *_: None)
        self.close = connection.close
        self.writer._store.s3.meta.events.register("before-send.s3", self._kept)

    def _kept(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415
        from botocore.compat import HTTPHeaders  # noqa: PLC0415

        self.requests.append(request)
        raw = io.BytesIO()
        raw.stream = lambda *_, **__: iter(())  # type: ignore[attr-defined]
        return AWSResponse(request.url, 200, HTTPHeaders(), raw)


def test_an_object_is_sent_as_it_is_without_a_checksum_in_chunks_behind_it() -> None:
    sent = Sent()
    sent.writer.call("put_object", Bucket="state", Key="a", Body=b"x" * 64)
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
