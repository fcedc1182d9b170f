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
from paver.drivers.vsphere import ending

ROOT = "/api/appliance/local-accounts/root"


def check(vm: str, secret: str, root: Mapping[str, Any], now: dt.datetime) -> Check:
    """Returns the proof that root's password goes on holding, by what the appliance tells of the account."""
    what = f"the password of {vm}'s root"
    do = f"change it on the appliance (`passwd`, or port 5480), then `paver secrets set {secret}` and `paver apply`"
    told = root.get("password_expires_at")
    if not told:
        return ending.check(what, None, "it does not expire", do)
    until = dt.datetime.fromisoformat(str(told))
    left = (until - now).days
    seen = f"holds until {until.date()}, {left} days" if left >= 0 else f"expired on {until.date()}"
    return ending.check(what, left, seen, do, int(root.get("max_days_between_password_change") or 0))
