"""A disk for what is licensed or huge, and never baked in: vCenter's installer ISO, the BUCC artefact.

A read-only file system, as an ISO, which a host attaches as a CD-ROM as it is, or in a streamOptimized VMDK, which has to be
imported: no host powers a machine on with one that was merely uploaded. It is written in one pass, and each file is read
once: what is digested is what was packed. At its end lie MANIFEST.json (`paver.artefacts/1`: names, sizes, SHA-256) and, where somebody
signed, MANIFEST.json.sig.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from paver.errors import BadInput, naming
from paver.image import host, iso9660, published
from paver.ovf import vmdk
from paver.ovf.write import replacing
from paver.signing import canonical, ssh

FORMAT = "paver.artefacts/1"
NAMESPACE = "paver-artefacts"
"""What a signature of a disk is for, as `ssh-keygen -Y sign -n` takes it."""

MANIFEST, SIGNATURE = "MANIFEST.json", "MANIFEST.json.sig"
_PIECE = 2**20
_SMALL = 2**20


@dataclasses.dataclass(frozen=True, order=True)
class DiskFile:
    """A file on the disk: `size` in bytes, and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disk:
    """A disk as it was made or verified; `size` of its file in bytes, `signer` the fingerprint of who signed, or empty."""

    size: int
    artefacts: tuple[DiskFile, ...]
    signer: str


class _Linear(Protocol):
    """Bytes from front to end."""

    def read(self, size: int, /) -> bytes: ...
    def rest(self) -> Iterator[bytes]: ...


def make(out: Path, files: Sequence[Path], tell: Callable[[int, int], None], sign: str | None = None) -> Disk:
    """Makes the disk `out` of `files`, replacing what is there only once it is whole.

    Args:
        out: the disk: an ISO where its name ends so, else a VMDK.
        files: what goes on it, under their own names.
        tell: told how many bytes of how many are packed.
        sign: a private SSH key (Ed25519), or None.

    Raises:
        BadInput: a file can't be read, is none, changes while it is read, or its name can't be an artefact's; the disk
            would take the place of one of them, or can't lie where it is to be made.
        PaverError: there is no room for it, as far as that can be told before.
    """
    with contextlib.ExitStack() as stack:
        opened = [(path.name, stack.enter_context(published.opened(path))) for path in files]
        opened.sort(key=operator.itemgetter(0))
        sizes = [(name, os.fstat(file.fileno()).st_size) for name, file in opened]
        empty = [DiskFile(name, size, "0" * 64) for name, size in sizes]
        tail = [(MANIFEST, len(_manifest(empty)))]
        if sign is not None:
            tail.append((SIGNATURE, len(ssh.sign(b"", sign, namespace=NAMESPACE))))
        if not files or {MANIFEST, SIGNATURE} & {name for name, _ in sizes}:
            raise BadInput(
                "a disk of artefacts is made of at least one file, none of them called MANIFEST.json"
            )
        if any(out.exists() and out.samefile(path) for path in files):
            raise BadInput(
                f"{out} goes on the disk, and would be replaced by it", do="name another disk with --out"
            )
        planned = iso9660.plan([*sizes, *tail])
        found: list[DiskFile] = []
        into = stack.enter_context(replacing(out))
        raw = out.suffix.lower() == ".iso"
        if raw:  # What a VMDK takes of it nobody knows before.
            host.require_room(out.parent, planned.size, what="the disk of artefacts", variable="--out")
        pieces = _pieces(planned, [file for _, file in opened], found, sign, tell)
        if raw:
            into.writelines(pieces)
            size = planned.size
        else:
            size = vmdk.write_vmdk(pieces, into, capacity=planned.size).size
    return Disk(
        size=size,
        artefacts=tuple(found),
        signer="" if sign is None else ssh.fingerprint(ssh.public(sign)),
    )


