"""What a driver does to deploy an OVA, and nothing else: `ova.py` measures it.

python tests/bench/deploy_ova.py OVA ADDRESS PORT PIN PASSWORD-FILE PEAK-FILE
"""

from __future__ import annotations

import concurrent.futures
import gc
import re
import sys
from pathlib import Path
from typing import Any

gc.set_threshold(50_000)  # as paver's own entry does

from paver.ovf.ova import Ova  # noqa: E402


class Root:
    """The reference to root's password."""

    name = "root"


def deploy(ova: Ova, address: str, port: int, pin: str, password: Path) -> None:
    """Verifies the OVA while it logs in, uploads it, and has what arrived compared with what was verified."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        verifying = pool.submit(ova.verify)
        # Imported meanwhile: it takes as long as digesting 200 MB.
        from paver.transport.context import Wire  # noqa: PLC0415
        from paver.transport.vsphere import VsphereConnector, nfc  # noqa: PLC0415

        connector = VsphereConnector(
            name="esx-01", address=address, port=port, user="root", password=Root(), pins=(pin,)
        )
        connection = connector.connect(Wire(reveal=lambda _: password.read_text()))
        try:
            writer = connection.writer(_gate)
            resources = writer.objects("ResourcePool", ())[0][0]
            datastore = writer.objects("Datastore", ())[0][0]
            network = writer.objects("Network", ())[0][0]
            networks = {wanted.name: network for wanted in ova.descriptor.networks}
            spec = nfc.import_spec(
                writer, ova.descriptor.text, resources, datastore, name="bench", networks=networks
            )
            # Here it ends or raises, and only then a byte is sent.
            sources = {
                file.name: nfc.Source(
                    lambda name=file.name: ova.member(name),  # type: ignore[misc]
                    file.size,
                    file.digests.get("sha1"),
                )
                for file in verifying.result().files
            }
            nfc.import_vapp(writer, resources, None, None, spec, sources)
        finally:
            connection.close()


def _gate(call: str, target: str = "", detail: Any = None) -> None:
    del call, target, detail


def main() -> None:
    """Deploys, and leaves the most memory that this process had (MiB)."""
    path, address, port, pin, password, peak = sys.argv[1:]
    with Ova(Path(path)) as ova:
        deploy(ova, address, int(port), pin, Path(password))
    most = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    Path(peak).write_text(str(int(most[1]) / 1024) if most else "0")
    gc.freeze()


if __name__ == "__main__":
    main()
