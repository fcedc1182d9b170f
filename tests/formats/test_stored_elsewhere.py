"""What an early paver, or somebody for it, wrote beside a run: an image's bill, artefacts, marks on the jumpbox, a way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paver.appliance import ended
from paver.appliance.bootstrap import DONE, Bootstrap
from paver.errors import BadInput
from paver.foundation.bucc import artefact
from paver.image import artefacts, bill
from paver.runs import wayback

HERE = Path(__file__).parent
BILL = HERE / "image-bill-1" / "bill.json"
ON_DISK = HERE / "artefacts-1" / "MANIFEST.json"
BUCC = HERE / "bucc-artefact-1" / "manifest.json"
MARK = HERE / "firstboot-1" / "firstboot.done"
BOOTSTRAP = HERE / "bootstrap-1" / "bootstrap.done"
HANDED = HERE / "handed-1" / "handed.json"
MACHINE = "0f3c5d1e7a9b4c6d8e2f1a3b5c7d9e0f"


def test_the_stored_bill_of_an_image_reads_and_is_the_same_bytes_when_written_again() -> None:
    found = bill.loads(BILL.read_bytes(), "the sample")
    assert bill.dumps(found) == BILL.read_bytes()
    assert found.version == "0.1.0"
    assert [(item.kind, item.name) for item in found.items if item.kind != "deb"] == [
        ("program", "bosh"),
        ("program", "vsim"),
        ("wheel", "iaas_paver"),
        ("wheel", "pyyaml"),
    ]


def test_the_stored_manifest_of_a_disk_of_artefacts_reads() -> None:
    found = artefacts.loads(ON_DISK.read_bytes(), "the sample")
    assert [(each.name, each.size) for each in found] == [
        ("VMware-VCSA-all-8.0.3.iso", 11053895680),
        ("bucc.tar.gz", 2147483647),
    ]


def test_the_stored_manifest_of_a_bucc_artefact_names_every_file_with_its_digest() -> None:
    found = dict(artefact.checked(BUCC.read_bytes()))
    assert found["bucc/bin/bosh"] == "c52b7d530e6a00380707ac1ad711359378ad469a44f9cafae9efe683ebb95fac"
    assert len(found) == 41


def of_a_bill(text: str) -> object:
    return bill.loads(text.encode(), "the sample")


def of_a_disk(text: str) -> object:
    return artefacts.loads(text.encode(), "the sample")


def of_bucc(text: str) -> object:
    return artefact.checked(text.encode())


@pytest.mark.parametrize(
    ("reads", "sample", "old", "new"),
    [
        (of_a_bill, BILL, '"version":"0.1.0"', '"version":1.0'),
        (of_a_bill, BILL, '"version":"0.1.0"', '"version":"0.1.0","version":"0.1.0"'),
        (of_a_bill, BILL, '"version":"0.1.0"', '"version":"0.1.0","more":1'),
        (of_a_bill, BILL, '"kind":"deb"', '"kind":"deb","more":1'),
        (of_a_bill, BILL, "paver.image-bill/1", "paver.image-bill/2"),
        (of_a_disk, ON_DISK, '"size":2147483647', '"size":2147483647.0'),
        (of_a_disk, ON_DISK, '"size":2147483647', '"size":1,"size":2147483647'),
        (of_a_disk, ON_DISK, '"format"', '"more":1,"format"'),
        (of_a_disk, ON_DISK, "paver.artefacts/1", "paver.artefacts/2"),
        (of_bucc, BUCC, "paver.bucc-artefact/1", "paver.bucc-artefact/2"),
    ],
    ids=[
        "bill: a float",
        "bill: a key twice",
        "bill: an unknown key",
        "bill: an unknown key inside",
        "bill: another version",
        "disk: a float",
        "disk: a key twice",
        "disk: an unknown key",
        "disk: another version",
        "BUCC: another version",
    ],
)
def test_what_is_not_as_it_was_written_is_refused(
    reads: Callable[[str], object], sample: Path, old: str, new: str
) -> None:
    text = sample.read_text()
    assert old in text
    with pytest.raises(BadInput):
        reads(text.replace(old, new, 1))


def test_the_stored_mark_of_a_first_boot_reads_and_is_the_same_text_when_written_again() -> None:
    found = ended.loads(MARK.read_text(), MACHINE)
    assert found is not None
    assert (found.way, found.address, found.prefix, found.closed) == ("console", "10.20.0.10", 24, True)
    assert found.answers["name"] == "jumpbox.north.example"
    assert ended.dumps(found) == MARK.read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (MACHINE, "another machine"),
        ("paver.firstboot/1", "paver.firstboot/2"),
        ('"closed"', '"more": 1,\n "closed"'),
        ('"way": "console"', '"way": "telepathy"'),
    ],
)
def test_a_mark_that_is_not_of_this_machine_and_version_counts_as_none(old: str, new: str) -> None:
    text = MARK.read_text()
    assert old in text
    assert ended.loads(text.replace(old, new, 1), MACHINE) is None


def test_the_stored_mark_of_a_paving_from_within_names_the_site_file_that_was_paved(tmp_path: Path) -> None:
    def done(text: str) -> str:
        (tmp_path / DONE).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / DONE).write_text(text)
        nobody: Any = None
        return Bootstrap(tmp_path, nobody, nobody, None, nobody)._done()

    text = BOOTSTRAP.read_text()
    assert done(text) == "fbae041b02c41ed0fd8a4efb039bc780dd6af4a1f0c420f42561ae705dda43fe"
    assert not done(text.replace("paver.bootstrap/1", "paver.bootstrap/2"))


def test_the_stored_way_back_to_a_handed_over_run_reads() -> None:
    found = wayback._known(HANDED)
    assert found is not None
    assert (found["address"], found["port"], found["user"]) == ("10.20.0.10", 22, "paver")
    assert found["host_keys"].startswith("ssh-ed25519 ")
