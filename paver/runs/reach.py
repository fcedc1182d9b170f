"""Reads a part of the world, just enough to reach something: what it needs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from paver.driver import Output, ResourceId
from paver.engine.graph import build, closure
from paver.engine.observe import Seen, observe
from paver.engine.values import references
from paver.errors import PaverError
from paver.runs.session import Session


def seen(session: Session, ids: Iterable[ResourceId]) -> Mapping[ResourceId, Seen]:
    """Reads `ids` and all that they need, and fills the session's board with it.

    Raises:
        Unobservable: if something that should answer does not.
    """
    paved = session.paved
    graph = paved.graph
    wanted = closure(ids, lambda id_: graph.needs[id_])
    part = build(
        [resource for id_, resource in graph.resources.items() if id_ in wanted],
        paved.phases,
        paved.connectors,
    )
    return observe(part, session.world, session.board, lambda _: frozenset())


def jumpbox(session: Session) -> Any:
    """Returns the reading face of the jumpbox's machine, None where there is no jumpbox yet.

    Raises:
        Unobservable: if it should answer and does not.
        BadInput: if the driver names none.
    """
    endpoint = session.paved.demanded_jumpbox(session.site.driver)
    if session.station == "jumpbox":
        return session.connections.get(endpoint.name).reader()
    # The connector's references: its key, the host key that the provider publishes.
    used = references(session.paved.connectors[endpoint.name])
    needed = {one.of if isinstance(one, Output) else one.made_by for one in used} - {None}
    if endpoint.provider is not None:
        needed.add(endpoint.provider)
    found = seen(session, {one for one in needed if one is not None})
    provider = found.get(endpoint.provider) if endpoint.provider is not None else None
    if endpoint.provider is not None and (provider is None or provider.facts is None):
        return None
    return session.connections.get(endpoint.name).reader()


def standing_jumpbox(session: Session) -> Any:
    """Returns the jumpbox as `jumpbox` does.

    Raises:
        PaverError: if it is not there yet.
    """
    machine = jumpbox(session)
    if machine is None:
        raise PaverError(
            f"{session.site.name} has no jumpbox yet",
            do="`paver apply` makes it; `paver plan` shows what comes before",
        )
    return machine
