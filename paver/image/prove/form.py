"""Filling in the form on the serial console, as a person would who has read it: one answer after its question."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from paver.drivers.vsphere.jumpbox.first_boot import FirstBoot
from paver.lab.qemu.console import Console

QUESTION = 120.0
"""Seconds from an answer to the next question."""

APPLIED = 600.0
"""Seconds from the last answer to what came of it."""


def steps(told: FirstBoot) -> list[tuple[str, str]]:
    """Returns what is asked, as regular expressions, and what is answered."""
    return [
        (r"Address/prefix.*: $", f"{told.address}/{told.prefix}"),
        (r"Gateway.*: $", told.gateway),
        (r"DNS servers.*: $", " ".join(told.dns)),
        (r"NTP servers.*: $", ""),
        (r"Name.*: $", f"{told.hostname}.{told.domain}"),
        (r"SSH public key.*: $", told.keys[0]),
        (r"Apply this\?.*: $", "yes"),
    ]


def fill_in(
    console: Console, asked: Sequence[tuple[str, str]], opens: float, alive: Callable[[], bool]
) -> None:
    """Answers all questions, and returns once it was applied.

    Args:
        console: where the form is.
        asked: what is asked, and what is answered.
        opens: seconds until it asks first.
        alive: tells whether the machine still runs.

    Raises:
        Hung: a question does not come, or it was not applied.
    """
    at, patience = 0, opens
    for question, answer in asked:
        found = console.wait(question, patience, alive, what=f"the form's question {question}", since=at)
        at, patience = found.end(), QUESTION
        console.type(f"{answer}\n")
    # Where nothing answers but the machine itself, it says so of its name server.
    console.wait(r"^Done[.,]", APPLIED, alive, what="the end of what the form does", since=at)
