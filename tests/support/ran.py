"""What a command printed, and what it should have."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from tests.support import documents


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as JSON, held to the schema of what it says that it is."""
        return documents.held(json.loads(self.out))

    @property
    def told(self) -> str:
        """All that it printed."""
        return self.out + self.err


def refused(ran: Ran, code: int, *words: str) -> None:
    """Asserts how a command ended, and that each of `words` stands in its error, in this order."""
    assert ran.code == code, ran.told
    at = ran.err.find("error: ")
    assert at >= 0, ran.told
    for word in words:
        found = ran.err.find(word, at)
        assert found >= 0, f"{word!r} is not where it should be:\n{ran.err}"
        at = found
