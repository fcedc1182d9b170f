"""What all settings of a host have in common: read, set, and put back to what it was before paver.

The order of writes is: the baseline into the ledger, the setting, the ledger's `complete`. Killed anywhere in
between, the next run finds an incomplete entry and sets again; the baseline is never taken twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from paver.driver import Endpoint, Facts, Mark, PaverError, Reader, Resource, Verb, Writer
from paver.drivers.vsphere import ledger

F = TypeVar("F", bound=Facts)
Values = Mapping[str, Any]


def declared(*calls: str) -> Mapping[Verb, frozenset[str]]:
    """Returns the calls of a setting: the same ones set it and put it back."""
    return ledger.calls(create=calls, update=calls, delete=calls)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostSetting(Resource[F]):
    """A setting of a host.

    Attributes:
        ledger_on: the datastore on which the host's ledger is begun.
    """

    setting = True
    unmanaged = frozenset({"ledger_on"})
    extra: ClassVar[frozenset[str]] = frozenset()
    """What else `look` returns, only to put it back."""

    ledger_on: str

    def address(self) -> Mapping[str, str]:
        """Returns what names the setting on its host, empty where there is only one."""
        return {}

    @classmethod
    def look(cls, session: Any, address: Mapping[str, str]) -> Values:
        """Returns the values as they are, by field (JSON's types; lists as tuples)."""
        raise NotImplementedError

    @classmethod
    def set(cls, world: Writer, at: Endpoint[Any, Any], address: Mapping[str, str], values: Values) -> None:
        """Sets `values`; what has its value already is left alone."""
        raise NotImplementedError

    @classmethod
    def facts(cls, values: Values, address: Mapping[str, str], mark: Mark | None) -> F:
        """Returns the facts of what `look` saw."""
        raise NotImplementedError

    def read(self, world: Reader) -> F | None:
        """Returns the setting as it is; it is always there."""
        entry = ledger.read(world, self.at).get(self.id)
        return self._facts_now(world, self.at, self.address(), entry)

    @classmethod
    def _facts_now(
        cls, world: Reader, at: Endpoint[Any, Any], address: Mapping[str, str], entry: ledger.Entry | None
    ) -> F:
        values = cls.look(world.session(at), address)
        shown = {key: value for key, value in values.items() if key not in cls.extra}
        return cls.facts(shown, address, entry.mark(world.site) if entry is not None else None)

    def create(self, world: Writer) -> None:
        """Sets what is wished; the first time it keeps what was there."""
        wished = {key: value for key, value in self.wish().items() if key not in self.unmanaged}
        entry = ledger.read(world, self.at).get(self.id)
        kept = {} if entry is None else dict(entry.baseline)
        now = self.look(world.session(self.at), self.address())
        for key, value in now.items():
            if key in wished or key in self.extra:
                kept.setdefault(key, value)
        begun = ledger.Entry(
            self.id, world.mark(complete=False).action, complete=False, address=self.address(), baseline=kept
        )
        book = ledger.note(world, self.at, begun, self.ledger_on)
        self.set(world, self.at, self.address(), wished)
        ledger.note(world, self.at, dataclasses.replace(begun, complete=True), self.ledger_on, book)

    def update(self, world: Writer, facts: F, fields: frozenset[str]) -> None:
        """Sets what is wished."""
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[F]:
        """Yields the settings of this kind that the ledger names."""
        for entry in ledger.read(world, at).of_kind(cls.kind):
            yield cls._facts_now(world, at, entry.address, entry)

    @classmethod
    def former(cls, world: Reader, at: Endpoint[Any, Any], facts: F) -> Values:
        """Returns the baseline that the ledger keeps."""
        entry = ledger.read(world, at).get(facts.mark.id) if facts.mark is not None else None
        return _tuples(entry.baseline) if entry is not None else {}

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: F) -> None:
        """Puts the setting back to its baseline."""
        entry = ledger.read(world, at).get(facts.mark.id) if facts.mark is not None else None
        if entry is None:
            raise PaverError(f"{at.name}: the ledger no longer knows what {cls.kind} was before")
        # Killed in between, it is neither as planned from nor gone: the same plan must know it as its own half.
        leaving = dataclasses.replace(entry, action=world.mark(complete=False).action, complete=False)
        ledger.note(world, at, leaving, "")
        cls.set(world, at, entry.address, _tuples(entry.baseline))
        ledger.strike(world, at, entry.id)


def _tuples(values: Values) -> Values:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
