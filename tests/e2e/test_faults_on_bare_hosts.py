"""What goes wrong before anything stands behind the jumpbox: told by what, why and what to do, and nothing is lost."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from paver.lab import build, pki, system
from paver.ovf.write import make_ova
from tests.support import locks
from tests.support.place import LIMIT, NAME, PATIENCE, Place, Trace, edited, lines, place
from tests.support.ran import refused
from tests.support.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(LIMIT)]

HOSTS_ONLY = ("--phase", "trust", "--phase", "hosts")
WITH_JUMPBOX = (*HOSTS_ONLY, "--phase", "jumpbox")
UPLOADS = {"ImportVApp", "CreateVM_Task"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Two bare hosts; each test leaves them as bare as it found them, until the first one that deploys."""
    tools = dict(system.provide(system.survey()))
    with place(tmp_path_factory.mktemp("bare"), dict(build.build(["vsim", "govc"])), tools) as made:
        yield made


# Hosts --------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_as_one_and_the_secret_is_named(bare: Place) -> None:
    other = bare.variant("other-password")
    other.keep("esx-root", "Wrong-Password-1")
    trace = other.trace()
    ran = other.paver("plan", code=None)
    refused(
        ran, 1, "refuses the login of root", "why", "user or password is wrong", "do", "check secret:esx-root"
    )
    assert "Wrong-Password-1" not in ran.told
    assert _logins(trace) == {"esx-01": 1, "esx-02": 1}, "a host locks root after five"


def test_five_runs_with_a_wrong_password_lock_root_and_the_right_one_is_told_how_it_opens_again(
    bare: Place,
) -> None:
    other = bare.variant("five-times")
    right = other.reveal("esx-root")
    assert other.paver("plan", code=2), "hosts count from here"
    other.keep("esx-root", "Wrong-Password-1")
    for verb in (("preflight",), ("plan",), ("apply", "--yes"), ("verify",), ("destroy", "--yes")):
        trace = other.trace()
        assert other.paver(*verb, code=None).code in (1, 3)
        assert _logins(trace) == {"esx-01": 1, "esx-02": 1}, verb
    other.keep("esx-root", right)
    ran = other.paver("plan", code=None)
    refused(ran, 1, "refuses the login of root", "the account is locked", "do", "15 minutes after")
    bare.control("POST", "/clock", {"forward_seconds": 900})
    assert other.paver("plan", code=2)


def test_another_certificate_than_the_pinned_one_is_refused_before_the_login(bare: Place) -> None:
    host = bare.lab.plan.hosts[0]
    with _serving(bare, host.name, pki.host(host.hostname, host.address)):
        trace = bare.trace()
        ran = bare.paver("plan", code=None)
        words = (
            "esx-01 (10.20.0.11) shows another certificate than the one that is pinned",
            "seen",
            "expected",
        )
        refused(ran, 4, *words, bare.lab.fingerprints[host.name], "do", "on the server's own console")
        assert not [call for call in trace.calls() if call.method == "Login" and call.server == host.name]
    assert bare.paver("plan", code=2)


def test_a_certificate_that_has_expired_is_told_as_such_though_it_is_the_pinned_one(bare: Place) -> None:
    host = bare.lab.plan.hosts[0]
    old = _expired(pki.host(host.hostname, host.address))
    pinned = bare.variant("expired", bare.lab.fingerprints[host.name], old.fingerprint)
    with _serving(bare, host.name, old):
        ran = pinned.paver("plan", code=None)
    refused(
        ran, 4, "esx-01", "its certificate has expired", "why", "do", "check the clock of this machine first"
    )


def test_a_licence_that_cannot_write_stops_everything_before_anything_is_done(bare: Place) -> None:
    bare.control("POST", "/licence", {"server": "esx-02", "licence": "free"})
    try:
        trace = bare.trace()
        ran = bare.paver("apply", "--yes", *HOSTS_ONLY, code=None)
        refused(
            ran,
            4,
            "esx-02 refuses to be written to: its licence is the free one",
            "seen",
            "esxBasic",
            "why",
            "do",
        )
        assert "exit  4  nothing was changed" in ran.err
        assert not trace.writes()
    finally:
        bare.control("POST", "/licence", {"server": "esx-02", "licence": "evaluation"})


