"""What a proof of an image is told from: first-boot data in each way, judged probes, a report."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import tempfile
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import paver
from paver.appliance import guestinfo
from paver.cli import image_prove
from paver.drivers.vsphere.jumpbox import first_boot
from paver.errors import BadInput, PaverError
from paver.image.bill import Bill, Item
from paver.image.prove import (
    checks,
    disks,
    firstboot,
    form,
    lynis,
    pave,
    release,
    report,
    run,
    shut,
    twice,
    ways,
)
from paver.image.prove.report import Line, Report, Section
from paver.lab import providing, raising, site
from paver.lab.qemu import acceleration, console, programs
from paver.lab.qemu.console import Hung
from paver.ovf import vmdk, write
from tests.support import small_image


def section(*lines: Line) -> Section:
    return Section(name="bios-nocloud", how="BIOS", seconds={"ssh": 60}, lines=lines)


def whole(*sections: Section) -> Report:
    return Report(image="x.ova", sha256="0" * 64, version="1", runs_by="tcg: no KVM", sections=sections)


def test_a_cd_rom_tells_the_same_as_guestinfo() -> None:
    told = firstboot.wish("ssh-ed25519 AAAA")
    files = firstboot.nocloud(told)
    metadata, network = json.loads(files["meta-data"]), json.loads(files["network-config"])
    values = {
        first_boot.METADATA: json.dumps({**metadata, "network": network}),
        first_boot.USERDATA: files["user-data"],
    }
    packed = first_boot.guestinfo(told)
    assert {key: first_boot.decoded(packed[key]) for key in values} == {
        key: value
        if key == first_boot.USERDATA
        else json.dumps(json.loads(value), indent=1, sort_keys=True) + "\n"
        for key, value in values.items()
    }
    assert yaml.safe_load(files["user-data"])["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA"]


def test_what_another_wrote_tells_the_same_and_is_not_taken_for_pavers_own(tmp_path: Path) -> None:
    told = firstboot.wish("ssh-ed25519 AAAA")
    values = firstboot.of_another(told)
    own = first_boot.guestinfo(told)
    metadata = json.loads(values[first_boot.METADATA])
    assert {**metadata, "instance-id": None} == {
        **json.loads(first_boot.decoded(own[first_boot.METADATA])),
        "instance-id": None,
    }
    assert values[first_boot.USERDATA] == first_boot.decoded(own[first_boot.USERDATA])

    def asks(given: dict[str, str]) -> guestinfo.Guestinfo:
        return guestinfo.Guestinfo(tmp_path, lambda *argv: given.get(argv[-1].removeprefix("info-get "), ""))

    assert guestinfo.of_paver(asks(own))
    assert not guestinfo.of_paver(asks(values))


def test_a_probe_holds_only_where_all_that_it_printed_is_wanted() -> None:
    probe = checks.Probe("services", "only SSH listens", "ss", "22")
    assert checks.judge(probe, "22\n") == Line("services", "only SSH listens", True, "22")
    broken = checks.judge(probe, "22\n8080\n")
    assert not broken.holds
    assert "8080" in broken.seen
    assert "by: ss" in broken.seen


def test_a_probe_that_wants_nothing_names_what_was_there() -> None:
    probe = checks.Probe("hardening", "no account has a password", "getent shadow")
    assert checks.judge(probe, "").seen == "nothing"
    assert checks.judge(probe, "guest\n").holds is False


def test_probes_run_in_one_script_and_each_is_judged_by_its_own_output() -> None:
    probes = [checks.Probe("a", "x", "echo 1", "1"), checks.Probe("a", "y", "echo 2 # none", "3")]
    made = checks.script(probes)
    assert "( echo 2 # none\n)" in made
    assert [line.holds for line in checks.judged(probes, "\x1e1\n\x1e2\n")] == [True, False]
    with pytest.raises(ValueError, match="shorter"):
        checks.judged(probes, "\x1e1\n")


SAID = """
  Compiling package 'said_in_c/fb1cf3978e22adfb53ee4c767ad23257c070c3f9'... Finished (00:00:01)
  Compiling package 'said_in_ruby/8eaba4d32d015015b53762e06d8171d89d88ea2d'... Finished (00:00:00)
creating stemcell (nobody 1):
  CPI 'create_stemcell' method responded with error: CmdError{"type":"Proof","message":"(C with zlib 1.2.13,
  OpenSSL 3) (Ruby 3.3.14 after C)","ok_to_retry":false}
