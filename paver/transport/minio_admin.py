"""MinIO's administration: accounts and policies. What reads is signed and asked here, what writes is MinIO's own client.

That client takes a tenth of a second of a core to load, for the keys that it encrypts secrets by; no reading call that paver
makes needs one.
"""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from paver.transport import bounds, tls
from paver.transport.context import Wire
from paver.transport.s3_errors import S3Error, unanswered

if TYPE_CHECKING:
    from paver.transport.s3 import S3Connector

READS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {"user_info": ("user-info", ("accessKey",)), "policy_list": ("list-canned-policies", ())}
)
"""By the names of MinIO's own client: the command and its parameters (minio/minio `cmd/admin-router.go`)."""
MOST_BYTES = 16 * 1024 * 1024
"""What an answer may have: thousands of policies."""
_PATH = "/minio/admin/v3/"


class Administration:
    """One store's; thread-safe."""

    def __init__(self, connector: S3Connector, context: Wire) -> None:
        self._connector = connector
        self._context = context
        self._lock = threading.Lock()
        self._pool: Any = None
        self._client: Any = None

    def ask(self, call: str, *arguments: Any, **named: Any) -> Any:
        """Calls one of `READS`, or a method of MinIO's own client; JSON is parsed.

        Raises:
            S3Error: if the store refuses.
            Unobservable: if nothing answers.
        """
        import urllib3  # noqa: PLC0415

        try:
            status, answer = (
                self._read(call, *arguments) if call in READS else self._written(call, *arguments, **named)
            )
        except urllib3.exceptions.HTTPError as error:
            raise unanswered(error, self._connector.name, self._connector.endpoint) from error
        told = _parsed(answer)
        if status != 200:
            code, message = (told.get("Code"), told.get("Message")) if isinstance(told, dict) else ("", "")
            raise S3Error(self._connector.name, call, str(code or "Unknown"), status, str(message or ""))
        return told

    def _read(self, call: str, *arguments: str) -> tuple[int, str]:
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.credentials import Credentials  # noqa: PLC0415

        command, parameters = READS[call]
        query = urllib.parse.urlencode(
            dict(zip(parameters, arguments, strict=True)), quote_via=urllib.parse.quote
        )
        url = f"{self._connector.endpoint.rstrip('/')}{_PATH}{command}{query and f'?{query}'}"
        request = AWSRequest("GET", url)
        # What is signed has to say which payload it is, also where there is none.
        request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
        key = Credentials(self._connector.access_key, self._context.reveal(self._connector.secret_key))
        SigV4Auth(key, "s3", self._connector.region).add_auth(request)
        headers = dict(request.headers.items())
        answer = self._connections().request("GET", url, headers=headers, preload_content=False)
        try:
            told = bounds.within(
                answer.read(MOST_BYTES + 1), MOST_BYTES, f"{self._connector.name}: {command}"
            )
        finally:
            answer.release_conn()
        return answer.status, told.decode(errors="replace")

    def _written(self, call: str, *arguments: Any, **named: Any) -> tuple[int, str]:
        import minio  # noqa: PLC0415
        from minio.credentials.providers import StaticProvider  # noqa: PLC0415
        from minio.error import MinioAdminException  # noqa: PLC0415

        pool = self._connections()
        with self._lock:
            if self._client is None:
                self._client = minio.MinioAdmin(
                    endpoint=urllib.parse.urlsplit(self._connector.endpoint).netloc,
                    credentials=StaticProvider(
                        self._connector.access_key, self._context.reveal(self._connector.secret_key)
                    ),
                    region=self._connector.region,
                    http_client=pool,
                )
        try:
            return 200, getattr(self._client, call)(*arguments, **named)
        except MinioAdminException as error:
            return int(getattr(error, "_code", 0) or 0), str(getattr(error, "_body", error))

    def _connections(self) -> Any:
        import urllib3  # noqa: PLC0415

        with self._lock:
            if self._pool is None:
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
            return self._pool

    def close(self) -> None:
        """Hangs up."""
        with self._lock:
            if self._pool is not None:
                self._pool.clear()
            self._client = self._pool = None


def _parsed(answer: str) -> Any:
    try:
        return json.loads(answer) if answer else None
    except ValueError:
        return answer
