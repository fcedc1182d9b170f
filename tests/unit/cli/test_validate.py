"""`paver validate`, and what is said of a site file by whatever reads it."""

from __future__ import annotations

import io
import re
import sys

import pytest

from paver.sitefile.diagnostic import UNSEEN
from tests.support.command import Command
from tests.unit.test_foundation_yaml_text import BOMB


def test_a_site_that_is_right_is_told_in_one_line(site: Command) -> None:
    ran = site.fine("validate")
    assert ran.out.startswith("ok: site.yml: site lab-north · driver memory · 2 networks")


def test_what_is_wrong_is_told_with_file_line_column_and_path(site: Command) -> None:
    site.site.write_text(site.site.read_text().replace("gateway: 10.30.0.1,", "gateway: 10.31.0.1,"))
    ran = site.run("validate")
    assert ran.code == 3
    assert re.search(r"error: site\.yml:\d+:\d+: networks\.bosh\.gateway", ran.err)
    assert ran.err.rstrip().endswith("exit  3")
    found = site.run("validate", "--json")
    assert found.code == 3
    assert found.json["ok"] is False
    assert found.json["findings"][0]["path"] == "networks.bosh.gateway"


def test_what_sections_say_of_each_other_is_told_as_far_as_they_are_right_and_that_there_may_be_more(
    site: Command,
) -> None:
    right = site.site.read_text()
    between = right.replace("address: 10.30.0.12", "address: 10.30.0.11").replace(
        "address: 10.30.0.10, az: z1", "address: 10.30.0.10, az: z9"
    )

    def told(text: str) -> tuple[set[str], bool, bool]:
        site.site.write_text(text)
        found = site.run("validate", "--json").json
        return {one["path"] for one in found["findings"]}, found["whole"], UNSEEN in site.run("validate").err

    both = {"bucc.az", "services.registry.address"}
    assert told(between) == (both, True, False)
    wrong = between.replace("colour: grey", "colour: [grey]")
    assert told(wrong) == ({"iaas.colour", *both}, False, True)
    unread = wrong.replace("zone: north.example", "zone: 7")
    assert told(unread) == ({"iaas.colour", "site_services.zone"}, False, True), (
        "nothing that follows from it"
    )
    assert told(right) == (set(), True, False)


@pytest.mark.parametrize("width", [40, 60, 200])
def test_on_a_terminal_the_line_that_is_wrong_is_cut_around_what_is_underlined(
    site: Command, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    long = "az: z1, reserved: [10.30.0.1], static: [10.30.0.10-10.31.0.30]"
    text = re.sub(r"az: z1, reserved.*?\],\s*static: \[.*?\]", long, site.site.read_text(), flags=re.DOTALL)
    site.site.write_text(text)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    lines = site.run("validate").err.splitlines()
    excerpt, under = (next(line for line in lines if re.match(sign, line)) for sign in (r" +\d+ \|", r" +\|"))
    start = under.index("^")
    assert excerpt[start : under.rindex("^") + 1] == "10.30.0.10-10.31.0.30"
    assert [line for line in lines if len(line) > width] == []


def test_validating_as_json_tells_the_digest(site: Command) -> None:
    found = site.fine("validate", "--json").json
    assert found["ok"] is True
    assert re.fullmatch(r"[0-9a-f]{64}", found["site"]["digest"])


def test_a_missing_site_file_is_bad_input(site: Command) -> None:
    ran = site.run("plan", "--site", "none.yml")
    assert ran.code == 3
    assert "name it with --site or PAVER_SITE, or let `paver init` write one" in ran.err


def test_a_password_that_vcenter_would_refuse_is_named_before_anything_is_planned(whole: Command) -> None:
    # Put in before the site file had a use for it: nobody could know what it is for.
    whole.patch.setattr(sys, "stdin", io.StringIO("correct-horse"))
    whole.fine("secrets", "set", "mine")
    text = whole.site.read_text()
    assert "\n    fqdn: " in text
    whole.site.write_text(text.replace("\n    fqdn: ", "\n    passwords: {root: secret:mine}\n    fqdn: "))
    found = whole.run("preflight", "--json")
    assert found.code == 3
    (told,) = [one for one in found.json["findings"] if one["check"] == "mine"]
    assert (told["grade"], told["wanted"], told["do"]) == (
        "input",
        "policy vcenter",
        "paver secrets set mine",
    )
    assert "no upper-case letter" in told["seen"]
    assert "correct-horse" not in found.out + found.err


@pytest.mark.parametrize(
    ("section", "content", "what"),
    [
        ("trust: {extra_roots: [own]}", None, "own, which the site file names, can't be read"),
        ("trust: {extra_roots: [own]}", "Größe", "own has no certificate"),
        ("trust: {extra_roots: [own]}", b"\xff\xfe", "own is not text in UTF-8"),
        ("operators", None, "own, which the site file names, can't be read"),
        ("operators", "a: map", "own holds no operations"),
        ("pipeline", "jobs: [", "own is no YAML"),
        ("pipeline", "- jobs", "own is no pipeline"),
        ("pipeline", "jobs: []\njobs: []", "own is no YAML"),
        ("pipeline", "[" * 100_000, "own is no YAML"),
        ("pipeline", "&a [" * 40 + "]" * 40 + "\n", "own is no pipeline"),
        ("pipeline", BOMB, "own is no YAML"),
    ],
)
def test_a_file_that_the_site_file_names_and_is_wrong_is_bad_input_in_every_verb(
    whole: Command, section: str, content: str | bytes | None, what: str
) -> None:
    text = whole.site.read_text()
    assert text.count("\n  artefact: ") == text.count("\nservices:\n") == 1
    if section == "operators":
        text = text.replace("\n  artefact: ", "\n  operators: [own]\n  artefact: ")
    elif section == "pipeline":
        pipelines = "\nservices:\n  concourse: {teams: {main: {pipelines: {one: {file: own}}}}}\n"
        text = text.replace("\nservices:\n", pipelines)
    else:
        text += f"{section}\n"
    whole.site.write_text(text)
    if content is not None:
        (whole.folder / "own").write_bytes(content if isinstance(content, bytes) else content.encode())
    found = whole.run("preflight", "--json")
    assert found.code == 3
    assert any(what in one["seen"] for one in found.json["findings"] if one["subject"] == "files")
    for argv in (("plan", "--offline"), ("apply", "--yes"), ("verify",)):
        ran = whole.run(*argv)
        assert ran.code == 3, (argv, ran)
        assert f"error: {what}" in ran.err
        assert "fault of paver" not in ran.err
