"""The vCenter appliance: installed by the vendor's own installer, as a job on the jumpbox.

The installer makes the VM, so the mark can't be there from its birth: the intent stands in the host's ledger
before the installer starts, the mark on the VM once it ended well. A VM that a failed first boot left behind
can't be resumed: it is deleted, if the intent says that it is ours, and installed again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from paver.driver import (
    MARK_KEY,
    Check,
    Endpoint,
    Facts,
    Mark,
    Opaque,
    PaverError,
    Reader,
    Refused,
    Resource,
    Secret,
    Verb,
    Writer,
)
from paver.drivers.vsphere import ledger, marks
from paver.drivers.vsphere.endpoints import MACHINE, VCENTER
from paver.drivers.vsphere.host import autostart, reading
from paver.drivers.vsphere.vcsa import install
from paver.drivers.vsphere.vcsa.anchor import FILE as ROOT_CERTIFICATE
from paver.transport.vsphere.faults import VsphereFault

_PATHS = ("name", "config.extraConfig", "runtime.powerState")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApplianceFacts(Facts):
    """The appliance's VM as its host shows it; None where paver did not write it."""

    name: str
    running: bool
    ip: str | None = None
    fqdn: str | None = None
    size: str | None = None
    autostart: bool | None = None
    root_password: str | None = None
    administrator_password: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Appliance(Resource[ApplianceFacts]):
    """The appliance.

    Attributes:
        program: the installer on the jumpbox.
        sha256: of the ISO that the installer came in, where the site file names it.
        version: of the vCenter that it has to install, as far as the site file names it.
        order: all that the installer is told beside passwords.
        ledger_on: datastore of the host's ledger.
        time_limit: seconds until the installer is stopped.
        elsewhere: the site's other hosts, on which it may be instead: there is never a second one.
        name: of the VM.
        running: whether it is switched on.
        ip: its address.
        fqdn: its name.
        size: deployment option.
        autostart: whether its host starts it, after those that have a place in the order, as the jumpbox has; None where high
            availability does.
    """

    kind = "vsphere.appliance"
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        **ledger.calls(
            create={
                "job:start",
                "ReconfigVM_Task",
                "ReconfigureAutostart",
                "PowerOffVM_Task",
                "PowerOnVM_Task",
                "Destroy_Task",
            },
            update={
                "PowerOnVM_Task",
                "Rename_Task",
                "InitiateFileTransferFromGuest",
                "ReconfigVM_Task",
                "ReconfigureAutostart",
            },
            delete={"ReconfigVM_Task", "PowerOffVM_Task", "Destroy_Task"},
        ),
    }
    replaces = frozenset({"ip", "fqdn", "size"})
    unmanaged = frozenset(
        {"program", "sha256", "version", "order", "ledger_on", "time_limit", "elsewhere", "host_password"}
    )

    protected: bool = True
    program: str
    sha256: str | None = None
    version: str | None = None
    order: install.Order
    host_password: Secret
    ledger_on: str
    time_limit: int
    elsewhere: tuple[Endpoint[Any, Any], ...] = ()
    name: str
    running: bool = True
    ip: str
    fqdn: str
    size: str
    autostart: bool | None = None
    root_password: Secret
    administrator_password: Secret

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{self.size}, {self.fqdn} at {self.ip}"

    def estimate(self) -> int:
        """Returns about how many seconds the installer takes."""
        return 22 * 60

    def opaque(self, verb: Verb) -> Opaque | None:
        """Returns what the installer does by itself; only making the appliance is its act."""
        if verb in {Verb.UPDATE, Verb.DELETE}:
            return None
        return Opaque(
            "vcsa-deploy",
            ("install", "--accept-eula", "{scratch}/vcsa.json"),
            (
                f"the VM {self.name} on {self.order.host} in [{self.order.datastore}]",
                f"a vCenter {self.fqdn} at {self.ip} with its own certificate authority",
            ),
            (f"VM {self.name}",),
            program=self.sha256,
        )

    def surroundings(self, world: Reader) -> frozenset[str]:
        """Returns the VMs and port groups of the host: the installer is to make one VM there, and nothing else."""
        session = world.session(self.at)
        session.forget()
        machines = {f"VM {values['name']}" for _, values in session.objects("VirtualMachine", ("name",))}
        groups = reading.items(session, reading.PORT_GROUPS)
        return frozenset(machines | {f"port group {group.spec.name}" for group in groups})

    def read(self, world: Reader) -> ApplianceFacts | None:
        """Returns the VM that is the site's vCenter, or the foreign one of its name.

        Raises:
            Refused: if it stands on another host, or stood here and is gone.
        """
        found = _find(world, self.at, self.id, self.name)
        if found is None or found[-1] is None:
            self._nowhere_else(world)
            _not_lost(world, self.at, self.id, self.name)
        return _facts(world.session(self.at), *found) if found is not None else None

    def _nowhere_else(self, world: Reader) -> None:
        for at in self.elsewhere:
            found = _find(world, at, self.id, self.name)
            if found is None or found[-1] is None:
                continue
            here, there = world.session(self.at).name, world.session(at).name
            raise Refused(
                f"vCenter's VM {found[1]['name']} is on {there}, not on {here}",
                seen=f"the VM with the mark of {self.id} on {there}, or with its entry in the ledger there",
                why="HA, DRS or somebody moved it, or the site file names another host now; a second one is never made",
                do=f"write iaas.vcenter.on: {there}, or move it to {here} (vMotion, or unregister and register it)",
            )

    def create(self, world: Writer) -> None:
        """Installs it, or goes on with an installation that was begun."""
        install.create(world, self)

    def update(self, world: Writer, facts: ApplianceFacts, fields: frozenset[str]) -> None:
        """Switches it on, and has its host do so; gives its VM its name; proves passwords that were changed in it, and notes their versions.

        Raises:
            PaverError: if the sealed store's password is not the one that is in use.
        """
        host = world.writing(self.at)
        vm = host.ref("VirtualMachine", facts.address["vm"])
        if "running" in fields:
            host.task(vm, "PowerOnVM_Task")
        if "name" in fields:
            host.task(vm, "Rename_Task", newName=self.name)
        if "autostart" in fields:
            self.enter_autostart(host, vm)
        if "root_password" in fields:
            self._enter(world, host, vm)
        if "administrator_password" in fields:
            # Its connection logs in with what the sealed store has.
            world.session(VCENTER)
        if fields - {"running", "name", "autostart"}:
            install.mark(world, self)

    def enter_autostart(self, host: Any, vm: Any) -> None:
        """Has its host start it, where that is wished."""
        if self.autostart is not None:
            autostart.enter(host, vm, start=self.autostart, order=autostart.AFTER_OTHERS)

    def _enter(self, world: Writer, host: Any, vm: Any) -> None:
        try:
            host.guest_read(vm, "root", world.reveal(self.root_password), ROOT_CERTIFICATE)
        except VsphereFault as fault:
            if not fault.is_a("InvalidGuestLogin"):
                raise
            raise PaverError(
                f"{self.name} refuses the login of root",
                why=f"secret:{self.root_password.name} is newer than what stands there, and paver changes no "
                "password of vCenter's own accounts",
                do="change it on the appliance (`passwd`, or port 5480), then run the same command again",
            ) from fault

    def checks(self, world: Reader, facts: ApplianceFacts) -> Iterable[Check]:
        """Yields that its name resolves on the jumpbox and that it runs."""
        ran = world.session(MACHINE).probe(["getent", "ahostsv4", self.fqdn])
        # Whole words: of 10.20.0.20 another address may be the beginning.
        yield Check(f"{self.fqdn} resolves to {self.ip}", self.ip in ran.text.split(), ran.text.strip()[:80])
        yield Check("it runs", facts.running)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[ApplianceFacts]:
        """Yields the appliances on a host that bear the site's mark, or whose intent stands in its ledger."""
        names = {entry.id: entry.address["name"] for entry in ledger.read(world, at).of_kind(cls.kind)}
        for _, values, _, mark in marks.marked(world.session(at), _PATHS, site=world.site, kind=cls.kind):
            names.setdefault(mark.id, values["name"])
        for id_, name in sorted(names.items()):
            found = _find(world, at, id_, name)
            if found is not None:
                yield _facts(world.session(at), *found)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: ApplianceFacts) -> None:
        """Switches it off and deletes it with its disks, through its host."""
        host = world.writing(at)
        vm = host.ref("VirtualMachine", facts.address["vm"])
        if facts.mark is not None:
            # The VM says so itself, so that its entry can go before it does: that of a VM that is gone would stay for
            # ever.
            marks.leaving(host, vm, facts.mark)
            ledger.strike(world, at, facts.mark.id)
        if facts.running:
            host.task(vm, "PowerOffVM_Task")
        host.task(vm, "Destroy_Task")


