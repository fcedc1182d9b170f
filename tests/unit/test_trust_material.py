"""Trust material as resources: what they put into the sealed store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from paver.driver import STORE, Entry, Mark, Material, output, resource_id
from paver.sealed.secret import SecretValue
from paver.trust import authority, certificate
from paver.trust.material import Certificate

ISSUER = authority.new_authority("north root", now=dt.datetime.now(dt.UTC), days=10, algorithm="rsa-2048")
WEB = Certificate(
    id=resource_id("trust.certificate", "web"),
    phase="trust",
    at=STORE,
    name="web",
    common_name="web.north.example",
    dns=frozenset({"web.north.example"}),
    ip=frozenset(),
    issuer="root",
    issuer_version=output(Material(kind="authority", name="root").id, "version", str),
    days=5,
    renew_before_days=1,
)


class World:
    """A sealed store that has a root, and keeps what is put there."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def writing(self, _: object) -> World:
        return self

    def entry(self, name: str) -> Entry:
        return Entry(name, "1", {"pem": ISSUER.certificate}, None)

    def reveal(self, _: object) -> str:
        return ISSUER.private_key.reveal()

    def mark(self, *, complete: bool) -> Mark:
        return Mark("north", WEB.id, "a", complete)

    def put(self, name: str, value: str, public: Mapping[str, Any], _: Mark) -> None:
        self.kept[name] = value, public


def test_a_certificate_has_an_elliptic_key_whatever_its_authority_has() -> None:
    world: Any = World()
    WEB.create(world)
    key, public = world.kept["web"]
    assert certificate.facts(public["pem"]).key == "ec secp256r1"
    assert certificate.issued_by(public["pem"], ISSUER.certificate)
    assert authority.belongs(public["pem"], SecretValue(key))
