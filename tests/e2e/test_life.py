"""A site's life: from bare hosts to a platform, through drift and repair, and back to what was there before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.crash import oracle
from tests.e2e.conftest import Life
from tests.support.place import HOSTS, NAME, Place, edited, lines, verbs
from tests.support.ran import refused
from tests.support.waiting import until

pytestmark = pytest.mark.lab

RESIDUE = {
    # AddHost replaces it by one of vCenter's own authority, and nobody can put the old one back: its key is gone.
    "certificate",
    # AddHost makes the account by which vCenter acts on a host; the appliance goes without taking it back.
    "users",
}
"""What a destroyed site leaves on a host."""
STAYING = {
    # Given by the user, so not paver's to forget.
    "esx-root",
    # The residue above, remembered: without it nobody would know a host again whose certificate vCenter replaced.
    *(f"host-{host}-certificate" for host in HOSTS),
}
"""What it leaves in the sealed store."""


def test_a_finished_site_has_nothing_to_do(finished: Place) -> None:
    trace = finished.trace()
    again = finished.paver("apply", "--yes")
    assert "nothing to do" in again.out
    assert not trace.writes()


def test_its_contract_is_valid_against_its_schema(finished: Place) -> None:
    schema = finished.paver("contract", "--schema").json
    contract = finished.paver("contract").json
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(contract, schema)
    assert contract["meta"]["site"] == NAME


def test_everything_that_was_made_is_proven_again(finished: Place) -> None:
    trace = finished.trace()
    proofs = finished.paver("verify", "--json").json
    assert proofs
    assert not trace.writes()


def test_a_vlan_that_somebody_changed_is_named_by_the_plan_and_repaired_by_the_apply(finished: Place) -> None:
    finished.govc("esx-02", "host.portgroup.change", "-vlan-id", "31", "bosh")
    plan = finished.paver("plan", code=2)
    assert lines(plan.out, "esx-02", "~ port group bosh"), plan.out
    assert lines(plan.out, "vlan: 31 → 30"), plan.out
    assert lines(plan.out, "1 to change"), plan.out
    assert finished.pending() == {"vsphere.port-group:esx-02/bosh": "update"}
    trace = finished.trace()
    finished.paver("apply", "--yes")
    assert {(call.server, call.method) for call in trace.writes() if call.kind == "soap"} >= {
        ("esx-02", "UpdatePortGroup")
    }
    assert finished.inventory()["esx-02"]["port_groups"]["bosh"]["vlan"] == 30
    assert finished.pending() == {}


def test_jumpbox_and_vcenter_start_with_their_host_and_an_entry_that_somebody_took_out_is_put_back(
    finished: Place,
) -> None:
    """The jumpbox serves the names and the time that vCenter needs, so it comes first."""
    entries = finished.inventory()["esx-01"]["autostart"]
    assert entries["enabled"]
    assert sorted(entry["order"] for entry in entries["machines"]) == [-1, 1]
    finished.govc("esx-01", "host.autostart.remove", "vcsa")
    assert [entry["order"] for entry in finished.inventory()["esx-01"]["autostart"]["machines"]] == [1]
    assert finished.pending() == {"vsphere.appliance:vcenter": "update"}
    trace = finished.trace()
    finished.paver("apply", "--yes")
    assert {call.method for call in trace.writes() if call.kind == "soap"} == {"ReconfigureAutostart"}
    assert finished.inventory()["esx-01"]["autostart"] == entries
    assert finished.pending() == {}


def test_boshs_machines_that_nobody_starts_after_a_power_cut_come_back_by_one_command(
    finished: Place,
) -> None:
    """As `docs/howto/when-it-fails.md` says it. Jumpbox and vCenter run already: their host has started them."""
    machines = "find", "/north/vm/BOSH_VMs", "-type", "m", "-runtime.powerState"
    running = finished.tool("govc", *machines, "poweredOn").out.split()
    assert len(running) == 3
    finished.tool("govc", "vm.power", "-off", "-force", *running)
    finished.went_off(*(path.rpartition("/")[2] for path in running))
    assert "director" in finished.paver("plan", code=1).err
    finished.tool("govc", "vm.power", "-on", *finished.tool("govc", *machines, "poweredOff").out.split())
    until(lambda: finished.paver("plan", code=None).code == 0, "the plan finds all as it is wished", 120)
    finished.paver("verify")


def test_a_director_whose_vm_is_gone_comes_back_on_its_disk_and_what_it_deployed_stays(
    finished: Place,
) -> None:
    """Out of vCenter, its persistent disk not: `bosh create-env` alone would have nothing to do."""
    own = json.loads(finished.reveal("bucc-state"))["current_vm_cid"]
    machines = "find", "/north/vm/BOSH_VMs", "-type", "m"
    before = finished.tool("govc", *machines).out.split()
    [path] = [one for one in before if one.endswith(own)]
    finished.tool("govc", "vm.power", "-off", "-force", path)
    finished.went_off(path.rpartition("/")[2])
    finished.tool("govc", "vm.unregister", path)
    finished.tool("govc", "datastore.rm", "-ds", "datastore1", own)
    plan = finished.paver("plan", code=2)
    assert f"its VM {own} is gone" in plan.out
    finished.paver("apply", "--yes")
    finished.paver("verify")
    after = finished.tool("govc", *machines).out.split()
    assert {*before} - {*after} == {path}
    assert len(after) == len(before)


def test_what_is_taken_out_of_the_site_file_is_planned_as_deletes_and_goes(finished: Place) -> None:
    """A port group of one host, and a bucket: named with --allow, since buckets are protected."""
    shorter = edited(
        finished,
        "buckets: {bundles: {versioned: true}, ",
        "buckets: {bundles: {versioned: true}, spare: {}, ",
    )
    text = shorter.read_text().replace(
        "bosh: {switch: vSwitch0, vlan: 30}}",
        "bosh: {switch: vSwitch0, vlan: 30}, spare: {switch: vSwitch0, vlan: 77}}",
    )
    shorter.write_text(text)
    more = {f"vsphere.port-group:{host}/spare": "create" for host in HOSTS} | {"s3.bucket:spare": "create"}
    planned = finished.paver("plan", "--json", file=shorter, code=2).json
    pending = verbs(planned)
    # What the contract says of buckets changes with them.
    assert {id_: verb for id_, verb in pending.items() if verb == "create"} == more
    finished.paver("apply", "--yes", file=shorter)
    assert all("spare" in finished.inventory()[host]["port_groups"] for host in HOSTS)

    without = finished.pending()
    assert without["s3.bucket:spare"] == "blocked"
    blocked = finished.paver("apply", "--yes", code=4)
    assert "s3.bucket:spare" in blocked.err
    less = finished.pending("--allow", "s3.bucket:spare")
    assert {id_: verb for id_, verb in less.items() if verb == "delete"} == dict.fromkeys(more, "delete")
    finished.paver("apply", "--yes", "--allow", "s3.bucket:spare")
    assert not any("spare" in finished.inventory()[host]["port_groups"] for host in HOSTS)
    assert finished.pending() == {}


@pytest.mark.parametrize("verb", [("plan",), ("destroy", "--allow", "*", "--yes")], ids=lambda verb: verb[0])
def test_a_vcenter_that_the_site_file_has_on_another_host_is_neither_made_there_nor_forgotten(
    finished: Place, verb: tuple[str, ...]
) -> None:
    moved = edited(finished, "size: tiny\n    on: esx-01", "size: tiny\n    on: esx-02")
    refused(
        finished.paver(*verb, file=moved, code=None), 4, "vCenter's VM vcsa is on esx-01", "iaas.vcenter.on"
    )


def test_a_destroyed_site_leaves_what_was_there_before(life: Life, destroyed: Place) -> None:
    oracle.bare(life.start, destroyed, RESIDUE)
    left = destroyed.paver("secrets", "list", "--json").json
    assert {each["name"] for each in left["secrets"]} - STAYING == set(), json.dumps(left)


def test_the_status_of_a_destroyed_site_shows_no_way_in_but_to_its_hosts(destroyed: Place) -> None:
    assert [door["name"] for door in destroyed.paver("status", "--json", code=2).json["doors"]] == [*HOSTS]
    assert "not paved: " in destroyed.paver("status", code=2).out


def test_each_run_of_that_life_holds_to_its_plan_by_what_an_auditor_has(destroyed: Place) -> None:
    script = Path(__file__).parents[2] / "docs" / "howto" / "check_run.py"
    ends = {}
    for run in destroyed.runs:
        done = subprocess.run(
            [sys.executable, "-I", str(script), str(run)], capture_output=True, text=True, check=False
        )
        # What was cut short, or handed over and not followed to its end, is not all done; and that is all.
        assert done.returncode in {0, 2}, f"{run}: {done.stderr}"
        ends[run] = done.returncode
    handed = [run for run in ends if (run / "journal-jumpbox.jsonl").exists() and ends[run] == 0]
    modes = {json.loads((run / "plan.json").read_bytes())["mode"] for run in handed}
    assert modes == {"apply", "destroy"}
