"""Where the key of a sealed store comes from.

    file:/path             32 random bytes, raw or in base64, readable by nobody else: the default
    passphrase             asked for, stretched by scrypt (RFC 7914) with the parameters in the store's header
    passphrase-file:/path  the same out of a file, where nobody can be asked: on a command line alone

A site file takes the first two (`for_site_file`).
There is no `env:`: a variable is inherited by every job that paver starts, vendors' tools included.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from paver.errors import BadInput, unwritten
from paver.sealed.errors import WrongKeyError
from paver.signing.canonical import Json

KEY_BYTES = 32
_MOST = 4096
"""Bytes that a key or a passphrase may take."""
PASSPHRASE_MINIMUM = 12
ELSEWHERE = "name another place with --key, and in the site file under secrets.key"
"""What to do where a key file cannot be written."""

# 128 MiB and about 0.4 s a guess: OWASP's recommendation for scrypt.
_SCRYPT_N = 2**17
_SCRYPT_N_MAX = 2**20


class KeySource(Protocol):
    """Gives the master key of a store; asked once per opening."""

    def parameters(self) -> dict[str, Json]:
        """Returns what a new store's header says about how to derive the key."""

    def derive(self, parameters: Mapping[str, Json]) -> bytes:
        """Returns the 32 bytes of the master key for a store whose header says `parameters`.

        Raises:
            BadInput: the source cannot be read, or gives no key.
            WrongKeyError: the store wants another kind of key.
        """


@dataclass(frozen=True)
class KeyFile:
    """A file with 32 random bytes, raw or in base64, that group and others can't read."""

    path: Path

    def parameters(self) -> dict[str, Json]:
        """Returns the header's parameters."""
        return {"mode": "file"}

    def derive(self, parameters: Mapping[str, Json]) -> bytes:
        """Returns the key in the file."""
        if parameters.get("mode") != "file":
            raise WrongKeyError(
                "this store opens with a passphrase, not with a key file", do="set secrets.key to passphrase"
            )
        try:
            return _key(_own(self.path, "key file", stat.S_ISREG), self.path)
        except OSError as error:
            raise BadInput(
                f"the key file {self.path} can't be read",
                why=error.strerror or "",
                do="set secrets.key to the site's key file; without it the sealed store can't be opened",
            ) from error


@dataclass(frozen=True)
class Passphrase:
    """A passphrase that `ask` returns, stretched by scrypt; `cost` is scrypt's N for a new store."""

    ask: Callable[[], str]
    cost: int = _SCRYPT_N

    def parameters(self) -> dict[str, Json]:
        """Returns the header's parameters, with a new random salt."""
        return {"mode": "scrypt", "n": self.cost, "r": 8, "p": 1, "salt": secrets.token_hex(16)}

    def derive(self, parameters: Mapping[str, Json]) -> bytes:
        """Returns the key stretched from the passphrase."""
        # Imported here: key files are the rule, and OpenSSL's bindings cost 20 ms.
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415

        if parameters.get("mode") != "scrypt":
            raise WrongKeyError(
                "this store opens with a key file, not with a passphrase", do="set secrets.key to file:/path"
            )
        match parameters:
            case {"n": int(n), "r": 8, "p": 1, "salt": str(salt)} if 2 <= n <= _SCRYPT_N_MAX and not n & (
                n - 1
            ):
                pass
            case _:
                raise WrongKeyError("this store's scrypt parameters are beyond what paver uses")
        passphrase = self.ask()
        if len(passphrase) < PASSPHRASE_MINIMUM:
            raise BadInput(f"a passphrase has {PASSPHRASE_MINIMUM} characters or more")
        return Scrypt(salt=bytes.fromhex(salt), length=KEY_BYTES, n=n, r=8, p=1).derive(passphrase.encode())


def missing(why: str, *, named: str, sealed: Path) -> BadInput:
    """Returns what says that the key of a sealed store is not there, and how to get it.

    Args:
        why: what it is needed for, as in `to act`; empty where that is plain.
        named: `secrets.key` of the site file.
        sealed: the store's file, be it there or not.
    """
    there = sealed.exists()
    return BadInput(
        f"the sealed store's key is needed {why}".rstrip(),
        seen=f"secrets.key: {named}, which is not there",
        why=f"nothing else opens {sealed}" if there else "",
        do=f"{'bring it back from its copy' if there else 'make one with `paver secrets init`'}, or name it with --key",
    )


