"""The director: one VM with BOSH, UAA, CredHub and Concourse, made by `bucc up` as a job on the jumpbox.

BUCC's `state.json` and `creds.yml` are sealed and copied off after every `up`, successful or not; a new
jumpbox gets them back before its first `up`, and then there is nothing to do. Until then the director counts as begun:
it is there, and the jumpbox can neither change nor delete it. So does one whose VM is gone: `bosh create-env` makes nothing anew
by itself whose manifest, stemcell and releases are the same (bosh-cli, cmd/deployment_preparer.go, `IsDeployed`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar

import yaml

from paver.driver import (
    STORE,
    Check,
    Endpoint,
    Facts,
    Interrupted,
    Opaque,
    PaverError,
    Reader,
    Refused,
    Resource,
    Secret,
    Unobservable,
    Unreachable,
    Verb,
    Writer,
)
from paver.foundation import record, yaml_text
from paver.foundation.bucc import leaves, running
from paver.foundation.director import cleaning, tasks
from paver.signing.canonical import Json
from paver.transport import job

HOME = PurePosixPath("/var/lib/paver/bucc")
STATE, CREDS, VARS = "bucc-state", "bucc-creds", "bucc-vars"
SEALED = frozenset({"seal:put", "seal:remove"})
JOB = frozenset({"job:start"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuccFacts(Facts):
    """What stands in the record; the director itself is asked by the checks. `gone` is a VM of its that is not there any more."""

    artefact: str
    cpi: str
    ip: str
    variables: Mapping[str, Any]
    seeds: Mapping[str, Any]
    operators: Mapping[str, Any]
    flags: tuple[str, ...]
    fresh: bool = True
    gone: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucc(Resource[BuccFacts]):
    """BUCC's machine: BOSH, UAA, CredHub and Concourse.

    Attributes:
        artefact: SHA-256 of what is installed.
        tree: BUCC's tree on the jumpbox.
        cpi: name of BOSH's CPI.
        ip: the VM's address.
        variables: of `vars.yml`, by BUCC's names; values may be secrets.
        seeds: of `creds.yml`: certificates as {ca, certificate, private_key}, passwords.
        operators: ops files by name, as text.
        flags: BUCC's flags.
        renew_before_days: how long before their end the certificates that BUCC makes are made anew.
        fresh: wished True; found False once they are to be.
    """

    kind: ClassVar[str] = "bucc.director"
    calls: ClassVar = {
        Verb.CREATE: record.CALLS | record.REMOVE | JOB | SEALED,
        Verb.UPDATE: record.CALLS | record.REMOVE | JOB | SEALED,
        Verb.DELETE: record.REMOVE | record.CALLS | JOB | SEALED | {cleaning.CALL},
    }
    replaces: ClassVar[frozenset[str]] = frozenset({"cpi", "ip"})
    unmanaged: ClassVar[frozenset[str]] = frozenset({"tree", "renew_before_days"})

    artefact: str
    tree: str
    cpi: str
    ip: str
    variables: Mapping[str, Any]
    seeds: Mapping[str, Any]
    operators: Mapping[str, str]
    flags: tuple[str, ...] = ()
    renew_before_days: int = 30
    fresh: bool = True
    protected: bool = True

    def says(self) -> str:
        return f"BOSH, UAA, CredHub and Concourse at {self.ip}"

    def estimate(self) -> int:
        return 25 * 60

    def opaque(self, verb: Verb) -> Opaque:
        makes = self.around.makes if self.around is not None else ()
        if verb is Verb.DELETE:
            effects = (f"the VM at {self.ip} goes, with its disks and stemcells",)
            return Opaque("bucc", ("bucc", "down"), effects, makes, program=self.artefact)
        return Opaque(
            "bucc",
            ("bucc", "up"),
            (
                f"one VM at {self.ip}, with a persistent disk, through the CPI {self.cpi}",
                "the stemcell that it is made of",
                "BUCC's state and credentials under /var/lib/paver/bucc, sealed afterwards",
            ),
            makes,
            program=self.artefact,
        )

    def read(self, world: Reader) -> BuccFacts | None:
        found = record.read(world, self.at, self.id)
        if found is None:
            return _deserted_by_its_jumpbox(world)
        facts = dataclasses.replace(
            _facts(found), fresh=leaves.fresh(_span(world), self.renew_before_days), gone=self._gone(world)
        )
        if not facts.gone or facts.mark is None:
            return facts
        return dataclasses.replace(facts, mark=dataclasses.replace(facts.mark, complete=False))

    def _gone(self, world: Reader) -> str:
        """Returns the id of the director's VM if it is nowhere any more; empty where it is, or nobody can tell."""
        if self.around is None:
            return ""
        state = world.session(self.at).read_file(str(HOME / world.site / "state" / "state.json"))
        own = _vm(state or b"")
        try:
            there = {name.rpartition("/")[2] for name in self.around.look(world)} if own else set()
        except Unobservable:
            # Who needs it says so; without it nothing is known to be gone.
            return ""
        return own if own not in there else ""

    def foresees(self, world: Reader, facts: BuccFacts | None) -> str:
        if facts is None:
            return ""
        if not facts.address["tree"]:
            return "this jumpbox does not know it; its state comes back out of the sealed store"
        if facts.gone:
            return f"its VM {facts.gone} is gone; BUCC makes another one, with its persistent disk"
        return (
            ""
            if facts.fresh
            else f"its certificates hold until {_span(world)['ends'][:10]}; BUCC makes new ones"
        )

    def create(self, world: Writer) -> None:
        self._up(world)

    def update(self, world: Writer, facts: BuccFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self._up(world)

    def _up(self, world: Writer) -> None:
        machine = world.writing(self.at)
        project = HOME / world.site
        running.await_earlier(world, machine)
        _let_others_end(world)
        record.write(world, self.at, self.id, self._recorded(), complete=False)
        for folder in (project, project / "state", project / "operators"):
            machine.mkdir(str(folder), 0o700, "paver:paver")
        variables = yaml_text.dumps(_revealed(world, self.variables), sort_keys=True)
        _seal(world, VARS, variables)
        _restore(world, self.at, project)
        self._write_inputs(world, project)
        world.report("bucc up")
        argv = [f"{self.tree}/bin/bucc", "up", *(["--recreate"] if self._gone(world) else [])]
        try:
            running.follow(world, machine, argv, project, variables)
        finally:
            seal_state(world, self.at, project)
        record.write(world, self.at, self.id, self._recorded(), complete=True)

    def _recorded(self) -> Mapping[str, Any]:
        kept = {"fresh", *self.unmanaged}
        return {name: value for name, value in self.wish().items() if name not in kept} | {"tree": self.tree}

    def _write_inputs(self, world: Writer, project: PurePosixPath) -> None:
        machine = world.writing(self.at)
        folder = project / "operators"
        # BUCC applies whatever lies there: what the site file names no more would go on being applied.
        for name in sorted({*(machine.listdir(str(folder)) or ())} - {*self.operators}):
            machine.remove(str(folder / name))
        for name, text in self.operators.items():
            machine.write_file(str(folder / name), text.encode(), 0o600, "paver:paver")
        sticky = {"cpi": self.cpi, "lite": "false", "flags": "\n".join(self.flags)}
        for name, text in sticky.items():
            machine.write_file(
                str(project / "state" / name), f"{text}\n".encode() if text else b"", 0o600, "paver:paver"
            )
        creds = project / "state" / "creds.yml"
        kept = _variables(machine.read_file(str(creds)) or b"{}", str(creds))
        seeds = _revealed(world, self.seeds)
        seeded = {**leaves.held(kept, seeds, self.renew_before_days), **seeds}
        if seeded != kept:
            machine.write_file(str(creds), yaml_text.dumps(seeded).encode(), 0o600, "paver:paver")

    def checks(self, world: Reader, facts: BuccFacts) -> Iterable[Check]:
        del facts
        for name, path in (("director", "/info"), ("credhub", "/info"), ("concourse", "/api/v1/info")):
            answer = world.session(_api(name)).get(path)
            yield Check(f"{name} answers with our CA", answer.status == 200, answer.url)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[BuccFacts]:
        return [_facts(found) for found in record.every(world, at, cls.kind)]

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: BuccFacts) -> None:
        if not facts.address["tree"]:
            raise Refused(
                "this jumpbox cannot delete the director: another one made it",
                seen=f"{STATE} in the sealed store, and nothing of it on the jumpbox",
                why="BUCC deletes by its tree and its state, which went with the jumpbox that was lost",
                do="`paver apply` puts both back; then run the same command again",
            )
        project = PurePosixPath(facts.address["project"])
        machine = world.writing(at)
        running.await_earlier(world, machine)
        state = machine.read_file(str(project / "state" / "state.json"))
        answers = state is not None and _deserted(world, state)
        if facts.mark is not None:
            record.leaving(world, at, facts.mark.id)
        if answers:
            cleaning.clean_up(world, _api("director"))
        if state is not None:
            world.report("bucc down")
            variables = world.writing(STORE).value(VARS)
            running.follow(world, machine, [f"{facts.address['tree']}/bin/bucc", "down"], project, variables)
        machine.remove(str(project), recursive=True)
        for name in (STATE, CREDS, VARS):
            if world.writing(STORE).entry(name) is not None:
                world.writing(STORE).remove(name)
        if facts.mark is not None:
            record.remove(world, at, facts.mark.id)


