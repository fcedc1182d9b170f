"""BUCC's artefact, unpacked on the jumpbox: every file checked against the manifest, at use."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any, ClassVar

from paver.driver import BadInput, Check, Endpoint, Facts, Reader, Resource, Verb, Writer
from paver.foundation import record

TREES = PurePosixPath("/var/lib/paver/bucc/trees")
FORMAT = "paver.bucc-artefact/1"
MOST_MANIFEST_BYTES = 4 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArtefactFacts(Facts):
    """What the artefact holds; paths are absolute, on the jumpbox."""

    sha256: str
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
class Artefact(Resource[ArtefactFacts]):
    """The unpacked tree.

    Attributes:
        sha256: of the artefact.
        source: the artefact's file on the jumpbox.
    """

    kind: ClassVar[str] = "bucc.artefact"
    calls: ClassVar = {
        Verb.CREATE: record.CALLS | {"file:remove", "run:tar", "run:sha256sum", "run:mv"},
        Verb.DELETE: record.REMOVE,
    }
    replaces: ClassVar[frozenset[str]] = frozenset({"sha256"})
    unmanaged: ClassVar[frozenset[str]] = frozenset({"source"})

    sha256: str
    source: str

    def says(self) -> str:
        return "unpack and check every file"

    def read(self, world: Reader) -> ArtefactFacts | None:
        found = record.read(world, self.at, self.id)
        if found is None:
            return None
        tree = TREES / str(found.wish["sha256"])
        data = world.session(self.at).read_file(str(tree / "manifest.json"))
        return None if data is None else _facts(found, tree, data)

    def create(self, world: Writer) -> None:
        machine = world.writing(self.at)
        tree = TREES / self.sha256
        draft = TREES / f".{self.sha256}"
        record.write(world, self.at, self.id, self.wish(), complete=False)
        machine.remove(str(draft), recursive=True)
        machine.remove(str(tree), recursive=True)
        machine.mkdir(str(draft), 0o755, "paver:paver")
        world.report("Unpacking")
        machine.run(["tar", "--extract", "--no-same-owner", "--file", self.source, "--directory", str(draft)])
        data = machine.read_file(str(draft / "manifest.json"))
        lines = "".join(f"{digest}  {draft / name}\n" for name, digest in checked(data or b""))
        world.report("Checking every file")
        machine.run(["sha256sum", "--check", "--quiet", "--strict", "-"], input=lines.encode())
        machine.run(["mv", "--no-target-directory", str(draft), str(tree)])
        record.write(world, self.at, self.id, self.wish(), complete=True)

    def checks(self, world: Reader, facts: ArtefactFacts) -> Iterable[Check]:
        there = world.session(self.at).exists(f"{facts.tree}/bin/bucc")
        yield Check("the tree has bin/bucc", there, facts.tree)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[ArtefactFacts]:
        for found in record.every(world, at, cls.kind):
            tree = TREES / str(found.wish["sha256"])
            data = world.session(at).read_file(str(tree / "manifest.json"))
            if data is not None:
                yield _facts(found, tree, data)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: ArtefactFacts) -> None:
        world.writing(at).remove(facts.address["tree"], recursive=True)
        if facts.mark is not None:
            record.remove(world, at, facts.mark.id)


def checked(data: bytes) -> list[tuple[str, str]]:
    """Returns name and SHA-256 of every file of a manifest.

    Raises:
        BadInput: if it is no manifest, or a name leads out of the tree.
    """
    if len(data) > MOST_MANIFEST_BYTES:
        raise BadInput("BUCC's artefact has a manifest of more than 4 MiB", why="it is no manifest of ours")
    try:
        files = json.loads(data)["files"]
        found = [(str(name), str(entry["sha256"])) for name, entry in sorted(files.items())]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            "BUCC's artefact has no manifest",
            seen=type(error).__name__,
            do="make it with `paver bucc prepare`, or name the right file in bucc.artefact",
        ) from error
    for name, digest in found:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\n" in name or "\\" in name or len(digest) != 64:
            raise BadInput(
                f"BUCC's artefact names a file {name!r}", why="it leads out of the tree, or has no SHA-256"
            )
    return found


def _facts(found: record.Record, tree: PurePosixPath, data: bytes) -> ArtefactFacts:
    manifest = json.loads(data)
    releases, stemcell = manifest["releases"], manifest["stemcell"]

    def of(name: str, key: str) -> str:
        value = str(releases.get(name, {}).get(key, ""))
        return str(tree / value) if key == "file" and value else value

    return ArtefactFacts(
        address={"tree": str(tree)},
        mark=found.mark,
        sha256=str(found.wish["sha256"]),
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
