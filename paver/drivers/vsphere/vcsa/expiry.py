"""How long the password of the appliance's root holds: 90 days unless somebody set it otherwise.

The appliance tells it itself (`GET /api/appliance/local-accounts/{username}`, schema `Appliance LocalAccounts Info`:
`password_expires_at`, missing where it never expires). Of the administrator of single sign-on no public API tells when its
password was set: the admin API has the domain's policy (`GetLocalPasswordPolicy`: for how many days one holds) and of a
person (`AdminPersonUser`) name, details, disabled and locked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from paver.driver import Check

ROOT = "/api/appliance/local-accounts/root"
_SOON = 14
"""Days before the end on which the proof begins to fail, as for BOSH's account."""


def check(vm: str, secret: str, root: Mapping[str, Any], now: dt.datetime) -> Check:
    """Returns the proof that root's password goes on holding, by what the appliance tells of the account."""
    name = f"the password of {vm}'s root is far from its end"
    told = root.get("password_expires_at")
    if not told:
        return Check(name, ok=True, seen="it does not expire")
    until = dt.datetime.fromisoformat(str(told))
    left = (until - now).days
    seen = f"holds until {until.date()}, {left} days" if left >= 0 else f"expired on {until.date()}"
    # A lifetime may be shorter than what is soon otherwise.
    if left > min(_SOON, int(root.get("max_days_between_password_change") or _SOON * 4) // 4):
        return Check(name, ok=True, seen=seen)
    do = f"change it on the appliance (`passwd`, or port 5480), then `paver secrets set {secret}` and `paver apply`"
    return Check(name, ok=False, seen=f"{seen}; {do}")
