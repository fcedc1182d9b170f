"""A director's configs without a socket: as much of it as keeps paver's ledger there."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from paver.transport.http import Answer


@dataclasses.dataclass
class Director:
    """Answers as BOSH's `/configs`; `content` by type and name."""

    configs: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)

    def get(self, path: str, *, params: dict[str, str]) -> Answer:
        assert (path, params["latest"]) == ("/configs", "true")
        content = self.configs.get((params["type"], params["name"]))
        return _answer([] if content is None else [{"content": content}])

    def answer(self, path: str, *, params: dict[str, str]) -> Answer:
        return self.get(path, params=params)

    def post(self, path: str, *, call: str, json: dict[str, str]) -> Answer:
        assert (path, call) == ("/configs", "POST /configs")
        self.configs[json["type"], json["name"]] = json["content"]
        return _answer({})

    def delete(self, path: str, *, call: str, params: dict[str, str]) -> Answer:
        assert (path, call) == ("/configs", "DELETE /configs")
        del self.configs[params["type"], params["name"]]
        return _answer({})


def _answer(body: Any) -> Answer:
    return Answer(200, {}, json.dumps(body).encode(), "/configs")
