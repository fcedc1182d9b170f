"""The lab's UAA and CredHub: who gets which token, and what CredHub does for whom."""

from __future__ import annotations

import base64
import datetime as dt
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from paver.lab.standins import tokens, uaa
from paver.lab.standins.credhub import CredHub
from paver.lab.standins.credhub_store import Store
from paver.lab.standins.httpd import Reply
from paver.lab.standins.uaa import Uaa
from paver.trust import authority
from tests.support.standin import Api

URL = "https://10.30.0.10:8443"


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def identity(key: rsa.RSAPrivateKey, tmp_path: Path) -> Uaa:
    def client(grants: str, authorities: str, secret: str, **more: Any) -> dict[str, Any]:
        return {
            "authorized-grant-types": grants,
            "authorities": authorities,
            "secret": uaa.hashed(secret),
            **more,
        }

    clients = {
        "admin": client("client_credentials", "bosh.admin", "a"),
        "uaa_admin": client("client_credentials", "uaa.admin", "u"),
        "credhub-admin": client("client_credentials", "credhub.read,credhub.write", "c"),
        "reader": client("client_credentials", "credhub.read", "r"),
        "credhub_cli": client("password,refresh_token", "", "", scope="credhub.read,credhub.write"),
        "brief": client("client_credentials", "credhub.read", "b", **{"access-token-validity": -1}),
    }
    users = {"importer": {"name": "importer", "password": "p", "groups": ["credhub.read"]}}
    return Uaa(URL, key, "key-1", users, clients, tmp_path / "clients.json")


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def token(identity: Uaa, name: str, secret: str) -> str:
    wish = (("grant_type", "client_credentials"),)
    body = Api(identity.routes()).ok("POST", "/oauth/token", wish, authorization=basic(name, secret))
    return f"bearer {body['access_token']}"


@pytest.fixture
def credhub(identity: Uaa, tmp_path: Path) -> Api:
    store = Store.open(tmp_path / "credentials.json", "passphrase")
    routes = CredHub(store, identity.verifier, URL).routes()
    return Api(routes, token(identity, "credhub-admin", "c"))


def test_a_client_gets_a_token_with_its_authorities(identity: Uaa) -> None:
    claims = identity.verifier.claims(token(identity, "admin", "a").split()[1])
    assert claims["scope"] == ["bosh.admin"]
    assert claims["exp"] - claims["iat"] == 43200
    assert claims["iss"] == f"{URL}/oauth/token"


def test_a_user_gets_what_client_and_groups_both_allow_and_can_refresh_it(identity: Uaa) -> None:
    api = Api(identity.routes())
    wish = (("grant_type", "password"), ("username", "importer"), ("password", "p"))
    body = api.ok("POST", "/oauth/token", wish, authorization=basic("credhub_cli", ""))
    assert body["scope"] == "credhub.read"
    again = (("grant_type", "refresh_token"), ("refresh_token", body["refresh_token"]))
    assert (
        api.ok("POST", "/oauth/token", again, authorization=basic("credhub_cli", ""))["scope"]
        == "credhub.read"
    )


@pytest.mark.parametrize(
    ("name", "secret", "wish", "words"),
    [
        ("admin", "x", (("grant_type", "client_credentials"),), "Bad credentials"),
        ("nobody", "a", (("grant_type", "client_credentials"),), "Bad credentials"),
        ("admin", "a", (("grant_type", "password"),), "Unauthorized grant type"),
        (
            "credhub_cli",
            "",
            (("grant_type", "password"), ("username", "importer"), ("password", "x")),
            "Bad credentials",
        ),
        (
            "credhub_cli",
            "",
            (("grant_type", "refresh_token"), ("refresh_token", "x")),
            "Invalid refresh token",
        ),
    ],
)
def test_a_token_is_refused(identity: Uaa, name: str, secret: str, wish: Any, words: str) -> None:
    refusal = Api(identity.routes()).refused(
        401, "POST", "/oauth/token", wish, authorization=basic(name, secret)
    )
    assert words in refusal