def test_a_host_that_does_not_answer_while_planning_is_never_taken_for_an_empty_one(bare: Place) -> None:
    with bare.dark("esx-02"):
        ran = bare.paver("plan", code=None)
        refused(ran, 1, "esx-02 (10.20.0.12:443) does not answer", "why", "do", "check that it is powered on")
        assert "create" not in ran.out
        assert bare.paver("apply", "--yes", code=1)


def test_a_foreign_port_group_of_the_same_name_blocks_the_plan_and_stays_as_it_is(bare: Place) -> None:
    bare.govc("esx-01", "host.portgroup.add", "-vswitch", "vSwitch0", "-vlan", "20", "mgmt")
    try:
        assert bare.pending()["vsphere.port-group:esx-01/mgmt"] == "blocked"
        shown = bare.paver("plan", code=2).out
        assert "! port group mgmt" in shown
        assert "a foreign thing of the same name stands there" in shown
        trace = bare.trace()
        ran = bare.paver("apply", "--yes", code=None)
        refused(ran, 4, "vsphere.port-group:esx-01/mgmt is blocked", "do", "adopt it in the site file")
        assert not trace.writes()
    finally:
        bare.govc("esx-01", "host.portgroup.remove", "mgmt")


def test_a_foreign_port_group_that_the_site_file_adopts_is_made_as_wished_and_goes_with_the_site(
    bare: Place,
) -> None:
    bare.govc("esx-01", "host.portgroup.add", "-vswitch", "vSwitch0", "-vlan", "7", "mgmt")
    adopting = edited(bare, "secrets: {store", "adopt: [vsphere.port-group:esx-01/mgmt]\nsecrets: {store")
    shown = bare.paver("plan", *HOSTS_ONLY, file=adopting, code=2).out
    assert lines(shown, "= port group mgmt", "the site file adopts it"), shown
    assert lines(shown, "vlan: 7 → 20"), shown
    bare.paver("apply", "--yes", *HOSTS_ONLY, file=adopting)
    assert bare.inventory()["esx-01"]["port_groups"]["mgmt"]["vlan"] == 20
    assert bare.pending(*HOSTS_ONLY) == {}, "it is the site's, whatever the site file says of it from now on"
    bare.paver("destroy", "--allow", "*", "--yes")
    assert "mgmt" not in bare.inventory()["esx-01"]["port_groups"]


def test_machines_of_others_on_our_port_group_stop_a_destroy_and_are_named(bare: Place) -> None:
    bare.paver("apply", "--yes", *HOSTS_ONLY)
    made = ["-on=false", "-c=1", "-m=64", "-g=otherGuest", "-ds=datastore1", "-net=bosh", "theirs"]
    bare.govc("esx-02", "vm.create", *made)
    ran = bare.paver("destroy", "--allow", "*", "--yes", code=None)
    refused(ran, 4, "the port group bosh of esx-02 is in use", "seen", "the machine theirs", "why", "do")
    left = bare.inventory()["esx-02"]
    assert "theirs" in left["virtual_machines"]
    assert "bosh" in left["port_groups"]
    bare.govc("esx-02", "vm.destroy", "theirs")
    bare.paver("destroy", "--allow", "*", "--yes")
    assert "bosh" not in bare.inventory()["esx-02"]["port_groups"]


def _logins(trace: Trace) -> dict[str, int]:
    return dict(collections.Counter(call.server for call in trace.calls() if call.method == "Login"))


# Plans --------------------------------------------------------------------------------------------------------


def test_a_plan_that_was_edited_is_not_carried_out(bare: Place) -> None:
    file = _planned(bare, bare.folder / "edited.plan")
    file.write_text(file.read_text().replace('"vlan":30', '"vlan":31'))
    trace = bare.trace()
    refused(bare.paver("apply", str(file), "--yes", code=None), 3, "the plan was edited", "do")
    assert not trace.writes()


