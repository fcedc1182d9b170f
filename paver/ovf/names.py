"""Names of files inside an OVF package: plain relative ones, or none at all."""

from __future__ import annotations

import re
import urllib.parse

from paver.errors import BadInput

_LONGEST = 255
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def member_name(name: str, *, where: str) -> str:
    """Returns `name` without a leading `./`.

    Args:
        name: as it stands in an archive or a manifest.
        where: who says so, for the error: "the archive", "the manifest of x.ova".

    Raises:
        BadInput: it is absolute, leads out of its folder, or isn't a name that a file can have.
    """
    plain = name.removeprefix("./")
    parts = plain.split("/")
    if (
        not plain
        or len(plain.encode(errors="surrogatepass")) > _LONGEST
        or not plain.isprintable()
        or "\\" in plain
    ):
        raise BadInput(f"{where} names a file {name[:80]!r}, which is not a name that paver takes")
    if plain.startswith("/") or _SCHEME.match(plain) or any(part in {"", ".", ".."} for part in parts):
        raise BadInput(
            f"{where} names the file {name!r}, which lies outside of its folder",
            why="a package that reaches out of its folder could read or overwrite anything",
            do="use a package from a source that you trust",
        )
    return plain


def href_name(href: str, *, where: str) -> str:
    """Returns the file that an OVF's `href`, a relative URI, stands for.

    Raises:
        BadInput: as `member_name`.
    """
    return member_name(urllib.parse.unquote(href), where=where)