def test_the_right_password_of_a_user_that_five_wrong_ones_locked_is_refused_for_five_minutes(
    identity: Uaa,
) -> None:
    now = 0.0
    identity.clock = lambda: now
    api = Api(identity.routes())

    def tried(password: str) -> Reply:
        wish = (("grant_type", "password"), ("username", "importer"), ("password", password))
        return api.call("POST", "/oauth/token", wish, authorization=basic("credhub_cli", ""))

    def wrong(times: int) -> None:
        for _ in range(times):
            assert "Bad credentials" in str(tried("x").body)

    # Four are none too many, and the right one makes them forgotten; so does an hour.
    wrong(4)
    assert tried("p").status == 200
    wrong(4)
    now += 3601
    wrong(5)
    for password in ("p", "x"):
        refused = tried(password)
        assert refused.status == 401
        assert "Your account has been locked" in str(refused.body)
    now += 299
    assert tried("p").status == 401
    now += 2
    assert tried("p").status == 200


def test_a_client_is_never_locked(identity: Uaa) -> None:
    api = Api(identity.routes())
    wish = (("grant_type", "client_credentials"),)
    for _ in range(9):
        api.refused(401, "POST", "/oauth/token", wish, authorization=basic("admin", "x"))
    assert token(identity, "admin", "a")


def test_clients_are_made_changed_and_deleted_by_an_admin_only(identity: Uaa) -> None:
    api = Api(identity.routes(), token(identity, "uaa_admin", "u"))
    wish = {
        "client_id": "pipeline",
        "client_secret": "first-secret",
        "authorized_grant_types": ["client_credentials"],
        "authorities": ["credhub.read"],
    }
    assert "first-secret" not in str(api.ok("POST", "/oauth/clients", wish))
    assert "already exists" in api.refused(409, "POST", "/oauth/clients", wish)
    assert token(identity, "pipeline", "first-secret")
    api.ok("PUT", "/oauth/clients/pipeline/secret", {"secret": "two"})
    api.refused(
        401,
        "POST",
        "/oauth/token",
        (("grant_type", "client_credentials"),),
        authorization=basic("pipeline", "first-secret"),
    )
    assert token(identity, "pipeline", "two")
    api.ok("DELETE", "/oauth/clients/pipeline")
    api.refused(404, "GET", "/oauth/clients/pipeline")
    Api(identity.routes(), token(identity, "admin", "a")).refused(403, "GET", "/oauth/clients")


def test_no_secret_of_a_client_is_kept_in_the_clear(identity: Uaa) -> None:
    api = Api(identity.routes(), token(identity, "uaa_admin", "u"))
    api.ok(
        "POST",
        "/oauth/clients",
        {"client_id": "x", "client_secret": "plain-text", "authorized_grant_types": []},
    )
    assert "plain-text" not in identity.file.read_text()
    assert stat.S_IMODE(identity.file.stat().st_mode) == 0o600


def test_a_token_that_expired_or_was_signed_by_another_is_refused(
    identity: Uaa, credhub: Api, key: rsa.RSAPrivateKey
) -> None:
    credhub.authorization = token(identity, "brief", "b")
    assert "Access token expired" in credhub.refused(401, "GET", "/api/v1/data?name=/x")
    claims = {"scope": ["credhub.read"], "exp": time.time() + 60, "client_id": "x"}
    credhub.authorization = "bearer " + tokens.sign(claims, rsa.generate_private_key(65537, 2048), "key-1")
    assert "signature" in credhub.refused(401, "GET", "/api/v1/data?name=/x")
    credhub.authorization = "bearer " + tokens.sign(claims, key, "key-1")
    credhub.refused(404, "GET", "/api/v1/data?name=/x")
    credhub.authorization = ""
    credhub.refused(401, "GET", "/api/v1/data?name=/x")


def test_a_reader_of_credhub_may_not_write(identity: Uaa, credhub: Api) -> None:
    credhub.authorization = token(identity, "reader", "r")
    assert "credhub.write" in credhub.refused(
        403, "PUT", "/api/v1/data", {"name": "/a", "type": "value", "value": "1"}
    )


