"""What an image that is proved is told at its first boot: the same as paver tells a jumpbox, in each way there is."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from paver.errors import PaverError
from paver.lab.qemu import programs
from paver.machine import first_boot

ADDRESS, PREFIX, GATEWAY = "10.20.0.10", 24, "10.20.0.2"
CIDR = "10.20.0.0/24"
USER, HOSTNAME, DOMAIN = "paver", "jumpbox", "proof.example"
MAC = "00:50:56:2f:05:ba"
"""In the range that VMware leaves for manual ones, as the card of any jumpbox on vSphere."""

METADATA, USERDATA = "guestinfo.metadata", "guestinfo.userdata"
"""As cloud-init's DataSourceVMware reads them."""


def wish(public: str) -> first_boot.FirstBoot:
    """Returns what the machine is told: a static address and one account, which the key `public` opens."""
    return first_boot.FirstBoot(
        hostname=HOSTNAME,
        domain=DOMAIN,
        user=USER,
        keys=(public,),
        address=ADDRESS,
        prefix=PREFIX,
        gateway=GATEWAY,
        dns=(GATEWAY,),
        mac=MAC,
    )


def of_another(told: first_boot.FirstBoot) -> dict[str, str]:
    """Returns guestinfo as somebody else wrote it by hand, in plain text: what paver wrote would stay, since it has no secret."""
    metadata = {**first_boot.instance(told), "instance-id": "proof", "network": first_boot.network(told)}
    return {METADATA: json.dumps(metadata), USERDATA: first_boot.userdata(told)}


def nocloud(told: first_boot.FirstBoot) -> dict[str, str]:
    """Returns the files of a NoCloud ISO by name: what guestinfo would say, cut as NoCloud wants it."""
    return {
        "meta-data": first_boot.text(first_boot.instance(told)),
        "network-config": first_boot.text(first_boot.network(told)),
        "user-data": first_boot.userdata(told),
    }


def iso(files: dict[str, str], target: Path) -> Path:
    """Writes the ISO `target`, by the label that cloud-init looks for.

    Raises:
        PaverError: xorriso is not there, or refuses.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        for name, content in files.items():
            Path(folder, name).write_text(content)
        command = [programs.find(programs.XORRISO), "-as", "mkisofs", "-quiet", "-V", "cidata", "-J", "-r"]
        argv = [*command, "-o", str(target), folder]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise PaverError("the first-boot CD-ROM could not be made", seen=done.stderr.strip()[-800:])
    return target
