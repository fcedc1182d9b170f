"""Speaks to a stand-in's API without a socket: one exchange against its routes."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from paver.lab.standins.httpd import Exchange, Reply, Route, answer


@dataclass
class Api:
    """A stand-in's routes, and the token that a caller bears."""

    routes: list[Route]
    authorization: str = ""
    last: Exchange | None = field(default=None)

    def call(self, verb: str, path: str, content: Any = None, **headers: str) -> Reply:
        """Sends JSON (or text, bytes, or form fields in a tuple) and returns the reply."""
        if isinstance(content, tuple):
            data = urlencode(dict(content)).encode()
        elif isinstance(content, bytes):
            data = content
        elif isinstance(content, str):
            data = content.encode()
        else:
            data = b"" if content is None else json.dumps(content).encode()
        parts = urlsplit(path)
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        if self.authorization:
            given.setdefault("authorization", self.authorization)
        self.last = Exchange(
            verb=verb,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers=given,
            client="127.0.0.1",
            length=len(data),
            _read=io.BytesIO(data).read,
            write=verb not in {"GET", "HEAD"},
        )
        return answer(self.routes, self.last)

    def ok(self, verb: str, path: str, content: Any = None, **headers: str) -> Any:
        """Returns the body of a reply below 400."""
        reply = self.call(verb, path, content, **headers)
        assert reply.status < 400, (reply.status, reply.body)
        return reply.body

    def refused(self, status: int, verb: str, path: str, content: Any = None, **headers: str) -> str:
        """Returns the text of a refusal."""
        reply = self.call(verb, path, content, **headers)
        assert reply.status == status, (reply.status, reply.body)
        return reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
