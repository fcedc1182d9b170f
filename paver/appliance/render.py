"""The files that a first boot by the console's form leaves. Pure: answers in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paver.appliance.answers import Answers
from paver.errors import plain

NETWORK = "etc/systemd/network/10-paver-console.network"
HOSTNAME, HOSTS = "etc/hostname", "etc/hosts"
SOURCES = "etc/chrony/sources.d/paver-console.sources"
SSHD = "etc/ssh/sshd_config.d/10-paver-console.conf"
SUDOERS = "etc/sudoers.d/90-paver-console"
USER = "paver"

_HEAD = "# Written by the console's form (paver-console), which also changes it.\n"


def files(answers: Answers) -> Mapping[str, tuple[str, int]]:
    """Returns text and mode of each file by its path below the root; without text it is not to be there."""
    found = {
        NETWORK: (network(answers), 0o644),
        HOSTNAME: (f"{answers.hostname}\n", 0o644),
        HOSTS: (hosts(answers), 0o644),
        SOURCES: (sources(answers), 0o644),
        SUDOERS: (f"{_HEAD}{USER} ALL=(ALL) NOPASSWD:ALL\n", 0o440),
    }
    if answers.password is not None:
        found[SSHD] = (f"{_HEAD}PasswordAuthentication yes\n", 0o644)
    elif answers.key is not None:
        found[SSHD] = ("", 0o644)
    return found


def network(answers: Answers) -> str:
    """Returns systemd-networkd's unit: the card by its MAC address, since a name depends on the slot."""
    lines = [
        "[Match]",
        f"MACAddress={answers.card}",
        "",
        "[Network]",
        "DHCP=no",
        "LinkLocalAddressing=no",
        "IPv6AcceptRA=no",
        f"Address={answers.address}",
        *([f"Gateway={answers.gateway}"] if answers.gateway else []),
        *(f"DNS={server}" for server in answers.dns),
        *([f"Domains={answers.domain}"] if answers.domain else []),
    ]
    return _HEAD + "\n".join(lines) + "\n"


def hosts(answers: Answers) -> str:
    """Returns /etc/hosts: the machine knows itself by its address, also where no server does."""
    own = f"{answers.name} {answers.hostname}" if answers.domain else answers.name
    return f"{_HEAD}127.0.0.1 localhost\n{answers.address.ip} {own}\n::1 localhost ip6-localhost\n"


def sources(answers: Answers) -> str:
    """Returns chrony's sources, nothing without any."""
    lines = [f"server {server} iburst\n" for server in answers.ntp]
    return _HEAD + "".join(lines) if lines else ""


def issue(*, name: str, address: str | None, fingerprint: str | None, way: str, said: Sequence[str]) -> str:
    """Returns what the console shows above its login: how to get in, and by which key the machine is known."""
    lines = [
        f"paver jumpbox {name}",
        f"  address   {address or 'none yet'}",
        f"  host key  {f'ED25519 {fingerprint}' if fingerprint else 'none yet'}",
        f"  set up    {way}",
        *(f"  !! {line}" for line in said),
    ]
    # A backslash means something to agetty, and a control character to the terminal.
    return "".join(plain(line).replace("\\", "\\\\") + "\n" for line in lines) + "\n"
