"""What is newer than at its consumer, a secret in the sealed store or BUCC's artefact: planned as an update, and brought there."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from paver.lab import system
from paver.lab.standins import bucc_artefact, stub_releases, stub_services
from paver.lab.standins.tarballs import Release
from paver.runs import newest
from tests.e2e.conftest import Life, led
from tests.support import scan
from tests.support.place import Place, verbs

pytestmark = pytest.mark.lab

STAGES = ("empty", "finished", "destroyed")
DEPLOYED = {
    "object-store-root": (
        "bosh.deployment:object-store",
        "credhub.entry:lab-north/object-store/secret_key",
    ),
    "registry-admin": ("bosh.deployment:registry", "credhub.entry:lab-north/registry/password"),
}
SERVING = (
    "credhub.entry:lab-north/object-store/tls",
    "bosh.deployment:object-store",
    "credhub.entry:lab-north/registry/tls",
    "bosh.deployment:registry",
)
"""Who has a certificate of the services."""
FORMER, NEWER = stub_releases.STEMCELL_VERSION, {"stemcell": "1.501", "minio": "2026.05.01"}
"""Versions of the artefacts."""
ADMINISTRATORS = {
    "admin_password": "director-admin",
    "credhub_admin_client_secret": "credhub-admin",
    "ui_password": "concourse-admin",
    "uaa_admin_client_secret": "uaa-admin",
}
"""By BUCC's own names."""


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A site of their own, for as long as the others' would have to stand still."""
    with led("rotation", tmp_path_factory, STAGES) as found:
        yield found


@pytest.fixture(scope="module")
def every() -> dict[str, str]:
    """All secrets that the site has had, by name and version."""
    return {}


@pytest.fixture(autouse=True)
def sealed(life: Life, every: dict[str, str]) -> dict[str, str]:
    """The same, those among them that stand in the sealed store before this test."""
    if life.stage == "finished":
        every |= scan.secrets(life.place.sealed, life.place.folder / "site.key")
    return every


def test_passwords_certificates_and_sizes_of_services_are_planned_and_brought_to_who_uses_them_by_one_apply(
    finished: Place,
) -> None:
    """The size stands in the cloud config alone, and is planned alone: `test_foundation_newer_artefact` deploys it so."""
    before = finished.site.read_text()
    larger = before.replace("object_store: {", "object_store: {disk_gb: 120, ")
    assert larger != before
    lifetimes = "\ntrust: {lifetimes: {certificate: 2y, renew_before: 365d}}\n"
    renewed = dict.fromkeys(
        ("trust.certificate:object-store", "trust.certificate:registry", *SERVING), "update"
    )
    resized = dict.fromkeys(("bosh.config:cloud/default", "bosh.deployment:object-store"), "update")
    try:
        finished.site.write_text(before + lifetimes)
        assert finished.pending() == renewed
        finished.site.write_text(larger)
        assert finished.pending() == resized
        finished.site.write_text(before)
        for name in DEPLOYED:
            finished.paver("secrets", "generate", name, "--replace")
        rotated = finished.pending()
        for consumers in DEPLOYED.values():
            assert {rotated[each] for each in consumers} == {"update"}
        assert set(rotated.values()) == {"update"}, rotated
        finished.paver("verify", code=2)
        finished.site.write_text(larger + lifetimes)
        assert finished.pending() == renewed | resized | rotated
        finished.paver("apply", "--yes")
        finished.paver("verify")
    finally:
        finished.site.write_text(larger)
    assert finished.pending() == {}
    [disk] = json.loads(finished.tool("bosh", "disks", "--orphaned", "--json").out)["Tables"][0]["Rows"]
    assert (disk["deployment"], disk["size"]) == ("object-store", "100 GiB"), "the one before"


def test_passwords_of_the_director_and_of_boshs_account_and_the_authority_for_agents_are_brought_to_all_by_one_apply(
    finished: Place, tmp_path: Path
) -> None:
    """Each alone would make its VM anew, and is planned alone; agents of the former authority are lost to it, so theirs are made anew too.

    Another station would put the former password of BOSH's account back, by its own copy of the sealed store.
    """
    copy, state = tmp_path / "another.sealed", {"PAVER_STATE": str(tmp_path / "state")}
    shutil.copy(finished.sealed, copy)
    finished.paver("secrets", "generate", "vcenter-cpi", "--replace")
    account = finished.pending()
    assert account == {"vsphere.account:cpi": "update", "bucc.director:bucc": "update"}
    for name in ADMINISTRATORS.values():
        finished.paver("secrets", "generate", name, "--replace")
    plan = finished.paver("plan", "--json", code=2).json
    [director] = [each for each in plan["actions"] if each["resource"] == "bucc.director:bucc"]
    assert director["verb"] == "update"
    [change] = [one for one in director["changes"] if one["field"] == "seeds"]
    changed = {seed for seed, value in change["after"].items() if change["before"][seed] != value}
    assert changed == set(ADMINISTRATORS)
    rotated = verbs(plan)
    assert not {one for one in rotated if one.startswith("bosh.deployment:")}
    assert rotated.items() >= account.items()
    finished.paver("secrets", "remove", "bucc-nats-ca", "--yes")
    assert finished.pending() == rotated | {
        "trust.authority:bucc-nats-ca": "create",
        "bosh.deployment:object-store": "update",
        "bosh.deployment:registry": "update",
    }
    finished.paver("apply", "--yes")
    finished.paver("verify")
    ran = finished.paver("plan", "--sealed", str(copy), env=state)
    assert newest.TAKEN in ran.err
    assert copy.read_bytes() == finished.sealed.read_bytes()
    assert newest.TAKEN not in finished.paver("plan", "--sealed", str(copy), env=state).err


