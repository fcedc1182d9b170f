"""Who it is that runs paver, for those who find his lock or his journal."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping


def user() -> str:
    """Returns the user, as the kernel knows this process's and not as a variable says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"  # In a container, whose number no file has a name for.


def told(holder: Mapping[str, object]) -> str:
    """Returns in words who holds a lock: one that an earlier paver took does not say by whom, and since when."""
    by, since = holder.get("user"), holder.get("since")
    parts = (
        str(holder.get("doing", "somebody")),
        f"process {holder.get('pid', '?')} on {holder.get('host', '?')}",
        f"by {by}" if by else "",
        f"since {since}" if since else "",
    )
    return ", ".join(filter(None, parts))
