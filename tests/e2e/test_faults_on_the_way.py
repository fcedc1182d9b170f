"""What goes wrong behind the jumpbox: vendors' tools that fail, services that refuse, foreign things in the way."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from collections.abc import Iterator

import pytest

from paver.lab import site
from paver.lab.room import share
from tests.e2e.conftest import Life
from tests.support import fly
from tests.support.place import NAME, NFS, Place, edited, lines
from tests.support.ran import refused

pytestmark = pytest.mark.lab

INSTALLER = "vcsa-cli-installer/lin64/vcsa-deploy"
PLATFORM = "  concourse: {teams: {main: {pipelines: {smoke: {}}}, platform: {pipelines: {smoke: {}}}}}\n"
WITH_FAULT = '#!/bin/sh\nPAVER_LAB_VCSA_FAULT=$(cat "{file}" 2>/dev/null) exec "$0.own" "$@"\n'


# Before vCenter -------------------------------------------------------------------------------------------------


def test_an_iso_that_is_not_the_one_of_the_site_file_is_not_unpacked(half: Place) -> None:
    [digest] = re.findall(r"sha256: ([0-9a-f]{64})", half.site.read_text())
    path = edited(half, digest, "0" * 63 + "1")
    ran = half.paver("apply", "--yes", "--only", "vsphere.installer:*", file=path, code=None)
    refused(
        ran,
        3,
        "is not the ISO that the site file names",
        "seen",
        digest,
        "wanted",
        "why",
        "do",
        "put the vendor's ISO there",
    )
    assert list((half.jumpbox() / "var/lib/paver/installers").iterdir()) == []
    assert half.pending("--only", "vsphere.installer:*") == {"vsphere.installer:vcenter": "create"}


def test_an_iso_on_an_nfs_server_is_read_by_the_jumpbox_and_held_to_its_digest(half: Place) -> None:
    shared = half.lab.folder / share.FOLDER / "iso"
    shared.mkdir(exist_ok=True)
    iso = half.lab.folder / "hosts/esx-01/datastores/datastore1" / site.ISO
    shutil.copyfile(iso, shared / "vcsa.iso")
    [digest] = re.findall(r"sha256: ([0-9a-f]{64})", half.site.read_text())
    source = f"nfs://{NFS}/export/iso/vcsa.iso"
    path = edited(half, f'"[datastore1] {site.ISO}"', source)
    assert lines(half.paver("preflight", file=path, code=None).told, NFS, "✓", "/export/iso/vcsa.iso")
    installers = half.jumpbox() / "var/lib/paver/installers"

    # Another one under its name is not run, and does not stay.
    with (shared / "vcsa.iso").open("ab") as file:
        file.write(b"more")
    ran = half.paver("apply", "--yes", "--only", "vsphere.installer:*", file=path, code=None)
    refused(ran, 3, source, "is not the ISO that the site file names", "seen", "wanted", digest, "do")
    assert list(installers.iterdir()) == []

    shutil.copyfile(iso, shared / "vcsa.iso")
    half.paver("apply", "--yes", "--only", "vsphere.installer:*", file=path)
    [tree] = installers.iterdir()
    assert (tree / INSTALLER).stat().st_mode & 0o111 == 0o111
    assert json.loads((tree / "paver.json").read_text())["sha256"] == digest
    ran = half.paver("plan", "--json", "--only", "vsphere.installer:*", file=path)
    assert {each["verb"] for each in ran.json["actions"]} == {"keep"}

    # What came whole before a run broke off is not read again: the server does not have it any more.
    shutil.rmtree(tree)
    shutil.copyfile(iso, tree.with_name(f".{tree.name}.iso"))
    (shared / "vcsa.iso").unlink()
    half.paver("apply", "--yes", "--only", "vsphere.installer:*", file=path)
    assert list(installers.iterdir()) == [tree]
    shutil.rmtree(tree)
    ran = half.paver("apply", "--yes", "--only", "vsphere.installer:*", file=path, code=None)
    refused(ran, 3, f"{NFS}:/export/iso/vcsa.iso is not there", "seen", "do", "put it there")
    assert list(installers.iterdir()) == []


def test_every_program_of_the_installer_can_be_run_once_it_is_unpacked(half: Place) -> None:
    half.paver("apply", "--yes", "--only", "vsphere.installer:*")
    [tree] = (half.jumpbox() / "var/lib/paver/installers").iterdir()
    for name in (INSTALLER, "vcsa/ovftool/lin64/ovftool", "vcsa/ovftool/lin64/ovftool.bin"):
        assert (tree / name).stat().st_mode & 0o111 == 0o111, name
    (tree / "vcsa/ovftool/lin64/ovftool").chmod(0o644)
    ran = half.paver("verify", code=None)
    assert ran.code != 0
    assert "the ISO has ovftool, and it can be run" in ran.told
    (tree / "vcsa/ovftool/lin64/ovftool").chmod(0o755)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("precheck", ("vcsa-deploy failed", "(--precheck-only)", "seen", "Precheck failed", "why", "do")),
        ("ask", ("vcsa-deploy failed", "seen", "why", "do", "run the same command again")),
        ("hang", ("vcsa-deploy failed", "(install)", "seen", "why", "stall-limit", "do")),
        ("fail-firstboot", ("vcsa-deploy failed", "(install)", "seen", "why", "do", "deleted first")),
    ],
)
def test_an_installer_that_fails_is_told_in_its_own_words(
    half: Place, fault: str, words: tuple[str, ...]
) -> None:
    """What it left behind does not stand in the way of the next one: that is what the next stage shows."""
    half.paver("apply", "--yes", "--phase", "site-services")
    half.paver("apply", "--yes", "--only", "vsphere.installer:*")
    stall_limit = "8" if fault == "hang" else "60"
    with _failing(half, fault), half.over_there("tests.support.impatient", stall_limit):
        refused(half.paver("apply", "--yes", "--phase", "vcenter", code=None), 1, *words)
    assert half.pending("--phase", "vcenter")["vsphere.appliance:vcenter"] == "create"


@contextlib.contextmanager
def _failing(place: Place, fault: str) -> Iterator[None]:
    """Has the installer fail on purpose for a while: its job gets no environment of ours."""
    root = place.jumpbox()
    [program] = (root / "var/lib/paver/installers").glob(f"*/{INSTALLER}")
    own, file = program.with_name(f"{program.name}.own"), root / "var/lib/paver-lab/installer-fault"
    program.rename(own)
    program.write_text(WITH_FAULT.format(file=f"/{file.relative_to(root)}"))
    program.chmod(0o755)
    file.write_text(fault)
    try:
        yield
    finally:
        own.replace(program)


# Before the director --------------------------------------------------------------------------------------------


def test_a_bucc_up_that_fails_halfway_is_told_with_the_cpis_words_and_goes_on_from_there(
    life: Life, deeper: Place
) -> None:
    deeper.vcenter(
        "POST", "/fault", {"method": "CloneVM_Task", "fault": "InsufficientResourcesFault", "times": -1}
    )
    try:
        ran = deeper.paver("apply", "--yes", "--phase", "bucc", code=None)
    finally:
        deeper.vcenter("DELETE", "/faults")
    refused(ran, 1, "`bucc up` ended with 1", "seen", "why", "do", "create-env goes on where it stopped")
    sealed = {each["name"] for each in deeper.paver("secrets", "list", "--json").json["secrets"]}
    assert {"bucc-state", "bucc-creds"} <= sealed, "they are sealed also when it fails"
    trace = deeper.trace()
    with life.watched():
        deeper.paver("apply", "--yes", "--phase", "bucc", env={})
    assert len([call for call in trace.writes() if call.method == "CloneVM_Task"]) == 1
    imported = [call for call in trace.writes() if call.method == "ImportVApp" and call.kind == "soap"]
    # create-env's stemcell was there already; the other one is the director's own.
    assert len([call for call in imported if call.server.startswith("vcsa")]) == 1, imported


def test_a_release_for_which_the_director_has_no_room_is_brought_whole_by_the_next_run(
    life: Life, deeper: Place
) -> None:
    """It is listed all the same, and stages to come deploy from it."""
    with life.watched():
        deeper.paver("apply", "--yes", "--phase", "bucc", env={})
    chosen = ("--only", "bosh.release:minio")
    [state] = deeper.lab.folder.glob("machines/*/**/store/director/state.json")
    room = state.with_name("blobs.room")
    room.write_text("1")
    ran = deeper.paver("apply", "--yes", *chosen, code=None)
    refused(ran, 1, "upload of minio/", "ended in error", "seen", "no space left", "do", "tries again")
    listed = json.loads(state.read_text())["releases"]["minio"]
    assert [version["complete"] for version in listed.values()] == [False]
    assert deeper.pending(*chosen) == {"bosh.release:minio": "create"}
    room.unlink()
    deeper.paver("apply", "--yes", *chosen)
    assert deeper.pending(*chosen) == {}
    listed = json.loads(state.read_text())["releases"]["minio"]
    assert [version["complete"] for version in listed.values()] == [True]


# A finished site ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.20.0.10", ("jumpbox (10.20.0.10:22) does not answer",)),
        ("10.20.0.20", ("vcsa", "does not answer")),
        ("10.30.0.10", ("10.30.0.10", "does not answer")),
        ("10.30.0.11", ("object store", "does not answer")),
    ],
)
def test_what_does_not_answer_while_planning_is_never_taken_for_absent(
    finished: Place, address: str, words: tuple[str, ...]
) -> None:
    trace = finished.trace()
    with finished.unplugged(address):
        planned = finished.paver("plan", code=None)
        refused(planned, 1, *words, "why", "do")
        assert "create" not in planned.out
        refused(finished.paver("destroy", "--allow", "*", "--yes", code=None), 1, *words, "why", "do")
        # The rest of the site stands as it did: what could not be asked is no reason to write to what could.
        assert not trace.writes()
    finished.paver("plan")


def test_a_registry_that_does_not_answer_is_named_by_its_proof(finished: Place) -> None:
    """No plan asks it, so that none takes it for absent."""
    with finished.unplugged("10.30.0.12"):
        ran = finished.paver("verify", code=1)
        assert lines(ran.out, "? ", "registry", "does not answer"), ran.told
        assert finished.pending() == {}
    finished.paver("verify")


def test_an_object_store_that_refuses_the_key_says_so(finished: Place) -> None:
    other = _with_other_passwords(finished, "object-store-root")
    refused(other.paver("plan", code=None), 1, "object store", "was refused", "why", "account", "do")


def test_a_registry_that_refuses_the_password_says_so(finished: Place) -> None:
    other = _with_other_passwords(finished, "registry-admin")
    ran = other.paver("verify", code=1)
    assert lines(ran.out, "? ", "registry", "refuses the login of admin"), ran.told


def _with_other_passwords(place: Place, name: str) -> Place:
    """As many as are kept: the one at the consumer is not among them any more."""
    other = place.variant(f"other-{name}")
    for number in range(3):
        other.keep(name, f"not-the-password-that-it-has-{number}")
    return other


# Leaving --------------------------------------------------------------------------------------------------------


def test_a_lost_jumpbox_is_made_anew_and_what_stands_behind_it_is_known_again(leaving: Place) -> None:
    """Nothing behind it is made twice, what somebody changed there meanwhile is repaired, and what is ours can still go."""
    leaving.paver("apply", "--yes", file=edited(leaving, "secrets: {store", f"{PLATFORM}secrets: {{store"))
    before = {name for name, machine in leaving.machines().items() if machine["kind"] == "bosh-stemcell"}
    assert len(before) == 3, "director, object store, registry"
    _fly(leaving, "pause-pipeline", "main", "smoke")
    _fly(leaving, "set-pipeline", "main", "theirs")
    leaving.govc("esx-01", "vm.power", "-off", "-force", "paver-jumpbox")
    leaving.govc("esx-01", "vm.destroy", "paver-jumpbox")
    whole = leaving.paver("plan", code=None)
    refused(whole, 1, "machine:jumpbox cannot be asked yet", "why", "do", "--phase, --only")

    leaving.paver("apply", "--yes", "--phase", "jumpbox", "--phase", "site-services")
    planned = leaving.paver("plan", code=2)
    assert lines(planned.out, "+ director bucc", "its state comes back out of the sealed store"), planned.out
    destroyed = leaving.paver("destroy", "--allow", "*", "--only", "bucc.director:*", "--yes", code=None)
    refused(destroyed, 4, "this jumpbox cannot delete the director", "seen", "why", "do", "paver apply")
    trace = leaving.trace()
    leaving.paver("apply", "--yes")
    written = {
        call.method for call in trace.writes() if "/pipelines/" in call.method or "/teams/" in call.method
    }
    smoke = "PUT /api/v1/teams/main/pipelines/smoke"
    assert written == {f"{smoke}/config", f"{smoke}/unpause"}, "repaired, and all else was as it is wished"
    # It has a team and an account that the site file does not wish for: ours, though the jumpbox knew of nothing.
    gone = leaving.pending()
    assert gone == {
        "concourse.pipeline:platform/smoke": "delete",
        "concourse.team:platform": "delete",
        "s3.user:team-platform": "delete",
        **{
            f"credhub.entry:concourse/platform/{name}": "delete"
            for name in ("object_store_access_key", "object_store_secret_key", "registry_password", "root_ca")
        },
    }
    leaving.paver("apply", "--yes")
    assert leaving.pending() == {}
    _fly(leaving, "pause-pipeline", "main", "theirs")
    after = {name for name, machine in leaving.machines().items() if machine["kind"] == "bosh-stemcell"}
    assert after == before


def _fly(place: Place, *argv: str) -> None:
    exported = place.paver("env", "fly", "--json").json["variables"]
    place.run(sys.executable, fly.__file__, *argv, env=exported)


def test_a_director_that_is_down_is_not_destroyed_while_its_machines_and_disks_are_there(
    leaving: Place,
) -> None:
    """A `bucc up` that failed halfway leaves a director that no plan asks; it may have deployments all the same."""
    record = leaving.jumpbox() / "var/lib/paver/records" / NAME / "bucc.director/bucc.json"
    whole = record.read_text()
    before = leaving.machines()
    chosen = [word for kind in ("bucc.director:*", "contract.*", "proof.*") for word in ("--only", kind)]
    try:
        record.write_text(whole.replace('"complete":true', '"complete":false'))
        with leaving.unplugged("10.30.0.10"):
            ran = leaving.paver("destroy", "--allow", "*", *chosen, "--yes", code=None)
    finally:
        record.write_text(whole)
    refused(ran, 4, "the director is down", "/north/vm/BOSH_VMs/", "] BOSH_Disks/disk-", "power its VM on")
    # Those of the two services; the director's own go with it.
    assert len(lines(ran.told, "BOSH_VMs/vm-")) == len(lines(ran.told, "BOSH_Disks/disk-")) == 2, ran.told
    assert leaving.machines() == before


def test_destroy_deletes_nothing_that_others_put_into_a_bucket_or_beside_our_machines(leaving: Place) -> None:
    """It stops there, names it, and goes on once that is gone."""
    leaving.tool("mc", "cp", str(leaving.site), "site/bundles/theirs")
    created = ["-on=false", "-c=1", "-m=64", "-g=otherGuest", "-ds=datastore1", "-folder=/north/vm/BOSH_VMs"]
    leaving.tool("govc", "vm.create", *created, "-pool=/north/host/compute/Resources", "-net=bosh", "theirs")
    ran = leaving.paver("destroy", "--allow", "*", "--yes", code=None)
    refused(
        ran, 4, "the bucket bundles is not empty", "why", "do", "empty it, then run the same command again"
    )
    assert "theirs" in leaving.tool("mc", "ls", "site/bundles").out
    leaving.tool("mc", "rm", "--versions", "--force", "site/bundles/theirs")
    ran = leaving.paver("destroy", "--allow", "*", "--yes", code=None)
    refused(ran, 4, "BOSH_VMs", "theirs", "do")
    found = json.loads(leaving.tool("govc", "vm.info", "-json", "/north/vm/BOSH_VMs/theirs").out)
    assert len(found["virtualMachines"]) == 1
    leaving.tool("govc", "vm.destroy", "/north/vm/BOSH_VMs/theirs")
