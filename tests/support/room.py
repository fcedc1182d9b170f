"""A machine of files for the appliance's tests: a root folder, and the commands that were run in it with what they print."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from paver.appliance import render
from paver.errors import PaverError
from paver.machine.first_boot import FirstBoot

MACHINE = "0123456789abcdef0123456789abcdef"
MAC = "00:50:56:01:02:03"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBb+PEF63WNwdmjQLMVhWUL5wGage0txb+uhUMGTXBUU"
FINGERPRINT = "SHA256:xtNOcIQ/w/WhOPfU0IlTuPKXKZwjEyH8VdTcfr/ekLk"
WISH = FirstBoot(
    hostname="jumpbox",
    domain="north.example",
    user="paver",
    keys=(HOST_KEY,),
    address="10.20.0.10",
    prefix=24,
    gateway="10.20.0.1",
    dns=("10.20.0.5",),
    mac=MAC,
)
"""A first boot as paver's own phase tells it to a machine with that card."""


@dataclasses.dataclass
class Room:
    """See above.

    Attributes:
        root: where its file system begins.
        ran: commands, in order.
        given: what was typed into each, for those that were given something.
        prints: what a command prints, by how it begins; an error is raised.
        guestinfo: the VM's values.
    """

    root: Path
    ran: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    given: dict[str, str] = dataclasses.field(default_factory=dict)
    prints: dict[str, str | PaverError | Callable[[], str]] = dataclasses.field(default_factory=dict)
    guestinfo: dict[str, str] = dataclasses.field(default_factory=dict)

    def run(self, *argv: str, stdin: str = "", timeout: float = 0) -> str:
        del timeout
        self.ran.append(argv)
        if stdin:
            self.given[argv[0]] = stdin
        if argv[0] == "vmware-rpctool":
            return self._rpc(argv[1])
        line = " ".join(argv)
        for begins, printed in self.prints.items():
            if line.startswith(begins):
                if isinstance(printed, PaverError):
                    raise printed
                return printed() if callable(printed) else printed
        return ""

    def began(self, *words: str) -> bool:
        return any(argv[: len(words)] == words for argv in self.ran)

    def write(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def addresses(self) -> str:
        """What `ip` shows: what networkd was told, or else an address that was there before."""
        unit = self.root / render.NETWORK
        text = unit.read_text() if unit.exists() else "\nAddress=10.20.0.10/24"
        local, _, prefix = text.partition("\nAddress=")[2].split()[0].partition("/")
        info = {"scope": "global", "local": local, "prefixlen": int(prefix)}
        return json.dumps([{"ifname": "ens192", "addr_info": [info]}])

    def _rpc(self, request: str) -> str:
        verb, _, rest = request.partition(" ")
        key, _, value = rest.partition(" ")
        if verb == "info-set":
            self.guestinfo[key] = value
            return ""
        if key not in self.guestinfo:
            raise PaverError("`vmware-rpctool` ended with 1", seen="No value found")
        return f"{self.guestinfo[key]}\n"


def make(root: Path, *, vmware: bool = False, cloud: str | None = None) -> Room:
    """Returns a machine with one card, a host key and two consoles; `cloud` is what cloud-init says of its source."""
    room = Room(root)
    room.write("etc/machine-id", f"{MACHINE}\n")
    room.write("etc/shadow", "root:*:20000:0:99999:7:::\npaver:!:20000:0:99999:7:::\n")
    room.write("etc/ssh/ssh_host_ed25519_key.pub", f"{HOST_KEY}\n")
    room.write("sys/class/net/ens192/address", f"{MAC}\n")
    room.write("sys/class/net/ens192/carrier", "1\n")
    room.write("sys/class/net/ens192/device/vendor", "0x15ad\n")
    room.write("sys/class/net/lo/address", "00:00:00:00:00:00\n")
    room.write("sys/class/tty/console/active", "tty0 ttyS0\n")
    room.write("sys/class/dmi/id/sys_vendor", "VMware, Inc.\n" if vmware else "QEMU\n")
    (root / "home/paver").mkdir(parents=True)
    if cloud is not None:
        room.write("run/cloud-init/cloud-id", f"{cloud}\n")
    room.prints = {
        "lsblk": json.dumps({"blockdevices": []}),
        "ip -json -4 address": room.addresses,
        "ip -json -4 route": json.dumps([{"dst": "default", "dev": "ens192"}]),
        "findmnt": "/dev/sda3\n",
        "journalctl": PaverError("`journalctl` ended with 1"),
    }
    return room
