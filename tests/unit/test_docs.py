"""The documentation holds together: links lead somewhere, commands exist, dependencies are the lock files' own."""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from paver.cli import parsers
from paver.cli.commands import COMMANDS
from paver.drivers import vsphere
from paver.runs.compose import compose
from paver.sitefile import Site
from paver.sitefile.load import loads

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
INDEX = ROOT / "docs" / "README.md"
OWN_SITE = ROOT / "docs" / "howto" / "own-site.md"
DEPENDENCIES = ROOT / "docs" / "explanation" / "dependencies.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^\s*\$ |\$\(|\| |`)((?:\.venv/bin/)?paver [a-z][^\n`]*)", re.MULTILINE)
# What stands after a command in a shell.
SHELL = re.compile(r"\s(?:[|>&].*|#.*)$|;.*$|\)\".*$|\)$")
# How the packages' own words for a licence are written in SPDX.
SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-2-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "PSFL": "PSF-2.0",
}
# Where a package names a family only; its LICENSE file says which.
READ = {"jinja2": "BSD-3-Clause", "python-dateutil": "Apache-2.0 OR BSD-3-Clause"}


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Headings as GitHub and its like turn them into anchors."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    for link in LINK.findall(prose(page)):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            yield link, (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = [
        link
        for link, target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    linked = {target for page in (INDEX, ROOT / "docs" / "adr" / "README.md") for _, target, _ in links(page)}
    assert [
        page for page in PAGES if page.is_relative_to(INDEX.parent) and page not in {*linked, INDEX}
    ] == []
    assert INDEX in {target for _, target, _ in links(ROOT / "README.md")}


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for found in COMMAND.findall(page.read_text(encoding="utf-8")):
            command = SHELL.sub("", found.removeprefix(".venv/bin/")).strip()
            verb = command.split()[1]
            if verb in COMMANDS and "…" not in command:
                yield f"{page.relative_to(ROOT)}: {command}", command


def takes(parser: argparse.ArgumentParser, words: list[str]) -> bool:
    try:
        parser.parse_args(words)
    except SystemExit:
        return False
    return True


def test_every_command_in_the_docs_is_one_that_paver_takes(capsys: pytest.CaptureFixture[str]) -> None:
    whole, found, wrong = parsers.whole(), 0, []
    for where, command in commands():
        found += 1
        words = shlex.split(command)[1:]
        if len(words) == 1 or words[-1] == "--help":
            continue  # A verb by its name, in a sentence.
        # A sentence may name an option without its value.
        if not any(takes(whole, [*words, *more]) for more in ([], ["x"])):
            wrong.append(f"{where}: {capsys.readouterr().err.splitlines()[-1]}")
    assert wrong == []
    assert found > 60


def test_every_format_is_described() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "paver").rglob("*.py")]
    written = {name for text in sources for name in re.findall(r"\bpaver\.[a-z-]+/[0-9]+", text)}
    pages = [ROOT / "docs" / "reference" / name for name in ("formats.md", "json.md")]
    described = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert len(written) > 20
    assert sorted(name for name in written if f"`{name}`" not in described) == []


def test_a_verb_in_the_docs_exists() -> None:
    told = {
        (str(page.relative_to(ROOT)), verb)
        for page in PAGES
        for verb in re.findall(r"(?:`|\$ )paver ([a-z][a-z-]+)", page.read_text(encoding="utf-8"))
    }
    # `paver itself failed` is a message, `paver help COMMAND` the help of a command.
    assert sorted(one for one in told if one[1] not in {*COMMANDS, "itself", "help"}) == []


def locked(name: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


def section(title: str) -> dict[str, str]:
    """Returns licences by package of one of the page's tables."""
    text = DEPENDENCIES.read_text(encoding="utf-8").partition(f"## {title}")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z][a-z0-9-]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    assert all(what.strip() for _, _, what in rows)
    return {name: licence for name, licence, _ in rows if name != "package"}


OWN = section("Installed with paver, because paver asks for it")
THEIRS = section("Installed with paver, because these need it")
BESIDE = section("Beside it")


def asked(group: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = project["dependency-groups"]["dev"] if group == "dev" else project["project"]["dependencies"]
    return {re.split(r"[\[>=<~;]", one)[0].strip().lower() for one in named}


def test_every_dependency_stands_in_the_table_and_no_other() -> None:
    assert set(OWN) == asked("paver")
    assert set(OWN) | set(THEIRS) == locked("requirements.lock")
    assert not set(OWN) & set(THEIRS)
    assert set(BESIDE) == asked("dev")


@pytest.mark.parametrize("name", sorted({**OWN, **THEIRS, **BESIDE}))
def test_the_licence_in_the_table_is_the_package_s_own(name: str) -> None:
    about = importlib.metadata.metadata(name).json
    said = about.get("license_expression") or READ.get(name)
    if not said:
        text = str(about.get("license", "")).strip()
        families = [
            one.rpartition(" :: ")[2] for one in about.get("classifier", ()) if "License :: OSI" in one
        ]
        said = text if text and len(text) < 30 else families[0]
    assert {**OWN, **THEIRS, **BESIDE}[name] == SPDX.get(str(said), said)


def test_every_test_that_a_page_names_is_there() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    named = {(page.name, name) for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text())}
    assert len(named) > 30
    assert sorted(f"{page}: {name}" for page, name in named if name not in there) == []


def shown_site() -> Site:
    page = OWN_SITE.read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return loads(text, {"vsphere": vsphere.DRIVER}, file="site.yml", folder=ROOT)


def test_the_site_file_that_is_shown_is_told_with_the_digest_that_it_has() -> None:
    assert f"digest {shown_site().digest()[:12]}\n" in OWN_SITE.read_text(encoding="utf-8")


def test_each_plan_that_is_shown_names_the_phases_of_a_site_in_order_and_where_each_is_written() -> None:
    wish = compose(shown_site(), vsphere.DRIVER)
    here = [phase for phase in wish.phases if phase in wish.outside]
    there = [phase for phase in wish.phases if phase not in wish.outside]
    line = f"\n from here: {', '.join(here)}; on the jumpbox, handed over: {', '.join(there)}\n"
    texts = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
    shown = {name: text for name, text in texts.items() if "on the jumpbox, handed over:" in text}
    assert shown.keys() >= {"README.md", "docs/tutorial/first-run.md", "docs/howto/own-site.md"}
    assert [name for name, text in shown.items() if text.count("handed over:") != text.count(line)] == []
