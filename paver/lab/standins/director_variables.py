"""The director's way to CredHub: values for ((variables)), made there if the manifest declares them."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from paver.lab.standins.client import Client, Failed
from paver.lab.standins.director_tasks import TaskError


@dataclass(frozen=True)
class Value:
    """A variable's value, and which version of which credential it is."""

    name: str
    identity: str
    value: Any


@dataclass
class ConfigServer:
    """CredHub, as the director's own client in UAA."""

    url: str
    ca: str
    uaa: Mapping[str, str]
    _token: str = ""
    _expires: float = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def resolve(
        self, names: Iterable[str], declared: Iterable[Mapping[str, Any]], director: str, deployment: str
    ) -> dict[str, Value]:
        """Returns values by the names as the manifest writes them; generates declared ones that are not there yet."""
        client = self._client()
        for wish in declared:
            self._generate(client, wish, director, deployment)
        found: dict[str, Value] = {}
        failed = []
        for name in sorted(names):
            full = absolute(name, director, deployment)
            try:
                entry = client.get("/v1/data", {"name": full, "current": "true"})
            except Failed as error:
                failed.append(
                    f"- Failed to find variable '{full}' from config server: HTTP Code '{error.status}', Error: '{error.text}'"
                )
                continue
            newest = entry["data"][0]
            found[name] = Value(full, newest["id"], newest["value"])
        if failed:
            raise TaskError(
                540001,
                "Unable to render instance groups for deployment. Errors are:\n  " + "\n  ".join(failed),
            )
        return found

    def _generate(self, client: Client, wish: Mapping[str, Any], director: str, deployment: str) -> None:
        options = dict(wish.get("options") or {})
        if options.get("ca"):
            options["ca"] = absolute(str(options["ca"]), director, deployment)
        request = {
            "name": absolute(str(wish["name"]), director, deployment),
            "type": wish["type"],
            "parameters": options,
            "mode": {"converge": "converge", "overwrite": "overwrite"}.get(
                str(wish.get("update_mode")), "no-overwrite"
            ),
        }
        try:
            client.call("POST", "/v1/data", request)
        except Failed as error:
            raise TaskError(
                540003,
                f"Config Server failed to generate value for '{request['name']}' with type '{wish['type']}'. HTTP Code '{error.status}', Error: '{error.text}'",
            ) from error

    def _client(self) -> Client:
        with self._lock:
            if time.time() > self._expires - 30:
                context = ssl.create_default_context(cadata=self.uaa["ca"])
                try:
                    answer = Client(self.uaa["url"], context).form(
                        "/oauth/token",
                        (self.uaa["client"], self.uaa["secret"]),
                        {"grant_type": "client_credentials"},
                    )
                except (Failed, OSError) as error:
                    raise TaskError(540002, f"Failed to obtain valid token from UAA: {error}") from error
                self._token, self._expires = answer["access_token"], time.time() + answer["expires_in"]
            return Client(self.url, ssl.create_default_context(cadata=self.ca), f"bearer {self._token}")


def absolute(name: str, director: str, deployment: str) -> str:
    """Returns a variable's full name."""
    return name if name.startswith("/") else f"/{director}/{deployment}/{name}"
