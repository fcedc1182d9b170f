"""Stemcells and releases are brought to a director whole, and once: on the lab's, which takes them in as the real one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Facts, Interrupted, ResourceId
from paver.foundation.director import cleaning, tasks
from paver.foundation.director.uploads import Release, Stemcell, Upload
from paver.lab.standins import tarballs
from tests.support import director_process as support
from tests.support.director_process import AT, Director
from tests.support.waiting import until

pytestmark = pytest.mark.lab

CREATED = {"bosh.release": "create release", "bosh.stemcell": "create stemcell"}


@pytest.fixture
def director(tmp_path: Path) -> Iterator[Director]:
    with support.started(tmp_path) as found:
        yield found


@pytest.fixture
def release(tmp_path: Path) -> Release:
    job = tarballs.Job("server", {"config/a.json": "<%= p('a') %>"}, {"a": {}}, ("minio",))
    packages = tuple(
        tarballs.Package(name, {"packaging": (name.encode(), True)}) for name in ("go", "mc", "minio")
    )
    file = tmp_path / "minio.tgz"
    file.write_bytes(tarballs.release_tarball(tarballs.Release("minio", "1", (job,), packages)))
    return Release(
        id=ResourceId("bosh.release:minio"),
        at=AT,
        phase="services",
        name="minio",
        version="1",
        file=str(file),
    )


@pytest.fixture
def stemcell(tmp_path: Path) -> Stemcell:
    file = tmp_path / "stemcell.tgz"
    properties = {"infrastructure": "vsphere"}
    file.write_bytes(
        tarballs.stemcell_tarball(tarballs.Stemcell("noble", "1.1", "ubuntu-noble", b"image", properties))
    )
    return Stemcell(
        id=ResourceId("bosh.stemcell:stemcell"),
        at=AT,
        phase="bucc",
        name="noble",
        version="1.1",
        file=str(file),
    )


@pytest.fixture(params=["release", "stemcell"])
def either(request: pytest.FixtureRequest) -> Upload:
    found: Upload = request.getfixturevalue(request.param)
    return found


def whole(director: Director) -> bool:
    """Tells whether the release is there with all of its parts, and paver knows it."""
    kept = director.state["releases"]["minio"]["1"]
    parts = kept["complete"], sorted(kept["packages"]), sorted(kept["jobs"])
    return parts == (True, ["go", "mc", "minio"], ["server"]) and known(director, "bosh.release:minio")


def known(director: Director, id_: str) -> bool:
    return bool(director.ledger[id_]["complete"])


def held(director: Director) -> tuple[Callable[[], None], Callable[[], None]]:
    """Returns what holds up the director in the middle of whatever it takes in or deletes, and what lets it go on."""

    def hold() -> None:
        director.room.write_text("wait")
        director.cpi_waits.touch()

    def let() -> None:
        director.room.unlink(missing_ok=True)
        director.cpi_waits.unlink(missing_ok=True)

    return hold, let


def read(director: Director, wish: Upload) -> Facts:
    found = wish.read(director.world(wish.id))
    assert found is not None
    return found


def left_behind(director: Director, wish: Upload) -> None:
    """Has a run begin the upload and end while the director is in the midst of it."""
    hold, _ = held(director)
    hold()
    with pytest.raises(Interrupted):
        wish.create(director.world(wish.id, stop=lambda: True))
    until(
        lambda: "minio" in director.state["releases"] or director.cpi_calls() == ["create_stemcell"],
        "the director is in the midst of it",
    )


# Uploads --------------------------------------------------------------------------------------------------------


def test_a_release_whose_upload_failed_halfway_is_listed_all_the_same_and_uploaded_again(
    director: Director, release: Release
) -> None:
    director.room.write_text("2")
    with pytest.raises(tasks.TaskError, match="ended in error") as failed:
        release.create(director.world(release.id))
    assert "no space left on device" in failed.value.seen
    assert release.versions(director.world(release.id), AT, "minio") == {"1"}
    assert sorted(director.state["releases"]["minio"]["1"]["packages"]) == ["go", "mc"]
    facts = read(director, release)
    assert facts.mark is not None
    assert not facts.mark.complete, "the next plan takes it up again"

    director.room.unlink()
    release.create(director.world(release.id))
    assert whole(director)


def test_a_release_that_others_left_half_is_uploaded_when_it_is_adopted(
    director: Director, release: Release
) -> None:
    director.room.write_text("1")
    _uploaded_by_others(director, release)
    director.room.unlink()
    facts: Any = read(director, release)
    assert facts.mark is None
    release.update(director.world(release.id), facts, frozenset())
    assert whole(director)


def test_a_whole_release_of_others_is_adopted_without_being_sent_again(
    director: Director, release: Release
) -> None:
    _uploaded_by_others(director, release)
    release.create(director.world(release.id))
    assert whole(director)
    assert director.posted("/releases") == 1


def _uploaded_by_others(director: Director, release: Release) -> None:
    session = director.world("theirs").writing(AT)
    session.upload("/releases", Path(release.file), content_type="application/x-compressed", expect=(302,))
    until(lambda: director.tasks("create release")[0] in tasks.ENDED, "the director has come to an end")


def test_a_release_over_which_the_director_was_restarted_is_uploaded_again_once_its_task_is_given_up(
    director: Director, release: Release
) -> None:
    left_behind(director, release)
    director.kill()
    director.room.unlink()
    director.start()
    told: list[str] = []
    release.create(director.world(release.id, told=told.append))
    assert director.tasks("create release") == ["timeout", "done"]
    assert "create release: the director's task 1 ended in timeout" in told
    assert whole(director)


def test_an_upload_that_a_killed_run_left_is_followed_and_not_sent_again(
    director: Director, either: Upload
) -> None:
    left_behind(director, either)
    _, let = held(director)
    either.create(director.world(either.id, told=lambda doing: let() if ": task " in doing else None))
    assert director.posted(either.path) == 1
    assert director.tasks(CREATED[either.kind]) == ["done"]
    assert known(director, either.id)


def test_an_upload_that_came_to_its_end_after_a_run_was_killed_is_not_sent_again(
    director: Director, either: Upload
) -> None:
    left_behind(director, either)
    _, let = held(director)
    let()
    until(lambda: director.tasks(CREATED[either.kind]) == ["done"], "the director has come to its end")
    either.create(director.world(either.id))
    assert director.posted(either.path) == 1
    assert known(director, either.id)


# Deletions ------------------------------------------------------------------------------------------------------


def test_a_deletion_that_a_killed_run_left_is_followed_and_not_asked_for_again(
    director: Director, stemcell: Stemcell
) -> None:
    world = director.world(stemcell.id)
    stemcell.create(world)
    facts: Any = read(director, stemcell)
    hold, let = held(director)
    hold()
    with pytest.raises(Interrupted):
        Stemcell.delete(director.world(stemcell.id, stop=lambda: True), AT, facts)
    assert not known(director, stemcell.id), "who plans to keep it now looks after it first"
    told = director.world(stemcell.id, told=lambda doing: let() if ": task " in doing else None)
    Stemcell.delete(told, AT, facts)
    assert director.tasks("delete stemcell: noble/1.1") == ["done"]
    assert (director.state["stemcells"], director.ledger) == ([], {})


def test_what_an_earlier_run_is_still_uploading_is_deleted_once_it_is_there(
    director: Director, either: Upload
) -> None:
    left_behind(director, either)
    _, let = held(director)
    facts: Any = next(iter(type(either).discover(director.world(either.id), AT)))
    told = director.world(either.id, told=lambda doing: let() if ": task " in doing else None)
    type(either).delete(told, AT, facts)
    assert director.tasks(CREATED[either.kind]) == ["done"]
    assert (director.state["stemcells"], director.state["releases"], director.ledger) == ([], {}, {})


def test_what_others_deleted_a_moment_before_counts_as_deleted(director: Director, either: Upload) -> None:
    class Raced(type(either)):  # type: ignore[misc]
        """Somebody else is quicker."""

        @classmethod
        def remove(cls, session: Any, name: str, version: str) -> Any:
            quicker = super().remove(session, name, version)
            tasks.follow(director.world(either.id), session, quicker, "their deletion")
            return super().remove(session, name, version)

    either.create(director.world(either.id))
    facts: Any = read(director, either)
    Raced.delete(director.world(either.id), AT, facts)
    assert director.ledger == {}


def test_what_the_director_does_not_delete_stays_known(director: Director, stemcell: Stemcell) -> None:
    stemcell.create(director.world(stemcell.id))
    facts: Any = read(director, stemcell)
    director.cpi_waits.with_suffix("").write_text(
        """#!/bin/sh\necho '{"result": null, "error": {"type": "Unknown", "message": "full"}, "log": ""}'\n"""
    )
    with pytest.raises(tasks.TaskError, match="deletion of noble"):
        Stemcell.delete(director.world(stemcell.id), AT, facts)
    assert stemcell.id in director.ledger


def test_a_clean_up_that_a_killed_run_left_is_awaited_before_another_is_asked_for(
    director: Director, stemcell: Stemcell
) -> None:
    stemcell.create(director.world(stemcell.id))
    hold, let = held(director)
    hold()
    with pytest.raises(Interrupted):
        cleaning.clean_up(director.world("bucc.director:bucc", stop=lambda: True), AT)
    seen: list[list[str]] = []

    def told(doing: str) -> None:
        if doing.startswith("clean up all: task "):
            seen.append(director.tasks("clean up all"))
            let()

    cleaning.clean_up(director.world("bucc.director:bucc", told=told), AT)
    assert seen[0] == ["processing"], "no second one was asked for meanwhile"
    assert director.tasks("clean up all") == ["done", "done"]
    assert director.cpi_calls() == ["create_stemcell", "delete_stemcell"]
