"""A newer stemcell, newer releases and another cloud config come to a director on which things are deployed already."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Resource, resource_id
from paver.foundation.director.deployment import Deployment
from paver.foundation.director.uploads import Release, Stemcell
from paver.lab.standins import tarballs
from paver.runs.workbench import pending
from tests.unit.test_foundation_killed import AT, GROUP, UPDATE, Room

STEMCELL, RELEASE = resource_id(Stemcell.kind, "default"), resource_id(Release.kind, "minio")


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def stemcell(folder: Path, version: str, system: str) -> Stemcell:
    file = folder / f"stemcell-{version}.tgz"
    made = tarballs.Stemcell(system, version, f"ubuntu-{system}", b"image", {"infrastructure": "vsphere"})
    file.write_bytes(tarballs.stemcell_tarball(made))
    return Stemcell(id=STEMCELL, phase="services", at=AT, name=system, version=version, file=str(file))


def release(folder: Path, version: str) -> Release:
    file = folder / f"minio-{version}.tgz"
    made = tarballs.Release("minio", version, (tarballs.Job("server", {}, {}, ()),), ())
    file.write_bytes(tarballs.release_tarball(made))
    return Release(id=RELEASE, phase="services", at=AT, name="minio", version=version, file=str(file))


def deployment(version: str, system: str, name: str = "registry") -> Deployment:
    group = {**GROUP, "jobs": [{"name": "server", "release": "minio"}]}
    return Deployment(
        id=resource_id(Deployment.kind, name),
        phase="services",
        at=AT,
        after=frozenset({STEMCELL, RELEASE}),
        name=name,
        manifest={
            "name": name,
            "releases": [{"name": "minio", "version": version}],
            "stemcells": [{"alias": "default", "os": f"ubuntu-{system}", "version": version}],
            "update": UPDATE,
            "instance_groups": [group],
        },
        versions={},
    )


def artefact(folder: Path, version: str, system: str = "jammy") -> tuple[Resource[Any], ...]:
    """Returns what is wished for with an artefact whose stemcell and release are of that version."""
    return stemcell(folder, version, system), release(folder, version), deployment(version, system)


def kept(room: Room) -> Mapping[str, list[str]]:
    """Returns the versions of stemcells, but the one that was there, and of releases that the director has."""
    stemcells = room.bosh.ok("GET", "/stemcells")
    releases = room.bosh.ok("GET", "/releases")
    return {
        "stemcells": sorted(f"{one['name']}/{one['version']}" for one in stemcells if one["name"] != "noble"),
        "releases": sorted(v["version"] for one in releases for v in one["release_versions"]),
    }


def deployed(room: Room) -> Any:
    """Returns what is deployed from."""
    [found] = [one for one in room.bosh.ok("GET", "/deployments") if one["name"] == "registry"]
    return [(one["name"], one["version"]) for one in (*found["stemcells"], *found["releases"])]


def test_one_apply_brings_newer_ones_and_deploys_from_them_and_the_last_ones_stay_as_the_way_back(
    room: Room, tmp_path: Path
) -> None:
    room.site.whole(*artefact(tmp_path, "1"))
    newer = artefact(tmp_path, "2")
    assert set(pending(room.site.plan(*newer)).values()) == {"update"}
    room.site.whole(*newer)
    assert pending(room.site.plan(*newer)) == {}
    assert deployed(room) == [("jammy", "2"), ("minio", "2")]
    assert kept(room) == {"stemcells": ["jammy/1", "jammy/2"], "releases": ["1", "2"]}
    room.site.whole(*artefact(tmp_path, "3", "resolute"))
    assert deployed(room) == [("resolute", "3"), ("minio", "3")]
    assert kept(room) == {"stemcells": ["jammy/2", "resolute/3"], "releases": ["2", "3"]}


def test_the_way_back_is_taken_without_anything_being_sent_again(room: Room, tmp_path: Path) -> None:
    room.site.whole(*artefact(tmp_path, "1"))
    room.site.whole(*artefact(tmp_path, "2"))
    sent = room.tasks("create stemcell"), room.tasks("create release")
    room.site.whole(*artefact(tmp_path, "1"))
    assert deployed(room) == [("jammy", "1"), ("minio", "1")]
    assert (room.tasks("create stemcell"), room.tasks("create release")) == sent
    assert kept(room) == {"stemcells": ["jammy/1", "jammy/2"], "releases": ["1", "2"]}


def test_what_others_still_deploy_from_stays_until_they_do_not(room: Room, tmp_path: Path) -> None:
    room.site.whole(*artefact(tmp_path, "1"))
    theirs = deployment("1", "jammy", name="theirs")
    room.bosh.ok("POST", "/deployments", json.dumps(theirs.manifest), content_type="text/yaml")
    for version in ("2", "3"):
        room.site.whole(*artefact(tmp_path, version))
    assert kept(room) == {"stemcells": ["jammy/1", "jammy/2", "jammy/3"], "releases": ["1", "2", "3"]}
    room.bosh.ok("DELETE", "/deployments/theirs")
    room.site.whole(*artefact(tmp_path, "4"))
    assert kept(room) == {"stemcells": ["jammy/3", "jammy/4"], "releases": ["3", "4"]}


@pytest.mark.parametrize("mode", ["destroy", "apply"])
def test_all_that_came_one_after_the_other_goes_once_it_is_not_wished_for(
    mode: str, room: Room, tmp_path: Path
) -> None:
    start = room.stands()
    for version in ("1", "2"):
        room.site.whole(*artefact(tmp_path, version))
    room.site.whole(*(artefact(tmp_path, "2") if mode == "destroy" else ()), mode=mode)
    assert room.stands() == start


@pytest.mark.parametrize("after", [False, True])
def test_wherever_it_is_killed_the_next_plan_ends_it_and_nothing_is_forgotten(
    after: bool, tmp_path: Path
) -> None:
    for moment in itertools.count():
        folder = tmp_path / str(moment)
        folder.mkdir()
        room = Room(folder)
        start = room.stands()
        for version in ("1", "2"):
            room.site.whole(stemcell(folder, version, "jammy"))
        third = stemcell(folder, "3", "jammy")
        planned = room.site.plan(third)
        room.moment.arm(moment, after=after)
        ended = room.site.act(planned, third)
        room.moment.arm(None, after=False)
        room.site.whole(third)
        assert kept(room)["stemcells"] == ["jammy/2", "jammy/3"], moment
        room.site.whole(third, mode="destroy")
        assert room.stands() == start, moment
        if ended:
            assert moment > 3, "it writes next to nothing"
            return


def test_what_the_cloud_config_says_otherwise_of_a_deployment_is_deployed_and_held_against_the_next_plan(
    room: Room, tmp_path: Path
) -> None:
    cell, minio, _ = artefact(tmp_path, "1")
    small = dataclasses.replace(deployment("1", "jammy"), cloud={"disk_size": 102400})
    room.site.whole(cell, minio, small)
    larger = dataclasses.replace(small, cloud={"disk_size": 122880})
    assert pending(room.site.plan(cell, minio, larger)) == {"bosh.deployment:registry": "update"}
    room.site.whole(cell, minio, larger)
    assert room.tasks("create deployment") == 2
    assert pending(room.site.plan(cell, minio, larger)) == {}
