"""The sealed store as an endpoint of the engine: its faces, and the values for the moment of use.

A vault is opened by its index alone (a plan needs no key) or with the key. Its writer is taken at the
first write and held until `close`, so that one run at a time writes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paver.driver import MARK_KEY, Entry, Gate, Mark, Secret
from paver.errors import BadInput, Refused
from paver.sealed import index as sealed_index
from paver.sealed import keys, store
from paver.sealed.seen import Seen
from paver.signing.canonical import Json


class Vault:
    """One sealed store.

    Args:
        path: the file; where there is none, the vault is empty and the first write makes it.
        key: what opens it; None to read the index only.
        who: stands in the lock while this vault writes.
        seen: where the store that was seen last is remembered; an older or another one is refused, and none too.
        named: the key by the site file's words, for who needs it where it is not there.
    """

    def __init__(
        self, path: Path, key: keys.KeySource | None, who: str, seen: Path | None = None, *, named: str = ""
    ) -> None:
        self._path = path
        self._seen = Seen(seen)
        self._key = key
        self._who = who
        self._named = named
        self._lock = threading.RLock()
        self._closing = contextlib.ExitStack()
        self._writer: Any = None
        self._index: sealed_index.Index | None = None
        self._reader: Any = None

    @property
    def path(self) -> Path:
        """The store's file."""
        return self._path

    @property
    def memory(self) -> Path | None:
        """Where the store that was seen last is remembered, None where it is not."""
        return self._seen.path

    @property
    def opens(self) -> bool:
        """Tells whether there is a store, and a key at hand that may open it."""
        return self._key is not None and self._path.exists()

    def index(self) -> sealed_index.Index | None:
        """Returns the index, None where there is no store yet."""
        with self._lock:
            if self._writer is not None:
                found: sealed_index.Index = self._writer.index
                return found
            if self._index is None and self._there():
                with self._seen.named():
                    self._index = store.open_index(self._path, **self._seen.held())
                self._seen.note(self._index, looking=True)
            return self._index

    def version(self, secret: Secret) -> str | None:
        """Returns the version of a secret, None if it is not there yet."""
        found = self.index()
        entry = found.entries.get(secret.name) if found is not None else None
        return entry.version if entry is not None else None

    def pem(self, name: str) -> str | None:
        """Returns the certificate that an entry shows, None where it has none."""
        found = self.index()
        entry = found.entries.get(name) if found is not None else None
        pem = entry.public.get("pem") if entry is not None else None
        return str(pem) if pem is not None else None

    def reveal(self, secret: Secret, version: str | None = None) -> str:
        """Returns a secret's value: that of a `version`, if it is still kept, else the newest one.

        Raises:
            BadInput: if there is none, or no key to open it.
        """
        with self._lock:
            if self._writer is not None:
                return _value(self._writer, secret.name, version)
            if self._reader is None:
                if self._key is None:
                    raise self._locked(f"to open secret:{secret.name}")
                if not self._there():
                    raise BadInput(
                        f"secret:{secret.name} is not in the sealed store: there is no store yet",
                        do=f"paver secrets set {secret.name}",
                    )
                with self._seen.named():
                    self._reader = store.unlock(self._path, self._key, **self._seen.held())
                self._seen.note(self._reader.index, looking=True)
            return _value(self._reader, secret.name, version)

    def values(self) -> list[tuple[str, str]]:
        """Returns every value with its entry's name, for a redactor; none where the key is not at hand."""
        with self._lock:
            if self._key is None or not self._path.exists():
                return []
            source = self._writer or store.unlock(self._path, self._key, **self._seen.held())
            return [(name, value.reveal()) for name, value in source.all_values()]

    def writer(self) -> Any:
        """Returns the store's one writer, taking the lock at the first call; makes the store where there is none."""
        with self._lock:
            if self._writer is None:
                if self._key is None:
                    raise self._locked("to write it")
                if not self._there():
                    store.create(self._path, self._key)
                opened = store.writer(self._path, self._key, self._who, **self._seen.held())
                with self._seen.named():
                    self._writer = self._closing.enter_context(opened)
                self._reader = None
            return self._writer

    def _locked(self, why: str) -> BadInput:
        return keys.missing(why, named=self._named, sealed=self._path)

    def _there(self) -> bool:
        """Tells whether there is a store; one that was seen before has to be there."""
        if self._path.exists():
            return True
        self._seen.demand_none(self._path)
        return False

    def forget(self) -> None:
        """Reads the file anew at the next question."""
        with self._lock:
            if self._writer is None:
                self._index = None
                self._reader = None

    def close(self) -> None:
        """Gives the lock back."""
        with self._lock:
            try:
                if self._writer is not None:
                    self._seen.note(self._writer.index)
            finally:
                self._closing.close()
                self._writer = None
                self.forget()


def _value(opened: Any, name: str, version: str | None) -> str:
    kept = {one.version for one in opened.index.entry(name).all()}
    return str(opened.secret(name, version if version in kept else None).reveal())


def entry_of(name: str, found: sealed_index.Entry) -> Entry:
    """Returns a sealed entry as resources see it: the mark taken out of the public parts."""
    public = dict(found.public)
    return Entry(name, found.version, public, Mark.of(public.pop(MARK_KEY, None)))


class Face:
    """The reading face of a vault."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def entry(self, name: str) -> Entry | None:
        found = self._vault.index()
        entry = found.entries.get(name) if found is not None else None
        return entry_of(name, entry) if entry is not None else None

    def entries(self) -> tuple[Entry, ...]:
        found = self._vault.index()
        if found is None:
            return ()
        return tuple(entry_of(name, entry) for name, entry in sorted(found.entries.items()))


class WritingFace(Face):
    """The writing face: each write passes the gate first."""

    def __init__(self, vault: Vault, gate: Gate) -> None:
        super().__init__(vault)
        self._gate = gate

    def value(self, name: str) -> str:
        return self._vault.reveal(Secret(name))

    def put(self, name: str, value: str, public: Mapping[str, Json], mark: Mark) -> Entry:
        found = self.entry(name)
        if found is not None and (found.mark is None or found.mark.id != mark.id):
            raise Refused(
                f"the sealed store has a {name} that is not {mark.id}'s",
                do=f"`paver secrets` shows whose it is; rename or remove it with `paver secrets remove {name}`",
            )
        self._gate("seal:put", name)
        self._vault.writer().put(
            name, value, made_by=mark.action, public={**public, MARK_KEY: mark.document()}
        )
        made = self.entry(name)
        if made is None:
            raise Refused(f"{name} is not in the sealed store after it was put there")
        return made

    def remove(self, name: str) -> None:
        self._gate("seal:remove", name)
        self._vault.writer().remove(name)


@dataclasses.dataclass(frozen=True)
class Sealed:
    """Connects the endpoint `store` to a vault."""

    vault: Vault

    def connect(self, context: object) -> Sealed:
        del context
        return self

    def reader(self) -> Face:
        return Face(self.vault)

    def writer(self, gate: Gate) -> WritingFace:
        return WritingFace(self.vault, gate)

    def forget(self) -> None:
        self.vault.forget()

    def close(self) -> None:
        """The vault belongs to the run, which closes it."""
