"""How long root's password of the appliance holds, by what the appliance tells of the account."""

from __future__ import annotations

import datetime as dt

import pytest

from paver.drivers.vsphere.vcsa import expiry

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


def told(days: float, most: int = 90) -> dict[str, object]:
    until = (NOW + dt.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"password_expires_at": until, "max_days_between_password_change": most}


@pytest.mark.parametrize(
    ("days", "most", "holds", "seen"),
    [
        (89, 90, True, "holds until 2027-02-26, 89 days"),
        (15, 90, True, "holds until 2026-12-14, 15 days"),
        (14, 90, False, "holds until 2026-12-13, 14 days"),
        (-1, 90, False, "expired on 2026-11-28"),
        (6, 20, True, "holds until 2026-12-05, 6 days"),
        (5, 20, False, "holds until 2026-12-04, 5 days"),
    ],
)
def test_the_proof_fails_in_the_last_two_weeks_and_says_what_to_do(
    days: float, most: int, *, holds: bool, seen: str
) -> None:
    check = expiry.check("vcsa", "vcenter-root", told(days, most), NOW)
    assert check.ok is holds
    assert check.seen.startswith(seen)
    assert ("paver secrets set vcenter-root" in check.seen) is not holds


def test_a_password_that_does_not_expire_is_none_to_look_after() -> None:
    check = expiry.check("vcsa", "vcenter-root", {"enabled": True}, NOW)
    assert check.ok
    assert check.seen == "it does not expire"
