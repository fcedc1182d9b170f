"""`paver` that gives up early: `python -m tests.support.impatient SECONDS ARGUMENTS`.

On a jumpbox's first boot, and on an installer that says nothing.
"""

from __future__ import annotations

import sys
from typing import Any

from paver.cli import entry
from paver.drivers.vsphere.jumpbox.machine import Jumpbox
from paver.drivers.vsphere.vcsa import install


def main() -> int:
    """Runs `paver`."""
    seconds = int(sys.argv[1])
    defaults: Any = Jumpbox.__init__
    defaults.__kwdefaults__["patience"] = seconds
    install.STALL_LIMIT = seconds
    return entry.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
