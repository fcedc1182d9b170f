"""The lab's vSphere CPI: one call on stdin, one answer on stdout, like the CPI of BOSH's vSphere release.

`python -m paver.lab.standins.cpi --config FILE`, where FILE is the job's rendered `config/cpi.json`.
Protocol: bosh.io/docs/cpi-api-v2 and the official CLI's `cloud` package. What it does to the vCenter lives
in `cpi_calls`, how it gets there in `cpi_vcenter`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from paver.lab.standins.cpi_errors import CloudError

_INFO = {"api_version": 2, "stemcell_formats": ["vsphere-ovf", "vsphere-ova"]}
_NEEDS_VCENTER = frozenset(
    {
        "create_stemcell",
        "delete_stemcell",
        "create_vm",
        "delete_vm",
        "has_vm",
        "reboot_vm",
        "set_vm_metadata",
        "create_disk",
        "delete_disk",
        "has_disk",
        "attach_disk",
        "detach_disk",
        "get_disks",
    }
)


def answer(request: Any, config: Any) -> dict[str, Any]:
    """Carries out one call and returns the answer that goes to stdout."""
    method = str(request.get("method", ""))
    if method == "info":
        return {"result": _INFO, "error": None, "log": ""}
    if method not in _NEEDS_VCENTER:
        return _failure("Bosh::Clouds::NotImplemented", f"'{method}' is not implemented", ok_to_retry=False)
    # Imported here: `info` precedes every call, and pyVmomi is slow to load.
    from paver.lab.standins import cpi_calls, cpi_vcenter  # noqa: PLC0415

    try:
        director = str((request.get("context") or {}).get("director_uuid", ""))
        with cpi_vcenter.connected(config, director) as cloud:
            result = cpi_calls.CALLS[method](cloud, *request.get("arguments", []))
    except CloudError as error:
        return _failure(error.kind, str(error), ok_to_retry=error.ok_to_retry)
    except Exception as error:  # noqa: BLE001 - the protocol has no exit code: every failure is an answer
        return _failure("Unknown", cpi_vcenter.words(error), ok_to_retry=False)
    return {"result": result, "error": None, "log": ""}


def _failure(kind: str, message: str, *, ok_to_retry: bool) -> dict[str, Any]:
    return {
        "result": None,
        "error": {"type": kind, "message": message, "ok_to_retry": ok_to_retry},
        "log": "",
    }


def main() -> int:
    """Answers the one call on stdin."""
    parser = argparse.ArgumentParser(prog="cpi", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the job's rendered config/cpi.json")
    options = parser.parse_args()
    config = json.loads(options.config.read_text(encoding="utf-8"))
    reply = answer(json.load(sys.stdin), config["cloud"]["properties"])
    json.dump(reply, sys.stdout)
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    # Hundreds of calls are made, and for Python to tidy what pyVmomi loaded takes a tenth of each.
    os._exit(main())
