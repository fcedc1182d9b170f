"""Comparing a VMDK's grain tables and grain directory with the grains that were seen on the way to them."""

from __future__ import annotations

import bisect
from array import array

from paver.ovf.vmdk_layout import ENTRIES

MAX_GRAINS = 2**24  # 1 TiB of populated grains; 8 bytes are kept for each
_EMPTY = -1
_NOTHING = bytes(4 * ENTRIES)


class Tables:
    """What was seen so far: grains in ascending order, and tables that name them."""

    def __init__(self) -> None:
        self._numbers = array("I")
        self._places = array("I")
        self._table_places = array("I")
        self._table_numbers = array("q")
        self._wanted = 0

    @property
    def grains(self) -> int:
        """How many grains were seen."""
        return len(self._numbers)

    def add_grain(self, number: int, place: int) -> bool:
        """Takes the grain `number` (higher than any before) at the sector `place`; False: too many, or too far."""
        if len(self._numbers) >= MAX_GRAINS or max(number, place) > 0xFFFF_FFFF:
            return False
        if not self._numbers or self._numbers[-1] // ENTRIES != number // ENTRIES:
            self._wanted += 1
        self._numbers.append(number)
        self._places.append(place)
        return True

    def add_table(self, place: int, table: array[int]) -> bool:
        """Takes a table at the sector `place`; False: it doesn't name exactly the grains of its part of the disk."""
        if place > 0xFFFF_FFFF:
            return False
        number = _EMPTY
        if table.tobytes() != _NOTHING:
            first = next(entry for entry in table if entry)
            at = bisect.bisect_left(self._places, first)
            if at == len(self._places) or self._places[at] != first:
                return False
            number = self._numbers[at] // ENTRIES
            if table != self._table(number):
                return False
        self._table_places.append(place)
        self._table_numbers.append(number)
        return True

    def directory_fits(self, directory: array[int], tables: int) -> bool:
        """Tells whether the directory of `tables` entries names each table that has grains, at its place."""
        found = 0
        for number, place in enumerate(directory):
            if not place:
                continue
            at = bisect.bisect_left(self._table_places, place)
            if number >= tables or at == len(self._table_places) or self._table_places[at] != place:
                return False
            if self._table_numbers[at] == number:
                found += 1
            elif self._table_numbers[at] != _EMPTY:
                return False
        return found == self._wanted

    def _table(self, number: int) -> array[int]:
        table = array("I", _NOTHING)
        start = bisect.bisect_left(self._numbers, number * ENTRIES)
        end = bisect.bisect_left(self._numbers, (number + 1) * ENTRIES)
        for index in range(start, end):
            table[self._numbers[index] % ENTRIES] = self._places[index]
        return table
