"""Who made a thing: the mark that stands on it, or in its realm's ledger, and the one form in which it is written.

What a thing can carry decides where the mark stands (a VM's extraConfig, a bucket's tags, a comment in a file); what it
says, and what counts as one, is the same everywhere.
"""

from __future__ import annotations

import dataclasses

from paver.engine.values import ResourceId
from paver.signing import canonical
from paver.signing.canonical import Json

MARK_KEY = "paver.mark"
"""The name under which a thing carries its mark, where it has names for what it carries."""


@dataclasses.dataclass(frozen=True)
class Mark:
    """Who made a thing: it stands on the thing itself, or in the realm's ledger.

    Attributes:
        site: whose it is.
        id: the resource that it was made for, by the name that the site file gives it now.
        action: the action that wrote the mark last.
        complete: False from the intent until the thing stands.
        was: the id that the mark still bears in the world, where the site file's `moved` renamed it; never written.
    """

    site: str
    id: ResourceId
    action: str
    complete: bool
    was: ResourceId | None = None

    def names(self, site: str, id_: str) -> bool:
        """Returns whether it stands for that resource of that site: another site has the same ids."""
        return (self.site, self.id) == (site, id_)

    def document(self) -> dict[str, Json]:
        """Returns the mark as JSON's types; its bearer may put more beside these keys."""
        return {"action": self.action, "complete": self.complete, "id": self.id, "site": self.site}

    def dumps(self) -> str:
        """Returns the mark as text."""
        return canonical.dumps(self.document()).decode()

    @classmethod
    def of(cls, document: object) -> Mark | None:
        """Returns the mark in a document, None where it holds none of paver's: then its bearer is foreign."""
        match document:
            case {"action": str(action), "complete": bool(complete), "id": str(id_), "site": str(site)}:
                return cls(site, ResourceId(id_), action, complete)
            case _:
                return None

    @classmethod
    def loads(cls, text: str | None) -> Mark | None:
        """Returns the mark in a text, None where it is none of paver's."""
        try:
            return cls.of(canonical.loads(text or ""))
        except canonical.CanonicalError:
            return None
