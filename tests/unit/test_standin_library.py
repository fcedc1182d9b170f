"""The lab's director takes releases in part by part, keeps a context id of deployments alone, and ends no task of a former life."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.lab.standins import director_intake, director_tarballs, director_tasks, tarballs
from paver.lab.standins.director import Director
from paver.lab.standins.director_library import Library
from paver.lab.standins.director_state import ROOM, BlobstoreError, State
from paver.lab.standins.director_tasks import Task, TaskError, Tasks
from paver.lab.standins.director_views import Views
from paver.lab.standins.director_vms import Vms
from tests.support.standin import Api
from tests.support.waiting import until

RELEASE = tarballs.Release(
    "lab",
    "1",
    (tarballs.Job("server", {"a.json": "<%= p('a') %>"}, {"a": {}}, ("tool",)),),
    (tarballs.Package("tool", {"packaging": (b"true\n", True)}),),
)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.open(tmp_path)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return Task(1, tmp_path)


def read(folder: Path, release: tarballs.Release = RELEASE) -> director_tarballs.ReadRelease:
    path = folder / "release.tgz"
    path.write_bytes(tarballs.release_tarball(release))
    return director_tarballs.read_release(path)


def listed(state: State) -> list[str]:
    cpi: Any = None
    [found] = Library(state, cpi).releases()
    return [version["version"] for version in found["release_versions"]]


def test_a_release_that_has_come_halfway_is_listed_and_the_next_upload_takes_all_of_it_anew(
    state: State, task: Task, tmp_path: Path
) -> None:
    (tmp_path / ROOM).write_text("1")
    with pytest.raises(BlobstoreError, match="no space left"):
        director_intake.take_in(state, task, read(tmp_path), fix=False)
    assert listed(state) == ["1"]
    entry = state.data["releases"]["lab"]["1"]
    assert (entry["complete"], sorted(entry["packages"]), sorted(entry["jobs"])) == (False, ["tool"], [])

    (tmp_path / ROOM).write_text("2")
    director_intake.take_in(state, task, read(tmp_path), fix=False)
    assert (entry["complete"], sorted(entry["jobs"])) == (True, ["server"])
    assert (tmp_path / ROOM).read_text() == "0", "what was there already was mended too"
    director_intake.take_in(state, task, read(tmp_path), fix=False)
    assert entry["complete"], "of a whole one nothing was taken: there was no room"


JOB = dataclasses.replace(RELEASE.jobs[0], monit="x")
PACKAGE = tarballs.Package("tool", {"packaging": (b"false\n", True)})


@pytest.mark.parametrize(
    ("release", "commit", "words"),
    [
        (RELEASE, "abcdef0", "has already been uploaded with commit_hash as"),
        (dataclasses.replace(RELEASE, jobs=(JOB,)), "", "job 'server' had different fingerprint"),
        (dataclasses.replace(RELEASE, packages=(PACKAGE,)), "", "package 'tool' had different fingerprint"),
    ],
)
def test_another_release_under_the_name_and_version_of_one_that_is_there_is_refused(
    state: State, task: Task, tmp_path: Path, release: tarballs.Release, commit: str, words: str
) -> None:
    director_intake.take_in(state, task, read(tmp_path), fix=False)
    other = read(tmp_path, release)
    if commit:
        other = dataclasses.replace(other, commit_hash=commit)
    with pytest.raises(TaskError, match=words):
        director_intake.take_in(state, task, other, fix=False)


@pytest.fixture
def api(state: State) -> Api:
    none: Any = SimpleNamespace(begin=lambda *_: None, deploy=lambda *_: "", delete=lambda *_: "")
    return director_of(state, none)


def director_of(state: State, none: Any) -> Api:
    """Returns the director whose CPI and deployer are `none`."""
    configs: Any = SimpleNamespace(routes=lambda *_: [])
    verifier: Any = SimpleNamespace(authorise=lambda *_: {})
    tasks = Tasks(state)
    library, views = Library(state, none), Views(state, tasks, "north", "cpi", "")
    return Api(Director(state, tasks, library, none, views, configs, verifier).routes())


@pytest.mark.parametrize(
    ("verb", "path", "kept"),
    [
        ("POST", "/releases", ""),
        ("POST", "/stemcells", ""),
        ("DELETE", "/releases/lab", ""),
        ("DELETE", "/stemcells/noble/1", ""),
        ("POST", "/cleanup", ""),
        ("DELETE", "/disks/disk-1", ""),
        ("POST", "/deployments", "action"),
        ("DELETE", "/deployments/lab", "action"),
    ],
)
def test_the_context_id_is_kept_of_deployments_alone(
    api: Api, state: State, verb: str, path: str, kept: str
) -> None:
    state.data["releases"] = {"lab": {"1": {"jobs": {}}}}
    state.data["deployments"] = {"lab": {"releases": [], "stemcells": []}}
    kind = "text/yaml" if path == "/deployments" else "application/x-compressed"
    body = "{}" if path == "/cleanup" else "name: lab"
    api.ok(verb, path, body, x_bosh_context_id="action", content_type=kind)
    [task] = api.ok("GET", "/tasks?verbose=2")
    assert task["context_id"] == kept
    assert len(api.ok("GET", "/tasks?verbose=2&context_id=action")) == bool(kept)
    until(lambda: api.ok("GET", "/tasks/1")["state"] in {"done", "error"}, "the task has ended")


COMPILED = dataclasses.replace(RELEASE, stemcell="ubuntu-noble/1.484")


def packages_on(state: State, stemcell: str) -> list[str]:
    """Returns what is deployed of the release on a stemcell, given as os/version."""
    none: Any = None
    system, _, version = stemcell.rpartition("/")
    job = SimpleNamespace(release="lab", version="1", name="server")
    wanted: Any = SimpleNamespace(stemcell={"os": system, "version": version}, jobs=[job])
    return sorted(Vms(state, none, none, "north", {}, {})._packages(wanted))


def test_what_was_compiled_for_another_stemcell_of_the_same_line_is_deployed(
    state: State, task: Task, tmp_path: Path
) -> None:
    director_intake.take_in(state, task, read(tmp_path, COMPILED), fix=False)
    assert packages_on(state, "ubuntu-noble/1.501") == ["tool"]


@pytest.mark.parametrize("stemcell", ["ubuntu-noble/2.1", "ubuntu-jammy/1.484"])
def test_a_release_that_was_compiled_for_another_line_of_stemcells_is_refused(
    state: State, task: Task, tmp_path: Path, stemcell: str
) -> None:
    director_intake.take_in(state, task, read(tmp_path, COMPILED), fix=False)
    with pytest.raises(
        TaskError, match=f"without source code and are not compiled against stemcell '{stemcell}'"
    ):
        packages_on(state, stemcell)


@pytest.mark.parametrize(("verb", "path"), [("POST", "/deployments"), ("DELETE", "/deployments/lab")])
def test_a_task_of_a_deployment_that_another_one_holds_is_refused(
    state: State, monkeypatch: pytest.MonkeyPatch, verb: str, path: str
) -> None:
    monkeypatch.setattr(director_tasks, "LOCKED", 0.05)
    at_work, ends = threading.Event(), threading.Event()

    def deploy(*_: Any) -> str:
        at_work.set()
        ends.wait(60)
        return ""

    none: Any = SimpleNamespace(begin=lambda *_: None, deploy=deploy, delete=lambda *_: "")
    api = director_of(state, none)
    with state.changing() as data:
        data["deployments"] = {"lab": {"releases": [], "stemcells": []}}
    api.ok("POST", "/deployments", "name: lab", content_type="text/yaml")
    assert at_work.wait(60)
    api.ok(verb, path, "name: lab", content_type="text/yaml")
    until(lambda: api.ok("GET", "/tasks/2")["state"] == "error", "the second one ends")
    told = api.ok("GET", "/tasks/2")["result"]
    assert told.startswith("Failed to acquire lock for lock:deployment:lab uid: ")
    assert told.endswith("Locking task id is 1, description: 'create deployment'")
    ends.set()
    until(lambda: api.ok("GET", "/tasks/1")["state"] == "done", "the first one ends")


def test_deleting_a_release_of_which_there_is_no_version_is_refused(api: Api) -> None:
    assert "Release 'lab' doesn't exist" in api.refused(404, "DELETE", "/releases/lab?version=1")


def test_a_task_that_ran_when_the_director_died_is_given_up_by_whoever_looks_at_it_later(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(director_tasks, "SILENCE", 3600.0)
    with state.changing() as data:
        for identity, now in ((1, "processing"), (2, "done")):
            data["tasks"].append(
                {"id": identity, "state": now, "result": None, "description": "create release"}
            )
    again = Tasks(State.open(tmp_path))
    assert [task["state"] for task in again.all()] == ["done", "processing"]
    monkeypatch.setattr(director_tasks, "SILENCE", 0.0)
    assert (again.get(1) or {})["state"] == "timeout"
    assert State.open(tmp_path).data["tasks"][0] == {
        "id": 1,
        "state": "timeout",
        "result": None,
        "description": "create release",
    }
