"""What is handed out of a build: the OVA, the same unpacked, its bills, how it was built, the sums of all, a signature.

paver-jumpbox-1.0.ova              the image
paver-jumpbox-1.0/                 its members, for ESXi's own host client
paver-jumpbox-1.0.bill.json        what is in it (paver.image-bill/1), and the same for others' tools:
paver-jumpbox-1.0.cdx.json         CycloneDX 1.6
paver-jumpbox-1.0.spdx.json        SPDX 2.3
paver-jumpbox-1.0.provenance.json  in-toto, SLSA v1
paver-jumpbox-1.0.sha256           the sums of all of these, as `sha256sum` writes and checks them
paver-jumpbox-1.0.sha256.sig       a signature over them, which `ssh-keygen -Y verify` checks
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from paver.errors import BadInput
from paver.image import bill, go_program, licences, provenance, published, sbom
from paver.image.lock import Lock
from paver.ovf import certificate
from paver.ovf.model import Product
from paver.ovf.ova import Ova
from paver.ovf.write import make_ova
from paver.signing import ssh

NAME = sbom.NAME


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """The virtual machine: `capacity` of its disk in bytes, `memory_mb`, `cpus`, GiB of its data disk."""

    capacity: int
    memory_mb: int
    cpus: int
    data_disk_gb: int = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """What the image was made of.

    Attributes:
        disk: the raw disk.
        root: the tar that became its root file system, for the packages' licences.
        wheels: the folder of wheels.
        programs: the folder of programs.
        lock: the Debian packages.
        inputs: SHA-256 of what else decided what came out, by name.
    """

    disk: Path
    root: Path
    wheels: Path
    programs: Path
    lock: Lock
    inputs: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """What was handed out: the OVA's `sha256` and `size`, and `files` by what they are."""

    sha256: str
    size: int
    files: Mapping[str, Path]


def publish(
    out: Path,
    version: str,
    machine: Machine,
    parts: Parts,
    *,
    sign: Path | None = None,
    certify: Path | None = None,
) -> Published:
    """Packs the image into the folder `out`, with all that is published beside it.

    All is made in a draft and then put in its place: until then what another build published there is as it was. A second
    build at once waits for the first.

    Args:
        out: the folder, made if it is not there.
        version: of paver.
        machine: what the OVF asks for.
        parts: what the image was made of.
        sign: a private SSH key that signs the sums, or None.
        certify: the publisher's RSA key and certificate as PEM, for the OVF's own signature, or None.

    Raises:
        BadInput: a key is none, a part can't be read, or a folder is where a file goes.
    """
    publisher = None if certify is None else certificate.publisher(published.read_key(certify))
    key = None if sign is None else published.signing_key(sign)
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out), tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=out) as draft:
        return _put(_made(Path(draft), version, machine, parts, key, publisher), Path(draft), out)


def _made(
    out: Path,
    version: str,
    machine: Machine,
    parts: Parts,
    key: str | None,
    publisher: certificate.Publisher | None,
) -> Published:
    ova = out / f"{NAME}-{version}.ova"
    made = make_ova(
        ova,
        name=NAME,
        disk=parts.disk,
        capacity=machine.capacity,
        memory_mb=machine.memory_mb,
        cpus=machine.cpus,
        data_disk_gb=machine.data_disk_gb,
        product=Product(name="paver jumpbox", vendor="paver", version=version, full_version=version),
        publisher=publisher,
    )
    files = {"ova": ova, **_unpacked(ova, out / f"{NAME}-{version}")}
    sums = {
        "ova": made.sha256,
        **{what: published.digest(path) for what, path in files.items() if what != "ova"},
    }
    listed, details = described(version, parts, sums["vmdk"])
    written = {
        "bill": bill.dumps(listed),
        "cdx": sbom.cyclonedx(listed, details),
        "spdx": sbom.spdx(listed, details),
    }
    subjects = {named(out, path): sums[what] for what, path in files.items()}
    told = {"name": NAME, "version": version, **dataclasses.asdict(machine)}
    written["provenance"] = provenance.statement(
        subjects, listed, details, inputs=parts.inputs, parameters=told
    )
    for what, data in written.items():
        files[what] = _written(out / f"{NAME}-{version}.{what}.json", data)
        sums[what] = hashlib.sha256(data).hexdigest()
    lines = sorted((named(out, path), sums[what]) for what, path in files.items())
    text = "".join(f"{digest_}  {name}\n" for name, digest_ in lines).encode()
    files["sha256"] = _written(published.sums_of(ova), text)
    if key is not None:
        beside = published.signature_of(files["sha256"])
        files["signature"] = _written(beside, ssh.sign(text, key, namespace=published.NAMESPACE).encode())
    return Published(sha256=made.sha256, size=made.size, files=files)


