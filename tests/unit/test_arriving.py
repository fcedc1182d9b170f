"""Large files on their way, what stops them, and what proves that one came whole."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import pytest

from paver.driver import Endpoint, Interrupted, ResourceId, Writer
from paver.machine.brought import arriving
from paver.machine.brought.artefact import Artefact
from paver.transport.shell import Ran


@dataclasses.dataclass
class World:
    """One that is told, and may want to stop."""

    stops: bool = False
    told: list[tuple[Any, ...]] = dataclasses.field(default_factory=list)

    def stopping(self) -> bool:
        return self.stops

    def report(self, *words: Any) -> None:
        self.told.append(words)


def test_a_large_file_is_given_up_as_soon_as_the_run_is_to_stop() -> None:
    world = World()
    step = arriving.progress(cast(Writer, world), "reading vcsa.iso from 10.20.0.9")
    step(1000, 9000)
    assert world.told == [("reading vcsa.iso from 10.20.0.9", 1000, 9000, "B")]
    world.stops = True
    with pytest.raises(Interrupted, match=r"stopped while reading vcsa\.iso from 10\.20\.0\.9") as stop:
        step(2000, 9000)
    assert stop.value.seen == "2000 of 9000 bytes came, and are not kept"


@pytest.mark.parametrize(("seen", "holds"), [("a", True), ("b", False)])
def test_a_file_that_came_is_proven_by_its_digest_over_there(seen: str, *, holds: bool) -> None:
    wish = Artefact(
        id=ResourceId("jumpbox.artefact:bucc"),
        phase="jumpbox",
        at=Endpoint("machine:jumpbox"),
        source="bucc.tar",
        name="bucc.tar",
        sha256="a" * 64,
    )
    path = "/var/lib/paver/artefacts/bucc.tar"
    told = Ran((), 0, f"{seen * 64}  {path}\n".encode(), b"")
    world: Any = SimpleNamespace(session=lambda _: SimpleNamespace(probe=lambda *_, **__: told))
    facts: Any = SimpleNamespace(path=path)
    assert [check.ok for check in wish.checks(world, facts)] == [holds]
