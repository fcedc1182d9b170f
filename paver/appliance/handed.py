"""YAML that this machine was handed, and what may be said of it: never a piece of it, since a secret may stand there.

What is said goes onto the console, above its login, and into the journal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from paver.errors import BadInput

if TYPE_CHECKING:
    import yaml

LARGEST = 2**20
"""Characters that are read; what a hypervisor keeps has some ten thousand."""

_HARMLESS = re.compile(r"[^'\"]*(?:'(?:<[a-z ]+>|[^\w\s'\"])'[^'\"]*)*")
"""What a message may quote: YAML's own signs, and its words for kinds of them."""


def mapping(text: str, name: str) -> dict[str, Any]:
    """Returns the mapping in `text`.

    Raises:
        BadInput: it is none; `name` is what it is called in the message.
    """
    import yaml  # noqa: PLC0415 - only where something was handed over

    if len(text) > LARGEST:
        raise BadInput(f"{name}: it has {len(text) >> 10} KiB, {LARGEST >> 10} at most are read")
    try:
        # Nothing but texts, lists and mappings: a date that no calendar has would end the reader.
        found = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - makes no objects at all
    except yaml.YAMLError as error:
        raise BadInput(f"{name}: it can't be read{_place(error)}") from None
    except (ValueError, OverflowError):
        raise BadInput(f"{name}: it can't be read: a number in it is out of bounds") from None
    except RecursionError:
        raise BadInput(f"{name}: it can't be read: it is nested too deep") from None
    if not isinstance(found, dict):
        raise BadInput(f"{name}: it is no mapping")
    return found


def of_cloud_init(message: str) -> str:
    """Returns what cloud-init said as far as it can't be a piece of the data; it quotes the line that it stumbles over."""
    words = " ".join(message.split())
    safe = re.split(r"[\"'\[{]|: ", words, maxsplit=1)[0].rstrip(" :")[:300]
    return safe if safe == words else f"{safe} (the rest is in /var/log/cloud-init.log)"


def _place(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    # An alias, an anchor, a tag are quoted in the problem: a password may look like one.
    what = problem if problem and _HARMLESS.fullmatch(problem) else ""
    return f"{where}{f': {what}' if what else ''}"
