"""That a first boot came to its end: which way, and by what the machine is reached and known.

It lies on the machine's own disk, not with the state: no data disk that comes, goes or fails may open the form again.
What another machine left, on a disk that was copied, counts as nothing.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from paver import own_files

FILE = "etc/paver/firstboot.done"
SCHEMA = "paver.firstboot/1"
WAYS = {
    "guestinfo": "by guestinfo",
    "nocloud": "by a NoCloud disk",
    "console": "by the console's form",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """How the first boot ended.

    Attributes:
        way: `guestinfo`, `nocloud` or `console`.
        machine: the machine's id.
        address: without prefix, None if it has none.
        prefix: of its network.
        fingerprint: `SHA256:…` of its Ed25519 host key.
        answers: what the form was told, without a password; empty for the other ways.
        closed: whether the console's form is closed to whoever stands before it.
    """

    way: str
    machine: str
    address: str | None
    prefix: int | None
    fingerprint: str | None
    answers: dict[str, Any] = dataclasses.field(default_factory=dict)
    closed: bool = False


def dumps(ended: Ended) -> str:
    """Returns it as text."""
    return json.dumps({"schema": SCHEMA, **dataclasses.asdict(ended)}, indent=1, sort_keys=True) + "\n"


def loads(text: str, machine: str) -> Ended | None:
    """Returns how it ended by `text`, None where that does not say so, or is another machine's."""
    try:
        found = json.loads(text)
        if found.pop("schema") != SCHEMA:
            return None
        ended = Ended(**found)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return ended if ended.machine == machine and ended.way in WAYS else None


def read(root: Path) -> Ended | None:
    """Returns how this machine's first boot ended, None where it did not."""
    try:
        return loads((root / FILE).read_text(), machine_id(root))
    except (OSError, UnicodeDecodeError):
        return None


def write(root: Path, ended: Ended) -> None:
    """Writes it: whole, or not at all."""
    put(root / FILE, dumps(ended), 0o644)


def machine_id(root: Path) -> str:
    """Returns the machine's id, which systemd makes at its first boot."""
    try:
        return (root / "etc/machine-id").read_text().strip()
    except OSError:
        return ""


def put(path: Path, text: str, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Writes a file so that it is there whole, with its mode and on the disk, or is as it was; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own_files.put(path, text.encode(), mode, exact=True, owner=owner)
