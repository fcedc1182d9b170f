"""What a vCenter does to its hosts by itself.

What stays on one that it had, nobody can give back by name, and no test holds a destroy to it. The agents of its clusters
come and go while the hosts are in them; one that stays on a host is held against whoever took that host out.
"""

from __future__ import annotations

import re
from typing import Any


def as_named_before(host: dict[str, Any]) -> dict[str, Any]:
    """The state of a host, its datastores by their names before vCenter renamed those whose name it had already."""
    stores = host["datastores"]
    names = {name: re.sub(r" \(\d+\)$", "", name) for name in stores}
    return {**host, "datastores": {names[name]: store for name, store in stores.items()}}


def agents(host: dict[str, Any]) -> list[str]:
    """The agents of a cluster that a host carries."""
    return [name for name in host["virtual_machines"] if name.startswith("vCLS-")]


def but_agents(vcenter: dict[str, Any]) -> dict[str, Any]:
    """The state of a vCenter but for the agents of its clusters and their folder."""
    entities = {path: one for path, one in vcenter["entities"].items() if "/vCLS" not in path}
    return {**vcenter, "entities": entities}


def without(host: dict[str, Any]) -> dict[str, Any]:
    """The state of a host but for what stays: the certificate, the agent's account, and names of datastores."""
    return {**as_named_before(host), "certificate": "", "users": {*host["users"]} - {"vpxuser"}}
