"""An appliance's data disk: empty, beside the one disk that has a file, its size a property. Pure.

DSP0243, 9.1: of an empty disk the capacity may be `${KEY}`, the value of a property. vSphere's API knows it as
`variable_disk_size`.
"""

from __future__ import annotations

import dataclasses
import re

from paver.errors import BadInput
from paver.ovf.descriptor import items_of
from paver.ovf.model import Descriptor, Item, Property

KEY = "data_disk_gb"
ID = "vmdisk2"
UNIT = "byte * 2^30"
SMALLEST_GB, LARGEST_GB = 8, 4096
_DISK = 17


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataDisk:
    """The empty disk of an appliance: its bytes, and its unit on the controller that the disk with a file is on too."""

    capacity: int
    unit: int


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


def of(descriptor: Descriptor, where: str) -> DataDisk | None:
    """Returns the data disk of an appliance, None where it has none.

    Which disk is the first one, their units say (`AddressOnParent`), not the order that they stand in.

    Raises:
        BadInput: the machine has other disks than one with a file, and perhaps an empty one behind it.
    """
    by_id = {disk.id: disk for disk in descriptor.disks}
    hardware = sorted((item for item in items_of(descriptor) if item.type == _DISK), key=_unit)
    disks = [by_id.get(item.host_resource.rpartition("/")[2]) for item in hardware]
    filled = [disk is not None and disk.file is not None for disk in disks]
    together = len({item.parent for item in hardware}) == 1 and len(
        {_unit(item) for item in hardware}
    ) == len(disks)
    if (
        not together
        or None in disks
        or len(disks) != len(descriptor.disks)
        or filled not in ([True], [True, False])
    ):
        raise BadInput(
            f"{where} does not have the disks of an appliance",
            seen=", ".join(
                f"{item.host_resource or item.name} at {item.parent}:{item.address} "
                f"{'with a file' if full else 'empty'}"
                for item, full in zip(hardware, filled, strict=True)
            )
            or f"{len(descriptor.disks)} disks, none of them attached",
            why="it has one disk with a file, and perhaps an empty one behind it on the same controller, for its data",
            do="take an image that paver built, or one like it",
        )
    data = disks[1] if len(disks) > 1 else None
    return DataDisk(capacity=data.capacity, unit=_unit(hardware[1])) if data is not None else None


def _unit(item: Item) -> int:
    return int(item.address) if re.fullmatch("[0-9]{1,4}", item.address) else -1


def literal(descriptor: Descriptor) -> str:
    """Returns the descriptor's text with numbers for capacities that are properties' values, and without these properties.

    So it depends on no host whether it knows such disks, or properties: a bare one keeps none.
    """
    text = descriptor.text
    for disk in descriptor.disks:
        if disk.sized_by:
            default = next(each.value for each in descriptor.properties if each.key == disk.sized_by).strip()
            text = text.replace(f"${{{disk.sized_by}}}", default)
            text = re.sub(
                rf'\s*<Property [^>]*ovf:key="{re.escape(disk.sized_by)}"(?:[^>]*/>|.*?</Property>)',
                "",
                text,
                flags=re.DOTALL,
            )
    return text
