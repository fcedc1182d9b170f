"""What an OVF says, as frozen data. Reading it is in `descriptor`, writing it in `write`."""

from __future__ import annotations

import dataclasses

STREAM_OPTIMIZED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """A file that the descriptor refers to; `size` is in bytes, None where the descriptor doesn't say."""

    id: str
    href: str
    size: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disk:
    """A virtual disk: `capacity` and `populated` in bytes; `file` is None for an empty one.

    `sized_by` is the key of the property whose default the capacity is, empty where it is a number.
    """

    id: str
    capacity: int
    sized_by: str = ""
    file: File | None = None
    populated: int | None = None
    format: str = STREAM_OPTIMIZED


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A network that wants to be mapped to a port group."""

    name: str
    description: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """An element of the virtual hardware, by CIM's resource type (3 CPU, 4 memory, 10 NIC, 17 disk …).

    Attributes:
        configurations: the deployment configurations it belongs to; empty: to all.
        address: its unit on `parent`, as it stands there.
    """

    type: int
    instance: str
    name: str = ""
    connection: str = ""
    host_resource: str = ""
    parent: str = ""
    address: str = ""
    configurations: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Property:
    """A setting that whoever deploys may give; `key` is as they write it, `qualifiers` bound it."""

    key: str
    type: str = "string"
    qualifiers: str = ""
    value: str = ""
    label: str = ""
    description: str = ""
    user_configurable: bool = True
    password: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Product:
    """Who made what, in which version."""

    name: str = ""
    vendor: str = ""
    version: str = ""
    full_version: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Configuration:
    """A deployment configuration, such as vCenter's sizes."""

    id: str
    label: str = ""
    description: str = ""
    default: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Descriptor:
    """An OVF descriptor.

    Attributes:
        text: the XML itself, as CreateImportSpec wants it.
        hardware: the virtual hardware families it may run on, such as `vmx-17`.
    """

    name: str
    text: str
    files: tuple[File, ...] = ()
    disks: tuple[Disk, ...] = ()
    networks: tuple[Network, ...] = ()
    items: tuple[Item, ...] = ()
    properties: tuple[Property, ...] = ()
    configurations: tuple[Configuration, ...] = ()
    hardware: tuple[str, ...] = ()
