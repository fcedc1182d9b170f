"""Versions of the API that a vCenter speaks, as `8.0.3.0`."""

from __future__ import annotations


def reaches(api: str, major: int) -> bool:
    """Tells whether an API is of the major version `major` or a later one."""
    found = api.partition(".")[0]
    return found.isdigit() and int(found) >= major
