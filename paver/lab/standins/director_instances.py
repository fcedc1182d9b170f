"""The director's records of instances: who they are, which VM and disk they have, what they last became."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from paver.lab.standins.director_state import State
from paver.lab.standins.director_wish import InstanceWish


@dataclass
class Instances:
    """The instances of one deployment, in the state's document."""

    state: State
    deployment: str

    def all(self) -> list[dict[str, Any]]:
        """Every instance."""
        with self.state.lock:
            known = self.state.data["deployments"].get(self.deployment, {})
            return [dict(instance) for instance in known.get("instances", [])]

    def find(self, wanted: InstanceWish) -> dict[str, Any] | None:
        """The instance that a wish is about."""
        for instance in self.all():
            if (instance["group"], instance["index"]) == (wanted.group, wanted.index):
                return instance
        return None

    def make(self, wanted: InstanceWish) -> dict[str, Any]:
        """A new instance without a VM."""
        instance: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "group": wanted.group,
            "index": wanted.index,
            "az": wanted.az,
            "vm_type": wanted.vm_type,
            "ip": str(wanted.address),
            "stemcell": {"name": wanted.stemcell["name"], "version": wanted.stemcell["version"]},
            "vm": None,
            "agent": None,
            "door": None,
            "created": "",
            "disk": None,
            "disk_size": 0,
            "shape": "",
            "content": "",
            "ready": False,
        }
        with self.state.changing() as data:
            data["deployments"][self.deployment]["instances"].append(dict(instance))
        return instance

    def update(self, instance: dict[str, Any], **changes: Any) -> None:
        """Changes an instance, here and in the document."""
        instance |= changes
        with self.state.changing() as data:
            for known in data["deployments"][self.deployment]["instances"]:
                if known["id"] == instance["id"]:
                    known.update(changes)

    def remove(self, instance: Mapping[str, Any]) -> None:
        """Forgets an instance."""
        with self.state.changing() as data:
            known = data["deployments"][self.deployment]
            known["instances"] = [other for other in known["instances"] if other["id"] != instance["id"]]

    def orphan(self, instance: Mapping[str, Any], disk: str) -> None:
        """Notes a disk that no instance has any more; a clean-up deletes it."""
        with self.state.changing() as data:
            data["orphaned_disks"].append(
                {
                    "disk_cid": disk,
                    "size": instance["disk_size"],
                    "deployment_name": self.deployment,
                    "instance_name": label(instance),
                    "az": instance["az"],
                    "orphaned_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
                }
            )


def label(instance: Mapping[str, Any]) -> str:
    """How the CLI shows an instance."""
    return f"{instance['group']}/{instance['id']} ({instance['index']})"


def network(wanted: InstanceWish) -> dict[str, Any]:
    """An instance's network as CPI and agent take it."""
    return {
        "type": "manual",
        "ip": str(wanted.address),
        "netmask": str(wanted.subnet.network.netmask),
        "gateway": str(wanted.subnet.gateway),
        "dns": list(wanted.subnet.dns),
        "default": ["dns", "gateway"],
        "cloud_properties": dict(wanted.subnet.cloud_properties),
    }