def test_a_plan_of_another_site_is_refused(bare: Place) -> None:
    file = _planned(bare, bare.folder / "mine.plan")
    other = bare.variant("other-site", f"name: {NAME}", "name: lab-south")
    shutil.copy(bare.sealed, other.folder / "lab-south.sealed")
    ran = other.paver("apply", str(file), "--yes", code=None)
    refused(
        ran,
        4,
        "the plan is not of this site file",
        "seen",
        "plan of lab-north",
        "site lab-south",
        "why",
        "do",
    )


def test_a_plan_that_is_older_than_the_site_file_is_refused(bare: Place) -> None:
    file = _planned(bare, bare.folder / "old.plan")
    newer = bare.variant("newer", "vlan: 30", "vlan: 33")
    ran = newer.paver("apply", str(file), "--yes", code=None)
    refused(
        ran, 4, "the plan is not of this site file", "why", "the site file changed", "do", "make a new plan"
    )


def test_what_changed_between_plan_and_apply_is_drift_and_is_left_alone(bare: Place) -> None:
    file = _planned(bare, bare.folder / "drift.plan", *HOSTS_ONLY)
    bare.govc("esx-01", "host.portgroup.add", "-vswitch", "vSwitch0", "-vlan", "7", "bosh")
    try:
        ran = bare.paver("apply", str(file), "--yes", code=None)
        refused(
            ran,
            4,
            "vsphere.port-group:esx-01/bosh changed since the plan was made",
            "seen",
            "why",
            "drift",
            "do",
        )
        assert bare.inventory()["esx-01"]["port_groups"]["bosh"]["vlan"] == 7
    finally:
        bare.govc("esx-01", "host.portgroup.remove", "bosh")
    bare.paver("destroy", "--allow", "*", "--yes")


# Runs ---------------------------------------------------------------------------------------------------------


def test_a_second_apply_at_once_is_refused_and_told_who_is_at_work(bare: Place) -> None:
    with bare.fault("esx-01", "AddPortGroup", delay_ms=6000, times=1):
        lock = bare.folder / ".paver" / NAME / "lock"
        before = lock.read_text() if lock.exists() else ""
        first = bare.start("apply", "--yes", *HOSTS_ONLY)
        until(
            lambda: locks.held(lock) and lock.read_text() not in {"", before}, "the first run says who it is"
        )
        second = bare.paver("apply", "--yes", *HOSTS_ONLY, code=None)
        refused(second, 4, "another run is at work on this site", "seen", "do", "paver follow")
        assert json.loads(lock.read_text())["doing"] == "paver apply"
        assert str(json.loads(lock.read_text())["pid"]) in second.err
        out, _ = first.communicate(timeout=PATIENCE)
        assert first.returncode == 0, out
    bare.paver("destroy", "--allow", "*", "--yes")


def test_what_cannot_be_journalled_is_not_done_and_the_run_goes_on_once_there_is_room(bare: Place) -> None:
    state, kept = bare.folder / "small", bare.folder / "kept"
    runs = state / NAME / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    # Room for the plan and the beginning of the journal, on a file system that is gone with the command.
    inside = 'mount -t tmpfs -o size=40k none "$1" && d=$1 k=$2 && shift 2; "$@"; code=$?; cp -r "$d" "$k"; exit $code'
    argv = [
        "unshare",
        "-m",
        "sh",
        "-c",
        inside,
        "sh",
        str(runs),
        str(kept),
        *_paver(bare, "apply", *HOSTS_ONLY),
    ]
    trace = bare.trace()
    ran = bare.run(*argv, check=False, env={"PAVER_STATE": str(state)})
    refused(
        ran, 1, "No space left on device", "do", "make room on that file system", "run the same command again"
    )
    [journal] = kept.glob("*/journal.jsonl")
    written = journal.read_bytes()
    noted = [json.loads(line) for line in written[: written.rfind(b"\n") + 1].splitlines()]
    calls = collections.Counter(line["call"] for line in noted if line["event"] == "call")
    made = collections.Counter(call.method for call in trace.writes() if call.kind == "soap")
    assert made["AddPortGroup"] <= calls["AddPortGroup"], "nothing was done that is not written down"
    assert set(bare.pending(*HOSTS_ONLY)), "the disk was not that small"
    bare.paver("apply", "--yes", *HOSTS_ONLY)
    assert bare.pending(*HOSTS_ONLY) == {}


