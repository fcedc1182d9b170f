"""Six properties of 1000 VMs, against `govc object.collect`."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paver.lab import build
from paver.transport.context import Wire
from paver.transport.vsphere import VsphereConnector, new
from tests.bench import ova
from tests.bench.measure import Ground, Row
from tests.bench.process import Command, alternate, python
from tests.bench.read_vms import Root
from tests.support import vsphere_lab

VMS = 1000
PATHS = (
    "name",
    "config.uuid",
    "config.files.vmPathName",
    "runtime.powerState",
    "summary.config.memorySizeMB",
    "summary.config.numCpu",
)


def measure(ground: Ground) -> Iterator[Row]:
    """Yields the one figure."""
    govc = str(build.build(["govc"])["govc"])
    password = ground.folder / "password"
    password.write_text(vsphere_lab.PASSWORD)
    with vsphere_lab.hosts(ground.folder, "esx-01") as there:
        port, pin = there.ports["esx-01"], there.pins["esx-01"]
        ground.say(f"making {VMS} VMs")
        _make(port, pin)
        what = f"{len(PATHS)} properties of {VMS} VMs"
        ground.say(what)
        script = Path(__file__).with_name("read_vms.py")
        ours = Command(
            python(*map(str, (script, vsphere_lab.ADDRESS, port, pin, password)), *PATHS),
        )
        theirs = Command(
            (govc, "object.collect", "-s", "-type", "m", "/", *PATHS),
            ova.govc_environment(ground.folder, port),
        )
        found = alternate(ours, theirs, ground.rounds)
        yield Row(
            what, found.median, found.peer, "govc object.collect", found.ratio, 2.0, runs=len(found.ours)
        )


def _make(port: int, pin: str) -> None:
    connector = VsphereConnector(
        name="esx-01", address=vsphere_lab.ADDRESS, port=port, user="root", password=Root(), pins=(pin,)
    )
    connection = connector.connect(Wire(reveal=lambda _: vsphere_lab.PASSWORD))

    def gate(call: str, target: str = "", detail: Any = None) -> None:
        del call, target, detail

    try:
        writer = connection.writer(gate)
        pool = writer.objects("ResourcePool")[0][0]
        folder = writer.ref("Folder", "ha-folder-vm")

        def make(number: int) -> None:
            spec = new(
                "VirtualMachineConfigSpec",
                name=f"vm-{number:04}",
                numCPUs=1,
                memoryMB=64,
                guestId="otherGuest",
                files=new("VirtualMachineFileInfo", vmPathName="[datastore1]"),
            )
            writer.task(folder, "CreateVM_Task", config=spec, pool=pool)

        with concurrent.futures.ThreadPoolExecutor(4) as workers:
            list(workers.map(make, range(VMS)))
    finally:
        connection.close()
