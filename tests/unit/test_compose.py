"""A site's whole wish."""

from __future__ import annotations

import dataclasses
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.engine.resource import Verb
from paver.errors import BadInput, PaverError
from paver.foundation import places, record
from paver.foundation.credhub.entry import CredhubEntry
from paver.foundation.handover.contract import Contract
from paver.foundation.object_store.user import StoreUser
from paver.runs.compose import GROUP, compose, drivers, phases, with_any_driver
from paver.sitefile import Site
from paver.sitefile.load import load
from paver.sitefile.services import Bucket as BucketSection
from paver.sitefile.services import StoreUser as StoreUserSection
from paver.sitefile.services import Team

GOOD = Path(__file__).parents[1] / "cases" / "sitefile" / "good" / "lab-north.yml"


def site_with(moved: dict[str, str]) -> Site:
    site = load(GOOD, drivers())
    trust = site.trust.model_copy(update={"extra_roots": ()})
    return dataclasses.replace(site, trust=trust, moved=moved)


def test_phases_come_from_trust_driver_and_foundation() -> None:
    found = phases(drivers()["vsphere"])
    assert found[0] == "trust"
    assert found[-3:] == ("bucc", "services", "handover")


class Offered:
    """An entry point of a package that somebody installed."""

    def __init__(self, driver: Any, package: str = "other", name: str = "other") -> None:
        self.name, self.driver = name, driver
        self.dist = SimpleNamespace(name=package, version="2.0")

    def load(self) -> Any:
        if isinstance(self.driver, Exception):
            raise self.driver
        return self.driver


@pytest.mark.parametrize(
    ("offered", "what", "seen"),
    [
        (Offered(ImportError("no module pandas")), "other cannot be loaded: ImportError", "no module pandas"),
        (Offered(object()), "other cannot be loaded: AttributeError", "no attribute 'api'"),
        (Offered(SimpleNamespace(api=9)), "written for the plugin API 9", ""),
        (
            Offered(SimpleNamespace(api=1, name="vsphere"), "rival"),
            "two packages bring a driver vsphere",
            "iaas-paver 1.0, rival 2.0",
        ),
    ],
)
def test_a_driver_that_cannot_be_used_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, offered: Offered, what: str, seen: str
) -> None:
    own = Offered(drivers()["vsphere"], "iaas-paver", "vsphere")
    own.dist.version = "1.0"
    monkeypatch.setattr(metadata, "entry_points", lambda group: {GROUP: [own, offered]}[group])
    with pytest.raises(BadInput, match=what) as caught:
        drivers()
    assert seen in caught.value.seen
    assert caught.value.do


def test_renames_of_the_site_file_reach_the_wish() -> None:
    installed = drivers()
    site = site_with({"vsphere.ntp:old": "vsphere.ntp:esx-01"})
    assert compose(site, installed["vsphere"]).moved == {"vsphere.ntp:old": "vsphere.ntp:esx-01"}


def test_a_rename_to_what_the_site_does_not_have_is_refused() -> None:
    installed = drivers()
    site = site_with({"vsphere.ntp:old": "vsphere.ntp:esx-09"})
    with pytest.raises(BadInput, match=r"this site has no vsphere\.ntp:esx-09") as caught:
        compose(site, installed["vsphere"])
    assert "vsphere.ntp:esx-01" in caught.value.seen


def test_what_the_site_file_adopts_may_be_taken_over_and_nothing_else() -> None:
    vsphere, site = drivers()["vsphere"], site_with({})
    one = "vsphere.port-group:esx-01/mgmt"
    adopting = dataclasses.replace(site, adopt=(one,))
    before, after = compose(site, vsphere).resources, compose(adopting, vsphere).resources
    changed = {now.id for was, now in zip(before, after, strict=True) if now.adopt != was.adopt}
    assert changed == {one}
    assert adopting.digest() != site.digest()


@pytest.mark.parametrize(
    ("id_", "words"),
    [
        ("vsphere.port-group:esx-09/mgmt", "this site has no"),
        ("vsphere.ntp:esx-01", "no vsphere.ntp is adopted"),
        ("vsphere.host-certificate:esx-09", "this site has no"),
    ],
)
def test_what_cannot_be_adopted_is_refused(id_: str, words: str) -> None:
    site = dataclasses.replace(site_with({}), adopt=(id_,))
    with pytest.raises(BadInput, match=words):
        compose(site, drivers()["vsphere"])


def test_what_keeps_its_records_on_the_jumpbox_says_so_under_the_name_by_which_every_driver_connects_it() -> (
    None
):
    vsphere, site = drivers()["vsphere"], site_with({})
    wish = compose(site, vsphere)
    assert record.jumpbox().name in wish.connectors
    recorded = {
        one.kind.kind for one in wish.grounds if record.jumpbox().name in {at.name for at in one.also}
    }
    assert "s3.bucket" in recorded