# The jumpbox's image --------------------------------------------------------------------------------------------


def _short(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _altered(data: bytes) -> bytes:
    """One byte of the disk, which the manifest has a digest of."""
    members = _members(data)
    disk = next(name for name in members if name.endswith(".vmdk"))
    content = bytearray(members[disk])
    content[-1] ^= 1
    return _packed({**members, disk: bytes(content)})


def _outside(data: bytes) -> bytes:
    """A descriptor that names a disk outside of its folder."""
    members = _members(data)
    return _packed(
        {
            name: content.replace(b'href="', b'href="../') if name.endswith(".ovf") else content
            for name, content in members.items()
            if not name.endswith(".mf")
        }
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_short, ("jumpbox.ova is cut short", "do", "fetch it again")),
        (_altered, ("jumpbox.ova", "manifest", "do")),
        (_outside, ("jumpbox.ova", "../", "do")),
    ],
)
def test_a_damaged_image_is_refused_before_a_byte_of_it_is_sent(
    bare: Place, damage: Callable[[bytes], bytes], words: tuple[str, ...]
) -> None:
    broken = bare.variant("damaged")
    image = broken.folder / "jumpbox.ova"
    image.write_bytes(damage(image.read_bytes()))
    trace = bare.trace()
    refused(broken.paver("apply", "--yes", *WITH_JUMPBOX, code=None), 3, *words)
    assert not {call.method for call in trace.writes()} & UPLOADS


def test_a_datastore_without_room_is_told_before_a_byte_is_sent(tmp_path: Path) -> None:
    """Room for the installer's ISO and paver's own notes, not for the jumpbox."""
    tools = dict(system.provide(system.survey()))
    with place(tmp_path, dict(build.build(["vsim"])), tools, capacity=540_000) as small:
        trace = small.trace()
        ran = small.paver("apply", "--yes", *WITH_JUMPBOX, code=None)
        refused(ran, 4, "datastore1", "too full for paver-jumpbox", "seen", "do")
        assert not {call.method for call in trace.writes()} & UPLOADS


def test_an_upload_that_is_cut_in_the_middle_leaves_no_half_machine(bare: Place) -> None:
    with bare.fault("esx-01", "POST /nfc", cut_after_bytes=20_000, times=-1):
        ran = bare.paver("apply", "--yes", *WITH_JUMPBOX, code=None)
    refused(ran, 1, "the upload to 10.20.0.11", "broke off", "why", "do", "run the same command again")
    assert bare.inventory()["esx-01"]["virtual_machines"] == {}


def test_an_image_that_does_not_boot_is_told_and_another_one_takes_its_place(bare: Place) -> None:
    dead = bare.variant("dead")
    make_ova(dead.folder / "jumpbox.ova", name="paver-jumpbox", disk=b"nothing", networks=("VM Network",))
    argv = ["apply", "--yes", *WITH_JUMPBOX, "--site", str(dead.site)]
    ran = bare.run(sys.executable, "-m", "tests.support.impatient", "3", *argv, check=False)
    refused(ran, 1, "paver-jumpbox did not publish its host keys within 3 s", "seen", "why", "do", "console")
    shutil.copy(bare.folder / "jumpbox.ova", dead.folder)
    _pull(bare, up=False)
    ran = dead.paver("apply", "--yes", *WITH_JUMPBOX, code=None)
    refused(ran, 1, "jumpbox (10.20.0.10:22) does not answer by SSH", "why", "do", "port 22 is open")
    _pull(bare, up=True)
    trace = bare.trace()
    dead.paver("apply", "--yes", *WITH_JUMPBOX)
    assert not {call.method for call in trace.writes()} & UPLOADS, "the machine was there already"
    assert dead.pending(*WITH_JUMPBOX) == {}
    dead.paver("destroy", "--allow", "*", "--yes")
    assert bare.inventory()["esx-01"]["virtual_machines"] == {}
    bare.paver("apply", "--yes", *WITH_JUMPBOX)


