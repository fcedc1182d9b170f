"""Vcenter's own certificate authority, taken into the sealed store: from then on vCenter and its hosts are verified.

Its root is fetched out of the appliance by guest operations, over the connection to the host that the site
file pins: nothing on the way is believed that was not verified before.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Any

from paver.driver import STORE, Check, Endpoint, Facts, PaverError, Reader, Resource, Secret, Verb, Writer
from paver.drivers.vsphere import evaluation
from paver.drivers.vsphere.endpoints import APPLIANCE, VCENTER
from paver.drivers.vsphere.vcsa import expiry

NAME = "vmca"
FILE = "/var/lib/vmware/vmca/root.cer"


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnchorFacts(Facts):
    """The root as the sealed store has it."""

    pem: str
    vm: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Anchor(Resource[AnchorFacts]):
    """The root of vCenter's authority.

    Attributes:
        host: where the appliance's VM is.
        vm: the VM's name; another one has another root.
        root_password: of the appliance's root account.
    """

    kind = "vsphere.anchor"
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        Verb.CREATE: frozenset({"InitiateFileTransferFromGuest", "seal:put"}),
        Verb.UPDATE: frozenset({"InitiateFileTransferFromGuest", "seal:put"}),
        Verb.DELETE: frozenset({"seal:remove"}),
    }
    unmanaged = frozenset({"host", "root_password"})

    host: Endpoint[Any, Any]
    vm: str
    root_password: Secret

    def says(self) -> str:
        """Returns what a plan shows."""
        return "trust vCenter's own certificate authority"

    def read(self, world: Reader) -> AnchorFacts | None:
        """Returns the entry of the sealed store."""
        entry = world.session(STORE).entry(NAME)
        return None if entry is None else _facts(entry)

    def create(self, world: Writer) -> None:
        """Fetches the root over the pinned connection and seals it."""
        host = world.writing(self.host)
        vms = [vm for vm, values in host.objects("VirtualMachine", ("name",)) if values["name"] == self.vm]
        if len(vms) != 1:
            raise PaverError(f"there is no VM {self.vm} on {host.name} to take vCenter's root from")
        pem = host.guest_read(vms[0], "root", world.reveal(self.root_password), FILE).decode("ascii")
        world.writing(STORE).put(NAME, "", {"pem": pem, "vm": self.vm}, world.mark(complete=True))

    def update(self, world: Writer, facts: AnchorFacts, fields: frozenset[str]) -> None:
        """Fetches it anew."""
        del facts, fields
        self.create(world)

    def checks(self, world: Reader, facts: AnchorFacts) -> Iterable[Check]:
        """Yields that vCenter's certificate leads to it, that it is a vCenter, how long it may run and root's password holds."""
        del facts
        vcenter = world.session(VCENTER)
        about = vcenter.content.about
        yield Check("vCenter proves itself by it", about.apiType == "VirtualCenter", about.fullName)
        if evaluation.of_vcenter(vcenter):
            do = "assign it a licence in vCenter (Administration, Licenses): all hosts leave it otherwise"
            yield evaluation.check("vCenter", evaluation.until(vcenter), do)
        root = world.session(APPLIANCE).get(expiry.ROOT).json()
        yield expiry.check(self.vm, self.root_password.name, root, dt.datetime.now(dt.UTC))

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[AnchorFacts]:
        """Yields the entry if it bears a mark."""
        entry = world.session(at).entry(NAME)
        if entry is not None and entry.mark is not None:
            yield _facts(entry)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: AnchorFacts) -> None:
        """Removes it from the sealed store."""
        del facts
        world.writing(at).remove(NAME)


def _facts(entry: Any) -> AnchorFacts:
    return AnchorFacts(
        mark=entry.mark,
        pem=str(entry.public.get("pem", "")),
        vm=str(entry.public.get("vm", "")),
    )
