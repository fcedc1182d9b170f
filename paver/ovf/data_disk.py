"""An appliance's data disk: empty, beside the one disk that has a file, its size a property. Pure.

DSP0243, 9.1: of an empty disk the capacity may be `${KEY}`, the value of a property. vSphere's API knows it as
`variable_disk_size`.
"""

from __future__ import annotations

import re

from paver.errors import BadInput
from paver.ovf.descriptor import items_of
from paver.ovf.model import Descriptor, Disk, Property

KEY = "data_disk_gb"
ID = "vmdisk2"
UNIT = "byte * 2^30"
SMALLEST_GB, LARGEST_GB = 8, 4096
_DISK = 17


def wish(size_gb: int) -> Property:
    """Returns the property that the size is, `size_gb` GiB unless whoever deploys says otherwise."""
    return Property(
        key=KEY,
        type="uint32",
        qualifiers=f"MinValue({SMALLEST_GB}),MaxValue({LARGEST_GB})",
        value=str(size_gb),
        label="Data disk (GiB)",
        description="Size of the disk that takes state and artefacts.",
    )


def of(descriptor: Descriptor, where: str) -> Disk | None:
    """Returns the data disk of an appliance, None where it has none.

    Raises:
        BadInput: the machine has other disks than one with a file, and perhaps an empty one behind it.
    """
    by_id = {disk.id: disk for disk in descriptor.disks}
    hardware = [item for item in items_of(descriptor) if item.type == _DISK]
    disks = [by_id[name] for item in hardware if (name := item.host_resource.rpartition("/")[2]) in by_id]
    filled = [disk.file is not None for disk in disks]
    if len(disks) < len(descriptor.disks) or filled not in ([True], [True, False]):
        raise BadInput(
            f"{where} does not have the disks of an appliance",
            seen=", ".join(
                f"{disk.id} {'with a file' if disk.file else 'empty'}" for disk in descriptor.disks
            ),
            why="it has one disk with a file, and perhaps an empty one behind it, for its data",
            do="take an image that paver built, or one like it",
        )
    return disks[1] if len(disks) > 1 else None


def literal(descriptor: Descriptor) -> str:
    """Returns the descriptor's text with numbers for capacities that are properties' values, and without these properties.

    So it depends on no host whether it knows such disks, or properties: a bare one keeps none.
    """
    text = descriptor.text
    for disk in descriptor.disks:
        if disk.sized_by:
            default = next(each.value for each in descriptor.properties if each.key == disk.sized_by)
            text = text.replace(f"${{{disk.sized_by}}}", default)
            text = re.sub(
                rf'\s*<Property [^>]*ovf:key="{re.escape(disk.sized_by)}".*?</Property>',
                "",
                text,
                flags=re.DOTALL,
            )
    return text
