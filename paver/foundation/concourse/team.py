"""Teams and pipelines of Concourse. It keeps no marks: they stand in the director's ledger, on the same machine and disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from paver.driver import Endpoint, Facts, Mark, Reader, Resource, Verb, Writer, encode
from paver.foundation import places, yaml_text
from paver.foundation.director import ledger
from paver.foundation.documents import plain
from paver.signing import canonical
from paver.signing.canonical import Json

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
        Verb.CREATE: ledger.CALLS | {TEAM},
        Verb.UPDATE: ledger.CALLS | {TEAM},
        Verb.ADOPT: ledger.CALLS | {TEAM},
        Verb.DELETE: ledger.CALLS | {"DELETE /api/v1/teams/:team"},
    }
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name"})
    dies_with_parent: ClassVar[bool] = True

    name: str
    owners: frozenset[str]

    def read(self, world: Reader) -> TeamFacts | None:
        mark = ledger.mark(world.site, self.id, ledger.read(world, places.director()).get(self.id))
        there = _team(world, self.at, self.name, mark)
        return _gone_team(self.name, mark) if there is None and ledger.begun(mark) else there

    def create(self, world: Writer) -> None:
        address = {"name": self.name}
        _note(world, address, complete=False)
        # What is put replaces all: BUCC lets a group of its UAA into main, and people may have given other roles.
        kept = _found(world, self.at, self.name) or {}
        auth = dict(kept.get("auth") or {})
        groups = (auth.get("owner") or {}).get("groups") or []
        auth["owner"] = {"users": sorted(self.owners), "groups": sorted(groups)}
        world.writing(self.at).put(f"/api/v1/teams/{self.name}", call=TEAM, json={"auth": auth})
        _note(world, address, complete=True)

    def update(self, world: Writer, facts: TeamFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[TeamFacts]:
        for id_, entry in ledger.of_kind(world, places.director(), cls.kind):
            name, mark = entry["address"]["name"], ledger.mark(world.site, id_, entry)
            yield _team(world, at, name, mark) or _gone_team(name, mark)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: TeamFacts) -> None:
        name = facts.address["name"]
        # The main team is Concourse's own and cannot be deleted; only our entry goes.
        if name != "main":
            ledger.leaving(world, places.director(), facts)
            world.writing(at).delete(
                f"/api/v1/teams/{name}", call="DELETE /api/v1/teams/:team", expect=(404,)
            )
        if facts.mark is not None:
            ledger.strike(world, places.director(), facts.mark.id)


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
    become long ones. So the ledger has the digest of what was put, and the version that it got: as long as Concourse has
    that version, nobody has set another.
    """

    kind: ClassVar[str] = "concourse.pipeline"
    calls: ClassVar = {
        Verb.CREATE: ledger.CALLS | {CONFIG, PAUSE},
        Verb.UPDATE: ledger.CALLS | {CONFIG, PAUSE},
        Verb.DELETE: ledger.CALLS | {"DELETE /api/v1/teams/:team/pipelines/:pipeline"},
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
        entry = ledger.read(world, places.director()).get(self.id)
        mark = ledger.mark(world.site, self.id, entry)
        there = _pipeline(world, self.at, self._address(), mark)
        if there is None and ledger.begun(mark):
            return _gone_pipeline(self._address(), mark)
        if there is None or entry is None:
            return there
        put = {"config": canonical.digest(encode(self.config)), "version": there.version}
        if entry["holds"] == put:
            return dataclasses.replace(there, config=self.config)
        return there

    def create(self, world: Writer) -> None:
        _note(world, self._address(), complete=False)
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
        _note(world, self._address(), complete=True, holds=got)

    def _address(self) -> Mapping[str, str]:
        return {"name": self.name, "team": self.team}

    def update(self, world: Writer, facts: PipelineFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[PipelineFacts]:
        for id_, entry in ledger.of_kind(world, places.director(), cls.kind):
            address, mark = entry["address"], ledger.mark(world.site, id_, entry)
            yield _pipeline(world, at, address, mark) or _gone_pipeline(address, mark)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: PipelineFacts) -> None:
        team, name = facts.address["team"], facts.address["name"]
        ledger.leaving(world, places.director(), facts)
        world.writing(at).delete(
            f"/api/v1/teams/{team}/pipelines/{name}",
            call="DELETE /api/v1/teams/:team/pipelines/:pipeline",
            expect=(404,),
        )
        if facts.mark is not None:
            ledger.strike(world, places.director(), facts.mark.id)


def _note(
    world: Writer, address: Mapping[str, str], *, complete: bool, holds: Mapping[str, Json] | None = None
) -> None:
    ledger.note(world, places.director(), complete=complete, address=address, holds=holds)


def _gone_team(name: str, mark: Mark | None) -> TeamFacts:
    return TeamFacts(address={"name": name}, mark=mark, owners=frozenset())


def _gone_pipeline(address: Mapping[str, str], mark: Mark | None) -> PipelineFacts:
    return PipelineFacts(address=dict(address), mark=mark, config={}, paused=False, version="")


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
    world: Reader, at: Endpoint[Any, Any], address: Mapping[str, str], mark: Mark | None
) -> PipelineFacts | None:
    base = f"/api/v1/teams/{address['team']}/pipelines/{address['name']}"
    answer = world.session(at).get(f"{base}/config", expect=(404,))
    if answer.status == 404:
        return None
    state: Any = world.session(at).get(base).json()
    return PipelineFacts(
        address=dict(address),
        mark=mark,
        config=yaml_text.exact(answer.json()["config"]),
        paused=bool(state["paused"]),
        version=answer.headers.get(VERSION, ""),
    )
