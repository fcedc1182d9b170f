"""What botocore's session is spared: no request of a store's differs by it."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.loaders import JSONFileLoader

from paver.transport import s3_session

CALLS: tuple[tuple[str, dict[str, object]], ...] = (
    ("list_buckets", {}),
    ("head_bucket", {"Bucket": "bundles"}),
    ("create_bucket", {"Bucket": "bun.dles"}),
    ("list_objects_v2", {"Bucket": "bundles", "Prefix": "a/ü b"}),
    ("put_object", {"Bucket": "bundles", "Key": "a/ü b", "Body": b"1"}),
    ("delete_object", {"Bucket": "bundles", "Key": "a"}),
)


class Empty:
    """An answer without a body."""

    def stream(self, **_: object) -> list[bytes]:
        return []

    def read(self) -> bytes:
        return b""


def sent(session: Any, region: str) -> list[tuple[str, str, str]]:
    """Returns what clients of a session send: method, address, and by which key, for which region and of what it is signed."""
    seen = []

    def note(request: Any, **_: object) -> AWSResponse:
        signed = request.headers["Authorization"]
        text = signed.decode() if isinstance(signed, bytes) else signed
        seen.append((request.method, request.url, text.partition(" Signature=")[0]))
        return AWSResponse(request.url, 200, HTTPHeaders(), Empty())

    client = session.create_client(
        "s3",
        region_name=region,
        endpoint_url="https://store.example:9000",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.meta.events.register("before-send.s3.*", note)
    for call, arguments in CALLS:
        getattr(client, call)(**arguments)
    return seen


OWN = botocore.session.Session()

KNOWN = ("us-east-1", "us-west-2", "eu-central-1", "cn-north-1", "us-gov-west-1")


@pytest.mark.parametrize("region", [*KNOWN, "north", "minio-1"])
def test_requests_are_those_of_botocores_own_session_whether_it_knows_the_region_or_not(region: str) -> None:
    assert sent(s3_session.session(), region) == sent(OWN, region)


def test_of_botocores_descriptions_none_is_of_other_services_and_none_is_read_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    load = JSONFileLoader.load_file

    def noting(self: JSONFileLoader, path: str) -> Any:
        found = load(self, path)
        if found is not None:
            read.append(path.rpartition("/data/")[2])
        return found

    monkeypatch.setattr(JSONFileLoader, "load_file", noting)
    s3_session._loader.cache_clear()
    for _ in range(2):
        sent(s3_session.session(), "us-east-1")
    assert any(name.startswith("s3/") for name in read)
    assert "endpoints" not in read
    assert len(read) == len(set(read))
    assert all(name.startswith("s3/") for name in read if "/" in name)
