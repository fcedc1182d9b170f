"""Reading an OVF descriptor (DMTF DSP0243, versions 1 and 2) into `model.Descriptor`. Pure.

Elements are told apart by their local names. Attributes are accepted with and without the prefix `ovf:`:
the vCenter appliance's own OVF writes `configuration="tiny"`, and to overlook that would give it the
processors and memory of all its sizes at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from paver.errors import BadInput
from paver.ovf.model import Configuration, Descriptor, Disk, File, Item, Network, Property
from paver.ovf.names import href_name
from paver.ovf.sizes import capacity, number, unit

LONGEST = 4 * 2**20
_MOST = 1000
"""Files, or disks: as many as an archive of them may hold."""

_HOST_DISK = re.compile(r"(?:ovf:)?/disk/(.+)")
_ENCODING = re.compile(r"\ufeff?<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([^\"'>]{0,40})")


def parse(data: bytes, *, where: str) -> Descriptor:
    """Reads a descriptor.

    Args:
        data: the XML.
        where: how errors call it.

    Raises:
        BadInput: not XML, not an OVF, with entities or a DTD, of several machines, or inconsistent in itself.
    """
    text = _text_of(data, where)
    root = _xml(text, where)
    if _local(root) != "Envelope":
        raise BadInput(f"{where} is not an OVF descriptor: it starts with <{_local(root)[:80]}>")
    if _child(root, "VirtualSystemCollection") is not None:
        raise BadInput(
            f"{where} describes several machines (a vApp); paver deploys one", do="export the machine alone"
        )
    system = _child(root, "VirtualSystem")
    if system is None:
        raise BadInput(f"{where} describes no virtual machine: it has no <VirtualSystem>")
    properties = tuple(_properties(system, where))
    by_key = {each.key: each for each in properties}
    files = tuple(_file(each, where) for each in _few(_within(root, "References", "File"), "files", where))
    by_id = {file.id: file for file in files}
    descriptor = Descriptor(
        name=_text(system, "Name") or _attribute(system, "id"),
        text=text,
        files=files,
        disks=tuple(
            _disk(each, by_id, by_key, where)
            for each in _few(_within(root, "DiskSection", "Disk"), "disks", where)
        ),
        networks=tuple(
            Network(name=_attribute(each, "name"), description=_text(each, "Description"))
            for each in _within(root, "NetworkSection", "Network")
        ),
        items=tuple(_items(system, where)),
        properties=properties,
        configurations=tuple(
            Configuration(
                id=_attribute(each, "id"),
                label=_text(each, "Label"),
                description=_text(each, "Description"),
                default=_attribute(each, "default") in {"true", "1"},
            )
            for each in _within(root, "DeploymentOptionSection", "Configuration")
        ),
        hardware=tuple(_hardware(system)),
    )
    _check(descriptor, where)
    return descriptor


def items_of(descriptor: Descriptor) -> tuple[Item, ...]:
    """Returns the hardware of the default configuration, or what belongs to all where there is none."""
    default = next((each.id for each in descriptor.configurations if each.default), None)
    if default is None and descriptor.configurations:
        default = descriptor.configurations[0].id
    return tuple(
        item for item in descriptor.items if not item.configurations or default in item.configurations
    )


def _text_of(data: bytes, where: str) -> str:
    if len(data) > LONGEST:
        raise BadInput(f"{where} has {len(data)} bytes; a descriptor has at most {LONGEST}")
    try:
        text = data.decode()
        seen = ""
    except UnicodeDecodeError as error:
        text, seen = "", str(error)
    declared = _ENCODING.match(text)
    if declared is not None and declared[1].lower() not in {"utf-8", "us-ascii", "ascii"}:
        seen = f"it says that it is {declared[1]}"
    if seen:
        raise BadInput(
            f"{where} is not UTF-8",
            seen=seen,
            why="a host is sent it as text, and would read another than the one that was read here",
            do="export it again as UTF-8",
        )
    return text


def _xml(text: str, where: str) -> Element:
    try:
        root: Element = defusedxml.ElementTree.fromstring(text, forbid_dtd=True)
    except DefusedXmlException as error:
        raise BadInput(
            f"{where} declares a document type or entities, which paver does not resolve",
            why="they can make a parser read local files or fill the memory",
            do="use a package from a source that you trust",
        ) from error
    # What the parser cannot take of a text is a ValueError.
    except (ParseError, LookupError, ValueError) as error:
        raise BadInput(f"{where} is not XML: {error}", do="fetch or export it again") from error
    return root


def _file(element: Element, where: str) -> File:
    for odd in ("compression", "chunkSize"):
        if _attribute(element, odd) not in {"", "identity"}:
            raise BadInput(
                f"{where}: the file {_attribute(element, 'href')!r} uses {odd}, which paver does not read",
                do="export it again without",
            )
    size = _attribute(element, "size")
    return File(
        id=_attribute(element, "id"),
        href=href_name(_attribute(element, "href"), where=where),
        size=number(size, f"{where}: size of a file") if size else None,
    )


def _disk(
    element: Element, files: Mapping[str, File], properties: Mapping[str, Property], where: str
) -> Disk:
    name = _attribute(element, "diskId")
    reference = _attribute(element, "fileRef")
    file = files.get(reference)
    if reference and file is None:
        raise BadInput(f"{where}: the disk {name!r} refers to the file {reference!r}, which is not listed")
    factor = unit(_attribute(element, "capacityAllocationUnits") or "byte", where)
    what = f"{where}: capacity of the disk {name!r}"
    size, key = capacity(_attribute(element, "capacity"), factor, properties, what)
    if file is None and not size:
        raise BadInput(f"{what}: it has neither room nor a file")
    populated = _attribute(element, "populatedSize")
    return Disk(
        id=name,
        capacity=size,
        sized_by=key,
        file=file,
        populated=number(populated, f"{where}: populated size of {name!r}") if populated else None,
        format=_attribute(element, "format"),
    )


def _items(system: Element, where: str) -> Iterator[Item]:
    for section in _children(system, "VirtualHardwareSection"):
        for element in section:
            if _local(element) not in {"Item", "StorageItem", "EthernetPortItem"}:
                continue
            yield Item(
                type=number(_text(element, "ResourceType"), f"{where}: resource type of an item"),
                instance=_text(element, "InstanceID"),
                name=_text(element, "ElementName"),
                connection=_text(element, "Connection"),
                host_resource=_text(element, "HostResource"),
                parent=_text(element, "Parent"),
                address=_text(element, "AddressOnParent"),
                configurations=frozenset(_attribute(element, "configuration").split()),
            )


def _properties(system: Element, where: str) -> Iterator[Property]:
    seen = set()
    for section in _children(system, "ProductSection"):
        before, after = _attribute(section, "class"), _attribute(section, "instance")
        for element in _children(section, "Property"):
            parts = (before, _attribute(element, "key"), after)
            key = ".".join(part for part in parts if part)
            if key in seen:
                raise BadInput(
                    f"{where} describes the property {key!r} twice",
                    why="which of the two values holds, nothing says (DSP0243, 9.5: keys are unique)",
                    do="export it again, or take one of them out",
                )
            seen.add(key)
            yield Property(
                key=key,
                type=_attribute(element, "type") or "string",
                qualifiers=_attribute(element, "qualifiers"),
                value=_attribute(element, "value"),
                label=_text(element, "Label"),
                description=_text(element, "Description"),
                user_configurable=_attribute(element, "userConfigurable") in {"true", "1"},
                password=_attribute(element, "password") in {"true", "1"},
            )


def _hardware(system: Element) -> Iterator[str]:
    for element in _within(system, "VirtualHardwareSection", "System"):
        yield from _text(element, "VirtualSystemType").replace(",", " ").split()


def _check(descriptor: Descriptor, where: str) -> None:
    disks = {disk.id for disk in descriptor.disks}
    networks = {network.name for network in descriptor.networks}
    configurations = {each.id for each in descriptor.configurations}
    for names, what in ((disks, "disk"), (networks, "network"), (configurations, "configuration")):
        if "" in names:
            raise BadInput(f"{where}: a {what} has no name")
    if len({file.id for file in descriptor.files}) < len(descriptor.files) or len(disks) < len(
        descriptor.disks
    ):
        raise BadInput(f"{where}: two files or two disks have the same id")
    for item in descriptor.items:
        match = _HOST_DISK.fullmatch(item.host_resource)
        if match and match[1] not in disks:
            raise BadInput(f"{where}: {item.name!r} refers to the disk {match[1]!r}, which is not described")
        if item.connection and item.connection not in networks:
            raise BadInput(
                f"{where}: {item.name!r} refers to the network {item.connection!r}, which is not described"
            )
        if unknown := item.configurations - configurations:
            raise BadInput(
                f"{where}: {item.name!r} belongs to {min(unknown)!r}, which is no deployment configuration"
            )


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _local(child) == name)


def _child(element: Element, name: str) -> Element | None:
    return next(_children(element, name), None)


def _within(element: Element, outer: str, inner: str) -> Iterator[Element]:
    return (child for section in _children(element, outer) for child in _children(section, inner))


def _few(elements: Iterable[Element], what: str, where: str) -> list[Element]:
    found = list(elements)
    if len(found) > _MOST:
        raise BadInput(f"{where} lists {len(found)} {what}; an OVA has at most {_MOST}")
    return found


def _text(element: Element, name: str) -> str:
    child = _child(element, name)
    return (child.text or "").strip() if child is not None else ""


def _attribute(element: Element, name: str) -> str:
    """Returns the attribute with OVF's prefix, or the one without any; others' (`vmw:`) don't count."""
    for key, value in element.attrib.items():
        space, _, local = key.rpartition("}")
        if local == name and ("ovf/envelope" in space or "ovf/1/envelope" in space):
            return value
    return element.attrib.get(name, "")
