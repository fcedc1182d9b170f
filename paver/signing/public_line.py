"""A public SSH key's line, as it stands in a `.pub` file. Standard library alone: what every boot runs reads them too."""

from __future__ import annotations

import base64
import struct

KINDS = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
"""The kinds of keys that people log in with."""

PUBLISHED = "guestinfo.paver.host-keys"
"""Where a jumpbox tells its hypervisor its public host keys, in lines like these, base64."""


def parts(encoded: str) -> list[bytes]:
    """Returns the strings that a key's blob consists of (RFC 4253, section 6.6), or nothing if it is damaged."""
    found: list[bytes] = []
    try:
        blob = base64.b64decode(encoded, validate=True)
        while blob:
            (length,) = struct.unpack(">I", blob[:4])
            found.append(blob[4 : 4 + length])
            if len(found[-1]) != length:
                return []
            blob = blob[4 + length :]
    except (ValueError, struct.error):
        return []
    return found


def is_whole(kind: str, encoded: str) -> bool:
    """Tells whether a key's blob is whole, and of that kind."""
    found = parts(encoded)
    return len(found) >= 2 and found[0] == kind.encode()


def fingerprint(blob: bytes) -> str:
    """Returns `SHA256:…` of a key's blob, as `ssh-keygen -l` shows it."""
    import hashlib  # noqa: PLC0415 - loads OpenSSL, and most starts show none

    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
