"""The demo's folder: a site file that loads, names the lab's own hosts, and keeps its secrets to itself."""

from __future__ import annotations

import dataclasses
import stat
import tarfile
from pathlib import Path

import pytest
import yaml

from paver.drivers.vsphere import DRIVER
from paver.errors import BadInput
from paver.foundation.bucc import packed
from paver.lab import build, plan, site
from paver.sealed import keys, store
from paver.sitefile.load import load
from tests.support.raised import Raised

pytestmark = pytest.mark.lab


@pytest.fixture
def one(lab: Raised) -> Raised:
    """The lab, its hosts having one password as the demo's have."""
    hosts = tuple(dataclasses.replace(host, password="Paver-Demo-1!") for host in lab.lab.plan.hosts)
    return Raised(dataclasses.replace(lab.lab, plan=dataclasses.replace(lab.lab.plan, hosts=hosts)))


def test_the_site_file_loads_without_a_warning_and_has_the_labs_pins(one: Raised, tmp_path: Path) -> None:
    demo = site.write(one.lab, tmp_path / "demo")
    loaded = load(demo.site, {"vsphere": DRIVER})
    assert not loaded.warnings
    text = demo.site.read_text()
    assert all(fingerprint in text for fingerprint in one.lab.fingerprints.values())


def test_a_rehearsal_of_the_demo_raises_the_demos_lab(one: Raised, tmp_path: Path) -> None:
    demo = site.write(one.lab, tmp_path / "demo")
    loaded = load(demo.site, {"vsphere": DRIVER})
    assert plan.from_site(loaded.normalised(), {"esx-root": "Paver-Demo-1!"}) == one.lab.plan


def test_its_secrets_are_sealed_and_its_keys_are_the_owners_alone(one: Raised, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    site.write(one.lab, folder)
    for name in ("site.key", "operator"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert not [path for path in folder.iterdir() if b"Paver-Demo-1!" in path.read_bytes()]
    opened = store.unlock(folder / "lab-north.sealed", keys.KeyFile(folder / "site.key"))
    assert opened.secret("esx-root").reveal() == "Paver-Demo-1!"
    assert site.passwords(folder, "lab-north") == {"esx-01": "Paver-Demo-1!", "esx-02": "Paver-Demo-1!"}


def test_written_again_it_keeps_key_and_secrets(one: Raised, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    site.write(one.lab, folder)
    before = {
        name: (folder / name).read_bytes()
        for name in ("site.key", "lab-north.sealed", "operator", "site.yml")
    }
    site.write(one.lab, folder)
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_a_lab_with_another_password_is_refused(one: Raised, tmp_path: Path) -> None:
    site.write(one.lab, tmp_path)
    hosts = tuple(dataclasses.replace(host, password="Other-1!") for host in one.lab.plan.hosts)
    other = dataclasses.replace(one.lab, plan=dataclasses.replace(one.lab.plan, hosts=hosts))
    with pytest.raises(BadInput, match="not of this demo's folder"):
        site.write(other, tmp_path)


def test_the_installer_lies_on_the_datastore_where_the_site_file_says(one: Raised, tmp_path: Path) -> None:
    demo = site.write(one.lab, tmp_path / "demo")
    where = yaml.safe_load(demo.site.read_text())["iaas"]["vcenter"]["installer"]["iso"]
    store_name, _, path = where.removeprefix("[").partition("] ")
    assert (one.lab.folder / "hosts/esx-01/datastores" / store_name / path).stat().st_size > 0


def test_the_artefact_is_whole_and_of_the_programs_that_are_built(one: Raised, tmp_path: Path) -> None:
    site.write(one.lab, tmp_path / "without")
    packed.check(tmp_path / "without/bucc.tar", "bucc.tar")
    with tarfile.open(tmp_path / "without/bucc.tar") as tar:
        bosh = tar.extractfile("bucc/bin/bosh")
        assert bosh is not None
        assert b"was not built for this lab" in bosh.read()
    built = build.build(["bosh", "registry", "minio"])
    site.write(dataclasses.replace(one.lab, programs={**one.lab.programs, **built}), tmp_path / "with")
    packed.check(tmp_path / "with/bucc.tar", "bucc.tar")
    with tarfile.open(tmp_path / "with/bucc.tar") as tar:
        assert tar.getmember("bucc/bin/bosh").size == built["bosh"].stat().st_size
