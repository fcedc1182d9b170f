"""What a booted image is held to: a table of commands, and what each has to print. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

from paver.image.bill import Bill
from paver.image.prove.report import Line

_MOST = 400


@dataclasses.dataclass(frozen=True)
class Probe:
    """One thing to look at.

    Attributes:
        group: what it belongs to.
        what: what should be.
        command: for a shell, as root.
        wanted: a regular expression that all of the output has to match.
        shown: what the report has instead of an output that holds, where that would be long.
    """

    group: str
    what: str
    command: str
    wanted: str = ""
    shown: str = ""


def judge(probe: Probe, out: str) -> Line:
    """Returns what the report says of a probe that printed `out`."""
    out = out.strip()
    holds = re.fullmatch(probe.wanted, out, re.DOTALL) is not None
    seen = probe.shown if holds and probe.shown else out[:_MOST] or "nothing"
    if not holds:
        seen += f"\nby: {probe.command}"
    return Line(probe.group, probe.what, holds, seen)


_NEXT = "\x1e"


def script(probes: Sequence[Probe]) -> str:
    """Returns a shell script that runs all probes: one login, and no more programs than the probes' own."""
    lines = [f"printf '\\036'\n( {probe.command}\n) 2>/dev/null </dev/null\n" for probe in probes]
    return "".join(lines)


def judged(probes: Sequence[Probe], out: str) -> list[Line]:
    """Returns what the report says of probes whose script printed `out`.

    Raises:
        ValueError: it ended before its end.
    """
    _, *parts = out.split(_NEXT)
    return [judge(probe, part) for probe, part in zip(probes, parts, strict=True)]


CONTENTS, SERVICES, FIRST_BOOT = "contents", "services", "first boot"

_TOOLS: Mapping[str, str] = {
    "cc": "cc --version | head -1",
    "chronyd": "chronyd --version",
    "cloud-init": "cloud-init --version",
    "curl": "curl --version | head -1 | cut -c1-40",
    "dnsmasq": "dnsmasq --version | head -1 | cut -c1-40",
    "git": "git --version",
    "jq": "jq --version",
    "make": "make --version | head -1",
    "nft": "nft --version",
    "openssl": "openssl version",
    "python3": "python3 --version",
    "rsync": "rsync --version | head -1",
    "ruby": "ruby --version",
    "sshd": "ssh -V 2>&1",
    "tmux": "tmux -V",
    "xorriso": "xorriso -version 2>/dev/null | head -1",
}
_VERSION = r"[^\n]*\d+\.\d+[^\n]*"
_OFF = ("dnsmasq.service", "chrony.service", "apt-daily.timer", "apt-daily-upgrade.timer")
_ON = (
    "ssh.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "nftables.service",
    "auditd.service",
)


def contents(listed: Bill | None, version: str) -> Iterable[Probe]:
    """Yields that what the bill has is there, and what others expect of the machine.

    Args:
        listed: the image's bill, None where there is none beside it.
        version: the image's.
    """
    yield Probe(CONTENTS, "Debian 13", ". /etc/os-release; echo $ID $VERSION_ID", "debian 13")
    yield Probe(CONTENTS, "paver is the image's version", "paver version", re.escape(f"paver {version}"))
    for name, command in _TOOLS.items():
        yield Probe(CONTENTS, name, command, _VERSION)
    # They end at once where no VMware is.
    yield Probe(
        CONTENTS,
        "open-vm-tools",
        "ls /usr/bin/vmtoolsd /usr/bin/vmware-rpctool",
        "/usr/bin/vmtoolsd\n/usr/bin/vmware-rpctool",
        "vmtoolsd, vmware-rpctool",
    )
    yield Probe(
        CONTENTS,
        "libraries of the vendor's installer",
        r"ldconfig -p | grep -oE 'libnsl\.so\.2|libcrypt\.so\.1' | sort -u | tr '\n' ' '",
        r"libcrypt\.so\.1 libnsl\.so\.2",
    )
    yield Probe(CONTENTS, "a UTF-8 locale", "locale -a | grep -ixE 'C.utf-?8'", r"(?i)c\.utf-?8")
    if listed is not None:
        yield from _billed(listed)


