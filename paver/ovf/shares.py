"""What an OVF asks for of its host beyond processors and memory: shares, reservations and limits. Pure.

On a host that a vCenter manages only that may set them: an OVF that has any is refused there, with
HostAccessRestrictedToManagementServer (vim25; dvork.in, "How I got rid of access to resource settings restricted error"). An image
that was exported from vSphere has them where its machine had.
"""

from __future__ import annotations

import re

_ASKED = re.compile(
    r"\s*<(?P<prefix>(?:[\w.-]+:)?)(?P<name>Reservation|Limit|Weight)\b[^>]*>[^<]*</(?P=prefix)(?P=name)\s*>"
)


def without(text: str) -> str:
    """Returns a descriptor's text without them (rasd:Weight are the shares): what deploys it says how large the machine is."""
    return _ASKED.sub("", text)
