"""`paver` that waits for a jumpbox's first boot for seconds only: `python -m tests.support.impatient SECONDS …`."""

from __future__ import annotations

import sys
from typing import Any

from paver.cli import entry
from paver.drivers.vsphere.jumpbox.machine import Jumpbox


def main() -> int:
    """Runs `paver`."""
    defaults: Any = Jumpbox.__init__
    defaults.__kwdefaults__["patience"] = int(sys.argv[1])
    return entry.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
