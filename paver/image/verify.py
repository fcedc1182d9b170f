"""Holds an OVA to what it promises: structure, digests, every grain of its disks, signatures, bills, content. Ours, or others'."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cryptography import x509

from paver.errors import BadInput
from paver.image import bill, inside, provenance, published, sbom
from paver.ovf import data_disk, vmdk_random
from paver.ovf.model import Disk
from paver.ovf.names import member_name
from paver.ovf.ova import Ova, Verified
from paver.signing import ssh

_SMALL = 2**20
_NAMED = 8
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at; what does not hold is raised instead.

    Attributes:
        what: which thing: `structure`, `digests`, `disk box-disk1.vmdk`.
        seen: what was seen, in words.
    """

    what: str
    seen: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole:
    """What holds of an OVA; where something does not, the document is an error.

    Attributes:
        file: the OVA.
        holds: what was looked at, in this order.
    """

    file: Path
    holds: tuple[Finding, ...]


def verify(
    file: Path, keys: Sequence[str] = (), authorities: tuple[x509.Certificate, ...] = ()
) -> Iterator[Finding]:
    """Yields what holds, as it is found.

    Args:
        file: the OVA.
        keys: public SSH keys of those who may sign what is published; with none, a signature is not asked for.
        authorities: certificates that vouch for who signed the OVF; with none, nobody's is asked for.

    Raises:
        BadInput: something does not hold.
        SignatureError: the signature is missing, not over this file, or by somebody else.
        Refused: the OVF's own signature is not over it, or by somebody else.
    """
    with Ova(file) as ova:
        # A bill has its disk's SHA-256, whatever the manifest has.
        verified = ova.verify(also=("sha256",) if published.beside(file, "bill").exists() else ())
        yield Finding("structure", f"{len(ova.members)} members, the descriptor first")
        yield Finding("digests", _digests(verified))
        if signed := ova.check_certificate(authorities):
            vouched = "as was asked for" if signed.vouched else "whom nothing vouches for here (--ca)"
            yield Finding("certificate", f"{signed.subject}, SHA-256 {signed.fingerprint}, {vouched}")
        for name, checked in ova.check_disks().items():
            seen = (
                f"{checked.capacity / 2**30:.0f} GiB, {checked.grains} grains, all inflate to what they say"
            )
            yield Finding(f"disk {name}", seen)
        for disk in verified.descriptor.disks:
            if disk.file is None:
                yield Finding(f"disk {disk.id}", _empty(disk))
    sums = published.sums_of(file)
    if sums.exists() or keys:
        yield from _signed(file, sums, keys)
    if (listed := published.bill_of(file)) is not None:
        data_disk.of(verified.descriptor, file.name)
        yield _held(listed, verified)
        with Ova(file) as ova:
            yield _looked_into(ova, listed)
        yield from _told(file, listed, verified)


def _digests(verified: Verified) -> str:
    kinds = sorted({next(iter(each.digests)) for each in verified.files})
    return f"{len(verified.files)} files, {verified.size / 1e6:.0f} MB, as the manifest has them ({', '.join(kinds)})"


def _empty(disk: Disk) -> str:
    by = f", or as whoever deploys it gives {disk.sized_by}" if disk.sized_by else ""
    return f"{disk.capacity / 2**30:.0f} GiB{by}; empty"


def _signed(file: Path, sums: Path, keys: Sequence[str]) -> Iterator[Finding]:
    if not sums.exists():
        raise BadInput(
            f"{sums.name} is not there", why="it is what the signature is over", do="fetch it beside the OVA"
        )
    text = published.read(sums, _SMALL)
    listed = _sums(text, sums.name)
    if file.name not in listed:
        raise BadInput(f"{sums.name} does not list {file.name}", do="fetch it again beside the OVA")
    # Who signed is told before any of the sums is believed.
    signer = _signer(sums, text, keys) if keys else None
    if signer is not None and (unsigned := [name for name in _documents(file) if name not in listed]):
        raise BadInput(
            f"{unsigned[0]} is not what was signed: {sums.name} does not list it",
            why="it is believed for what is told of the image, and anybody may have put it there",
            do="move it away, or ask whoever signed the image for it",
        )
    there = {name: file.parent / name for name in listed if (file.parent / name).is_file()}
    for name, path in there.items():
        found = published.digest(path)
        if found != listed[name]:
            raise BadInput(
                f"{name} is not the one of {sums.name}",
                seen=f"sha256 {found}",
                do="fetch both again, and compare with the publisher's",
            )
    rest = len(listed) - len(there)
    seen = f"{len(there)} files as {sums.name} says{f', {rest} more are not here' if rest else ''}"
    yield Finding("sha256", f"{listed[file.name]}; {seen}")
    if signer is not None:
        yield Finding("signature", f"by {signer.fingerprint}, over all of {sums.name}")


