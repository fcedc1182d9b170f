"""Whether a host's clock tells the time: what is certified here has to be valid there, and vCenter's installer asks for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from paver.driver import Finding, Grade
from paver.drivers.vsphere.host import reading
from paver.sitefile.site import Site

CHECK = "clock"
NEAR = 60
"""Seconds that nobody minds."""
TOLERATED = 600
"""Seconds by which clocks may differ for vCenter's tokens ("Clock Tolerance", vCenter Single Sign-On Programming Guide)."""


def now() -> dt.datetime:
    """Returns the time of this machine's clock."""
    return dt.datetime.now(dt.UTC)


def clock(site: Site, name: str, session: Any, here: Callable[[], dt.datetime] = now) -> Finding:
    """Returns how a host's clock goes by this machine's, which is taken to be right.

    A host that is told of time servers follows them: a wrong clock is in the way only where the site has its time from it.
    """
    before = here()
    there: dt.datetime = session.query(reading.manager(session, "dateTimeSystem"), "QueryDateTime")
    after = here()
    ahead = round((there - (before + (after - before) / 2)).total_seconds())
    seen = f"{there.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    if abs(ahead) <= NEAR:
        return Finding(subject=name, check=CHECK, seen=f"{seen}, as here")
    serves = site.ntp_on_jumpbox and name == site.jumpbox.on
    return Finding(
        subject=name,
        check=CHECK,
        grade=Grade.REFUSED if serves and abs(ahead) > TOLERATED else Grade.WARNING,
        seen=f"{seen}, {_words(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} this machine",
        wanted=f"{after:%Y-%m-%d %H:%M:%S} UTC",
        why="the jumpbox gets its clock from this host, and the whole site from the jumpbox: certificates made here would not be "
        "valid there yet, or no longer"
        if serves
        else "it follows its time servers once it is told of them; vCenter is installed on a host whose clock is right only",
        do="set it on the host (host client, Manage, System, Time & date; or `esxcli hardware clock set`), or this machine's clock if "
        "that is wrong",
    )


def _words(seconds: int) -> str:
    if seconds < 2 * 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
