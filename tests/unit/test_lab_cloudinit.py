"""What the lab's jumpbox makes of guestinfo is what cloud-init would make of it, refusals included."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.lab.room import cloudinit

MACS = ("00:50:56:aa:bb:cc", "00:50:56:aa:bb:dd")
USERDATA = '#cloud-config\nusers: [default, {name: paver, ssh_authorized_keys: [k], sudo: "ALL"}]\n'


def network(**card: Any) -> dict[str, Any]:
    wished = {"match": {"macaddress": MACS[0].upper()}, "addresses": ["10.20.0.10/24"], **card}
    return {"version": 2, "ethernets": {"nic0": wished}}


def seed(net: Any = None, userdata: str = USERDATA, **metadata: Any) -> cloudinit.Seed:
    document = {
        "instance-id": "i-1",
        "local-hostname": "jumpbox",
        "network": network() if net is None else net,
    }
    return cloudinit.seed(
        {"guestinfo.metadata": json.dumps({**document, **metadata}), "guestinfo.userdata": userdata}, MACS
    )


def test_users_network_and_names_are_taken() -> None:
    found = seed(network(nameservers={"addresses": ["10.20.0.2"], "search": ["north.example"]}))
    assert found.users == (cloudinit.User("paver", ("k",), sudo=True),)
    assert found.cards == (cloudinit.Card(MACS[0], ("10.20.0.10/24",), ("10.20.0.2",), ("north.example",)),)
    assert (found.instance, found.hostname, found.warnings) == ("i-1", "jumpbox", ())


@pytest.mark.parametrize("encoding", ["base64", "b64", "gzip+base64", "gz+b64"])
def test_values_come_in_every_encoding_that_the_data_source_knows(encoding: str) -> None:
    def encoded(text: str) -> str:
        raw = gzip.compress(text.encode()) if encoding.startswith("gz") else text.encode()
        return base64.b64encode(raw).decode()

    guestinfo = {
        "guestinfo.metadata": encoded(
            json.dumps({"network": encoded(json.dumps(network())), "network.encoding": encoding})
        ),
        "guestinfo.metadata.encoding": encoding,
        "guestinfo.userdata": encoded(USERDATA),
        "guestinfo.userdata.encoding": encoding,
    }
    found = cloudinit.seed(guestinfo, MACS)
    assert found.warnings == ()
    assert found.cards
    assert found.users


def test_the_network_may_stand_below_config() -> None:
    assert seed({"config": network()}).cards == seed().cards


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({"routes": [{"to": "default", "via": "10.20.0.1"}]}, "crashes on a route"),
        ({"match": {"name": "e*"}}, "name the card"),
        ({"match": {"macaddress": "00:50:56:00:00:00"}}, "no card has the MAC address"),
        ({"match": {"name": "eth7"}}, "no card is called"),
        ({"addresses": ["10.20.0.10"]}, "prefix length"),
        ({"addresses": ["10.20.0.300/24"]}, "does not appear to be"),
        ({"nameservers": {"addresses": ["dns.example"]}}, "does not appear to be"),
    ],
)
def test_what_breaks_the_real_renderer_leaves_no_network(card: dict[str, Any], words: str) -> None:
    found = seed(network(**card))
    assert found.cards == ()
    assert words in found.warnings[0]


@pytest.mark.parametrize("match", [{"name": "ens192"}, {"driver": "vmxnet3"}])
def test_the_first_card_may_be_named(match: dict[str, str]) -> None:
    assert seed(network(match=match)).cards[0].mac == MACS[0]


@pytest.mark.parametrize("bad", [{"version": 1}, "- a list", [], None])
def test_another_network_is_none(bad: Any) -> None:
    found = cloudinit.seed({"guestinfo.metadata": json.dumps({"network": bad})}, MACS)
    assert found.cards == ()
    assert found.warnings


@pytest.mark.parametrize(
    "userdata", ["", "users: [{name: paver}]", "#cloud-config\nusers: [", "#cloud-config\n- a", "#!/bin/sh"]
)
def test_bad_user_data_makes_no_user(userdata: str) -> None:
    found = seed(userdata=userdata)
    assert found.users == ()
    assert found.warnings
    assert found.cards


def test_files_are_written_in_their_encodings_and_the_rest_is_named_as_ignored() -> None:
    packed = base64.b64encode(gzip.compress(b"zipped")).decode()
    files = [
        {"path": "/etc/paver/a", "content": "text", "permissions": "0600"},
        {
            "path": "/etc/paver/b",
            "content": base64.b64encode(b"\x00raw").decode(),
            "encoding": "b64",
            "append": True,
        },
        {"path": "/etc/paver/c", "content": packed, "encoding": "gz+b64"},
        {"path": "/etc/paver/d", "content": "%%%", "encoding": "b64"},
        {"content": "nowhere"},
    ]
    found = seed(userdata="#cloud-config\n" + json.dumps({"write_files": files, "runcmd": ["reboot"]}))
    assert [(file.content, file.mode, file.append) for file in found.files] == [
        (b"text", 0o600, False),
        (b"\x00raw", 0o644, True),
        (b"zipped", 0o644, False),
    ]
    assert len(found.warnings) == 2
    assert found.ignored == ("runcmd: not acted upon by the lab",)


@given(
    st.dictionaries(
        st.sampled_from(["guestinfo.metadata", "guestinfo.userdata", "guestinfo.metadata.encoding"]),
        st.text(),
    )
)
def test_any_text_makes_a_seed(guestinfo: dict[str, str]) -> None:
    assert isinstance(cloudinit.seed(guestinfo, MACS), cloudinit.Seed)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
KEYS = (
    "users",
    "write_files",
    "network",
    "ssh_keys",
    "hostname",
    "local-hostname",
    "instance-id",
    "ethernets",
    "version",
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES), st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_any_document_makes_a_seed(metadata: dict[str, Any], userdata: dict[str, Any]) -> None:
    net = {"version": 2, "ethernets": metadata.pop("ethernets", None)}
    guestinfo = {
        "guestinfo.metadata": json.dumps({"network": net, **metadata}),
        "guestinfo.userdata": "#cloud-config\n" + json.dumps(userdata),
    }
    assert isinstance(cloudinit.seed(guestinfo, MACS), cloudinit.Seed)
