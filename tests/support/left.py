"""What stays on a host that a vCenter had: nobody can give it back by name, and no test holds a destroy to it."""

from __future__ import annotations

import re
from typing import Any


def as_named_before(host: dict[str, Any]) -> dict[str, Any]:
    """The state of a host, its datastores by their names before vCenter renamed those whose name it had already."""
    stores = host["datastores"]
    names = {name: re.sub(r" \(\d+\)$", "", name) for name in stores}
    return {**host, "datastores": {names[name]: store for name, store in stores.items()}}


def without(host: dict[str, Any]) -> dict[str, Any]:
    """The state of a host but for what stays: the certificate, the agent's account, and names of datastores."""
    return {**as_named_before(host), "certificate": "", "users": {*host["users"]} - {"vpxuser"}}
