from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paver.drivers.vsphere.vcsa import template
from paver.errors import BadInput
from paver.lab.standins import vcsa_template
from paver.lab.standins.vcsa_template import TemplateError
from paver.sealed import passwords

APPLIANCE = template.Appliance(
    host="10.20.0.11",
    user="root",
    password="Esx!Pass1",
    thumbprint=":".join(["AB"] * 20),
    port_group="mgmt",
    datastore="datastore1",
    name="vcsa",
    size="tiny",
    address="10.20.0.20",
    prefix=24,
    gateway="10.20.0.1",
    dns=("10.20.0.10",),
    fqdn="vcsa.north.example",
    ntp=("10.20.0.10",),
    root_password="Root!Pass1",
    sso_password="Sso!Pass1",
)
GOOD: dict[str, Any] = template.build(APPLIANCE)


def _changed(path: str, value: Any) -> dict[str, Any]:
    """Returns the good template with one key set, or without it if `value` is ...."""
    raw: dict[str, Any] = copy.deepcopy(GOOD)
    *sections, key = path.split("/")
    place = raw
    for section in sections:
        place = place[section]
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return raw


def test_what_paver_writes_is_taken_by_the_installer() -> None:
    found = vcsa_template.read(json.loads(template.to_json(APPLIANCE)))
    assert (found.host, found.address, found.prefix) == ("10.20.0.11", "10.20.0.20", 24)
    assert (found.system_name, found.dns, found.ntp) == (
        "vcsa.north.example",
        ("10.20.0.10",),
        ("10.20.0.10",),
    )
    assert (found.root_password, found.sso_password) == ("Root!Pass1", "Sso!Pass1")


def test_the_same_inputs_give_the_same_text() -> None:
    assert template.to_json(APPLIANCE) == template.to_json(dataclasses.replace(APPLIANCE))


def test_without_time_servers_the_appliance_takes_the_hosts_time() -> None:
    system: Any = template.build(dataclasses.replace(APPLIANCE, ntp=()))["new_vcsa"]
    assert system["os"]["time_tools_sync"] is True
    assert "ntp_servers" not in system["os"]


def test_a_vcenter_without_a_name_bears_its_address() -> None:
    nameless = dataclasses.replace(APPLIANCE, fqdn="10.20.0.20", dns=("127.0.0.1",), ntp=())
    assert vcsa_template.read(template.build(nameless)).system_name == "10.20.0.20"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thumbprint": ""}, "thumbprint"),
        ({"size": "huge"}, "'huge' is none of"),
        ({"password": ""}, "blank"),
        ({"root_password": "short"}, "password of root: it has 5 characters"),
        ({"sso_password": "NoDigits!here"}, "password of the SSO administrator: it has no digit"),
        ({"address": "10.20.0"}, "'10.20.0' is not an IPv4 address"),
        ({"prefix": 33}, "33 is not"),
        ({"dns": ()}, "DNS servers: there are none"),
        ({"fqdn": "vcsa"}, "neither a full domain name"),
        ({"fqdn": "10.20.0.21"}, "an address other than"),
        ({"name": "a/b"}, "name:"),
        ({"sso_domain": "local"}, "SSO domain"),
    ],
)
def test_what_the_installer_would_refuse_or_ask_for_is_told_before(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        template.build(dataclasses.replace(APPLIANCE, **change))
    assert message in caught.value.seen


def test_no_error_and_no_repr_tells_a_password() -> None:
    bad = dataclasses.replace(APPLIANCE, size="huge", root_password="Secr3t~one", sso_password="secret two")
    with pytest.raises(BadInput) as caught:
        template.build(bad)
    shown = "\n".join(caught.value.lines()) + repr(bad)
    assert not [word for word in ("Secr3t~one", "secret two", "Esx!Pass1") if word in shown]


_WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=24)