def _let_others_end(world: Writer) -> None:
    """Waits for what others have the director do: BUCC takes its VM away without asking it (`--skip-drain`).

    A deploy that loses its director is given up minutes later, with its machines half made. Who cannot be asked is not
    waited for: it is not there yet, or no more, or shows what a former authority of its issued.
    """
    try:
        tasks.await_all(world, world.session(_api("director")))
    except Interrupted:
        raise
    except PaverError as error:
        world.report(f"nobody is waited for: {error.what}")


def _deserted_by_its_jumpbox(world: Reader) -> BuccFacts | None:
    """Returns a director whose state is sealed and whose record went with the jumpbox; all that is known is that it is."""
    sealed = world.session(STORE).entry(STATE)
    if sealed is None or sealed.mark is None:
        return None
    return BuccFacts(
        address={"project": str(HOME / world.site), "tree": ""},
        mark=dataclasses.replace(sealed.mark, complete=False),
        artefact="",
        cpi="",
        ip="",
        variables={},
        seeds={},
        operators={},
        flags=(),
    )


def _deserted(world: Writer, state: bytes) -> bool:
    """Sees to it that nothing is left on the director: `bosh delete-env` doesn't ask, and nobody knows the VMs then.

    A director that is down must not keep its own VM alive: where nobody is there at all, the IaaS is asked for machines
    and disks that it left. Whoever answers in another way, as one that does not let paver in, is not down.

    Returns:
        Whether the director answers.

    Raises:
        Refused: if it has deployments, paver's own being gone by now; or if it is down, and there are other machines
            or disks than its own.
        Unobservable: if it is there and cannot be asked.
    """
    try:
        found: Any = world.session(_api("director")).get("/deployments").json()
    except Unreachable as silence:
        left = _others(world, state)
        if left:
            raise Refused(
                "the director is down, and what it made may still be there",
                seen="\n".join((*left[:10], silence.why)),
                why="without it nobody knows any more to which deployments they belong, and they stay in the IaaS for ever",
                do="have it answer again (power its VM on, mend the way to it, `paver apply` where its VM is gone), then run "
                "the same command again; "
                "if it is lost for good, save what is on those machines and disks, delete them yourself, then the same",
            ) from silence
        world.report("the director is down, and left neither machines nor disks")
        return False
    if found:
        raise Refused(
            "the director still has deployments",
            seen=", ".join(sorted(str(one["name"]) for one in found)[:10]),
            why="without it nobody knows their VMs and disks any more, and they stay in the IaaS for ever",
            do="delete them (`bosh -d NAME delete-deployment`), then run the same command again",
        )
    return True


