"""The lab's jumpbox as one VM whose power button, and whose cable, a test has in its hands."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paver.lab import control
from tests.support.raised import Raised
from tests.support.waiting import until

MAC = "00:50:56:01:02:03"
ADDRESS = "10.20.0.10"


def card(**changes: Any) -> dict[str, Any]:
    return {
        "key": 4000,
        "mac": MAC,
        "port_group": "mgmt",
        "vlan": 20,
        "switch": "vSwitch0",
        "uplinks_up": 1,
        "connected": True,
        **changes,
    }


def packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode())).decode()


@dataclass
class Jumpbox:
    """One VM whose power button the test presses."""

    raised: Raised
    key: Path
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def guestinfo(self, userdata: str | None = None) -> dict[str, str]:
        public = self.key.with_suffix(".pub").read_text().strip()
        network = {
            "version": 2,
            "ethernets": {
                "nic0": {
                    "match": {"macaddress": MAC},
                    "addresses": [f"{ADDRESS}/24"],
                    "routes": [{"to": "0.0.0.0/0", "via": "10.20.0.1"}],
                    "nameservers": {"addresses": [ADDRESS], "search": ["north.example"]},
                }
            },
        }
        metadata = {"instance-id": "paver-1", "local-hostname": "jumpbox", "network": network}
        user = {"name": "paver", "ssh_authorized_keys": [public], "sudo": "ALL=(ALL) NOPASSWD:ALL"}
        files = [{"path": "/etc/paver/station", "content": "jumpbox\n", "permissions": "0600"}]
        cloud = "#cloud-config\n" + json.dumps({"users": [user], "write_files": files})
        return {
            "guestinfo.metadata": packed(json.dumps(metadata)),
            "guestinfo.metadata.encoding": "gzip+base64",
            "guestinfo.userdata": packed(cloud if userdata is None else userdata),
            "guestinfo.userdata.encoding": "gzip+base64",
        }

    def on(self, *, wait: bool = True, userdata: str | None = None, **changes: Any) -> None:
        disks = [{"file": str(self.raised.bootable("jumpbox"))}]
        boots = self.raised.console(self.uuid).count("power on:")
        self.raised.power(
            "on", self.uuid, extra_config=self.guestinfo(userdata), nics=[card(**changes)], disks=disks
        )
        until(lambda: self.raised.console(self.uuid).count("power on:") > boots, "it has power")
        until(lambda: self.says("sshd listens") if wait else self.says("tools:"), "the machine has booted")

    def off(self, state: str = "off") -> None:
        self.raised.power(state, self.uuid)
        until(lambda: self.raised.machine(self.uuid)["state"] == state, f"the machine is {state}")

    def wire(self, **changes: Any) -> None:
        """Lays its cable, as `changes` say."""
        machines = [{"vm": {"uuid": self.uuid}, "nics": [card(**changes)]}]
        control.call(self.raised.lab.room, "POST", "/wiring", {"server": "esx-01", "machines": machines})

    def says(self, words: str) -> bool:
        # What it said before it was last powered on doesn't count.
        return words in self.raised.console(self.uuid).rpartition("power on:")[2]

    def ssh(self, *words: str, check: bool = True, **settings: Any) -> subprocess.CompletedProcess[str]:
        return self.raised.run(["ssh", *self.options(), f"paver@{ADDRESS}", *words], check=check, **settings)

    def options(self) -> list[str]:
        settings = (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "BatchMode=yes",
            "ConnectTimeout=30",
        )
        return ["-i", str(self.key), *(part for each in settings for part in ("-o", each))]