@given(password=_WORDS)
@settings(max_examples=300)
def test_a_password_that_paver_takes_is_taken_by_the_installer(password: str) -> None:
    if passwords.check("vcenter", password):
        return
    assert vcsa_template.password_faults(password) == []


@given(
    st.sampled_from(sorted(field.name for field in dataclasses.fields(APPLIANCE) if field.type == "str")),
    _WORDS,
)
@settings(max_examples=300)
def test_whatever_paver_accepts_the_installer_accepts(key: str, value: str) -> None:
    change: dict[str, Any] = {key: value}
    changed = dataclasses.replace(APPLIANCE, **change)
    if template.faults(changed):
        return
    vcsa_template.read(json.loads(template.to_json(changed)))


def test_a_thumbprint_is_the_sha1_of_the_certificate() -> None:
    assert template.thumbprint(b"certificate") == (
        "73:5A:D5:71:C1:89:D7:BA:84:46:4B:F4:A9:F1:D2:28:01:75:B1:28"
    )


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("__version", "2.3.0", "version '2.3.0' is not supported"),
        ("__version", ..., "version None is not supported"),
        ("target.vcsa", {}, "not supported"),
        ("new_vcsa/esxi/hostname", ..., "'hostname' is missing"),
        ("new_vcsa/esxi/datastore", ..., "exactly one of 'datastore'"),
        ("new_vcsa/esxi/port", 443, "'port' is not recognized"),
        ("new_vcsa/network/prefix", 24, "prefix is not of type 'string'"),
        ("new_vcsa/network/prefix", "64", "is not a prefix"),
        ("new_vcsa/network/system_name", "vcsa", "fully qualified"),
        ("new_vcsa/network/system_name", "10.20.0.9", "other than the appliance's"),
        ("new_vcsa/network/dns_servers", "10.20.0.10", "not of type 'array'"),
        ("new_vcsa/network/dns_servers", [], "at least one"),
        ("new_vcsa/network/gateway", ..., "requires gateway"),
        ("new_vcsa/appliance/deployment_option", "mini", "'mini' is not one of"),
        ("new_vcsa/appliance/thin_disk_mode", "true", "not of type 'boolean'"),
        ("new_vcsa/os/password", "short", "between 8 and 20"),
        ("new_vcsa/os/password", "nouppercase1!", "uppercase"),
        ("new_vcsa/os/time_tools_sync", True, "exactly one of 'ntp_servers'"),
        ("new_vcsa/os/ntp_servers", ..., "exactly one of 'ntp_servers'"),
        ("new_vcsa/sso/domain_name", "local", "is not a domain name"),
        ("new_vcsa/sso", ..., "section 'sso' is missing"),
        ("ceip", ..., "section 'ceip' is missing"),
        ("new_vcsa/esxi/ssl_certificate_verification", {"verification_mode": "ON"}, "verification_mode"),
    ],
)
def test_the_installer_refuses_a_template_that_breaks_its_rules(path: str, value: Any, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        vcsa_template.read(_changed(path, value))


def test_the_installer_passes_over_comments_and_ovftools_arguments() -> None:
    raw = _changed("__comments", "for the demo")
    raw["new_vcsa"]["ovftool_arguments"] = {"X": "anything"}
    raw["new_vcsa"]["os"]["ntp_servers"] = "10.20.0.10, 10.20.0.9"
    assert vcsa_template.read(raw).ntp == ("10.20.0.10", "10.20.0.9")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_PATHS = ["new_vcsa", "ceip", "new_vcsa/esxi", "new_vcsa/network"] + [
    f"new_vcsa/{section}/{key}" for section, keys in GOOD["new_vcsa"].items() for key in keys
]


@given(st.sampled_from(_PATHS), _JSON)
@settings(max_examples=300)
def test_the_installer_takes_or_refuses_any_json(path: str, value: Any) -> None:
    with contextlib.suppress(TemplateError):
        assert vcsa_template.read(_changed(path, value)).host
