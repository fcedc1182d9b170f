"""The envelopes of single sign-on: what is asked is what arrives, a token stays as it came, faults are named."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from paver.transport.vsphere import sso_soap
from paver.transport.vsphere.sso_soap import Fault, Reference

NOW = dt.datetime(2026, 11, 23, 16, 0, 0, 7000, tzinfo=dt.UTC)
MANAGER = Reference("SsoAdminPrincipalManagementService", "principalManagementService")
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=40)

TOKEN = (
    '<saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1" Version="2.0">'
    "<saml2:Issuer>https://vcsa\n</saml2:Issuer><ds:SignatureValue xmlns:ds='x'>AA&amp;=\n</ds:SignatureValue>"
    "</saml2:Assertion>"
)


def answer(body: str) -> str:
    return (
        '<?xml version="1.0"?><S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<S:Body>{body}</S:Body></S:Envelope>"
    )


def texts(envelope: str) -> dict[str, str]:
    return {
        element.tag.rpartition("}")[2]: element.text or ""
        for element in ElementTree.fromstring(envelope).iter()
    }


@given(user=TEXT, password=TEXT)
def test_name_and_password_arrive_as_they_are(user: str, password: str) -> None:
    found = texts(sso_soap.issue(user, password, NOW))
    assert (found["Username"], found["Password"]) == (user, password)


def test_a_token_is_asked_for_the_bearer_and_for_a_few_minutes() -> None:
    asked = sso_soap.issue("administrator@vsphere.local", "secret", NOW)
    assert "/200512/Bearer</KeyType>" in asked
    assert re.findall(r"<wsu:Created[^>]*>([^<]*)<", asked) == ["2026-11-23T16:00:00.007Z"] * 2
    assert re.findall(r"<wsu:Expires[^>]*>([^<]*)<", asked) == [
        "2026-11-23T16:01:00.007Z",
        "2026-11-23T16:05:00.007Z",
    ]


def test_a_token_is_taken_byte_for_byte_since_it_is_signed() -> None:
    for prefix in ("", "wst:"):
        given_back = answer(
            f"<{prefix}RequestedSecurityToken>{TOKEN}</{prefix}RequestedSecurityToken><Lifetime/>"
        )
        assert sso_soap.token_in(given_back) == TOKEN
    assert TOKEN in sso_soap.login(Reference("SsoSessionManager", "ssoSessionManager"), TOKEN, NOW)


def test_an_answer_without_a_token_has_none() -> None:
    assert sso_soap.token_in(answer("<Fault/>")) is None


@given(name=TEXT, description=TEXT)
def test_arguments_arrive_as_they_are(name: str, description: str) -> None:
    arguments = {"userName": name, "userDetails": {"description": description}}
    sent = sso_soap.call(MANAGER, "UpdateLocalPersonUserDetails", arguments)
    found = texts(sent)
    assert (found["userName"], found["description"]) == (name, description)
    assert found["_this"] == "principalManagementService"


def test_a_fault_is_named_by_its_class() -> None:
    detail = (
        "<S:Fault><faultcode>S:Server</faultcode><faultstring>No.</faultstring><detail>"
        '<SsoAdminFaultPasswordPolicyViolationFaultFault xmlns="urn:sso"/></detail></S:Fault>'
    )
    assert sso_soap.fault_in(answer(detail)) == Fault("SsoAdminFaultPasswordPolicyViolation", "No.")


def test_a_fault_without_detail_is_named_by_its_code() -> None:
    plain = (
        "<S:Fault><faultcode xmlns:ns0='t'>ns0:FailedAuthentication</faultcode>"
        "<faultstring>Invalid credentials</faultstring></S:Fault>"
    )
    assert sso_soap.fault_in(answer(plain)) == Fault("FailedAuthentication", "Invalid credentials")


def test_an_answer_is_no_fault() -> None:
    assert sso_soap.fault_in(answer("<LoginResponse/>")) is None


@given(text=st.text(max_size=80))
def test_whatever_a_server_answers_there_is_a_fault_or_a_body(text: str) -> None:
    for body in (text, answer(re.sub(r"[^\w ]", "", text))):
        fault = sso_soap.fault_in(body)
        assert fault is None or fault.name


def test_users_are_read_by_their_local_names() -> None:
    found: Any = sso_soap.result(
        answer(
            '<FindPersonUserResponse xmlns="urn:sso"><returnval><id><name>bosh-cpi</name></id>'
            "<details><description>of paver</description></details></returnval></FindPersonUserResponse>"
        )
    )
    (user,) = sso_soap.children(found, "returnval")
    assert sso_soap.text_of(user, "id", "name") == "bosh-cpi"
    assert sso_soap.text_of(user, "details", "description") == "of paver"
    assert sso_soap.text_of(user, "details", "emailAddress") == ""
