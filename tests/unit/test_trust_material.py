"""Trust material as resources: what they put into the sealed store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest

from paver.driver import STORE, Entry, Mark, Material, output, resource_id
from paver.lab.standins import credhub_rules
from paver.trust import authority, certificate
from paver.trust.material import Certificate
from tests.support import certificates

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

    def __init__(self, web: str = "") -> None:
        self.kept: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self.pem = {"root": ISSUER.certificate, "web": web}

    def writing(self, _: object) -> World:
        return self

    session = writing

    def entry(self, name: str) -> Entry:
        return Entry(name, "1", {"pem": self.pem[name]}, None)

    def reveal(self, _: object) -> str:
        return ISSUER.private_key.reveal()

    def mark(self, *, complete: bool) -> Mark:
        return Mark("north", WEB.id, "a", complete)

    def put(self, name: str, value: str, public: Mapping[str, Any], _: Mark) -> None:
        self.kept[name] = value, public


def test_a_certificate_has_a_key_that_credhub_takes() -> None:
    world: Any = World()
    WEB.create(world)
    key, public = world.kept["web"]
    credhub_rules.certificate({"ca": ISSUER.certificate, "certificate": public["pem"], "private_key": key})
    assert certificate.statement(public["pem"]).key == "rsa 2048"
    assert certificates.issued_by(public["pem"], ISSUER.certificate)
    assert certificates.belongs(public["pem"], key)


def test_a_plan_says_why_a_certificate_is_made_anew() -> None:
    world: Any = World()
    now = dt.datetime.now(dt.UTC)
    for algorithm, days, why in (
        ("ec", 5, "its key is ec secp256r1, and CredHub takes RSA alone"),
        ("rsa-2048", 1, f"it holds until {now + dt.timedelta(days=1):%Y-%m-%d} only"),
        ("rsa-2048", 5, ""),
    ):
        made = authority.issue(
            ISSUER,
            common_name="web",
            now=now,
            days=days,
            dns=[],
            ip=[],
            algorithm=algorithm,
        )
        world.pem["web"] = made.certificate
        assert WEB.foresees(world, WEB.read(world)) == why


@pytest.mark.parametrize(("algorithm", "fresh"), [("rsa-2048", True), ("ec", False)])
def test_a_certificate_that_credhub_would_not_take_is_to_be_made_anew(algorithm: str, fresh: bool) -> None:
    made = authority.issue(
        ISSUER, common_name="web", now=dt.datetime.now(dt.UTC), days=5, algorithm=algorithm
    )
    world: Any = World(made.certificate)
    found = WEB.read(world)
    assert found is not None
    assert found.fresh is fresh
