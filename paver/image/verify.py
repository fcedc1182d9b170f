"""Holds an OVA to what it promises: structure, digests, every grain of its disks, signature, bill. Ours, or others'."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from paver.errors import BadInput
from paver.image import bill
from paver.image.build import NAMESPACE
from paver.ovf.ova import Ova, Verified
from paver.signing import ssh

_SMALL = 2**20
_LARGEST_BILL = 2**24
_PIECE = 2**22


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what was seen; what does not hold is raised instead."""

    what: str
    seen: str


def verify(file: Path, keys: Sequence[str] = ()) -> Iterator[Finding]:
    """Yields what holds, as it is found.

    Args:
        file: the OVA.
        keys: public SSH keys of those who may sign; with none, a signature is not asked for.

    Raises:
        BadInput: something does not hold.
        SignatureError: the signature is missing, not over this file, or by somebody else.
    """
    with Ova(file) as ova:
        verified = ova.verify()
        yield Finding("structure", f"{len(ova.members)} members, the descriptor first")
        yield Finding("digests", _digests(verified))
        for name, checked in ova.check_disks().items():
            seen = (
                f"{checked.capacity / 2**30:.0f} GiB, {checked.grains} grains, all inflate to what they say"
            )
            yield Finding(f"disk {name}", seen)
    sums = file.with_name(f"{file.name}.sha256")
    if sums.exists() or keys:
        yield _signed(file, sums, keys)
    listed = _bill(file)
    if listed is not None:
        yield _held(listed, verified)


def _digests(verified: Verified) -> str:
    kinds = sorted({kind for each in verified.files for kind in each.digests})
    return f"{len(verified.files)} files, {verified.size / 1e6:.0f} MB, as the manifest has them ({', '.join(kinds)})"


def _signed(file: Path, sums: Path, keys: Sequence[str]) -> Finding:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    line = f"{digest}  {file.name}\n".encode()
    if not sums.exists():
        raise BadInput(
            f"{sums.name} is not there", why="it is what the signature is over", do="fetch it beside the OVA"
        )
    if _read(sums, _SMALL) != line:
        raise BadInput(
            f"{file.name} is not the one of {sums.name}",
            seen=f"sha256 {digest}",
            do="fetch both again, and compare with the publisher's",
        )
    if not keys:
        return Finding("sha256", f"{digest}, as {sums.name} says; nobody's signature was asked for (--key)")
    signature = sums.with_name(f"{sums.name}.sig")
    if not signature.exists():
        raise ssh.SignatureError(
            f"{file.name} is not signed", seen=f"there is no {signature.name}", do="fetch it beside the OVA"
        )
    signer = ssh.verify(line, _read(signature, _SMALL).decode(errors="replace"), keys, namespace=NAMESPACE)
    return Finding("signature", f"by {signer.fingerprint}, over sha256 {digest}")


def bill_of(file: Path) -> Path:
    """Returns where the bill of an OVA lies."""
    return file.with_name(f"{file.name.removesuffix('.ova')}.bill.json")


def _bill(file: Path) -> bill.Bill | None:
    beside = bill_of(file)
    return bill.loads(_read(beside, _LARGEST_BILL), beside.name) if beside.exists() else None


def _held(listed: bill.Bill, verified: Verified) -> Finding:
    disks = {each.digests.get("sha256", "") for each in verified.files if each.name.endswith(".vmdk")}
    if disks != {listed.disk_sha256}:
        raise BadInput("the bill is of another image", seen=f"disk sha256 {', '.join(sorted(disks))}")
    counts = {kind: sum(item.kind == kind for item in listed.items) for kind in ("deb", "wheel", "program")}
    return Finding(
        "bill", f"{counts['deb']} Debian packages, {counts['wheel']} wheels, {counts['program']} programs"
    )


def _read(path: Path, longest: int) -> bytes:
    with path.open("rb") as opened:
        data = opened.read(longest + 1)
    if len(data) > longest:
        raise BadInput(f"{path.name} has more than the {longest} bytes that it may have")
    return data