def check(disk: Path, keys: Sequence[str] = (), tell: Callable[[int, int], None] = lambda *_: None) -> Disk:
    """Reads a disk from front to end, and returns what is on it.

    Args:
        disk: the ISO, the VMDK, or the device that it became.
        keys: public SSH keys of those who may have signed it; with none, a signature is not asked for.
        tell: told how many bytes of how many are read.

    Raises:
        BadInput: it is none, or a file on it is not what the manifest says.
        SignatureError: it is not signed, or by somebody else.
    """
    with published.opened(disk, device=True) as file:
        size = file.seek(0, os.SEEK_END)
        if size > 2 * iso9660.LARGEST:
            raise BadInput(f"{disk.name} has {size} bytes, more than a disk of artefacts may have")
        file.seek(0)
        source = _linear(file, disk.name)
        start = source.read(iso9660.FIRST)
        at, length = iso9660.folder_of(start, disk.name)
        listed = iso9660.planned(start + source.read(at + length - len(start)), disk.name).files
        digests: dict[str, str] = {}
        kept: dict[str, bytes] = {}
        done, total = 0, sum(each.padded for each in listed)
        for each in listed:
            digest = hashlib.sha256()
            if each.name in {MANIFEST, SIGNATURE}:
                if each.size > _SMALL:
                    raise BadInput(f"{disk.name} has a {each.name} of {each.size} bytes")
                kept[each.name] = source.read(each.size)
                source.zeros(each.padded - each.size)
                continue
            left = each.size
            while left:
                piece = source.read(min(_PIECE, left))
                digest.update(piece)
                left -= len(piece)
                done += len(piece)
                tell(done, total)
            source.zeros(each.padded - each.size)
            digests[each.name] = digest.hexdigest()
        source.rest()
    artefacts = loads(kept.get(MANIFEST, b""), disk.name)
    _compare(disk.name, artefacts, {each.name: each.size for each in listed}, digests)
    return Disk(size=size, artefacts=artefacts, signer=_signer(disk.name, kept, keys))


