"""What is published with an image, for whoever reads it: where each of it lies beside the OVA, and how it is read."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from paver.errors import BadInput
from paver.image import bill
from paver.ovf.ova import Ova
from paver.signing import public_line, ssh

NAMESPACE = "paver-image"
"""What a signature of an image is for, as `ssh-keygen -Y sign -n` takes it."""

LONGEST = 2**22
"""Bytes of a document for others' tools, six times what a real image's has."""

_PIECE = 2**22


def stem_of(ova: Path) -> str:
    """Returns what the names of all that is published with `ova` begin with."""
    return ova.name.removesuffix(".ova")


def sums_of(ova: Path) -> Path:
    """Returns where the sums of what is published with an OVA lie."""
    return ova.with_name(f"{stem_of(ova)}.sha256")


def signature_of(sums: Path) -> Path:
    """Returns where the signature over the sums lies."""
    return sums.with_name(f"{sums.name}.sig")


def beside(ova: Path, what: str) -> Path:
    """Returns where a document of an OVA lies: its `bill`, `cdx`, `spdx` or `provenance`."""
    return ova.with_name(f"{stem_of(ova)}.{what}.json")


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file.

    Raises:
        BadInput: it can't be read, or is none.
    """
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def opened(path: Path, *, device: bool = False) -> io.BufferedReader:
    """Opens a file; with `device`, a block device too.

    Raises:
        BadInput: it can't be opened, or is neither: a folder, or a named pipe, which would wait for somebody to write.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode) and not (device and stat.S_ISBLK(mode)):
        os.close(handle)
        raise BadInput(f"{path} is not a file")
    return io.BufferedReader(io.FileIO(handle), 2**20)


def read(path: Path, longest: int = LONGEST) -> bytes:
    """Returns the content of a file of at most `longest` bytes.

    Raises:
        BadInput: it has more, can't be read, or is none.
    """
    with opened(path) as file:
        data = file.read(longest + 1)
    if len(data) > longest:
        raise BadInput(f"{path.name} has more than the {longest} bytes that it may have")
    return data


def bill_of(ova: Path) -> bill.Bill | None:
    """Returns the bill beside an OVA, None where there is none.

    Raises:
        BadInput: what is there is no bill.
    """
    path = beside(ova, "bill")
    return bill.loads(read(path, bill.LONGEST), path.name) if path.exists() else None


def read_key(path: Path) -> bytes:
    """Returns what is in a file with a key or a certificate.

    Raises:
        BadInput: it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}", why="a key or certificate is wanted there"
        ) from error


def public_keys(paths: Sequence[Path]) -> list[str]:
    """Returns the lines of public SSH keys in files.

    Raises:
        BadInput: one can't be read, holds none, or something that is none: it would stand for nobody, and be silent about it.
    """
    found = []
    for path in paths:
        text = read_key(path).decode(errors="replace")
        if "PRIVATE KEY" in text:
            raise BadInput(f"{path} is a private key", do=f"name the public one: {path}.pub")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        for line in lines or [""]:
            kind, encoded, *_ = [*line.split(), "", ""]
            if kind not in public_line.KINDS or not public_line.is_whole(kind, encoded):
                raise BadInput(
                    f"{path} holds {'a line that is ' if lines else ''}no public key",
                    seen=line[:80],
                    why="nobody's signature would be by it",
                    do="name a file with a key a line, as a .pub has it: its kind, then AAAA…",
                )
        found += lines
    return found


def signing_key(path: Path) -> str:
    """Returns the private SSH key in a file.

    Raises:
        BadInput: it can't be read, or signs nothing: a public key, one with a passphrase, or of another kind.
    """
    key = read_key(path).decode(errors="replace")
    try:
        ssh.sign(b"", key, namespace=NAMESPACE)
    except ssh.SignatureError as error:
        raise BadInput(
            f"{path} is no key to sign with",
            why=error.what,
            do="name the file of a private key, as `ssh-keygen -t ed25519 -N '' -f FILE` makes one",
        ) from None
    return key


def take_out(opened: Ova, name: str, target: Path) -> None:
    """Writes the member `name` of an OVA to the file `target`, which is there only once it is whole."""
    draft = target.with_name(f".{target.name}")
    with draft.open("wb") as into:
        shutil.copyfileobj(opened.member(name), into, _PIECE)
    draft.replace(target)
