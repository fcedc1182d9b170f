"""What is wrong between the sections of a site, on any IaaS."""

from __future__ import annotations

from collections.abc import Iterator

from paver.sitefile.diagnostic import Diagnostic
from paver.sitefile.site import Site


def check(site: Site) -> Iterator[Diagnostic]:
    """Yields every finding about the sections that all drivers share."""
    yield from ()
