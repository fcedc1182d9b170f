"""A secret that is newer in the sealed store than at its consumer: planned as an update, and brought there."""

from __future__ import annotations

import pytest

from tests.support.place import Place

pytestmark = pytest.mark.lab

DEPLOYED = {
    "object-store-root": (
        "bosh.deployment:object-store",
        "credhub.entry:lab-north/object-store/secret_key",
    ),
    "registry-admin": ("bosh.deployment:registry", "credhub.entry:lab-north/registry/password"),
}


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_rotated_password_of_a_service_is_planned_and_brought_to_its_consumers(
    finished: Place, name: str
) -> None:
    deployment, entry = DEPLOYED[name]
    finished.paver("secrets", "generate", name, "--replace")
    pending = finished.pending()
    assert pending[deployment] == "update"
    assert pending[entry] == "update"
    assert set(pending.values()) == {"update"}, pending
    finished.paver("verify", code=2)
    finished.paver("apply", "--yes")
    assert finished.pending() == {}
    finished.paver("verify")


@pytest.mark.parametrize("name", ["director-admin", "credhub-admin", "concourse-admin", "uaa-admin"])
def test_a_rotated_password_of_the_director_is_planned_and_brought_there(finished: Place, name: str) -> None:
    finished.paver("secrets", "generate", name, "--replace")
    assert finished.pending()["bucc.director:bucc"] == "update"
    finished.paver("apply", "--yes")
    assert finished.pending() == {}
    finished.paver("verify")


def test_a_rotated_password_of_boshs_account_is_brought_to_vcenter_and_the_director(finished: Place) -> None:
    finished.paver("secrets", "generate", "vcenter-cpi", "--replace")
    assert finished.pending() == {"vsphere.account:cpi": "update", "bucc.director:bucc": "update"}
    finished.paver("apply", "--yes")
    assert finished.pending() == {}


def test_a_password_of_vcenters_root_is_noted_once_it_was_changed_there(finished: Place) -> None:
    used = finished.reveal("vcenter-root")
    finished.paver("secrets", "generate", "vcenter-root", "--replace")
    assert finished.pending()["vsphere.appliance:vcenter"] == "update"
    ran = finished.paver("apply", "--yes", code=1)
    assert "refuses the login of root" in ran.told
    assert "change it on the appliance" in ran.told
    finished.paver("secrets", "set", "vcenter-root", given=used)
    finished.paver("apply", "--yes")
    assert finished.pending() == {}


def test_a_password_of_vcenters_administrator_is_asked_to_be_changed_there_first(finished: Place) -> None:
    used = finished.reveal("vcenter-administrator")
    finished.paver("secrets", "generate", "vcenter-administrator", "--replace")
    ran = finished.paver("plan", code=1)
    assert "a newer one has to be set there first" in ran.told
    finished.paver("secrets", "set", "vcenter-administrator", given=used)
    assert finished.pending()["vsphere.appliance:vcenter"] == "update"
    finished.paver("apply", "--yes")
    assert finished.pending() == {}
