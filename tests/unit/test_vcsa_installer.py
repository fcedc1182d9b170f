"""Reading the vendor's ISO, as far as it needs no machine."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest

from paver.driver import Interrupted, Writer
from paver.drivers.vsphere.vcsa import installer


@dataclasses.dataclass
class World:
    """One that is told, and may want to stop."""

    stops: bool = False
    told: list[tuple[Any, ...]] = dataclasses.field(default_factory=list)

    def stopping(self) -> bool:
        return self.stops

    def report(self, *words: Any) -> None:
        self.told.append(words)


def test_reading_an_iso_ends_as_soon_as_the_run_is_to_stop() -> None:
    world = World()
    step = installer.coming(cast(Writer, world), "vcsa.iso", "10.20.0.9")
    step(1000, 9000)
    assert world.told == [("reading vcsa.iso from 10.20.0.9", 1000, 9000, "B")]
    world.stops = True
    with pytest.raises(Interrupted, match=r"stopped while vcsa\.iso was read from 10\.20\.0\.9") as stop:
        step(2000, 9000)
    assert stop.value.seen == "2000 of 9000 bytes came, and are not kept"
