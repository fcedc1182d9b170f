"""Making an OVA of one raw disk: descriptor, manifest, certificate and streamOptimized VMDK in a USTAR archive.

The VMDK goes straight to its place in the archive and is digested on the way; descriptor, manifest and
certificate are put before it afterwards. For that the descriptor is padded with blanks after its last element to the length
that it has at most. The same input gives the same bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import glob
import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from paver.errors import BadInput, naming, unwritten
from paver.ovf import envelope
from paver.ovf.certificate import Publisher
from paver.ovf.model import Network, Product, Property
from paver.ovf.vmdk_write import Written, write_vmdk

BLOCK = 512
RECORD = 20 * BLOCK
MAX_MEMBER = 8 * 2**30 - 1  # eleven octal digits
_LARGEST = Written(size=MAX_MEMBER, capacity=2**60, populated=2**60)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """An OVA as it was made: `sha256` of the whole file, `disk` as the VMDK came out."""

    path: Path
    size: int
    sha256: str
    disk: Written


def make_ova(
    path: Path,
    *,
    name: str,
    disk: Path | bytes,
    capacity: int | None = None,
    memory_mb: int = 1024,
    cpus: int = 1,
    networks: Sequence[Network | str] = ("VM Network",),
    properties: Sequence[Property] = (),
    product: Product | None = None,
    guest: str = "debian11_64Guest",
    data_disk_gb: int | None = None,
    publisher: Publisher | None = None,
) -> Made:
    """Makes an OVA at `path` (mode 0644), replacing what is there only once it is whole.

    Args:
        path: where; its folder must exist.
        name: of the virtual system, and the stem of the members' names.
        disk: a raw disk image, a file or its bytes.
        capacity: of the disk in bytes, rounded up to whole MiB; None: as large as the image.
        memory_mb: MiB of memory.
        cpus: virtual CPUs.
        networks: one NIC (vmxnet3) each, in order.
        properties: settings that whoever deploys may give, by `com.vmware.guestInfo`.
        product: name, vendor, version.
        guest: VMware's guest OS identifier, one that the virtual hardware knows.
        data_disk_gb: GiB of an empty second disk, unless whoever deploys says otherwise; None: there is no such disk.
        publisher: signs the manifest with its certificate; None: nobody does.

    Raises:
        BadInput: the name can't be a file's, the image doesn't fit, or is too large for a USTAR archive.
    """
    envelope.check_name(name)
    system = envelope.System(
        name=name,
        memory_mb=memory_mb,
        cpus=cpus,
        networks=tuple(n if isinstance(n, Network) else Network(name=n) for n in networks),
        properties=tuple(properties),
        product=product,
        guest=guest,
        data_disk_gb=data_disk_gb,
    )
    disk_name = f"{name}-disk1.vmdk"
    room = len(envelope.render(system, disk_name, _LARGEST))
    lines = len(_manifest_line(f"{name}.ovf", "0" * 64)) + len(_manifest_line(disk_name, "0" * 64))
    signed = len(publisher.sign(b"", f"{name}.mf")) if publisher else 0
    data_at = 3 * BLOCK + _blocks(room) + _blocks(lines) + (BLOCK + _blocks(signed) if publisher else 0)
    with replacing(path) as file:
        file.seek(data_at)
        sink = _Digesting(file)
        written = write_vmdk(disk, sink, capacity=capacity)
        if written.size > MAX_MEMBER:
            raise BadInput(
                f"the disk of {name} packs to {written.size} bytes, more than the 8 GiB of an OVA's member",
                do="make the image smaller",
            )
        end = data_at + _blocks(written.size)
        file.truncate(-(-(end + 2 * BLOCK) // RECORD) * RECORD)
        text = envelope.render(system, disk_name, written).ljust(room)
        manifest = _manifest_line(f"{name}.ovf", hashlib.sha256(text).hexdigest())
        manifest += _manifest_line(disk_name, sink.sha256.hexdigest())
        small = [(f"{name}.ovf", text), (f"{name}.mf", manifest)]
        if publisher:
            small.append((f"{name}.cert", publisher.sign(manifest, f"{name}.mf")))
        file.seek(0)
        for member, content in small:
            file.write(_header(member, len(content)) + content.ljust(_blocks(len(content)), b"\0"))
        file.write(_header(disk_name, written.size))
        file.flush()
        file.seek(0)
        digest = _digest_of(file)
        size = os.fstat(file.fileno()).st_size
    return Made(path=path, size=size, sha256=digest, disk=written)


class _Digesting:
    """Passes on what it is given, and digests it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes, /) -> None:
        self.sha256.update(data)
        self._file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yields a new file that takes the place of `path` at the end, or vanishes if anything fails.

    Raises:
        BadInput: none can lie there; told before anything is written.
        PaverError: this machine's disk refuses it.
    """
    if path.is_dir():
        raise BadInput(f"{path} is a folder", do="name the file that is to be made in it")
    try:
        file = _draft(path)
    except OSError as error:
        raise unwritten(
            error, f"{path} cannot be written", "name another place, one that is there"
        ) from error
    try:
        with naming(str(path.parent)), file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise


def _draft(path: Path) -> IO[bytes]:
    """Returns a new file beside `path` that is locked until it is closed, after removing those whose writers were killed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.draft"):
        # Whatever refuses that is another's: its writer is at work, or its owner is somebody else.
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
    while True:
        draft = tempfile.NamedTemporaryFile(  # noqa: SIM115
            prefix=f".{path.name}.", suffix=".draft", dir=path.parent, delete=False
        )
        fcntl.flock(draft, fcntl.LOCK_EX)
        if os.fstat(draft.fileno()).st_nlink:
            return draft
        draft.close()  # Another took it for one that was left, before it was locked.


def _digest_of(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(2**20):
        digest.update(chunk)
    return digest.hexdigest()


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


def _manifest_line(name: str, digest: str) -> bytes:
    return f"SHA256({name})= {digest}\n".encode()
