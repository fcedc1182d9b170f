"""The script that paves from within: where it finds its site, the order of its steps, and how it ends each time."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import io
import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from paver.appliance import bootstrap, datadisk, ended, site
from paver.appliance.bootstrap import Bootstrap
from paver.errors import BadInput, PaverError, Refused
from tests.support import room
from tests.support.room import Room

SITE = "paver: 1\nname: lab-north\n"


class Killed(BaseException):
    """The power went."""


@dataclasses.dataclass
class Story:
    """A run with a stand-in for paver, which notes its verbs and ends each as told."""

    made: Room
    codes: dict[str, int] = dataclasses.field(default_factory=lambda: {"plan": 2})
    typed: str | None = "yes"
    verbs: list[str] = dataclasses.field(default_factory=list)
    said: list[str] = dataclasses.field(default_factory=list)
    dies_at: str = ""

    def tells(self) -> int:
        typed = self.typed
        confirm = None if typed is None else lambda _: typed or ""
        return Bootstrap(self.made.root, self.made.run, self.paver, confirm, self.said.append).carry_out()

    def paver(self, arguments: Sequence[str]) -> int:
        self.verbs.append(arguments[0])
        assert str(self.made.root / site.PLACE / site.FILE) in arguments
        assert ("jumpbox" in arguments) == (arguments[0] != "validate")
        if arguments[0] == self.dies_at:
            raise Killed
        return self.codes.get(arguments[0], 0)

    @property
    def end(self) -> str:
        return "\n".join(self.said[-4:])


@pytest.fixture
def made(tmp_path: Path) -> Room:
    found = room.make(tmp_path)
    found.write(f"{site.PLACE}/{site.FILE}", SITE)
    return found


def test_it_validates_looks_plans_asks_and_carries_out_what_was_shown(made: Room) -> None:
    story = Story(made)
    assert story.tells() == 0
    assert story.verbs == ["validate", "preflight", "plan", "apply"]
    assert "The site stands." in story.said
    assert "paver status" in story.end or "paver verify" in story.end


def test_after_a_success_it_says_so_and_does_nothing_until_the_site_file_changes(made: Room) -> None:
    Story(made).tells()
    again = Story(made)
    assert again.tells() == 0
    assert again.verbs == []
    assert any("was paved" in line for line in again.said)
    # It may have been destroyed since: this command does not look.
    assert any("paver apply" in line and "after a destroy" in line for line in again.said)
    made.write(f"{site.PLACE}/{site.FILE}", SITE + "# more\n")
    changed = Story(made)
    assert changed.tells() == 0
    assert changed.verbs[-1] == "apply"


@pytest.mark.parametrize(
    ("codes", "verbs", "code"),
    [
        ({"validate": 3}, ["validate"], 3),
        ({"preflight": 4}, ["validate", "preflight"], 4),
        ({"preflight": 1}, ["validate", "preflight"], 1),
        ({"plan": 1}, ["validate", "preflight", "plan"], 1),
        ({"plan": 2, "apply": 5}, ["validate", "preflight", "plan", "apply"], 5),
    ],
)
def test_a_step_that_fails_ends_it_with_its_code_and_says_what_next(
    made: Room, codes: dict[str, int], verbs: list[str], code: int
) -> None:
    story = Story(made, codes)
    assert story.tells() == code
    assert story.verbs == verbs
    assert "sudo paver-bootstrap" in story.end
    assert not (made.root / bootstrap.DONE).exists()
    after = Story(made)
    assert after.tells() == 0
    assert after.verbs[-1] == "apply"


def test_what_preflight_only_wants_looked_at_stops_nothing(made: Room) -> None:
    story = Story(made, {"preflight": 2, "plan": 2})
    assert story.tells() == 0
    assert story.verbs[-1] == "apply"


def test_where_nothing_is_to_do_nothing_is_asked_and_it_is_marked(made: Room) -> None:
    story = Story(made, {"plan": 0}, typed=None)
    assert story.tells() == 0
    assert story.verbs == ["validate", "preflight", "plan"]
    assert (made.root / bootstrap.DONE).exists()


@pytest.mark.parametrize("typed", ["no", "", None])
def test_without_a_yes_nothing_is_carried_out_and_it_ends_as_an_apply_that_was_not_confirmed(
    made: Room, typed: str | None
) -> None:
    story = Story(made, typed=typed)
    assert story.tells() == 4
    assert story.verbs[-1] == "plan"
    assert "Nothing was changed." in story.said
    assert not (made.root / bootstrap.DONE).exists()


@pytest.mark.parametrize("verb", ["validate", "preflight", "plan", "apply"])
def test_killed_at_any_step_the_next_run_goes_on(made: Room, verb: str) -> None:
    with pytest.raises(Killed):
        Story(made, dies_at=verb).tells()
    assert not (made.root / bootstrap.DONE).exists()
    after = Story(made)
    assert after.tells() == 0
    assert after.verbs == ["validate", "preflight", "plan", "apply"]


def test_two_at_once_are_refused(made: Room) -> None:
    (made.root / "run").mkdir(exist_ok=True)
    with (made.root / bootstrap.LOCK).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        story = Story(made)
        with pytest.raises(Refused, match="runs already"):
            story.tells()
    assert story.verbs == []


@pytest.mark.parametrize(
    ("disks", "words"),
    [
        ([{"path": "/dev/sdb", "label": "paver-data", "mountpoints": [None]}], "/dev/sdb is not mounted"),
        ([{"path": f"/dev/sd{name}", "label": "paver-data"} for name in "bc"], "are all labelled paver-data"),
        ([], "is not there"),
    ],
)
def test_where_the_state_is_not_where_it_was_nothing_is_begun_anew(
    tmp_path: Path, disks: list[dict[str, object]], words: str
) -> None:
    made = room.make(tmp_path, vmware=True)
    made.guestinfo["guestinfo.paver.site"] = SITE
    made.write(datadisk.RECORD, "/dev/sdb\n")
    made.prints["lsblk"] = json.dumps({"blockdevices": disks})
    story = Story(made)
    with pytest.raises(Refused, match=words) as refused:
        story.tells()
    assert refused.value.do
    assert story.verbs == []
    assert not (made.root / site.PLACE).exists()
    mounted = {"path": "/dev/sdb", "label": "paver-data", "mountpoints": ["/var/lib/paver"]}
    made.prints["lsblk"] = json.dumps({"blockdevices": [mounted]})
    assert Story(made).tells() == 0


def test_a_done_mark_that_is_damaged_counts_as_none(made: Room) -> None:
    made.write(bootstrap.DONE, '{"schema": "paver.bootstrap/1"')
    story = Story(made)
    story.tells()
    assert story.verbs[-1] == "apply"
    assert json.loads(made.read(bootstrap.DONE))["schema"] == "paver.bootstrap/1"


def test_without_a_site_it_says_where_it_looked_and_how_to_bring_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no site") as refused:
        Story(room.make(tmp_path)).tells()
    assert "guestinfo.paver.site" in refused.value.seen
    assert "scp -r" in refused.value.do


def test_a_site_in_guestinfo_is_kept_with_its_sealed_store_and_cleared_there(tmp_path: Path) -> None:
    made = room.make(tmp_path, vmware=True)
    made.guestinfo |= {"guestinfo.paver.site": SITE, "guestinfo.paver.sealed": "c2VhbGVk"}
    made.guestinfo["guestinfo.paver.sealed.encoding"] = "base64"
    assert Story(made).tells() == 0
    assert made.read(f"{site.PLACE}/{site.FILE}") == SITE
    assert made.read(f"{site.PLACE}/lab-north.sealed") == "sealed"
    assert {made.guestinfo["guestinfo.paver.site"], made.guestinfo["guestinfo.paver.sealed"]} == {"---"}
    assert (made.root / site.PLACE / "lab-north.sealed").stat().st_mode & 0o777 == 0o600
    assert Story(made).tells() == 0


def test_what_a_run_that_was_killed_left_of_the_site_in_guestinfo_is_cleared_by_the_next(
    tmp_path: Path,
) -> None:
    made = room.make(tmp_path, vmware=True)
    left = {"guestinfo.paver.site": SITE, "guestinfo.paver.sealed": "sealed"}
    made.guestinfo |= left
    run = made.run

    def dying(*argv: str, stdin: str = "", timeout: float = 0) -> str:
        if argv[-1].startswith("info-set"):
            raise Killed
        return run(*argv, stdin=stdin, timeout=timeout)

    made.run = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        Story(made).tells()
    assert made.guestinfo == left
    made.run = run  # type: ignore[method-assign]
    story = Story(made)
    assert story.tells() == 0
    assert {made.guestinfo[key] for key in left} == {"---"}
    assert "cleared" in story.said[0]


def test_first_boot_data_of_others_that_still_stand_in_guestinfo_are_cleared(made: Room) -> None:
    made.write("sys/class/dmi/id/sys_vendor", "VMware, Inc.\n")
    made.guestinfo["guestinfo.userdata"] = "#cloud-config\npassword: geheim\n"
    Story(made).tells()
    assert made.guestinfo["guestinfo.userdata"] != "---", "the first boot has not come to its end"
    found = ended.Ended(way="console", machine=room.MACHINE, address=None, prefix=None, fingerprint=None)
    ended.write(made.root, found)
    Story(made).tells()
    assert made.guestinfo["guestinfo.userdata"] == "---"


def with_cd(made: Room, files: dict[str, str]) -> None:
    """Puts a CD-ROM in: mounting it lays its files out where it is mounted."""
    made.write("dev/disk/by-label/PAVER-SITE", "")
    run = made.run

    def mounting(*argv: str, stdin: str = "", timeout: float = 0) -> str:
        if argv[0] == "mount":
            for name, text in files.items():
                target = Path(argv[-1]) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
        if argv[0] == "umount":
            for path in sorted(Path(argv[-1]).rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        return run(*argv, stdin=stdin, timeout=timeout)

    made.run = mounting  # type: ignore[method-assign]


def test_a_site_on_a_cd_is_kept_with_what_lies_beside_it(tmp_path: Path) -> None:
    made = room.make(tmp_path)
    with_cd(made, {"paver/site.yml": SITE, "paver/trust/root.pem": "root", "other": "no site's"})
    assert Story(made).tells() == 0
    kept = {
        str(path.relative_to(made.root / site.PLACE))
        for path in (made.root / site.PLACE).rglob("*")
        if path.is_file()
    }
    assert kept == {"site.yml", "trust/root.pem"}
    assert made.ran[-1][0] == "umount"


def test_what_somebody_is_copying_in_is_not_written_over_by_a_cd(tmp_path: Path) -> None:
    made = room.make(tmp_path)
    made.write(f"{site.PLACE}/lab-north.sealed", "precious")
    with_cd(made, {"paver/site.yml": SITE, "paver/lab-north.sealed": "older"})
    with pytest.raises(BadInput, match=r"no site\.yml"):
        Story(made).tells()
    assert made.read(f"{site.PLACE}/lab-north.sealed") == "precious"


def test_a_site_file_that_is_a_link_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    made = room.make(tmp_path)
    with_cd(made, {"paver/other.yml": SITE})
    run = made.run

    def linking(*argv: str, stdin: str = "", timeout: float = 0) -> str:
        found = run(*argv, stdin=stdin, timeout=timeout)
        if argv[0] == "mount":
            Path(argv[-1], "paver/site.yml").symlink_to("other.yml")
        return found

    made.run = linking  # type: ignore[method-assign]
    with pytest.raises(BadInput, match=r"site\.yml is a link"):
        Story(made).tells()
    assert not (made.root / site.PLACE).exists()


def test_what_was_brought_belongs_to_the_account_that_paves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: given.update({Path(path).name: (uid, gid)}))
    made = room.make(tmp_path)
    with_cd(made, {"paver/site.yml": SITE, "paver/trust/root.pem": "root"})
    site.bring(made.root, made.run, (1234, 1235))
    assert given == dict.fromkeys((".site.new", "site.yml", "trust", "root.pem"), (1234, 1235))


def test_a_cd_with_an_iso_beside_the_site_is_refused_before_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "LARGEST", 100)
    made = room.make(tmp_path)
    with_cd(made, {"paver/site.yml": SITE, "paver/vcsa.iso": "x" * 200})
    with pytest.raises(BadInput, match="MiB"):
        Story(made).tells()
    assert not (made.root / site.PLACE).exists()


@pytest.mark.parametrize(
    "text", ["name: ../../etc/passwd\n", "name: [\n", "- a\n", "name: [a]\n", "names: a\n"]
)
def test_a_site_in_guestinfo_whose_name_is_none_writes_nothing(tmp_path: Path, text: str) -> None:
    made = room.make(tmp_path, vmware=True)
    made.guestinfo |= {"guestinfo.paver.site": text, "guestinfo.paver.sealed": "sealed"}
    with pytest.raises(PaverError):
        Story(made).tells()
    assert not (made.root / site.PLACE).exists()
    assert made.guestinfo["guestinfo.paver.site"] == text


def test_what_is_wrong_with_a_site_in_guestinfo_is_said_without_a_piece_of_it(tmp_path: Path) -> None:
    made = room.make(tmp_path, vmware=True)
    made.guestinfo |= {"guestinfo.paver.site": "name: x: Hunter2\n", "guestinfo.paver.sealed": "sealed"}
    with pytest.raises(
        BadInput, match=r"guestinfo.paver.site: it can't be read, line 1, column 8"
    ) as refused:
        Story(made).tells()
    assert "Hunter2" not in str(refused.value.lines())


PAVES = pwd.struct_passwd(("paver", "x", 1234, 1235, "", "/home/paver", "/bin/bash"))


@dataclasses.dataclass
class Ran:
    """What `paver-bootstrap` ran of paver: the arguments, and as whom."""

    codes: dict[str, int]
    verbs: list[str] = dataclasses.field(default_factory=list)
    how: list[dict[str, object]] = dataclasses.field(default_factory=list)

    def __call__(self, argv: Sequence[str], **how: object) -> subprocess.CompletedProcess[str]:
        assert argv[0] == "/usr/local/bin/paver"
        self.verbs.append(argv[1])
        self.how.append(how)
        return subprocess.CompletedProcess(argv, self.codes.get(argv[1], 0))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """The command itself, begun by root on a machine of files."""
    found = Ran({"plan": 2})
    monkeypatch.setattr(subprocess, "run", found)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getgrouplist", lambda *_: [1235, 4])
    monkeypatch.setattr(pwd, "getpwnam", {"paver": PAVES}.__getitem__)
    return found


def test_paver_is_run_as_the_account_and_never_as_root(
    made: Room, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "me")
    assert bootstrap.main(["--yes"], made.root, made.run) == 0
    assert ran.verbs == ["validate", "preflight", "plan", "apply"]
    for how in ran.how:
        assert (how["user"], how["group"], how["extra_groups"]) == (1234, 1235, [1235, 4])
        assert how["cwd"] == "/home/paver"
        environment = how["env"]
        assert isinstance(environment, dict)
        assert (environment["HOME"], environment["USER"]) == ("/home/paver", "paver")
        assert "SUDO_USER" not in environment


def test_the_key_that_root_put_there_is_given_to_the_account_before_anything_needs_it(
    made: Room, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = made.write(bootstrap.KEY, "key")
    monkeypatch.setattr(os, "geteuid", lambda: key.stat().st_uid)
    given: list[tuple[object, ...]] = []
    monkeypatch.setattr(os, "chown", lambda *to: given.append(to))
    bootstrap._own_key(made.root, (1234, 1235))
    assert given == [(key, 1234, 1235)]
    key.rename(key.with_name("other"))
    key.symlink_to("other")
    bootstrap._own_key(made.root, (1234, 1235))
    assert len(given) == 1
    began: list[int] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(bootstrap, "_own_key", lambda *_: began.append(len(ran.verbs)))
    bootstrap.main(["--yes"], made.root, made.run)
    assert began == [0]


def test_whoever_is_not_root_is_refused(
    made: Room, ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert bootstrap.main([], made.root, made.run) == Refused.exit_code
    assert "sudo paver-bootstrap" in capsys.readouterr().err
    assert ran.verbs == []


def test_the_end_of_what_is_typed_is_no_yes(
    made: Room, ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Closed(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Closed(""))
    assert bootstrap.main([], made.root, made.run) not in {0, 1}
    assert ran.verbs == ["validate", "preflight", "plan"]
    assert "Nothing was changed." in capsys.readouterr().out


@pytest.mark.usefixtures("ran")
def test_a_disk_that_is_full_while_the_site_is_kept_is_said_and_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = room.make(tmp_path / "other")
    with_cd(made, {"paver/site.yml": SITE})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/var/lib/paver/.site.new/site.yml")

    monkeypatch.setattr(os, "chown", lambda *_: None)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        assert bootstrap.main(["--yes"], made.root, made.run) == 1
    said = capsys.readouterr().err
    assert "disk refuses: No space left on device" in said
    assert "make room" in said
    assert not (made.root / site.PLACE).exists()
    assert bootstrap.main(["--yes"], made.root, made.run) == 0


@pytest.mark.usefixtures("ran")
def test_ctrl_c_says_that_the_same_command_goes_on(
    made: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", stopped)
    assert bootstrap.main(["--yes"], made.root, made.run) == 130
    assert "sudo paver-bootstrap  goes on" in capsys.readouterr().err