"""


def test_a_release_is_proved_by_what_its_compiled_packages_say() -> None:
    assert [line.holds for line in release.judge(SAID)] == [True, True, True]
    assert [line.seen for line in release.judge(SAID)][1:] == [
        "C with zlib 1.2.13, OpenSSL 3",
        "Ruby 3.3.14 after C",
    ]


@pytest.mark.parametrize(
    ("old", "new", "holds"),
    [
        ("ea2d'... Finished", "ea2d'... Failed", [False, True, True]),
        ("(Ruby 3.3.14 after C)", "()", [True, True, False]),
        ("(C with zlib", "(C without", [True, False, True]),
    ],
)
def test_a_release_that_did_not_compile_or_run_is_told(old: str, new: str, holds: list[bool]) -> None:
    assert [line.holds for line in release.judge(SAID.replace(old, new))] == holds


def test_every_thing_in_the_bill_is_looked_for_at_its_version() -> None:
    items = (
        Item("deb", "bash", "5.2", "1" * 64),
        Item("program", "bosh", "7.4.0", "2" * 64),
        Item("wheel", "Jinja2", "3.1", "3" * 64),
    )
    bill = Bill(version="1", disk_sha256="", items=items)
    probes = {probe.what: probe for probe in checks.contents(bill, "1")}
    for what, out, other in (
        ("Debian packages as in the bill", "bash 5.2", "bash 5.1"),
        ("Python packages as in the bill", "jinja2==3.1", "jinja2==3.1\nevil==1"),
        ("bosh is the bill's", f"{'2' * 64}  -", f"{'4' * 64}  -"),
        ("paver is the image's version", "paver 1", "paver 10"),
    ):
        assert checks.judge(probes[what], out).holds, what
        assert not checks.judge(probes[what], other).holds, what


def test_every_pattern_compiles_and_no_thing_is_looked_at_twice() -> None:
    told = firstboot.wish("ssh-ed25519 AAAA")
    probes = [
        *checks.contents(None, "1"),
        *checks.services(("open-vm-tools.service",)),
        *shut.probes(),
        *checks.first_boot(
            hostname=told.hostname,
            domain=told.domain,
            address=told.address,
            prefix=told.prefix,
            gateway=told.gateway,
            user=told.user,
        ),
    ]
    assert len({(probe.group, probe.what) for probe in probes}) == len(probes)
    for probe in probes:
        re.compile(probe.wanted)


def test_a_report_holds_only_where_all_of_it_does() -> None:
    good, bad = Line("a", "x", True, "1"), Line("a", "y", False, "2")
    assert whole(section(good)).holds
    broken = whole(section(good), section(bad))
    assert not broken.holds
    assert report.ending(broken) == "1 of 2 things do not hold of x.ova"


def test_a_stand_in_is_named_in_the_report() -> None:
    shown = report.text(Section(name="g", how="guestinfo", stands_in="QEMU has none", lines=()))
    assert "  stand-in: QEMU has none" in shown


def test_a_way_that_there_is_not_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    order = run.Order(file=tmp_path / "x.ova", only=("bios-floppy",))
    with pytest.raises(BadInput, match="bios-floppy is no way"):
        run.prove(order, lambda _: None, lambda _: None)


SNMP = """\
Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams
Ip: 2 64 900 0 7 0
IcmpMsg: InType3
IcmpMsg: 1
"""


def test_the_kernel_counts_what_was_passed_on() -> None:
    found = pave.counters(SNMP)
    assert (found["ForwDatagrams"], found["InReceives"], found["InAddrErrors"]) == (0, 900, 7)


BOOTSTRAPPED = """\
paver-bootstrap: the site of /var/lib/paver/site

--- paver apply
lab-north: done in 76 s
  made      47 created
  journal   /var/lib/paver/site/.paver/lab-north/runs/1/journal.jsonl

The site stands.
  next  paver status          how it stands, the ways in, the passwords
        paver verify          prove it all again
