"""What an earlier run asked a host or vCenter for, and did not see the end of.

A task goes on without whoever asked for it. A host that vCenter was told to add comes into its inventory a minute after the
run was killed, and what was told to go is listed until it has gone: whoever acts meanwhile asks for a thing twice, or takes
for whole what is on its way out.
"""

from __future__ import annotations

from typing import Any

from paver.errors import PaverError
from paver.transport import retry
from paver.transport.vsphere import snapshot, soap_types
from paver.transport.vsphere.reader import Link

SECONDS = 900.0
"""How long they are waited for: the longest, adding a host, takes some minutes."""
ASKED = frozenset(
    {
        "AddHost_Task",
        "DeleteDatastoreFile_Task",
        "Destroy_Task",
        "DisconnectHost_Task",
        "MoveDatastoreFile_Task",
        "PowerOffVM_Task",
        "PowerOnVM_Task",
        "ReconfigVM_Task",
        "ReconfigureComputeResource_Task",
        "ReconnectHost_Task",
        "Rename_Task",
    }
)
"""The calls of paver's that make a task."""
_ON_ITS_WAY = frozenset({"queued", "running"})
_PATHS = ("info.descriptionId", "info.entityName", "info.name", "info.reason", "info.state")


class StillRunningError(PaverError):
    """A task of before has not come to its end."""


def await_earlier(link: Link, user: str) -> None:
    """Waits until no task that paver may have asked for, under the account `user`, is on its way; forgets then what was read.

    Tasks of others are left alone: they take hours where a machine is copied.

    Raises:
        StillRunningError: if one is after `SECONDS`.
        Unobservable: if they cannot be read.
    """
    name, waited = link.name, []

    def look() -> None:
        found = [values for values in _recent(link) if _is_ours(values, user)]
        if found:
            waited.append(found)
            first = found[0]
            raise StillRunningError(
                f"{name}: {first['info.name']} of {first.get('info.entityName') or 'something'} is still "
                f"{first['info.state']}",
                why="an earlier run, or somebody else with the same account, asked for it",
                do="see the recent tasks in its own client; then run the same command again",
            )

    retry.reading(
        look,
        endpoint=name,
        doing="look whether what was begun before has ended",
        tell=link.context.on_retry,
        seconds=SECONDS,
        passes=lambda error: isinstance(error, StillRunningError) or retry.passing(error),
    )
    if waited:
        link.snapshot.forget()


def _recent(link: Link) -> list[dict[str, Any]]:
    """Returns what `_PATHS` say of each task that a server lists as recent: all that have not ended, and some that have."""
    new = soap_types.new
    manager = link.content.taskManager
    traversal = new("TraversalSpec", type=type(manager), path="recentTask", skip=False)
    wanted = new(
        "PropertyFilterSpec",
        objectSet=[new("ObjectSpec", obj=manager, skip=True, selectSet=[traversal])],
        propSet=[
            new("PropertySpec", type=soap_types.type_of("Task"), all=False, pathSet=list(_PATHS)),
        ],
    )
    return [values for _, values in snapshot.collect(link.content.propertyCollector, [wanted])]


def _is_ours(values: dict[str, Any], user: str) -> bool:
    if values.get("info.state") not in _ON_ITS_WAY or values.get("info.name") not in ASKED:
        return False
    # What a server begins by itself, or by a schedule, names nobody.
    asked = getattr(values.get("info.reason"), "userName", None)
    return asked is not None and _account(asked) == _account(user)


def _account(user: str) -> str:
    r"""Returns the name alone: vCenter says `VSPHERE.LOCAL\Administrator` of `administrator@vsphere.local`."""
    return user.rpartition("\\")[2].partition("@")[0].lower()
