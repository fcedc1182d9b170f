"""An image on disk: verified whole, signed by whom it should be, compared with another one; stages made once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from paver.cli import entry
from paver.errors import BadInput, PaverError, Refused
from paver.image import base, bill, build, diff, host, payload, publish, published, stages, verify
from paver.image.lock import Lock
from paver.lab import cache
from paver.lab.qemu import programs
from paver.ovf import certificate
from paver.ovf.ova import Ova
from paver.signing import ssh
from paver.trust import ssh_keys
from tests.image import mutate
from tests.support import documents, small_image
from tests.support.small_image import AT, GRAIN, MODULES, image, publisher
from tests.support.waiting import until

LOCK = Lock(suite="trixie", content="0" * 64, epoch=1, debs=())


def test_a_whole_image_holds_in_every_part(tmp_path: Path) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    found = {finding.what: finding.seen for finding in verify.verify(made.ova, [made.key])}
    assert list(found) == [
        "structure",
        "digests",
        "disk paver-jumpbox-disk1.vmdk",
        "disk vmdisk2",
        "sha256",
        "signature",
        "bill",
        "content",
        "CycloneDX",
        "SPDX",
        "provenance",
    ]
    assert "4 grains" in found["disk paver-jumpbox-disk1.vmdk"]
    assert "100 GiB" in found["disk vmdisk2"]
    assert "8 files" in found["sha256"]
    assert found["bill"] == "3 Debian packages, 1 wheels, 1 programs"
    assert found["CycloneDX"].startswith("5 things")


def test_an_image_that_somebody_else_signed_or_nobody_is_refused(tmp_path: Path) -> None:
    made, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x02" * GRAIN)
    with pytest.raises(ssh.SignatureError, match="may not sign"):
        list(verify.verify(made.ova, [other.key]))
    published.signature_of(published.sums_of(made.ova)).unlink()
    with pytest.raises(ssh.SignatureError, match="is not signed"):
        list(verify.verify(made.ova, [made.key]))


def test_another_image_under_a_signed_name_is_refused(tmp_path: Path) -> None:
    made, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x02" * GRAIN)
    other.ova.replace(made.ova)
    with pytest.raises(BadInput, match="is not the one of"):
        list(verify.verify(made.ova, [made.key]))


def test_a_signature_for_another_use_does_not_pass(tmp_path: Path) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    sums = published.sums_of(made.ova)
    with pytest.raises(ssh.SignatureError, match="another use"):
        ssh.verify(sums.read_bytes(), published.signature_of(sums).read_text(), [made.key])


def test_a_bill_of_another_image_is_refused(tmp_path: Path) -> None:
    made, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x02" * GRAIN)
    published.sums_of(made.ova).unlink()
    published.beside(other.ova, "bill").replace(published.beside(made.ova, "bill"))
    with pytest.raises(BadInput, match="the bill is of another image"):
        list(verify.verify(made.ova))


def test_a_bill_is_held_to_the_disk_that_the_descriptor_has_and_not_to_a_file_beside_it(
    tmp_path: Path,
) -> None:
    made, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x02" * GRAIN)
    published.sums_of(made.ova).unlink()
    good, changed = (members(each.ova) for each in (made, other))
    [disk] = [name for name in good if name.endswith(".vmdk")]
    changed["paver-jumpbox.ovf"] = changed["paver-jumpbox.ovf"].replace(disk.encode(), b"disk.img")
    sealed(made.ova, {**changed, "disk.img": changed[disk], disk: good[disk]}, "sha256")
    with pytest.raises(BadInput, match="the bill is of another image"):
        list(verify.verify(made.ova))


def members(ova: Path) -> dict[str, bytes]:
    with Ova(ova) as opened:
        return {each.name: opened.member(each.name).read() for each in opened.members}


def sealed(ova: Path, members: dict[str, bytes], algorithm: str) -> None:
    """Writes an OVA of `members`, whose manifest has their digests."""
    lines = [
        f"{algorithm.upper()}({name})= {hashlib.new(algorithm, data).hexdigest()}\n"
        for name, data in members.items()
        if not name.endswith(".mf")
    ]
    ova.write_bytes(mutate.archive(members | {"paver-jumpbox.mf": "".join(lines).encode()}))


def test_a_byte_of_a_disk_that_changed_is_found(tmp_path: Path) -> None:
    made = image(tmp_path / "a", bytes(range(256)) * (GRAIN // 256))
    data = bytearray(made.ova.read_bytes())
    data[len(data) // 2] ^= 1
    made.ova.write_bytes(data)
    with pytest.raises(BadInput):
        list(verify.verify(made.ova))


@pytest.mark.parametrize("what", ["bill", "cdx", "spdx", "provenance"])
def test_a_document_that_changed_after_it_was_signed_is_refused(tmp_path: Path, what: str) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    path = published.beside(made.ova, what)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(BadInput, match=f"{what}.json is not the one of"):
        list(verify.verify(made.ova, [made.key]))


@pytest.mark.parametrize("what", ["bill", "cdx", "spdx", "provenance"])
def test_a_document_that_somebody_laid_beside_what_was_signed_is_not_taken_for_a_part_of_it(
    tmp_path: Path, what: str
) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    sums, key = published.sums_of(made.ova), (tmp_path / "a" / "key").read_text()
    text = f"{published.digest(made.ova)}  {made.ova.name}\n".encode()
    sums.write_bytes(text)
    published.signature_of(sums).write_text(ssh.sign(text, key, namespace=published.NAMESPACE))
    for other in {"bill", "cdx", "spdx", "provenance"} - {what}:
        published.beside(made.ova, other).unlink()
    with pytest.raises(BadInput, match=f"{what}.json is not what was signed"):
        list(verify.verify(made.ova, [made.key]))
    list(verify.verify(made.ova))
    published.beside(made.ova, what).unlink()
    assert [finding.what for finding in verify.verify(made.ova, [made.key])][-1] == "signature"


@pytest.mark.parametrize(
    "what", ["bill.json", "cdx.json", "spdx.json", "provenance.json", "sha256", "sha256.sig"]
)
@pytest.mark.parametrize("kind", ["folder", "pipe", "huge"])
def test_what_lies_beside_an_image_and_is_no_file_to_read_is_refused_at_once(
    tmp_path: Path, what: str, kind: str
) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    path = made.ova.with_name(f"{published.stem_of(made.ova)}.{what}")
    assert path.exists()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(2**40)
    if not what.startswith("sha256"):
        published.sums_of(made.ova).unlink()
    with pytest.raises(BadInput, match=r"is not a file|has more than the \d+ bytes"):
        list(verify.verify(made.ova, [made.key] if what.startswith("sha256") else ()))


@pytest.mark.parametrize(
    "change",
    [
        {"disk_sha256": []},
        {"disk_sha256": ""},
        {"disk_sha256": "A" * 64},
        {"version": 1},
        {"items": {"a": 1}},
        {"items": [[]]},
        {"items": [{"kind": "deb", "name": 1, "version": "1", "sha256": "a" * 64}]},
        {"items": [{"kind": [], "name": "a", "version": "1", "sha256": "a" * 64}]},
        {"items": [{"kind": "deb", "name": "a", "version": None, "sha256": "a" * 64}]},
        {"items": [{"kind": "deb", "name": "a", "version": "1", "sha256": "a"}]},
        {"items": [{"kind": "deb", "name": "a", "version": "1", "sha256": "a" * 64, "more": 1}]},
        {"items": [{"kind": "cake", "name": "a", "version": "1", "sha256": "a" * 64}]},
    ],
)
def test_a_bill_with_values_of_another_kind_is_refused(change: dict[str, object]) -> None:
    good = {"disk_sha256": "a" * 64, "format": bill.FORMAT, "items": [], "version": "1"}
    assert bill.loads(json.dumps(good).encode(), "x").version == "1"
    with pytest.raises(BadInput, match=r"x is no bill of an image|x lists a kind"):
        bill.loads(json.dumps(good | change).encode(), "x")


@pytest.mark.parametrize("algorithm", ["sha1", "sha512"])
def test_a_bill_is_held_to_the_disk_whatever_digests_the_manifest_has(tmp_path: Path, algorithm: str) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    published.sums_of(made.ova).unlink()
    sealed(made.ova, members(made.ova), algorithm)
    found = {finding.what: finding.seen for finding in verify.verify(made.ova)}
    assert found["digests"].endswith(f"as the manifest has them ({algorithm})")
    assert "provenance" in found
    other = image(tmp_path / "b", b"\x02" * GRAIN)
    published.beside(other.ova, "bill").replace(published.beside(made.ova, "bill"))
    with pytest.raises(BadInput, match="the bill is of another image"):
        list(verify.verify(made.ova))


@pytest.mark.parametrize("what", ["cdx", "spdx"])
@pytest.mark.parametrize("change", [("5.2.37", "5.2.38"), ("a" * 64, "f" * 64), ('"bash"', '"zsh"')])
def test_what_is_told_to_others_tools_has_to_be_what_the_bill_says(
    tmp_path: Path, what: str, change: tuple[str, str]
) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    published.sums_of(made.ova).unlink()
    path = published.beside(made.ova, what)
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(BadInput, match="is not what the bill says"):
        list(verify.verify(made.ova))


def test_a_provenance_of_another_image_is_refused(tmp_path: Path) -> None:
    made, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x02" * GRAIN)
    published.sums_of(made.ova).unlink()
    published.beside(other.ova, "provenance").replace(published.beside(made.ova, "provenance"))
    with pytest.raises(BadInput, match="is of another image"):
        list(verify.verify(made.ova))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"5.2.37-2+b10", b"5.2.37-2+b11", "the deb bash 5.2.37-2[+]b11 is in it, and not in the bill"),
        (b"some_thing-2.0.dist-info", b"some_thing-2.1.dist-info", "the wheel some_thing 2.0 is in the bill"),
        (b"go1.26.8", b"go1.26.9", "the program tool is sha256 "),
        (
            b"deinstall ok config-files",
            b"install ok installed\nX: y",
            "the deb gone 1 is in it, and not in the bill",
        ),
    ],
)
def test_a_disk_that_holds_other_things_than_its_bill_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes, new: bytes, message: str
) -> None:
    changed = small_image.root().replace(old, new)
    assert len(changed) == AT
    assert changed != small_image.root()
    monkeypatch.setattr(small_image, "root", lambda: changed)
    made = small_image.image(tmp_path / "a", b"\x01" * GRAIN)
    with pytest.raises(BadInput, match="holds other things than its bill lists") as caught:
        list(verify.verify(made.ova))
    assert re.search(message, caught.value.seen)


def test_sums_that_name_a_file_outside_of_the_folder_are_refused(tmp_path: Path) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    sums = published.sums_of(made.ova)
    sums.write_text(sums.read_text() + f"{'0' * 64}  ../../etc/passwd\n")
    with pytest.raises(BadInput, match="outside of its folder"):
        list(verify.verify(made.ova))


def test_a_file_without_a_key_is_refused_and_no_signature_is_forgone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    (tmp_path / "empty.pub").write_text("\n")
    code = entry.main(["image", "verify", str(made.ova), "--key", str(tmp_path / "empty.pub")])
    assert code == BadInput.exit_code
    assert "empty.pub holds no public key" in capsys.readouterr().err


def test_a_key_of_the_other_kind_is_named_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private, public = tmp_path / "operator", tmp_path / "operator.pub"
    pair = ssh_keys.new_key_pair()
    private.write_text(pair.private_key.reveal())
    public.write_text(pair.public_key)
    absent, out = str(tmp_path / "none.ova"), str(tmp_path / "a.iso")
    assert entry.main(["image", "verify", absent, "--key", str(private)]) == BadInput.exit_code
    assert f"{private} is a private key\n  do    name the public one: {public}\n" in capsys.readouterr().err
    assert (
        entry.main(["image", "artefacts", absent, "--out", out, "--sign", str(public)]) == BadInput.exit_code
    )
    assert capsys.readouterr().err.startswith(f"error: {public} is no key to sign with\n")
    with pytest.raises(BadInput, match="is no key to sign with"):
        publish.require_keys(public, None)


@pytest.mark.parametrize(
    "line", ["publisher ssh-ed25519 KEY", "ssh-ed25519 AAAAC3Nza", "ssh-rsa KEY", "SHA256:SsIQEx6V"]
)
def test_a_key_that_could_be_nobodys_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    whole = ssh_keys.new_key_pair().public_key.split()[1]
    keys = tmp_path / "keys"
    keys.write_text(f"# those who build\nssh-ed25519 {whole} me\n{line.replace('KEY', whole)}\n")
    code = entry.main(["image", "verify", str(tmp_path / "absent.ova"), "--key", str(keys)])
    assert code == BadInput.exit_code
    assert f"{keys} holds a line that is no public key\n  seen  {line[:7]}" in capsys.readouterr().err


def test_a_folder_is_no_ova_and_its_own_way_to_be_checked_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(["image", "verify", str(tmp_path)]) == BadInput.exit_code
    assert "sha256sum --check" in capsys.readouterr().err


def test_a_terminal_shows_that_an_image_is_still_being_read_and_nothing_of_it_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    assert entry.main(["image", "verify", str(made.ova)]) == 0
    piped = capsys.readouterr()
    assert piped.err == ""
    assert re.search(r"^✓ disk {9}\S+\.vmdk: 0 GiB, \d+ grains", piped.out, re.MULTILINE)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert entry.main(["image", "verify", str(made.ova)]) == 0
    shown = capsys.readouterr()
    assert shown.out == piped.out
    assert "reading it …" in shown.err
    assert "2 things hold, reading on …" in shown.err
    assert shown.err.endswith("\r\x1b[K")


def test_a_disk_of_artefacts_says_whether_it_is_signed_or_was_not_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bucc.tar").write_bytes(b"x" * 5_000_000)
    disk = str(tmp_path / "a.iso")
    assert entry.main(["image", "artefacts", str(tmp_path / "bucc.tar"), "--out", disk]) == 0
    made = capsys.readouterr()
    assert made.out.endswith("a.iso: 5.0 MB, not signed (--sign)\n")
    assert "5.0 MB" in made.err
    assert entry.main(["image", "artefacts", "--verify", disk]) == 0
    assert capsys.readouterr().out.endswith("no --key was given, so no signature was looked at\n")


def test_an_ovf_signed_by_a_certificate_names_its_publisher(tmp_path: Path) -> None:
    both, alone = publisher(tmp_path, "North")
    _, stranger = publisher(tmp_path, "Stranger")
    made = image(tmp_path / "a", b"\x01" * GRAIN, certify=both)
    north, other = (certificate.authorities(path.read_bytes(), path.name) for path in (alone, stranger))
    found = {finding.what: finding.seen for finding in verify.verify(made.ova, authorities=north)}
    assert found["certificate"].startswith("CN=North, SHA-256 ")
    with pytest.raises(Refused, match="no given certificate vouches"):
        list(verify.verify(made.ova, authorities=other))
    unsigned = image(tmp_path / "b", b"\x01" * GRAIN)
    with pytest.raises(BadInput, match="holds 0 certificates"):
        list(verify.verify(unsigned.ova, authorities=north))


def test_a_certificate_that_is_not_over_this_manifest_is_refused(tmp_path: Path) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN, certify=publisher(tmp_path)[0])
    data = made.ova.read_bytes()
    at = data.index(b"SHA256(paver-jumpbox.mf)= ") + 40
    made.ova.write_bytes(data[:at] + (b"0" if data[at : at + 1] != b"0" else b"1") + data[at + 1 :])
    with pytest.raises(Refused, match="is not over this manifest"):
        list(verify.verify(made.ova))


def test_two_images_of_the_same_bytes_do_not_differ(tmp_path: Path) -> None:
    one, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x01" * GRAIN)
    for what in ("bill", "cdx", "spdx", "provenance"):
        assert published.beside(one.ova, what).read_bytes() == published.beside(other.ova, what).read_bytes()
    assert published.sums_of(one.ova).read_bytes() == published.sums_of(other.ova).read_bytes()
    assert hashlib.sha256(one.ova.read_bytes()).digest() == hashlib.sha256(other.ova.read_bytes()).digest()
    assert diff.diff(one.ova, other.ova).same


def test_where_two_disks_differ_is_told_also_where_one_holds_nothing(tmp_path: Path) -> None:
    old = b"\x01" * GRAIN + bytes(GRAIN) + b"\x03" * GRAIN + b"\x04" * GRAIN
    new = b"\x01" * GRAIN + b"\x02" * GRAIN + b"\x05" * GRAIN + b"\x04" * GRAIN
    one, other = image(tmp_path / "a", old), image(tmp_path / "b", new, modules=MODULES.replace("abc", "xyz"))
    found = diff.diff(one.ova, other.ova)
    assert found.regions == ((AT + GRAIN, 2 * GRAIN),)
    assert found.packages == ("~ program tool: the same version, other bytes",)
    assert diff.diff(other.ova, one.ova).regions == found.regions


def test_what_verify_and_diff_print_as_json_is_what_their_schemas_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x02" * GRAIN)
    assert entry.main(["image", "verify", str(one.ova), "--json"]) == 0
    holds = documents.held(json.loads(capsys.readouterr().out))
    assert {found["what"].partition(" ")[0] for found in holds["holds"]} >= {"structure", "disk"}
    assert entry.main(["image", "diff", str(one.ova), str(other.ova), "--json"]) == 2
    differ = documents.held(json.loads(capsys.readouterr().out))
    assert differ["regions"] == [[AT, GRAIN]]


def told(files: tuple[str, ...] | None, times: tuple[str, ...], *, bills: bool = True) -> list[str]:
    found = diff.Difference(("~ deb a",), files, times, ((0, 65536), (2**20, 65536)), bills)
    return found.lines(" (elsewhere)")


def test_what_differs_is_told_in_lines_of_packages_files_and_places() -> None:
    assert told(("~ /a  content",), ("~ /b  time 1 → 2",)) == [
        "~ deb a",
        "~ /a  content",
        "~ /b  time 1 → 2",
        "the disks differ in 2 places, 0.1 MB in all",
    ]


def test_of_many_files_those_are_named_first_that_differ_by_more_than_their_time() -> None:
    files, times = tuple(f"~ /{n}" for n in range(diff.SHOWN)), ("~ /b  time 1 → 2",)
    assert told(files, times)[1:-1] == [*files, "1 files differ by their time alone (elsewhere)"]
    assert told((*files, "~ /more"), ())[1:-1] == [*files, "… and 1 files more (elsewhere)"]


def test_what_could_not_be_compared_is_told() -> None:
    assert told(None, (), bills=False)[1:-1] == [
        "the bills are not both there: packages were not compared",
        "what files they have cannot be read: they were not compared",
    ]


def test_without_bills_the_disks_are_compared_alone(tmp_path: Path) -> None:
    one, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x01" * GRAIN)
    published.beside(one.ova, "bill").unlink()
    found = diff.diff(one.ova, other.ova)
    assert found.same
    assert not found.bills


def test_a_stage_is_run_once_for_the_same_inputs_and_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    ran: list[str] = []

    def work(into: Path) -> None:
        ran.append("work")
        (into / "product").write_text("made")

    def broken(into: Path) -> None:
        (into / "half").write_text("made")
        raise BadInput("broken")

    first = stages.run(tmp_path, "base", stages.key("a"), work, ran.append)
    again = stages.run(tmp_path, "base", stages.key("a"), work, ran.append)
    assert first == again
    assert ran.count("work") == 1
    with pytest.raises(BadInput):
        stages.run(tmp_path, "base", stages.key("b"), broken, ran.append)
    assert [path.name for path in (tmp_path / "base").iterdir()] == [first.name]


def test_of_two_builds_at_once_one_makes_a_stage_and_the_other_waits_for_it(tmp_path: Path) -> None:
    ran: list[str] = []
    told: list[str] = []
    at_work = threading.Event()

    def work(into: Path) -> None:
        ran.append("work")
        at_work.set()
        until(
            lambda: len(ran) > 1 or told,
            "the second build works or waits",
            seconds=60,
        )
        (into / "product").write_text("made")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(stages.run, tmp_path, "base", stages.key("a"), work, lambda _: None)
        assert at_work.wait(60)
        second = pool.submit(stages.run, tmp_path, "base", stages.key("a"), work, told.append)
        assert first.result(60) == second.result(60)
    assert ran == ["work"]
    assert told == ["base: another build is at it, and is waited for", "base: nothing changed"]
    with cache.locked(tmp_path, "base"):
        assert stages.run(tmp_path, "base", stages.key("a"), work, told.append) == first.result()
    assert told[2:] == ["base: nothing changed"], "what is there needs no wait for what another makes"
    assert (first.result() / "product").read_text() == "made"


def test_what_a_killed_build_left_is_gone_after_the_next_one(tmp_path: Path) -> None:
    left = tmp_path / "base" / f".{stages.key('a')}.x" / "half"
    left.parent.mkdir(parents=True)
    left.write_text("made")
    made = stages.run(tmp_path, "base", stages.key("a"), lambda _: None, lambda _: None)
    assert list((tmp_path / "base").iterdir()) == [made]


def test_a_stage_says_beforehand_how_long_it_took_the_last_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "time", SimpleNamespace(monotonic=lambda: 7.0))
    told: list[str] = []
    first = stages.run(tmp_path, "base", stages.key("a"), lambda _: None, told.append)
    assert told == ["base: done in 0 s"]
    (first / ".seconds").write_text("62")
    stages.run(tmp_path, "base", stages.key("b"), lambda _: None, told.append)
    assert told[1:] == ["base: about 62 s, as the last time", "base: done in 0 s"]


@pytest.mark.parametrize("name", sorted(host.PROGRAMS))
def test_a_program_that_the_build_misses_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for other in host.PROGRAMS:
        if other != name:
            (tmp_path / other).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PaverError) as missing:
        host.require(tmp_path / "cache", tmp_path / "out")
    package, purpose = host.PROGRAMS[name]
    assert (missing.value.what, missing.value.why) == (f"{name} is not there", f"it {purpose}")
    assert missing.value.do == f"apt-get install {package}"


def test_a_machine_without_room_is_told_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in host.PROGRAMS:
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("SCRATCH", "PUBLISHED", "ROOM"):
        monkeypatch.setattr(host, name, 0)
    monkeypatch.setattr(host, "available", lambda: 10**9)
    with pytest.raises(PaverError) as refusal:
        host.require(tmp_path / "cache", tmp_path / "out")
    assert refusal.value.what == "0.9 GiB of memory are available, and a build takes 2.5"
    monkeypatch.setattr(host, "ROOM", 2**60)
    with pytest.raises(PaverError) as refusal:
        host.require(tmp_path / "cache", tmp_path / "out")
    assert "are free at" in refusal.value.what


@pytest.mark.parametrize(
    ("name", "chosen"), [("SCRATCH", "TMPDIR"), ("PUBLISHED", "--out"), ("ROOM", "XDG_CACHE_HOME")]
)
def test_each_place_that_a_build_fills_is_looked_at_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, chosen: str
) -> None:
    for program in host.PROGRAMS:
        (tmp_path / program).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for other in ("SCRATCH", "PUBLISHED", "ROOM"):
        monkeypatch.setattr(host, other, 2**60 if other == name else 1)
    with pytest.raises(PaverError) as refusal:
        host.require(tmp_path / "cache", tmp_path / "not" / "there")
    assert refusal.value.do == f"make room, or set {chosen} to where there is some"


def test_a_build_looks_at_the_machine_before_it_provides_compiles_or_unpacks_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(cache: Path, out: Path) -> None:
        assert (cache, out) == (tmp_path / "cache", tmp_path / "out")
        raise PaverError("the disk is too full")

    monkeypatch.setattr(host, "require", full)
    monkeypatch.setattr(programs, "provide", lambda *_: pytest.fail("it provides programs"))
    order = build.Order(
        source=build.default_source(), out=tmp_path / "out", cache=tmp_path / "cache", pool=tmp_path
    )
    with pytest.raises(PaverError, match="the disk is too full"):
        build.build(order, lambda _: pytest.fail("it begins"))
    assert not list(tmp_path.iterdir())


def test_whatever_decides_which_paver_is_in_the_image_is_in_the_digest_of_its_payload(tmp_path: Path) -> None:
    (tmp_path / "paver" / "__pycache__").mkdir(parents=True)
    names = ("requirements.lock", "pyproject.toml", "paver/one.py", "paver/__pycache__/one.pyc")
    for name in names:
        (tmp_path / name).write_text("before")
    seen = [payload.digest(tmp_path)]
    for name in names:
        (tmp_path / name).write_text("after")
        seen.append(payload.digest(tmp_path))
    (tmp_path / "paver" / "one.py").rename(tmp_path / "paver" / "two.py")
    seen.append(payload.digest(tmp_path))
    # What Python compiled for itself decides nothing.
    assert seen[4] == seen[3]
    assert len(set(seen)) == 5


@pytest.mark.parametrize("option", ["sign", "certify"])
def test_a_key_that_signs_nothing_is_refused_before_anything_is_built(tmp_path: Path, option: str) -> None:
    key = tmp_path / "key"
    key.write_text("no key\n")
    plain = build.Order(
        source=build.default_source(), out=tmp_path / "out", cache=tmp_path / "cache", pool=tmp_path
    )
    order = (
        dataclasses.replace(plain, sign=key) if option == "sign" else dataclasses.replace(plain, certify=key)
    )
    with pytest.raises(PaverError):
        build.build(order, lambda _: None)
    assert not (tmp_path / "cache").exists()


def test_a_stages_key_tells_its_inputs_apart_and_keeps_the_newest_products(tmp_path: Path) -> None:
    assert stages.key("ab", "c") != stages.key("a", "bc")
    for number in range(stages.KEPT + 3):
        last = stages.run(tmp_path, "disk", stages.key(str(number)), lambda _: None, lambda _: None)
    assert len(list((tmp_path / "disk").iterdir())) == stages.KEPT
    assert last.is_dir()


def test_an_images_file_systems_have_the_same_names_in_every_build_and_other_ones_for_another_lock() -> None:
    names = base.identity(LOCK)
    assert names == base.identity(LOCK)
    assert names.root != base.identity(dataclasses.replace(LOCK, epoch=2)).root
    assert f"UUID={names.root} / ext4" in base.fstab(names)
    assert f"root=UUID={names.root}" in base.grub_menu(names)
