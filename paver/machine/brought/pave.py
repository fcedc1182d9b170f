"""A file that the site file names and that the jumpbox is to have, as a wish. Pure."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

from paver.driver import Endpoint, Ground, Resource, ResourceId, output, resource_id
from paver.machine.brought.artefact import Artefact
from paver.machine.brought.file import File
from paver.machine.brought.files import FILES

KINDS: tuple[type[Resource[Any]], ...] = (File, Artefact)


def artefact(name: str) -> ResourceId:
    """Returns the id of the file on the jumpbox; its facts `path` and `sha256` say where it is."""
    return resource_id(Artefact.kind, name)


def resources(name: str, path: str, *, phase: str, at: Endpoint[Any, Any]) -> Iterator[Resource[Any]]:
    """Yields the file where paver runs, and the one on the jumpbox.

    Args:
        name: what it is (`bucc`), for their ids.
        path: as the site file has it.
        phase: of the driver.
        at: the jumpbox.
    """
    here = resource_id(File.kind, name)
    yield File(
        id=here,
        phase=phase,
        at=FILES,
        after=frozenset({at.provider} if at.provider is not None else ()),
        path=path,
        artefact=artefact(name),
    )
    yield Artefact(
        id=artefact(name),
        phase=phase,
        at=at,
        within=at.provider,
        source=path,
        name=pathlib.PurePath(path).name,
        sha256=output(here, "sha256", str),
    )


def grounds(phase: str, at: Endpoint[Any, Any]) -> Iterator[Ground]:
    """Yields where artefacts that nobody wishes for any more are looked for."""
    yield Ground(Artefact, at, phase)
