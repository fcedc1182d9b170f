"""Teams and pipelines of Concourse. It keeps no marks: their records are on the jumpbox."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from paver.driver import Endpoint, Facts, Mark, Reader, Resource, Verb, Writer, encode
from paver.foundation import record, yaml_text
from paver.foundation.documents import plain
from paver.signing import canonical

TEAM = "PUT /api/v1/teams/:team"
CONFIG = "PUT /api/v1/teams/:team/pipelines/:pipeline/config"
VERSION = "x-concourse-config-version"
PAUSE = "PUT /api/v1/teams/:team/pipelines/:pipeline/(un)pause"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeamFacts(Facts):
    """Who is in a team, by role."""

    owners: frozenset[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Team(Resource[TeamFacts]):
    """A team; `owners` as Concourse writes them, `local:admin`."""

    kind: ClassVar[str] = "concourse.team"
    calls: ClassVar = {
        Verb.CREATE: record.CALLS | {TEAM},
        Verb.UPDATE: record.CALLS | {TEAM},
        Verb.ADOPT: record.CALLS | {TEAM},
        Verb.DELETE: record.REMOVE | {"DELETE /api/v1/teams/:team"},
    }
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name"})
    dies_with_parent: ClassVar[bool] = True

    name: str
    owners: frozenset[str]

    def read(self, world: Reader) -> TeamFacts | None:
        found = record.read(world, record.jumpbox(), self.id)
        return _team(world, self.at, self.name, found.mark if found is not None else None)

    def create(self, world: Writer) -> None:
        record.write(world, record.jumpbox(), self.id, {"name": self.name}, complete=False)
        # What is put replaces all: BUCC lets a group of its UAA into main, and people may have given other roles.
        kept = _found(world, self.at, self.name) or {}
        auth = dict(kept.get("auth") or {})
        groups = (auth.get("owner") or {}).get("groups") or []
        auth["owner"] = {"users": sorted(self.owners), "groups": sorted(groups)}
        world.writing(self.at).put(f"/api/v1/teams/{self.name}", call=TEAM, json={"auth": auth})
        record.write(world, record.jumpbox(), self.id, {"name": self.name}, complete=True)

    def update(self, world: Writer, facts: TeamFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[TeamFacts]:
        for found in record.every(world, record.jumpbox(), cls.kind):
            team = _team(world, at, str(found.wish["name"]), found.mark)
            if team is not None:
                yield team

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: TeamFacts) -> None:
        name = facts.address["name"]
        # The main team is Concourse's own and cannot be deleted; only our record goes.
        if name != "main":
            world.writing(at).delete(
                f"/api/v1/teams/{name}", call="DELETE /api/v1/teams/:team", expect=(404,)
            )
        if facts.mark is not None:
            record.remove(world, record.jumpbox(), facts.mark.id)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineFacts(Facts):
    """A pipeline as it is set."""

    config: Mapping[str, Any]
    paused: bool
    version: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pipeline(Resource[PipelineFacts]):
    """A pipeline of a team.

    Concourse shows a config by its own structures, not as it was put (atc/config.go): explicit defaults vanish, short forms
    become long ones. So the record has the digest of what was put, and the version that it got: as long as Concourse has
    that version, nobody has set another.
    """

    kind: ClassVar[str] = "concourse.pipeline"
    calls: ClassVar = {
        Verb.CREATE: record.CALLS | {CONFIG, PAUSE},
        Verb.UPDATE: record.CALLS | {CONFIG, PAUSE},
        Verb.DELETE: record.REMOVE | {"DELETE /api/v1/teams/:team/pipelines/:pipeline"},
    }
    unmanaged: ClassVar[frozenset[str]] = frozenset({"team", "name"})
    dies_with_parent: ClassVar[bool] = True

    team: str
    name: str
    config: Mapping[str, Any]
    paused: bool

    def says(self) -> str:
        jobs = len(self.config.get("jobs", ()))
        return f"in team {self.team}, {jobs} {'job' if jobs == 1 else 'jobs'}"

    def read(self, world: Reader) -> PipelineFacts | None:
        found = record.read(world, record.jumpbox(), self.id)
        there = _pipeline(world, self.at, self.team, self.name, found.mark if found is not None else None)
        if there is None or found is None:
            return there
        put = (there.version, canonical.digest(encode(self.config)))
        if (found.wish.get("version"), found.wish.get("config")) == put:
            return dataclasses.replace(there, config=self.config)
        return there

    def create(self, world: Writer) -> None:
        kept = {"team": self.team, "name": self.name}
        record.write(world, record.jumpbox(), self.id, kept, complete=False)
        base = f"/api/v1/teams/{self.team}/pipelines/{self.name}"
        concourse = world.writing(self.at)
        there = concourse.get(f"{base}/config", expect=(404,))
        version = there.headers.get(VERSION, "") if there.status == 200 else ""
        concourse.put(
            f"{base}/config",
            call=CONFIG,
            content=yaml_text.dumps(plain(self.config)).encode(),
            headers={
                "Content-Type": "application/x-yaml",
                **({"X-Concourse-Config-Version": version} if version else {}),
            },
        )
        got = {
            "config": canonical.digest(encode(self.config)),
            "version": concourse.get(f"{base}/config").headers[VERSION],
        }
        concourse.put(f"{base}/{'pause' if self.paused else 'unpause'}", call=PAUSE)
        record.write(world, record.jumpbox(), self.id, {**kept, **got}, complete=True)

    def update(self, world: Writer, facts: PipelineFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[PipelineFacts]:
        for found in record.every(world, record.jumpbox(), cls.kind):
            there = _pipeline(world, at, str(found.wish["team"]), str(found.wish["name"]), found.mark)
            if there is not None:
                yield there

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: PipelineFacts) -> None:
        team, name = facts.address["team"], facts.address["name"]
        world.writing(at).delete(
            f"/api/v1/teams/{team}/pipelines/{name}",
            call="DELETE /api/v1/teams/:team/pipelines/:pipeline",
            expect=(404,),
        )
        if facts.mark is not None:
            record.remove(world, record.jumpbox(), facts.mark.id)


def _found(world: Reader, at: Endpoint[Any, Any], name: str) -> dict[str, Any] | None:
    teams: Any = world.session(at).get("/api/v1/teams").json()
    return next((team for team in teams if team["name"] == name), None)


def _team(world: Reader, at: Endpoint[Any, Any], name: str, mark: Mark | None) -> TeamFacts | None:
    found = _found(world, at, name)
    if found is None:
        return None
    owners = (found.get("auth") or {}).get("owner", {}).get("users") or []
    return TeamFacts(address={"name": name}, mark=mark, owners=frozenset(owners))


def _pipeline(
    world: Reader, at: Endpoint[Any, Any], team: str, name: str, mark: Mark | None
) -> PipelineFacts | None:
    base = f"/api/v1/teams/{team}/pipelines/{name}"
    answer = world.session(at).get(f"{base}/config", expect=(404,))
    if answer.status == 404:
        return None
    state: Any = world.session(at).get(base).json()
    return PipelineFacts(
        address={"team": team, "name": name},
        mark=mark,
        config=answer.json()["config"],
        paused=bool(state["paused"]),
        version=answer.headers.get(VERSION, ""),
    )