def test_a_jumpbox_that_shows_another_host_key_is_not_talked_to(bare: Place) -> None:
    machine = bare.machines()["paver-jumpbox"]
    assert machine["kind"] == "jumpbox"
    published = bare.inventory()["esx-01"]["virtual_machines"]["paver-jumpbox"]["extra_config"]
    key = "guestinfo.paver.host-keys"
    other = {
        key: "c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSUhJWW1xUkRUVWh0SGFVby9FRnpBVWp1dlNLeldOQUdka3JVbFpEcUtmWE0="
    }
    guest = {"host": "esx-01", "vm": machine["uuid"], "ip": "10.20.0.10"}
    bare.control("POST", "/guest", {**guest, "guestinfo": other})
    try:
        refused(
            bare.paver("plan", code=None),
            4,
            "shows another SSH host key than the one that is known",
            "why",
            "do",
        )
    finally:
        bare.control("POST", "/guest", {**guest, "guestinfo": {key: published[key]}})
    assert bare.pending(*WITH_JUMPBOX) == {}


def test_a_jumpbox_that_is_switched_off_is_told_as_such_with_the_command_that_switches_it_on(
    bare: Place,
) -> None:
    bare.govc("esx-01", "vm.power", "-off", "-force", "paver-jumpbox")
    switches_it_on = ("apply", "--only", "vsphere.jumpbox:jumpbox")
    trace = bare.trace()
    for verb in (("plan",), ("verify",), ("follow",), ("apply", "--yes"), ("plan", "--phase", "jumpbox")):
        ran = bare.paver(*verb, code=None)
        refused(
            ran, 1, "machine:jumpbox cannot be asked yet", "paver-jumpbox does not run", "switched off", "do"
        )
        assert " ".join(("paver", *switches_it_on)) in ran.told, verb
    assert not trace.writes()
    bare.paver(*switches_it_on, "--yes")
    assert bare.pending(*WITH_JUMPBOX) == {}


# How --------------------------------------------------------------------------------------------------------


def _paver(bare: Place, *argv: str) -> list[str]:
    return [sys.executable, "-m", "paver", *argv, "--yes", "--site", str(bare.site)]


def _pull(bare: Place, *, up: bool) -> None:
    """Pulls the cable of the first host's only card, or puts it in."""
    bare.control("POST", "/uplink", {"server": "esx-01", "device": "vmnic0", "up": up})


def _planned(bare: Place, file: Path, *selection: str) -> Path:
    bare.paver("plan", "--out", str(file), *selection, code=2)
    return file


@contextlib.contextmanager
def _serving(bare: Place, host: str, pair: pki.Pair) -> Iterator[None]:
    """Has a host serve another certificate for a while."""
    folder = bare.lab.folder / "certificates"
    # Read beforehand: a host keeps the new ones in place of the old ones.
    own = [(folder / f"{host}.{kind}").read_text() for kind in ("crt", "key")]
    other = [path.read_text() for path in pair.write(bare.folder, f"other-{host}")]

    def serve(certificate: str, key: str) -> None:
        bare.control("POST", "/certificate", {"server": host, "certificate": certificate, "key": key})

    serve(*other)
    try:
        yield
    finally:
        serve(*own)


def _expired(pair: pki.Pair) -> pki.Pair:
    """Returns the same certificate, over since yesterday."""
    old, now = pair.certificate, dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=old.issuer,
        subject_name=old.subject,
        public_key=pair.key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - dt.timedelta(days=9),
        not_valid_after=now - dt.timedelta(days=1),
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return pki.Pair(builder.sign(pair.key, hashes.SHA256()), pair.key)


def _members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: _content(archive, member) for member in archive.getmembers()}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None
    return stream.read()


def _packed(members: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()
