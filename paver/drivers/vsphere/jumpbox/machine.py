"""The jumpbox: a VM made from an image, told at its first boot who it is, reached by a key that its host vouches for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from paver.driver import Check, Endpoint, Reader, Refused, Resource, Verb, Writer
from paver.drivers.vsphere.jumpbox import deploy, facts
from paver.drivers.vsphere.jumpbox.facts import JumpboxFacts
from paver.drivers.vsphere.jumpbox.first_boot import mac_of
from paver.machine.first_boot import FirstBoot
from paver.transport.vsphere import nfc

_CHANGE = frozenset(
    {
        "ReconfigVM_Task",
        "Rename_Task",
        "ReconfigureAutostart",
        "PowerOnVM_Task",
        "PowerOffVM_Task",
        "ShutdownGuest",
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Jumpbox(Resource[JumpboxFacts]):
    """The jumpbox's VM. On one that was placed by hand only `name`, `running` and `autostart` are managed.

    Attributes:
        path: the image, as the site file has it.
        patience: seconds that the first boot may take.
        elsewhere: the site's other hosts, on which it may be instead: there is never a second one.
        name: of the VM.
        running: whether it is switched on.
        image: digest of the image's manifest.
        datastore: where its disks lie.
        port_group: what its card is attached to.
        ip: its address; with `prefix`, `gateway`, `dns`, `hostname`, `domain`, `user`, `keys` it is what
            the machine learns at its first boot.
        cpus: number of CPUs.
        memory_mb: memory in MiB.
        disk_gb: size of the data disk in GiB, of the only one where the image has none; it only grows.
        autostart: whether the host starts it; None where high availability does.
    """

    kind = "vsphere.jumpbox"
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        Verb.CREATE: _CHANGE | nfc.CALLS | {"Destroy_Task"},
        Verb.UPDATE: _CHANGE | {"file:write"},
        Verb.ADOPT: _CHANGE,
        Verb.DELETE: frozenset({"ReconfigVM_Task", "PowerOffVM_Task", "Destroy_Task"}),
    }
    replaces = frozenset(
        {
            "image",
            "datastore",
            "port_group",
            "ip",
            "prefix",
            "gateway",
            "dns",
            "hostname",
            "domain",
            "user",
        }
    )
    unmanaged = frozenset({"path", "patience", "elsewhere"})

    protected: bool = True
    path: str
    patience: int = 600
    elsewhere: tuple[Endpoint[Any, Any], ...] = ()
    name: str
    running: bool = True
    image: str | None = None
    datastore: str | None = None
    port_group: str | None = None
    ip: str | None = None
    prefix: int | None = None
    gateway: str | None = None
    dns: tuple[str, ...] | None = None
    hostname: str | None = None
    domain: str | None = None
    user: str | None = None
    keys: tuple[str, ...] | None = None
    cpus: int | None = None
    memory_mb: int | None = None
    disk_gb: int | None = None
    autostart: bool | None = None

    def first_boot(self, site: str) -> FirstBoot:
        """Returns what the machine is told at its first boot."""
        return FirstBoot(
            hostname=self.hostname or "",
            domain=self.domain or "",
            user=self.user or "",
            keys=self.keys or (),
            address=self.ip or "",
            prefix=self.prefix or 0,
            gateway=self.gateway or "",
            dns=self.dns or (),
            mac=mac_of(site, self.id),
        )

    def read(self, world: Reader) -> JumpboxFacts | None:
        """Returns the VM that is the site's jumpbox, or the foreign one of its name.

        Raises:
            Refused: if it stands on another host.
        """
        session = world.session(self.at)
        found = facts.find(session, site=world.site, id_=self.id, name=self.name)
        seen = facts.of(session, found, datastore=self.datastore) if found is not None else None
        if seen is None or seen.mark is None or seen.mark.site != world.site:
            self._nowhere_else(world)
        return seen

    def _nowhere_else(self, world: Reader) -> None:
        for at in self.elsewhere:
            session = world.session(at)
            found = facts.find(session, site=world.site, id_=self.id)
            if found is None:
                continue
            here, there = world.session(self.at).name, session.name
            raise Refused(
                f"the jumpbox {found.name} is on {there}, not on {here}",
                seen=f"the VM with the mark of {self.id} on {there}",
                why="HA, DRS or somebody moved it, or the site file names another host now; a second one is never made",
                do=f"write jumpbox.on: {there}, or move it back to {here} (vMotion, or unregister and register it)",
            )

    def foresees(self, world: Reader, facts: JumpboxFacts | None) -> str:
        """Returns nothing; raises `Refused` where its disk would have to become smaller."""
        del world
        if facts is not None and facts.disk_gb is not None and self.disk_gb is not None:
            deploy.demand_room(self.name, facts.disk_gb, self.disk_gb)
        return ""

    def create(self, world: Writer) -> None:
        """Deploys the image and waits until the machine answers; a VM that was begun is brought to its end."""
        deploy.create(world, self)

    def update(self, world: Writer, facts: JumpboxFacts, fields: frozenset[str]) -> None:
        """Changes what can change in place.

        Keys are let in over SSH, for the first boot is over; for CPUs and memory the machine is shut down and
        started again.
        """
        deploy.change(world, self, facts, fields)

    def checks(self, world: Reader, facts: JumpboxFacts) -> Iterable[Check]:
        """Yields that the machine published its host keys over the host's connection."""
        del world
        keys = facts.host_keys or ()
        yield Check("the jumpbox published its host keys", bool(keys), ", ".join(key[:40] for key in keys))
        if facts.untold is not None:
            # The image was verified before it was sent, over TLS and with its length: a doubt, and no failure.
            yield Check("the image was sent whole; it was not compared", True, facts.untold)

    def estimate(self) -> int:
        """Returns about how many seconds deploying and the first boot take."""
        return 40

    def says(self) -> str:
        """Returns what a plan shows."""
        where = f"{self.ip} on {self.port_group}" if self.ip else "adopted as it is"
        return f"{self.name}, {where}"

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[JumpboxFacts]:
        """Yields the VMs on a host that bear the mark of a jumpbox of this site."""
        session = world.session(at)
        for found in facts.marked(session, site=world.site, kind=cls.kind):
            yield facts.of(session, found)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: JumpboxFacts) -> None:
        """Switches the VM off and deletes it with its disks."""
        deploy.destroy(world, at, facts)
