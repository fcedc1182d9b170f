"""The machine that this runs on: its cards, its files, its services. The only place of the form that changes anything."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from paver.appliance import ended, render
from paver.appliance.answers import Answers
from paver.appliance.dialogue import Card
from paver.errors import PaverError

HOST_KEY = "etc/ssh/ssh_host_ed25519_key.pub"
_CHRONY = "etc/systemd/system/multi-user.target.wants/chrony.service"
_PATIENCE = 20
"""Seconds that a card may take to have its address."""

Run = Callable[..., str]


def run(*argv: str, stdin: str = "", timeout: float = 300) -> str:
    """Runs a command and returns what it printed.

    Raises:
        PaverError: it failed.
    """
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, errors="replace", check=False, timeout=timeout
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PaverError(f"{argv[0]} can't be run", why=str(error)) from error
    if done.returncode:
        raise PaverError(
            f"`{' '.join(argv)}` ended with {done.returncode}",
            seen=(done.stderr or done.stdout).strip()[-500:],
        )
    return done.stdout


class Machine:
    """This machine.

    Args:
        root: where its file system begins.
        run: runs a command.
    """

    def __init__(self, root: Path = Path("/"), run: Run = run) -> None:
        self.root, self._run = root, run

    def cards(self) -> list[Card]:
        """Returns the network cards that have hardware, by name."""
        found = []
        for folder in sorted((self.root / "sys/class/net").iterdir()):
            if (folder / "device").exists():
                mac = (folder / "address").read_text().strip()
                found.append(Card(folder.name, mac, self._carrier(folder)))
        return found

    def host_key(self) -> str | None:
        """Returns the public host key's line, None before it is made."""
        try:
            return (self.root / HOST_KEY).read_text().strip()
        except OSError:
            return None

    def address(self) -> tuple[str, int] | None:
        """Returns the address and prefix by which the machine is reached: of the card that has the default route first."""
        shown: list[dict[str, Any]] = json.loads(self._run("ip", "-json", "-4", "address", "show", "up"))
        routes: list[dict[str, Any]] = json.loads(self._run("ip", "-json", "-4", "route", "show", "default"))
        first = [route.get("dev") for route in routes]
        addresses = [
            (link["ifname"] not in first, one["local"], one["prefixlen"])
            for link in shown
            for one in link["addr_info"]
            if one.get("scope") == "global"
        ]
        return min(addresses)[1:] if addresses else None

    def has_login(self) -> bool:
        """Tells whether somebody could log in: by a key, or by a password."""
        homes = (self.root / "home").glob("*/.ssh/authorized_keys")
        if any(keys.stat().st_size for keys in homes):
            return True
        shadow = (self.root / "etc/shadow").read_text().splitlines()
        return any(line.split(":")[1][:1] not in {"", "!", "*"} for line in shadow if ":" in line)

    def grow(self) -> None:
        """Grows the root partition and its file system to the disk, as cloud-init does where that runs.

        Raises:
            PaverError: it can't.
        """
        source = self._run("findmnt", "--noheadings", "--output", "SOURCE", "/").strip()
        found = re.fullmatch(r"(/dev/(?:[shv]d[a-z]+|(?:nvme\d+n\d+|mmcblk\d+)(?=p)))p?(\d+)", source)
        if found is None:
            raise PaverError(f"the root file system is on {source or 'nothing'}, which is no partition")
        # It ends with 1 where there is nothing to grow.
        if "NOCHANGE" not in self._run("sh", "-c", 'growpart "$0" "$1" || [ $? = 1 ]', *found.groups()):
            self._run("resize2fs", source, timeout=600)

    def apply(self, answers: Answers, tell: Callable[[str], None]) -> None:
        """Makes the machine what the answers say; again from any half of it.

        Raises:
            PaverError: a part of it failed; what was done before stands, and all of it is done again the next time.
        """
        tell("name, network and time")
        for path, (text, mode) in render.files(answers).items():
            if text:
                ended.put(self.root / path, text, mode)
            else:
                (self.root / path).unlink(missing_ok=True)
        if self.root == Path("/"):
            socket.sethostname(answers.hostname)
        self._run("networkctl", "reload")
        for card in self.cards():
            if card.mac == answers.card:
                self._run("networkctl", "reconfigure", card.name)
        # Without a reload of systemd, which runs every generator again: that takes longer than all the rest.
        if answers.ntp:
            self._run("systemctl", "--no-reload", "enable", "chrony.service")
            self._run("systemctl", "restart", "chrony.service")
        elif (self.root / _CHRONY).is_symlink():
            self._run("systemctl", "--no-reload", "disable", "chrony.service")
            self._run("systemctl", "stop", "chrony.service")
        tell("who may log in")
        self._let_in(answers)
        self._run("systemctl", "reload-or-restart", "ssh.service")

    def settled(self, answers: Answers) -> list[tuple[bool, str]]:
        """Waits until the address is there, and returns what was looked at and whether it is well."""
        wanted = str(answers.address.ip)
        until = time.monotonic() + _PATIENCE
        while not (there := self._has(wanted)) and time.monotonic() < until:
            time.sleep(0.5)
        card = next((card for card in self.cards() if card.mac == answers.card), None)
        found = [
            (card is not None and card.link is True, f"{card.name if card else answers.card} has a link"),
            (there, f"it has the address {answers.address}"),
        ]
        if answers.gateway is not None:
            found.append((self._pings(answers.gateway), f"the gateway {answers.gateway} answers"))
        found += [(_answers_dns(server), f"the name server {server} answers") for server in answers.dns]
        found += [(_answers_ntp(server), f"the time server {server} answers") for server in answers.ntp]
        return found

    def logged_in(self) -> bool:
        """Tells whether somebody ever logged in over SSH."""
        try:
            return bool(
                self._run(
                    "journalctl", "--quiet", "--output=cat", "--lines=1", "--unit=ssh.service",
                    "--grep=^Accepted (publickey|password)",
                )
            )  # fmt: skip
        except PaverError:
            # journalctl ends with 1 where nothing was found.
            return False

    def _let_in(self, answers: Answers) -> None:
        home = self.root / "home" / render.USER
        keys = home / ".ssh/authorized_keys"
        if answers.key is not None:
            owner = self._owner()
            keys.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if owner is not None:
                os.chown(keys.parent, *owner)
            ended.put(keys, f"{answers.key}\n", 0o600, owner)
            self._run("usermod", "--password", "!", render.USER)
        elif answers.password is not None:
            self._run("chpasswd", stdin=f"{render.USER}:{answers.password}\n")
            keys.unlink(missing_ok=True)

    def _owner(self) -> tuple[int, int] | None:
        if self.root != Path("/"):
            return None
        entry = pwd.getpwnam(render.USER)
        return entry.pw_uid, entry.pw_gid

    def _has(self, address: str) -> bool:
        return any(word == address for word in self._local())

    def _local(self) -> Iterator[str]:
        for link in json.loads(self._run("ip", "-json", "-4", "address", "show", "up")):
            yield from (one["local"] for one in link["addr_info"])

    def _pings(self, address: IPv4Address) -> bool:
        try:
            self._run("ping", "-n", "-c", "1", "-W", "2", str(address))
        except PaverError:
            return False
        return True

    @staticmethod
    def _carrier(folder: Path) -> bool | None:
        try:
            return (folder / "carrier").read_text().strip() == "1"
        except OSError:
            # A card that is down does not know.
            return None


def _answers_dns(server: IPv4Address) -> bool:
    """Asks for the root's name servers: whatever comes back is an answer."""
    question = struct.pack(">HHHHHH", 0x7061, 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack(">HH", 2, 1)
    return _answers(str(server), 53, question)


def _answers_ntp(server: str) -> bool:
    return _answers(server, 123, b"\x23" + bytes(47))


def _answers(server: str, port: int, question: bytes) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(2)
        try:
            asking.connect((server, port))
            asking.send(question)
            return bool(asking.recv(512))
        except OSError:
            return False


def terminals(active: str) -> Sequence[str]:
    """Returns the terminals for the form out of the kernel's active consoles, as `/sys/class/tty/console/active` has them."""
    return ["tty1" if name == "tty0" else name for name in active.split()]