def _find(
    world: Reader, at: Endpoint[Any, Any], id_: str, name: str
) -> tuple[Any, dict[str, Any], dict[str, str], Any] | None:
    """Returns VM, properties, extra configuration and mark: the marked VM, or the one of that name."""
    same_name = None
    for vm, values in world.session(at).objects("VirtualMachine", _PATHS):
        extra = marks.values(values["config.extraConfig"])
        mark = Mark.loads(extra.get(MARK_KEY))
        if mark is not None and mark.names(world.site, id_):
            return vm, values, extra, mark
        if values["name"] == name and mark is None:
            same_name = vm, values, extra
    if same_name is None:
        return None
    entry = ledger.read(world, at).get(id_)
    return *same_name, entry.mark(world.site) if entry is not None else None


def _not_lost(world: Reader, at: Endpoint[Any, Any], id_: str, name: str) -> None:
    """Raises `Refused` where it was finished on a host that has it no more."""
    entry = ledger.read(world, at).get(id_)
    if entry is not None and entry.complete:
        raise Refused(
            f"vCenter's VM {name} is no longer on {world.session(at).name}",
            why="it was finished there; HA or DRS may have moved it, or somebody deleted it",
            do="move it back, or name its host in iaas.vcenter.on; a second vCenter of that address is never made. "
            f"If it was deleted on purpose, take {id_} out of [datastore] {ledger.path(world.site, at)}",
        )


def _facts(session: Any, vm: Any, values: dict[str, Any], extra: dict[str, str], mark: Any) -> ApplianceFacts:
    return ApplianceFacts(
        address={"vm": vm._moId, "name": values["name"]},  # noqa: SLF001 (pyVmomi offers no other way)
        mark=mark,
        name=values["name"],
        running=str(values["runtime.powerState"]) == "poweredOn",
        ip=extra.get(install.ADDRESS),
        fqdn=extra.get(install.FQDN),
        size=extra.get(install.SIZE),
        autostart=autostart.starts(session, vm),
        root_password=extra.get(install.ROOT),
        administrator_password=extra.get(install.ADMINISTRATOR),
    )
