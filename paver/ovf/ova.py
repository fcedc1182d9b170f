"""An OVA as it lies on disk: listed, verified as a whole, and read through windows; nothing is extracted.

with Ova(path) as ova:
    verified = ova.verify()                  # every digest, before a byte is sent
    window = ova.member("disk-1.vmdk")       # reads the archive in place
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from paver.errors import BadInput
from paver.ovf import descriptor, manifest, tar, vmdk
from paver.ovf.model import Descriptor, Disk, File
from paver.ovf.names import href_name

if TYPE_CHECKING:
    from cryptography import x509

    from paver.ovf import certificate

_CHUNK = 4 * 2**20
_USUAL, _SOON = sys.getswitchinterval(), 0.0005
"""Seconds after which a thread that computes gives the interpreter to one that waits: as this process began, and while digesting."""
_GIB = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerifiedFile:
    """A member whose content is what the manifest promised; `digests` in hex by hashlib's names."""

    name: str
    size: int
    digests: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verified:
    """An OVA that is whole; `size` counts the bytes that were digested."""

    descriptor: Descriptor
    files: tuple[VerifiedFile, ...]
    size: int


class Window:
    """One member as a file to read; windows onto the same archive don't disturb each other.

    Attributes:
        name: of the member.
        size: in bytes.
    """

    def __init__(self, handle: int, member: tar.Member, where: str) -> None:
        self._handle = handle
        self._where = where
        self._at = 0
        self.name = member.name
        self.size = member.size
        self._offset = member.offset

    def __len__(self) -> int:
        """Returns the member's size."""
        return self.size

    def readable(self) -> bool:
        """Returns True, as `hashlib.file_digest` asks of a file."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Returns the next `size` bytes, all that are left if it's negative, less only at the end."""
        left = self.size - self._at
        wanted = left if size < 0 else min(size, left)
        data = os.pread(self._handle, wanted, self._offset + self._at)
        if len(data) < wanted:  # pread may stop short at a signal or at 2 GiB; zero means the file shrank
            rest = bytearray(data)
            while len(rest) < wanted:
                more = os.pread(self._handle, wanted - len(rest), self._offset + self._at + len(rest))
                if not more:
                    raise BadInput(f"{self._where} was cut short while it was read", do="fetch it again")
                rest += more
            data = bytes(rest)
        self._at += len(data)
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fills `buffer` with what comes next, as far as the member goes; returns how many bytes that is.

        Nothing is copied but from the system's cache into the buffer: an image has gigabytes.
        """
        wanted = min(len(buffer), self.size - self._at)
        view, done = memoryview(buffer), 0
        while done < wanted:
            count = os.preadv(self._handle, [view[done:wanted]], self._offset + self._at + done)
            if not count:
                raise BadInput(f"{self._where} was cut short while it was read", do="fetch it again")
            done += count
        self._at += done
        return done

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves to `offset`, as a file's `seek`; beyond the end counts as the end."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = min(max(0, base + offset), self.size)
        return self._at

    def tell(self) -> int:
        """Returns where the next `read` starts."""
        return self._at


class Ova:
    """An OVA that is open for reading.

    Args:
        path: the archive.

    Raises:
        BadInput: it can't be read, is no OVA, is cut short, or holds what an OVA may not hold.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            # Without O_NONBLOCK a named pipe of that name would wait for a writer.
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}") from error
        try:
            _require_file(self._handle, path)
            self._state = _state(self._handle)
            self.members = tar.members(self._handle, name=self.name)
            self._by_name = {member.name: member for member in self.members}
            self._ovf = self._descriptor_member()
            data = self._small(self._ovf, descriptor.LONGEST)
            self.descriptor = descriptor.parse(data, where=f"{self.name}: {self._ovf.name}")
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file; windows onto it can't be read any more."""
        self.close()

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def member(self, href: str) -> Window:
        """Returns a window onto the member that `href` names, as a descriptor or an import spec writes it.

        Raises:
            BadInput: there's none.
        """
        name = href if href in self._by_name else href_name(href, where=self.name)
        if name not in self._by_name:
            raise BadInput(f"{self.name} lacks the file {name}", seen=", ".join(sorted(self._by_name)))
        return Window(self._handle, self._by_name[name], self.name)

    def verify(self, *, also: Sequence[str] = ()) -> Verified:
        """Checks structure, then every file's digest, in one pass.

        Args:
            also: algorithms to compute besides the manifest's, such as `sha1`, which ESXi reads back.

        Raises:
            BadInput: anything is missing, too much, or other than the manifest says.
        """
        entries = self._manifest()
        self._check_files(entries)
        self._check_disks()
        files = []
        for name, entry in entries.items():
            member = self._by_name[name]
            with _interpreter_soon():
                digests = _digests(
                    self._handle, member, list(dict.fromkeys([entry.algorithm, *also])), self.name
                )
            if digests[entry.algorithm] != entry.digest:
                raise BadInput(
                    f"{self.name}: {name} is not what its manifest promises",
                    seen=f"{entry.algorithm} {digests[entry.algorithm]}\nmanifest {entry.digest}",
                    why="it was damaged on its way, or changed by someone",
                    do="fetch it again, and compare its digest with the publisher's",
                )
            files.append(VerifiedFile(name=name, size=member.size, digests=digests))
        if _state(self._handle) != self._state:
            raise BadInput(
                f"{self.name} was changed while it was verified", do="try again when it is complete"
            )
        return Verified(descriptor=self.descriptor, files=tuple(files), size=sum(file.size for file in files))

    def check_certificate(self, authorities: tuple[x509.Certificate, ...] = ()) -> certificate.Signed | None:
        """Returns who signed the manifest with a certificate, None where nobody did.

        Raises:
            BadInput: a file that is no certificate, or several, or none where `authorities` are given.
            Refused: it is not over this manifest, or by somebody for whom none of `authorities` vouches.
        """
        certificates = [member for member in self.members if member.name.lower().endswith(".cert")]
        if len(certificates) > 1 or (authorities and not certificates):
            raise BadInput(f"{self.name} holds {len(certificates)} certificates; one is right")
        if not certificates:
            return None
        # Most images have none, and what reads certificates takes a fifth of what a deployment needs to start.
        from paver.ovf import certificate  # noqa: PLC0415

        data = self._small(certificates[0], certificate.LONGEST)
        name = self._manifest_member().name
        manifest_ = self._small(self._by_name[name], manifest.LONGEST)
        where = f"{self.name}: {certificates[0].name}"
        return certificate.check(data, manifest_, name, where=where, authorities=authorities)

    def check_disks(self) -> dict[str, vmdk.Checked]:
        """Reads every disk grain by grain; returns what they hold, by the file's name.

        Raises:
            BadInput: a disk is broken.
        """
        found = {}
        for _, file in self._packed_disks():
            window = self.member(file.href)
            found[window.name] = vmdk.check(window, name=f"{self.name}: {window.name}")
        return found

    def _descriptor_member(self) -> tar.Member:
        names = [member.name for member in self.members if member.name.lower().endswith(".ovf")]
        if len(names) != 1:
            raise BadInput(
                f"{self.name} holds {len(names)} OVF descriptors; an OVA has one", seen=", ".join(names)
            )
        if self.members[0].name != names[0]:
            raise BadInput(
                f"{self.name} starts with {self.members[0].name}, an OVA starts with its descriptor",
                do=f"pack it again: tar --format=ustar -cf {self.name} {names[0]} …",
            )
        return self.members[0]

    def _manifest(self) -> dict[str, manifest.Entry]:
        member = self._manifest_member()
        return manifest.parse(self._small(member, manifest.LONGEST), where=f"{self.name}: {member.name}")

    def _manifest_member(self) -> tar.Member:
        names = [member.name for member in self.members if member.name.lower().endswith(".mf")]
        if len(names) != 1:
            raise BadInput(
                f"{self.name} holds {len(names)} manifests; an OVA has one",
                why="without a manifest nothing tells a whole OVA from a damaged one",
                do="export it with a manifest",
            )
        return self._by_name[names[0]]

    def _check_files(self, entries: Mapping[str, manifest.Entry]) -> None:
        for file in self.descriptor.files:
            member = self._by_name.get(file.href)
            if member is None:
                raise BadInput(
                    f"{self.name} lacks the file {file.href} of its descriptor", do="fetch it again"
                )
            if file.size is not None and file.size != member.size:
                raise BadInput(
                    f"{self.name}: {file.href} has {member.size} bytes, its descriptor says {file.size}",
                    do="fetch it again",
                )
        loose = ("mf", "cert")
        expected = {
            member.name for member in self.members if member.name.lower().rpartition(".")[2] not in loose
        }
        # Whatever it is called: a disk is not exempt by the name of a certificate.
        expected |= {file.href for file in self.descriptor.files}
        if missing := sorted(entries.keys() - self._by_name.keys()):
            raise BadInput(
                f"{self.name} lacks {', '.join(missing)}, which its manifest lists", do="fetch it again"
            )
        if unlisted := sorted(expected - entries.keys()):
            raise BadInput(
                f"{self.name}: the manifest does not list {', '.join(unlisted)}", do="export it again"
            )

    def _packed_disks(self) -> list[tuple[Disk, File]]:
        disks = self.descriptor.disks
        return [(disk, disk.file) for disk in disks if disk.file and "vmdk" in disk.format.lower()]

    def _check_disks(self) -> None:
        for disk, file in self._packed_disks():
            what = f"{self.name}: {file.href}"
            capacity = vmdk.Reader(self.member(file.href), name=what).capacity
            # Descriptors round up, some to whole GiB; a disk larger than that is not the one described.
            if capacity > -(-disk.capacity // _GIB) * _GIB:
                raise BadInput(f"{what} is a disk of {capacity} bytes, its descriptor says {disk.capacity}")

    def _small(self, member: tar.Member, longest: int) -> bytes:
        if member.size > longest:
            raise BadInput(
                f"{self.name}: {member.name} has {member.size} bytes, more than the {longest} it may have"
            )
        return Window(self._handle, member, self.name).read()


def _require_file(handle: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise BadInput(f"{path} is not a file")


def _state(handle: int) -> tuple[int, int]:
    status = os.fstat(handle)
    return status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def _interpreter_soon() -> Iterator[None]:
    """Lets nobody keep the interpreter for long: digesting needs it for a moment, four times a chunk.

    While other threads compute, it would wait longer for it than it digests.
    """
    sys.setswitchinterval(_SOON)
    try:
        yield
    finally:
        sys.setswitchinterval(_USUAL)


def _digests(handle: int, member: tar.Member, algorithms: Sequence[str], where: str) -> dict[str, str]:
    """Digests a member; the next chunk is read, and a second algorithm computed, while the first one is."""
    hashes = [hashlib.new(name, usedforsecurity=False) for name in algorithms]
    if member.size <= _CHUNK:  # nothing to do beside: a descriptor, or a disk of a test
        whole = Window(handle, member, where).read()
        for each in hashes:
            each.update(whole)
        return {name: each.hexdigest() for name, each in zip(algorithms, hashes, strict=True)}
    buffers = [memoryview(bytearray(_CHUNK)) for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:

        def fetch(at: int, buffer: memoryview) -> int:
            room = min(_CHUNK, member.size - at)
            return os.preadv(handle, [buffer[:room]], member.offset + at)

        at, turn = 0, 0
        coming = pool.submit(fetch, at, buffers[turn])
        while at < member.size:
            count = coming.result()
            if not count:
                raise BadInput(f"{where} was cut short while it was read", do="fetch it again")
            data = buffers[turn][:count]
            at, turn = at + count, 1 - turn
            coming = pool.submit(fetch, at, buffers[turn])
            others = [pool.submit(each.update, data) for each in hashes[1:]]
            hashes[0].update(data)
            for other in others:
                other.result()
    return {name: each.hexdigest() for name, each in zip(algorithms, hashes, strict=True)}