def _documents(file: Path) -> list[str]:
    """Returns the names of the documents beside an OVA that are believed."""
    paths = [published.beside(file, what) for what in ("bill", "cdx", "spdx", "provenance")]
    return [path.name for path in paths if path.exists()]


def _signer(sums: Path, text: bytes, keys: Sequence[str]) -> ssh.Signer:
    signature = published.signature_of(sums)
    if not signature.exists():
        raise ssh.SignatureError(
            f"{sums.name} is not signed", seen=f"there is no {signature.name}", do="fetch it beside the OVA"
        )
    armoured = published.read(signature, _SMALL).decode(errors="replace")
    return ssh.verify(text, armoured, keys, namespace=published.NAMESPACE)


def _sums(text: bytes, where: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(text.decode(errors="replace").splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise BadInput(f"{where}: line {number} is no sum", seen=repr(line[:80]), do="fetch it again")
        found[member_name(match[2], where=where)] = match[1]
    return found


def _held(listed: bill.Bill, verified: Verified) -> Finding:
    described = {disk.file.href for disk in verified.descriptor.disks if disk.file}
    disks = {each.digests["sha256"] for each in verified.files if each.name in described}
    if disks != {listed.disk_sha256}:
        raise BadInput("the bill is of another image", seen=f"disk sha256 {', '.join(sorted(disks))}")
    counts = {kind: sum(item.kind == kind for item in listed.items) for kind in ("deb", "wheel", "program")}
    return Finding(
        "bill", f"{counts['deb']} Debian packages, {counts['wheel']} wheels, {counts['program']} programs"
    )


def _looked_into(ova: Ova, listed: bill.Bill) -> Finding:
    """Looks into the disk, which was read through before, for what the bill lists."""
    [name] = [file.href for disk in ova.descriptor.disks if (file := disk.file)][:1] or [""]
    what = f"{ova.name}: {name}"
    system = inside.root(vmdk_random.Disk(ova.member(name), name=what), what)
    if wrong := list(inside.differences(system, listed)):
        raise BadInput(
            f"{what} holds other things than its bill lists",
            seen="\n".join(
                [*wrong[:_NAMED], *([f"and {len(wrong) - _NAMED} more"] if len(wrong) > _NAMED else [])]
            ),
            why="bill and disk are not of one build, or somebody changed one of them",
            do="fetch the image again from its publisher",
        )
    return Finding("content", "the disk holds what the bill lists, and no other package")


def _told(file: Path, listed: bill.Bill, verified: Verified) -> Iterator[Finding]:
    """Holds what is told to others' tools to the bill and to the OVA."""
    held = frozenset((item.name, item.version, item.sha256) for item in listed.items)
    for what, form in (("cdx", "CycloneDX"), ("spdx", "SPDX")):
        path = published.beside(file, what)
        if path.exists():
            disk, items = sbom.items(published.read(path), path.name)
            if disk != listed.disk_sha256 or items != held:
                raise BadInput(
                    f"{path.name} is not what the bill says",
                    seen=", ".join(sorted(name for name, _, _ in items ^ held)[:8]) or f"disk sha256 {disk}",
                    do="fetch both again from the publisher",
                )
            yield Finding(form, f"{len(items)} things, the same as the bill's")
    path = published.beside(file, "provenance")
    if path.exists():
        subjects = provenance.subjects(published.read(path), path.name)
        packed = {each.name: each.digests["sha256"] for each in verified.files}
        wrong = [
            name
            for name, digest in packed.items()
            if subjects.get(f"{published.stem_of(file)}/{name}") != digest
        ]
        if wrong:
            raise BadInput(f"{path.name} is of another image", seen=", ".join(wrong))
        yield Finding("provenance", f"SLSA v1, of {len(subjects)} files")