def _others(world: Writer, state: bytes) -> list[str]:
    """Returns the machines and the disks where BOSH makes its own, but for the director's VM and the disks of that."""
    if world.around is None:
        return ["nobody can tell whether there is anything"]
    own = _own(state)
    found = (*sorted(world.around.machines(world)), *sorted(world.around.disks(world)))
    return [name for name in found if name.rpartition("/")[2] not in own]


def _own(state: bytes) -> frozenset[str]:
    """Returns the ids of the director's VM and disks, which `bosh delete-env` deletes, by its state.

    After a dot a CPI may keep in a disk's id what it was made with; that is in no name.
    """
    try:
        found: Any = json.loads(state)
        disks = {str(disk["cid"]).partition(".")[0] for disk in found.get("disks") or ()}
        return frozenset({_vm(state), *disks})
    except (ValueError, AttributeError, TypeError, KeyError):
        return frozenset()


def _vm(state: bytes) -> str:
    """Returns the id of the director's VM by `bosh create-env`'s state; empty where it has none."""
    try:
        found: Any = json.loads(state or b"{}")
        return str(found.get("current_vm_cid") or "")
    except (ValueError, AttributeError):
        return ""


def seal_state(world: Writer, at: Endpoint[Any, Any], project: PurePosixPath) -> None:
    """Copies BUCC's state and credentials into the sealed store, and lets nobody else read them where they lie."""
    machine = world.writing(at)
    # While it runs, the files are its own: what was read a moment ago must not be put over what it wrote since.
    at_work = job.state(machine, running.job_of(world.site)).state == "running"
    for name, file in ((STATE, "state.json"), (CREDS, "creds.yml")):
        data = machine.read_file(str(project / "state" / file))
        if data is not None:
            _seal(world, name, data.decode(), _told(data) if name == CREDS else {})
        if data is not None and not at_work:
            machine.write_file(str(project / "state" / file), data, 0o600, "paver:paver")


