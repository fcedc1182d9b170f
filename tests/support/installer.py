"""What vCenter's installer said, read as paver reads it while it runs."""

from __future__ import annotations

from paver.drivers.vsphere.vcsa.progress import Event, Follower


def events(text: str) -> tuple[Event, ...]:
    """Returns the events of a whole log or output."""
    follower = Follower()
    return follower.feed(text) + follower.end()


def summary(found: tuple[Event, ...]) -> dict[str, str]:
    """Returns what it told at its end of what it made."""
    return {event.stage: event.message for event in found if event.kind == "summary"}