def loads(data: bytes, where: str) -> tuple[DiskFile, ...]:
    """Returns what a manifest lists.

    Raises:
        BadInput: it is none.
    """
    document: Any = canonical.loads(data)
    try:
        if document["format"] != FORMAT or document.keys() != {"files", "format"}:
            raise BadInput(f"{where} has a manifest of another version", seen=str(document["format"])[:80])
        return tuple(
            DiskFile(str(row["name"]), int(row["size"]), str(row["sha256"])) for row in document["files"]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{where} has no manifest", seen=f"{type(error).__name__}: {error}") from error


def _pieces(
    planned: iso9660.Plan,
    files: Sequence[IO[bytes]],
    found: list[DiskFile],
    sign: str | None,
    tell: Callable[[int, int], None],
) -> Iterator[bytes]:
    """Yields the disk's bytes in order; `found` gets each artefact once its last byte was handed out."""
    yield planned.head
    done = 0
    for place, file in zip(planned.files, files, strict=False):
        digest = hashlib.sha256()
        left = place.size
        while piece := _read(file, min(_PIECE, left + 1), place.name):
            if len(piece) > left:
                break
            digest.update(piece)
            yield piece
            left, done = left - len(piece), done + len(piece)
            tell(done, planned.size)
        if left or piece:
            raise BadInput(f"{place.name} was changed while it was read", do="try again when it is complete")
        yield bytes(place.padded - place.size)
        found.append(DiskFile(place.name, place.size, digest.hexdigest()))
    manifest = _manifest(found)
    tail = [manifest] if sign is None else [manifest, ssh.sign(manifest, sign, namespace=NAMESPACE).encode()]
    for content in tail:
        yield content + bytes(-len(content) % iso9660.BLOCK)


def _read(file: IO[bytes], size: int, name: str) -> bytes:
    """Reads from an artefact: a stick that is broken is no fault of where the disk is made."""
    with naming(name):
        return file.read(size)


def _manifest(artefacts: Sequence[DiskFile]) -> bytes:
    rows = [dataclasses.asdict(each) for each in artefacts]
    return canonical.dumps({"files": rows, "format": FORMAT}) + b"\n"


def _compare(
    where: str, artefacts: Sequence[DiskFile], sizes: dict[str, int], digests: dict[str, str]
) -> None:
    names = {each.name for each in artefacts}
    if odd := sorted(names ^ digests.keys()):
        raise BadInput(f"{where}: manifest and disk do not list the same files", seen=", ".join(odd)[:200])
    for each in artefacts:
        if (sizes[each.name], digests[each.name]) != (each.size, each.sha256):
            raise BadInput(
                f"{where}: {each.name} is not what the manifest says",
                seen=f"sha256 {digests[each.name]}, {sizes[each.name]} bytes",
                why=f"the manifest has sha256 {each.sha256}, {each.size} bytes",
                do="make or fetch the disk again",
            )


def _signer(where: str, kept: dict[str, bytes], keys: Sequence[str]) -> str:
    if not keys:
        return ""
    if SIGNATURE not in kept:
        raise ssh.SignatureError(f"{where} is not signed", do="have it made with --sign KEY")
    armoured = kept[SIGNATURE].decode(errors="replace")
    return ssh.verify(kept[MANIFEST], armoured, keys, namespace=NAMESPACE).fingerprint


class _Grains:
    """A VMDK's disk as a file that is read from front to end."""

    def __init__(self, source: vmdk.Source, name: str) -> None:
        reader = vmdk.Reader(source, name=name, max_capacity=2 * iso9660.LARGEST)
        self._grains = reader.grains()
        self._name = name
        self._at, self._end = 0, reader.capacity
        self._next: tuple[int, bytes] | None = next(self._grains, None)

    def read(self, size: int, /) -> bytes:
        """Returns the next `size` bytes, zeros where nothing was written, less only at the end."""
        parts = []
        size = min(size, self._end - self._at)
        while size:
            offset, grain = self._next or (self._end, b"")
            if self._at < offset:
                part = bytes(min(size, offset - self._at))
            else:
                part = grain[self._at - offset : self._at - offset + size]
                if self._at + len(part) == offset + len(grain):
                    self._next = next(self._grains, None)
            parts.append(part)
            self._at, size = self._at + len(part), size - len(part)
        return b"".join(parts)

    def rest(self) -> Iterator[bytes]:
        """Yields what was written behind what is read so far, and reads the tables, which are checked by that."""
        while self._next is not None:
            offset, grain = self._next
            yield grain[max(0, self._at - offset) :]
            self._next = next(self._grains, None)


class _Device:
    """A device, or a raw disk in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.read = file.read

    def rest(self) -> Iterator[bytes]:
        """Yields what lies behind what is read so far."""
        while piece := self._file.read(_PIECE):
            yield piece


class _Whole:
    """Hands out exactly what is asked for, or says that the disk is cut short, or has more on it."""

    def __init__(self, source: _Linear, name: str) -> None:
        self._source, self._name = source, name

    def read(self, size: int, /) -> bytes:
        """Returns `size` bytes."""
        data = self._source.read(size) if size else b""
        if len(data) < size:
            raise BadInput(f"{self._name} is cut short, or no disk of artefacts", do="make or fetch it again")
        return data

    def zeros(self, size: int) -> None:
        """Reads `size` bytes, in which nothing may be."""
        self._require_nothing(self.read(size))

    def rest(self) -> None:
        """Reads to the end, where nothing may be either."""
        for piece in self._source.rest():
            self._require_nothing(piece)

    def _require_nothing(self, piece: bytes) -> None:
        if piece.count(0) < len(piece):
            raise BadInput(
                f"{self._name} holds something behind a file, which no digest covers",
                do="make or fetch it again",
            )


def _linear(file: IO[bytes], name: str) -> _Whole:
    magic = file.read(4)
    file.seek(0)
    return _Whole(_Grains(file, name) if magic == b"KDMV" else _Device(file), name)
