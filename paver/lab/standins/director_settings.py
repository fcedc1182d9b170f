"""The director's configs by API: kept by type and name with every version. What they say is read at a deploy, not before.

Source: bosh 283.1.6, director/api/controllers/configs_controller.rb, cloud_configs_controller.rb, runtime_configs_controller.rb.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from paver.lab.standins import director_configs, director_views
from paver.lab.standins.director_state import State
from paver.lab.standins.director_tasks import TaskError
from paver.lab.standins.httpd import Exchange, Handler, Refusal, Reply, Route

Wrap = Callable[[Handler], Handler]


@dataclass
class Configs:
    """The configs' paths: the generic ones, and those of each type that older clients use."""

    state: State

    def routes(self, read: Wrap, admin: Wrap) -> list[Route]:
        """The API."""
        found = [
            Route("GET", "/configs", read(self.list)),
            Route("POST", "/configs", admin(self.update)),
            Route("DELETE", "/configs", admin(self.delete)),
            Route("POST", "/configs/diff", read(self.diff)),
            Route("GET", "/configs/([0-9]+)", read(self.get)),
            Route("DELETE", "/configs/([0-9]+)", admin(self.delete_one)),
        ]
        for kind in ("cloud", "runtime", "cpi"):
            found += [
                Route("GET", f"/{kind}_configs", read(self._lister(kind))),
                Route("POST", f"/{kind}_configs", admin(self._updater(kind))),
                Route("POST", f"/{kind}_configs/diff", read(self._differ(kind))),
            ]
        return found

    def list(self, exchange: Exchange) -> Reply:
        """Configs by type and name; only the current ones unless `latest=false`."""
        query = exchange.query
        latest, limit = query.get("latest", "true") == "true", int(query.get("limit", 1))
        with self.state.lock:
            entries = [c for c in reversed(self.state.data["configs"]) if not c["deleted"]]
        entries = [
            c
            for c in entries
            if query.get("type", c["type"]) == c["type"] and query.get("name", c["name"]) == c["name"]
        ]
        counts: dict[tuple[str, str], int] = {}
        found = []
        for entry in entries:
            key = (entry["type"], entry["name"])
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= (1 if latest else limit):
                found.append(self._shown(entry, current=counts[key] == 1))
        return Reply(200, found)

    def get(self, _exchange: Exchange, identity: str) -> Reply:
        """One version by its id."""
        return Reply(200, self._shown(self._by_id(identity), current=True))

    def update(self, exchange: Exchange) -> Reply:
        """Makes a new version, unless it says what the current one says."""
        wish = _asked(exchange)
        kind, name = _text(wish, "type"), _text(wish, "name")
        document = _told(lambda: director_configs.content(wish.get("content")))
        expected = wish.get("expected_latest_id")
        current = self.state.config(kind, name)
        latest = (current or {"id": "0"})["id"]
        if expected is not None and str(expected) != latest:
            told = f"Latest Id: '{latest}' does not match expected latest id"
            raise Refusal(
                412, {"latest_id": latest, "expected_latest_id": str(expected), "description": told}
            )
        text = director_configs.kept(kind, wish["content"], document)
        return Reply(201, self._shown(self._keep(kind, name, text), current=True))

    def delete(self, exchange: Exchange) -> Reply:
        """Deletes all versions of a config."""
        kind, name = _text(exchange.query, "type"), _text(exchange.query, "name")
        if self.state.config(kind, name) is None:
            raise Refusal(404)
        with self.state.changing() as data:
            for config in data["configs"]:
                if (config["type"], config["name"]) == (kind, name):
                    config["deleted"] = True
        return Reply(204)

    def delete_one(self, _exchange: Exchange, identity: str) -> Reply:
        """Deletes one version."""
        self._by_id(identity)
        with self.state.changing() as data:
            data["configs"][int(identity) - 1]["deleted"] = True
        return Reply(204)

    def diff(self, exchange: Exchange) -> Reply:
        """What would change: a wish against the current version, or two versions or texts."""
        exchange.write = False
        wish = _asked(exchange)
        if "from" in wish:
            before, after = (self._side(wish[side]) for side in ("from", "to"))
            return Reply(200, {"diff": director_views.difference(before, after)})
        return self._difference(str(wish["type"]), str(wish.get("name") or "default"), wish["content"])

    def _lister(self, kind: str) -> Handler:
        def handler(exchange: Exchange) -> Reply:
            name = exchange.query.get("name") or "default"
            entry = self.state.config(kind, name)
            found = [{"properties": entry["content"], "created_at": entry["created_at"]}] if entry else []
            return Reply(200, found)

        return handler

    def _updater(self, kind: str) -> Handler:
        def handler(exchange: Exchange) -> Reply:
            text = exchange.body().decode()
            document = _told(lambda: director_configs.manifest(text))
            name = exchange.query.get("name") or "default"
            self._keep(kind, name, director_configs.kept(kind, text, document))
            return Reply(201)

        return handler

    def _differ(self, kind: str) -> Handler:
        def handler(exchange: Exchange) -> Reply:
            exchange.write = False
            return self._difference(kind, exchange.query.get("name") or "default", exchange.body().decode())

        return handler

    def _difference(self, kind: str, name: str, content: str) -> Reply:
        current = self.state.config(kind, name)
        before = current["content"] if current else ""
        found = director_views.difference(before, content)
        return Reply(200, {"diff": found, "from": {"id": current["id"] if current else "0"}})

    def _side(self, side: Mapping[str, str]) -> str:
        return str(self._by_id(side["id"])["content"]) if side.get("id") else side.get("content", "")

    def _keep(self, kind: str, name: str, content: str) -> dict[str, Any]:
        with self.state.changing() as data:
            current = self.state.config(kind, name)
            if current is not None and current["content"] == content:
                return current
            entry = {
                "id": str(len(data["configs"]) + 1),
                "type": kind,
                "name": name,
                "content": content,
                "created_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
                "deleted": False,
            }
            data["configs"].append(entry)
            return entry

    def _by_id(self, identity: str) -> dict[str, Any]:
        with self.state.lock:
            for config in self.state.data["configs"]:
                if config["id"] == identity and not config["deleted"]:
                    return dict(config)
        raise Refusal(404, {"code": 440012, "description": f"Config {identity} not found"})

    @staticmethod
    def _shown(entry: Mapping[str, Any], *, current: bool) -> dict[str, Any]:
        shown = {key: value for key, value in entry.items() if key != "deleted"}
        return {**shown, "team": None, "current": current}


def _asked(exchange: Exchange) -> dict[str, Any]:
    """Returns the JSON object that was sent."""
    try:
        found = json.loads(exchange.body())
    except ValueError as error:
        raise Refusal(400, {"code": 710001, "description": f"Invalid JSON request body: {error}"}) from error
    if not isinstance(found, dict):
        raise Refusal(400, {"code": 440010, "description": "JSON object expected"})
    return found


def _text(wish: Mapping[str, Any], key: str) -> str:
    value = wish.get(key)
    if value is None or value in ("", [], {}):
        raise Refusal(400, {"code": 440010, "description": f"'{key}' is required"})
    if not isinstance(value, str):
        raise Refusal(400, {"code": 440010, "description": f"'{key}' must be a string"})
    return value


def _told(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return read()
    except TaskError as error:
        raise Refusal(400, {"code": error.code, "description": str(error)}) from error
