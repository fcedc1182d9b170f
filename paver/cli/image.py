"""`paver image`."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paver.cli import image_prove, out, parsers

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = """\
examples:
  paver image build                          the jumpbox's OVA, into dist/image
  paver image build --sign operator          signed with this SSH key and not this account's own
  paver image verify paver-jumpbox-0.1.0.ova --key publisher.pub
  paver image verify somebody-elses.ova      structure, digests, every grain of its disks
  paver image diff old.ova new.ova           which packages and files differ, and where the disks do
  paver image prove paver-jumpbox-0.1.0.ova  boots it, and holds the running machine to what it should be
  paver image prove FILE --only bios-nocloud in one way; without --only in all, paves a lab with it, builds it again
  paver image artefacts VMware-VCSA-all-8.0.3.iso --sign operator
  paver image artefacts --verify artefacts.iso --key operator.pub
  paver image lock --refresh                 today's Debian packages; then look at what `git diff` says

`build` and `lock` run in paver's source tree, on Debian; `prove` where QEMU is; `verify` and `diff` anywhere.

exit codes: 0 built, or it holds, or nothing differs; 1 it does not boot, or is not what it should be;
2 something differs; 3 the OVA is broken, or what was given is wrong; 4 its signature is
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the subcommands."""
    verbs = parser.add_subparsers(dest="image_verb", metavar="DO", required=True)
    lock = _sub(
        verbs, "lock", "the exact Debian packages of the image: how many, of when; or resolve them anew"
    )
    lock.add_argument("--refresh", action="store_true", help="resolve them anew and write ova/debs.lock")
    _add_source(lock)
    build = _sub(verbs, "build", "build the image")
    build.add_argument(
        "--out", type=Path, default=Path("dist/image"), help="where it goes (default: %(default)s)"
    )
    build.add_argument("--pool", type=Path, help="a folder of .debs that was kept (default: in the cache)")
    build.add_argument("--offline", action="store_true", help="fetch no .debs: all have to be in the pool")
    build.add_argument(
        "--sign",
        type=Path,
        metavar="KEY",
        help="sign with this private SSH key (Ed25519; default: one of this account's own, made at the first build)",
    )
    build.add_argument(
        "--certify", type=Path, metavar="PEM", help="sign the OVF too: RSA key and certificate in one file"
    )
    _add_source(build)
    verify = _sub(verbs, "verify", "hold an OVA to what it promises; reads others' OVAs too")
    verify.add_argument("file", type=Path, metavar="FILE", help="the OVA")
    _add_key(verify)
    verify.add_argument(
        "--ca",
        type=Path,
        metavar="PEM",
        help="certificates, one of which has to vouch for the OVF's own signature",
    )
    verify.add_argument("--json", action="store_true", help="print what was found as JSON")
    diff = _sub(verbs, "diff", "what two images differ in: packages, files, places on the disk")
    diff.add_argument("old", type=Path, metavar="OLD", help="the OVA before")
    diff.add_argument("new", type=Path, metavar="NEW", help="the OVA after")
    diff.add_argument("--json", action="store_true", help="print it as JSON")
    image_prove.add(_sub(verbs, "prove", "boot an image, and hold it to what it should be"))
    artefacts = _sub(
        verbs, "artefacts", "make a disk of its own for what is licensed or huge, or read one through"
    )
    artefacts.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="what goes on it: an ISO, a BUCC artefact"
    )
    artefacts.add_argument(
        "--out",
        type=Path,
        default=Path("artefacts.iso"),
        help="the disk to make: an .iso to attach as a CD-ROM, or a .vmdk to import (default: %(default)s)",
    )
    artefacts.add_argument(
        "--sign", type=Path, metavar="KEY", help="sign its manifest with this private SSH key (Ed25519)"
    )
    artefacts.add_argument(
        "--verify", type=Path, metavar="DISK", help="read this one through: an ISO, a VMDK, or a device"
    )
    _add_key(artefacts)


def run(arguments: argparse.Namespace) -> int:
    """Does what the subcommand says."""
    does: Callable[[argparse.Namespace], int] = {
        "artefacts": _artefacts,
        "build": _build,
        "diff": _diff,
        "lock": _lock,
        "prove": lambda given: image_prove.run(given, _teller()),
        "verify": _verify,
    }[arguments.image_verb]
    return does(arguments)


def _sub(verbs: Any, name: str, what: str) -> argparse.ArgumentParser:
    return parsers.below(verbs, "paver image", name, what, EXAMPLES)


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key",
        type=Path,
        action="append",
        default=[],
        metavar="PUB",
        help="who may have signed it (repeatable)",
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", type=Path, metavar="DIR", help="paver's source tree (default: this one)")


def _lock(arguments: argparse.Namespace) -> int:
    from paver.image import build, lock, stages  # noqa: PLC0415 - `--help` does without it

    source = arguments.source or build.default_source()
    if not arguments.refresh:
        found = lock.load(source / lock.FILE)
        size = sum(deb.size for deb in found.debs)
        date = dt.datetime.fromtimestamp(found.epoch, dt.UTC).date()
        out.lines([f"{len(found.debs)} packages of {found.suite}, {size / 1e6:.0f} MB, locked on {date}"])
        return 0
    # Midnight: two who renew on the same day get the same lock.
    epoch = int(time.time()) // 86400 * 86400
    changed, new = build.refresh(source, stages.root(), epoch, _teller())
    if changed:
        (source / lock.FILE).write_bytes(lock.dumps(new))
    out.lines([*changed, f"{len(changed)} packages changed" if changed else "nothing changed"])
    return 0


def _build(arguments: argparse.Namespace) -> int:
    from paver.image import build, own_key, published, stages  # noqa: PLC0415 - `--help` does without it
    from paver.signing import ssh  # noqa: PLC0415 - likewise

    cache = stages.root()
    key = arguments.sign or own_key.provided()
    signer = ssh.public(published.signing_key(key))
    order = build.Order(
        source=arguments.source or build.default_source(),
        out=arguments.out,
        cache=cache,
        pool=arguments.pool or cache / build.POOL,
        offline=arguments.offline,
        sign=key,
        certify=arguments.certify,
    )
    built = build.build(order, _teller())
    out.lines(
        [
            f"built in {built.seconds:.0f} s: {built.files['ova']}, {built.size / 1e6:.0f} MB",
            f"  sha256 {built.sha256}",
            f"  unpacked beside it for ESXi's host client, which takes no large OVA: {built.files['ovf'].parent}",
            f"  signed by {ssh.fingerprint(signer)}, {key}",
        ]
    )
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from paver.errors import BadInput  # noqa: PLC0415 - `--help` does without it
    from paver.image import published, verify  # noqa: PLC0415 - likewise
    from paver.ovf import certificate  # noqa: PLC0415 - likewise

    if arguments.file.is_dir():
        raise BadInput(
            f"{arguments.file} is a folder",
            why="an OVA is read, one file",
            do="name the OVA; what it was unpacked to is checked by `sha256sum --check FILE.sha256`",
        )
    vouching = (
        certificate.authorities(published.read_key(arguments.ca), str(arguments.ca)) if arguments.ca else ()
    )
    found = []
    waiting = _waiting(quiet=arguments.json)
    waiting("reading it")
    try:
        for finding in verify.verify(arguments.file, published.public_keys(arguments.key), vouching):
            waiting("")
            found.append(finding)
            if not arguments.json:
                what, _, which = finding.what.partition(" ")
                out.lines([f"✓ {what:<12} {which and f'{which}: '}{finding.seen}"])
            waiting(f"{len(found)} things hold, reading on")
    finally:
        waiting("")
    if arguments.json:
        out.document("paver.image-verify/1", verify.Whole(file=arguments.file, holds=tuple(found)))
    return 0


def _artefacts(arguments: argparse.Namespace) -> int:
    from paver.errors import BadInput  # noqa: PLC0415 - `--help` does without it
    from paver.image import artefacts, published  # noqa: PLC0415 - likewise

    if bool(arguments.files) == bool(arguments.verify):
        raise BadInput("name the files that go on the disk, or --verify with a disk")
    from paver.report import words  # noqa: PLC0415 - likewise

    tell, began = _teller(), time.monotonic()

    def told(done: int, total: int) -> None:
        tell(f"artefacts: {words.part(done, total, 'B')}")

    if arguments.verify:
        disk = artefacts.check(arguments.verify, published.public_keys(arguments.key), told)
    else:
        key = published.signing_key(arguments.sign) if arguments.sign else None
        disk = artefacts.make(arguments.out, arguments.files, told, sign=key)
    tell(f"artefacts: done in {words.span(time.monotonic() - began)}")
    out.lines([f"{each.sha256}  {each.name}  {each.size} bytes" for each in disk.artefacts])
    unsigned = (
        "no --key was given, so no signature was looked at" if arguments.verify else "not signed (--sign)"
    )
    signed = f"signed by {disk.signer}" if disk.signer else unsigned
    out.lines([f"{arguments.verify or arguments.out}: {words.size(disk.size)}, {signed}"])
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    from paver.image import diff  # noqa: PLC0415 - `--help` does without it

    found = diff.diff(arguments.old, arguments.new)
    if arguments.json:
        out.document("paver.image-diff/1", found)
    elif found.same:
        out.lines(
            ["nothing differs" if found.bills else "the disks hold the same; there are no bills to compare"]
        )
    else:
        out.lines(found.lines(" (`--json` names them)"))
    return 0 if found.same else 2


def _waiting(*, quiet: bool) -> Callable[[str], None]:
    """Returns what shows on a terminal what is being waited for, and takes it away again."""

    def show(text: str) -> None:
        if sys.stderr.isatty() and not quiet:
            sys.stderr.write(f"\r\x1b[K{text and f'  {text} …'}")
            sys.stderr.flush()

    return show


def _teller() -> Callable[[str], None]:
    """Returns what shows progress on standard error: in one line on a terminal, a line a stage elsewhere."""
    live, began = sys.stderr.isatty(), time.monotonic()
    last = [""]

    def tell(text: str) -> None:
        stage = text.partition(":")[0]
        if live:
            sys.stderr.write(f"\r\x1b[K{time.monotonic() - began:5.0f} s  {text[:100]}")
            if "done in" in text or "nothing changed" in text:
                sys.stderr.write("\n")
        elif stage != last[0] or "done in" in text:
            sys.stderr.write(f"{time.monotonic() - began:5.0f} s  {text}\n")
        last[0] = stage
        sys.stderr.flush()

    return tell
