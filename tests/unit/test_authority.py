"""Authorities and certificates: what they say, and what is refused."""

import dataclasses
import datetime as dt
import re

import pytest

from paver.errors import BadInput, Refused
from paver.sealed.secret import SecretValue
from paver.trust import authority, certificate
from tests.support import certificates

NOW = dt.datetime(2026, 11, 23, 16, 0, tzinfo=dt.UTC)
# EC keys: made in no time, and the same code as RSA but for the key's format.
ROOT = authority.new_authority("lab-north root", now=NOW, days=3650, algorithm="ec")


def leaf(**changes: object) -> authority.Issued:
    wish = {"common_name": "director", "now": NOW, "days": 365, "algorithm": "ec", **changes}
    return authority.issue(ROOT, **wish)  # type: ignore[arg-type]  # a wish made of pieces


def test_a_root_is_self_signed_and_may_issue() -> None:
    said = ROOT.statement
    assert said.subject == said.issuer == "CN=lab-north root"
    assert said.authority
    assert certificates.issued_by(ROOT.certificate, ROOT.certificate)
    assert said.not_before == NOW - dt.timedelta(hours=1)
    assert said.not_after == NOW + dt.timedelta(days=3650)


def test_rsa_keys_are_in_pkcs_1_pem_as_bosh_wants_them() -> None:
    made = authority.new_authority("root", now=NOW, days=10, algorithm="rsa-2048")
    assert made.private_key.reveal().startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert made.statement.key == "rsa 2048"
    assert certificates.belongs(made.certificate, made.private_key.reveal())


def test_a_certificate_bears_its_names_and_addresses() -> None:
    said = leaf(dns=["b.north.example", "*.north.example"], ip=["10.30.0.10", "fd00::10"]).statement
    assert said.dns == {"b.north.example", "*.north.example"}
    assert said.ip == {"10.30.0.10", "fd00::10"}
    assert not said.authority
    assert (said.subject, said.issuer) == ("CN=director", ROOT.statement.subject)


def test_a_certificate_is_tied_to_its_authority_and_its_key() -> None:
    made = leaf()
    other = authority.new_authority("lab-north root", now=NOW, days=10, algorithm="ec")
    assert certificates.issued_by(made.certificate, ROOT.certificate)
    assert not certificates.issued_by(made.certificate, other.certificate)
    assert certificates.belongs(made.certificate, made.private_key.reveal())
    assert not certificates.belongs(made.certificate, ROOT.private_key.reveal())


def test_a_certificate_never_outlives_its_authority_nor_precedes_it() -> None:
    made = leaf(now=NOW + dt.timedelta(days=3600), days=365)
    assert made.statement.not_after == ROOT.statement.not_after
    assert leaf().statement.not_before == ROOT.statement.not_before


def test_an_expired_authority_issues_nothing() -> None:
    with pytest.raises(Refused, match="expired"):
        leaf(now=NOW + dt.timedelta(days=3651))


def test_two_certificates_of_the_same_wish_differ_in_serial_and_key() -> None:
    one, other = leaf().statement, leaf().statement
    assert one.serial != other.serial
    assert one.fingerprint != other.fingerprint
    assert re.fullmatch(r"sha256(:[0-9a-f]{2}){32}", one.fingerprint)


def test_facts_are_canonical_json() -> None:
    assert leaf(dns=["b.example", "a.example"]).statement.public() | {"serial": "", "fingerprint": ""} == {
        "subject": "CN=director",
        "issuer": "CN=lab-north root",
        "serial": "",
        "dns": ["a.example", "b.example"],
        "ip": [],
        "not_before": "2026-11-23T15:00:00Z",
        "not_after": "2027-11-23T16:00:00Z",
        "fingerprint": "",
        "authority": False,
        "key": "ec secp256r1",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"common_name": ""},
        {"common_name": "x" * 65},
        {"dns": ["10.20.0.300"]},
        {"dns": ["two words"]},
        {"dns": ["-a.example"]},
        {"dns": ["a..example"]},
        {"dns": ["a.example."]},
        {"dns": ["é.example"]},
        {"ip": ["10.20.0.300"]},
        {"ip": ["10.20.0.0/24"]},
        {"algorithm": "dsa"},
    ],
    ids=str,
)
def test_a_wish_that_no_certificate_can_hold_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        leaf(**change)


def test_a_certificate_that_is_no_authority_issues_nothing() -> None:
    with pytest.raises(BadInput, match="no authority"):
        authority.issue(leaf(), common_name="x", now=NOW, days=1, algorithm="ec")


def test_an_authority_with_the_key_of_another_issues_nothing() -> None:
    mixed = authority.Issued(ROOT.certificate, leaf().private_key)
    with pytest.raises(BadInput, match="not the one of"):
        authority.issue(mixed, common_name="x", now=NOW, days=1, algorithm="ec")


def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        leaf(now=dt.datetime(2026, 11, 23))  # noqa: DTZ001


@pytest.mark.parametrize("text", ["", "x", ROOT.certificate * 2, ROOT.certificate[:200]])
def test_what_is_not_one_certificate_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        certificate.statement(text)


def test_a_damaged_key_is_refused_without_showing_it() -> None:
    damaged = dataclasses.replace(ROOT, private_key=SecretValue(ROOT.private_key.reveal()[:90]))
    with pytest.raises(BadInput) as caught:
        authority.issue(damaged, common_name="director", now=NOW, days=1, algorithm="ec")
    assert ROOT.private_key.reveal()[40:80] not in repr(caught.value) + "".join(caught.value.lines())
    assert "PRIVATE" not in repr(ROOT)
