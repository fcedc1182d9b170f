"""What `--json` prints is what its schemas say, and the page that describes it is made from them."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest

from paver.cli import documents, parsers
from paver.image.prove import report
from paver.report import document, document_page, document_schema
from paver.runs import events
from paver.signing.canonical import Json
from tests.support.command import Command, command
from tests.support.documents import closed, held, validator

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return command(tmp_path, capsys, monkeypatch)


def nodes(node: Any, path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every key of a document with its schema."""
    if isinstance(node, list):
        for one in node:
            yield from nodes(one, path)
    if isinstance(node, dict):
        for key, value in node.get("properties", {}).items():
            yield f"{path}.{key}", value
        for key, value in node.items():
            yield from nodes(value, f"{path}.{key}")


def taking(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yields the commands that take --json."""
    for action in parser._actions:
        if "--json" in action.option_strings:
            yield parser.prog
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from taking(below)


def test_the_page_that_describes_the_documents_is_made_from_their_schemas() -> None:
    assert PAGE.read_text() == documents.page(), "run: python -m paver.cli.documents > docs/reference/json.md"


def test_every_command_that_prints_json_has_its_document_described_and_no_other() -> None:
    printed = {
        " ".join(re.findall(r"^paver|\b[a-z]+\b", one))
        for found in documents.DOCUMENTS.values()
        for one in found.printed_by
        if one.endswith(" --json")
    }
    assert {one.removesuffix(" json") for one in printed} == set(taking(parsers.whole()))


@pytest.mark.parametrize("name", sorted(documents.DOCUMENTS))
def test_a_schema_is_one_and_says_what_each_key_is_for(name: str, site: Command) -> None:
    schema = json.loads(site.fine("schema", "--of", name).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"https://iaas-paver.example/{name}/1"
    assert schema["title"] == f"paver.{name}/1"
    assert schema["description"]
    assert [path for path, node in nodes(schema) if not node.get("description")] == []
    section = site.fine("schema", "--of", name, "--markdown").out
    assert section in PAGE.read_text()


def test_the_contracts_schema_is_had_both_ways(site: Command) -> None:
    assert site.fine("schema", "--of", "contract").json == site.fine("contract", "--schema").json
    assert "| `jumpbox.host_keys` |" in site.fine("schema", "--of", "contract", "--markdown").out


def test_a_document_that_has_a_key_more_or_less_or_another_type_is_not_what_its_schema_says(
    site: Command,
) -> None:
    found = site.run("status", "--json").json
    held(found)
    wrong: list[dict[str, Any]] = [
        {**found, "more": 1},
        {**found, "pending": "four"},
        {key: value for key, value in found.items() if key != "doors"},
        {**found, "doors": [{**found["doors"][0], "colour": "red"}]},
    ]
    for one in wrong:
        with pytest.raises(jsonschema.ValidationError):
            held(one)
    jsonschema.validate(wrong[0], documents.schema("status"))


def test_plans_of_every_kind_are_what_their_schema_says(site: Command) -> None:
    assert {one["verb"] for one in site.run("plan", "--json").json["actions"]} == {"create", "update"}
    assert site.run("plan", "--offline", "--json").json["offline"] is True
    site.fine("apply", "--yes")
    site.write(dials="{loud: 4}")
    found = site.run("plan", "--json").json["actions"]
    assert [one["changes"] for one in found if one["verb"] == "update"]
    assert {one["verb"] for one in site.run("plan", "--destroy", "--json").json["actions"]} >= {"delete"}


def test_a_run_that_had_nothing_to_do_prints_the_same_keys_as_one_that_had(site: Command) -> None:
    done = site.fine("apply", "--yes", "--json").json
    nothing = site.fine("apply", "--yes", "--json").json
    assert set(done) == set(nothing)
    assert done["acted"]
    assert Path(done["folder"]).is_dir()
    assert (nothing["acted"], nothing["folder"], nothing["head"]) == ([], None, "")


def test_every_line_of_an_event_is_what_its_schema_says(site: Command) -> None:
    told = {}
    for argv in (("apply", "--yes"), ("follow", "--last")):
        lines = site.fine(*argv, "--progress", "events").out.splitlines()
        told[argv] = [line for line in lines if line.startswith(events.PREFIX)]
    assert told["apply", "--yes"] == told["follow", "--last"]
    found = [json.loads(line.removeprefix(events.PREFIX)) for line in told["follow", "--last"]]
    assert {one["what"] for one in found} >= {"begun", "done"}
    for one in found:
        validator("event").validate(one)


def test_a_proof_of_an_image_is_what_its_schema_says() -> None:
    lines = (
        report.Line("boot", "it boots", holds=True, seen="login:"),
        report.not_asked("boot", "UEFI", "no one"),
    )
    proof = report.Report(
        image="a.ova",
        sha256="00",
        version="1",
        runs_by="QEMU",
        sections=(report.Section(name="bios-nocloud", how="by BIOS", seconds={"boot": 9}, lines=lines),),
    )
    told = held(json.loads(json.dumps(document.named(report.SCHEMA, proof))))
    assert (told["schema"], told["holds"]) == ("paver.image-proof/1", True)
    assert told["not_asked"] == ["bios-nocloud: UEFI"]


@dataclasses.dataclass(frozen=True)
class _Inner:
    """One inner thing.

    Attributes:
        pair: two of them, which
            goes on here.
    """

    pair: tuple[int, str]


@dataclasses.dataclass(frozen=True)
class _Outer(_Inner):
    """An outer thing.

    Attributes:
        when: at which moment.
    """

    ALSO: ClassVar = ("also",)

    when: dt.datetime
    free: Json
    inner: Mapping[str, _Inner | None]

    @property
    def also(self) -> bool:
        """Whether it is.

        What else is said is not of the document.
        """
        return True


@dataclasses.dataclass(frozen=True)
class _Wrong:
    """It has a set, whose order is nobody's."""

    names: frozenset[str]


def test_a_schema_and_its_table_come_from_types_docstrings_and_properties() -> None:
    schema = document_schema.schema("paver.outer/1", _Outer)
    assert list(document_page.table(schema))[2:] == [
        "| `schema` | `paver.outer/1` | The document's format. |",
        "| `pair` | list of 2: whole number or text | Two of them, which goes on here. |",
        "| `when` | text | At which moment. |",
        "| `free` | any JSON |  |",
        "| `inner` | map: object or null |  |",
        "| `inner.<name>.pair` | list of 2: whole number or text | Two of them, which goes on here. |",
        "| `also` | true or false | Whether it is. |",
    ]
    thing = _Outer(
        (1, "a"), dt.datetime(2026, 11, 29, tzinfo=dt.UTC), {"a": [1]}, {"x": _Inner((2, "b")), "y": None}
    )
    told = json.loads(json.dumps(document.named("paver.outer/1", thing)))
    assert told["when"] == "2026-11-29T00:00:00+00:00"
    jsonschema.validate(told, closed(schema))


def test_what_has_no_place_in_a_document_gets_no_schema() -> None:
    with pytest.raises(TypeError, match=re.escape("frozenset[str] has no place in a document")):
        document_schema.schema("paver.wrong/1", _Wrong)
