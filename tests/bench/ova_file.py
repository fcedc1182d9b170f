"""An OVA of a given size that both tools can verify.

govc compares the host's SHA-1 with the manifest's, so the manifest is of SHA-1; paver's own OVAs have SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import random
import tarfile
from pathlib import Path

from paver.ovf.write import make_ova

_PIECE = 1 << 20


def make(path: Path, megabytes: int) -> None:
    """Makes an OVA with a disk of so many 10^6 bytes that do not compress."""
    raw = path.with_suffix(".raw")
    source = random.Random(megabytes)  # noqa: S311 - the same bytes on every machine, nothing secret
    left = megabytes * 10**6
    with raw.open("wb") as file:
        while left > 0:
            file.write(source.randbytes(min(_PIECE, left)))
            left -= _PIECE
    make_ova(path, name="bench", disk=raw, networks=("VM Network",))
    raw.unlink()
    _with_sha1(path)


def _with_sha1(path: Path) -> None:
    """Writes a manifest of SHA-1 over the one of SHA-256: it is shorter, so it fits where that one lies."""
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    with path.open("r+b") as file:
        lines = [
            f"SHA1({member.name})= {_sha1(file.fileno(), member)}\n"
            for member in members
            if not member.name.endswith(".mf")
        ]
        text = "".join(lines).encode()
        manifest = next(member for member in members if member.name.endswith(".mf"))
        manifest.size = len(text)
        file.seek(manifest.offset)
        file.write(manifest.tobuf(tarfile.USTAR_FORMAT))
        file.write(text.ljust(tarfile.BLOCKSIZE, b"\0"))


def _sha1(descriptor: int, member: tarfile.TarInfo) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    at, end = member.offset_data, member.offset_data + member.size
    while at < end:
        piece = os.pread(descriptor, min(_PIECE, end - at), at)
        digest.update(piece)
        at += len(piece)
    return digest.hexdigest()
