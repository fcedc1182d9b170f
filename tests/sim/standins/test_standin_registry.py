"""The registry's password and cookie on their way through its release's templates: as they are given, where paver takes them."""

from __future__ import annotations

import json
import string
import subprocess
from pathlib import Path

import bcrypt
import pytest
import yaml

from paver.foundation import yaml_text
from paver.lab import system
from paver.lab.standins import director_render, stub_services
from paver.sealed import passwords

pytestmark = pytest.mark.lab

VISIBLE = "".join(character for character in string.printable if "!" <= character <= "~")


def values(character: str) -> list[str]:
    """Values with a character at the beginning, in the middle, twice in a row, and at the end."""
    return [
        f"{character}bcdefgh1234",
        f"Abc{character}x{character}{character}y123456",
        f"Abcdefghijk{character}",
    ]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of what the lab's Ruby makes of the release's templates, by the value that is cookie and password."""
    folder = tmp_path_factory.mktemp("registry")
    needs = [need for need in system.NEEDS if need.program == "ruby"]
    ruby = system.provide(system.survey(needs=needs))["ruby"]
    source = folder / "in"
    templates = {}
    for job in stub_services.docker_registry("/usr/bin/registry").jobs:
        for name in ("config/registry.yml", "config/auth/registry"):
            if name in job.templates:
                path = source / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(job.templates[name])
                templates[name] = name
    assert len(templates) == 2
    found = {
        value: folder / str(number)
        for number, value in enumerate(value for character in VISIBLE for value in values(character))
    }
    jobs = [
        {
            "folder": str(source),
            "out": str(out),
            "templates": templates,
            "properties": {
                "docker": {
                    "registry": {"root": "/data", "cookie": value, "storage_delete": True},
                    "proxy": {"auth_basic": {"admin": f"{{PLAIN}}{value}"}},
                }
            },
            "spec": {"name": "registry", "index": 0, "job": "registry"},
        }
        for value, out in found.items()
    ]
    done = subprocess.run(
        [ruby, director_render._SCRIPT], input=json.dumps(jobs), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []
    return found


def arrived(folder: Path, value: str) -> bool:
    """Tells whether the registry takes the value for its cookie, and the list of passwords for admin's."""
    try:
        config = yaml_text.loads((folder / "config/registry.yml").read_text())
    except yaml.YAMLError:
        return False
    user, _, entry = (folder / "config/auth/registry").read_text().strip().partition(":")
    assert user == "admin"
    kept = isinstance(config, dict) and isinstance(config["http"], dict) and config["http"].get("secret")
    return kept == value and bcrypt.checkpw(value.encode(), entry.encode())


@pytest.mark.parametrize("character", VISIBLE)
def test_what_paver_takes_for_the_registry_comes_there_as_it_is(
    rendered: dict[str, Path], character: str
) -> None:
    for value in values(character):
        if not passwords.check("registry", value):
            assert arrived(rendered[value], value)


@pytest.mark.parametrize("character", passwords.POLICIES["registry"].forbidden)
def test_what_paver_refuses_for_the_registry_would_not_come_there_as_it_is(
    rendered: dict[str, Path], character: str
) -> None:
    assert not all(arrived(rendered[value], value) for value in values(character))
