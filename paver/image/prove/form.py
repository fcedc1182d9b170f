"""Filling in the form as a person would who has read it: one answer after its question, on the serial console or the screen."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from paver.image.prove.guest import ANSWERS
from paver.lab.qemu.console import Console
from paver.lab.qemu.machine import Machine
from paver.lab.qemu.screen import Screen
from paver.machine.first_boot import FirstBoot

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


def on_screen(told: FirstBoot) -> list[tuple[str, str, str]]:
    """Returns what is asked on the screen, what is answered, and what the picture of the question is called, if it is kept.

    Nobody pastes a key there: a password lets somebody in. One answer can't be, and is refused.
    """
    password = secrets.token_hex(10)
    return [
        (r"Address/prefix:", told.address, ""),
        (r"!! .*\n.*\nAddress/prefix:", f"{told.address}/{told.prefix}", "refused"),
        (r"Gateway.*:", told.gateway, ""),
        (r"DNS servers.*:", " ".join(told.dns), ""),
        (r"NTP servers.*:", "", ""),
        (r"Name.*:", f"{told.hostname}.{told.domain}", ""),
        (r"SSH public key.*:", "", ""),
        (r"Password for .*:", password, ""),
        (r"The same again:", password, ""),
        (r"Apply this\?.*:", "yes", "summary"),
        (r"Enter opens the form again.*:", "", "result"),
    ]


def on_both(running: Machine, told: FirstBoot, folder: Path) -> str:
    """Fills the form in on the screen, opens it again on the serial console, and fills it in there with the key.

    Args:
        running: a machine that was told nothing.
        told: the answers.
        folder: for the pictures of the screen.

    Returns:
        what the screen showed at the form's end.

    Raises:
        Hung: one of the two forms does not come to its end.
    """
    console, asked = running.console, steps(told)
    opened = console.wait(asked[0][0], ANSWERS, running.runs, what="the form")
    shown = type_in(running.screen, on_screen(told), folder, running.runs)
    again = console.wait(
        r"Enter opens the form again.*: $",
        APPLIED,
        running.runs,
        what="the offer to open the form again",
        since=opened.end(),
    )
    console.type("\n")
    fill_in(console, asked, QUESTION, running.runs, again.end())
    return shown


def opens_again(running: Machine) -> bool:
    """Presses Enter on the screen, where the form was filled in; tells whether it opens, instead of a login prompt.

    Raises:
        Hung: neither comes.
    """
    running.screen.type("\n")
    what = "the form or a login prompt on the screen"
    found = running.screen.wait(r"(login|prefix.*): ?_?\s*\Z", QUESTION, running.runs, what=what)
    return found[1] != "login"


def type_in(
    screen: Screen, asked: Sequence[tuple[str, str, str]], folder: Path, alive: Callable[[], bool]
) -> str:
    """Answers all questions on the screen but the last one, which is left; returns what it shows then.

    Args:
        screen: where the form is.
        asked: what is asked, what is answered, and how the picture of the question is called.
        folder: for the pictures.
        alive: tells whether the machine still runs.

    Raises:
        Hung: a question does not come.
    """
    shown = ""
    for question, answer, picture in asked:
        # The cursor, which blinks, stands behind the question.
        found = screen.wait(rf"{question} ?_?\s*\Z", QUESTION, alive, what=f"the form's question {question}")
        shown = found.string
        if picture:
            screen.picture(folder / f"{picture}.png")
        if (question, answer, picture) != asked[-1]:
            screen.type(f"{answer}\n")
    return shown


def fill_in(
    console: Console,
    asked: Sequence[tuple[str, str]],
    opens: float,
    alive: Callable[[], bool],
    since: int = 0,
) -> None:
    """Answers all questions, and returns once it was applied.

    Args:
        console: where the form is.
        asked: what is asked, and what is answered.
        opens: seconds until it asks first.
        alive: tells whether the machine still runs.
        since: where on the console to begin.

    Raises:
        Hung: a question does not come, or it was not applied.
    """
    at, patience = since, opens
    for question, answer in asked:
        found = console.wait(question, patience, alive, what=f"the form's question {question}", since=at)
        at, patience = found.end(), QUESTION
        console.type(f"{answer}\n")
    # Where nothing answers but the machine itself, it says so of its name server.
    console.wait(r"^Done[.,]", APPLIED, alive, what="the end of what the form does", since=at)
