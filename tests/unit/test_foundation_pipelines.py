"""Pipelines that Concourse shows otherwise than they were written, and what paver takes for a change of them."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Endpoint, Mark, ResourceId, Secret, Verb, resource_id
from paver.engine.diff import changes
from paver.foundation import yaml_text
from paver.foundation.concourse.team import CONFIG, TEAM, VERSION, Pipeline, Team
from paver.foundation.services_phase import SMOKE
from paver.transport.http import Answer
from tests.support.ledger import Director
from tests.support.standin import Api
from tests.unit.test_standin_concourse import WORKER, concourse, login

GUIDE = Path(__file__).parents[2] / "docs/howto/nightly-repave.md"
PATH = "/api/v1/teams/main/pipelines/nightly/config"
AT: Endpoint[Any, Any] = Endpoint("concourse")
DELETE = "DELETE /api/v1/teams/:team/pipelines/:pipeline"
NIGHTLY = resource_id("concourse.pipeline", "main/nightly")


@dataclasses.dataclass
class Session:
    """The stand-in without a socket, as the transport speaks."""

    api: Api
    sent: list[bytes] = dataclasses.field(default_factory=list)

    def get(self, path: str, *, expect: tuple[int, ...] = ()) -> Answer:
        return self._call("GET", path, expect)

    def put(
        self, path: str, *, call: str, content: bytes = b"", headers: Any = None, json: Any = None
    ) -> Answer:
        assert call in Pipeline.calls[Verb.UPDATE] | Team.calls[Verb.UPDATE]
        self.sent.append(content)
        given = {name.lower().replace("-", "_"): value for name, value in (headers or {}).items()}
        return self._call("PUT", path, (), content.decode() if json is None else json, given)

    def delete(self, path: str, *, call: str, expect: tuple[int, ...]) -> Answer:
        assert call in Pipeline.calls[Verb.DELETE] | Team.calls[Verb.DELETE]
        return self._call("DELETE", path, expect)

    def _call(
        self, verb: str, path: str, expect: tuple[int, ...], content: Any = None, headers: Any = None
    ) -> Answer:
        reply = self.api.call(verb, path, content, **(headers or {}))
        assert reply.status < 400 or reply.status in expect, reply.body
        shown = {name.lower(): value for name, value in reply.headers.items()}
        return Answer(reply.status, shown, json.dumps(reply.body).encode(), path)


@dataclasses.dataclass
class World:
    """Concourse, and the director that keeps the ledger; there is no jumpbox."""

    there: Session
    director: Director = dataclasses.field(default_factory=Director)
    site: str = "north"
    acting: ResourceId = NIGHTLY

    def session(self, at: Endpoint[Any, Any]) -> Any:
        return {"concourse": self.there, "director": self.director}[at.name]

    writing = session

    def mark(self, *, complete: bool) -> Mark:
        return Mark(self.site, self.acting, "a" * 64, complete)

    def version(self, secret: Secret) -> str:
        raise AssertionError(f"a pipeline has no secrets: {secret.name}")


@pytest.fixture
def world(tmp_path: Path) -> Any:
    api = Api(concourse(tmp_path).routes())
    api.authorization = login(api, "admin", "secret")
    return World(Session(api))


def wished(text: str) -> Pipeline:
    return Pipeline(
        id=NIGHTLY,
        phase="services",
        at=AT,
        team="main",
        name="nightly",
        config=yaml_text.loads(text) or {},
        paused=True,
    )


def differing(world: Any, pipeline: Pipeline) -> list[str]:
    facts = pipeline.read(world)
    assert facts is not None
    return [change.field for change in changes(pipeline, facts, world.version)]


def guided() -> str:
    (found,) = re.findall(r"```yaml\n(resources:.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def test_a_pipeline_that_concourse_shows_otherwise_than_written_has_nothing_to_do(world: Any) -> None:
    pipeline = wished(guided())
    pipeline.create(world)
    facts = pipeline.read(world)
    assert facts is not None
    shown = world.there.get(PATH).json()["config"]
    assert "steps" in shown["jobs"][0]["plan"][0]["in_parallel"], "it is not shown as it was written"
    assert differing(world, pipeline) == []


NUMBERS = """jobs:
- name: one
  plan:
  - task: t
    params: {RATIO: 0.5, GO: 1.20, START: 1:30, DAY: 2026-11-29, HASH: "12e45", MODE: 0644}
    config: {platform: linux, image_resource: {type: mock, source: {mirror_self: true}}, run: {path: "true"}}
