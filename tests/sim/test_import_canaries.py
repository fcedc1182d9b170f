"""The import rules hold where a second IaaS would come: an import that must not be is told by the rule that it breaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
DRIVER, VSPHERE, VENDOR = "a driver is known by nobody", "what speaks vSphere is", "the vendor's library is"
CANARIES = {
    "cli/ports.py": [(DRIVER, "paver.drivers.vsphere.settings")],
    "runs/reach.py": [(DRIVER, "paver.drivers.vsphere.settings")],
    "report/words.py": [(DRIVER, "paver.drivers.vsphere.settings")],
    "image/verify.py": [(DRIVER, "paver.drivers.vsphere.jumpbox.first_boot")],
    "drivers/canary_of_a_cloud/__init__.py": [
        (DRIVER, "paver.drivers.vsphere.marks"),
        (VSPHERE, "paver.transport.vsphere.soap_types"),
        (VENDOR, "pyVmomi"),
    ],
    "foundation/places.py": [
        (VSPHERE, "paver.transport.vsphere.reader"),
        (VSPHERE, "paver.transport.vsphere.nfc"),
        (VSPHERE, "paver.transport.vsphere.ssoadmin"),
    ],
    "machine/jumpbox.py": [
        (VSPHERE, "paver.transport.vsphere.snapshot"),
        (VSPHERE, "paver.transport.vsphere.sso_soap"),
        (VSPHERE, "paver.transport.vsphere.trust"),
    ],
    "trust/vault.py": [(VSPHERE, "paver.transport.vsphere")],
    "transport/retry.py": [(VSPHERE, "paver.transport.vsphere.faults")],
    "sealed/keys.py": [(VENDOR, "pyVmomi")],
    "engine/again.py": [
        ("engine knows no IaaS", name)
        for name in ("asyncio", "minio", "requests", "socketserver", "subprocess", "urllib", "xmlrpc")
    ],
}
"""By file, each import that is written into it: the beginning of the rule that it breaks, and what is imported."""


def _broken(folder: Path) -> dict[str, str]:
    """What import-linter says of each rule that does not hold, by the rule's name."""
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as run; run()",
            "--no-cache",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    lines = ran.stdout.partition("Broken contracts\n")[2].splitlines()
    told: dict[str, str] = {}
    rule = ""
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        rule = line if line and set(below) == {"-"} else rule
        told[rule] = told.get(rule, "") + line + "\n"
    return told


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("canaries")
    shutil.copytree(TREE / "paver", folder / "paver", ignore=shutil.ignore_patterns("__pycache__", "servers"))
    shutil.copy(TREE / "pyproject.toml", folder)
    for name, imports in CANARIES.items():
        file = folder / "paver" / name
        file.parent.mkdir(exist_ok=True)
        with file.open("a") as text:
            text.writelines(f"\nimport {imported}\n" for _, imported in imports)
    return _broken(folder)


@pytest.mark.parametrize(
    ("file", "rule", "imported"),
    [(file, rule, imported) for file, imports in CANARIES.items() for rule, imported in imports],
)
def test_an_import_that_must_not_be_is_told_by_its_rule(
    broken: dict[str, str], file: str, rule: str, imported: str
) -> None:
    (said,) = (text for name, text in broken.items() if name.startswith(rule))
    importer = "paver." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert f"{importer} -> {imported} (" in said
