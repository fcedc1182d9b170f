"""The licence of a host that a vCenter manages: vCenter assigns it, and puts it back whatever is set on the host itself."""

from __future__ import annotations

from typing import Any

from paver.driver import Unobservable

CALLS = frozenset({"AddLicense", "UpdateAssignedLicense"})
"""What assigning a licence calls."""


def assigned(session: Any, host: Any) -> str:
    """Returns the key of the licence that a host has in vCenter."""
    found = session.query(_assigner(session), "QueryAssignedLicenses", entityId=host._moId)  # noqa: SLF001
    return next((str(one.assignedLicense.licenseKey) for one in found or ()), "")


def assign(session: Any, host: Any, key: str) -> None:
    """Gives a host a licence. A key that vCenter does not know yet is added first: of others it assigns none."""
    if assigned(session, host) == key:
        return
    manager = session.content.licenseManager
    if key not in {one.licenseKey for one in session.value(manager, "licenses") or ()}:
        session.call(manager, "AddLicense", licenseKey=key)
    session.call(
        _assigner(session),
        "UpdateAssignedLicense",
        entity=host._moId,  # noqa: SLF001 (the API takes the id as text)
        licenseKey=key,
    )


def _assigner(session: Any) -> Any:
    found = session.value(session.content.licenseManager, "licenseAssignmentManager")
    if found is None:
        raise Unobservable(
            f"{session.name} does not show who assigns its licences", do="check the rights of the account"
        )
    return found
