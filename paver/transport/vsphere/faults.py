"""vSphere's faults as errors of ours: told by class and fields, never by the message alone.

The simulator's messages are Go type names, and the real ones are localised; classes and fields are neither.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.errors import PaverError

_ADVICE: Mapping[str, tuple[str, str]] = {
    "RestrictedVersion": (
        "the free licence makes the API read-only; vCenter's installer would fail as well",
        "give the host a licence, or start its 60-day evaluation, then run the same command again",
    ),
    "NoPermission": ("the account lacks a privilege", "give it the privilege that is named above"),
    "DuplicateName": ("something of that name is there already", "rename one of the two"),
    "ResourceInUse": ("something still uses it", "see what is attached to it"),
    "HostConfigFault": ("the host refused the configuration", "see the host's own log (hostd.log)"),
    "FileAlreadyExists": ("a file of that name is there already", "remove or rename it"),
    "NoDiskSpace": ("the datastore is full", "free space on it, or choose another"),
    "InvalidLogin": ("user or password is wrong", "check the login that the site file names"),
    "HostAccessRestrictedToManagementServer": (
        "a vCenter manages the host, and it alone sets shares, reservations and limits of what runs there",
        "do it in vCenter; if that is gone, disconnect the host from it in the host's own client",
    ),
    "NotSupported": (
        "this host or its licence does not offer that",
        "see the vendor's matrix for its version",
    ),
}


class VsphereFault(PaverError):
    """A call that vSphere refused or a task that failed.

    Attributes:
        fault: the fault's class, as in `DuplicateName`.
        bases: that class and its bases, so that `is_a("HostConfigFault")` holds for subclasses too.
        fields: the fault's set fields, as text.
        call: the method.
    """

    def __init__(
        self, fault: str, fields: Mapping[str, str], bases: tuple[str, ...], call: str, target: str
    ) -> None:
        shown = ", ".join(f"{key} {value}" for key, value in sorted(fields.items()))
        advice = next((_ADVICE[name] for name in bases if name in _ADVICE), ("", ""))
        super().__init__(
            f"{target}: {call} failed with {fault}" + (f" ({shown})" if shown else ""),
            why=advice[0],
            do=advice[1],
        )
        self.fault = fault
        self.fields = fields
        self.bases = bases
        self.call = call

    def is_a(self, name: str) -> bool:
        """Tells whether the fault is of class `name` or of one derived from it."""
        return name in self.bases


@dataclasses.dataclass(frozen=True)
class _Skipped:
    names: frozenset[str] = frozenset({"msg", "faultMessage", "faultCause", "dynamicType", "dynamicProperty"})


_SKIPPED = _Skipped().names


def _name(type_: type) -> str:
    return type_.__name__.rpartition(".")[2]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    moid = getattr(value, "_moId", None)
    if moid is not None:
        return f"{_name(type(value))}:{moid}"
    if hasattr(value, "_propInfo"):
        return _name(type(value))
    return str(value)


def translate(fault: Any, call: str, target: str) -> VsphereFault:
    """Returns `fault` (a `vmodl.MethodFault`) as an error of ours."""
    fields = {}
    for info in fault._GetPropertyList():  # noqa: SLF001 (pyVmomi's documented way to list properties)
        value = getattr(fault, info.name, None)
        if info.name not in _SKIPPED and value is not None and (text := _text(value)):
            fields[info.name] = text
    messages = [entry.message for entry in getattr(fault, "faultMessage", None) or [] if entry.message]
    if messages:
        fields.setdefault("says", "; ".join(messages))
    bases = tuple(_name(type_) for type_ in type(fault).__mro__ if hasattr(type_, "_propInfo"))
    return VsphereFault(_name(type(fault)), fields, bases, call, target)
