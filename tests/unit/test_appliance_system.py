"""What the image's system is set to by its files: what each of them has to say, and that none of it is undone by another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paver.appliance import render
from paver.image.prove import shut
from paver.image.prove.checks import Probe, judge

TREE = Path(__file__).parents[2]
BASE = TREE / "ova/base/etc"
SSHD = TREE / "playbooks/roles/hardening/files/etc/ssh/sshd_config.d"


def settings(path: Path) -> dict[str, str]:
    lines = [line.split(maxsplit=1) for line in path.read_text().splitlines() if line[:1] not in {"", "#"}]
    return dict(lines)


def test_ssh_takes_keys_and_no_root_and_only_the_form_says_otherwise_before_that() -> None:
    (own,) = SSHD.iterdir()
    found = settings(own)
    assert {
        "PermitRootLogin": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "HostKey": "/etc/ssh/ssh_host_ed25519_key",
    }.items() <= found.items()
    # sshd takes the first value in the order of the names; cloud-init writes `ssh_pwauth: true` where it always does.
    names = [Path(render.SSHD).name, own.name, "50-cloud-init.conf"]
    assert sorted(names) == names


def test_guestinfo_is_asked_before_a_cd_rom_and_nothing_is_no_error() -> None:
    lines = (BASE / "cloud/cloud.cfg.d/90-paver.cfg").read_text().splitlines()
    # ds-identify reads no list of several lines.
    assert "datasource_list: [ VMware, NoCloud, None ]" in lines


def test_what_would_listen_or_update_by_itself_is_off_until_somebody_wants_it() -> None:
    lines = (BASE / "systemd/system-preset/10-paver.preset").read_text().splitlines()
    off = {line.split()[1] for line in lines if line.startswith("disable ")}
    assert off >= {
        *("apt-daily.timer", "apt-daily-upgrade.timer", "chrony.service", "dnsmasq.service"),
        *("rpcbind.service", "rpcbind.socket", "rsync.service", "ssh.socket"),
    }
    assert {"auditd.service", "nftables.service", "ssh.service"}.isdisjoint(off)


def test_the_kernels_settings_are_those_that_a_booted_image_is_held_to() -> None:
    lines = (BASE / "sysctl.d/50-paver.conf").read_text().splitlines()
    given = [line for line in lines if not line.startswith("#")]
    found = {name: value for name, _, value in (line.partition(" = ") for line in given)}
    assert len(found) == len(given)
    # The console's, and how a core is called.
    assert found.keys() - shut.KERNEL.keys() == {"kernel.printk", "kernel.core_uses_pid"}
    assert shut.KERNEL.items() <= found.items()


def test_who_became_who_and_what_was_changed_of_it_is_written_down() -> None:
    rules = (BASE / "audit/rules.d/50-paver.rules").read_text()
    watched = set(re.findall(r"^-w (\S+) -p wa -k \w+$", rules, re.MULTILINE))
    assert watched >= {
        "/etc/passwd",
        "/etc/shadow",
        "/etc/sudoers",
        "/etc/sudoers.d/",
        "/etc/ssh/",
        "/etc/systemd/system/",
        "/etc/nftables.conf",
        "/etc/audit/",
        "/etc/paver/",
        "/usr/local/bin/",
        "/usr/local/sbin/",
    }
    assert "-a always,exit -F arch=b64 -S execve -F euid=0 -F auid>=1000 -F auid!=unset -k as-root" in rules
    # auditctl takes what is not there for a file.
    assert "\nd /etc/paver " in (BASE / "tmpfiles.d/paver.conf").read_text()
    assert sorted(re.findall(r" -k (\S+)$", rules, re.MULTILINE)) == list(shut.AUDITED)


def test_paver_itself_is_mounted_read_only_over_itself_before_anything_starts() -> None:
    unit = (BASE / "systemd/system/usr-share-paver.mount").read_text().splitlines()
    assert {"What=/usr/share/paver", "Where=/usr/share/paver", "Options=bind,ro,nosuid,nodev"} <= set(unit)
    assert {"Before=local-fs.target umount.target", "WantedBy=local-fs.target"} <= set(unit)
    enabled = (BASE / "systemd/system-preset/10-paver.preset").read_text().splitlines()
    assert {
        f"enable {unit}" for unit in ("usr-share-paver.mount", "nftables.service", "auditd.service")
    } <= set(enabled)


def test_each_machine_makes_one_host_key_of_its_own() -> None:
    made = (BASE / "systemd/system/ssh.service.d/paver.conf").read_text()
    assert re.findall(r"ssh-keygen .*-t (\w+)", made) == ["ed25519"]
    assert "ssh_genkeytypes: [ ed25519 ]" in (BASE / "cloud/cloud.cfg.d/90-paver.cfg").read_text()


NFTABLES = (BASE / "nftables.conf").read_text()


def rules(chain: str, text: str = NFTABLES) -> list[str]:
    """All lines of a chain, wherever the text adds to it."""
    bodies = re.findall(rf"chain {chain} {{\n(.*?)\n\t}}", text, re.DOTALL)
    return [line.strip() for body in bodies for line in body.splitlines()]


def test_what_is_not_listed_is_dropped_on_its_way_in_and_through() -> None:
    head, *accepting = rules("input")
    assert head == "type filter hook input priority filter; policy drop;"
    assert [line for line in accepting if line.endswith("accept")] == [
        "ct state established,related accept",
        "iif lo accept",
        "icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } accept",
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, packet-too-big, echo-request } accept",
        "tcp dport @tcp_open accept",
        "udp dport @udp_open accept",
    ]
    assert rules("forward") == ["type filter hook forward priority filter; policy drop;"]
    assert re.findall(r"elements = {(.*?)}", NFTABLES) == [" 22 "]


def test_a_booted_image_is_held_to_the_rules_of_the_file() -> None:
    def plain(lines: list[str]) -> list[list[str]]:
        return [sorted(re.findall(r"[\w@-]+", line)) for line in lines]

    for chain in ("input", "forward"):
        assert plain(rules(chain, shut.RULESET)) == plain(rules(chain))


def looked(what: str) -> Probe:
    return next(probe for probe in shut.probes() if probe.what == what)


def test_a_chain_that_accepts_all_is_no_default_deny() -> None:
    probe = looked("nftables lets in nothing that is not listed")
    assert judge(probe, shut.RULESET).holds
    for old, new in (
        ("ct state invalid drop", "accept"),
        ("elements = { 22 }", "elements = { 22, 8080 }"),
        ("policy drop", "policy accept"),
        ("\tchain forward", "\tchain more {\n\t\tjump input\n\t}\n\tchain forward"),
    ):
        assert not judge(probe, shut.RULESET.replace(old, new, 1)).holds, new


def test_a_setting_a_rule_or_a_host_key_that_is_another_is_told() -> None:
    kernel = "".join(f"{name} {value}\n" for name, value in shut.KERNEL.items())
    probe = looked("the kernel is set as it should be")
    assert judge(probe, kernel).holds
    broken = judge(probe, kernel.replace("kernel.sysrq 0", "kernel.sysrq 438"))
    assert (broken.holds, "kernel.sysrq 438" in broken.seen) == (False, True)
    audit = looked("auditd has its rules")
    assert judge(audit, " ".join(shut.AUDITED) + " ").holds
    assert not judge(audit, " ".join(shut.AUDITED[1:])).holds
    key = looked("one host key, an Ed25519 one")
    assert judge(key, "/etc/ssh/ssh_host_ed25519_key\n" * 2).holds
    assert not judge(key, "/etc/ssh/ssh_host_ed25519_key\n" * 2 + "/etc/ssh/ssh_host_rsa_key\n").holds


def test_the_name_server_is_tried_again_for_as_long_as_it_does_not_start() -> None:
    text = (BASE / "systemd/system/dnsmasq.service").read_text()
    unit, service, _ = text.split("\n[", 3)[1:]
    assert "StartLimitIntervalSec=0" in unit.splitlines()
    assert {"Restart=on-failure", "RestartSec=2"} <= set(service.splitlines())


@pytest.mark.parametrize("unit", ["dnsmasq.service", "chrony.service.d/paver.conf"])
def test_a_reload_of_the_firewall_leaves_open_what_a_daemon_opened_and_a_restart_opens_it_anew(
    unit: str,
) -> None:
    text = (BASE / "systemd/system" / unit).read_text()
    opened = set(re.findall(r"ExecStartPost=\+?/usr/sbin/nft add element inet paver (.+)", text))
    closed = set(re.findall(r"ExecStopPost=-\+?/usr/sbin/nft delete element inet paver (.+)", text))
    assert opened == closed != set()
    assert {"PartOf=nftables.service"} <= set(text.splitlines())
    assert "After=nftables.service" in text
    # Nothing but the chains is emptied.
    assert re.findall(r"^\s*(?:delete|destroy|flush) .*", NFTABLES, re.MULTILINE) == [
        "flush chain inet paver input",
        "flush chain inet paver forward",
    ]