def key_source(
    reference: str, *, ask: Callable[[], str] | None = None, base: Path | None = None
) -> KeySource:
    """Returns the source that `secrets.key` of a site file or `--key` names.

    Args:
        reference: `file:/path`, `passphrase` or `passphrase-file:/path`.
        ask: asks the user for the passphrase; None where nobody can be asked.
        base: the folder that a relative path is relative to; `~` is the user's home, as in every other path.

    Raises:
        BadInput: another form, or a passphrase where nobody can be asked.
    """
    form, _, path = reference.partition(":")
    if form == "file" and path:
        return KeyFile((base or Path()) / Path(path).expanduser())
    if form == "passphrase-file" and path:
        return Passphrase(lambda: _passphrase((base or Path()) / Path(path).expanduser()))
    if reference == "passphrase" and ask is not None:
        return Passphrase(ask)
    if reference == "passphrase":
        raise BadInput(
            "the sealed store's key is a passphrase, and there is no terminal to ask for it",
            do="run it on a terminal, or use a key file: secrets.key: file:/path",
        )
    if reference.startswith("env:"):
        raise BadInput(
            "a key in an environment variable is not taken",
            why="every tool that paver starts would inherit it",
            do="write it to a file of mode 0600 on tmpfs and set secrets.key to file:/path",
        )
    raise BadInput("this is no place for the sealed store's key", do="write file:/path or passphrase")


def for_site_file(reference: str) -> str:
    """Returns what a site file says where a command line said `reference`: there a passphrase is asked for."""
    return "passphrase" if reference.startswith("passphrase-file:") else reference


def new_key_file(path: Path) -> KeyFile:
    """Writes a new random key to `path` (mode 0600) and returns its source.

    Raises:
        BadInput: the file exists, or can't be written there.
        PaverError: this machine's disk refuses.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(descriptor)
    except FileExistsError as error:
        raise BadInput(
            f"the key file {path} is there already",
            why="an existing key is never overwritten: what it seals would be lost",
            do="use it, or name another file",
        ) from error
    except OSError as error:
        raise unwritten(error, f"the key file {path} can't be written", ELSEWHERE) from error
    return KeyFile(path)


def _own(path: Path, what: str, *kinds: Callable[[int], bool]) -> bytes:
    """Returns the beginning of a file that opens the store; nobody else may have read it.

    Args:
        path: of the file.
        what: it is, for messages.
        kinds: one of these tells of its mode that it is such a file.

    Raises:
        BadInput: others may read it, or it is theirs.
        OSError: it can't be read.
    """
    # O_NONBLOCK: opening a fifo must not hang.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not any(kind(status.st_mode) for kind in kinds):
            raise BadInput(f"the {what} {path} is not a regular file")
        if status.st_mode & 0o077:
            raise BadInput(
                f"the {what} {path} is open to other users",
                seen=f"mode {stat.S_IMODE(status.st_mode):04o}",
                do=f"chmod 600 {path}; if others had access, take a new key with `paver secrets rekey`",
            )
        if status.st_uid not in {0, os.geteuid()}:
            raise BadInput(
                f"the {what} {path} belongs to another user",
                seen=f"uid {status.st_uid}",
                do="it should belong to root or to the user who runs paver",
            )
        # What stands behind a pipe may be at work still; of one that nobody opened for writing there is nothing.
        os.set_blocking(descriptor, True)
        content = bytearray()
        while len(content) < _MOST and (piece := os.read(descriptor, _MOST)):
            content += piece
        return bytes(content)
    finally:
        os.close(descriptor)


def _passphrase(path: Path) -> str:
    try:
        # A pipe too: `passphrase-file:<(…)` is how a vault's client gives one.
        return _own(path, "passphrase's file", stat.S_ISREG, stat.S_ISFIFO).decode("utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"no passphrase can be read from {path}",
            why=(error.strerror or "") if isinstance(error, OSError) else "it is no text in UTF-8",
            do="name a file with the passphrase alone, or --key passphrase to be asked",
        ) from error


def _key(content: bytes, path: Path) -> bytes:
    if len(content) == KEY_BYTES:
        return content
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadInput(
            f"the key file {path} holds no key",
            why="a key is 32 random bytes, raw or in base64",
            do="restore it from its backup; a store can't be opened with a new one",
        )
    return key
