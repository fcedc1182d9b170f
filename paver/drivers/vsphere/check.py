"""What is wrong in a vSphere site beyond single values."""

from __future__ import annotations

from collections.abc import Iterator

from paver.sitefile.diagnostic import Diagnostic
from paver.sitefile.site import Site


def check(site: Site) -> Iterator[Diagnostic]:
    """Yields every finding."""
    yield from ()
