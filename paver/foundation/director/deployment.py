"""A deployment: its manifest goes to the director, which makes the VMs.

Secrets of a manifest are CredHub's variables, `((name))`; `versions` says which version of each stands there,
so that a rotated one is deployed. It has the director's authorities, too, which agents and their blobstore are known by: the
agents of a former one are lost to the director ("Timed out sending 'get_state'"), until it makes their VMs anew, as it does
where a deploy says `fix` (bosh, director/deployment_plan/agent_state_migrator.rb; `nats_config_changed?`). None says so
without need: an agent that is away for a moment is no reason to delete its VM.

The cloud config says the rest of it: how large the disk is, and where the VM stands. A director leaves a deployment with what
that said at its last deploy (bosh, models/deployment.rb, `cloud_configs`), so `cloud` says what that was.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from paver.driver import Check, Endpoint, Facts, Mark, Opaque, Reader, Resource, Verb, Writer
from paver.foundation import yaml_text
from paver.foundation.director import ledger, tasks
from paver.foundation.documents import kept, plain
from paver.foundation.places import AGENTS

CALLS = ledger.CALLS | {"POST /deployments"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeploymentFacts(Facts):
    """The manifest as the director has it, the versions that were deployed, and what the cloud config said then."""

    manifest: Mapping[str, Any]
    versions: Mapping[str, str]
    cloud: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deployment(Resource[DeploymentFacts]):
    """A BOSH deployment.

    Attributes:
        name: of the deployment.
        manifest: the whole, with variables for secrets.
        versions: of its secrets, by variable, and of the director's authorities for agents.
        cloud: what the cloud config says of its VMs and disks.
    """

    kind: ClassVar[str] = "bosh.deployment"
    calls: ClassVar = {
        Verb.CREATE: CALLS,
        Verb.UPDATE: CALLS,
        Verb.DELETE: ledger.CALLS | {"DELETE /deployments/:name"},
    }
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str
    manifest: Mapping[str, Any]
    versions: Mapping[str, Any]
    cloud: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    protected: bool = True

    def estimate(self) -> int:
        return 240

    def says(self) -> str:
        groups = self.manifest["instance_groups"]
        return ", ".join(f"{group['instances']} × {group['name']}" for group in groups)

    def opaque(self, verb: Verb) -> Opaque:
        makes = self.around.makes if self.around is not None else ()
        if verb is Verb.DELETE:
            effects = (f"the VMs of {self.says()} go, with their disks",)
            return Opaque("bosh", ("delete-deployment", self.name), effects, makes)
        return Opaque(
            "bosh",
            ("deploy", self.name),
            (
                f"the VMs of {self.says()}, with their disks, made by the director",
                "VMs of a former authority of the director's for agents are made anew, on their disks",
            ),
            makes,
        )

    def read(self, world: Reader) -> DeploymentFacts | None:
        entry = ledger.read(world, self.at).get(self.id)
        there = _facts(world, self.at, self.id, self.name, entry)
        mark = ledger.mark(world.site, self.id, entry)
        return _gone(self.name, mark) if there is None and ledger.begun(mark) else there

    def create(self, world: Writer) -> None:
        director, doing = world.writing(self.at), f"deployment {self.name}"
        address = {"name": self.name}
        versions = {name: world.version(secret) or "" for name, secret in self.versions.items()}
        holds = {"versions": dict(versions), "cloud": plain(self.cloud)}
        entry = ledger.read(world, self.at).get(self.id)
        if not (tasks.resumed(world, director, entry, doing) and self._stands(world, versions)):
            # What is asked for is noted beforehand: who takes it up again can tell whether it is the same still.
            ledger.note(world, self.at, complete=False, address=address, holds=holds)
            ask = functools.partial(
                director.post,
                f"/deployments?fix={str(_lost(entry, versions)).lower()}",
                call="POST /deployments",
                content=yaml_text.dumps(plain(self.manifest), sort_keys=False).encode(),
                headers={"Content-Type": "text/yaml", **tasks.context(world)},
                expect=(302,),
            )
            tasks.alone(world, director, self.name, doing, ask)
        ledger.note(world, self.at, complete=True, address=address, holds=holds)

    def _stands(self, world: Reader, versions: Mapping[str, str]) -> bool:
        """Tells whether the director has this very manifest, with these secrets, and on what the cloud config says now."""
        found = self.read(world)
        if found is None or found.manifest != plain(self.manifest):
            return False
        return found.versions == versions and found.cloud == plain(self.cloud)

    def update(self, world: Writer, facts: DeploymentFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    def checks(self, world: Reader, facts: DeploymentFacts) -> Iterable[Check]:
        del facts
        found: Any = world.session(self.at).get(f"/deployments/{self.name}/instances").json()
        yield Check("its instances are there", bool(found), f"{len(found)} instances")

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[DeploymentFacts]:
        for id_, entry in ledger.of_kind(world, at, cls.kind):
            name, mark = entry["address"]["name"], ledger.mark(world.site, id_, entry)
            yield _facts(world, at, id_, name, entry) or _gone(name, mark)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: DeploymentFacts) -> None:
        director, name = world.writing(at), facts.address["name"]
        doing = f"deletion of {name}"
        if facts.mark is not None:
            entry = ledger.read(world, at).get(facts.mark.id)
            tasks.resumed(world, director, entry, doing)
            # From now on nobody looks for what lives in it, also if it goes only half.
            ledger.leaving(world, at, facts)
        if director.find(f"/deployments/{name}") is not None:
            # Never by force: a director that is forced forgets the VMs that it could not delete.
            ask = functools.partial(
                director.delete,
                f"/deployments/{name}",
                call="DELETE /deployments/:name",
                headers=tasks.context(world),
                expect=(302, 404),
            )
            tasks.alone(world, director, name, doing, ask)
        if facts.mark is not None:
            ledger.strike(world, at, facts.mark.id)


def _lost(entry: Mapping[str, Any] | None, versions: Mapping[str, str]) -> bool:
    """Tells whether agents may be of a former authority: it is another than was noted, or a deploy did not come to its end."""
    if entry is None:
        return False
    noted: Mapping[str, Any] = entry["holds"].get("versions", {})
    return not entry["complete"] or any(noted.get(name) != versions.get(name) for name in AGENTS)


def _gone(name: str, mark: Mark | None) -> DeploymentFacts:
    return DeploymentFacts(address={"name": name}, mark=mark, manifest={}, versions={}, cloud={})


def _facts(
    world: Reader, at: Endpoint[Any, Any], id_: str, name: str, entry: Mapping[str, Any] | None
) -> DeploymentFacts | None:
    answer = world.session(at).find(f"/deployments/{name}")
    if answer is None:
        return None
    manifest = kept(answer.json()["manifest"] or "{}", f"the manifest of the deployment {name}")
    holds = (entry or {}).get("holds", {})
    return DeploymentFacts(
        address={"name": name},
        mark=ledger.mark(world.site, id_, entry),
        manifest=manifest,
        versions=holds.get("versions", {}),
        cloud=holds.get("cloud", {}),
    )
