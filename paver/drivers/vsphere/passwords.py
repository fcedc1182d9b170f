"""The passwords that vCenter's installer and the appliance take.

The rules are the intersection of what the installer, the appliance's root account and the SSO domain accept, so
that one rule holds for all three. The installer itself refuses only after minutes, or asks on a terminal.
"""

from __future__ import annotations

import itertools
import string

MINIMUM = 8
MAXIMUM = 20
IN_A_ROW = 3
"""How often SSO takes the same character in a row."""

SPECIALS = "!#$%&+-=?@^_|"
"""The special characters that no step of the installer stumbles over."""

_FORBIDDEN = frozenset("*{}[]()/\\'\"`~,;:.<> ")
_VISIBLE = frozenset(string.digits + string.ascii_letters + string.punctuation)


def faults(password: str) -> tuple[str, ...]:
    """Returns which rules a password breaks, in words that don't tell anything else about it."""
    found = []
    if not MINIMUM <= len(password) <= MAXIMUM:
        found.append(f"it must have {MINIMUM} to {MAXIMUM} characters")
    kinds = (
        ("an upper-case letter", string.ascii_uppercase),
        ("a lower-case letter", string.ascii_lowercase),
        ("a digit", string.digits),
        (f"one of {SPECIALS}", SPECIALS),
    )
    found += [f"it lacks {kind}" for kind, characters in kinds if not set(password) & set(characters)]
    if set(password) & _FORBIDDEN:
        found.append("it holds a space or one of * { } [ ] ( ) / \\ ' \" ` ~ , ; : . < >")
    if set(password) - _VISIBLE - _FORBIDDEN:
        found.append("it holds a character that isn't visible ASCII")
    if any(len([*same]) > IN_A_ROW for _, same in itertools.groupby(password)):
        found.append(f"it holds a character more than {IN_A_ROW} times in a row")
    return tuple(found)
