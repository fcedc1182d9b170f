"""The console's form, driven through a pseudo-terminal as a person would: what it asks, refuses, applies, shows."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import os
import pty
import select
import threading
from collections.abc import Iterator
from ipaddress import IPv4Interface
from pathlib import Path
from typing import IO, Any

import pytest

from paver.appliance import answers, console, ended, terminal
from paver.appliance.console import Form
from paver.appliance.machine import Machine
from paver.appliance.terminal import ChangedElsewhere
from paver.errors import PaverError
from tests.support import room
from tests.support.room import Room

PASSWORD = "correct horse battery"
KEY = f"{room.HOST_KEY} me"
TO_THE_KEY = ["10.20.0.10/24", "", "", "", ""]
"""Address; gateway, DNS, NTP and name as they stand there."""


@dataclasses.dataclass
class Person:
    """Somebody before the form: waits for words, types a line."""

    screen: int
    seen: str = ""
    _at: int = 0

    def waits_for(self, words: str) -> str:
        while words not in self.seen[self._at :]:
            assert select.select([self.screen], [], [], 20)[0], f"no {words!r} in {self.seen[self._at :]!r}"
            self.seen += os.read(self.screen, 4096).decode().replace("\r\n", "\n")
        before = self.seen[self._at :]
        self._at += before.index(words) + len(words)
        return before

    def types(self, line: str) -> None:
        os.write(self.screen, f"{line}\n".encode())

    def fills_in(self, *lines: str) -> None:
        prompts = ("Address/prefix", "Gateway", "DNS servers", "NTP servers", "Name")
        for prompt, line in zip(prompts, lines, strict=True):
            self.waits_for(prompt)
            self.waits_for(": ")
            self.types(line)
        self.waits_for("SSH public key")
        self.waits_for(": ")


@contextlib.contextmanager
def opened(machine: Machine, *, on_console: bool = False) -> Iterator[tuple[Person, list[Any]]]:
    """Yields a person before the form, and how the form ended once the block is left."""
    screen, end = pty.openpty()
    results: list[Any] = []

    def show() -> None:
        try:
            results.append(Form(machine, on_console=on_console, source=end, sink=end).show())
        except (EOFError, ChangedElsewhere, PaverError) as error:
            results.append(error)
        finally:
            os.close(end)

    thread = threading.Thread(target=show)
    thread.start()
    closed = False
    try:
        yield Person(screen), results
    except BaseException:
        closed = True
        os.close(screen)
        raise
    finally:
        thread.join(20)
        if not closed:
            os.close(screen)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    """A machine whose network answers nothing: whatever the form looks at is told as it is."""
    monkeypatch.setattr("paver.appliance.machine._answers", lambda *_: False)
    return room.make(tmp_path)


def machine(made: Room) -> Machine:
    return Machine(made.root, made.run)


def test_a_form_that_was_filled_in_makes_the_machine_so_and_shows_how_to_get_in(made: Room) -> None:
    with opened(machine(made)) as (person, results):
        person.fills_in(*TO_THE_KEY)
        person.types(KEY)
        person.waits_for("Apply this?")
        person.types("yes")
        person.waits_for("Done.")
        person.waits_for("sudo paver-bootstrap")
    assert results == [0]
    assert room.FINGERPRINT in person.seen
    assert "ssh paver@10.20.0.10" in person.seen
    assert "Address=10.20.0.10/24" in made.read("etc/systemd/network/10-paver-console.network")
    assert "Gateway=10.20.0.1" in made.read("etc/systemd/network/10-paver-console.network")
    keys = made.root / "home/paver/.ssh/authorized_keys"
    assert keys.read_text() == f"{KEY}\n"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert made.began("networkctl", "reconfigure", "ens192")
    assert made.began("usermod", "--password", "!", "paver")
    assert made.began("systemctl", "reload-or-restart", "ssh.service")
    found = ended.read(made.root)
    assert found is not None
    assert (found.way, found.address, found.prefix, found.fingerprint) == (
        "console", "10.20.0.10", 24, room.FINGERPRINT,
    )  # fmt: skip


def test_nothing_is_changed_before_somebody_says_yes(made: Room) -> None:
    with opened(machine(made)) as (person, _):
        person.fills_in(*TO_THE_KEY)
        person.types(KEY)
        person.waits_for("Apply this?")
        person.types("maybe")
        person.waits_for("maybe is none of these")
        person.waits_for("Apply this?")
        assert made.ran == []
        assert not (made.root / "etc/systemd").exists()
        person.types("yes")
        person.waits_for("sudo paver-bootstrap")
    assert made.ran


def test_a_wrong_answer_is_told_and_asked_again(made: Room) -> None:
    with opened(machine(made)) as (person, _):
        person.waits_for("Address/prefix: ")
        person.types("10.20.0.10")
        person.waits_for("!! 10.20.0.10 has no prefix length")
        person.waits_for("Address/prefix: ")
        person.types("10.20.0.10/24")
        person.waits_for("Gateway [10.20.0.1]: ")
        person.types("10.20.9.1")
        person.waits_for("!! 10.20.9.1 is not in 10.20.0.0/24")
        person.waits_for("Gateway [10.20.0.1]: ")
        person.types("-")
        for prompt in ("DNS servers", "NTP servers", "Name"):
            person.waits_for(prompt)
            person.types("")
        person.waits_for("SSH public key")
        person.types(KEY)
        person.waits_for("3  gateway     none")
        person.waits_for("Apply this?")
        person.types("yes")
        person.waits_for("sudo paver-bootstrap")
    assert "Gateway=" not in made.read("etc/systemd/network/10-paver-console.network")


def test_one_line_can_be_changed_from_the_summary(made: Room) -> None:
    with opened(machine(made)) as (person, _):
        person.fills_in(*TO_THE_KEY)
        person.types(KEY)
        person.waits_for("Apply this?")
        person.types("6")
        person.waits_for("Name [paver-jumpbox]: ")
        person.types("jump.north.example")
        person.waits_for("6  name        jump.north.example")
        person.waits_for("Apply this?")
        person.types("yes")
        person.waits_for("sudo paver-bootstrap")
    assert made.read("etc/hostname") == "jump\n"
    assert "10.20.0.10 jump.north.example jump\n" in made.read("etc/hosts")


def test_a_password_is_typed_twice_and_shown_nowhere(made: Room) -> None:
    with opened(machine(made)) as (person, _):
        person.fills_in(*TO_THE_KEY)
        person.types("")
        for again in ("something else here", PASSWORD):
            person.waits_for("Password for paver (is not shown): ")
            person.types(PASSWORD)
            person.waits_for("The same again: ")
            person.types(again)
            if again != PASSWORD:
                person.waits_for("the two are not the same")
                person.waits_for("SSH public key")
                person.types("")
        person.waits_for("Apply this?")
        person.types("yes")
        person.waits_for("sudo paver-bootstrap")
    assert PASSWORD not in person.seen
    assert made.given["chpasswd"] == f"paver:{PASSWORD}\n"
    assert not any(PASSWORD in word for argv in made.ran for word in argv)
    assert "PasswordAuthentication yes" in made.read("etc/ssh/sshd_config.d/10-paver-console.conf")
    assert PASSWORD not in made.read(ended.FILE)


def test_a_password_takes_the_place_of_the_key_that_was_let_in_before(made: Room) -> None:
    keys = made.root / "home/paver/.ssh/authorized_keys"
    given = answers.Answers(
        card="00:50:56:01:02:03",
        address=IPv4Interface("10.20.0.10/24"),
        gateway=None,
        dns=(),
        ntp=(),
        name="jumpbox",
        key=KEY,
    )
    machine(made).apply(given, lambda _: None)
    assert keys.read_text() == f"{KEY}\n"
    machine(made).apply(dataclasses.replace(given, key=None, password=PASSWORD), lambda _: None)
    assert not keys.exists()
    assert made.given["chpasswd"] == f"paver:{PASSWORD}\n"


def test_the_form_opens_again_with_what_was_said_and_keeps_who_may_log_in(made: Room) -> None:
    for address in ("10.20.0.10/24", "10.20.0.99/24"):
        with opened(machine(made)) as (person, _):
            first = address == "10.20.0.10/24"
            person.waits_for("Address/prefix: " if first else "Address/prefix [10.20.0.10/24]: ")
            person.types(address)
            for prompt in ("Gateway", "DNS servers", "NTP servers", "Name"):
                person.waits_for(prompt)
                person.types("")
            person.waits_for("SSH public key")
            person.types(KEY if first else "-")
            person.waits_for("Apply this?")
            person.types("yes")
            person.waits_for("sudo paver-bootstrap")
    assert made.read("home/paver/.ssh/authorized_keys") == f"{KEY}\n"
    assert "Address=10.20.0.99/24" in made.read("etc/systemd/network/10-paver-console.network")


def test_a_part_that_fails_is_told_the_mark_is_not_set_and_nothing_has_to_be_typed_again(made: Room) -> None:
    made.prints["networkctl reload"] = PaverError("`networkctl reload` ended with 1", seen="no such thing")
    with opened(machine(made), on_console=True) as (person, _):
        person.fills_in(*TO_THE_KEY)
        person.types(KEY)
        person.waits_for("Apply this?")
        person.types("yes")
        person.waits_for("no such thing")
        person.waits_for("Not all of it is done")
        person.waits_for("Address/prefix [10.20.0.10/24]: ")
        assert ended.read(made.root) is None
        del made.prints["networkctl reload"]
        person.types("")
        for prompt in ("Gateway", "DNS servers", "NTP servers", "Name"):
            person.waits_for(prompt)
            person.types("")
        person.waits_for("SSH public key")
        person.types("-")
        person.waits_for("Apply this?")
        person.types("yes")
        person.waits_for("Enter opens the form again")
        person.waits_for(":")
        person.types("login")
    assert ended.read(made.root) is not None
    assert made.read("home/paver/.ssh/authorized_keys") == f"{KEY}\n"


def test_time_servers_start_the_daemon_and_without_any_it_is_stopped_again(made: Room) -> None:
    wants = made.root / "etc/systemd/system/multi-user.target.wants/chrony.service"
    for servers, verbs in (("10.20.0.5", {"enable", "restart"}), ("-", {"disable", "stop"}), ("-", set())):
        made.ran.clear()
        with opened(machine(made)) as (person, _):
            for prompt in ("Address/prefix", "Gateway", "DNS servers", "NTP servers", "Name"):
                person.waits_for(prompt)
                person.waits_for(": ")
                person.types({"Address/prefix": "10.20.0.10/24", "NTP servers": servers}.get(prompt, ""))
            person.waits_for("SSH public key")
            person.types(KEY)
            person.waits_for("Apply this?")
            person.types("yes")
            person.waits_for("sudo paver-bootstrap")
        done = {argv[-2] for argv in made.ran if argv[0] == "systemctl" and argv[-1] == "chrony.service"}
        assert done == verbs
        assert (made.root / "etc/chrony/sources.d/paver-console.sources").exists() == ("enable" in verbs)
        wants.parent.mkdir(parents=True, exist_ok=True)
        wants.unlink(missing_ok=True)
        if "enable" in verbs:
            wants.symlink_to("/usr/lib/systemd/system/chrony.service")


def test_what_the_other_console_did_ends_this_one_and_is_not_written_over(made: Room) -> None:
    with opened(machine(made)) as (person, results):
        person.waits_for("Address/prefix")
        ended.write(
            made.root,
            ended.Ended(way="console", machine=room.MACHINE, address="10.9.9.9", prefix=24, fingerprint=None),
        )
    assert isinstance(results[0], ChangedElsewhere)
    assert "networkctl" not in [argv[0] for argv in made.ran]


def test_what_the_other_console_did_while_yes_was_typed_is_not_written_over(
    made: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It ends at the answer, not at a look before that: nobody would be there to take it.
    monkeypatch.setattr(terminal, "_LOOK", 60.0)
    with opened(machine(made)) as (person, results):
        person.fills_in(*TO_THE_KEY)
        person.types(KEY)
        person.waits_for("Apply this?")
        other = ended.Ended(
            way="console", machine=room.MACHINE, address="10.9.9.9", prefix=24, fingerprint=None
        )
        ended.write(made.root, other)
        person.types("yes")
    assert isinstance(results[0], ChangedElsewhere)
    assert ended.read(made.root) == other
    assert made.ran == []


def test_what_the_other_console_did_while_this_one_waited_for_it_is_not_written_over(
    made: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ended.Ended(way="console", machine=room.MACHINE, address="10.9.9.9", prefix=24, fingerprint=None)
    taken = fcntl.flock

    def waits(held: IO[str], how: int) -> None:
        assert how == fcntl.LOCK_EX
        ended.write(made.root, other)
        taken(held, how)

    monkeypatch.setattr(fcntl, "flock", waits)
    # It looks at the mark no more than there: nothing else sees the other one.
    monkeypatch.setattr(terminal, "_LOOK", 60.0)
    with opened(machine(made)) as (person, results):
        person.fills_in(*TO_THE_KEY)
        person.types(KEY)
        person.waits_for("Apply this?")
        person.types("yes")
    assert isinstance(results[0], ChangedElsewhere)
    assert ended.read(made.root) == other
    assert made.ran == []


def the_command(made: Room, monkeypatch: pytest.MonkeyPatch, stops: str, *argv: str) -> tuple[int, str]:
    """Runs `paver-console` before a person who fills it in and types Ctrl-C where `stops` is run or asked."""
    end, sink = os.pipe()
    screen, told = os.pipe()
    runs = made.run

    def run(*command: str, stdin: str = "", timeout: float = 0) -> str:
        if " ".join(command).startswith(stops):
            raise KeyboardInterrupt
        return runs(*command, stdin=stdin, timeout=timeout)

    made.run = run  # type: ignore[method-assign]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(console, "Machine", lambda: machine(made))
    monkeypatch.setattr(console, "Form", functools.partial(Form, source=end, sink=told))
    os.write(sink, "\n".join([*TO_THE_KEY, KEY, "yes", ""]).encode())
    os.close(sink)
    try:
        code = console.main(argv)
        return code, os.read(screen, 65536).decode()
    finally:
        for descriptor in (end, told, screen):
            os.close(descriptor)


@pytest.mark.parametrize(
    ("stops", "said"),
    [
        ("networkctl reload", "Not all of it is done"),
        ("systemctl reload-or-restart ssh", "Not all of it is done"),
        ("nothing", ""),
    ],
)
def test_stopped_while_it_changes_the_machine_it_does_not_say_that_nothing_was_changed(
    made: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stops: str, said: str
) -> None:
    code, shown = the_command(made, monkeypatch, stops)
    told = capsys.readouterr().out
    assert (code, said in told) == (130 if said else 0, True)
    assert "Nothing was changed" not in told
    assert ("Done" in shown) != bool(said)
    assert (ended.read(made.root) is None) == bool(said)


def test_stopped_before_that_nothing_was_changed_and_it_says_so(
    made: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Machine, "cards", stopped)
    assert the_command(made, monkeypatch, "nothing")[0] == 130
    assert "Nothing was changed." in capsys.readouterr().out
    assert made.ran == []


def test_stopped_after_that_it_says_that_it_is_done(
    made: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "write_issue", stopped)
    assert the_command(made, monkeypatch, "nothing")[0] == 130
    assert ended.read(made.root) is not None
    assert "It is done." in capsys.readouterr().out


def test_on_a_console_the_end_of_its_line_has_the_unit_start_anew(
    made: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = the_command(made, monkeypatch, "networkctl reload", "--on-console")
    assert code == 75
    assert "Not all of it is done" in capsys.readouterr().out


def test_whoever_is_not_root_gets_no_form(
    made: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert console.main([]) == 4
    assert "sudo paver-console" in capsys.readouterr().err
    assert made.ran == []


def test_a_console_that_is_open_shows_how_to_get_in_until_somebody_logged_in(made: Room) -> None:
    found = ended.Ended(
        way="console", machine=room.MACHINE, address="10.20.0.10", prefix=24, fingerprint=room.FINGERPRINT
    )
    ended.write(made.root, found)
    with opened(machine(made), on_console=True) as (person, results):
        person.waits_for(room.FINGERPRINT)
        person.waits_for("Enter opens the form again")
        made.prints["journalctl"] = "Accepted publickey for paver from 10.20.0.1\n"
        person.types("")
        person.waits_for("This form is closed")
    assert results == [0]
    closed = ended.read(made.root)
    assert closed is not None
    assert closed.closed
    made.prints["journalctl"] = PaverError("the journal is gone")
    with opened(machine(made), on_console=True) as (person, results):
        person.waits_for("This form is closed")
    assert results == [0]


def test_a_line_that_was_cut_ends_the_form_and_changes_nothing(made: Room) -> None:
    source, sink = os.pipe()
    other, screen = os.pipe()
    os.close(sink)
    with pytest.raises(EOFError):
        Form(machine(made), on_console=True, source=source, sink=screen).show()
    for descriptor in (source, other, screen):
        os.close(descriptor)
    assert made.ran == []


def test_what_was_wrong_with_the_data_stands_above_the_form(made: Room) -> None:
    made.write(console.PROBLEMS, "guestinfo.metadata: it is not gzip+base64\n")
    with opened(machine(made)) as (person, _):
        person.waits_for("!! guestinfo.metadata: it is not gzip+base64")
        person.fills_in(*TO_THE_KEY)
        person.types(KEY)
        person.waits_for("Apply this?")
        person.types("yes")
        person.waits_for("sudo paver-bootstrap")
    assert not (made.root / console.PROBLEMS).exists()
