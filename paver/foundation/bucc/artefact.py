"""BUCC's artefact, unpacked on the jumpbox: every file checked against the manifest, at use."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar

from paver.driver import (
    BadInput,
    Check,
    Endpoint,
    Facts,
    PaverError,
    Reader,
    Resource,
    Unobservable,
    Verb,
    Writer,
)
from paver.foundation import record
from paver.foundation.bucc import cli, tarballs
from paver.transport.machine import CommandError

TREES = PurePosixPath("/var/lib/paver/bucc/trees")
FORMAT = "paver.bucc-artefact/1"
MOST_MANIFEST_BYTES = 4 * 1024 * 1024
_LISTING = 120.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuccArtefactFacts(Facts):
    """What the artefact holds; paths are absolute, on the jumpbox."""

    sha256: str
    deploys: frozenset[str]
    tree: str
    stemcell_name: str
    stemcell_os: str
    stemcell_version: str
    stemcell_file: str
    bosh_dns_version: str
    bosh_dns_file: str
    minio_version: str
    minio_file: str
    registry_version: str
    registry_file: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuccArtefact(Resource[BuccArtefactFacts]):
    """BUCC's artefact, unpacked on the jumpbox.

    Attributes:
        sha256: of the artefact.
        source: the artefact's file on the jumpbox.
        deploys: the releases of it that the site deploys; those that were not before are looked at then.
    """

    kind: ClassVar[str] = "bucc.artefact"
    calls: ClassVar = {
        Verb.CREATE: record.CALLS | {"file:remove", "run:tar", "run:sha256sum", "run:bosh", "run:mv"},
        Verb.UPDATE: record.CALLS | {"run:tar"},
        Verb.DELETE: record.CALLS | record.REMOVE,
    }
    replaces: ClassVar[frozenset[str]] = frozenset({"sha256"})
    unmanaged: ClassVar[frozenset[str]] = frozenset({"source"})

    sha256: str
    source: str
    deploys: frozenset[str] = frozenset()

    def says(self) -> str:
        return "unpack and check every file"

    def read(self, world: Reader) -> BuccArtefactFacts | None:
        found = record.read(world, self.at, self.id)
        if found is None:
            return None
        there = _unpacked(world, self.at, found)
        return _gone(found) if there is None and not found.mark.complete else there

    def create(self, world: Writer) -> None:
        machine = world.writing(self.at)
        artefact = _called(self.source)
        tree = TREES / self.sha256
        draft = TREES / f".{self.sha256}"
        record.write(world, self.at, self.id, self.wish(), complete=False)
        machine.remove(str(draft), recursive=True)
        machine.remove(str(tree), recursive=True)
        # Parents that a folder brings along are root's, and what is unpacked moves within this one.
        for folder in (TREES, draft):
            machine.mkdir(str(folder), 0o755, "paver:paver")
        world.report("Unpacking")
        argv = ["tar", "--extract", "--no-same-owner", "--file", self.source, "--directory", str(draft)]
        try:
            machine.run(argv)
        except CommandError as error:
            raise PaverError(
                f"{artefact} can't be unpacked on the jumpbox",
                seen=f"{self.source}\n{error.seen}",
                why="it is no tar archive or not a whole one, or the jumpbox has no room for what is in it",
                do="`paver preflight` looks into the file beside the site file; put a right one there, then plan anew",
            ) from error
        status = machine.stat(str(draft / "manifest.json"))
        small = status is not None and status.kind == "file" and status.size <= MOST_MANIFEST_BYTES
        manifest = (machine.read_file(str(draft / "manifest.json")) if small else None) or b""
        files = checked(manifest, artefact)
        whole(_there(machine, draft), [name for name, _ in files], artefact)
        lines = "".join(f"{digest}  {draft / name}\n" for name, digest in files)
        world.report("Checking every file")
        machine.run(["sha256sum", "--check", "--quiet", "--strict", "-"], input=lines.encode())
        cli.agrees(machine, draft / str(json.loads(manifest)["bucc"]["tree"]))
        self._look(machine, draft, manifest)
        machine.run(["mv", "--no-target-directory", str(draft), str(tree)])
        record.write(world, self.at, self.id, self.wish(), complete=True)

    def update(self, world: Writer, facts: BuccArtefactFacts, fields: frozenset[str]) -> None:
        del fields
        machine, tree = world.writing(self.at), PurePosixPath(facts.address["tree"])
        self._look(machine, tree, machine.read_file(str(tree / "manifest.json")) or b"")
        record.write(world, self.at, self.id, self.wish(), complete=True)

    def _look(self, machine: Any, folder: PurePosixPath, manifest: bytes) -> None:
        """Holds stemcell and releases to what is known of them, before a director is made that could do nothing with them."""
        system = json.loads(manifest)["stemcell"]["os"]
        for file, member, known in tarballs.told(manifest):
            found = tarballs.agreed(machine, folder / file, member, known)
            if member == "release.MF":
                tarballs.compiles(found, system, self.deploys)

    def checks(self, world: Reader, facts: BuccArtefactFacts) -> Iterable[Check]:
        there = world.session(self.at).exists(f"{facts.tree}/bin/bucc")
        yield Check("the tree has bin/bucc", there, facts.tree)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[BuccArtefactFacts]:
        for found in record.every(world, at, cls.kind):
            yield _unpacked(world, at, found) or _gone(found)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: BuccArtefactFacts) -> None:
        if facts.mark is not None:
            record.leaving(world, at, facts.mark.id)
        tree = PurePosixPath(facts.address["tree"])
        for folder in (tree.with_name(f".{tree.name}"), tree):
            world.writing(at).remove(str(folder), recursive=True)
        if facts.mark is not None:
            record.remove(world, at, facts.mark.id)


def _called(source: str) -> str:
    return f"BUCC's artefact {PurePosixPath(source).name}"


def _there(machine: Any, draft: PurePosixPath) -> list[tuple[str, str, str]]:
    """Returns of whatever lies in the tree and is no folder its type, as `find` calls it, its name, and where a link leads.

    Raises:
        PaverError: if it can't be listed.
    """
    argv = ["find", str(draft), "-not", "-type", "d", "-printf", "%y\\0%P\\0%l\\0"]
    found = machine.probe(argv, timeout=_LISTING)
    if not found.ok:
        raise PaverError(
            f"{draft} on the jumpbox can't be listed", seen=found.err.decode("utf-8", "replace").strip()
        )
    told = [os.fsdecode(one) for one in found.out.split(b"\0")]
    return list(zip(told[0::3], told[1::3], told[2::3], strict=False))


def whole(there: Collection[tuple[str, str, str]], named: Iterable[str], artefact: str) -> None:
    """Does nothing if nothing lies in the tree that the manifest does not name; a link is what it leads to.

    Args:
        there: of whatever is no folder its type, as `find` calls it, its name, and where a link leads.
        named: the files that the manifest names.
        artefact: how errors call it.

    Raises:
        BadInput: there is a file besides, what is neither file nor link, or a link that leads nowhere or out of the tree.
    """
    links = {name: target for kind, name, target in there if kind == "l"}
    others = {name for kind, name, _ in there if kind != "l"}
    plain = {name for kind, name, _ in there if kind == "f"}
    unlisted = sorted(others - ({str(PurePosixPath(name)) for name in named} | {"manifest.json"}))
    if unlisted or others - plain:
        raise BadInput(
            f"{artefact} holds files that its manifest does not name",
            seen=", ".join((unlisted or sorted(others - plain))[:5]),
            why="nothing is known of them, and BUCC would run them",
            do="make the artefact anew; docs/reference/bucc-artefact.md says what is in one",
        )
    folders = {str(folder) for file in (*plain, *links) for folder in PurePosixPath(file).parents}
    astray = sorted(name for name, target in links.items() if not _stays(name, target, links, plain, folders))
    if astray:
        raise BadInput(
            f"{artefact} holds links that lead nowhere, or out of it",
            seen="\n".join(f"{name} -> {links[name]}" for name in astray[:5]),
            why="BUCC's own lead from ops/ into src/bosh-deployment, whose files have to come along",
            do="make the artefact anew, with BUCC's submodules; docs/reference/bucc-artefact.md says what is in one",
        )


def _stays(
    name: str, target: str, links: Mapping[str, str], files: Collection[str], folders: Collection[str]
) -> bool:
    """Tells whether a link leads to what is in the tree: through its folders, not through another link, which `..` would undo.

    Its end may be another link, that leads there.
    """
    seen = {name}
    while True:
        at = list(PurePosixPath(name).parent.parts)
        for part in PurePosixPath(target).parts:
            if str(PurePosixPath(*at)) not in folders or part == "/" or (part == ".." and not at):
                return False
            if part == "..":
                at.pop()
            else:
                at.append(part)
        name = str(PurePosixPath(*at))
        if name not in links or name in seen:
            return name in files or name in folders
        seen.add(name)
        target = links[name]


def checked(data: bytes, artefact: str = "BUCC's artefact") -> list[tuple[str, str]]:
    """Returns name and SHA-256 of every file of a manifest.

    Args:
        data: the manifest.
        artefact: how errors call what it is of.

    Raises:
        BadInput: if it is no manifest, or a name leads out of the tree.
    """
    try:
        manifest = json.loads(data)
        written_as = str(manifest["format"])
        found = [(str(name), str(entry["sha256"])) for name, entry in sorted(manifest["files"].items())]
        used = [manifest["bucc"]["tree"], manifest["stemcell"]["file"]]
        used += [release["file"] for release in manifest["releases"].values() if release.get("file")]
        told = all(isinstance(manifest["stemcell"][key], str) for key in ("name", "os", "version"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{artefact} has no manifest",
            seen=type(error).__name__,
            do="name the right file in bucc.artefact; docs/reference/bucc-artefact.md says what is in one",
        ) from error
    if written_as != FORMAT:
        raise BadInput(
            f"{artefact} is of another version",
            seen=written_as[:80],
            why=f"this paver reads {FORMAT}",
            do="make the artefact anew; docs/reference/bucc-artefact.md says what is in one",
        )
    named = {str(PurePosixPath(name)) for name, _ in found}
    lacking = [name for name in used[1:] if str(PurePosixPath(str(name))) not in named]
    if lacking or not told or _leads_out(str(used[0])):
        raise BadInput(
            f"{artefact} refers to what its manifest does not name",
            seen=", ".join(map(str, lacking or used[:1])),
            do="make the artefact anew; docs/reference/bucc-artefact.md says what is in one",
        )
    for name, digest in found:
        if _leads_out(name) or len(digest) != 64:
            raise BadInput(
                f"{artefact} names a file {name!r}", why="it leads out of the tree, or has no SHA-256"
            )
    return found


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\n" in name or "\\" in name


def _unpacked(world: Reader, at: Endpoint[Any, Any], found: record.Record) -> BuccArtefactFacts | None:
    tree = TREES / str(found.wish["sha256"])
    data = world.session(at).read_file(str(tree / "manifest.json"))
    if data is None:
        return None
    try:
        return _facts(found, tree, data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unobservable(
            f"{tree}/manifest.json on the jumpbox is not what was unpacked there",
            seen=type(error).__name__,
            why="it says what BUCC is made of there: nothing of it is run without that",
            do=f"remove {tree}: paver unpacks the artefact anew",
        ) from error


def _gone(found: record.Record) -> BuccArtefactFacts:
    """What is begun is there by its record, also where its tree is not there yet, or no more."""
    sha256 = str(found.wish["sha256"])
    return BuccArtefactFacts(
        address={"tree": str(TREES / sha256)},
        mark=found.mark,
        sha256=sha256,
        deploys=_deployed(found),
        tree="",
        stemcell_name="",
        stemcell_os="",
        stemcell_version="",
        stemcell_file="",
        bosh_dns_version="",
        bosh_dns_file="",
        minio_version="",
        minio_file="",
        registry_version="",
        registry_file="",
    )


def _facts(found: record.Record, tree: PurePosixPath, data: bytes) -> BuccArtefactFacts:
    manifest = json.loads(data)
    releases, stemcell = manifest["releases"], manifest["stemcell"]

    def of(name: str, key: str) -> str:
        value = str(releases.get(name, {}).get(key, ""))
        return str(tree / value) if key == "file" and value else value

    return BuccArtefactFacts(
        address={"tree": str(tree)},
        mark=found.mark,
        sha256=str(found.wish["sha256"]),
        deploys=_deployed(found),
        tree=str(tree / manifest["bucc"]["tree"]),
        stemcell_name=stemcell["name"],
        stemcell_os=stemcell["os"],
        stemcell_version=stemcell["version"],
        stemcell_file=str(tree / stemcell["file"]),
        bosh_dns_version=of("bosh-dns", "version"),
        bosh_dns_file=of("bosh-dns", "file"),
        minio_version=of("minio", "version"),
        minio_file=of("minio", "file"),
        registry_version=of("docker-registry", "version"),
        registry_file=of("docker-registry", "file"),
    )


def _deployed(found: record.Record) -> frozenset[str]:
    return frozenset(map(str, found.wish.get("deploys", ())))
