"""`--json`: one document, whatever happens, and it names its format."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from paver.cli import parsers
from tests.support.command import Command


@pytest.mark.parametrize(
    ("argv", "code", "what"),
    [
        (("validate", "-s", "none.yml"), 3, "the site file none.yml can't be read"),
        (("plan", "-s", "none.yml"), 3, "the site file none.yml can't be read"),
        (("plan", "--phase", "roofs"), 3, "there is no phase roofs"),
        (("apply", "none.plan"), 3, "the plan none.plan can't be read"),
        (("apply",), 4, "nobody is there to confirm the plan"),
        (("destroy", "--phase", "roofs"), 3, "there is no phase roofs"),
        (("status", "-s", "none.yml"), 3, "the site file none.yml can't be read"),
        (("verify", "--only", "memory.box:none"), 3, "nothing is selected by memory.box:none"),
        (("preflight", "--key", "file:none.key"), 3, "there is no key file"),
        (("ports", "-s", "none.yml"), 3, "the site file none.yml can't be read"),
        (("env", "bsh"), 3, "paver knows no tool bsh"),
        (("secrets", "list", "-s", "none.yml"), 3, "the site file none.yml can't be read"),
        (("lab", "status", "--dir", "none"), 1, "no lab is up in"),
        (("image", "verify", "none.ova"), 3, "none.ova"),
        (("image", "diff", "none.ova", "none.ova"), 3, "none.ova"),
        (("image", "prove", "none.ova"), 3, "none.ova"),
        (("secrets",), 3, "paver secrets: unrecognized arguments: --json"),
        (("drivers", "--cals"), 3, "paver drivers: unrecognized arguments: --cals"),
        (("version", "--jsn"), 3, "paver version: unrecognized arguments: --jsn"),
        (("versio",), 3, "paver has no command 'versio'"),
    ],
)
def test_whoever_asks_for_json_gets_one_document_of_an_error_too(
    site: Command, argv: tuple[str, ...], code: int, what: str
) -> None:
    ran = site.run(*argv, "--json")
    assert ran.code == code, ran
    found = ran.json
    assert (found["schema"], found["exit"]) == ("paver.error/1", code)
    assert what in found["what"]
    assert f"error: {found['what']}" in ran.err, "people are told as ever"


def test_the_list_above_leaves_out_no_verb_that_prints_json() -> None:
    (listed,) = (
        mark.args[1]
        for mark in test_whoever_asks_for_json_gets_one_document_of_an_error_too.pytestmark  # type: ignore[attr-defined]
    )
    named = {argv[: len(verb)] for argv, _, _ in listed for verb in _with_json(parsers.whole(), ())}
    assert set(_with_json(parsers.whole(), ())) <= named


def test_every_json_document_names_its_format(site: Command) -> None:
    for argv in (
        ("version",),
        ("drivers",),
        ("validate",),
        ("ports",),
        ("status", "--quick"),
        ("secrets", "list"),
    ):
        assert site.fine(*argv, "--json").json["schema"] == f"paver.{argv[0]}/1"


@pytest.mark.parametrize("state", ["bare", "paved", "drifted", "store broken", "file broken"])
def test_however_a_site_stands_every_verb_has_one_document_of_it(site: Command, state: str) -> None:
    if state in {"paved", "drifted"}:
        site.fine("apply", "--yes")
    if state == "drifted":
        site.put("left", {"one": 7})
    if state == "store broken":
        (site.folder / "lab-north.sealed").write_text("not one")
    if state == "file broken":
        site.site.write_text("paver: 1\nname: [\n")
    for verb in _with_json(parsers.whole(), (), "--site"):
        ran = site.run(*verb, "--json", *(["--yes"] if verb[0] in {"apply", "destroy"} else []))
        assert ran.json["schema"].startswith("paver."), verb


def _with_json(
    parser: argparse.ArgumentParser, verb: tuple[str, ...], beside: str = "--help"
) -> Iterator[tuple[str, ...]]:
    """Yields the verbs that take --json, and another option beside it."""
    for action in parser._actions:
        if "--json" in action.option_strings and beside in parser._option_string_actions:
            yield verb
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from _with_json(below, (*verb, name), beside)


def test_an_error_of_the_site_file_names_each_place_also_as_json(site: Command) -> None:
    site.site.write_text(site.site.read_text().replace("gateway: 10.30.0.1,", "gateway: 10.31.0.1,"))
    assert "site.yml:11:39: networks.bosh.gateway" in site.run("plan", "--json").json["seen"]
