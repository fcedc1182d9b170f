"""BUCC's artefact is believed only as far as its manifest goes, and the manifest only as far as it can be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from paver.driver import BadInput, Endpoint, Mark, PaverError, ResourceId
from paver.engine.diff import changes
from paver.foundation import record
from paver.foundation.bucc.artefact import FORMAT, MOST_MANIFEST_BYTES, TREES, BuccArtefact, checked
from paver.transport.machine import CommandError, Ran

DIGEST = "0" * 64


def manifest(**changed: Any) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "files": {"bucc/bin/bucc": {"sha256": DIGEST}, "stemcell.tgz": {"sha256": DIGEST}},
        "bucc": {"tree": "bucc"},
        "stemcell": {"name": "noble", "os": "ubuntu-noble", "version": "1.10", "file": "stemcell.tgz"},
        "releases": {},
        **changed,
    }


def data(**changed: Any) -> bytes:
    return json.dumps(manifest(**changed)).encode()


def test_a_whole_manifest_names_every_file() -> None:
    assert checked(data()) == [("bucc/bin/bucc", DIGEST), ("stemcell.tgz", DIGEST)]


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "a/../../b", "a\nb", "a\\b"])
def test_a_name_that_leads_out_is_refused_wherever_it_stands(name: str) -> None:
    files = {**manifest()["files"], name: {"sha256": DIGEST}}
    with pytest.raises(BadInput, match="names a file"):
        checked(data(files=files))
    for changed in (
        {"bucc": {"tree": name}},
        {"stemcell": {**manifest()["stemcell"], "file": name}},
        {"releases": {"minio": {"file": name, "version": "1"}}},
    ):
        with pytest.raises(BadInput, match="refers to what its manifest does not name"):
            checked(data(**changed))


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda e: st.lists(e) | st.dictionaries(st.text(), e))
)
def test_what_is_no_manifest_is_bad_input_and_nothing_else(document: Any) -> None:
    with pytest.raises(BadInput):
        checked(json.dumps(document).encode())


NGINX = "54b1763048cce7bf0b87bc9a449e01452bc8025376122b7d7159c59b62626376"
REGISTRY = f"name: docker-registry\nversion: 3.5.2\npackages: [{{name: nginx, fingerprint: {NGINX}}}]\n"
STEMCELL = "name: noble\nversion: 1.10\noperating_system: ubuntu-noble\nsha1: x\n"


class Machine:
    """A jumpbox on which an artefact was unpacked: `files` are its regular ones, `others` by type and target the rest."""

    def __init__(
        self,
        files: list[str],
        size: int,
        kind: str = "file",
        stemcell: str = STEMCELL,
        others: Mapping[str, tuple[str, str]] = MappingProxyType({}),
        registry: str = "",
        bosh: str = "version 7.4.0-0a1b2c3",
    ) -> None:
        self.there = {**dict.fromkeys(files, ("f", "")), **others}
        self.stemcell = stemcell
        self.registry = registry
        self.bosh = bosh
        self.kind = kind
        self.size = size
        self.ran: list[str] = []
        self.owners: dict[str, str] = {}

    def remove(self, *_: object, **__: object) -> None:
        pass

    def mkdir(self, path: str, _: int, owner: str) -> None:
        self.owners[path] = owner

    def run(self, argv: list[str], **_: object) -> Any:
        if argv[-1] == "*stemcell.MF":
            return SimpleNamespace(out=self.stemcell.encode())
        if argv[-1] == "*release.MF":
            return SimpleNamespace(out=self.registry.encode())
        self.ran.append(argv[0].rpartition("/")[2])
        return SimpleNamespace(ok=bool(self.bosh), out=f"{self.bosh}\n\nSucceeded\n".encode())

    def stat(self, _: str) -> Any:
        return SimpleNamespace(kind=self.kind, size=self.size)

    def read_file(self, path: str) -> bytes:
        if path.endswith("/bucc/.versions"):
            return b"credhub=2.9.0\nbosh=7.4.0\n"
        assert self.size <= MOST_MANIFEST_BYTES, "read into memory"
        assert self.kind == "file", "followed"
        if not self.registry:
            return data()
        told = yaml.load(self.registry, Loader=yaml.BaseLoader)  # noqa: S506 (it makes text, lists and maps only)
        release = {"version": told["version"], "file": "registry.tgz"}
        files = {**manifest()["files"], "registry.tgz": {"sha256": DIGEST}}
        stemcell = yaml.load(self.stemcell, Loader=yaml.BaseLoader)  # noqa: S506
        kept = {**manifest()["stemcell"], "os": stemcell["operating_system"]}
        return data(files=files, releases={"docker-registry": release}, stemcell=kept)

    def probe(self, *_: object, **__: object) -> Any:
        lines = (f"{kind}\0{name}\0{target}\0" for name, (kind, target) in self.there.items())
        return SimpleNamespace(ok=True, out="".join(lines).encode())


def wished(deploys: frozenset[str] = frozenset()) -> BuccArtefact:
    return BuccArtefact(
        id=ResourceId("bucc.artefact:bucc"),
        at=Endpoint("machine:jumpbox"),
        phase="bucc",
        sha256=DIGEST,
        source="/bucc.tar",
        deploys=deploys,
    )


def unpack(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, deploys: frozenset[str] = frozenset()
) -> list[str]:
    monkeypatch.setattr(record, "write", lambda *_, **__: None)
    world: Any = SimpleNamespace(writing=lambda _: machine, report=lambda *_: None)
    wished(deploys).create(world)
    return machine.ran


LISTED = ["manifest.json", "bucc/bin/bucc", "stemcell.tgz"]


def test_a_tree_with_just_what_its_manifest_names_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unpack(Machine(LISTED, 100), monkeypatch) == ["tar", "sha256sum", "bosh", "mv"]


def test_a_tar_that_cannot_be_unpacked_is_named_with_what_tar_says_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    says = b"tar: This does not look like a tar archive\n"

    def run(self: Machine, argv: list[str], **_: object) -> Any:
        self.ran.append(argv[0])
        raise CommandError("jumpbox", Ran(tuple(argv), 2, b"", says))

    monkeypatch.setattr(Machine, "run", run)
    machine = Machine(LISTED, 100)
    with pytest.raises(PaverError) as failed:
        unpack(machine, monkeypatch)
    assert failed.value.what == "BUCC's artefact bucc.tar can't be unpacked on the jumpbox"
    assert failed.value.seen == "/bucc.tar\ntar: This does not look like a tar archive"
    assert "paver preflight" in failed.value.do
    assert machine.ran == ["tar"]


def test_the_folder_in_which_a_tree_is_moved_is_the_accounts_own(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(LISTED, 100)
    unpack(machine, monkeypatch)
    assert machine.owners[str(TREES)] == "paver:paver"


def test_a_file_that_the_manifest_does_not_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine([*LISTED, "bucc/ops/extra.yml"], 100)
    with pytest.raises(BadInput, match="does not name") as refused:
        unpack(machine, monkeypatch)
    assert refused.value.seen == "bucc/ops/extra.yml"
    assert "mv" not in machine.ran


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("bucc/ops/2-uaa.yml", "../bin/bucc"),
        ("bucc/ops/cpis/vsphere/0-cpi.yml", "../../../bin/bucc"),
        ("bucc/ops/google", "../bin"),
        ("link", "stemcell.tgz"),
        ("link", "bucc/bin/another"),
    ],
)
def test_links_into_the_tree_are_taken_as_bucc_has_them(
    monkeypatch: pytest.MonkeyPatch, name: str, target: str
) -> None:
    machine = Machine(LISTED, 100, others={"bucc/bin/another": ("l", "bucc"), name: ("l", target)})
    assert unpack(machine, monkeypatch) == ["tar", "sha256sum", "bosh", "mv"]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("bucc/ops/2-uaa.yml", "../src/bosh-deployment/uaa.yml"),
        ("bucc/ops/2-uaa.yml", "../../../other/manifest.json"),
        ("bucc/ops/2-uaa.yml", "/etc/passwd"),
        ("bucc/ops/2-uaa.yml", "../bin/folder/../../../stemcell.tgz"),
        ("bucc/bin/itself", "itself/../../stemcell.tgz"),
        ("bucc/bin/itself", "itself"),
        ("bucc/ops/2-uaa.yml", "../bin/bucc/../bucc"),
        ("bucc/ops/2-uaa.yml", "nowhere/../../bin/bucc"),
    ],
)
def test_a_link_that_leads_nowhere_or_out_of_the_tree_is_refused_before_it_is_followed(
    monkeypatch: pytest.MonkeyPatch, name: str, target: str
) -> None:
    machine = Machine(LISTED, 100, others={"bucc/bin/folder": ("l", "."), name: ("l", target)})
    with pytest.raises(BadInput, match="links that lead nowhere, or out of it") as refused:
        unpack(machine, monkeypatch)
    assert refused.value.seen == f"{name} -> {target}"
    assert machine.ran == ["tar"]


def test_links_that_lead_to_one_another_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(LISTED, 100, others={"a": ("l", "b"), "b": ("l", "a")})
    with pytest.raises(BadInput, match="links that lead nowhere") as refused:
        unpack(machine, monkeypatch)
    assert refused.value.seen == "a -> b\nb -> a"


@pytest.mark.parametrize("kind", ["p", "s", "c", "b"])
def test_what_is_neither_file_nor_link_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    files = [name for name in LISTED if name != "bucc/bin/bucc"]
    machine = Machine(files, 100, others={"bucc/bin/bucc": (kind, "")})
    with pytest.raises(BadInput, match="does not name"):
        unpack(machine, monkeypatch)
    assert machine.ran == ["tar"]


def test_a_manifest_of_4_gb_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="no manifest"):
        unpack(Machine(LISTED, 2**32), monkeypatch)


@pytest.mark.parametrize("kind", ["link", "directory", "other"])
def test_a_link_in_place_of_the_manifest_is_not_followed(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    machine = Machine(LISTED, 100, kind)
    with pytest.raises(BadInput, match="no manifest"):
        unpack(machine, monkeypatch)
    assert machine.ran == ["tar"]


@pytest.mark.parametrize(
    ("stemcell", "seen"),
    [
        (
            STEMCELL.replace("1.10", "1.1"),
            "stemcell.MF: name noble, version 1.1, operating_system ubuntu-noble",
        ),
        (STEMCELL.replace("noble", "noble-go_agent", 1), "stemcell.MF: name noble-go_agent, version 1.10"),
        ("", "stemcell.MF: not to be read"),
        ("[", "stemcell.MF: not to be read"),
    ],
)
def test_a_stemcell_that_is_not_what_the_manifest_says_is_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, stemcell: str, seen: str
) -> None:
    machine = Machine(LISTED, 100, stemcell=stemcell)
    with pytest.raises(BadInput, match="is not what its manifest says") as refused:
        unpack(machine, monkeypatch)
    assert seen in refused.value.seen
    assert "mv" not in machine.ran


WITH_REGISTRY = [*LISTED, "registry.tgz"]
REGISTRIES = frozenset({"docker-registry"})


@pytest.mark.parametrize("system", ["ubuntu-bionic", "ubuntu-jammy", "ubuntu-noble"])
def test_a_registry_that_cannot_be_compiled_on_the_stemcell_is_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    stemcell = STEMCELL.replace("ubuntu-noble", system)
    machine = Machine(WITH_REGISTRY, 100, stemcell=stemcell, registry=REGISTRY)
    with pytest.raises(BadInput, match=r"docker-registry/3\.5\.2 .* cannot be compiled on its") as refused:
        unpack(machine, monkeypatch, REGISTRIES)
    assert system in refused.value.seen
    assert "nginx" in refused.value.why
    assert "docs/reference/bucc-artefact.md" in refused.value.do
    assert "mv" not in machine.ran


@pytest.mark.parametrize(
    ("system", "registry", "deploys"),
    [
        ("ubuntu-xenial", REGISTRY, REGISTRIES),
        ("ubuntu-noble", REGISTRY.replace("packages", "compiled_packages"), REGISTRIES),
        ("ubuntu-noble", REGISTRY.replace(NGINX, "0" * 64), REGISTRIES),
        ("ubuntu-noble", REGISTRY.replace("[{", "[x, {").replace(NGINX, "0" * 64), REGISTRIES),
        ("ubuntu-noble", REGISTRY, frozenset({"minio"})),
    ],
)
def test_a_registry_whose_stemcell_is_old_that_is_compiled_made_anew_or_not_deployed_is_taken(
    monkeypatch: pytest.MonkeyPatch, system: str, registry: str, deploys: frozenset[str]
) -> None:
    stemcell = STEMCELL.replace("ubuntu-noble", system)
    machine = Machine(WITH_REGISTRY, 100, stemcell=stemcell, registry=registry)
    assert unpack(machine, monkeypatch, deploys)[-1] == "mv"


def test_a_registry_that_was_external_until_now_is_looked_at_once_the_site_deploys_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine, noted = Machine(WITH_REGISTRY, 100, registry=REGISTRY), []
    mark = Mark("north", ResourceId("bucc.artefact:bucc"), "a" * 64, complete=True)
    kept = record.Record(mark, {"sha256": DIGEST, "source": "/bucc.tar", "deploys": ["minio"]})
    monkeypatch.setattr(record, "read", lambda *_: kept)
    monkeypatch.setattr(record, "write", lambda *_, complete: noted.append(complete))
    world: Any = SimpleNamespace(writing=lambda _: machine, session=lambda _: machine, report=lambda *_: None)
    both = wished(frozenset({"minio"}) | REGISTRIES)
    found: Any = both.read(world)
    [change] = changes(both, found, lambda _: None)
    assert (change.field, change.before, change.after) == ("deploys", ["minio"], ["docker-registry", "minio"])
    with pytest.raises(BadInput, match=r"docker-registry/3\.5\.2 .* cannot be compiled on its"):
        both.update(world, found, frozenset({"deploys"}))
    assert not noted
    machine.registry = REGISTRY.replace(NGINX, "0" * 64)
    both.update(world, found, frozenset({"deploys"}))
    assert noted == [True]


@pytest.mark.parametrize(
    ("bosh", "seen"), [("version 6.4.1-35ce8438", "version 6.4.1-35ce8438"), ("", "it cannot be run")]
)
def test_an_artefact_whose_bucc_would_fetch_another_cli_is_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, bosh: str, seen: str
) -> None:
    machine = Machine(LISTED, 100, bosh=bosh)
    with pytest.raises(BadInput, match="another bosh CLI than its BUCC asks for") as refused:
        unpack(machine, monkeypatch)
    assert refused.value.seen == f".versions: bosh=7.4.0\nbin/bosh: {seen}"
    assert "mv" not in machine.ran
