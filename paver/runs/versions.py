"""What support asks for first: versions of paver, Python, its libraries, and the formats that this paver writes."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

import paver
from paver.engine import journal, plan
from paver.foundation.handover import contract

LIBRARIES = ("boto3", "cryptography", "httpx", "isal", "paramiko", "pydantic", "pyvmomi", "rich", "tenacity")


def versions() -> dict[str, Any]:
    """Returns the versions; nothing in it names the user or the machine."""
    return {
        "paver": paver.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "formats": {"plan": plan.SCHEMA, "journal": journal.SCHEMA, "contract": contract.SCHEMA},
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
