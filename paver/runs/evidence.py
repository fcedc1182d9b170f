"""What a run's journals prove: their heads, and every write that left, counted by endpoint and call."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from paver.engine.journal import EVENTS
from paver.runs.folder import journals
from paver.signing import chain


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """What stands in the journals of one run.

    Attributes:
        heads: the end of each journal's chain, `lines:sha256`, by the file's name.
        writes: how often each call was made, by endpoint.
        by_action: how many writes each action made, by its id.
        broken: why a journal does not hold, if one does not; empty otherwise.
    """

    heads: Mapping[str, str]
    writes: Mapping[str, Mapping[str, int]]
    by_action: Mapping[str, int]
    broken: str = ""


def evidence(folder: Path) -> Evidence:
    """Reads the journals of the run in `folder`, checking every line."""
    heads: dict[str, str] = {}
    writes: dict[str, collections.Counter[str]] = {}
    by_action: collections.Counter[str] = collections.Counter()
    broken: list[str] = []
    for name in journals(folder):
        path = folder / name
        if not path.exists():
            continue
        try:
            with path.open("rb") as lines:
                for record, head in chain.records(lines):
                    heads[name] = f"{head.lines}:{head.digest}"
                    match record:
                        case {
                            "event": "call",
                            "endpoint": str(endpoint),
                            "call": str(call),
                            "action": str(action),
                        }:
                            writes.setdefault(endpoint, collections.Counter())[call] += 1
                            by_action[action] += 1
                        case {"event": str(event)} if event in EVENTS - {"call"}:
                            pass
                        case _:
                            # A chain shows that lines hang together; whoever wrote it may have written anything.
                            broken.append(f"{name}: journal line {head.lines}: no event that paver writes")
                            break
        except chain.ChainError as error:
            broken.append(f"{name}: {error.what}")
    return Evidence(
        heads=heads,
        writes={key: dict(value) for key, value in sorted(writes.items())},
        by_action=by_action,
        broken="; ".join(broken),
    )