"""
SAID_BY_SCRIPT = {
    "bootstrap": (0, BOOTSTRAPPED),
    "mark": (0, '{"at": "2026-11-28T18:00:00+00:00", "schema": "paver.bootstrap/1", "site": "12"}'),
    "again": (0, "This site was paved, and site.yml is the same since.\n  next  paver status\n"),
}


def test_the_script_paves_marks_itself_done_and_finds_all_done_when_it_is_run_again() -> None:
    ran = []

    def run(name: str, command: str) -> tuple[int, str]:
        ran.append(command)
        return SAID_BY_SCRIPT[name]

    lines = pave.bootstrapped(run)
    assert [line.holds for line in lines] == [True] * 5
    assert lines[1].seen == "made      47 created"
    assert ran[0] == "sudo /usr/local/sbin/paver-bootstrap --yes"
    assert ran[2] == "sudo /usr/local/sbin/paver-bootstrap"


@pytest.mark.parametrize(
    ("name", "code", "said", "holds"),
    [
        ("bootstrap", 3, "error: there is no site to pave\n", [False, False, False, True, True]),
        ("bootstrap", 0, BOOTSTRAPPED.replace("47 created", "nothing"), [True, False, True, True, True]),
        ("bootstrap", 0, BOOTSTRAPPED.replace("The site stands.", ""), [True, True, False, True, True]),
        ("mark", 1, "cat: no such file", [True, True, True, False, True]),
        ("again", 0, "--- paver apply\nThis site was paved", [True, True, True, True, False]),
    ],
)
def test_a_script_that_did_not_do_all_of_it_is_told(
    name: str, code: int, said: str, holds: list[bool]
) -> None:
    answers = {**SAID_BY_SCRIPT, name: (code, said)}
    assert [line.holds for line in pave.bootstrapped(lambda asked, _: answers[asked])] == holds


def lab_of(folder: Path) -> Path:
    """A lab's folder, with what two of its machines said."""
    said = {
        "machines/30-1/console.log": "power on: paver-jumpbox on esx-01\nQEMU ended: by signal 6, Aborted\n",
        "machines/30-2/console.log": "power on: vcsa on esx-01\n",
        "run/pc-30/console.log": "\x1b[2Jstarting\r\nKernel panic - not syncing\r\n",
        "run/pc-30/qemu.log": "",
        "run/room.log": "not of a machine",
    }
    for name, text in said.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_an_apply_that_failed_is_told_with_what_the_machines_said_last(tmp_path: Path) -> None:
    kept = tmp_path / "pave"
    kept.mkdir()
    shown = pave.consoles(lab_of(tmp_path / "lab"), kept)
    assert shown.splitlines() == [
        "30-1.console.log:",
        "power on: paver-jumpbox on esx-01",
        "QEMU ended: by signal 6, Aborted",
        "30-2.console.log:",
        "power on: vcsa on esx-01",
        "pc-30.console.log:",
        "starting",
        "Kernel panic - not syncing",
    ]
    assert {path.name for path in kept.iterdir()} == {
        "30-1.console.log",
        "30-2.console.log",
        "pc-30.console.log",
        "pc-30.qemu.log",
    }
    failed, handed_over = pave.applied(1, "error: no host keys\n", shown)
    assert not failed.holds
    assert failed.seen.startswith("error: no host keys\n30-1.console.log:\npower on: paver-jumpbox")
    assert not handed_over.holds
    done, _ = pave.applied(0, "all of it (3 from here, 2 on the jumpbox)", shown)
    assert (done.holds, done.seen) == (True, "exit code 0")


def test_what_machines_said_is_kept_however_a_pave_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down: list[Path] = []

    def endless(*_: object) -> tuple[int, str]:
        raise PaverError("paver apply did not end within 2 hours")

    monkeypatch.setattr(providing, "provide", lambda *_: ({}, {}))
    raised = types.SimpleNamespace(folder=lab_of(tmp_path / "lab"))
    monkeypatch.setattr(raising, "up", lambda *_, **__: raised)
    monkeypatch.setattr(raising, "down", down.append)
    monkeypatch.setattr(site, "write", lambda *_: types.SimpleNamespace(site=tmp_path / "site.yml"))
    monkeypatch.setattr(pave, "_paver", endless)
    with pytest.raises(PaverError, match="within 2 hours"):
        pave.prove(tmp_path / "x.ova", tmp_path, lambda _: None)
    assert down == [tmp_path / "lab"]
    assert "Kernel panic" in (tmp_path / "pc-30.console.log").read_text()