def test_every_kind_that_a_site_is_made_of_is_one_of_its_drivers_or_comes_with_any() -> None:
    vsphere = drivers()["vsphere"]
    below, above = with_any_driver()
    listed = (*below[2], *vsphere.kinds, *above[2])
    assert len(set(listed)) == len(listed)
    wish = compose(site_with({}), vsphere)
    grounds = {ground.kind for ground in wish.grounds}
    assert {type(one) for one in wish.resources} | grounds <= set(listed)
    assert {*below[2], *above[2]} <= grounds
    assert (*below[1], *vsphere.phases, *above[1]) == wish.phases


def test_what_nobody_wishes_for_any_more_shows_under_the_phase_in_which_it_was_made() -> None:
    wish = compose(site_with({}), drivers()["vsphere"])
    phases = {(ground.kind, ground.at.name): ground.phase for ground in wish.grounds}
    others = {
        one.id for one in wish.resources if phases.get((type(one), one.at.name), one.phase) != one.phase
    }
    assert others == {"bosh.release:bosh-dns"}, "it stays as long as there is a director"


def test_every_act_of_bosh_is_compared_with_what_lies_around_it() -> None:
    resources = compose(site_with({}), drivers()["vsphere"]).resources
    tools = [resource for resource in resources if resource.kind in {"bucc.director", "bosh.deployment"}]
    assert len(tools) == 3
    for resource in tools:
        for verb in (Verb.CREATE, Verb.UPDATE, Verb.DELETE):
            opaque = resource.opaque(verb)
            assert opaque is not None
            assert resource.around is not None
            assert opaque.makes == resource.around.makes != ()


def test_no_teams_pipelines_get_the_object_stores_administrators_key() -> None:
    wish = compose(site_with({}), drivers()["vsphere"])
    given = {
        one.path: one.parts["value"]
        for one in wish.resources
        if isinstance(one, CredhubEntry) and one.path.startswith("/concourse/main/object_store")
    }
    assert given == {
        "/concourse/main/object_store_access_key": "team-main",
        "/concourse/main/object_store_secret_key": places.user_password("team-main").secret,
    }
    [user] = [one for one in wish.resources if isinstance(one, StoreUser)]
    assert user.write == {"bundles", "state"}
    assert (user.name, user.read_) == ("team-main", frozenset())


def test_a_team_that_names_an_account_gets_that_ones_key_and_none_is_made_for_it() -> None:
    site = with_store(
        users={"ops": StoreUserSection(read=("bundles",))}, team=Team(store_user="ops"), buckets=("bundles",)
    )
    assert places.team_login(site, "main") == ("ops", places.user_password("ops").secret)
    assert set(site.store_users) == {"ops"}


def test_a_store_without_buckets_gives_no_team_a_key_and_the_contract_says_so() -> None:
    site = with_store(users={}, team=Team(), buckets=())
    wish = compose(site, drivers()["vsphere"])
    assert not [one for one in wish.resources if isinstance(one, StoreUser)]
    [contract] = [one for one in wish.resources if isinstance(one, Contract)]
    assert contract.document["object_store"]["cred_ref"] == ""
    assert "access_key" not in contract.document["object_store"]


def with_store(*, users: dict[str, StoreUserSection], team: Team, buckets: tuple[str, ...]) -> Site:
    site = site_with({})
    services = site.services
    store = services.object_store.model_copy(
        update={"users": users, "buckets": {name: BucketSection() for name in buckets}}
    )
    concourse = services.concourse.model_copy(update={"teams": {"main": team}})
    changed = services.model_copy(update={"object_store": store, "concourse": concourse})
    return dataclasses.replace(site, services=changed)


def _lacking(what: str) -> Any:
    """Returns the driver of vSphere, of whose wish something is left out."""

    def pave(site: Site) -> Any:
        whole = drivers()["vsphere"].pave(site)
        without: dict[str, Any] = {
            "brought": {"brought": {}},
            "vm types": {"vm_types": {}},
            "connector": {"connectors": {k: v for k, v in whole.connectors.items() if k != "files"}},
            "resource": {
                "resources": tuple(one for one in whole.resources if one.kind != "vsphere.datacenter")
            },
        }
        return dataclasses.replace(whole, **without[what])

    driver = drivers()["vsphere"]
    return SimpleNamespace(name="vsphere", phases=driver.phases, pave=pave)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("brought", "the driver vsphere carries no whole site: `brought` has no `bucc`"),
        ("vm types", "the driver vsphere carries no whole site: `vm_types` has no `default`"),
        ("connector", "is at files, which no connector leads to"),
        ("resource", "needs vsphere.datacenter:north, which nobody wishes for"),
    ],
)
def test_a_driver_whose_wish_does_not_hold_together_is_told_what_it_lacks(what: str, told: str) -> None:
    with pytest.raises(PaverError) as caught:
        compose(site_with({}), _lacking(what))
    assert told in f"{caught.value.what}\n{caught.value.seen}"
    assert "docs/howto/driver.md" in caught.value.do
