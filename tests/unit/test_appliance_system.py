"""What the image's system is set to by its files: what each of them has to say, and that none of it is undone by another."""

from __future__ import annotations

from pathlib import Path

from paver.appliance import render

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
