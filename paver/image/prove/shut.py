"""What keeps others out of a booted image: a part of the table of `checks`, and what the image's files make of the kernel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from paver.image.prove.checks import Probe

HARDENING = "hardening"
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"

RULESET = """\
table inet paver {
	set tcp_open {
		type inet_service
		elements = { 22 }
	}

	set udp_open {
		type inet_service
	}

	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		ct state invalid drop
		iif "lo" accept
		icmp type { destination-unreachable, echo-request, time-exceeded, parameter-problem } accept
		icmpv6 type { packet-too-big, echo-request, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
		tcp dport @tcp_open accept
		udp dport @udp_open accept
	}

	chain forward {
		type filter hook forward priority filter; policy drop;
	}
}
"""
"""`ova/base/etc/nftables.conf` as the kernel has it, in the words of the image's nft."""

AUDITED = (
    *("as-root", "audit", "firewall", "identity", "identity", "identity", "modules", "mounts", "paver"),
    *("privilege", "privilege", "programs", "programs", "ssh", "time", "units"),
)
"""The keys of the rules of `ova/base/etc/audit/rules.d`, sorted."""

KERNEL: Mapping[str, str] = {
    "kernel.dmesg_restrict": "1",
    "kernel.kptr_restrict": "2",
    "kernel.sysrq": "0",
    "kernel.yama.ptrace_scope": "1",
    "kernel.unprivileged_bpf_disabled": "1",
    "kernel.perf_event_paranoid": "3",
    "fs.suid_dumpable": "0",
    "fs.protected_fifos": "2",
    "fs.protected_regular": "2",
    "dev.tty.ldisc_autoload": "0",
    "net.core.bpf_jit_harden": "2",
    "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv4.conf.default.accept_redirects": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    "net.ipv4.conf.all.accept_source_route": "0",
    "net.ipv4.conf.default.accept_source_route": "0",
    "net.ipv4.conf.all.log_martians": "1",
    "net.ipv4.conf.default.log_martians": "1",
    "net.ipv4.conf.all.rp_filter": "1",
    "net.ipv4.conf.all.forwarding": "0",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv6.conf.all.accept_redirects": "0",
    "net.ipv6.conf.default.accept_redirects": "0",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv6.conf.all.accept_source_route": "0",
    "net.ipv6.conf.default.accept_source_route": "0",
}
"""What `ova/base/etc/sysctl.d` sets against others, by name."""


def probes() -> Iterable[Probe]:
    """Yields what keeps others out."""
    yield Probe(HARDENING, "no account has a password", "getent shadow | awk -F: '$2 !~ /^[!*]/ {print $1}'")
    yield Probe(HARDENING, "root is locked", "passwd --status root | cut -d' ' -f2", "L")
    for option, value in (
        ("passwordauthentication", "no"),
        ("permitrootlogin", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("permitemptypasswords", "no"),
        ("x11forwarding", "no"),
    ):
        command = f"sshd -T | sed -n 's/^{option} //p'"
        yield Probe(HARDENING, f"sshd: {option} {value}", command, value)
    yield Probe(
        HARDENING,
        "one host key, an Ed25519 one",
        "sshd -T | sed -n 's/^hostkey //p'; ls /etc/ssh/ssh_host_*_key",
        re.escape(f"{_HOST_KEY}\n{_HOST_KEY}"),
        "ssh_host_ed25519_key",
    )
    yield Probe(
        HARDENING,
        "nftables lets in nothing that is not listed",
        # All of it: one accept without a condition would make the rest say nothing.
        "nft list ruleset",
        re.escape(RULESET.strip()),
        "policy drop; open to 22, replies, loopback, and of ICMP what networks need",
    )
    yield Probe(HARDENING, "auditd records", "auditctl -s | sed -n 's/^enabled //p'", "[12]")
    yield Probe(
        HARDENING,
        "auditd has its rules",
        "auditctl -l | grep -oE '(-k |key=)[a-z-]+' | sed 's/.*[ =]//' | LC_ALL=C sort | tr '\\n' ' '",
        re.escape(" ".join(AUDITED)),
    )
    yield Probe(
        HARDENING,
        "the kernel is set as it should be",
        "for name in " + " ".join(KERNEL) + "; do echo $name $(cat /proc/sys/$(echo $name | tr . /)); done",
        re.escape("\n".join(f"{name} {value}" for name, value in KERNEL.items())),
        f"{len(KERNEL)} settings",
    )
    yield Probe(
        HARDENING,
        "files are made for their owner's group at most",
        "su -s /bin/sh -l root -c umask",
        "0?027",
    )
    yield Probe(
        HARDENING,
        "/usr/share/paver can't be written to",
        "touch /usr/share/paver/x 2>&1 && rm /usr/share/paver/x",
        ".*Read-only file system",
        "read-only",
    )
    yield Probe(
        HARDENING,
        "no file that anybody may write to",
        "find / -xdev -type f -perm -0002 -not -path '/proc/*' | head -5",
    )
    yield Probe(
        HARDENING,
        "set-user-id programs are the known ones",
        r"find / -xdev -type f -perm /6000 -printf '%f\n' | sort | tr '\n' ' '",
        r"((chage|chfn|chsh|crontab|dbus-daemon-launch-helper|expiry|gpasswd|mount|mount\.nfs|newgrp|passwd|"
        r"pam_extrausers_chkpwd|polkit-agent-helper-1|ssh-agent|ssh-keysign|su|sudo|umount|unix_chkpwd|"
        r"utempter|vmware-user-suid-wrapper|write|wall) ?)*",
    )
