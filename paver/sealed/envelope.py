"""The sealed store's file, `paver.sealed/1`. Pure: bytes in, values out.

Four lines, each ended by a newline:

    1 header     canonical JSON: format, store, generation, ancestry, key, salt, commitment
    2 index      canonical JSON: names, versions, public parts, history: no value, and nothing made from one
    3 sealed     base64 of AES-256-GCM(values and signing seed); associated data: lines 1 and 2 as they stand
    4 signature  hex of Ed25519 over the SHA-256 of lines 1 to 3

Who protects what:

- **The key** opens line 3, and thereby proves lines 1 and 2: whoever has it is deceived by nobody who hasn't.
- **Without the key**, line 4 proves that lines 1 to 3 belong together and to the store whose public key is
  `header.store`. An auditor who knows that key (64 hex digits, printed by `paver secrets`) from elsewhere and
  passes it as `store` is deceived by nobody who lacks the master key. Who doesn't know it sees accidents, such as
  a cut or a flipped bit, but not a whole file that someone else made.
- An older copy of the same store is whole in both views: callers pass the generation that they saw last.

The AES key comes from the master key by HKDF-SHA256 with a salt that's new in every generation, so it encrypts one
message only, and a fixed nonce is right. AES-GCM alone doesn't commit to its key: `commitment`, from the same HKDF,
tells a wrong key from an altered file. `ancestry` holds the digests of earlier generations, newest first, so that a
copy can prove that it descends from another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from paver.sealed.errors import DamagedStoreError, WrongKeyError
from paver.sealed.index import Entry, Index, entries_from_json, entries_to_json
from paver.signing import canonical
from paver.signing.canonical import Json

FORMAT = "paver.sealed/1"
ANCESTORS = 256

_NONCE = bytes(12)

Values = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Envelope:
    """A file that was parsed and whose signature holds, not yet opened."""

    index: Index
    key_parameters: Mapping[str, Json]
    salt: bytes
    commitment: bytes
    bound: bytes
    sealed: bytes


@dataclass(frozen=True)
class Key:
    """The 32 bytes of the master key, and what the header says about how to derive them."""

    master: bytes = field(repr=False)
    parameters: Mapping[str, Json]


@dataclass(frozen=True)
class Opened:
    """What only the key shows: entry name → version → value, and the seed of the signing key."""

    values: Values = field(repr=False)
    seed: bytes = field(repr=False)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an opened store is not pickled")


def new_seed() -> bytes:
    """Returns the seed of a new store's signing key, which is the store's identity."""
    return secrets.token_bytes(32)


def seal(
    entries: Mapping[str, Entry],
    opened: Opened,
    *,
    key: Key,
    before: Index | None,
) -> bytes:
    """Returns the file for the generation that follows `before` (None: the first)."""
    salt = secrets.token_bytes(32)
    sealing, commitment = _derived(key.master, salt)
    signer = Ed25519PrivateKey.from_private_bytes(opened.seed)
    header: dict[str, Json] = {
        "format": FORMAT,
        "store": signer.public_key().public_bytes_raw().hex(),
        "generation": before.generation + 1 if before else 1,
        "ancestry": list[Json]([before.digest, *before.ancestry][:ANCESTORS]) if before else [],
        "key": dict(key.parameters),
        "salt": salt.hex(),
        "commitment": commitment.hex(),
    }
    bound = canonical.dumps(header) + b"\n" + canonical.dumps({"entries": entries_to_json(entries)}) + b"\n"
    values: dict[str, Json] = {name: dict(versions) for name, versions in opened.values.items()}
    plain = canonical.dumps({"seed": opened.seed.hex(), "values": values})
    signed = bound + base64.b64encode(AESGCM(sealing).encrypt(_NONCE, plain, bound)) + b"\n"
    return signed + signer.sign(_to_sign(signed)).hex().encode() + b"\n"


def parse(data: bytes, name: str) -> Envelope:
    """Returns the parts of a file, having checked its form and its signature.

    Args:
        data: the file's content.
        name: what errors call the file.

    Raises:
        DamagedStoreError: with the reason.
    """
    lines = data.split(b"\n")
    if not data.startswith(b"{") or FORMAT.encode() not in lines[0]:
        raise DamagedStoreError(
            f"{name} is not a sealed store that this paver reads",
            why=f"its first line is not a header of {FORMAT}" if data else "the file is empty",
            do="restore it from its newest copy",
        )
    if len(lines) != 5 or lines[4]:
        raise _damaged(name, "it has too few or too many lines: it was cut short, or something was added")
    signed = data[: -len(lines[3]) - 1]
    try:
        header = canonical.loads_exact(lines[0])
        index = canonical.loads_exact(lines[1])
        envelope = _envelope(header, index, bound=signed[: -len(lines[2]) - 1], sealed=lines[2])
        _check_signature(envelope.index.store, lines[3], signed)
    except canonical.CanonicalError as error:
        raise _damaged(name, error.what) from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _damaged(name, "its header or index was altered") from None
    except InvalidSignature:
        raise _damaged(name, "its signature does not belong to its content") from None
    return envelope


def unseal(envelope: Envelope, master: bytes, name: str) -> Opened:
    """Returns the values and the signing seed.

    Raises:
        WrongKeyError: the key is not this store's.
        DamagedStoreError: the key is right, and the file was altered by someone who could sign it anew.
    """
    key, commitment = _derived(master, envelope.salt)
    if not hmac.compare_digest(commitment, envelope.commitment):
        raise WrongKeyError(
            f"this key does not open {name}",
            why="the file is whole, so the key is another store's, the passphrase is wrong, or the store was replaced",
            do="give the key that it was sealed with last: `paver secrets rekey` takes another one",
            seen=f"store {envelope.index.store}, generation {envelope.index.generation}",
        )
    try:
        plain = AESGCM(key).decrypt(_NONCE, envelope.sealed, envelope.bound)
        content = canonical.loads_exact(plain)
    except (InvalidTag, canonical.CanonicalError):
        raise _damaged(name, "its header or index was exchanged by someone without the key") from None
    match content:
        case {"seed": str(seed), "values": dict(found)} if _public(seed) == envelope.index.store:
            values = {entry: _versions(versions) for entry, versions in found.items()}
        case _:
            raise _damaged(name, "what it seals is not of its format")
    if {entry: set(versions) for entry, versions in values.items()} != envelope.index.versions():
        raise _damaged(name, "its index does not match what it seals")
    return Opened(values, bytes.fromhex(seed))


def _envelope(header: Json, index: Json, *, bound: bytes, sealed: bytes) -> Envelope:
    match header, index:
        case (
            {
                "format": "paver.sealed/1",
                "store": str(store),
                "generation": int(generation),
                "ancestry": list(ancestry),
                "key": dict(key),
                "salt": str(salt),
                "commitment": str(commitment),
                **more,
            },
            {"entries": dict(entries), **rest},
        ) if not more and not rest and generation >= 1:
            return Envelope(
                Index(
                    store=store,
                    generation=generation,
                    entries=entries_from_json(entries),
                    digest=hashlib.sha256(bound + sealed).hexdigest(),
                    ancestry=tuple(str(digest) for digest in ancestry),
                ),
                key,
                bytes.fromhex(salt),
                bytes.fromhex(commitment),
                bound,
                base64.b64decode(sealed, validate=True),
            )
        case _:
            raise ValueError("not of the format")


def _versions(versions: Json) -> dict[str, str]:
    if not isinstance(versions, dict):
        return {}
    return {version: value for version, value in versions.items() if isinstance(value, str)}


def _check_signature(store: str, line: bytes, signed: bytes) -> None:
    signature = bytes.fromhex(line.decode("ascii"))
    if signature.hex().encode() != line:
        raise ValueError("not in its one form")
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(store)).verify(signature, _to_sign(signed))


def _to_sign(signed: bytes) -> bytes:
    return FORMAT.encode() + b"\0" + hashlib.sha256(signed).digest()


def _derived(master: bytes, salt: bytes) -> tuple[bytes, bytes]:
    made = HKDF(algorithm=hashes.SHA256(), length=64, salt=salt, info=FORMAT.encode()).derive(master)
    return made[:32], made[32:]


def _public(seed: str) -> str:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)).public_key().public_bytes_raw().hex()


def _damaged(name: str, why: str) -> DamagedStoreError:
    return DamagedStoreError(
        f"{name} is damaged",
        why=why,
        do="restore it from its newest copy; nothing was read from it",
    )
