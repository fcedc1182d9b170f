"""Reads properties of all VMs of a host as a driver does: `properties.py` measures it.

python tests/bench/read_vms.py ADDRESS PORT PIN PASSWORD-FILE PATH…
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

gc.set_threshold(50_000)  # as paver's own entry does

from paver.transport.context import Wire  # noqa: E402
from paver.transport.vsphere import VsphereConnector  # noqa: E402


class Root:
    """The reference to root's password."""

    name = "root"


def main() -> None:
    """Prints a line a property, as govc does."""
    address, port, pin, password, *paths = sys.argv[1:]
    connector = VsphereConnector(
        name="esx-01", address=address, port=int(port), user="root", password=Root(), pins=(pin,)
    )
    connection = connector.connect(Wire(reveal=lambda _: Path(password).read_text()))
    try:
        found = connection.reader().objects("VirtualMachine", paths)
    finally:
        connection.close()
    lines = [f"{path}\t{value}\n" for _, values in found for path, value in values.items()]
    sys.stdout.write("".join(lines))
    gc.freeze()


if __name__ == "__main__":
    main()
