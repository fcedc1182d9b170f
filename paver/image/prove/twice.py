"""Whether the image is the same when it is built again: elsewhere, with all varied that is not to matter."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

from paver.errors import BadInput
from paver.image import content, diff, host, provenance, published, sources, stages
from paver.image.prove import elsewhere, second
from paver.image.prove.report import Line, Section, not_asked
from paver.image.stages import Tell
from paver.ovf.ova import Ova

NAME = "twice"
HOW = "built a second time from the same sources, with nothing that the first build made"
STANDS_IN = (
    "one machine is both: another date is told to paver, to pip and to what they start, by libfaketime; mmdebstrap, Packer and"
    " the image's own tools have environments of their own and see this machine's, and Go's compiler asks no library"
)
GROUP = "the same again"
_DOCUMENTS = ("bill", "cdx", "spdx", "provenance")
_SHORTEST = 8


def refusal(file: Path, disk_sha256: str, source: Path) -> str:
    """Returns why this image cannot be built again here, empty where it can.

    Args:
        file: the OVA.
        disk_sha256: of its disk.
        source: paver's source tree.

    Raises:
        BadInput: what is beside the image is not what it should be.
    """
    if not (source / "pyproject.toml").exists() or not (source / content.FILE).exists():
        return "it takes paver's source tree, and this paver runs without one"
    absent = sorted(name for name in host.PROGRAMS if shutil.which(name) is None)
    if absent:
        return f"an image is built on Debian, and {', '.join(absent)} cannot be found here"
    statement = published.beside(file, "provenance")
    if not statement.exists():
        return f"{statement.name} is not there, which says what the image was built of"
    data = published.read(statement)
    if disk_sha256 not in provenance.subjects(data, statement.name).values():
        return f"{statement.name} is of another image"
    other = _others(file, source)
    if other:
        return f"{source.absolute()} is not what the image was built of: {', '.join(other)} differ"
    return ""


def _others(file: Path, source: Path) -> list[str]:
    """Returns what of a source tree is not what the image was built of, as its provenance has it."""
    statement = published.beside(file, "provenance")
    was, is_ = provenance.inputs(published.read(statement), statement.name), sources.digests(source)
    return sorted(name for name in was.keys() | is_.keys() if was.get(name) != is_.get(name))


def require(tell: Tell) -> None:
    """Says beforehand how long it takes, and what is missing for it, of programs, memory and room.

    Raises:
        PaverError: something is.
    """
    root = stages.root()
    host.require(root, root)
    # One processor for what two did, and our programs compiled as well.
    minutes = max(_SHORTEST, sum(second.took(root).values()) * 2 // 60 + _SHORTEST)
    tell(
        f"{NAME}: at the end a second build, from nothing and on one processor: about {minutes} minutes, below {root}"
    )


def prove(file: Path, source: Path, folder: Path, tell: Tell) -> Section:
    """Builds the image again, and returns whether it is the same; what the build says stays in `folder`.

    Raises:
        PaverError: it cannot be built.
    """
    began = time.monotonic()

    def told(text: str) -> None:
        tell(f"{NAME} {text}")

    with second.place() as within:
        tree = copied_as_built(file, source, within / "tree")
        links = second.fetched(tree, within, told)
        there = elsewhere.make(within, tree)
        lines = elsewhere.varied(there)
        other = second.built(there, links, within, folder / second.LOG, told)
        seconds = {
            **second.took(within / "cache" / "paver" / "image"),
            "whole": round(time.monotonic() - began),
        }
        told("comparing: both")
        lines += compared(file, other)
    return Section(name=NAME, how=HOW, stands_in=STANDS_IN, seconds=seconds, lines=tuple(lines))


def copied_as_built(file: Path, source: Path, tree: Path) -> Path:
    """Copies the sources to the folder `tree`; of what becomes of them afterwards the second build knows nothing.

    Raises:
        BadInput: they are not what the image was built of any more.
    """
    made = second.copied(source, tree)
    other = _others(file, made)
    if other:
        raise BadInput(
            f"{source.absolute()} changed while the image was proven",
            seen=f"{', '.join(other)} differ from what it was built of",
            do="leave the source tree alone, or work in a clone of it, then prove the image again",
        )
    return made


def left_out(why: str) -> Section:
    """Returns the section of an image that cannot be built again here."""
    return Section(name=NAME, how=HOW, lines=(not_asked(GROUP, "a second build is the same", why),))


def compared(first: Path, again: Path) -> list[Line]:
    """Returns whether two OVAs, and what lies beside them, are the same, bit by bit; where they are not, what differs.

    The signature over the OVF that a publisher's certificate makes is a part of an OVA, and nobody else can make it.

    Raises:
        BadInput: one can't be read.
    """
    parts, others = _members(first), _members(again)
    certified = [name for name in parts if name.endswith(".cert")]
    lines = []
    for name in sorted((parts.keys() | others.keys()) - set(certified)):
        line = _same(f"{name.rpartition('.')[2]} of the OVA", parts.get(name), others.get(name))
        if not line.holds and name.endswith(".vmdk"):
            line = Line(
                GROUP, line.what, holds=False, seen="\n".join([line.seen, *_differences(first, again)])
            )
        lines.append(line)
    why = "its OVF is signed by its publisher's certificate, which is a part of it and which the second one lacks"
    for what in ("ova", *_DOCUMENTS):
        path, other = ((each if what == "ova" else published.beside(each, what)) for each in (first, again))
        shown = "the OVA itself" if what == "ova" else f"{what} beside it"
        if certified and what in {"ova", "provenance"}:
            lines.append(not_asked(GROUP, shown, why))
        else:
            lines.append(_same(shown, _of(path), _of(other)))
    return lines


def _same(what: str, digest: str | None, other: str | None) -> Line:
    if digest == other is not None:
        return Line(GROUP, what, True, f"identical, sha256 {digest}")
    first, again = (f"sha256 {each}" if each else "it is not there" for each in (digest, other))
    return Line(GROUP, what, False, f"{first}, and the second time {again}")


def _of(path: Path) -> str | None:
    return published.digest(path) if path.exists() else None


def _members(file: Path) -> dict[str, str]:
    with Ova(file) as opened:
        return {
            member.name: hashlib.file_digest(opened.member(member.name), "sha256").hexdigest()
            for member in opened.members
        }


def _differences(first: Path, again: Path) -> list[str]:
    try:
        found = diff.diff(first, again)
    except BadInput as error:
        return [error.what, error.seen]
    return found.lines()
