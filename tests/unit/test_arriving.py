"""Large files on their way, and what stops them."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest

from paver.driver import Interrupted, Writer
from paver.machine.brought import arriving


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
