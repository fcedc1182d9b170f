"""What is typed at a first boot: read as it was meant, or refused in words; and the files that are made of it."""

from __future__ import annotations

import ipaddress
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.appliance import answers, render
from paver.appliance.answers import Answers
from paver.errors import BadInput
from tests.support import room

OWN = ipaddress.IPv4Interface("10.20.0.10/24")


def gateway(text: str) -> Any:
    return answers.gateway(text, OWN)


READERS: list[Callable[[str], Any]] = [
    answers.address,
    gateway,
    answers.dns,
    answers.ntp,
    answers.name,
    answers.key,
    answers.password,
]
WHOLE = Answers(
    card=room.MAC,
    address=OWN,
    gateway=ipaddress.IPv4Address("10.20.0.1"),
    dns=(ipaddress.IPv4Address("10.20.0.5"),),
    ntp=("ntp.north.example",),
    name="jumpbox.north.example",
    key=f"{room.HOST_KEY} me",
)


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (answers.address, " 10.20.0.10/24 ", OWN),
        (answers.address, "10.20.0.10/255.255.255.0", OWN),
        (answers.address, "10.20.0.10 255.255.255.0", OWN),
        (gateway, "10.20.0.1", ipaddress.IPv4Address("10.20.0.1")),
        (gateway, "-", None),
        (answers.dns, "10.20.0.5, 10.20.0.6 10.20.0.5", (*WHOLE.dns, ipaddress.IPv4Address("10.20.0.6"))),
        (answers.dns, "", ()),
        (answers.ntp, "ntp.corp.example 10.20.0.5", ("ntp.corp.example", "10.20.0.5")),
        (answers.name, "JumpBox.North.Example.", "jumpbox.north.example"),
        (answers.key, f"  {room.HOST_KEY}   me@here ", f"{room.HOST_KEY} me@here"),
    ],
)
def test_an_answer_is_read_as_it_was_meant(reader: Callable[[str], Any], text: str, value: object) -> None:
    assert reader(text) == value


@pytest.mark.parametrize(
    ("reader", "text", "words"),
    [
        (answers.address, "10.20.0.10", "has no prefix length"),
        (answers.address, "10.20.0.300/24", "is not an IPv4 address"),
        (answers.address, "10.20.0.10/33", "neither a prefix length nor a netmask"),
        (answers.address, "10.20.0.10/31", "leaves no room"),
        (answers.address, "10.20.0.0/24", "the name of the network"),
        (answers.address, "10.20.0.255/24", "broadcast"),
        (answers.address, "127.0.0.1/8", "loopback"),
        (answers.address, "224.0.0.5/24", "multicast"),
        (answers.address, "169.254.3.4/16", "link-local"),
        (answers.address, "fe80::1/64", "IPv6"),
        (gateway, "10.20.1.1", "is not in 10.20.0.0/24"),
        (gateway, "10.20.0.10", "is the machine itself"),
        (answers.dns, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4", "too many"),
        (answers.dns, "dns.example", "is not an IPv4 address"),
        (answers.dns, "127.0.0.53", "no server's address"),
        (answers.ntp, "10.20.0", "is not an IPv4 address"),
        (answers.ntp, "ntp_1.example", "neither a name nor an address"),
        (answers.name, "", "has a name"),
        (answers.name, "-a.example", "can't be a part of a name"),
        (answers.name, "10.20.0.10", "looks like an address"),
        (answers.name, "localhost", "every machine's name"),
        (answers.key, "-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        (answers.key, room.HOST_KEY[:-6], "cut short or damaged"),
        (answers.key, "ssh-ed25519 \u00fc", "cut short or damaged"),
        (answers.key, "hello", "not a public SSH key"),
        (answers.password, "short", "it has 5 characters"),
        (answers.password, "aaaaaaaaaaaaaaaa", "the same few characters"),
        (answers.password, "hunter2hunter\x1b[A", "no keyboard types again"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_in_words(
    reader: Callable[[str], Any], text: str, words: str
) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        reader(text)
    assert refused.value.do


@given(st.text(max_size=60), st.sampled_from(READERS))
def test_whatever_is_typed_is_read_or_refused_in_one_printable_line(text: str, reader: Any) -> None:
    said: list[str] = []
    try:
        reader(text)
    except BadInput as refused:
        said = refused.lines()
    assert all(line.isprintable() for line in said), said


@given(st.text(string.digits + "./ ", max_size=24))
def test_an_address_that_is_taken_is_one_that_a_machine_can_have(text: str) -> None:
    try:
        found = answers.address(text)
    except BadInput:
        return
    assert (
        found.ip in list(found.network.hosts()) if found.network.prefixlen > 20 else found.ip in found.network
    )
    assert found.ip.is_multicast is False
    assert found.ip.is_loopback is False


@given(st.integers(0, 2**32 - 1), st.integers(8, 30), st.integers(0, 2**32 - 1))
def test_a_gateway_that_is_taken_is_another_machine_of_the_same_network(
    own: int, prefix: int, other: int
) -> None:
    try:
        address = answers.address(f"{ipaddress.IPv4Address(own)}/{prefix}")
        first = int(address.network.network_address)
        found = answers.gateway(
            str(ipaddress.IPv4Address(first + other % address.network.num_addresses)), address
        )
    except BadInput:
        return
    assert found is not None
    assert found in address.network
    assert found not in {address.ip, address.network.network_address, address.network.broadcast_address}


@given(st.text(string.ascii_letters + string.digits + "-._ ", max_size=80))
def test_a_name_that_is_taken_can_stand_in_the_files_and_reads_again_as_itself(text: str) -> None:
    try:
        found = answers.name(text)
    except BadInput:
        return
    assert answers.name(found) == found
    assert set(found) <= set(string.ascii_lowercase + string.digits + "-.")
    assert all(0 < len(label) <= 63 for label in found.split("."))


def test_no_message_shows_a_password() -> None:
    for text in ("Geheim!", "Geheim!\x07aaaaaaaaaaaa"):
        with pytest.raises(BadInput) as refused:
            answers.password(text)
        assert "Geheim" not in str(refused.value.lines())
    assert "Geheim" not in repr(Answers(**{**vars(WHOLE), "password": "Geheim!Geheim!"}))


def test_the_network_is_the_answers_and_nothing_that_asks_around() -> None:
    lines = render.network(WHOLE).splitlines()
    assert f"MACAddress={room.MAC}" in lines
    assert [line for line in lines if line.startswith(("Address=", "Gateway=", "DNS=", "Domains="))] == [
        "Address=10.20.0.10/24",
        "Gateway=10.20.0.1",
        "DNS=10.20.0.5",
        "Domains=north.example",
    ]
    assert {"DHCP=no", "LinkLocalAddressing=no", "IPv6AcceptRA=no"} <= set(lines)


def test_a_password_opens_ssh_for_passwords_and_a_key_closes_it_again() -> None:
    by_key, by_password = (
        render.files(WHOLE),
        render.files(Answers(**{**vars(WHOLE), "key": None, "password": "Geheim!Geheim!"})),
    )
    assert by_key[render.SSHD][0] == ""
    assert "PasswordAuthentication yes" in by_password[render.SSHD][0]
    assert render.SSHD not in render.files(Answers(**{**vars(WHOLE), "key": None}))
    assert not [text for text, _ in by_password.values() if "Geheim" in text]
