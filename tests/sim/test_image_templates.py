"""Packer itself takes the templates, for every source, and ansible-lint the playbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from paver.image import ansible, stages
from tests.support import tools

ROOT = Path(__file__).parent.parent.parent
GIVEN = {
    "qemu": ("disk",),
    "vmware-vmx": ("vmx",),
    "vsphere-clone": (),
}
NAMED = {
    "vcenter": "vc",
    "vcenter_user": "u",
    "vcenter_host": "h",
    "vcenter_template": "t",
}


def with_ansible() -> dict[str, str]:
    """Packer looks for Ansible also where it only validates."""
    installed = stages.run(
        stages.root(), "ansible", ansible.key(ROOT), lambda into: ansible.install(ROOT, into, print), print
    )
    return ansible.environment(installed)


def packer(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    program = tools.program("packer", "packer")
    environment = {
        **with_ansible(),
        "CHECKPOINT_DISABLE": "1",
        "HOME": str(folder),
        "PACKER_CACHE_DIR": str(folder),
        # Where no list of processes shows it.
        "PKR_VAR_vcenter_password": "a-password-of-nobody",
    }
    return subprocess.run(
        [str(program), *argv], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )


@pytest.mark.parametrize("source", GIVEN)
def test_packer_takes_the_templates_for_every_source(tmp_path: Path, source: str) -> None:
    for name in ("meta-data", "user-data", "key", "file"):
        (tmp_path / name).write_text("")
    key = subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "id")], check=False
    )
    assert key.returncode == 0
    given = {
        "seed": tmp_path,
        "key": tmp_path / "id",
        "changes": tmp_path / "changes",
        "output": tmp_path / "output",
        "since": "1",
        **NAMED,
        **dict.fromkeys(GIVEN[source], tmp_path / "file"),
    }
    variables = [part for name, value in given.items() for part in ("-var", f"{name}={value}")]
    done = packer(tmp_path, "validate", f"-only={source}.jumpbox", *variables, "packer")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    if source == "vmware-vmx":
        (tmp_path / "file").unlink()
        refused = packer(tmp_path, "validate", f"-only={source}.jumpbox", *variables, "packer")
        assert "source_path is invalid" in refused.stdout + refused.stderr


def test_a_source_differs_from_the_others_in_its_own_block_alone() -> None:
    build = (ROOT / "packer" / "jumpbox.pkr.hcl").read_text()
    assert re.findall(r'"source\.([a-z-]+)\.jumpbox"', build) == list(GIVEN)
    for kind, name in (("qemu", "qemu"), ("vmware-vmx", "vmware"), ("vsphere-clone", "vsphere")):
        text = (ROOT / "packer" / f"{name}.pkr.hcl").read_text()
        assert re.findall(r"^\w+.*\{$", text, re.MULTILINE) == [f'source "{kind}" "jumpbox" {{']


def test_ansible_lint_finds_nothing_in_the_playbook(tmp_path: Path) -> None:
    environment = {**with_ansible(), "HOME": str(tmp_path), "ANSIBLE_CONFIG": "ansible.cfg"}
    argv = ["ansible-lint", "--offline", "--nocolor", "--profile", "production", "."]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, cwd=ROOT / "playbooks", env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
