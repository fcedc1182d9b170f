"""The verbs that look: status, verify, preflight, ports, contract, drivers, version."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Check, Finding, Grade, Secret
from paver.errors import Unobservable
from paver.runs import reach
from paver.runs.folder import SiteFolder
from paver.transport.context import Wire
from paver.transport.logins import LoginError
from paver.trust.vault import Sealed
from tests.support import packed
from tests.support.command import Command, Machine
from tests.support.memory import memory
from tests.support.ran import Ran, refused


def test_what_belongs_to_a_command_inside_the_lab_is_not_taken_for_pavers(site: Command) -> None:
    ran = site.run("lab", "shell", "--dir", "none", "--", "paver", "plan", "--json")
    assert (ran.code, ran.out) == (1, "")


def test_status_tells_who_runs_what_is_pending_and_how_to_get_in(site: Command) -> None:
    ran = site.run("status")
    assert ran.code == 2
    assert "last run  none from this machine" in ran.out
    assert "changes pending" in ran.out
    assert "paver@10.20.0.10" in ran.out
    site.fine("apply", "--yes")
    ran = site.fine("status")
    assert "as wished: 4 resources" in ran.out
    assert "last run  done" in ran.out
    assert "the next to end is authority root" in ran.out
    assert "lab-north.sealed: `paver secrets list`" in ran.out
    with SiteFolder(site.folder / ".paver", "lab-north").locked("paver apply"):
        assert "running   paver apply, process" in site.fine("status", "--quick").out


def test_status_as_json_has_no_secret_and_names_where_each_is(site: Command) -> None:
    site.fine("apply", "--yes")
    found = site.fine("status", "--json").json
    assert found["pending"] == 0
    assert found["last_run"]["state"] == "done"
    assert {"name": "director", "secret": "director-admin"}.items() <= next(
        door for door in found["doors"] if door["name"] == "director"
    ).items()


def test_a_login_that_is_refused_is_a_failure_for_each_verb_that_looks_as_the_table_of_exit_codes_says(
    site: Command,
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise LoginError("esx-01 refuses the login of root")

    site.patch.setattr(memory.Box, "discover", refused)
    assert {verb: site.run(verb).code for verb in ("status", "plan", "verify")} == dict.fromkeys(
        ("status", "plan", "verify"), 1
    )
    page = (Path(__file__).parents[3] / "docs" / "reference" / "exit-codes.md").read_text()
    bad_input = {
        cells[1].strip(): cells[5] for line in page.splitlines() if len(cells := line.split("|")) == 8
    }
    assert {verb for verb, said in bad_input.items() if "password" in said} == {"`preflight`"}


def test_a_site_that_cannot_be_asked_hides_nothing_else(site: Command) -> None:
    site.room.rmdir()
    ran = site.run("status")
    assert ran.code == 1
    assert "not known: the shelf" in ran.out
    assert "ways in" in ran.out


def test_verify_holds_fails_or_differs(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site.run("verify").code == 2
    site.fine("apply", "--yes")
    ran = site.fine("verify")
    assert re.fullmatch(r"\d+ hold\n", ran.out)
    things = site.things("left")
    things["one"]["size"] = 8
    site.put("left", things)
    ran = site.run("verify")
    assert ran.code == 2
    assert "other: size" in ran.out

    def checks(_self: object, _world: object, _facts: object) -> Iterator[Check]:
        yield Check("it is light", ok=False, seen="8 kg")

    monkeypatch.setattr(memory.Box, "checks", checks)
    ran = site.run("verify", "--json")
    assert ran.code == 1
    assert {"check": "it is light", "state": "fails", "seen": "8 kg"}.items() <= next(
        proof for proof in ran.json["proofs"] if proof["state"] == "fails"
    ).items()


def test_what_cannot_be_proven_is_never_taken_for_proven(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fine("apply", "--yes")

    def checks(_self: object, _world: object, _facts: object) -> Iterator[Check]:
        raise Unobservable("the scales do not answer")
        yield

    monkeypatch.setattr(memory.Box, "checks", checks)
    ran = site.run("verify", "--json")
    assert (ran.code, ran.json["exit"]) == (1, 1)
    unseen = [proof for proof in ran.json["proofs"] if proof["state"] == "unseen"]
    assert {proof["seen"] for proof in unseen} == {"the scales do not answer"}
    assert {proof["state"] for proof in ran.json["proofs"]} == {"holds", "unseen"}


def test_verify_writes_nothing(site: Command) -> None:
    site.fine("apply", "--yes")
    before = {path.name: path.read_bytes() for path in site.room.iterdir()}
    site.fine("verify")
    assert {path.name: path.read_bytes() for path in site.room.iterdir()} == before


def test_the_contract_is_read_from_the_jumpbox(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.dumps({"schema": "paver.contract/1"}).encode()
    machine = Machine({"/var/lib/paver/sites/lab-north/contract.json": document})
    monkeypatch.setattr(reach, "jumpbox", lambda _session: machine)
    assert site.fine("contract").json == {"schema": "paver.contract/1"}
    machine.files.clear()
    ran = site.run("contract")
    assert ran.code == 1
    assert "has no contract yet" in ran.err
    monkeypatch.setattr(reach, "jumpbox", lambda _session: None)
    assert "has no jumpbox yet" in site.run("contract").err


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMtK5uFBddXOUn+TcNn1bMl3WEVK4+DZ3cQFm/RcO2xs"


def with_host_keys(keys: object, ip: str = "10.20.0.10") -> bytes:
    return json.dumps({"jumpbox": {"host_keys": keys, "ip": ip}, "schema": "paver.contract/1"}).encode()


def known_hosts(site: Command, monkeypatch: pytest.MonkeyPatch, contract: bytes) -> Ran:
    machine = Machine({"/var/lib/paver/sites/lab-north/contract.json": contract})
    monkeypatch.setattr(reach, "jumpbox", lambda _session: machine)
    return site.run("contract", "--known-hosts")


@pytest.mark.parametrize("keys", [[HOST_KEY], [f"{HOST_KEY} root@jumpbox"], HOST_KEY])
def test_known_hosts_are_the_contracts_keys_for_the_site_files_address_alone(
    site: Command, monkeypatch: pytest.MonkeyPatch, keys: object
) -> None:
    ran = known_hosts(site, monkeypatch, with_host_keys(keys, ip="git.example"))
    assert ran.out == f"10.20.0.10 {HOST_KEY}\n"


@pytest.mark.parametrize(
    "key",
    [
        f"{HOST_KEY}\n* {HOST_KEY}",
        f"{HOST_KEY[:-8]}\n",
        HOST_KEY[:-8],
        "ssh-rsa" + HOST_KEY.removeprefix("ssh-ed25519"),
        f"* {HOST_KEY}",
        "ssh-nothing " + base64.b64encode(b"\0\0\0\x0bssh-nothing\0\0\0\1x").decode(),
        7,
    ],
)
def test_a_host_key_that_is_not_one_whole_key_in_a_line_goes_into_no_known_hosts(
    site: Command, monkeypatch: pytest.MonkeyPatch, key: object
) -> None:
    ran = known_hosts(site, monkeypatch, with_host_keys([HOST_KEY, key]))
    assert (ran.code, ran.out) == (1, "")
    assert "was changed there" in ran.err


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"schema":"paver.contract/2"}', b"[" * 100_000])
def test_what_is_no_contract_of_this_version_is_told_and_not_printed(
    site: Command, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    ran = known_hosts(site, monkeypatch, data)
    assert (ran.code, ran.out) == (1, "")
    assert "the contract on the jumpbox is damaged" in ran.err
    assert site.run("contract").out == ""


def test_preflight_ends_as_the_worst_that_it_found(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    packed.write(site.folder / "bucc.tar")
    found: list[Finding] = []
    monkeypatch.setattr(memory.MemoryDriver, "preflight", lambda *_: iter(found), raising=False)
    ran = site.fine("preflight")
    assert "BUCC artefact" in ran.out
    assert "opens it" in ran.out
    for grade, code in (
        (Grade.WARNING, 2),
        (Grade.UNREACHABLE, 1),
        (Grade.REFUSED, 4),
        (Grade.INPUT, 3),
    ):
        found.append(Finding(subject="rack", check="door", grade=grade, seen="open", do="close it"))
        assert site.run("preflight").code == code
        assert site.run("preflight", "--json").json["exit"] == code
    assert "  do    close it" in site.run("preflight").out


def test_an_artefact_that_could_not_be_unpacked_is_in_the_way_with_what_to_do(site: Command) -> None:
    (site.folder / "bucc.tar").write_text("hi\n")
    ran = site.run("preflight")
    assert ran.code == 3
    told = ran.out.partition("✗ files: BUCC artefact: ")[2].splitlines()
    assert told[:3] == [
        "bucc.tar is no tar archive",
        r"  why   it begins with b'hi\n'",
        "  do    name the right file in bucc.artefact, or fetch it again; docs/reference/bucc-artefact.md says what is in one",
    ]


def test_of_a_key_file_that_is_lost_preflight_says_what_a_command_that_needs_it_says(site: Command) -> None:
    (site.folder / "site.key").unlink()
    words = ("secrets.key: file:site.key, which is not there", "bring it back from its copy")
    looked = site.run("preflight")
    assert looked.code == 3
    assert all(word in looked.out for word in words), looked.out
    assert "secrets init" not in looked.out
    refused(site.run("apply", "--yes"), 3, *words)


def test_a_plan_that_needs_a_lost_key_names_it(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan needs it for what is dialled, which is nothing here but this."""
    (site.folder / "site.key").unlink()

    def connect(_: Sealed, wire: Wire) -> object:
        return wire.reveal(Secret("esx-root"))

    monkeypatch.setattr(Sealed, "connect", connect)
    for verb in ("plan", "verify"):
        refused(
            site.run(verb), 3, "to open secret:esx-root", "secrets.key: file:site.key, which is not there"
        )


