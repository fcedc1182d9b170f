"""DNS and time of a site: the files that are written, what is read of them, and how servers are asked."""

from __future__ import annotations

import dataclasses
import json
import socket
import struct
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.driver import JUMPBOX_ENDPOINT, Endpoint, Mark, ResourceId, Unobservable
from paver.engine.diff import changes
from paver.machine.site_services import ask, dns, probe
from paver.machine.site_services import clock as site_clock
from paver.machine.site_services import time as site_time
from paver.transport import files
from paver.transport.machine import Host, MachineReader
from paver.transport.shell import Input, Output, Ran, Shell

MACHINE: Endpoint[Any, Any] = Endpoint(JUMPBOX_ENDPOINT)
MARK = Mark("north", ResourceId("site.dns:jumpbox"), "a1", complete=True)
RECORDS = (("esx-01.north.example", "10.20.0.11"), ("vcsa.north.example", "10.20.0.20"))

DNS = dns.SiteDns(
    id=ResourceId("site.dns:jumpbox"),
    phase="site-services",
    at=MACHINE,
    zone="north.example",
    listens="10.20.0.10",
    records=RECORDS,
    forwarders=("192.0.2.1",),
)
NTP = site_time.SiteNtp(
    id=ResourceId("site.ntp:jumpbox"),
    phase="site-services",
    at=MACHINE,
    listens="10.20.0.10",
    allowed=("10.20.0.0/24", "10.30.0.0/24"),
)


def no_version(_: object) -> None:
    return None


def test_a_zone_that_was_written_is_read_back_without_a_change() -> None:
    facts = dns.parse(DNS.text(MARK), running=True)
    assert facts.mark == MARK
    assert changes(DNS, facts, no_version) == ()


def test_a_time_server_that_was_written_is_read_back_without_a_change() -> None:
    facts = site_time.parse(NTP.text(MARK), running=True)
    assert facts.mark == MARK
    assert changes(NTP, facts, no_version) == ()


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("vcsa.north.example,10.20.0.20", "vcsa.north.example,10.20.0.99", "records"),
        ("host-record=esx-01.north.example,10.20.0.11\n", "", "records"),
        ("local=/north.example/", "local=/south.example/", "zone"),
        ("server=192.0.2.1\n", "", "forwarders"),
        ("no-resolv\n", "", "extra"),
        ("no-hosts\n", "no-hosts\naddn-hosts=/etc/more\n", "extra"),
        ("listen-address=10.20.0.10", "listen-address=10.20.0.9", "listens"),
    ],
)
def test_a_line_that_someone_changes_in_the_zone_is_seen(before: str, after: str, field: str) -> None:
    text = DNS.text(MARK)
    assert before in text
    found = changes(DNS, dns.parse(text.replace(before, after), running=True), no_version)
    assert [change.field for change in found] == [field]


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("allow 10.30.0.0/24\n", "", "allowed"),
        ("local stratum 10", "local stratum 3", "stratum"),
        ("rtcsync\n", "rtcsync\npool ntp.example iburst\n", "extra"),
        ("makestep 1 3\n", "", "extra"),
    ],
)
def test_a_line_that_someone_changes_in_the_time_server_is_seen(before: str, after: str, field: str) -> None:
    text = NTP.text(MARK)
    assert before in text
    found = changes(NTP, site_time.parse(text.replace(before, after), running=True), no_version)
    assert [change.field for change in found] == [field]


def test_a_daemon_that_does_not_run_is_a_change() -> None:
    assert [c.field for c in changes(DNS, dns.parse(DNS.text(MARK), running=False), no_version)] == [
        "running"
    ]


def test_a_file_without_a_mark_is_foreign() -> None:
    text = "\n".join(line for line in DNS.text(MARK).splitlines() if "paver.mark" not in line)
    assert dns.parse(text, running=True).mark is None


# Asking ------------------------------------------------------------------------------------------------------


def answer(number: int, asked: bytes, records: list[bytes], *, flags: int = 0x8580) -> bytes:
    return struct.pack(">6H", number, flags, 1, len(records), 0, 0) + asked[12:] + b"".join(records)


def a_record(address: str) -> bytes:
    return b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, 60, 4) + socket.inet_aton(address)


def test_an_address_is_read_through_a_compressed_name() -> None:
    asked = ask.question("vcsa.north.example", 7)
    assert ask.answers(answer(7, asked, [a_record("10.20.0.20")]), 7) == ["10.20.0.20"]


