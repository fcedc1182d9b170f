"""What an image that is proved is told at its first boot: the same as paver tells a jumpbox, in each way there is."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from paver.drivers.vsphere.jumpbox import first_boot
from paver.errors import PaverError
from paver.lab.qemu import programs

ADDRESS, PREFIX, GATEWAY = "10.20.0.10", 24, "10.20.0.2"
CIDR = "10.20.0.0/24"
USER, HOSTNAME, DOMAIN = "paver", "jumpbox", "proof.example"
MAC = first_boot.mac_of("proof", HOSTNAME)


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
    files = nocloud(told)
    metadata = {**json.loads(files["meta-data"]), "instance-id": "proof"}
    metadata["network"] = json.loads(files["network-config"])
    return {first_boot.METADATA: json.dumps(metadata), first_boot.USERDATA: files["user-data"]}


def nocloud(told: first_boot.FirstBoot) -> dict[str, str]:
    """Returns the files of a NoCloud ISO by name: what guestinfo would say, cut as NoCloud wants it."""
    values = first_boot.guestinfo(told)
    metadata = json.loads(first_boot.decoded(values[first_boot.METADATA]))
    network = metadata.pop("network")
    return {
        "meta-data": json.dumps(metadata, indent=1, sort_keys=True) + "\n",
        "network-config": json.dumps(network, indent=1, sort_keys=True) + "\n",
        "user-data": first_boot.decoded(values[first_boot.USERDATA]),
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