def _put(made: Published, draft: Path, out: Path) -> Published:
    """Puts what was made in its place: the sums last and the old ones away first, so that they are never over a mixture."""
    places = {what: out / path.relative_to(draft) for what, path in made.files.items()}
    folder = places["ovf"].parent
    old = [published.signature_of(places["sha256"]), places["sha256"]]
    for place in (*places.values(), *old):
        if place.is_dir():
            raise BadInput(f"{place} is a folder, and a file of the image goes there", do="move it away")
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is no folder, and the image's files go there", do="move it away")
    for place in old:
        place.unlink(missing_ok=True)
    folder.mkdir(exist_ok=True)
    for what, place in places.items():
        made.files[what].replace(place)
    # Of an earlier build, such as its certificate; whatever else somebody put there is left alone.
    for left in set(folder.glob(f"{NAME}*")) - set(places.values()):
        if left.is_file():
            left.unlink()
    return dataclasses.replace(made, files=places)


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Waits until no other build publishes in `out`, and takes away what one left that was killed."""
    handle = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for stale in out.glob(f".{NAME}-*"):
            if stale.is_dir():
                shutil.rmtree(stale)
            else:
                stale.unlink()
        yield
    finally:
        os.close(handle)


def require_keys(sign: Path | None, certify: Path | None) -> None:
    """Says before anything is built that a key signs nothing.

    Raises:
        BadInput: it is none, or one with a passphrase.
    """
    if certify is not None:
        certificate.publisher(published.read_key(certify))
    if sign is not None:
        published.signing_key(sign)


def described(version: str, parts: Parts, disk_sha256: str) -> tuple[bill.Bill, sbom.Details]:
    """Returns the bill of an image out of `parts` whose disk has that digest, and what is known beside."""
    wheels = sorted(parts.wheels.glob("*.whl"))
    built = {path.name: go_program.read(path) for path in sorted(parts.programs.iterdir())}
    # What is of paver's own source has no version but paver's.
    versions = {name: (program.version or version) for name, program in built.items()}
    listed = bill.of(
        version,
        parts.lock,
        {path.name: published.digest(path) for path in wheels},
        {name: (number, published.digest(parts.programs / name)) for name, number in versions.items()},
        disk_sha256,
    )
    known = {("deb", name): found for name, found in licences.of_debs(parts.root).items() if found}
    for path in wheels:
        if found := licences.of_wheel(path):
            known["wheel", path.name.split("-")[0]] = found
    details = sbom.Details(
        suite=parts.lock.suite,
        architectures={deb.name: deb.architecture for deb in parts.lock.debs},
        licences=known,
        modules={name: program.modules for name, program in built.items()},
        epoch=parts.lock.epoch,
    )
    return listed, details


def named(out: Path, path: Path) -> str:
    """Returns how the sums name `path`."""
    return path.relative_to(out).as_posix()


def _unpacked(ova: Path, folder: Path) -> dict[str, Path]:
    """Lays the OVA's members out beside it: ESXi's own host client takes large images only so."""
    folder.mkdir()
    found = {}
    with Ova(ova) as opened:
        for member in opened.members:
            target = folder / member.name
            published.take_out(opened, member.name, target)
            found[member.name.rpartition(".")[2]] = target
    return found


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