def test_that_only_an_ova_is_deployed_is_said_before_anything_is_booted(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a folder"):
        run.prove(run.Order(file=tmp_path), lambda _: None, lambda _: None)


def test_a_folder_without_one_disk_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds 0 VMDKs"):
        run.prove(run.Order(file=tmp_path, only=("bios-nocloud",)), lambda _: None, lambda _: None)


def test_a_disk_without_room_for_a_proof_is_told_before_anything_is_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_ROOM", 2**60)
    order = run.Order(file=tmp_path / "x.ova", only=("bios-nocloud",))
    with pytest.raises(PaverError, match=r"are free at .*a proof takes") as refused:
        run.prove(order, lambda _: pytest.fail("it begins"), lambda _: None)
    assert "TMPDIR" in refused.value.do


def test_a_disk_that_would_have_qemu_open_another_file_is_refused_before_anything_is_booted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    vmdk.write_vmdk(b"disk", packed)
    data = packed.getvalue().replace(b"parentCID=ffffffff\n", b'parentFileNameHint="/etc/shadow"\n')
    (tmp_path / "disk.vmdk").write_bytes(data)
    monkeypatch.setattr(programs, "provide", lambda _: pytest.fail("it goes on"))
    order = run.Order(file=tmp_path, only=("bios-nocloud",))
    with pytest.raises(BadInput, match=r"disk\.vmdk names another disk"):
        run.prove(order, lambda _: None, lambda _: None)


def booted_by(boot: Callable[..., Section], image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a disk into the folder `image`, and lets `boot` prove each way, in the place of QEMU."""
    monkeypatch.setattr(ways, "prove", boot)
    monkeypatch.setattr(programs, "provide", lambda _: None)
    monkeypatch.setattr(programs, "provide_firmware", lambda _: None)
    monkeypatch.setattr(acceleration, "choose", lambda: acceleration.Acceleration("tcg", "none other"))
    with (image / "disk.vmdk").open("wb") as file:
        vmdk.write_vmdk(b"disk", file)


def test_a_way_that_hangs_is_a_line_of_the_report_and_the_others_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boot(_: object, way: ways.Way, *__: object) -> Section:
        if way.name == "bios-nocloud":
            raise Hung("it hangs", seen="the console's last line")
        return Section(name=way.name, how=way.how, lines=(Line("a", "x", True, "1"),))

    booted_by(boot, tmp_path, monkeypatch)
    so_far: list[report.Report] = []
    order = run.Order(file=tmp_path, only=("bios-nocloud", "uefi-nocloud"), keep=tmp_path / "keep")
    proved = run.prove(order, lambda _: None, so_far.append)
    assert [(each.holds, each.left) for each in so_far] == [(False, ("uefi-nocloud",)), (False, ())]
    assert [(section.name, section.holds) for section in proved.sections] == [
        ("bios-nocloud", False),
        ("uefi-nocloud", True),
    ]
    assert "the console's last line" in proved.sections[0].lines[0].seen


def test_what_was_said_in_a_way_that_does_not_hold_is_kept_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boot(_: object, way: ways.Way, __: object, folder: Path, ___: object) -> Section:
        (folder / "console.log").write_text("the last line")
        return Section(name=way.name, how=way.how, lines=(Line("a", "x", way.name != "bios-nocloud", "1"),))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    image = tmp_path / "image"
    image.mkdir()
    booted_by(boot, image, monkeypatch)
    told: list[str] = []
    run.prove(run.Order(file=image, only=("bios-nocloud", "uefi-nocloud")), told.append, lambda _: None)
    (kept,) = (line for line in told if "is kept" in line)
    name, _, log = kept.partition(": what was said is kept, see ")
    assert (name, Path(log).read_text()) == ("bios-nocloud", "the last line")
    assert Path(log).is_relative_to(tmp_path)


def test_a_report_of_a_proof_that_was_ended_does_not_hold() -> None:
    good = whole(section(Line("a", "x", True, "1")))
    assert not dataclasses.replace(good, left=("pave",)).holds


class Typed:
    """A console that asks the form's questions, and takes what is typed."""

    def __init__(self, tmp_path: Path, asks: list[str]) -> None:
        self.log, self.asks, self.answers = tmp_path / "console.log", asks, list[str]()
        self.log.write_text(self.asks.pop(0))

    def type(self, text: str) -> None:
        self.answers.append(text)
        with self.log.open("a") as sink:
            sink.write(text + self.asks.pop(0))


ASKS = [
    "Address/prefix: ",
    "Gateway [10.20.0.1]: ",
    "DNS servers [-]: ",
    "NTP servers [-]: ",
    "Name [paver-jumpbox]: ",
    "SSH public key, or Enter for a password: ",
    'Apply this? "yes", the number of a line to change it, or "again": ',
]


@pytest.mark.parametrize("ends", ["Done.", "Done, and something does not answer:"])
def test_the_form_is_answered_question_by_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    typed = Typed(tmp_path, [*ASKS, f"{ends}\n"])
    asked = console.Console(typed.log)
    monkeypatch.setattr(asked, "type", typed.type)
    told = firstboot.wish("ssh-ed25519 AAAA")
    form.fill_in(asked, form.steps(told), 1, lambda: True)
    assert typed.answers == [
        "10.20.0.10/24\n",
        "10.20.0.2\n",
        "10.20.0.2\n",
        "\n",
        "jumpbox.proof.example\n",
        "ssh-ed25519 AAAA\n",
        "yes\n",
    ]


def test_a_form_that_refuses_an_answer_is_told_with_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = Typed(tmp_path, [ASKS[0], "  !! 10.20.0.10 is taken\nAddress/prefix: "])
    asked = console.Console(typed.log)
    monkeypatch.setattr(asked, "type", typed.type)
    monkeypatch.setattr(form, "QUESTION", 0)
    with pytest.raises(console.Hung) as raised:
        form.fill_in(asked, form.steps(firstboot.wish("ssh-ed25519 AAAA")), 1, lambda: True)
    assert "10.20.0.10 is taken" in raised.value.seen


REPORT = """\
lynis_version=3.0.8
suggestion[]=BOOT-5122|Set a password on GRUB|-|-|
suggestion[]=AUTH-9999|Something that nobody looked at|-|-|
hardening_index=64
"""


def test_each_finding_of_lynis_is_a_line_that_holds_where_it_has_a_reason() -> None:
    accepted = {"BOOT-5122": "the console is behind a login"}
    ended, unknown, explained = lynis.judge(REPORT, accepted)
    assert (ended.holds, ended.seen) == (True, "hardening index 64, 2 findings, lynis 3.0.8")
    assert (unknown.what, unknown.holds) == ("AUTH-9999 has a reason", False)
    assert (explained.what, explained.holds) == ("BOOT-5122 has a reason", True)
    assert explained.seen.endswith("the console is behind a login")


def test_a_reason_of_what_lynis_does_not_find_any_more_is_named() -> None:
    *_, old = lynis.judge(REPORT, {"FIRE-4512": "there was a rule missing"})
    assert (old.what, old.seen) == ("reasons of what is not found here", "FIRE-4512")


def test_a_run_of_lynis_that_was_cut_does_not_hold() -> None:
    (cut,) = lynis.judge(REPORT.partition("hardening")[0], {})
    assert not cut.holds


PROFILE = """\
# a comment
quick=yes
plugin=debian
upload=no
config-data=sysctl;net.inet.ip.forwarding;0;1;no packet goes on;-;category:security;
config-data=sysctl;net.ipv4.conf.all.rp_filter;1;1;spoofing;-;category:security;
"""


def test_lynis_is_given_a_profile_of_what_a_linux_has_without_the_tests_that_are_left_out() -> None:
    assert lynis.profile(PROFILE, ["CRYP-7902", "php"]).splitlines() == [
        "quick=yes",
        "config-data=sysctl;net.ipv4.conf.all.rp_filter;1;1;spoofing;-;category:security;",
        "skip-test=CRYP-7902",
    ]


def test_lynis_is_asked_for_all_groups_but_those_that_are_left_out() -> None:
    script = 'x=1\nINCLUDE_TESTS="boot_services kernel \\\n     php squid"\n'
    assert lynis.groups(script, ["php", "CRYP-7902"]) == ["boot_services", "kernel", "squid"]
    with pytest.raises(PaverError, match="which groups"):
        lynis.groups("", [])


def test_every_way_is_named_by_the_help_and_on_the_page() -> None:
    assert (*(way.name for way in ways.WAYS), pave.NAME, twice.NAME) == image_prove.WAYS
    page = (Path(paver.__file__).parents[1] / "docs" / "howto" / "prove-image.md").read_text()
    assert (
        tuple(re.findall(r"^\| `([a-z-]+)` \| (?:BIOS|UEFI|as|none)", page, re.MULTILINE)) == image_prove.WAYS
    )


def test_a_boot_gets_the_data_disk_that_the_ovf_declares(tmp_path: Path) -> None:
    ova = small_image.image(tmp_path / "image", b"boots").ova
    assert run.declared(ova) == 100 * 2**30
    assert run.declared(ova.with_suffix("")) == 100 * 2**30
    (ova.with_suffix("") / "paver-jumpbox.ovf").unlink()
    assert run.declared(ova.with_suffix("")) is None
    write.make_ova(tmp_path / "one.ova", name="one", disk=b"boots")
    assert run.declared(tmp_path / "one.ova") is None


def test_one_way_is_without_a_data_disk_and_none_grows_one_that_is_not_there() -> None:
    assert [way.name for way in ways.WAYS if way.bare] == ["uefi-nocloud"]
    assert not [way.name for way in ways.WAYS if way.bare and way.disks]
    assert "data disk" not in " ".join(probe.what for probe in disks.again(None))
