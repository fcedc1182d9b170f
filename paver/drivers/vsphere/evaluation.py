"""How long an evaluation lasts: 60 days from the installation.

A host whose evaluation has ended leaves its vCenter and starts no machine any more; those of a vCenter whose own has ended
all leave it (vCenter Server and Host Management, Expiration Date of a License or an Evaluation Period). The end stands in
`LicenseManager.evaluation`, under `expirationDate`, and there also where a licence took the evaluation's place. Which licence
is in force for a vCenter stands in `LicenseAssignmentManager.QueryAssignedLicenses`, by its `about.instanceUuid`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from paver.driver import Check
from paver.drivers.vsphere import ending

KEY = "00000-00000-00000-00000-00000"
"""What stands in place of a licence's key."""
_VCENTER = "vc"
"""How the editions of vCenter's own licences begin; those of hosts begin with `esx`."""


def until(session: Any) -> dt.datetime | None:
    """Returns when the evaluation of a host or vCenter ends; None where it does not tell."""
    told = session.value(session.content.licenseManager, "evaluation")
    for one in (told.properties if told is not None else None) or ():
        if one.key == "expirationDate" and isinstance(one.value, dt.datetime):
            return one.value if one.value.tzinfo is not None else one.value.replace(tzinfo=dt.UTC)
    return None


def left(end: dt.datetime) -> int:
    """Returns how many whole days are left, below 0 once it has ended."""
    return (end - now()).days


def words(end: dt.datetime) -> str:
    """Returns an end in words."""
    days = left(end)
    return f"until {end.date()}, {days} days" if days >= 0 else f"ended on {end.date()}"


def check(name: str, end: dt.datetime | None, do: str) -> Check:
    """Returns the proof that the evaluation of `name` is far from its end."""
    what = f"{name}'s evaluation"
    if end is None:
        return ending.check(what, None, "when it ends is not told", do)
    return ending.check(what, left(end), words(end), do)


def of_vcenter(session: Any) -> bool:
    """Tells whether a vCenter runs its evaluation: no licence is assigned to it; one that was only added is not in force."""
    manager = session.content.licenseManager
    assigner = session.value(manager, "licenseAssignmentManager")
    if assigner is None:
        known = session.value(manager, "licenses") or ()
        return not any(one.editionKey.startswith(_VCENTER) for one in known)
    own = session.content.about.instanceUuid
    assigned = session.query(assigner, "QueryAssignedLicenses", entityId=own) or ()
    return all(one.assignedLicense.licenseKey == KEY for one in assigned)


def now() -> dt.datetime:
    """Returns the time."""
    return dt.datetime.now(dt.UTC)
