"""What may be wrong with a sealed store.

PaverError
├── DamagedStoreError   1  the file is cut short, altered, or not a sealed store
├── BadInput
│   ├── WrongKeyError       3  the file is whole, but this key does not open it
│   └── NoSuchSecretError   3  the store has no entry, or no version, of that name
└── Refused
    ├── StoreLockedError    4  another process writes it
    ├── MissingStoreError   4  it was seen before, and its file is not there
    ├── RolledBackError     4  older than what was seen before
    └── DivergedError       4  two copies went different ways, or belong to different stores
"""

from __future__ import annotations

from paver.errors import BadInput, PaverError, Refused


class DamagedStoreError(PaverError):
    """The file is cut short, altered, or not a sealed store."""


class WrongKeyError(BadInput):
    """The file is whole, but this key does not open it."""


class NoSuchSecretError(BadInput):
    """The store has no entry, or no version, of that name."""


class StoreLockedError(Refused):
    """Another process writes the store."""


class MissingStoreError(Refused):
    """The store was seen before, and its file is not there."""


class RolledBackError(Refused):
    """The file is older than what was seen before."""


class DivergedError(Refused):
    """Two copies went different ways, or belong to different stores."""
