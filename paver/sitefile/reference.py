"""The site file's reference, as Markdown, from the models' own descriptions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from paver.sitefile import schema as schemas
from paver.sitefile.load import SettingsProvider
from paver.sitefile.schema import Schema

_HEAD = """\
# The site file

Made from the models by `paver schema --markdown`; change the descriptions there.

A site file says what a site is to be. It is YAML, read by these rules:

- Keys are the names. What is left out has the default of the tables below; a key in **bold** must be there.
- Only `true` and `false` are true and false; `no`, `on`, `0123`, `8.0` are text. A key stands once.
- No secret stands in it: `secret:<name>` refers to the sealed store.
- An entry of a map marked † may say `like: <other entry>` and give only what differs.
- Relative paths start at the site file's folder.
- Comments, order and formatting are no part of the site: they void no approval.

`paver init` writes a commented one; `paver validate` checks one; `paver schema` prints the JSON Schema for editors.
"""


def reference(drivers: Mapping[str, SettingsProvider]) -> str:
    """Returns the reference of the site file for the installed drivers."""
    root = schemas.schema(drivers)
    parts = [_HEAD]
    for path, node in schemas.sections(root, root, ""):
        parts.append(_section(path, node, root))
    return "\n".join(parts)


def _section(path: str, node: Schema, root: Schema) -> str:
    driver = schemas.properties(node).get("driver", {}).get("const")
    title = f"`{path}`" if path else "The whole file"
    if driver:
        title += f" with `driver: {driver}`"
    rows = "\n".join(_rows(node, root))
    about = _plain(node.get("description", ""))
    level = "##" if path.count(".") == 0 else "###"
    head = "| key | type | default | |\n|---|---|---|---|"
    return f"{level} {title}\n\n{about}\n\n{head}\n{rows}\n"


def _rows(node: Schema, root: Schema) -> Iterator[str]:
    required = node.get("required", [])
    for key, value in schemas.properties(node).items():
        name = f"**`{key}`**" if key in required else f"`{key}`"
        if "anyOf" in (value.get("additionalProperties") or {}):
            name += " †"
        kind = schemas.type_name(value, root).replace("|", "\\|")
        yield f"| {name} | {kind} | {_default(value)} | {_plain(schemas.description(value, root))} |"


def _default(node: Schema) -> str:
    default: Any = node.get("default")
    if default is None or default in ([], {}):
        return ""
    return f"`{default}`" if isinstance(default, str) else f"`{json.dumps(default)}`"


def _plain(text: str) -> str:
    """Returns text for a table's cell; what stands between backticks is not touched, as Markdown wants it."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    return "`".join(part if index % 2 else part.replace("<", "&lt;") for index, part in enumerate(parts))