def test_a_credential_has_versions_newest_first(credhub: Api) -> None:
    for value in ("one", "two"):
        credhub.ok("PUT", "/api/v1/data", {"name": "/site/a", "type": "value", "value": value})
    assert [v["value"] for v in credhub.ok("GET", "/api/v1/data?name=/site/a")["data"]] == ["two", "one"]
    [current] = credhub.ok("GET", "/api/v1/data?name=/site/a&current=true")["data"]
    assert credhub.ok("GET", f"/api/v1/data/{current['id']}")["value"] == "two"
    credhub.ok("PUT", "/api/v1/data", {"name": "/siteb", "type": "json", "value": {"x": 1}})
    assert [c["name"] for c in credhub.ok("GET", "/api/v1/data?path=/site")["credentials"]] == ["/site/a"]
    assert len(credhub.ok("GET", "/api/v1/data?name-like=SITE")["credentials"]) == 2
    credhub.ok("DELETE", "/api/v1/data?name=/site/a")
    credhub.refused(404, "DELETE", "/api/v1/data?name=/site/a")


@pytest.mark.parametrize(
    ("status", "wish", "words"),
    [
        (400, {"name": "/a", "type": "secret", "value": "x"}, "valid type"),
        (400, {"name": "/a", "type": "value", "value": ""}, "non-empty value"),
        (400, {"name": "/a/", "type": "value", "value": "x"}, "cannot end with a '/'"),
        (400, {"name": "/a//b", "type": "value", "value": "x"}, "contain '//'"),
        (400, {"name": "/a", "type": "user", "value": {"name": "x"}}, "unrecognized parameter"),
        (400, {"name": "/a", "type": "value", "value": 7}, "has to be a string"),
        (400, {"name": "/typed", "type": "password", "value": "x"}, "type cannot be modified"),
    ],
)
def test_a_value_is_refused(credhub: Api, status: int, wish: Any, words: str) -> None:
    credhub.ok("PUT", "/api/v1/data", {"name": "/typed", "type": "value", "value": "x"})
    assert words in credhub.refused(status, "PUT", "/api/v1/data", wish)


ROOT = authority.new_authority("root", now=dt.datetime.now(dt.UTC), days=9, algorithm="rsa-2048")
OTHER = authority.new_authority("root", now=dt.datetime.now(dt.UTC), days=9, algorithm="rsa-2048")


def leaf(algorithm: str) -> dict[str, str]:
    made = authority.issue(ROOT, common_name="x", now=dt.datetime.now(dt.UTC), days=1, algorithm=algorithm)
    return {
        "ca": ROOT.certificate,
        "certificate": made.certificate,
        "private_key": made.private_key.reveal(),
    }


LEAF = leaf("rsa-2048")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "At least one certificate attribute must be set"),
        (leaf("ec"), "Key file does not contain an RSA private key"),
        ({**LEAF, "private_key": "none"}, "Key file is not in PKCS#1 or unencrypted PKCS#8 format"),
        ({**LEAF, "private_key": OTHER.private_key.reveal()}, "does not match the private key"),
        ({**LEAF, "ca": OTHER.certificate}, "was not signed by the CA"),
        ({**LEAF, "ca": LEAF["certificate"] + "\n"}, "CA value is not a valid X509 certificate authority"),
        ({**LEAF, "certificate": "none"}, "value is not a valid X509 certificate"),
        ({**LEAF, "ca": ROOT.certificate * 7}, "must be less than 7000 characters"),
    ],
)
def test_a_certificate_is_refused(credhub: Api, value: Any, words: str) -> None:
    wish = {"name": "/tls", "type": "certificate"}
    credhub.ok("PUT", "/api/v1/data", {**wish, "value": LEAF})
    assert words in credhub.refused(400, "PUT", "/api/v1/data", {**wish, "value": value})


def test_metadata_are_short_and_names_of_few_characters(credhub: Api) -> None:
    wish = {"name": "/site/a.b:c,d(e)[f]+g_h-i", "type": "value", "value": "x"}
    credhub.ok("PUT", "/api/v1/data", {**wish, "metadata": {"a": "x" * 6992}})
    long = {**wish, "metadata": {"a": "x" * 6993}}
    assert "cannot exceed 7000 characters" in credhub.refused(400, "PUT", "/api/v1/data", long)
    odd = {**wish, "name": "/site/a b"}
    assert "may only include" in credhub.refused(400, "PUT", "/api/v1/data", odd)