def test_authorities_by_which_the_director_and_what_it_deploys_are_known_are_replaced_as_the_page_on_failures_says(
    finished: Place,
) -> None:
    for name, first in {
        "bucc-default-ca": ("trust.authority:bucc-default-ca", "bucc.director:bucc"),
        "root": ("trust.*", "bucc.director:bucc", "credhub.entry:*", "bosh.deployment:*"),
    }.items():
        finished.paver("secrets", "remove", name, "--yes")
        assert f"pem of trust.authority:{name} is not known" in finished.paver("plan", code=1).told
        finished.paver("apply", "--yes", *(word for one in first for word in ("--only", one)))
        finished.paver("apply", "--yes")
        finished.paver("verify")


def test_passwords_of_vcenters_root_and_administrator_are_noted_once_they_were_changed_there(
    finished: Place,
) -> None:
    root, administrator = finished.reveal("vcenter-root"), finished.reveal("vcenter-administrator")
    finished.paver("secrets", "generate", "vcenter-root", "--replace", "--yes")
    assert finished.pending()["vsphere.appliance:vcenter"] == "update"
    ran = finished.paver("apply", "--yes", code=1)
    assert "refuses the login of root" in ran.told
    assert "change it on the appliance" in ran.told
    finished.paver("secrets", "set", "vcenter-root", given=root)
    asked = finished.paver("secrets", "generate", "vcenter-administrator", "--replace", code=4)
    assert "then `paver secrets set vcenter-administrator` and `paver apply`" in asked.told
    assert finished.reveal("vcenter-administrator") == administrator
    finished.paver("secrets", "generate", "vcenter-administrator", "--replace", "--yes")
    ran = finished.paver("plan", code=1)
    assert "a newer one has to be set there first" in ran.told
    finished.paver("secrets", "set", "vcenter-administrator", given=administrator)
    assert finished.pending()["vsphere.appliance:vcenter"] == "update"
    finished.paver("apply", "--yes")
    assert finished.pending() == {}


def test_a_newer_artefact_is_brought_to_the_director_and_deployed_from_by_one_apply(
    finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stemcell of the same line, for which some releases were not compiled anew, and another release of MinIO."""
    newer_artefact(finished, monkeypatch)
    pending = finished.pending()
    assert {one for one, verb in pending.items() if verb != "update"} == {
        "jumpbox.artefact:bucc",
        "bucc.artefact:bucc",
    }
    assert pending["bosh.stemcell:default"] == pending["bosh.deployment:object-store"] == "update"
    finished.paver("apply", "--yes")
    finished.paver("verify")
    listed = json.loads(finished.tool("bosh", "deployments", "--json").out)["Tables"][0]["Rows"]
    used = {one["name"]: (one["release_s"].split("\n"), one["stemcell_s"]) for one in listed}
    stemcell = f"{bucc_artefact.STEMCELL_NAME}/{NEWER['stemcell']}"
    assert used["registry"][1] == used["object-store"][1] == stemcell
    assert f"minio/{NEWER['minio']}" in used["object-store"][0]
    kept = json.loads(finished.tool("bosh", "stemcells", "--json").out)["Tables"][0]["Rows"]
    assert {one["version"].rstrip("*") for one in kept} == {FORMER, NEWER["stemcell"]}, "the way back"


def newer_artefact(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts another artefact where the site file names one."""
    monkeypatch.setattr(stub_releases, "STEMCELL_VERSION", NEWER["stemcell"])
    system_of = stub_releases.OPERATING_SYSTEM
    monkeypatch.setattr(stub_releases, "COMPILED_FOR", f"{system_of}/{NEWER['stemcell']}")
    older = stub_services.minio

    def minio(binary: str) -> Release:
        return dataclasses.replace(older(binary), version=NEWER["minio"])

    monkeypatch.setattr(stub_services, "minio", minio)
    bosh, store, registry = (place.lab.programs[name] for name in ("bosh", "minio", "registry"))
    words = shlex.quote(sys.executable), shlex.quote(system.python_path())
    bucc_artefact.build(place.folder / "bucc.tar", bosh, store, registry, *words)


def test_no_secret_of_before_or_after_stands_outside_of_the_listed_places_or_was_printed(
    finished: Place, sealed: dict[str, str], tmp_path: Path
) -> None:
    patterns = scan.Patterns(sealed)
    assert patterns.files(finished.folder) == {}
    assert patterns.files(finished.lab.folder, without=[*scan.LISTED, scan.TRASH, *scan.THEIR_OWN]) == {}
    assert finished.told
    assert patterns.text("\n".join(finished.told).encode()) == set()
    assert patterns.files(finished.bundle(tmp_path)) == {}


def test_a_site_whose_secrets_were_rotated_is_destroyed_and_leaves_none_of_them(
    destroyed: Place, sealed: dict[str, str]
) -> None:
    made = {name: value for name, value in sealed.items() if not name.startswith("esx-root")}
    gone = scan.Patterns(made)
    assert gone.files(destroyed.folder, destroyed.lab.folder) == {}
