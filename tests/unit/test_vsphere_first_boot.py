"""What the jumpbox is told at its first boot: read back as it was written, small, and without anything secret."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.drivers.vsphere.jumpbox import facts, first_boot
from paver.errors import BadInput
from paver.lab.room import cloudinit
from paver.machine.first_boot import FirstBoot
from paver.signing import public_line

BOOT = FirstBoot(
    hostname="jumpbox",
    domain="north.example",
    user="paver",
    keys=("ssh-ed25519 AAAA alice", "ssh-ed25519 BBBB"),
    address="10.20.0.10",
    prefix=24,
    gateway="10.20.0.1",
    dns=("10.20.0.10",),
    mac="00:50:56:01:02:03",
)


def test_what_is_written_is_read_back() -> None:
    assert first_boot.read(first_boot.guestinfo(BOOT)) == BOOT


def test_the_same_wish_gives_the_same_bytes() -> None:
    assert first_boot.guestinfo(BOOT) == first_boot.guestinfo(dataclasses.replace(BOOT))


def test_cloud_init_makes_of_it_what_is_meant() -> None:
    seed = cloudinit.seed(first_boot.guestinfo(BOOT), (BOOT.mac,))
    assert seed.warnings == ()
    assert seed.hostname == "jumpbox"
    (card,) = seed.cards
    assert (card.mac, card.addresses, card.nameservers) == (BOOT.mac, ("10.20.0.10/24",), ("10.20.0.10",))
    (user,) = seed.users
    assert (user.name, user.keys, user.sudo) == ("paver", BOOT.keys, True)


def test_a_vm_that_paver_did_not_tell_anything_says_nothing() -> None:
    assert first_boot.read({}) is None
    assert first_boot.read({"guestinfo.metadata": "instance-id: x"}) is None


@pytest.mark.parametrize("key", ["guestinfo.metadata", "guestinfo.userdata"])
def test_what_was_redacted_or_changed_by_others_is_no_error(key: str) -> None:
    extra = first_boot.guestinfo(BOOT)
    other = base64.b64encode(gzip.compress(json.dumps({"network": []}).encode())).decode()
    for value in ("---", "", other, extra[key][:-8]):
        assert first_boot.read({**extra, key: value}) is None


def test_more_keys_than_a_vmx_takes_are_refused() -> None:
    # Digests do not compress, and so are like real keys.
    keys = tuple(f"ssh-rsa {hashlib.sha512(b'%d' % number).hexdigest()}" for number in range(800))
    with pytest.raises(BadInput, match=r"does not fit into guestinfo\.userdata"):
        first_boot.guestinfo(dataclasses.replace(BOOT, keys=keys))


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_a_machines_address_lies_in_the_range_for_manual_ones(site: str, machine: str) -> None:
    mac = first_boot.mac_of(site, machine)
    assert re.fullmatch(r"00:50:56:[0-3][0-9a-f]:[0-9a-f]{2}:[0-9a-f]{2}", mac)
    assert mac == first_boot.mac_of(site, machine)


def test_two_sites_have_two_addresses() -> None:
    assert first_boot.mac_of("north", "jumpbox") != first_boot.mac_of("south", "jumpbox")


def published(text: str) -> dict[str, str]:
    return {public_line.PUBLISHED: base64.b64encode(text.encode()).decode()}


def test_host_keys_are_taken_without_their_comments_in_one_order() -> None:
    lines = "ssh-rsa BBBB root@image\nssh-ed25519 AAAA root@image\n\n"
    assert facts.host_keys(published(lines)) == ("ssh-ed25519 AAAA", "ssh-rsa BBBB")


@pytest.mark.parametrize("value", ["", "not base64!", base64.b64encode(b"\xff\xfe").decode(), "AAAA"])
def test_what_is_no_host_key_counts_as_none_yet(value: str) -> None:
    assert facts.host_keys({public_line.PUBLISHED: value}) is None
