"""What an earlier run asked a host or vCenter for, and did not see the end of.

A task goes on without whoever asked for it. A host that vCenter was told to add comes into its inventory a minute after the
run was killed, and what was told to go is listed until it has gone: whoever acts meanwhile asks for a thing twice, or takes
for whole what is on its way out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from paver.errors import Interrupted, PaverError
from paver.transport.vsphere.faults import VsphereFault
from paver.transport.vsphere.reader import VsphereReader

SECONDS = 900.0
"""How long they are waited for in all: the longest, adding a host, takes some minutes."""
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
"""The calls of paver's that make a task, as tasks name them."""
_GOING = frozenset({"queued", "running"})


def settle(
    reader: VsphereReader, user: str, stopping: Callable[[], bool], tell: Callable[[str], None]
) -> None:
    """Waits until the tasks have ended that are on their way now, and that paver may have asked for as `user`.

    What others ask for is left alone, it takes hours where a machine is copied; so is what is asked for from now on.

    Raises:
        Interrupted: if the user stopped; the tasks go on.
        PaverError: if one is on its way still after `SECONDS`.
        Unobservable: if they cannot be read.
    """
    end = time.monotonic() + SECONDS
    for task, seen in reader.recent_tasks():
        if not is_ours(seen, user):
            continue
        what = f"{seen['info.name']} of {seen.get('info.entityName') or 'something without a name'}"
        tell(f"{what}, which was begun before, goes on")

        def ended(now: Mapping[str, Any], what: str = what) -> bool:
            if now["info.state"] not in _GOING:
                return True
            if stopping():
                raise Interrupted(f"stopped waiting for {what}; {reader.name} goes on with it")
            if time.monotonic() > end:
                raise PaverError(
                    f"{reader.name}: {what} has not come to its end in {SECONDS / 60:.0f} min",
                    why="an earlier run, or somebody with the same account, asked for it",
                    do="see the recent tasks in its own client; the same paver command tries again",
                    seen=f"info.state: {now['info.state']}",
                )
            return False

        try:
            reader.wait(task, ("info.state",), ended, timeout=math.inf)
        except VsphereFault as fault:
            # Servers keep tasks that have ended for some minutes.
            if not fault.is_a("ManagedObjectNotFound"):
                raise


def is_ours(seen: Mapping[str, Any], user: str) -> bool:
    """Tells whether a task is on its way and may be paver's, by what was seen of it."""
    if seen.get("info.state") not in _GOING or seen.get("info.name") not in ASKED:
        return False
    # What a server begins by itself, or by a schedule, names nobody.
    asked = getattr(seen.get("info.reason"), "userName", None)
    return asked is not None and _account(asked) == _account(user)


def _account(user: str) -> str:
    r"""Returns the name alone: vCenter says `VSPHERE.LOCAL\Administrator` of `administrator@vsphere.local`."""
    return user.rpartition("\\")[2].partition("@")[0].lower()
