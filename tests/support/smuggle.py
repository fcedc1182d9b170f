"""`paver` with a write smuggled into what only reads: `python -m tests.support.smuggle WAY,… ARGUMENTS`.

A way is `soap`, `http`, `ssh` or `s3`: the first resource of a kind of that way that is read tries to write, by
whatever its reading session offers. `open` among the ways takes the sessions' guards out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from paver.cli import entry
from paver.driver import Reader
from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.host.port_group import PortGroup
from paver.foundation.director.configs import Config
from paver.foundation.object_store.bucket import Bucket
from paver.machine.brought.artefact import Artefact
from paver.transport import http, probes, s3
from paver.transport.vsphere import new, soap_gate

NAME = "smuggled"
FILE = f"/var/lib/paver/{NAME}"
CONFIG = {"type": "runtime", "name": NAME, "content": "addons: []"}


def soap(group: PortGroup, world: Reader) -> None:
    """Adds a port group through pyVmomi, past all faces of ours."""
    session = world.session(group.at)
    system = reading.manager(session, "networkSystem")
    network = new(
        "HostPortGroupSpec",
        name=NAME,
        vlanId=99,
        vswitchName="vSwitch0",
        policy=new("HostNetworkPolicy"),
    )
    session.ref("HostNetworkSystem", system._moId).AddPortGroup(portgrp=network)


def post(config: Config, world: Reader) -> None:
    """Posts a config to the director as if that only read."""
    world.session(config.at)._line.read("POST", "/configs", json=CONFIG)


def touch(artefact: Artefact, world: Reader) -> None:
    """Makes a file on the jumpbox as if that were a probe."""
    world.session(artefact.at).probe(["touch", FILE], root=True)


def put(bucket: Bucket, world: Reader) -> None:
    """Makes a bucket as if that were a query."""
    world.session(bucket.at).query("create_bucket", Bucket=NAME)


WAYS: dict[str, tuple[type[Any], Callable[[Any, Reader], None]]] = {
    "soap": (PortGroup, soap),
    "http": (Config, post),
    "ssh": (Artefact, touch),
    "s3": (Bucket, put),
}


def _smuggle(kind: type[Any], write: Callable[[Any, Reader], None]) -> None:
    original = kind.read
    done: list[Any] = []

    def read(self: Any, world: Reader) -> Any:
        if not done:
            done.append(self)
            write(self, world)
        return original(self, world)

    kind.read = read


def _open() -> None:
    soap_gate.READS |= {"AddPortGroup"}
    probes.PROBES = {**probes.PROBES, "touch": lambda _: True}
    s3._READING = (*s3._READING, "create_")  # type: ignore[assignment]
    http.READS |= {"POST"}


def main() -> int:
    """Runs `paver`."""
    ways, *arguments = sys.argv[1:]
    for way in ways.split(","):
        if way == "open":
            _open()
        else:
            _smuggle(*WAYS[way])
    return entry.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