"""


def test_numbers_times_and_dates_of_a_pipeline_arrive_as_they_were_written(world: Any) -> None:
    pipeline = wished(NUMBERS)
    pipeline.create(world)
    (sent,) = [content for content in world.there.sent if b"RATIO" in content]
    assert b"RATIO: 0.5\n" in sent
    assert b"GO: 1.20\n" in sent
    assert b"START: '1:30'\n" in sent
    assert b"DAY: '2026-11-29'\n" in sent
    assert b"HASH: '12e45'\n" in sent
    assert b"MODE: 420\n" in sent
    assert differing(world, pipeline) == []


def test_a_fraction_that_somebody_else_set_is_a_difference(world: Any) -> None:
    pipeline = wished(NUMBERS)
    pipeline.create(world)
    theirs = yaml_text.dumps(yaml_text.loads(NUMBERS.replace("0.5", "0.75"))).encode()
    headers = {VERSION: world.there.get(PATH).headers[VERSION.lower()]}
    world.there.put(PATH, call=CONFIG, content=theirs, headers=headers)
    assert differing(world, pipeline) == ["config"]


def test_a_pipeline_that_is_written_otherwise_is_set_once(world: Any) -> None:
    wished(guided()).create(world)
    other = wished(guided().replace("2:00 AM", "4:00 AM"))
    facts = other.read(world)
    assert facts is not None
    assert differing(world, other) == ["config"]
    other.update(world, facts, frozenset({"config"}))
    assert differing(world, other) == []


def test_a_pipeline_that_somebody_else_set_is_a_difference_and_set_again(world: Any) -> None:
    pipeline = wished(guided())
    pipeline.create(world)
    version = world.there.get(PATH).headers["x-concourse-config-version"]
    theirs = {"X-Concourse-Config-Version": version}
    content = guided().replace("2:00 AM", "4:00 AM").encode()
    world.there.put(
        PATH, call="PUT /api/v1/teams/:team/pipelines/:pipeline/config", content=content, headers=theirs
    )
    facts = pipeline.read(world)
    assert facts is not None
    assert differing(world, pipeline) == ["config"]
    assert facts.config["resources"][0]["source"]["start"] == "4:00 AM", "a plan shows theirs"
    pipeline.update(world, facts, frozenset({"config"}))
    assert differing(world, pipeline) == []


def test_a_pipeline_whose_setting_was_cut_short_is_not_taken_for_set(world: Any) -> None:
    wished(guided()).create(world)
    other = wished(guided().replace("2:00 AM", "4:00 AM"))
    put = world.there.put

    def dies(path: str, **given: Any) -> Answer:
        put(path, **given)
        raise KeyboardInterrupt

    world.there.put = dies
    with pytest.raises(KeyboardInterrupt):
        other.create(world)
    facts = wished(guided()).read(world)
    assert facts is not None
    assert facts.mark is not None
    assert not facts.mark.complete
    assert differing(world, wished(guided())) == ["config"]


def test_the_task_of_the_default_pipeline_has_an_image_that_a_worker_brings(tmp_path: Path) -> None:
    """Concourse takes a task without one, and fails when it is to run; one from a registry needs the Internet."""
    api = Api(concourse(tmp_path, WORKER).routes())
    api.authorization = login(api, "admin", "secret")
    wished(SMOKE).create(World(Session(api)))  # type: ignore[arg-type]
    ((step,),) = [job["plan"] for job in api.ok("GET", PATH)["config"]["jobs"]]
    image = step["config"]["image_resource"]
    (worker,) = api.ok("GET", "/api/v1/workers")
    assert image["type"] in {one["type"] for one in worker["resource_types"]}
    assert image["source"] == {"mirror_self": True}


def platform() -> Team:
    return Team(
        id=resource_id("concourse.team", "platform"),
        phase="services",
        at=AT,
        name="platform",
        owners=frozenset({"local:admin"}),
    )


@pytest.mark.parametrize("answered", [False, True])
def test_what_was_killed_while_it_went_is_known_as_begun_and_goes_whole(world: Any, answered: bool) -> None:
    """Also where Concourse has let it go, and only the ledger still speaks of it."""
    delete = world.there.delete

    def dies(path: str, **given: Any) -> Answer:
        if answered:
            delete(path, **given)
        raise KeyboardInterrupt

    made: Any
    for made in (platform(), wished(guided())):
        world.acting, kind = made.id, type(made)
        made.create(world)
        world.there.delete = dies
        with pytest.raises(KeyboardInterrupt):
            kind.delete(world, AT, made.read(world))
        world.there.delete = delete
        (left,) = kind.discover(world, AT)
        assert left == made.read(world)
        assert left.mark == Mark("north", made.id, "a" * 64, complete=False)
        kind.delete(world, AT, left)
        assert made.read(world) is None
        assert not world.director.configs


def test_what_somebody_took_away_is_made_again_and_no_entry_of_it_stays_once_nobody_wishes_for_it(
    world: Any,
) -> None:
    made = wished(guided())
    made.create(world)
    world.there.delete(PATH.removesuffix("/config"), call=DELETE, expect=())
    assert made.read(world) is None
    (left,) = Pipeline.discover(world, AT)
    Pipeline.delete(world, AT, left)
    assert not world.director.configs


def test_whose_a_team_or_a_pipeline_is_stands_on_the_director_and_what_others_made_stays_foreign(
    world: Any,
) -> None:
    """Nothing of it is on a jumpbox that may be lost: this world has none."""
    team, pipeline = platform(), wished(guided())
    world.there.put("/api/v1/teams/theirs", call=TEAM, json={"auth": {"owner": {"users": ["local:dev"]}}})
    world.there.put(PATH.replace("nightly", "theirs"), call=CONFIG, content=guided().encode())
    world.acting = team.id
    team.create(world)
    world.acting = pipeline.id
    pipeline.create(world)

    others = dataclasses.replace(team, name="theirs", id=resource_id("concourse.team", "theirs")).read(world)
    assert others is not None
    assert others.mark is None
    foreign = dataclasses.replace(
        pipeline, name="theirs", id=resource_id("concourse.pipeline", "main/theirs")
    )
    there = foreign.read(world)
    assert there is not None
    assert there.mark is None
    ours, set_ = [*Team.discover(world, AT)], [*Pipeline.discover(world, AT)]
    assert ours == [team.read(world)]
    assert [one.address for one in set_] == [{"name": "nightly", "team": "main"}]
    assert [one.mark for one in (*ours, *set_)] == [
        Mark("north", team.id, "a" * 64, complete=True),
        Mark("north", pipeline.id, "a" * 64, complete=True),
    ]

    Pipeline.delete(world, AT, set_[0])
    world.acting = team.id
    Team.delete(world, AT, ours[0])
    assert (team.read(world), pipeline.read(world)) == (None, None)
    assert not world.director.configs, "the last entry takes the ledger with it"
    assert foreign.read(world) == there
