"""An opened store: what the key's holder reads and writes."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from paver.errors import BadInput, Refused
from paver.sealed import envelope, files
from paver.sealed.envelope import Envelope, Key, Opened, Values
from paver.sealed.errors import NoSuchSecretError
from paver.sealed.index import Entry, Index, Version, checked_name
from paver.sealed.keys import KeySource
from paver.sealed.secret import SecretValue
from paver.signing import canonical
from paver.signing.canonical import Json

KEEP = 2
_NOTHING: Mapping[str, Json] = MappingProxyType({})


@dataclass(frozen=True)
class Reader:
    """An opened store; what it gives is what the file held when it was opened."""

    index: Index
    opened: Opened = field(repr=False)

    def secret(self, name: str, version: str | None = None) -> SecretValue:
        """Returns the value of `name`, the present one or that of a `version` that's kept.

        Raises:
            NoSuchSecretError: there is no such entry or version.
        """
        wanted = version or self.index.entry(name).version
        found = self.opened.values.get(name, {}).get(wanted)
        if found is None:
            raise NoSuchSecretError(f"the sealed store no longer has version {wanted} of {name!r}")
        return SecretValue(found)

    def all_values(self) -> Iterator[tuple[str, SecretValue]]:
        """Yields every value with its entry's name, earlier versions included: for a redactor."""
        for name, versions in self.opened.values.items():
            for value in versions.values():
                yield name, SecretValue(value)


class Writer:
    """The one writer of a store; made by `writer`. Its methods may be called from several threads.

    Each change is one generation, on disk when the method returns: a secret that isn't kept must never be used.
    """

    def __init__(self, path: Path, data: bytes, found: Envelope, opened: Opened, master: bytes) -> None:
        self._path = path
        self._data = data
        self._key = Key(master, found.key_parameters)
        self._reader = Reader(found.index, opened)
        self._turn = threading.RLock()
        self._closed = False

    @property
    def index(self) -> Index:
        """The index as of the last change."""
        return self._reader.index

    def secret(self, name: str, version: str | None = None) -> SecretValue:
        """Returns a value, as `Reader.secret`."""
        return self._reader.secret(name, version)

    def all_values(self) -> Iterator[tuple[str, SecretValue]]:
        """Yields every value, as `Reader.all_values`."""
        return self._reader.all_values()

    def put(
        self,
        name: str,
        value: SecretValue | str,
        *,
        made_by: str,
        public: Mapping[str, Json] = _NOTHING,
    ) -> str:
        """Stores a new version of `name` and returns its id.

        Args:
            name: the entry, made if need be.
            value: the secret.
            made_by: the action or command that made it.
            public: what may be known of it; readable without the key.

        Raises:
            BadInput: the name is none, or `public` contains the secret.
            PaverError: it could not be written; the store holds what it held.
        """
        revealed = value.reveal() if isinstance(value, SecretValue) else value
        return self.put_all({checked_name(name): (revealed, public)}, made_by=made_by)[name]

    def put_all(
        self,
        made: Mapping[str, tuple[SecretValue | str, Mapping[str, Json]]],
        *,
        made_by: str,
    ) -> dict[str, str]:
        """Stores several entries, value and public parts by name, in one generation, and returns their versions."""
        with self._turn:
            entries, values, versions = dict(self.index.entries), dict(self._reader.opened.values), {}
            for name, (value, public) in made.items():
                revealed = value.reveal() if isinstance(value, SecretValue) else value
                _check_public(name, revealed, public)
                version = Version(version=secrets.token_hex(16), public=dict(public), made_by=made_by)
                earlier = entries[checked_name(name)].all()[:KEEP] if name in entries else ()
                entries[name] = Entry(current=version, previous=earlier)
                known = {**values.get(name, {}), version.version: revealed}
                values[name] = {kept.version: known[kept.version] for kept in entries[name].all()}
                versions[name] = version.version
            self._save(entries, values)
            return versions

    def describe(self, name: str, public: Mapping[str, Json]) -> None:
        """Exchanges the public parts of the present version of `name`; the version stays.

        Raises:
            NoSuchSecretError: there is no such entry.
        """
        with self._turn:
            entry = self.index.entry(name)
            _check_public(name, self.secret(name).reveal(), public)
            changed = replace(entry, current=replace(entry.current, public=dict(public)))
            self._save({**self.index.entries, name: changed}, self._reader.opened.values)

    def remove(self, name: str) -> None:
        """Removes `name` with all its versions; an absent one is fine."""
        with self._turn:
            if name in self.index.entries:
                self._save(
                    {kept: entry for kept, entry in self.index.entries.items() if kept != name},
                    {kept: values for kept, values in self._reader.opened.values.items() if kept != name},
                )

    def rekey(self, key: KeySource) -> None:
        """Seals the store under another key from now on. Copies made before still open with the old one."""
        with self._turn:
            parameters = key.parameters()
            self._save(
                self.index.entries, self._reader.opened.values, Key(key.derive(parameters), parameters)
            )

    def close(self) -> None:
        """Ends writing; done by `writer` before the lock goes."""
        with self._turn:
            self._closed = True

    def _save(self, entries: Mapping[str, Entry], values: Values, key: Key | None = None) -> None:
        if self._closed:
            raise RuntimeError("this writer's lock is gone")
        if files.read(self._path) != self._data:
            raise Refused(
                f"the sealed store {self._path} was changed by something else while this run wrote it",
                why="a copy was put in its place, or it was edited",
                do="keep both copies, find out which is right, then run the same command again",
            )
        opened = Opened(values, self._reader.opened.seed)
        data = envelope.seal(entries, opened, key=key or self._key, before=self.index)
        try:
            files.replace(self._path, data)
        finally:
            # A failure after the rename leaves the new file there: what holds is what stands on the disk.
            if files.read(self._path) == data:
                self._data = data
                self._key = key or self._key
                self._reader = Reader(envelope.parse(data, str(self._path)).index, opened)


def _check_public(name: str, value: str, public: Mapping[str, Json]) -> None:
    if len(value) >= 4 and canonical.dumps(value)[1:-1] in canonical.dumps(dict(public)):
        raise BadInput(f"the public part of {name!r} contains the secret itself")
