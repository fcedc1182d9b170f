"""The small files that a site file names: read while planning, and said to be wrong by the name that they have there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from paver.errors import BadInput
from paver.foundation import yaml_text
from paver.sitefile.site import NamedFile, Site

MOST_BYTES = 4 * 1024 * 1024
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[\s!-~]+?-----END CERTIFICATE-----")


def roots(site: Site, name: str) -> str:
    """Returns the certificates of a PEM file, without the words that may stand around them.

    Raises:
        BadInput: if it can't be read, or has none.
    """
    found = _CERTIFICATE.findall(_text(site, name))
    if not found:
        raise BadInput(f"{name} has no certificate", do="take the root's certificate in PEM")
    return "".join(f"{one}\n" for one in found)


def operators(site: Site, name: str) -> str:
    """Returns a BOSH operators file.

    Raises:
        BadInput: if it can't be read, or is no list of operations.
    """
    text = _text(site, name)
    if not isinstance(_yaml(name, text), list):
        raise BadInput(
            f"{name} holds no operations", why="an operators file of BOSH is a list", do="correct the file"
        )
    return text


def pipeline(site: Site, name: str) -> dict[str, Any]:
    """Returns a Concourse pipeline.

    Raises:
        BadInput: if it can't be read, or is no map.
    """
    found = _yaml(name, _text(site, name))
    if not isinstance(found, dict):
        raise BadInput(f"{name} is no pipeline", why="a pipeline is a map with `jobs`", do="correct the file")
    return found


READERS: Mapping[NamedFile, Callable[[Site, str], object]] = {
    NamedFile.ROOT: roots,
    NamedFile.SERVICE_ROOT: roots,
    NamedFile.OPERATORS: operators,
    NamedFile.PIPELINE: pipeline,
}
"""What refuses a file that is wrong."""


def _text(site: Site, name: str) -> str:
    path = site.path(name)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(
            f"{name}, which the site file names, can't be read",
            seen=str(path),
            why=error.strerror or type(error).__name__,
            do="put it there, or correct the site file",
        ) from error
    if len(data) > MOST_BYTES:
        raise BadInput(f"{name} has more than {MOST_BYTES >> 20} MiB", do="name another file")
    try:
        return data.decode("utf-8")
    except ValueError as error:
        raise BadInput(f"{name} is not text in UTF-8", seen=str(path), do="name another file") from error


def _yaml(name: str, text: str) -> Any:
    try:
        return yaml_text.loads(text, unique=True)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadInput(
            f"{name} is no YAML",
            seen=f"line {mark.line + 1}, column {mark.column + 1}" if mark else "",
            why=str(getattr(error, "problem", "") or type(error).__name__),
            do="correct the file",
        ) from error
