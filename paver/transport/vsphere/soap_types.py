"""vSphere's types and methods by their WSDL names, as the vendor's reference and the SOAP trace show them.

pyVmomi is imported on first use: it takes 0.1 s, and most commands never speak SOAP.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

BASELINE = "vim.version.version12"
"""6.7: what the first call speaks, before the server's own version is known."""


@functools.cache
def vmomi(module: str = "VmomiSupport") -> Any:
    """Returns a module of pyVmomi, imported on first use; it is untyped in all that matters here."""
    return importlib.import_module(f"pyVmomi.{module}")


@functools.cache
def type_of(name: str) -> Any:
    """Returns the class of WSDL name `name`, as `HostNetworkSystem` or `HostPortGroupSpec`.

    Raises:
        KeyError: if vSphere has no such type.
    """
    return vmomi().GetWsdlType("urn:vim25", name)


def name_of(type_: Any) -> str:
    """Returns the WSDL name of a class."""
    return str(vmomi().GetWsdlName(type_))


def new(name: str, /, **fields: Any) -> Any:
    """Returns a data object, as in `new("HostPortGroupSpec", name="mgmt", vlanId=20, …)`."""
    return type_of(name)(**fields)


def ref(name: str, moid: str, stub: Any = None) -> Any:
    """Returns a reference to the managed object `moid` of type `name`."""
    return type_of(name)(moid, stub)


def describe(managed: Any) -> str:
    """Returns `Type:moid`, as it stands in journals."""
    return f"{name_of(type(managed))}:{managed._moId}"  # noqa: SLF001 (pyVmomi offers no other way)


def rebound(managed: Any, stub: Any) -> Any:
    """Returns the same reference, bound to another session."""
    return type(managed)(managed._moId, stub)  # noqa: SLF001


def method(managed: Any, wsdl_name: str) -> Any:
    """Returns the bound method whose WSDL name is `wsdl_name`.

    Raises:
        AttributeError: if the object has no such method.
    """
    kind: Any = type(managed)
    return getattr(managed, _method_name(kind, wsdl_name))


@functools.cache
def _method_name(type_: Any, wsdl_name: str) -> str:
    for info in type_._GetMethodList():  # noqa: SLF001
        if info.wsdlName == wsdl_name:
            name: str = info.name[0].upper() + info.name[1:]
            return name
    raise AttributeError(f"{name_of(type_)} has no method {wsdl_name}")


def newest_known(api_version: str) -> str:
    """Returns pyVmomi's id of the newest version that it and a server of `api_version` both speak."""
    theirs = _numbers(api_version)
    best, best_id = _numbers("6.7"), BASELINE
    for id_, version in vmomi().versionIdMap.items():
        numbers = _numbers(version) if id_.startswith("vim.version.") else ()
        if numbers and best < numbers <= theirs:
            best, best_id = numbers, id_
    return best_id


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()