def test_a_name_is_read_from_a_reverse_answer() -> None:
    asked = ask.question("10.20.0.20", 7)
    assert b"\x0220\x010\x0220\x0210\x07in-addr\x04arpa\0" in asked
    name = b"\x04VCSA\x05north\x07example\0"
    record = b"\xc0\x0c" + struct.pack(">2HIH", 12, 1, 60, len(name)) + name
    assert ask.answers(answer(7, asked, [record]), 7) == ["vcsa.north.example"]


def test_a_name_that_does_not_exist_is_an_answer_and_a_refusal_is_none() -> None:
    asked = ask.question("nobody.north.example", 7)
    assert ask.answers(answer(7, asked, [], flags=0x8583), 7) == []
    assert ask.answers(answer(7, asked, [], flags=0x8585), 7) is None
    assert ask.answers(answer(8, asked, []), 7) is None
    assert ask.answers(asked, 7) is None


@given(st.binary(max_size=200))
def test_any_datagram_is_an_answer_or_none(data: bytes) -> None:
    for message in (data, answer(7, ask.question("a.b", 7), [data])):
        try:
            found = ask.answers(message, 7)
        except (ValueError, IndexError, struct.error):
            continue
        assert found is None or isinstance(found, list)


def test_a_name_that_goes_in_a_circle_ends() -> None:
    with pytest.raises(ValueError, match="circle"):
        ask.name_at(b"\xc0\x00", 0)


def ntp(stratum: int, leap: int = 0) -> bytes:
    return bytes([leap << 6 | 0x24, stratum]) + bytes(38) + struct.pack(">2I", ask.UNIX_IN_NTP + 1000, 0)


def test_a_server_that_knows_the_time_tells_stratum_and_offset() -> None:
    assert ask.tells(ntp(10), 998.5) == {"stratum": 10, "offset_ms": 1500}


@pytest.mark.parametrize("data", [b"", ntp(0), ntp(16), ntp(2, leap=3), ntp(2)[:40]])
def test_a_server_that_does_not_know_the_time_tells_nothing(data: bytes) -> None:
    assert ask.tells(data, 998.5) is None


class Saying:
    """A shell on which every program prints the same."""

    local = True

    def __init__(self, out: bytes) -> None:
        self.out = out
        self.argv: tuple[str, ...] = ()

    def run(
        self, argv: Sequence[str], *, stdin: Input = b"", timeout: float, on_output: Output | None = None
    ) -> Ran:
        """Prints it; see `Shell.run`."""
        del stdin, timeout, on_output
        self.argv = tuple(argv)
        return Ran(self.argv, 0, self.out, b"")

    def close(self) -> None:
        """Has nothing to hang up."""


def machine_on(shell: Shell) -> MachineReader:
    return MachineReader(
        Host("jumpbox", shell, (), sys.executable, "/jobs", "/scratch", 60, files.DirectFiles("jumpbox"))
    )


def test_what_is_wrong_with_names_is_said_in_words() -> None:
    said = {
        "a.north.example": ["10.20.0.1"],
        "10.20.0.1": [],
        "b.north.example": ["10.20.0.9"],
        "10.20.0.2": None,
    }
    machine = machine_on(Saying(json.dumps(said).encode()))
    wanted = [("a.north.example", "10.20.0.1"), ("b.north.example", "10.20.0.2")]
    assert probe.wrong_names(machine, "10.20.0.53", wanted) == (
        "10.20.0.53 says that 10.20.0.1 is unknown, not a.north.example",
        "10.20.0.53 says that b.north.example is 10.20.0.9, not 10.20.0.2",
        "10.20.0.53 says nothing of 10.20.0.2",
    )


def test_what_is_asked_is_sent_to_the_machine_and_is_no_argument_of_a_program_there() -> None:
    shell = Saying(b'{"10.20.0.10": null}')
    assert probe.wrong_times(machine_on(shell), ["10.20.0.10"]) == ("10.20.0.10 does not tell the time",)
    assert shell.argv[-2:] == ("time", "10.20.0.10")
    assert "Asks name servers" not in "".join(shell.argv)


@pytest.mark.parametrize("out", [b"Welcome to jumpbox!\n{}", b"{}", b"[]", b""])
def test_what_is_no_answer_of_the_program_that_was_sent_is_told_as_such(out: bytes) -> None:
    with pytest.raises(Unobservable, match=r"10\.20\.0\.10 was to be asked, and something else answered"):
        probe.wrong_times(machine_on(Saying(out)), ["10.20.0.10"])


def holds(wish: Any, machine: MachineReader) -> bool:
    """Whether every proof of a wish holds on a machine."""
    world: Any = SimpleNamespace(session=lambda _: machine)
    return all(check.ok for check in wish.checks(world, None))


