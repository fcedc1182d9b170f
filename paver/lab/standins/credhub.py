"""The lab's CredHub: set, generate, find, versions, regenerate, interpolate. Started by the `credhub` job.

API: docs.cloudfoundry.org/api/credhub. Callers bear UAA's tokens; `credhub.read` reads, `credhub.write` writes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paver.lab.standins import credhub_generate, credhub_rules, service
from paver.lab.standins.credhub_store import Store
from paver.lab.standins.httpd import Exchange, Refusal, Reply, Route
from paver.lab.standins.tokens import Verifier

_READ, _WRITE = frozenset({"credhub.read"}), frozenset({"credhub.write"})
_TYPES = frozenset({"value", "json", "user", "password", "certificate", "rsa", "ssh"})
_ABSENT = "The request could not be completed because the credential does not exist or you do not have sufficient authorization."
_PARTS: Mapping[str, frozenset[str]] = {
    "certificate": frozenset({"ca", "ca_name", "certificate", "private_key"}),
    "rsa": frozenset({"public_key", "private_key"}),
    "ssh": frozenset({"public_key", "private_key"}),
    "user": frozenset({"username", "password"}),
}


@dataclass
class CredHub:
    """The API on a store."""

    store: Store
    verifier: Verifier
    uaa_url: str

    def routes(self) -> list[Route]:
        """The API."""
        return [
            Route("GET", "/info", self.info),
            Route("GET", "/version", lambda _: Reply(200, {"version": "2.15.19"})),
            Route("GET", "/health", lambda _: Reply(200, {"status": "UP"})),
            Route("GET", "/api/v1/data/?", self.get),
            Route("PUT", "/api/v1/data/?", self.set),
            Route("POST", "/api/v1/data/?", self.generate),
            Route("DELETE", "/api/v1/data/?", self.delete),
            Route("GET", "/api/v1/data/([0-9a-f-]+)", self.get_version),
            Route("POST", "/api/v1/regenerate", self.regenerate),
            Route("POST", "/api/v1/bulk-regenerate", self.bulk_regenerate),
            Route("POST", "/api/v1/interpolate", self.interpolate),
            Route("GET", "/api/v1/certificates/?", self.certificates),
            Route("GET", "/api/v1/permissions", self.permissions_of),
            Route("GET", "/api/v2/permissions", self.find_permission),
            Route("POST", "/api/v2/permissions", self.add_permission),
            Route("GET", "/api/v2/permissions/([^/]+)", self.get_permission),
            Route("PUT", "/api/v2/permissions/([^/]+)", self.change_permission),
            Route("DELETE", "/api/v2/permissions/([^/]+)", self.delete_permission),
        ]

    def info(self, _exchange: Exchange) -> Reply:
        """Where to get a token; needs none."""
        return Reply(200, {"auth-server": {"url": self.uaa_url}, "app": {"name": "CredHub"}})

    def get(self, exchange: Exchange) -> Reply:
        """One credential's versions by name, or names by path or part."""
        self.verifier.authorise(exchange, _READ)
        query = exchange.query
        if "name" in query:
            found = self.store.versions(credhub_rules.name(query["name"]))
            if not found:
                raise Refusal(404, {"error": _ABSENT})
            count = 1 if query.get("current") == "true" else int(query.get("versions", len(found)))
            return Reply(200, {"data": [_shown(version) for version in found[:count]]})
        if "path" in query:
            prefix = "/" + query["path"].strip("/")
            prefix = prefix if prefix == "/" else prefix + "/"
            return Reply(200, {"credentials": self.store.find(lambda name: name.startswith(prefix))})
        if "name-like" in query:
            part = query["name-like"].lower()
            return Reply(200, {"credentials": self.store.find(lambda name: part in name.lower())})
        raise Refusal(400, {"error": "The query parameter name is required for this request."})

    def get_version(self, exchange: Exchange, identity: str) -> Reply:
        """One version by its id."""
        self.verifier.authorise(exchange, _READ)
        found = self.store.by_id(identity)
        if found is None:
            raise Refusal(404, {"error": _ABSENT})
        return Reply(200, _shown(found))

    def set(self, exchange: Exchange) -> Reply:
        """Stores a value as the current version."""
        self.verifier.authorise(exchange, _WRITE)
        wish = exchange.json()
        name, kind, value = (
            credhub_rules.name(str(wish.get("name", ""))),
            str(wish.get("type", "")),
            wish.get("value"),
        )
        if kind not in _TYPES:
            raise Refusal(
                400,
                {
                    "error": "The request does not include a valid type. Valid values include 'value', 'json', 'password', 'user', 'certificate', 'ssh' and 'rsa'."
                },
            )
        if value is None or value == "":
            raise Refusal(
                400,
                {
                    "error": "A non-empty value must be specified for the credential. Please validate and retry your request."
                },
            )
        if kind in _PARTS:
            if not isinstance(value, dict) or set(value) - _PARTS[kind]:
                raise Refusal(
                    400,
                    {
                        "error": "The request includes an unrecognized parameter. Please update or remove this parameter and retry your request."
                    },
                )
            if kind == "certificate" and value.get("ca_name"):
                value = {**value, "ca": self._authority(credhub_rules.name(value["ca_name"]))["certificate"]}
            if kind == "certificate":
                credhub_rules.certificate(value)
        elif kind in ("value", "password") and not isinstance(value, str):
            raise Refusal(400, {"error": f"The value of a credential of type '{kind}' has to be a string."})
        credhub_rules.metadata(wish.get("metadata"))
        self._same_type(name, kind)
        return Reply(200, _shown(self.store.add(name, kind, value, wish.get("metadata"))))

    def generate(self, exchange: Exchange) -> Reply:
        """Makes a value, unless there is one and the mode doesn't want another."""
        self.verifier.authorise(exchange, _WRITE)
        wish = exchange.json()
        name, kind = credhub_rules.name(str(wish.get("name", ""))), str(wish.get("type", ""))
        parameters = dict(wish.get("parameters") or {})
        mode = wish.get("mode") or ("overwrite" if wish.get("overwrite") else "no-overwrite")
        if kind == "user" and isinstance(wish.get("value"), dict):
            parameters["username"] = wish["value"].get("username")
        with self.store.lock:
            known = self.store.versions(name)
            unchanged = known and known[0].get("parameters") in (None, parameters)
            if known and (mode == "no-overwrite" or (mode == "converge" and unchanged)):
                return Reply(200, _shown(known[0]))
            self._same_type(name, kind)
            return Reply(200, _shown(self._generate(name, kind, parameters, wish.get("metadata"))))

    def delete(self, exchange: Exchange) -> Reply:
        """Forgets a credential."""
        self.verifier.authorise(exchange, _WRITE)
        if not self.store.delete(credhub_rules.name(exchange.query.get("name", ""))):
            raise Refusal(404, {"error": _ABSENT})
        return Reply(204)

    def regenerate(self, exchange: Exchange) -> Reply:
        """Makes a new value with the parameters of the one before."""
        self.verifier.authorise(exchange, _WRITE)
        return Reply(200, _shown(self._regenerate(credhub_rules.name(str(exchange.json().get("name", ""))))))

    def bulk_regenerate(self, exchange: Exchange) -> Reply:
        """Makes new certificates for all that a CA has signed."""
        self.verifier.authorise(exchange, _WRITE)
        authority = credhub_rules.name(str(exchange.json().get("signed_by", "")))
        signed = [
            entry["name"]
            for entry in self.store.find(lambda _: True)
            if self.store.versions(entry["name"])[0]["type"] == "certificate"
            and self.store.versions(entry["name"])[0]["value"].get("ca_name") == authority
        ]
        for name in signed:
            self._regenerate(name)
        return Reply(200, {"regenerated_credentials": sorted(signed)})

    def interpolate(self, exchange: Exchange) -> Reply:
        """Puts values into a VCAP_SERVICES document where it says credhub-ref."""
        self.verifier.authorise(exchange, _READ)
        services = exchange.json()
        for instances in services.values():
            for instance in instances:
                reference = (instance.get("credentials") or {}).get("credhub-ref")
                if reference:
                    name = credhub_rules.name("/" + str(reference).strip("(/)"))
                    versions = self.store.versions(name)
                    if not versions:
                        raise Refusal(404, {"error": _ABSENT})
                    instance["credentials"] = versions[0]["value"]
        return Reply(200, services)

    def certificates(self, exchange: Exchange) -> Reply:
        """The certificates, by what signed them."""
        self.verifier.authorise(exchange, _READ)
        wanted = exchange.query.get("name")
        found = []
        for entry in self.store.find(lambda name: wanted in (None, name)):
            versions = self.store.versions(entry["name"])
            if versions[0]["type"] == "certificate":
                found.append(
                    {
                        "id": self.store.credentials[entry["name"]]["id"],
                        "name": entry["name"],
                        "signed_by": versions[0]["value"].get("ca_name") or "",
                        "versions": [{"id": version["id"]} for version in versions],
                    }
                )
        return Reply(200, {"certificates": found})

    def permissions_of(self, exchange: Exchange) -> Reply:
        """Who may do what with a credential."""
        self.verifier.authorise(exchange, _READ)
        name = credhub_rules.name(exchange.query.get("credential_name", ""))
        entries = [
            {"actor": entry["actor"], "operations": entry["operations"], "path": entry["path"]}
            for entry in self.store.permissions.values()
            if name == entry["path"] or name.startswith(entry["path"].removesuffix("*"))
        ]
        return Reply(200, {"credential_name": name, "permissions": entries})

    def find_permission(self, exchange: Exchange) -> Reply:
        """The permission of an actor on a path."""
        self.verifier.authorise(exchange, _READ)
        for entry in self.store.permissions.values():
            if (entry["path"], entry["actor"]) == (exchange.query.get("path"), exchange.query.get("actor")):
                return Reply(200, entry)
        raise Refusal(
            404,
            {
                "error": "The request could not be completed because the permission does not exist or you do not have sufficient authorization."
            },
        )

    def add_permission(self, exchange: Exchange) -> Reply:
        """Gives an actor operations on a path."""
        self.verifier.authorise(exchange, _WRITE)
        wish = exchange.json()
        for entry in self.store.permissions.values():
            if (entry["path"], entry["actor"]) == (wish["path"], wish["actor"]):
                raise Refusal(409, {"error": "A permission entry for this actor and path already exists."})
        return Reply(201, self._keep_permission(credhub_generate.identity(), wish))

    def get_permission(self, exchange: Exchange, identity: str) -> Reply:
        """A permission by its id."""
        self.verifier.authorise(exchange, _READ)
        return Reply(200, self._permission(identity))

    def change_permission(self, exchange: Exchange, identity: str) -> Reply:
        """Replaces a permission's operations."""
        self.verifier.authorise(exchange, _WRITE)
        self._permission(identity)
        return Reply(200, self._keep_permission(identity, exchange.json()))

    def delete_permission(self, exchange: Exchange, identity: str) -> Reply:
        """Takes a permission away."""
        self.verifier.authorise(exchange, _WRITE)
        with self.store.lock:
            gone = self._permission(identity)
            del self.store.permissions[identity]
            self.store.save()
        return Reply(200, gone)

    def _permission(self, identity: str) -> dict[str, Any]:
        if identity not in self.store.permissions:
            raise Refusal(404, {"error": "The request includes a permission that does not exist."})
        return self.store.permissions[identity]

    def _keep_permission(self, identity: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        entry = {
            "uuid": identity,
            "path": wish["path"],
            "actor": wish["actor"],
            "operations": list(wish["operations"]),
        }
        with self.store.lock:
            self.store.permissions[identity] = entry
            self.store.save()
        return entry

    def _regenerate(self, name: str) -> dict[str, Any]:
        versions = self.store.versions(name)
        if not versions:
            raise Refusal(404, {"error": _ABSENT})
        if versions[0].get("parameters") is None:
            raise Refusal(
                400,
                {
                    "error": "The credential could not be regenerated because the value was statically set. Only generated credentials may be regenerated."
                },
            )
        return self._generate(
            name, versions[0]["type"], versions[0]["parameters"], versions[0].get("metadata")
        )

    def _generate(self, name: str, kind: str, parameters: Mapping[str, Any], metadata: Any) -> dict[str, Any]:
        kept = dict(parameters)
        if kept.get("ca"):
            # A CA's name may be relative to the credential that it signs.
            kept["ca"] = (
                kept["ca"] if kept["ca"].startswith("/") else f"{name.rpartition('/')[0]}/{kept['ca']}"
            )
        try:
            value = credhub_generate.generate(kind, kept, self._authority)
        except credhub_generate.CannotGenerateError as error:
            raise Refusal(400, {"error": str(error)}) from error
        return self.store.add(name, kind, value, metadata, dict(parameters))

    def _authority(self, name: str) -> Mapping[str, Any]:
        versions = self.store.versions(name)
        if (
            not versions
            or versions[0]["type"] != "certificate"
            or not versions[0]["value"].get("private_key")
        ):
            raise Refusal(
                404,
                {
                    "error": f"The request could not be completed because the CA '{name}' does not exist or you do not have sufficient authorization."
                },
            )
        value: Mapping[str, Any] = versions[0]["value"]
        return value

    def _same_type(self, name: str, kind: str) -> None:
        known = self.store.versions(name)
        if known and known[0]["type"] != kind:
            raise Refusal(
                400,
                {
                    "error": "The credential type cannot be modified. Please delete the credential if you wish to create it with a different type."
                },
            )


def _shown(version: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: version[key] for key in ("id", "name", "type", "value", "metadata", "version_created_at")}
    if version["type"] == "certificate":
        shown["value"] = {key: value for key, value in version["value"].items() if key != "ca_name"}
    elif version["type"] == "ssh":
        public = credhub_generate.fingerprint(version["value"].get("public_key") or "")
        shown["value"] = {**version["value"], "public_key_fingerprint": public}
    return shown


def _routes(setting: service.Setting) -> list[Route]:
    config = setting.config
    store = Store.open(setting.store("credhub") / "credentials.json", config["encryption_password"])
    return CredHub(store, Verifier.from_pem(config["verification_key"]), config["uaa_url"]).routes()


if __name__ == "__main__":
    sys.exit(service.run("credhub", _routes))
