"""What a driver does to deploy an OVA, and nothing else: `ova.py` measures it.

python tests/bench/deploy_ova.py OVA ADDRESS PORT PIN PASSWORD-FILE PEAK-FILE
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from paver.ovf.ova import Ova
from paver.transport import nfc
from paver.transport.context import SecretRef, Wire
from paver.transport.vsphere import VsphereConnector


class Root:
    """The reference to root's password."""

    name = "root"


def deploy(ova_path: Path, address: str, port: int, pin: str, password: Path) -> None:
    """Verifies the OVA, uploads it, and has the host's digests compared with the verified ones."""

    def reveal(_: SecretRef) -> str:
        return password.read_text()

    def gate(call: str, target: str = "", detail: Any = None) -> None:
        del call, target, detail

    connector = VsphereConnector(
        name="esx-01", address=address, port=port, user="root", password=Root(), pins=(pin,)
    )
    connection = connector.connect(Wire(reveal=reveal))
    try:
        writer = connection.writer(gate)
        with Ova(ova_path) as ova:
            verified = ova.verify()
            pool = writer.objects("ResourcePool", ())[0][0]
            datastore = writer.objects("Datastore", ())[0][0]
            network = writer.objects("Network", ())[0][0]
            networks = {wanted.name: network for wanted in ova.descriptor.networks}
            spec = nfc.import_spec(
                writer, ova.descriptor.text, pool, datastore, name="bench", networks=networks
            )
            sources = {
                file.name: nfc.Source(
                    lambda name=file.name: ova.member(name),  # type: ignore[misc]
                    file.size,
                    file.digests.get("sha1"),
                )
                for file in verified.files
            }
            nfc.import_vapp(writer, pool, None, None, spec, sources)
    finally:
        connection.close()


def main() -> None:
    """Deploys, and leaves the most memory that this process had (MiB)."""
    path, address, port, pin, password, peak = sys.argv[1:]
    deploy(Path(path), address, int(port), pin, Path(password))
    most = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    Path(peak).write_text(str(int(most[1]) / 1024) if most else "0")


if __name__ == "__main__":
    main()