def test_preflight_shows_pins_whole_only_when_asked(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = "sha256:" + ":".join(["ab"] * 32)
    finding = Finding(subject="esx-01", check="certificate", grade=Grade.INPUT, seen=pin, wanted="sha256:00")
    monkeypatch.setattr(memory.MemoryDriver, "preflight", lambda *_: iter([finding]), raising=False)
    assert pin not in site.run("preflight").out
    shown = site.run("preflight", "--show-pins").out
    assert f"esx-01: {{fingerprint: {pin}}}" in shown
    assert shown.count(pin) == 1, "the whole of it stands where it is copied from, and nowhere else"


def test_at_the_jumpbox_what_was_brought_there_before_is_not_asked_for_beside_the_site_file(
    site: Command,
) -> None:
    found = {item["check"]: item for item in site.run("preflight", "--json").json["findings"]}
    assert found["BUCC artefact"]["grade"] == "input"
    ran = site.run("preflight", "--station", "jumpbox", "--json")
    found = {item["check"]: item for item in ran.json["findings"]}
    assert found["BUCC artefact"]["grade"] == "warning"
    assert ran.code == 2


def test_preflight_names_everything_that_is_missing_at_once(site: Command) -> None:
    (site.folder / "site.key").unlink()
    ran = site.run("preflight", "--json")
    assert ran.code == 3
    bad = {(one["subject"], one["check"]) for one in ran.json["findings"] if one["grade"] == "input"}
    assert bad == {("sealed store", "key"), ("files", "BUCC artefact")}


def test_a_pipeline_with_fractions_times_and_dates_is_planned(whole: Command) -> None:
    pipelines = "\nservices:\n  concourse: {teams: {main: {pipelines: {one: {file: own}}}}}\n"
    whole.site.write_text(whole.site.read_text().replace("\nservices:\n", pipelines))
    params = "{RATIO: 0.5, GO: 1.20, START: 1:30, DAY: 2026-11-29}"
    (whole.folder / "own").write_text(f"jobs: [{{name: one, plan: [{{task: t, params: {params}}}]}}]\n")
    ran = whole.run("plan", "--offline", "--out", "it.plan")
    assert ran.code == 2, ran.err
    planned = (whole.folder / "it.plan").read_text()
    assert '"RATIO":{"number":"0.5"}' in planned
    assert '"START":"1:30"' in planned
    assert '"DAY":"2026-11-29"' in planned


def test_ports_of_a_driver_that_does_not_say_are_those_of_what_stands_on_it(site: Command) -> None:
    rows = site.fine("ports", "--json").json["rows"]
    assert ("jumpbox", "director", 25555) in {(row["source"], row["target"], row["port"]) for row in rows}


def test_drivers_are_listed_with_kinds_and_calls(site: Command) -> None:
    assert "memory.box" in site.fine("drivers").out
    (driver,) = site.fine("drivers", "--json").json["drivers"]
    box = next(kind for kind in driver["kinds"] if kind["kind"] == "memory.box")
    assert box["calls"]["delete"] == ["remove"]


def test_what_comes_with_any_driver_is_listed_with_its_calls_too(site: Command) -> None:
    listed = {
        kind["kind"]: kind for one in site.fine("drivers", "--json").json["with_any"] for kind in one["kinds"]
    }
    assert listed["trust.authority"]["calls"]["create"] == ["seal:put"]
    assert listed["s3.bucket"]["calls"]["delete"] == [
        "file:remove",
        "s3:delete_bucket",
        "s3:put_bucket_tagging",
    ]
    told = site.fine("drivers", "--calls").out
    assert "foundation · with any driver · bucc, services, handover" in told
    assert all(f"  {kind} " in told for kind in listed)
    assert "delete   file:remove, s3:delete_bucket, s3:put_bucket_tagging" in told


def test_the_version_is_told_and_for_support_the_formats_too(site: Command) -> None:
    assert site.fine("version").out.startswith("paver ")
    assert site.fine("version", "--json").json["formats"]["plan"] == "paver.plan/1"
