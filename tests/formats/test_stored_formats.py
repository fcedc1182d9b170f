"""What an early paver wrote is read forever: plan, journal, contract, ledger, record, mark. The samples are never written anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from paver.driver import Endpoint, Mark, ResourceId, Verb
from paver.drivers.vsphere import ledger
from paver.engine import plan as plans
from paver.errors import BadInput, PaverError
from paver.foundation import record
from paver.foundation.director import ledger as director_ledger
from paver.foundation.object_store import user
from paver.sealed.seen import Seen
from paver.signing import canonical, chain

HERE = Path(__file__).parent
PLAN = HERE / "plan-1" / "plan.json"
JOURNAL = HERE / "journal-1" / "journal.jsonl"
CONTRACT = HERE / "contract-1" / "contract.json"
SCHEMA = Path(record.__file__).parent / "handover" / "contract.schema.json"


def test_a_stored_plan_reads_and_is_the_same_bytes_when_written_again() -> None:
    plan = plans.loads(PLAN.read_bytes())
    assert plan.dumps() == PLAN.read_bytes()
    assert plan.digest == "e5b786bbb9d5ed4f2444b7125da58c6a6a693f30cb0deeb3eeb727385c725a5f"
    assert plan.site == "lab-north"
    assert plan.phases[0] == "trust"
    port_group = next(one for one in plan.actions if one.resource == "vsphere.port-group:esx-01/bosh")
    assert (port_group.verb, port_group.planned["vlan"], port_group.endpoint) == (
        Verb.CREATE,
        30,
        "host:esx-01",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"vlan":30', '"vlan":31'),
        ('"vlan":30', '"vlan":30.0'),
        ('"vlan":30', '"vlan":30,"vlan":30'),
        ('"mode":"apply"', '"mode":"apply","more":1'),
        ('"schema":"paver.plan/1"', '"schema":"paver.plan/2"'),
    ],
    ids=["another value", "a float", "a key twice", "an unknown key", "another version"],
)
def test_a_plan_that_is_not_what_was_written_is_refused(old: str, new: str) -> None:
    text = PLAN.read_text()
    assert old in text
    with pytest.raises(BadInput):
        plans.loads(text.replace(old, new, 1).encode())


def test_a_stored_journal_holds_and_its_head_is_the_one_that_was_printed() -> None:
    head = chain.verify(JOURNAL.read_bytes())
    assert (head.lines, head.digest) == (
        122,
        "344f9b71ccac63aa01fc536674a53067b8ad509b69dfb7d27c9ce537f65daefe",
    )
    events = [json.loads(line)["event"] for line in JOURNAL.read_text().splitlines()]
    assert (events[0], events[-1]) == ("opened", "closed")


def test_a_stored_journal_without_one_of_its_lines_does_not_hold() -> None:
    lines = JOURNAL.read_bytes().splitlines(keepends=True)
    for number in range(len(lines) - 1):
        with pytest.raises(chain.ChainError):
            chain.verify(b"".join(lines[:number] + lines[number + 1 :]))


def test_a_stored_contract_is_valid_against_todays_schema() -> None:
    contract = canonical.loads_exact(CONTRACT.read_bytes().rstrip(b"\n"))
    jsonschema.validate(contract, json.loads(SCHEMA.read_text()))


def test_a_stored_ledger_of_a_host_reads_and_is_the_same_bytes_when_written_again() -> None:
    data = LEDGER.read_bytes()
    book = ledger.loads(data, datastore="datastore1", where="the sample")
    assert book.dumps() == data
    entry = book.get("vsphere.port-group:esx-01/bosh")
    assert entry is not None
    assert entry.complete
    assert entry.address == {"name": "bosh"}


LEDGER = HERE / "ledger-1" / "esx-01.json"
RECORD = HERE / "record-1" / "push.json"
POLICY = HERE / "policy-mark-1" / "paver-team-main.json"
DIRECTORS = HERE / "director-ledger-1" / "lab-north.json"
WRONG = ["a float", "a key twice", "an unknown key", "an unknown key inside", "another version"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"complete": true', '"complete": 1.0'),
        ('"complete": true', '"complete": true, "complete": false'),
        ('"schema"', '"more": 1, "schema"'),
        ('"complete": true', '"complete": true, "more": 1'),
        ("paver.ledger/1", "paver.ledger/2"),
    ],
    ids=WRONG,
)
def test_a_ledger_that_is_not_what_was_written_is_refused(old: str, new: str) -> None:
    text = LEDGER.read_text()
    assert old in text
    with pytest.raises(PaverError, match="the sample"):
        ledger.loads(text.replace(old, new, 1).encode(), datastore="datastore1", where="the sample")


def test_the_mark_in_a_stored_policy_reads() -> None:
    found = user.mark_of(json.loads(POLICY.read_text()))
    assert found == Mark(
        "lab-north",
        ResourceId("s3.user:team-main"),
        "344f9b71ccac63aa01fc536674a53067b8ad509b69dfb7d27c9ce537f65daefe",
        complete=True,
    )


def test_a_stored_ledger_of_a_director_reads() -> None:
    entries = director_ledger.loads(DIRECTORS.read_text(), "lab-north")
    found = director_ledger.mark(
        "lab-north", "bosh.config:cloud/default", entries["bosh.config:cloud/default"]
    )
    assert found is not None
    assert (found.site, found.complete) == ("lab-north", True)
    assert entries["bosh.deployment:object-store"]["holds"]["versions"]["tls"] == "7a1d4e685e2f0c9b"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"complete":true', '"complete":1.0'),
        ('"complete":true', '"complete":true,"complete":false'),
        ('"schema"', '"more":1,"schema"'),
        ('"complete":true', '"complete":true,"more":1'),
        ("paver.director-ledger/1", "paver.director-ledger/2"),
    ],
    ids=WRONG,
)
def test_a_directors_ledger_that_is_not_what_was_written_is_refused(old: str, new: str) -> None:
    text = DIRECTORS.read_text()
    assert old in text
    with pytest.raises(PaverError, match="the director's config lab-north of type paver"):
        director_ledger.loads(text.replace(old, new, 1), "lab-north")


class _Sample:
    site = "lab-north"

    def __init__(self, data: bytes) -> None:
        self._data = data

    def session(self, at: Endpoint[Any, Any]) -> _Sample:
        del at
        return self

    def read_file(self, path: str) -> bytes:
        assert path.endswith("/lab-north/proof.registry/push.json")
        return self._data


def recorded(data: bytes) -> record.Record | None:
    world: Any = _Sample(data)
    return record.read(world, Endpoint("machine:jumpbox"), ResourceId("proof.registry:push"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"complete":true', '"complete":1.0'),
        ('"complete":true', '"complete":true,"complete":false'),
        ('"schema"', '"more":1,"schema"'),
        ('"complete":true', '"complete":true,"more":1'),
        ("paver.record/1", "paver.record/2"),
    ],
    ids=WRONG,
)
def test_a_record_that_is_not_what_was_written_is_refused(old: str, new: str) -> None:
    text = RECORD.read_text()
    assert old in text
    with pytest.raises(PaverError, match=r"push\.json"):
        recorded(text.replace(old, new, 1).encode())


def test_a_stored_record_reads() -> None:
    found = recorded(RECORD.read_bytes())
    assert found is not None
    assert (found.mark.site, found.mark.complete) == ("lab-north", True)
    assert found.wish["of"]["release"] == "3.5.2"


def test_the_mark_of_a_stored_vm_reads_and_is_the_same_text_when_written_again() -> None:
    text = (HERE / "mark-1" / "mark.json").read_text()
    mark = Mark.loads(text)
    assert mark is not None
    assert (mark.site, mark.id, mark.complete) == ("lab-north", "vsphere.jumpbox:jumpbox", True)
    assert mark.dumps() == text


def test_the_stored_memory_of_a_sealed_store_holds_to_it() -> None:
    held = Seen(HERE / "seen-1" / "seen.json").held()
    assert held == {"minimum": 7, "store": "5e2f0c9b7a1d4e68"}
