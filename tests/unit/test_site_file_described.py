"""Schema, reference and the file to start from say what the models say."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from paver.drivers.vsphere import check, settings
from paver.sitefile import init, load, parse, reference, schema, tree
from paver.sitefile.diagnostic import Diagnostic, SiteErrors
from paver.sitefile.site import Site

ROOT = pathlib.Path(__file__).parents[2]
GOOD = (ROOT / "tests" / "cases" / "sitefile" / "good" / "lab-north.yml").read_text()


@dataclasses.dataclass(frozen=True)
class Vsphere:
    name: str = "vsphere"
    settings: type[BaseModel] = settings.Settings

    def check(self, site: Site) -> Iterable[Diagnostic]:
        return check.check(site)


DRIVERS = {"vsphere": Vsphere()}
SCHEMA = schema.schema(DRIVERS)
STARTER = init.init_text(Vsphere(), "lab-north")


def plain(text: str) -> Any:
    root = parse.parse(text, "site.yml").root
    assert root is not None
    return tree.plain(root)


def loaded(text: str) -> Site:
    return load.loads(text, DRIVERS, file="site.yml", folder=pathlib.Path("/site"))


def every_field() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, node in schema.sections(SCHEMA, SCHEMA, ""):
        for key, value in schema.properties(node).items():
            yield f"{path}.{key}", value


def test_the_schema_is_a_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    json.dumps(SCHEMA)


@pytest.mark.parametrize("text", [GOOD, STARTER], ids=["example", "starter"])
def test_the_schema_takes_what_loads(text: str) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(plain(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("paver: 1", "paver: 2"),
        ("driver: vsphere", "driver: other"),
        ("vlan: 30", "vlan: 5000"),
        ("size: tiny", "sise: tiny"),
        ("login: secret:esx-root", "login: hunter2"),
        ("like: esx-01, ", ""),
        ("lock: 30d", "lock: 30"),
        ("address: 10.20.0.20", "address: vcsa"),
    ],
)
def test_the_schema_refuses_what_an_editor_should_underline(old: str, new: str) -> None:
    assert old in GOOD
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(plain(GOOD.replace(old, new, 1)))


def test_every_field_says_what_it_is_for() -> None:
    fields = list(every_field())
    assert len(fields) > 100
    assert [path for path, node in fields if not schema.description(node, SCHEMA)] == []


def test_every_reference_to_a_secret_has_a_name_that_is_masked() -> None:
    """Excerpts are masked by the keys' names, so a new field for a secret must have one of them."""
    for path, node in every_field():
        if "reference to a secret" in schema.type_name(node, SCHEMA):
            key = path.strip(".").replace("<name>", "x")
            text = "".join("  " * depth + f"{part}:\n" for depth, part in enumerate(key.split(".")))
            text = text.rstrip("\n") + " hunter2\n"
            source = parse.parse(text, "site.yml")
            assert "hunter2" not in "\n".join(source.at(tuple(key.split(".")), "x").lines()), path


def test_the_reference_in_the_docs_is_the_models_own() -> None:
    """Written by: paver schema --markdown > docs/reference/site-file.md."""
    assert (ROOT / "docs" / "reference" / "site-file.md").read_text() == reference.reference(DRIVERS)


def test_the_reference_names_every_field() -> None:
    text = reference.reference(DRIVERS)
    assert [path for path, _ in every_field() if f"`{path.rsplit('.', 1)[-1]}`" not in text] == []


def test_the_starter_loads_and_warns_of_what_nobody_filled_in() -> None:
    site = loaded(STARTER)
    assert site.name == "lab-north"
    assert {warning.path for warning in site.warnings} == {
        "iaas.hosts.esx-01.fingerprint",
        "iaas.hosts.esx-02.fingerprint",
        "iaas.vcenter.installer.iso",
        "jumpbox.ssh_keys[0]",
    }


def test_the_starter_is_the_example_but_for_the_pins_and_keys() -> None:
    mine, theirs = loaded(STARTER).normalised(), loaded(GOOD).normalised()
    for site in (mine, theirs):
        for host in site["iaas"]["hosts"].values():  # type: ignore[index]
            del host["fingerprint"]
        del site["jumpbox"]["ssh_keys"]  # type: ignore[attr-defined]
        del site["trust"]["extra_roots"]  # type: ignore[attr-defined]
        del site["iaas"]["vcenter"]["installer"]["sha256"]  # type: ignore[index]
    assert mine == theirs


def test_no_comment_of_the_starter_is_wider_than_explanations_are() -> None:
    comments = [line for line in STARTER.splitlines() if line.lstrip().startswith("# ")]
    assert [line for line in comments if len(line) > init._WIDTH + len("# ")] == []


def test_the_defaults_that_the_starter_shows_are_the_defaults() -> None:
    """Every `#key: default` taken at its word changes nothing."""
    lines = [line for line in STARTER.splitlines() if not re.search(r"#[a-z_]+: <.*>$", line)]
    written_out = "\n".join(re.sub(r"^( *)#([a-z_]+:)", r"\1\2", line) for line in lines)
    assert written_out.count("#") < STARTER.count("#")
    assert loaded(written_out).digest() == loaded(STARTER).digest()


def test_the_key_of_the_store_is_named_by_changing_one_line_of_the_starter() -> None:
    """Root alone can write where it is by default."""
    changed = STARTER.replace("key: file:/etc/paver/site.key", "key: file:mine.key")
    assert loaded(changed).secrets.key == "file:mine.key"


def test_the_starter_shows_every_field() -> None:
    inside_external = re.compile(r"\.(external|users\.<name>|login)\.")
    for path, _ in every_field():
        if not inside_external.search(path):
            assert re.search(rf"^ *#?{path.rsplit('.', 1)[-1]}:", STARTER, re.MULTILINE), path


@pytest.mark.parametrize(("name", "zone"), [("ridge", "ridge"), ("lab-north", "north"), ("4711", "4711")])
def test_zone_and_datacenter_of_a_starter_are_called_as_the_site(name: str, zone: str) -> None:
    site = loaded(init.init_text(Vsphere(), name))
    assert (site.name, site.zone) == (name, f"{zone}.example")
    assert isinstance(site.iaas, settings.Settings)
    assert site.iaas.inventory.datacenter == zone
    assert site.iaas.vcenter.fqdn == f"vcsa.{zone}.example"


def test_a_starter_with_a_name_that_is_none_says_so() -> None:
    with pytest.raises(SiteErrors):
        loaded(init.init_text(Vsphere(), "Lab North"))
