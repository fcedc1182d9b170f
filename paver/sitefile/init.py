"""A site file to start from: an example whose every key is explained, every default written out.

`# …` explains; `#key: …` without a space is a default that holds already. The text comes from the JSON Schema,
so that no key is forgotten; the values come from the examples that the models carry.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from paver.sitefile import schema as schemas
from paver.sitefile.load import SettingsProvider
from paver.sitefile.schema import Schema

NOBODYS_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43 + " put-your-own-key-here"

_PLAIN = re.compile(r"[A-Za-z/_.][A-Za-z0-9 ._/@+-]*\Z|secret:[a-z0-9./_-]+\Z|file:[A-Za-z0-9./_~-]+\Z")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_WIDTH = 100
_NORTH = re.compile(r"\bnorth\b")

_HEAD = """\
# The site {name}, for paver. `paver validate` checks this file; the reference explains all of it.
#
# Lines like this one explain. A line with `#` and no space is a default: it holds as it is, take the
# `#` away to change it, there and from the section it stands in (`#trust:` above `  #extra_roots:`).
# <…> stands for a value that has no default. Passwords never stand here: `secret:<name>` refers to
# the sealed store; paver makes those that are missing, `paver secrets set <name>` puts in those that
# exist already.
"""

_EXAMPLE: dict[str, Any] = {
    "paver": 1,
    "networks": {
        "mgmt": {"cidr": "10.20.0.0/24", "gateway": "10.20.0.1", "port_group": "mgmt"},
        "bosh": {
            "cidr": "10.30.0.0/24",
            "gateway": "10.30.0.1",
            "port_group": "bosh",
            "reserved": ["10.30.0.1-10.30.0.9"],
            "static": ["10.30.0.10-10.30.0.30"],
            "az": "z1",
        },
    },
    "site_services": {"dns": "jumpbox", "ntp": "jumpbox", "zone": "north.example"},
    "jumpbox": {
        "image": "paver-jumpbox-1.4.0.ova",
        "on": "esx-01",
        "network": "mgmt",
        "address": "10.20.0.10",
        "ssh_keys": [NOBODYS_KEY],
    },
    "bucc": {"artefact": "bucc-2026.11.tar", "address": "10.30.0.10", "az": "z1"},
    "services": {
        "object_store": {
            "address": "10.30.0.11",
            "buckets": {"bundles": {"versioned": True}, "state": {"versioned": True, "lock": "30d"}},
        },
        "registry": {"address": "10.30.0.12"},
    },
    "secrets": {"key": "file:/etc/paver/site.key"},
}


def init_text(driver: SettingsProvider, name: str) -> str:
    """Returns a commented site file. It loads, if the driver's settings carry an example that does.

    Args:
        driver: the driver of the IaaS. Of a settings model without an example (`examples` in its
            `json_schema_extra`) every key stands there to be filled in.
        name: the site's name; without a `lab-` before it, it stands where the examples say `north`.
    """
    root = schemas.schema({driver.name: driver})
    iaas = {"driver": driver.name} | _settings_example(root["$defs"][driver.name])
    example = {"paver": 1, "name": name} | _of_the_site({"iaas": iaas} | _EXAMPLE, name.removeprefix("lab-"))
    lines = [_HEAD.format(name=name)]
    for key, node in schemas.properties(root).items():
        choice = {**node["oneOf"][0], "description": node["description"]} if key == "iaas" else node
        lines += _key(key, choice, example.get(key), root, 0, off=False)
        lines.append("")
    return "\n".join(lines)


def _of_the_site(value: Any, name: str) -> Any:
    """Returns an example's value with `name` for its zone, its datacenter and all that is called `north`."""
    if isinstance(value, dict):
        return {key: _of_the_site(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [_of_the_site(item, name) for item in value]
    return _NORTH.sub(name, value) if isinstance(value, str) else value


def _settings_example(settings: Schema) -> dict[str, Any]:
    examples: list[dict[str, Any]] = settings.get("examples") or [{}]
    return examples[0]


def _key(key: str, node: Schema, value: Any, root: Schema, indent: int, *, off: bool) -> Iterator[str]:
    """Yields a key with its explanation and value; `off`: as a default, behind a `#`."""
    space = "  " * indent
    for line in textwrap.wrap(schemas.description(node, root), _WIDTH - len(space), break_on_hyphens=False):
        yield f"{space}# {line}"
    inner = schemas.resolved(node, root)
    if value is None:
        off = True
        value = node.get("default")
    start = f"{space}#{key}:" if off else f"{space}{key}:"
    if schemas.properties(inner) and isinstance(value, dict):
        yield start
        yield from _section(inner, value, root, indent + 1, off=off)
    elif schemas.entry(inner, root) and value and isinstance(value, dict):
        yield start
        yield from _map(inner, value, root, indent + 1, off=off)
    elif value is None:
        keys = ", ".join(schemas.properties(inner))
        yield f"{start} <{schemas.type_name(node, root)}{': ' if keys else ''}{keys}>"
    else:
        yield f"{start} {_flow(value)}"


def _section(node: Schema, value: dict[str, Any], root: Schema, indent: int, *, off: bool) -> Iterator[str]:
    for key, inner in schemas.properties(node).items():
        yield from _key(key, inner, value.get(key), root, indent, off=off or key not in value)


def _map(node: Schema, value: dict[str, Any], root: Schema, indent: int, *, off: bool) -> Iterator[str]:
    """Yields a map's entries: the first one explained, the others in short."""
    inner = schemas.entry(node, root) or {}
    for index, (key, item) in enumerate(value.items()):
        start = "  " * indent + ("#" if off else "")
        if index == 0 and schemas.properties(inner) and isinstance(item, dict):
            yield f"{start}{key}:"
            yield from _section(inner, item, root, indent + 1, off=off)
        else:
            yield f"{start}{key}: {_flow(item)}"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    plain = _PLAIN.match(value) and value.lower() not in _WORDS and value == value.strip()
    numbers = re.fullmatch(r"[0-9.]+(/[0-9]+|-[0-9.]+)?|[1-9][0-9]*[mhdwy]", value) and not value.isdigit()
    return value if plain or numbers else json.dumps(value, ensure_ascii=False)
