"""The director's configs by API: kept by type and name with every version, checked before they count."""

from __future__ import annotations

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
        wish = exchange.json()
        kind, name = str(wish.get("type") or ""), str(wish.get("name") or "default")
        if not kind or not isinstance(wish.get("content"), str):
            raise Refusal(400, {"code": 40001, "description": "'type' and 'content' are required"})
        expected = wish.get("expected_latest_id")
        current = self.state.config(kind, name)
        if expected is not None and str(expected) != (current or {"id": "0"})["id"]:
            body = {"latest_id": (current or {"id": "0"})["id"], "expected_latest_id": str(expected)}
            raise Refusal(412, body)
        return Reply(201, self._shown(self._keep(kind, name, wish["content"]), current=True))

    def delete(self, exchange: Exchange) -> Reply:
        """Deletes all versions of a config."""
        kind, name = exchange.query.get("type", ""), exchange.query.get("name", "default")
        if self.state.config(kind, name) is None:
            raise Refusal(
                404, {"code": 440012, "description": f"No config with type '{kind}' and name '{name}' found"}
            )
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
        wish = exchange.json()
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
            self._keep(kind, exchange.query.get("name") or "default", exchange.body().decode())
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
        try:
            document = director_configs.load(content, f"{kind} config")
            if kind == "cloud":
                director_configs.cloud_config(document)
            elif kind == "runtime":
                director_configs.check_runtime_config(document, self.state.data["releases"])
        except TaskError as error:
            raise Refusal(400, {"code": error.code, "description": str(error)}) from error
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
        raise Refusal(404, {"code": 440012, "description": f"Config with ID '{identity}' not found."})

    @staticmethod
    def _shown(entry: Mapping[str, Any], *, current: bool) -> dict[str, Any]:
        shown = {key: value for key, value in entry.items() if key != "deleted"}
        return {**shown, "team": None, "current": current}
