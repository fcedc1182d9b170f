"""What proves who somebody is: pins, public keys, and references to secrets. Never a secret itself."""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from paver.signing import public_line
from paver.sitefile.values import shown, written, wrong

_FINGERPRINT = re.compile(r"[0-9a-f]{64}\Z")
_OPENSSL = re.compile(r"sha256 fingerprint=([0-9a-f]{2}(?::[0-9a-f]{2}){31})\Z", re.IGNORECASE)
"""`openssl x509 -fingerprint -sha256`: openssl 3 begins in lower case, those before it in capitals."""

_FINGERPRINT_ADVICE = (
    "`sha256:` and 32 bytes in hexadecimal, as the host's console shows it; `paver preflight --show-pins` prints "
    "what it sees. Compare the two before you write it down."
)


def _fingerprint(text: str) -> str:
    kind, colon, value = text.strip().partition(":")
    plain = value.replace(":", "").lower()
    if colon and kind.lower() == "sha256" and _FINGERPRINT.match(plain):
        return "sha256:" + ":".join(plain[i : i + 2] for i in range(0, 64, 2))
    said = re.match(r"sha1(:| fingerprint=)", text.strip(), re.IGNORECASE)
    bare = text.strip()[said.end() if said else 0 :].replace(":", "").lower()
    if said or re.fullmatch(r"[0-9a-f]{40}", bare):
        raise wrong(
            "a SHA-1 fingerprint does not identify a host",
            "SHA-1 can be forged. Use SHA-256: " + _FINGERPRINT_ADVICE,
        )
    if re.fullmatch(r"[0-9a-f]{64}", bare):
        raise wrong("the fingerprint doesn't say its kind", f"Did you mean sha256:{text.strip()}?")
    if pasted := _OPENSSL.match(text.strip()):
        raise wrong("this is openssl's line, not the fingerprint alone", f"Did you mean sha256:{pasted[1]}?")
    raise wrong(f"{shown(text)} is not a fingerprint", _FINGERPRINT_ADVICE)


Fingerprint = Annotated[
    str,
    *written(
        _fingerprint, str, "a SHA-256 fingerprint", _FINGERPRINT_ADVICE, r"^[sS][hH][aA]256:[0-9a-fA-F:]+$"
    ),
]
"""`sha256:` and 32 lower-case hexadecimal bytes joined by colons."""

_SSH_ADVICE = "One line as in a `.pub` file: `ssh-ed25519 AAAA… comment`. Never the private key."


def _ssh_key(text: str) -> str:
    if "PRIVATE KEY" in text:
        raise wrong("this is a private key, not a public one", _SSH_ADVICE)
    words = text.split()
    if len(words) < 2 or words[0] not in public_line.KINDS or not text.isprintable():
        raise wrong(f"{shown(text)} is not a public SSH key", _SSH_ADVICE)
    if not public_line.is_whole(words[0], words[1]):
        raise wrong(f"the {words[0]} key is cut short or damaged", _SSH_ADVICE)
    return " ".join(words)


SshKey = Annotated[str, *written(_ssh_key, str, "a public SSH key", _SSH_ADVICE)]


_SECRET_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._/-]{0,126}[a-z0-9])?\Z")
LITERAL_ADVICE = (
    "Write `secret:<name>`, and put the value in the sealed store: `paver secrets set <name>`. If this was a real "
    "password, change it: the file may already be in a repository."
)


@dataclasses.dataclass(frozen=True, order=True)
class SecretRef:
    """The name of a value in the sealed store; written `secret:<name>`."""

    name: str

    def __str__(self) -> str:
        return f"secret:{self.name}"


def _secret(value: object) -> SecretRef:
    if isinstance(value, SecretRef):
        return value
    if isinstance(value, str) and value.startswith("secret:"):
        if not _SECRET_NAME.match(value.removeprefix("secret:")):
            meant = value.removeprefix("secret:").strip().lower()
            hint = f"Did you mean secret:{meant}? " if _SECRET_NAME.match(meant) else ""
            raise wrong(
                "this is not the name of a secret",
                f"{hint}`secret:` and a name of lower-case letters, digits, `-`, `_`, `.` and `/`.",
            )
        return SecretRef(value.removeprefix("secret:"))
    raise wrong("a value stands where a reference to a secret belongs", LITERAL_ADVICE)


Reference = Annotated[
    SecretRef,
    BeforeValidator(_secret),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": "^secret:", "x-paver-type": "reference to a secret"}),
]

_KEY_FILE_ADVICE = "`file:` and the path of the key file, or `passphrase` to be asked for it."


def _key_file(value: object) -> str:
    if isinstance(value, str) and (value == "passphrase" or value.startswith("file:")):
        if len(value) == len("file:") or not value.isprintable():
            raise wrong("this is not the path of a file", _KEY_FILE_ADVICE)
        return value
    raise wrong("a value stands where the place of the key belongs", _KEY_FILE_ADVICE)


KeySource = Annotated[
    str,
    BeforeValidator(_key_file),
    WithJsonSchema({"type": "string", "pattern": "^(file:.+|passphrase)$", "x-paver-type": "place of a key"}),
]
"""Where the key of the sealed store is: `file:<path>` or `passphrase`."""
