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

from paver.errors import Unobservable
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
_BEGINS = frozenset({"XMinioServerNotInitialized", "XMinioIAMNotInitialized"})
"""What a store says that has only begun (minio/minio `cmd/api-errors.go`)."""
_PATH = "/minio/admin/v3/"


class Administration:
    """One store's; thread-safe."""

    def __init__(self, connector: S3Connector, context: Wire) -> None:
        self._connector = connector
        self._context = context
        self._lock = threading.Lock()
        self._pool: Any = None
        self._client: Any = None

    def look(self, call: str, *arguments: str) -> dict[str, Any]:
        """Returns what one of `READS` answers; asked again while the store is busy, as one is that begins, or a connection breaks.

        Raises:
            S3Error: if the store refuses.
            Unobservable: if nothing answers, or what does is not MinIO's administration, or says too much.
        """
        return self._context.repeated(self._connector.name, call, lambda: self._look(call, *arguments))

    def _look(self, call: str, *arguments: str) -> dict[str, Any]:
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.credentials import Credentials  # noqa: PLC0415

        command, parameters = READS[call]
        query = urllib.parse.urlencode(
            dict(zip(parameters, arguments, strict=True)), quote_via=urllib.parse.quote
        )
        # Beside all buckets, whatever path these are below: where MinIO's own client goes as well.
        origin = urllib.parse.urlsplit(self._connector.endpoint)
        url = f"{origin.scheme}://{origin.netloc}{_PATH}{command}{query and f'?{query}'}"
        request = AWSRequest("GET", url)
        # What is signed has to say which payload it is, also where there is none.
        request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
        key = Credentials(self._connector.access_key, self._context.reveal(self._connector.secret_key))
        SigV4Auth(key, "s3", self._connector.region).add_auth(request)
        status, answer = self._answered(url, dict(request.headers.items()), command)
        if status != 200:
            raise self._refused(call, status, answer)
        found = _parsed(answer)
        if not isinstance(found, dict):
            # Never taken for "there is none": a proxy's page has status 200 as well.
            raise Unobservable(
                f"{self._connector.name} ({self._connector.endpoint}) does not answer as MinIO's administration",
                seen=answer[:200],
                do="check that the endpoint is MinIO itself, and nothing before it that answers instead",
            )
        return found

    def act(self, call: str, *arguments: Any, **named: Any) -> Any:
        """Calls a method of MinIO's own client; JSON is parsed.

        A store that listens before it has read its accounts does nothing, and says so: it is asked again. Whatever else it
        answers, or nothing, it may have done what it was asked for.

        Raises:
            S3Error: if the store refuses.
            Unobservable: if nothing answers.
        """
        return self._context.repeated(
            self._connector.name, call, lambda: self._act(call, *arguments, **named), _begins
        )

    def _act(self, call: str, *arguments: Any, **named: Any) -> Any:
        import urllib3  # noqa: PLC0415
        from minio.error import MinioAdminException  # noqa: PLC0415

        client = self._writing()
        try:
            return _parsed(getattr(client, call)(*arguments, **named))
        except MinioAdminException as error:
            status = int(getattr(error, "_code", 0) or 0)
            raise self._refused(call, status, str(getattr(error, "_body", error))) from None
        except urllib3.exceptions.HTTPError as error:
            raise unanswered(error, self._connector.name, self._connector.endpoint) from error

    def _answered(self, url: str, headers: dict[str, str], command: str) -> tuple[int, str]:
        import urllib3  # noqa: PLC0415

        try:
            answer = self._connections().request("GET", url, headers=headers, preload_content=False)
            try:
                raw = answer.read(MOST_BYTES + 1)
                told = bounds.within(raw, MOST_BYTES, f"{self._connector.name}: {command}")
            except BaseException:
                # With what was not read, nobody else could use it.
                answer.close()
                raise
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise unanswered(error, self._connector.name, self._connector.endpoint) from error
        return answer.status, told.decode(errors="replace")

    def _refused(self, call: str, status: int, answer: str) -> S3Error:
        told = _parsed(answer)
        code, message = (told.get("Code"), told.get("Message")) if isinstance(told, dict) else ("", "")
        return S3Error(self._connector.name, call, str(code or "Unknown"), status, str(message or ""))

    def _writing(self) -> Any:
        import minio  # noqa: PLC0415
        from minio.credentials.providers import StaticProvider  # noqa: PLC0415

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
            return self._client

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


def _begins(error: BaseException) -> bool:
    return isinstance(error, S3Error) and error.code in _BEGINS


def _parsed(answer: str) -> Any:
    try:
        return json.loads(answer) if answer else None
    except ValueError:
        return answer
