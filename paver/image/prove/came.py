"""What a booted image made of what it was told: asked over SSH, read on its consoles, and again after another boot."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import Iterator, Sequence

from paver.errors import PaverError
from paver.image.prove import checks, disks, firstboot, form, guest
from paver.image.prove.report import Line
from paver.lab.qemu import guestinfo, hardware, machine
from paver.signing import public_line, ssh

FIRST_BOOT = 600.0
"""Seconds that cloud-init may take once somebody can log in."""
CHECKS = 900.0
"""Seconds that all that is looked at may take together."""

_MARK = "/etc/paver/firstboot.done"
_AWAIT_MARK = f"for i in $(seq 300); do [ -s {_MARK} ] && break; sleep 1; done; cat {_MARK}"


@contextlib.contextmanager
def reached(
    running: machine.Machine, network: hardware.UserNetwork, key: str, since: int = 0
) -> Iterator[guest.Guest]:
    """Yields the guest once a login succeeds; `since` is the place on its console from which this boot is."""
    found = guest.await_guest(running, "127.0.0.1", network.port, firstboot.USER, key, since)
    try:
        yield found
    finally:
        found.close()


def looked(asked: guest.Guest, probes: Sequence[checks.Probe]) -> list[Line]:
    """Returns what all probes found, asked at once.

    Raises:
        PaverError: they did not come to their end.
    """
    ran = asked.run("sh -s", root=True, timeout=CHECKS, stdin=checks.script(probes).encode())
    try:
        return checks.judged(probes, ran.text)
    except ValueError as error:
        raise PaverError(
            "the checks ended before their end",
            seen=ran.err.decode("utf-8", "replace")[-500:],
            why=str(error),
        ) from error


def ended(asked: guest.Guest) -> Line:
    """Returns whether cloud-init came to its end."""
    ran = asked.run("cloud-init status --wait --long", root=True, timeout=FIRST_BOOT)
    words = " ".join(ran.text.split())
    return Line(checks.FIRST_BOOT, "cloud-init ended without an error", "status: done" in words, words[:300])


def marked(asked: guest.Guest, told_by: str) -> Line:
    """Returns whether the machine marked a first boot that came to its end, in this way."""
    ran = asked.run(_AWAIT_MARK, root=True, timeout=FIRST_BOOT)
    try:
        mark = json.loads(ran.text)
        seen = f"way {mark['way']}, {mark['address']}, {mark['fingerprint']}"
        holds = (mark["way"], mark["fingerprint"]) == (told_by, ssh.fingerprint(asked.host_key))
    except (ValueError, KeyError, TypeError):
        seen, holds = f"{_MARK} is {ran.text[:100] or 'not there'}", False
    return Line(checks.FIRST_BOOT, "the first boot is marked as done in this way", holds, seen)


def published(running: machine.Machine, asked: guest.Guest, shown: str | None) -> Iterator[Line]:
    """Yields what is known of its host key; `shown` is what the form showed at its end on the screen, where it was filled in."""
    wanted = ssh.fingerprint(asked.host_key)
    there = wanted in running.console.text()
    yield Line(checks.FIRST_BOOT, "its host key's fingerprint is on the console", there, wanted)
    if shown is not None:
        seen = wanted if wanted in shown else shown.strip()[-600:]
        yield Line(checks.FIRST_BOOT, "the form's end on the screen shows it", wanted in shown, seen)


def shut(running: machine.Machine) -> Line:
    """Returns whether the form on the screen, where it was filled in, is shut now that somebody has logged in."""
    opens = form.opens_again(running)
    seen = "on the screen it opens again" if opens else "the screen has a login prompt"
    return Line(checks.FIRST_BOOT, "the form is shut once somebody has logged in", not opens, seen)


def through_guestinfo(values: guestinfo.Guestinfo, asked: guest.Guest) -> Iterator[Line]:
    """Yields what became of guestinfo."""
    now = values.values
    try:
        published = base64.b64decode(now.get(public_line.PUBLISHED, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        published = now[public_line.PUBLISHED]
    wanted = " ".join(asked.host_key.split()[:2])
    yield Line(
        checks.FIRST_BOOT,
        "its host key is published by guestinfo",
        wanted in published,
        ssh.fingerprint(asked.host_key)
        if wanted in published
        else f"{public_line.PUBLISHED} is {published[:60] or 'not set'}",
    )
    # Who it is stays; what may have a password in it goes.
    left = now.get(firstboot.USERDATA, "").strip("- ")
    seen = f"{len(left)} characters are still there" if left else "cleared"
    yield Line(checks.FIRST_BOOT, f"{firstboot.USERDATA} is cleared after use", not left, seen)


def again(
    running: machine.Machine, network: hardware.UserNetwork, asked: guest.Guest, key: str, size: int | None
) -> Iterator[Line]:
    """Boots the machine again, and yields whether it is the same one, with what it had.

    Its data disk of `size` bytes, if there is one, has grown meanwhile.
    """
    grown = None if size is None else size + disks.MORE
    if grown is not None:
        running.monitor.grow(disks.DATA, grown)
    mark = asked.run(f"cat {_MARK}").text
    since = len(running.console.text())
    asked.run("systemctl --no-block reboot", root=True)
    with reached(running, network, key, since) as back:
        same = back.host_key == asked.host_key
        yield Line(disks.AGAIN, "it is known by the same host key", same, ssh.fingerprint(back.host_key))
        after = back.run(f"cat {_MARK}").text
        yield Line(
            disks.AGAIN,
            "the mark of its first boot is as it was",
            after == mark,
            " ".join(after.split())[:100],
        )
        yield from looked(back, list(disks.again(grown)))
