"""What packages say of their licences: Debian's copyright files in the image's tar, and wheels' metadata.

Only what is written in the machine-readable form (DEP-5, SPDX) is told; of the rest the bills say that nothing is asserted.
"""

from __future__ import annotations

import email.parser
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

_COPYRIGHT = re.compile(r"\.?/?usr/share/doc/([^/]+)(?:/copyright)?")
_LICENCE = re.compile(r"^License: *([A-Za-z0-9][^\n]*)$", re.MULTILINE)
_LONGEST = 2**20
_VERSIONED = re.compile(r"(A?L?GPL|GFDL|LGPL)-([0-9](?:\.[0-9])?)(\+?)")
# Debian's short names that differ from SPDX's (DEP-5, section "License specification").
_SPDX = {
    "expat": "MIT",
    "mit": "MIT",
    "apache-2.0": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "artistic-2.0": "Artistic-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "cc0-1.0": "CC0-1.0",
    "isc": "ISC",
    "mpl-2.0": "MPL-2.0",
    "psf-2": "PSF-2.0",
    "psf-2.0": "PSF-2.0",
    "openssl": "OpenSSL",
    "zlib": "Zlib",
    "curl": "curl",
    "unlicense": "Unlicense",
    "apache license 2.0": "Apache-2.0",
    "psfl": "PSF-2.0",
}
_KNOWN = frozenset(
    {*_SPDX.values(), "0BSD", "BSL-1.0", "FSFAP", "FSFUL", "FSFULLR", "MIT-0", "OLDAP-2.8", "X11"}
)
_WORDS = re.compile(r"\s+(and|or)\s+", re.IGNORECASE)


def spdx(name: str) -> str:
    """Returns SPDX's id of a licence that Debian or a package calls `name`; empty where it is not plain which."""
    if match := _VERSIONED.fullmatch(name):
        number = match[2] if "." in match[2] else f"{match[2]}.0"
        # The GFDL counts as Debian does only without invariant sections, which the short name leaves open.
        return "" if match[1] == "GFDL" else f"{match[1]}-{number}-{'or-later' if match[3] else 'only'}"
    return _SPDX.get(name.lower(), name if name in _KNOWN else "")


def of_debs(root: Path) -> Mapping[str, tuple[str, ...]]:
    """Returns the licences by package, in Debian's words, as the copyright files in the tar `root` name them."""
    texts: dict[str, str] = {}
    links: dict[str, str] = {}
    with tarfile.open(root) as archive:
        for member in archive:
            match = _COPYRIGHT.fullmatch(member.name)
            if match is None:
                continue
            if member.issym() and not member.name.endswith("/copyright"):
                links[match[1]] = member.linkname.rpartition("/")[2]
            elif member.isfile() and member.size <= _LONGEST:
                opened = archive.extractfile(member)
                texts[match[1]] = opened.read().decode(errors="replace") if opened else ""
    for name, target in links.items():
        if target in texts:
            texts[name] = texts[target]
    return {name: _named(text) for name, text in texts.items()}


def of_wheel(file: Path) -> tuple[str, ...]:
    """Returns the licences that a wheel's metadata name."""
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        if not names:
            return ()
        fields = email.parser.BytesParser().parsebytes(archive.read(names[0]))
    expression = fields.get("License-Expression") or ""
    if expression:
        return (expression,)
    short = (fields.get("License") or "").strip()
    return (short,) if short and len(short) < 60 and "\n" not in short else ()


def _named(text: str) -> tuple[str, ...]:
    if not text.lstrip().startswith("Format:"):
        return ()
    return tuple(sorted({line.strip() for line in _LICENCE.findall(text)}))


def expression(names: tuple[str, ...]) -> str:
    """Returns an SPDX expression of all `names`, empty where it is not plain what one of them stands for."""
    found = sorted({_expression(name) for name in names})
    if not found or not all(found):
        return ""
    return (
        found[0] if len(found) == 1 else " AND ".join(f"({one})" if " OR " in one else one for one in found)
    )


def _expression(name: str) -> str:
    parts = _WORDS.split(name)
    words = {word.upper() for word in parts[1::2]}
    ids = [spdx(part) for part in parts[::2]]
    # "GPL-2+ or Artistic, and Expat" says by its comma what binds first: that is for people to read.
    return f" {words.pop() if words else ''} ".join(ids) if all(ids) and len(words) < 2 else ""