def test_generated_values_stay_unless_the_mode_says_otherwise(credhub: Api) -> None:
    wish = {"name": "/p", "type": "password", "parameters": {"length": 12}}
    first = credhub.ok("POST", "/api/v1/data", wish)["value"]
    assert len(first) == 12
    assert credhub.ok("POST", "/api/v1/data", wish)["value"] == first
    assert credhub.ok("POST", "/api/v1/data", {**wish, "mode": "converge"})["value"] == first
    longer = {**wish, "mode": "converge", "parameters": {"length": 20}}
    assert len(credhub.ok("POST", "/api/v1/data", longer)["value"]) == 20
    assert credhub.ok("POST", "/api/v1/data", {**wish, "mode": "overwrite"})["value"] != first
    assert credhub.ok("POST", "/api/v1/regenerate", {"name": "/p"})["type"] == "password"


def test_a_ca_signs_and_all_that_it_signed_is_made_anew(credhub: Api) -> None:
    credhub.ok(
        "POST",
        "/api/v1/data",
        {"name": "/ca", "type": "certificate", "parameters": {"is_ca": True, "common_name": "lab"}},
    )
    leaf = {"ca": "/ca", "common_name": "x", "alternative_names": ["x.example", "10.30.0.11"], "duration": 30}
    made = credhub.ok("POST", "/api/v1/data", {"name": "/leaf", "type": "certificate", "parameters": leaf})[
        "value"
    ]
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made["ca"].encode()))
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < dt.timedelta(days=31)
    assert made["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert credhub.ok("POST", "/api/v1/bulk-regenerate", {"signed_by": "/ca"}) == {
        "regenerated_credentials": ["/leaf"]
    }
    assert credhub.ok("GET", "/api/v1/data?name=/leaf&current=true")["data"][0]["value"] != made
    [listed] = credhub.ok("GET", "/api/v1/certificates?name=/leaf")["certificates"]
    assert listed["signed_by"] == "/ca"
    assert "does not exist" in credhub.refused(
        404,
        "POST",
        "/api/v1/data",
        {"name": "/l", "type": "certificate", "parameters": {**leaf, "ca": "/none"}},
    )


def test_values_lie_encrypted_and_another_passphrase_opens_nothing(credhub: Api, tmp_path: Path) -> None:
    credhub.ok("PUT", "/api/v1/data", {"name": "/a", "type": "value", "value": "plain-text"})
    file = tmp_path / "credentials.json"
    assert "plain-text" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Store.open(file, "passphrase").versions("/a")[0]["value"] == "plain-text"
    with pytest.raises(SystemExit, match="encryption_password"):
        Store.open(file, "another")


def test_permissions_are_given_found_and_taken(credhub: Api) -> None:
    wish = {"path": "/site/*", "actor": "uaa-client:pipeline", "operations": ["read"]}
    made = credhub.ok("POST", "/api/v2/permissions", wish)
    credhub.refused(409, "POST", "/api/v2/permissions", wish)
    assert credhub.ok("GET", "/api/v2/permissions?path=/site/*&actor=uaa-client:pipeline") == made
    assert (
        credhub.ok("GET", "/api/v1/permissions?credential_name=/site/a")["permissions"][0]["actor"]
        == wish["actor"]
    )
    credhub.ok("DELETE", f"/api/v2/permissions/{made['uuid']}")
    credhub.refused(404, "GET", f"/api/v2/permissions/{made['uuid']}")


def test_references_in_vcap_services_become_values(credhub: Api) -> None:
    credhub.ok("PUT", "/api/v1/data", {"name": "/svc", "type": "json", "value": {"key": "k"}})
    services = {"p": [{"credentials": {"credhub-ref": "((/svc))"}}]}
    assert credhub.ok("POST", "/api/v1/interpolate", services) == {"p": [{"credentials": {"key": "k"}}]}


def test_the_public_key_is_told_to_anybody(identity: Uaa) -> None:
    told = Api(identity.routes()).ok("GET", "/token_keys")["keys"][0]
    shown = serialization.load_pem_public_key(told["value"].encode())
    assert isinstance(shown, rsa.RSAPublicKey)
    assert tokens.Verifier(shown).claims(token(identity, "admin", "a").split()[1])["client_id"] == "admin"
