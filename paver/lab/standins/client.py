"""A small HTTPS client, by which the director's servers speak to each other and to agents."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit


class Failed(Exception):
    """The server answered with an error; `status` says which."""

    def __init__(self, status: int, text: str) -> None:
        """Takes the answer."""
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text


class Client:
    """One server, one set of credentials. A connection per call: these servers are near and few."""

    def __init__(
        self, url: str, context: ssl.SSLContext, authorization: str = "", timeout: float = 60
    ) -> None:
        """Takes the base URL; its path is put before every call's."""
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), parts.port or 443
        self._base = parts.path.rstrip("/")
        self._context, self._authorization, self._timeout = context, authorization, timeout

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Returns the JSON of a GET."""
        return self.call("GET", path + ("?" + urlencode(query) if query else ""))

    def call(self, verb: str, path: str, content: Any = None) -> Any:
        """Sends JSON, returns JSON; None for an empty answer.

        Raises:
            Failed: the status is 400 or above.
            OSError: nobody answered, or TLS failed.
        """
        data = b"" if content is None else json.dumps(content).encode()
        return json.loads(self.send(verb, path, data, "application/json") or b"null")

    def form(self, path: str, basic: tuple[str, str], fields: Mapping[str, str]) -> Any:
        """Sends a form as a client that has a name and a secret; returns JSON."""
        token = "Basic " + base64.b64encode(":".join(basic).encode()).decode()
        body = urlencode(fields).encode()
        return json.loads(self.send("POST", path, body, "application/x-www-form-urlencoded", token))

    def send(self, verb: str, path: str, data: bytes, kind: str, authorization: str = "") -> bytes:
        """Sends bytes, returns bytes."""
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context, timeout=self._timeout
        )
        headers = {"Content-Type": kind, "Accept": "application/json"}
        if authorization or self._authorization:
            headers["Authorization"] = authorization or self._authorization
        try:
            connection.request(verb, self._base + path, body=data or None, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise Failed(answer.status, body.decode(errors="replace")[:2000])
        return body