def test_the_zones_proof_is_that_every_name_is_known() -> None:
    known = {text: [other] for record in RECORDS for text, other in (record, record[::-1])}
    assert holds(DNS, machine_on(Saying(json.dumps(known).encode())))
    assert not holds(DNS, machine_on(Saying(json.dumps({**known, "10.20.0.20": []}).encode())))


def test_the_time_servers_proof_is_that_the_time_is_told() -> None:
    assert holds(NTP, machine_on(Saying(b'{"10.20.0.10": {"stratum": 10, "offset_ms": 0}}')))
    assert not holds(NTP, machine_on(Saying(b'{"10.20.0.10": null}')))


class Chrony:
    """A machine whose chrony tells the time, whatever its file says."""

    name = "jumpbox"

    def __init__(self, **files: bytes) -> None:
        self.files = dict(files)

    def read_file(self, path: str) -> bytes | None:
        return self.files.get(path)

    def write_file(self, path: str, data: bytes, *_: object) -> None:
        self.files[path] = data

    def mkdir(self, *_: object) -> None:
        """It is there."""

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def service(self, *_: object) -> None:
        """It runs."""


def test_the_distributions_time_server_is_kept_from_the_first_write_on_and_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "wrong_times", lambda *_: ())
    machine = Chrony(**{site_time.FILE: b"pool 2.debian.pool.ntp.org iburst\n"})
    before = dict(machine.files)
    world: Any = SimpleNamespace(
        writing=lambda _: machine, mark=lambda *, complete: dataclasses.replace(MARK, complete=complete)
    )
    for _ in range(2):
        NTP.create(world)
        assert machine.files[site_time.KEPT] == before[site_time.FILE]
        assert b"local stratum 10" in machine.files[site_time.FILE]
    site_time.SiteNtp.delete(world, MACHINE, site_time.parse(NTP.text(MARK), running=True))
    assert machine.files == before


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"a": {"stratum": 2, "offset_ms": 40}, "b": {"stratum": 2, "offset_ms": 900_000}}, ()),
        ({"a": {"stratum": 2, "offset_ms": -7000}, "b": None}, ("a is 7 s behind jumpbox",)),
        ({"a": {"stratum": 2, "offset_ms": 7000}, "b": None}, ("a is 7 s ahead of jumpbox",)),
        ({"a": None, "b": None}, ("a does not tell the time", "b does not tell the time")),
    ],
)
def test_a_clock_is_right_where_it_goes_as_one_of_its_servers(
    said: dict[str, Any], wrong: tuple[str, ...]
) -> None:
    assert probe.apart(machine_on(Saying(json.dumps(said).encode())), said) == wrong


CLOCK = site_clock.ClockFollows(
    id=ResourceId("site.clock:jumpbox"),
    phase="site-services",
    at=MACHINE,
    servers=("10.20.0.54", "ntp.north.example"),
)


@pytest.mark.parametrize("by_hand", [b"", b"server 10.20.0.55 iburst\n"], ids=["none", "some"])
def test_servers_are_named_to_chrony_and_those_of_the_consoles_form_stay(
    monkeypatch: pytest.MonkeyPatch, by_hand: bytes
) -> None:
    monkeypatch.setattr(probe, "apart", lambda *_: ())
    machine = Chrony(**({site_clock.BY_HAND: by_hand} if by_hand else {}))
    before, asked = dict(machine.files), []
    monkeypatch.setattr(machine, "service", lambda _, verb: asked.append(verb))
    world: Any = SimpleNamespace(
        writing=lambda _: machine, mark=lambda *, complete: dataclasses.replace(MARK, complete=complete)
    )
    CLOCK.create(world)
    facts = site_clock.parse(machine.files[site_clock.FILE].decode(), running=True)
    assert changes(CLOCK, facts, no_version) == ()
    assert facts.mark == dataclasses.replace(MARK, complete=True)
    assert asked == ["enable", "restart"]
    site_clock.ClockFollows.delete(world, MACHINE, facts)
    assert machine.files == before
    assert asked[2:] == (["restart"] if by_hand else ["disable", "stop"])


def test_a_clocks_proof_is_that_it_goes_as_a_servers() -> None:
    assert holds(
        CLOCK,
        machine_on(Saying(b'{"10.20.0.54": {"stratum": 2, "offset_ms": 3}, "ntp.north.example": null}')),
    )
    assert not holds(
        CLOCK,
        machine_on(Saying(b'{"10.20.0.54": {"stratum": 2, "offset_ms": 9000}, "ntp.north.example": null}')),
    )