def _billed(listed: Bill) -> Iterable[Probe]:
    debs = sorted(f"{item.name} {item.version}" for item in listed.items if item.kind == "deb")
    yield Probe(
        CONTENTS,
        "Debian packages as in the bill",
        r"dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}\n' | sed -n 's/^ii //p' | LC_ALL=C sort",
        re.escape("\n".join(sorted(debs, key=str.encode))),
        f"all {len(debs)}, at their versions",
    )
    wheels = sorted(f"{_normal(item.name)}=={item.version}" for item in listed.items if item.kind == "wheel")
    yield Probe(
        CONTENTS,
        "Python packages as in the bill",
        "/usr/share/paver/venv/bin/python -c 'import importlib.metadata as m, re\n"
        'print("\\n".join(sorted(re.sub("[-_.]+", "-", d.name).lower() + "==" + d.version for d in m.distributions())))\'',
        re.escape("\n".join(wheels)),
        f"all {len(wheels)}, at their versions",
    )
    for item in listed.items:
        if item.kind == "program":
            yield Probe(
                CONTENTS,
                f"{item.name} is the bill's",
                f"sha256sum < /usr/local/bin/{item.name}",
                re.escape(f"{item.sha256}  -"),
                f"{item.version or 'built from the lab sources'}, sha256 {item.sha256[:12]}…",
            )


def _normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def services(failing: Sequence[str] = ()) -> Iterable[Probe]:
    """Yields that what must run runs, and nothing else.

    Args:
        failing: units that can't but fail on what stands in for a hypervisor.
    """
    known = "|".join(map(re.escape, failing)) or "none"
    yield Probe(
        SERVICES,
        "no unit failed" + (f" (but {', '.join(failing)}: stand-in)" if failing else ""),
        f"systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | grep -vxE '{known}'",
    )
    for unit in _ON:
        yield Probe(SERVICES, f"{unit} runs", f"systemctl is-active {unit}", "active")
    for unit in _OFF:
        yield Probe(
            SERVICES,
            f"{unit} is off",
            f"systemctl is-active {unit}; systemctl is-enabled {unit} 2>/dev/null || true",
            r"inactive\n?(disabled|masked|static|not-found)?",
        )
    yield Probe(
        SERVICES,
        "nothing but SSH listens beyond loopback",
        r"ss -Hltnu | awk '{print $5}' | grep -vE '^(127\.|\[::1\])|^[^:]*%lo:' | sed 's/.*://' | sort -u",
        "22",
    )


def first_boot(
    *, hostname: str, domain: str, address: str, prefix: int, gateway: str, user: str
) -> Iterable[Probe]:
    """Yields that the machine is what it was told to be."""
    yield Probe(FIRST_BOOT, "its name", "hostname --fqdn", re.escape(f"{hostname}.{domain}"))
    yield Probe(
        FIRST_BOOT,
        "its address, and no other",
        'ip -4 -o addr show scope global | awk \'{print $4, $0 ~ /dynamic/ ? "dynamic" : "static"}\'',
        re.escape(f"{address}/{prefix} static"),
    )
    yield Probe(FIRST_BOOT, "its gateway", "ip route show default | cut -d' ' -f3", re.escape(gateway))
    yield Probe(
        FIRST_BOOT,
        "no address from anybody else before that",
        "journalctl -b -u systemd-networkd --no-pager | grep -ciE 'DHCPv4 address|acquired' || true",
        "0",
        "never asked",
    )
    yield Probe(
        FIRST_BOOT, "its account becomes root by its key alone", f"sudo -n -u {user} sudo -n id -u", "0"
    )
    yield Probe(
        FIRST_BOOT,
        "its root file system is as large as its disk",
        # In percent of the whole disk.
        "root=$(findmnt -no SOURCE /); echo $(($(findmnt -bno SIZE /) * 100"
        ' / $(lsblk -bndo SIZE "/dev/$(lsblk -ndo PKNAME "$root")")))',
        "9[0-9]",
    )
    yield Probe(
        FIRST_BOOT,
        "its SSH host keys are its own",
        # Older than the boot: they came with the image.
        "for f in /etc/ssh/ssh_host_*_key; do [ $f -nt /proc/1/cmdline ] || stat -c '%n %y' $f; done",
    )