def _restore(world: Writer, at: Endpoint[Any, Any], project: PurePosixPath) -> None:
    """Gives a new jumpbox the state of the old one."""
    machine, store = world.writing(at), world.writing(STORE)
    for name, file in ((STATE, "state.json"), (CREDS, "creds.yml")):
        path = str(project / "state" / file)
        if not machine.exists(path) and store.entry(name) is not None:
            machine.write_file(path, store.value(name).encode(), 0o600, "paver:paver")


def _variables(data: bytes, path: str) -> dict[str, Any]:
    try:
        found = yaml_text.loads(data) or {}
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        # The parser's own words would show the lines around the fault, which are secrets.
        raise PaverError(
            f"{path} on the jumpbox is not what BUCC writes",
            why="it was cut short or edited",
            do=f"mend it, or move it away: the sealed store's {CREDS} takes its place then",
        )
    return found


def _api(name: str) -> Endpoint[Any, Any]:
    return Endpoint(name)


def _told(data: bytes) -> dict[str, Json]:
    """Returns what may be known of BUCC's credentials: until when its certificates hold."""
    try:
        return dict(leaves.span(_variables(data, "creds.yml")))
    except (PaverError, ValueError):
        # Cut short while it was written: whoever reads it next says so.
        return {}


def _span(world: Reader) -> Mapping[str, Any]:
    entry = world.session(STORE).entry(CREDS)
    return {} if entry is None else entry.public


def _seal(world: Writer, name: str, value: str, public: Mapping[str, Json] | None = None) -> None:
    store = world.writing(STORE)
    entry = store.entry(name)
    if entry is None or dict(entry.public) != dict(public or {}) or store.value(name) != value:
        store.put(name, value, dict(public or {}), world.mark(complete=True))


def _revealed(world: Writer, value: Any) -> Any:
    if isinstance(value, Secret):
        return world.reveal(value)
    if isinstance(value, Mapping):
        return {key: _revealed(world, item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_revealed(world, item) for item in value]
    return value


def _facts(found: record.Record) -> BuccFacts:
    wish = found.wish
    return BuccFacts(
        address={"project": str(HOME / found.mark.site), "tree": str(wish["tree"])},
        mark=found.mark,
        artefact=wish["artefact"],
        cpi=wish["cpi"],
        ip=wish["ip"],
        variables=wish["variables"],
        seeds=wish["seeds"],
        operators=wish["operators"],
        flags=tuple(wish.get("flags", ())),
    )
