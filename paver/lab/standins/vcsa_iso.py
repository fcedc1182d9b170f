"""Builds the stand-in for vCenter's installer: a tree as on VMware's ISO, or the ISO itself.

    python -m paver.lab.standins.vcsa_iso --out vcsa.iso
    python -m paver.lab.standins.vcsa_iso --tree vcsa

The command in it runs this very interpreter with this very paver: it is for the machine that it was built on.
As on VMware's ISO once extracted, no file of the ISO is executable. Building twice gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from paver.errors import BadInput, PaverError, exit_code
from paver.lab import system
from paver.ovf.model import Product, Property
from paver.ovf.write import make_ova

VERSION = "8.0.3"
_BUILD = "24022515"
_BOOT = json.dumps({"paver-lab-boot": "vcsa"}).encode() + b"\n"
_CAPACITY = 48 * 2**30
_DATE = 1704067200  # what everything in the ISO bears: 2024-01-01
_COMMAND = """#!/bin/sh
# The installer of a simulated vCenter: see paver.lab.standins.vcsa_deploy.
PAVER_LAB_VCSA_TREE="$(dirname "$(readlink -f "$0")")/../.."
export PAVER_LAB_VCSA_TREE
exec '{python}' -I -m paver.lab.standins.vcsa_deploy "$@"
"""
# As the vendor's: a script beside the program that it starts. Both have to be executable.
_OVFTOOL = """#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/ovftool.bin" "$@"
"""
_OVFTOOL_PROGRAM = """#!/bin/sh
[ "$*" = --version ] || { echo "ovftool $*: not simulated" >&2; exit 1; }
echo 'VMware ovftool 4.6.2 (build-22220919)'
"""
_PROPERTIES = (
    "guestinfo.cis.appliance.net.addr.family",
    "guestinfo.cis.appliance.net.mode",
    "guestinfo.cis.appliance.net.addr",
    "guestinfo.cis.appliance.net.prefix",
    "guestinfo.cis.appliance.net.gateway",
    "guestinfo.cis.appliance.net.dns.servers",
    "guestinfo.cis.appliance.net.pnid",
    "guestinfo.cis.appliance.root.passwd",
    "guestinfo.cis.appliance.ntp.servers",
    "guestinfo.cis.deployment.option",
    "guestinfo.cis.vmdir.domain-name",
    "guestinfo.cis.vmdir.password",
)


def build_tree(folder: Path, *, version: str = VERSION, python: str = sys.executable) -> Path:
    """Makes the tree in `folder`, which must not exist yet; returns the command `vcsa-deploy` in it.

    Args:
        folder: where.
        version: of the vCenter that it claims to install.
        python: the interpreter that runs the installer; it must be able to import paver.
    """
    command = folder / "vcsa-cli-installer" / "lin64" / "vcsa-deploy"
    command.parent.mkdir(parents=True)
    command.write_text(_COMMAND.format(python=python.replace("'", "'\\''")), encoding="utf-8")
    tools = folder / "vcsa" / "ovftool" / "lin64"
    tools.mkdir(parents=True)
    (tools / "ovftool").write_text(_OVFTOOL, encoding="utf-8")
    (tools / "ovftool.bin").write_text(_OVFTOOL_PROGRAM, encoding="utf-8")
    for program in (command, *tools.iterdir()):
        program.chmod(0o755)
    release = f"{version}.00000-{_BUILD}"
    (folder / "vcsa" / "version.txt").write_text(f"VMware-VCSA-all-{version}-{_BUILD}\n", encoding="utf-8")
    (folder / "vcsa-cli-installer" / "version.txt").write_text(f"{release}\n", encoding="utf-8")
    make_ova(
        folder / "vcsa" / f"VMware-vCenter-Server-Appliance-{release}_OVF10.ova",
        name="VMware-vCenter-Server-Appliance",
        disk=_BOOT,
        capacity=_CAPACITY,
        memory_mb=14336,
        cpus=2,
        networks=("Network 1",),
        properties=[Property(key=key, password="pass" in key) for key in _PROPERTIES],
        product=Product(
            name="VMware vCenter Server Appliance",
            vendor="VMware Inc.",
            version=version,
            full_version=release,
        ),
        guest="other3xLinux64Guest",
    )
    return command


def build_iso(path: Path, *, version: str = VERSION, python: str = sys.executable) -> None:
    """Makes the ISO at `path`, replacing what is there once it is whole.

    Raises:
        BadInput: there's no xorriso.
        PaverError: xorriso fails.
    """
    xorriso = shutil.which("xorriso", path=system.search_path())
    if xorriso is None:
        raise BadInput("an ISO can't be made without xorriso", do="apt-get install xorriso")
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        tree, draft = Path(scratch) / "tree", Path(scratch) / "iso"
        build_tree(tree, version=version, python=python)
        for each in (tree, *tree.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)
            os.utime(each, (_DATE, _DATE))
        argv = [xorriso, "-as", "mkisofs", "-quiet", "-iso-level", "3", "-V", "VMWARE_VCSA", "-r"]
        argv += ["-o", str(draft), str(tree)]
        environment = os.environ | {"SOURCE_DATE_EPOCH": str(_DATE), "TZ": "UTC"}
        ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise PaverError(f"xorriso failed with {ended.returncode}", seen=ended.stderr[-2000:])
        draft.chmod(0o644)
        draft.replace(path)


def main(arguments: list[str] | None = None) -> int:
    """Builds what the arguments ask for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m paver.lab.standins.vcsa_iso", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="the ISO to make")
    what.add_argument("--tree", type=Path, help="the folder to make instead, as the ISO's content")
    parser.add_argument("--version", default=VERSION, help="of the vCenter (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        if options.out:
            build_iso(options.out.absolute(), version=options.version)
        else:
            build_tree(options.tree, version=options.version)
    except PaverError as error:
        sys.stderr.write("\n".join(error.lines()) + "\n")
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
