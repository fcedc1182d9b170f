"""What a boot does by where its data came from; the data disk; guestinfo read, refused and cleared."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.appliance import console, datadisk, ended, firstboot, guestinfo, handed
from paver.drivers.vsphere.jumpbox import facts, first_boot
from paver.errors import BadInput, PaverError
from tests.support import room
from tests.support.room import Room

GIB = 2**30


SET_UP = ended.Ended(
    way="console", machine=room.MACHINE, address="10.20.0.10", prefix=24, fingerprint=None, closed=True
)


def disk(name: str, **more: Any) -> dict[str, Any]:
    found = {"path": f"/dev/{name}", "type": "disk", "size": 100 * GIB, "fstype": None, "label": None}
    return {**found, "pttype": None, "ro": False, "mountpoints": [None], **more}


SYSTEM = disk("sda", pttype="gpt", children=[{"path": "/dev/sda3", "type": "part", "label": "paver-root"}])


def with_disks(made: Room, *disks: dict[str, Any]) -> None:
    made.prints["lsblk"] = json.dumps({"blockdevices": list(disks)})


def encoded(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode())).decode()


def test_with_the_main_jobs_guestinfo_no_form_opens_and_the_mark_says_the_way(tmp_path: Path) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    told = first_boot.guestinfo(room.WISH)
    made.guestinfo |= told
    said, form = firstboot.boot(made.root, made.run)
    assert (said, form) == ([], [])
    found = ended.read(made.root)
    assert found is not None
    assert (found.way, found.address, found.fingerprint) == ("guestinfo", "10.20.0.10", room.FINGERPRINT)
    assert room.FINGERPRINT in made.read("run/issue.d/paver.issue")
    # What paver wrote is what it compares with, and has no secret in it.
    assert {key: made.guestinfo[key] for key in told} == told


def test_the_published_host_key_is_the_one_that_the_jumpboxs_kind_reads(tmp_path: Path) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    for _ in range(2):
        firstboot.boot(made.root, made.run)
        assert facts.host_keys(made.guestinfo) == (room.HOST_KEY,)
        # A power cycle forgets it.
        made.guestinfo.clear()


def test_data_of_others_is_cleared_after_use_at_every_boot(tmp_path: Path) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    data = {
        "guestinfo.metadata": "instance-id: mine\n",
        "guestinfo.userdata": encoded("#cloud-config\nchpasswd: {users: [{name: me, password: geheim}]}\n"),
        "guestinfo.userdata.encoding": "gzip+base64",
        "guestinfo.vendordata": "#cloud-config\n",
    }
    # The second time as if the first boot had been cut off once it was marked.
    for _ in range(2):
        made.guestinfo |= data
        firstboot.boot(made.root, made.run)
        assert made.guestinfo["guestinfo.userdata"] == made.guestinfo["guestinfo.vendordata"] == "---"
        assert made.guestinfo["guestinfo.metadata"] == "instance-id: mine\n"


def test_where_the_first_boot_is_marked_as_done_its_data_are_cleared_already(tmp_path: Path) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    made.guestinfo |= {
        "guestinfo.metadata": "instance-id: mine\n",
        "guestinfo.userdata": "#cloud-config\na: b\n",
    }
    run, marked = made.run, []

    def looking(*argv: str, stdin: str = "", timeout: float = 0) -> str:
        if argv[-1].startswith("info-set guestinfo.userdata "):
            marked.append(ended.read(made.root))
        return run(*argv, stdin=stdin, timeout=timeout)

    firstboot.boot(made.root, looking)
    assert marked == [None]
    assert ended.read(made.root) is not None


@pytest.mark.parametrize(
    ("key", "more"),
    [
        (first_boot.USERDATA, {"chpasswd": {"list": ["root:geheim"]}}),
        (first_boot.USERDATA, {"users": [{"name": "me", "hashed_passwd": "geheim"}]}),
        (first_boot.USERDATA, {"users": "me"}),
        (first_boot.METADATA, {"password": "geheim"}),
        (first_boot.METADATA, {"instance-id": "mine"}),
    ],
)
def test_data_that_only_look_like_pavers_own_are_cleared_too(
    tmp_path: Path, key: str, more: dict[str, Any]
) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    made.guestinfo |= first_boot.guestinfo(room.WISH)
    document = json.loads(first_boot.decoded(made.guestinfo[key]).removeprefix("#cloud-config\n"))
    head = "#cloud-config\n" if key == first_boot.USERDATA else ""
    made.guestinfo[key] = encoded(head + json.dumps({**document, **more}))
    firstboot.boot(made.root, made.run)
    assert made.guestinfo[first_boot.USERDATA] == "---"


def test_data_that_were_broken_are_cleared_once_the_form_was_filled_in(tmp_path: Path) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    made.guestinfo |= {"guestinfo.metadata": "a: [1", "guestinfo.userdata": "#cloud-config\npassword: geheim"}
    assert firstboot.boot(made.root, made.run)[1] == ["tty1", "ttyS0"]
    ended.write(made.root, SET_UP)
    firstboot.boot(made.root, made.run)
    assert made.guestinfo["guestinfo.userdata"] == "---"


def test_with_a_nocloud_disk_no_form_opens(tmp_path: Path) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    assert firstboot.boot(made.root, made.run) == ([], [])
    found = ended.read(made.root)
    assert found is not None
    assert found.way == "nocloud"
    assert not made.began("vmware-rpctool")


def test_once_set_up_the_machine_stays_so_without_its_disk(tmp_path: Path) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    firstboot.boot(made.root, made.run)
    (made.root / "run/cloud-init/cloud-id").unlink()
    assert firstboot.boot(made.root, made.run) == ([], [])


@pytest.mark.parametrize("cloud", [None, "none"])
def test_with_nothing_the_form_opens_on_every_console_and_nothing_is_marked(
    tmp_path: Path, cloud: str | None
) -> None:
    made = room.make(tmp_path, vmware=True, cloud=cloud)
    assert firstboot.boot(made.root, made.run) == ([], ["tty1", "ttyS0"])
    assert ended.read(made.root) is None
    assert room.FINGERPRINT in made.read("run/issue.d/paver.issue")
    assert made.began("sh", "-c"), "cloud-init does not grow the root partition here"
    assert made.began("resize2fs", "/dev/sda3")


def test_the_command_starts_the_form_on_every_console_and_only_where_it_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = room.make(tmp_path / "new")
    made.write("sys/class/tty/console/active", "ttyS0 tty0\n")
    assert firstboot.main(made.root, made.run) == 0
    # Not waited for: the form ends when somebody has filled it in.
    started = [argv[3] for argv in made.ran if argv[:3] == ("systemctl", "--no-block", "start")]
    assert started == ["paver-console@ttyS0.service", "paver-console.service"]
    told = room.make(tmp_path / "told", cloud="nocloud")
    told.write("run/cloud-init/status.json", json.dumps({"v1": {"init": {"errors": ["no such module"]}}}))
    told.write("home/paver/.ssh/authorized_keys", f"{room.HOST_KEY}\n")
    assert firstboot.main(told.root, told.run) == 0
    assert not told.began("systemctl")
    assert "cloud-init: no such module" in capsys.readouterr().err


def test_a_mark_of_the_machine_that_had_the_data_disk_before_counts_as_none(tmp_path: Path) -> None:
    made = room.make(tmp_path)
    before = ended.Ended(
        way="console", machine="f" * 32, address="10.1.1.1", prefix=24, fingerprint=None, closed=True
    )
    ended.write(made.root, before)
    assert firstboot.boot(made.root, made.run)[1] == ["tty1", "ttyS0"]


def test_a_form_that_was_filled_in_opens_again_at_a_boot_until_somebody_logged_in(tmp_path: Path) -> None:
    made = room.make(tmp_path)
    found = ended.Ended(
        way="console", machine=room.MACHINE, address="10.20.0.10", prefix=24, fingerprint=None
    )
    ended.write(made.root, found)
    assert firstboot.boot(made.root, made.run)[1] == ["tty1", "ttyS0"]
    made.prints["journalctl"] = "Accepted publickey for paver\n"
    assert firstboot.boot(made.root, made.run)[1] == []
    assert ended.read(made.root) == dataclasses.replace(found, closed=True)
    made.prints["journalctl"] = PaverError("the journal has dropped it")
    assert firstboot.boot(made.root, made.run)[1] == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"metadata": "x", "metadata.encoding": "gzip+base64"}, "guestinfo.metadata: it is not gzip+base64"),
        (
            {"metadata": "a: 1", "metadata.encoding": "rot13"},
            "guestinfo.metadata.encoding: rot13 is no encoding",
        ),
        ({"metadata": "a: [1"}, "guestinfo.metadata: it can't be read"),
        ({"metadata": "words"}, "guestinfo.metadata: it is no mapping"),
        ({"userdata": "users: []"}, "guestinfo.userdata: its first line is not #cloud-config"),
        (
            {"userdata": encoded("#cloud-config\n" + " " * 9 * 2**20), "userdata.encoding": "gz+b64"},
            "larger than",
        ),
    ],
)
def test_broken_data_is_told_by_its_key_and_the_form_opens_where_nobody_could_log_in(
    tmp_path: Path, values: dict[str, str], words: str
) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    made.guestinfo = {f"guestinfo.{key}": value for key, value in values.items()}
    said, form = firstboot.boot(made.root, made.run)
    assert form
    assert words in said[0]
    assert words in made.read(console.PROBLEMS)
    assert words in made.read("run/issue.d/paver.issue")
    assert ended.read(made.root) is None


CHPASSWD = "#cloud-config\nchpasswd:\n"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"userdata": f"{CHPASSWD}  list: root:Hunter2-S3cret: x\n"},
            "it can't be read, line 3, column 28: mapping values are not allowed here",
        ),
        ({"userdata": f"{CHPASSWD}  password: *Hunter2-S3cret\n"}, "it can't be read, line 3, column 13"),
        ({"userdata": f"{CHPASSWD}  password: &Hunter2-S3cret!\n"}, "it can't be read, line 3, column 28"),
        (
            {"userdata": f"{CHPASSWD}  password: [Hunter2-S3cret"},
            "expected ',' or ']', but got '<stream end>'",
        ),
        ({"userdata": f'{CHPASSWD}  password: "Hunter2-\\S3cret"'}, "line 3, column 23"),
        ({"userdata": f"{CHPASSWD}  password: Hunter2-S3cret\x01"}, "it can't be read"),
        ({"userdata": "Hunter2-S3cret"}, "its first line is not #cloud-config"),
    ],
)
def test_no_message_about_broken_data_shows_a_piece_of_it(
    tmp_path: Path, values: dict[str, str], words: str
) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    made.guestinfo = {f"guestinfo.{key}": value for key, value in values.items()}
    said, _ = firstboot.boot(made.root, made.run)
    shown = [*said, made.read(console.PROBLEMS), made.read("run/issue.d/paver.issue")]
    assert words in said[0]
    assert [text for text in shown if "Hunter2" in text or "S3cret" in text] == []


@pytest.mark.parametrize(
    "line",
    [
        (
            'Failed loading yaml blob. Invalid format at line 3 column 27: "mapping values are not allowed here\n'
            '  in "<unicode string>", line 3, column 27:\n      list: root:Hunter2-S3cret: x'
        ),
        "Unhandled non-multipart (text/x-not-multipart) userdata: 'b'Hunter2-S3cret'...'",
        "Unexpected error ['chpasswd', 'Hunter2-S3cret']",
    ],
)
def test_what_cloud_init_quotes_of_the_data_is_not_repeated_and_its_log_is_named(
    tmp_path: Path, line: str
) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    made.write("run/cloud-init/status.json", json.dumps({"v1": {"init": {"errors": [line]}}}))
    said, _ = firstboot.boot(made.root, made.run)
    assert said[0].startswith(f"cloud-init: {line[:10]}")
    assert said[0].endswith("/var/log/cloud-init.log)")
    assert "Hunter2" not in said[0] + made.read(console.PROBLEMS) + made.read("run/issue.d/paver.issue")


def test_what_others_wrote_steers_no_console(tmp_path: Path) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    made.guestinfo |= {"guestinfo.metadata": "a: 1", "guestinfo.metadata.encoding": "rot\x1b[2J13\\n"}
    stage = {"errors": ["Unhandled type (text/\x1b]0;x\x07)"]}
    made.write("run/cloud-init/status.json", json.dumps({"v1": {"init": stage}}))
    firstboot.boot(made.root, made.run)
    shown = made.read("run/issue.d/paver.issue")
    assert "rot" in shown
    assert "Unhandled type" in shown
    assert [line for line in shown.splitlines() if not line.isprintable()] == []
    assert "13\\\\n" in shown


def test_what_cloud_init_stumbled_over_is_told_and_opens_no_form_where_somebody_can_log_in(
    tmp_path: Path,
) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    made.write("home/paver/.ssh/authorized_keys", f"{room.HOST_KEY}\n")
    stage = {
        "errors": [],
        "recoverable_errors": {"WARNING": ["Failed loading yaml blob"], "DEPRECATED": ["old"]},
    }
    made.write("run/cloud-init/status.json", json.dumps({"v1": {"stage": None, "init": stage}}))
    said, form = firstboot.boot(made.root, made.run)
    assert (said, form) == (["cloud-init: Failed loading yaml blob"], [])
    assert ended.read(made.root) is not None


def test_an_empty_second_disk_becomes_the_data_disk(tmp_path: Path) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    empty = tmp_path / "sdb"
    with empty.open("wb") as file:
        file.truncate(10 * GIB)
    with_disks(made, SYSTEM, disk("sdb", path=str(empty), size=10 * GIB))
    firstboot.boot(made.root, made.run)
    assert made.began("mkfs.ext4", "-q", "-L", "paver-data", "-m", "0", str(empty))
    assert made.began("systemctl", "start", datadisk.UNIT)


@pytest.mark.parametrize("at", [0, 511, 4 * 2**20 - 1, 10 * GIB - 1, 10 * GIB - 4 * 2**20])
def test_a_disk_with_a_byte_on_it_is_never_formatted(tmp_path: Path, at: int) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    used = tmp_path / "sdb"
    with used.open("wb") as file:
        file.truncate(10 * GIB)
        file.seek(at)
        file.write(b"\x01")
    with_disks(made, SYSTEM, disk("sdb", path=str(used), size=10 * GIB))
    said, _ = firstboot.boot(made.root, made.run)
    assert not made.began("mkfs.ext4")
    assert "left alone" in said[0]


@pytest.mark.parametrize(
    "other",
    [
        {"fstype": "xfs"},
        {"pttype": "gpt"},
        {"children": [{"path": "/dev/sdb1", "type": "part"}]},
        {"ro": True},
        {"mountpoints": ["/mnt"]},
        {"type": "rom"},
        {"size": GIB},
    ],
)
def test_a_disk_that_is_used_or_none_for_data_is_not_chosen(other: dict[str, Any]) -> None:
    assert datadisk.choose([SYSTEM, disk("sdb", **other)]).empty is None


def test_of_two_empty_disks_none_is_taken_and_it_is_said() -> None:
    choice = datadisk.choose([SYSTEM, disk("sdb"), disk("sdc")])
    assert choice.empty is None
    assert "/dev/sdb /dev/sdc are empty" in choice.said


def test_a_data_disk_that_is_there_is_mounted_and_an_empty_one_beside_it_left_alone(tmp_path: Path) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    with_disks(made, SYSTEM, disk("sdb", fstype="ext4", label="paver-data"), disk("sdc"))
    firstboot.boot(made.root, made.run)
    assert made.began("systemctl", "start", datadisk.UNIT)
    assert not made.began("mkfs.ext4")


DATA = disk("sdb", fstype="ext4", label="paver-data")


@pytest.mark.parametrize("mounted", [[None], ["/var/lib/paver"]])
def test_a_data_disk_that_the_host_made_larger_is_used_to_its_end_once_it_is_mounted(
    tmp_path: Path, mounted: list[str | None]
) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    with_disks(made, SYSTEM, {**DATA, "mountpoints": mounted})
    assert firstboot.boot(made.root, made.run)[0] == []
    grown = made.ran.index(("resize2fs", "/dev/sdb"))
    mount = ("systemctl", "start", datadisk.UNIT)
    assert mounted == ["/var/lib/paver"] or made.ran.index(mount) < grown


def test_where_the_data_disk_does_not_mount_its_file_system_is_left_as_it_is(tmp_path: Path) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    with_disks(made, SYSTEM, DATA)
    made.prints["systemctl start"] = PaverError("`systemctl start` ended with 1")
    firstboot.boot(made.root, made.run)
    assert not made.began("resize2fs")


@pytest.mark.parametrize("found", [disk("sdb"), DATA])
def test_no_disk_hides_what_the_machine_in_use_has_and_no_form_opens(
    tmp_path: Path, found: dict[str, Any]
) -> None:
    made = room.make(tmp_path)
    ended.write(made.root, SET_UP)
    made.write("var/lib/paver/bucc/lab-north/state/state.json", "{}")
    with_disks(made, SYSTEM, found)
    said, form = firstboot.boot(made.root, made.run)
    assert not made.began("mkfs.ext4")
    assert not made.began("systemctl", "start", datadisk.UNIT)
    assert form == []
    assert "/dev/sdb" in said[0]
    assert "/var/lib/paver on the first disk is in use" in made.read("run/issue.d/paver.issue")


def test_a_data_disk_that_fails_or_comes_opens_no_form_of_a_machine_that_was_set_up(tmp_path: Path) -> None:
    made = room.make(tmp_path)
    ended.write(made.root, SET_UP)
    with_disks(made, SYSTEM, DATA)
    made.prints["systemctl start"] = PaverError("`systemctl start` ended with 1", seen="bad superblock")
    assert firstboot.boot(made.root, made.run) == (["`systemctl start` ended with 1 bad superblock"], [])
    del made.prints["systemctl start"]
    # What is mounted has none of what the first disk has in this place.
    shutil.rmtree(made.root / datadisk.MOUNT)
    assert firstboot.boot(made.root, made.run) == ([], [])
    found = ended.read(made.root)
    assert found is not None
    assert found.closed


def test_of_two_disks_that_say_they_are_the_data_disk_none_is_mounted(tmp_path: Path) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    with_disks(made, SYSTEM, DATA, disk("sdc", fstype="ext4", label="paver-data"))
    said, _ = firstboot.boot(made.root, made.run)
    assert not made.began("systemctl", "start", datadisk.UNIT)
    assert "/dev/sdb /dev/sdc are all labelled paver-data: detach" in said[0]


def test_where_the_data_disk_is_gone_no_other_one_is_made_until_somebody_says_so(tmp_path: Path) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    with_disks(made, SYSTEM, DATA)
    assert firstboot.boot(made.root, made.run)[0] == []
    empty = tmp_path / "sdc"
    with empty.open("wb") as file:
        file.truncate(10 * GIB)
    with_disks(made, SYSTEM, disk("sdc", path=str(empty), size=10 * GIB))
    said, _ = firstboot.boot(made.root, made.run)
    assert "the data disk that has this machine's state is not there: attach it again" in said[0]
    assert not made.began("mkfs.ext4")
    (made.root / said[0].rpartition(" /")[2]).unlink()
    assert firstboot.boot(made.root, made.run)[0] == []
    assert made.began("mkfs.ext4")


def test_a_boot_goes_on_without_a_data_disk_that_fails(tmp_path: Path) -> None:
    made = room.make(tmp_path, cloud="nocloud")
    with_disks(made, SYSTEM, disk("sdb", fstype="ext4", label="paver-data"))
    made.prints["systemctl start"] = PaverError("`systemctl start` ended with 1", seen="bad superblock")
    said, _ = firstboot.boot(made.root, made.run)
    assert "bad superblock" in said[0]
    assert "bad superblock" in made.read("run/issue.d/paver.issue")
    assert ended.read(made.root) is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 2026-02-30", ""),
        ("x: !!float abc", ""),
        ("!!set [x", "it can't be read, line 1"),
        ("[" * 3000, "nested too deep"),
        ('a: "\\UFFFFFFFF"', "out of bounds"),
        (f"%YAML 1.{'9' * 5000}\n---\na: 1", "out of bounds"),
        (f"a: {'x' * 2**20}", "1024 at most are read"),
    ],
)
def test_no_data_stop_a_boot_from_coming_to_its_end(tmp_path: Path, text: str, words: str) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    made.guestinfo["guestinfo.metadata"] = text
    said, form = firstboot.boot(made.root, made.run)
    assert (ended.read(made.root) is None) == bool(form) == bool(words)
    assert words in " ".join(said)
    assert "set up" in made.read("run/issue.d/paver.issue")


@given(st.text(st.sampled_from("ab'\"\\[]{}:,-*&!%|>@`# \n\tUx0\x01é"), max_size=40), st.booleans())
def test_any_text_is_a_mapping_or_refused_in_words(text: str, directive: bool) -> None:
    said = "guestinfo.metadata: it is a mapping"
    try:
        assert isinstance(handed.mapping(f"%YAML {text}" if directive else text, "guestinfo.metadata"), dict)
    except BadInput as refused:
        said = refused.what
    assert said.startswith("guestinfo.metadata: it ")


def test_a_disk_that_can_not_be_opened_stops_no_boot(tmp_path: Path) -> None:
    made = room.make(tmp_path)
    gone = str(tmp_path / "sdb")
    with_disks(made, SYSTEM, disk("sdb", path=gone))
    said, form = firstboot.boot(made.root, made.run)
    assert form == ["tty1", "ttyS0"]
    assert said == [f"{gone}: No such file or directory"]
    assert said[0] in made.read("run/issue.d/paver.issue")


@given(st.text(max_size=200), st.sampled_from(["", "base64", "b64", "gzip+base64", "gz+b64", "other"]))
def test_any_value_decodes_or_is_refused_by_its_key(value: str, encoding: str) -> None:
    try:
        guestinfo.decode("metadata", value, encoding)
        key = "metadata"
    except PaverError as refused:
        key = refused.what
    assert "metadata" in key


@given(st.text(max_size=100))
def test_a_mark_that_is_none_is_no_mark(text: str) -> None:
    assert ended.loads(text, room.MACHINE) is None
