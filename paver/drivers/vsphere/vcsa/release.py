"""Which vCenter an unpacked installer installs: the name of the appliance's OVA says it, and is what vcsa-deploy takes."""

from __future__ import annotations

import re
from typing import Any

from paver.driver import BadInput
from paver.drivers.vsphere.preflight_state import numbers
from paver.drivers.vsphere.vcsa.installer import PROGRAM

OLDEST = "7.0.2"
"""Its REST API, by which paver asks the appliance, came below /api with 7.0 U2 (Broadcom KB 320077)."""
_OVA = re.compile(r"VMware-vCenter-Server-Appliance-([0-9]+(?:\.[0-9]+)+)(?:-[0-9]+)?_OVF[0-9]+\.ova")


def of(machine: Any, program: str) -> str:
    """Returns the version, as `8.0.3.00000`; empty where no OVA of such a name lies beside the installer `program`."""
    names = machine.listdir(f"{program.removesuffix(PROGRAM)}vcsa") or ()
    return next((found[1] for name in names if (found := _OVA.fullmatch(name))), "")


def demand(machine: Any, program: str, wanted: str | None) -> None:
    """Does nothing if the installer's vCenter is one that paver knows how to ask, and the one that is wanted.

    Args:
        machine: where the installer is.
        program: its path.
        wanted: the version, as far as the site file gives it; None takes any.

    Raises:
        BadInput: if not.
    """
    version = of(machine, program)
    if version and numbers(version) < numbers(OLDEST):
        raise BadInput(
            f"the installer's vCenter {version} is too old",
            why="paver asks the appliance by an API that came with 7.0 U2",
            do=f"name the ISO of vCenter {OLDEST} or later in iaas.vcenter.installer",
        )
    if wanted is not None and numbers(version)[: len(numbers(wanted))] != numbers(wanted):
        raise BadInput(
            f"the installer is not that of vCenter {wanted}",
            seen=f"vCenter {version}" if version else f"no appliance's OVA beside {program}",
            why="the site file names the version, and nothing of another one is run",
            do="name another ISO in iaas.vcenter.installer, or correct iaas.vcenter.version",
        )
