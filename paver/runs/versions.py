"""What support asks for first: versions of paver, Python, its libraries, and the formats that this paver writes."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping

import paver
from paver.engine import journal, plan
from paver.foundation.handover import contract

LIBRARIES = (
    "botocore",
    "cryptography",
    "httpx",
    "isal",
    "paramiko",
    "pydantic",
    "pyvmomi",
    "rich",
    "tenacity",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Versions:
    """What support asks for first; nothing in it names the user or the machine.

    Attributes:
        paver: its version.
        python: Python's version.
        system: kernel, its release, and the processor.
        formats: what this paver writes: `plan`, `journal`, `contract`.
        libraries: versions of what it stands on, by package.
    """

    paver: str
    python: str
    system: str
    formats: Mapping[str, str]
    libraries: Mapping[str, str]


def versions() -> Versions:
    """Returns the versions of this paver, here."""
    return Versions(
        paver=paver.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        formats={"plan": plan.SCHEMA, "journal": journal.SCHEMA, "contract": contract.SCHEMA},
        libraries={name: _version(name) for name in LIBRARIES},
    )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
