"""Making, changing and removing the jumpbox's VM.

The VM is born with its mark and its first-boot data; `paver.uploaded` says that its disks are whole, and the
mark is complete once the machine has published its host keys. Killed in between, the next run goes on there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paver.driver import MARK_KEY, BadInput, Endpoint, Interrupted, PaverError, Refused, Unobservable, Writer
from paver.drivers.vsphere import marks
from paver.drivers.vsphere.endpoints import FILES, MACHINE
from paver.drivers.vsphere.host import autostart, reading
from paver.drivers.vsphere.jumpbox import facts, first_boot, image
from paver.machine.brought import arriving
from paver.ovf import data_disk, shares
from paver.ovf.data_disk import DataDisk
from paver.ovf.ova import Ova, Verified
from paver.transport.vsphere import new, nfc
from paver.transport.vsphere.faults import VsphereFault

if TYPE_CHECKING:
    from paver.drivers.vsphere.jumpbox.facts import Found, JumpboxFacts
    from paver.drivers.vsphere.jumpbox.machine import Jumpbox

_LEASE_ENDS = 330
"""Seconds after which a host has ended the lease of an upload that nobody goes on with (300, and some)."""

_SHUTDOWN = 180
"""Seconds that the guest may take to shut down before it is switched off."""


def create(world: Writer, wish: Jumpbox) -> None:
    """Deploys the image and waits until the machine answers."""
    session = world.writing(wish.at)
    found = facts.find(session, site=world.site, id_=wish.id)
    if found is not None and not found.uploaded:
        world.report("removing an upload that was cut")
        _remove(world, session, found)
        found = None
    if found is not None and not _begun_for(world, wish, found):
        # It never came to its end, perhaps because of what is corrected now: it would be waited for in vain.
        world.report("removing a machine that was begun with another image or other first-boot data")
        _remove(world, session, found)
        found = None
    if found is None:
        _deploy(world, session, wish)
        found = _mine(world, session, wish)
    _finish(world, session, wish, found, _grown(wish, found))


def _begun_for(world: Writer, wish: Jumpbox, found: Found) -> bool:
    told = {image.KEY: wish.image or "", **first_boot.guestinfo(wish.first_boot(world.site))}
    return all(found.extra.get(key) == value for key, value in told.items())


def change(world: Writer, wish: Jumpbox, seen: JumpboxFacts, fields: frozenset[str]) -> None:
    """Changes what can change in place, and completes the mark."""
    session = world.writing(wish.at)
    vm = session.ref("VirtualMachine", seen.address["vm"])
    found = next(
        one
        for one in [facts.find(session, site=world.site, id_=wish.id, name=wish.name)]
        if one is not None and one.vm._moId == vm._moId  # noqa: SLF001 (pyVmomi offers no other way)
    )
    if "name" in fields:
        session.task(vm, "Rename_Task", newName=wish.name)
    if "keys" in fields:
        _let_in(world, session, wish, vm)
    # What the disk refuses, it refuses before the machine is shut down for anything else.
    disk = _grown(wish, found)
    if fields & {"cpus", "memory_mb"} and found.running:
        _shut_down(world, session, vm)
    _finish(world, session, wish, found, disk)


def _let_in(world: Writer, session: Any, wish: Jumpbox, vm: Any) -> None:
    """Replaces the keys of those who may log in; the VM says so afterwards, as its first boot would have."""
    text = "".join(f"{key}\n" for key in wish.keys or ())
    machine = world.writing(MACHINE)
    path = f"/home/{wish.user}/.ssh/authorized_keys"
    machine.write_file(path, text.encode(), 0o600, f"{wish.user}:{wish.user}")
    told = first_boot.guestinfo(wish.first_boot(world.site))
    session.task(vm, "ReconfigVM_Task", spec=marks.spec(told))


def destroy(world: Writer, at: Endpoint[Any, Any], seen: JumpboxFacts) -> None:
    """Switches the VM off and deletes it with its disks."""
    session = world.writing(at)
    id_ = seen.mark.id if seen.mark is not None else ""
    found = facts.find(session, site=world.site, id_=id_)
    if found is None:
        return
    if seen.mark is not None and seen.mark.complete:
        marks.leaving(session, found.vm, seen.mark)
    _remove(world, session, found)


def _mine(world: Writer, session: Any, wish: Jumpbox) -> Found:
    found = facts.find(session, site=world.site, id_=wish.id)
    if found is None:
        raise PaverError(f"{wish.name} is not there after it was deployed", do="run the same command again")
    return found


# Deploying --------------------------------------------------------------------------------------------------


def _deploy(world: Writer, session: Any, wish: Jumpbox) -> None:
    path = world.session(FILES).path(wish.path)
    if image.digest(path) != wish.image:
        raise Refused(
            f"the image {wish.path} is not the one that was planned",
            why="its manifest changed after the plan was made",
            do="make a new plan",
        )
    with Ova(path) as ova:
        world.report("verifying the image")
        verified = ova.verify()
        data = data_disk.of(ova.descriptor, wish.path)
        datastore = _room(session, wish, verified)
        network = _network(session, wish)
        networks = {wanted.name: network for wanted in ova.descriptor.networks}
        # By way of their owners: a host that is in a cluster shows the cluster's pools as well.
        pool = session.one("ComputeResource", ("resourcePool",))[1]["resourcePool"]
        folder = session.one("Datacenter", ("vmFolder",))[1]["vmFolder"]
        text = shares.without(data_disk.literal(ova.descriptor))
        spec = nfc.import_spec(session, text, pool, datastore, name=wish.name, networks=networks)
        _dress(spec.importSpec.configSpec, world, wish)
        if data is not None:
            disk = _placed(spec.importSpec.configSpec, data, wish)
            _resize(disk, wish.disk_gb or disk.capacityInKB // 2**20)
        sources = {
            file.name: nfc.Source(
                lambda name=file.name: ova.member(name),  # type: ignore[misc]
                file.size,
                file.digests.get("sha1"),
            )
            for file in verified.files
        }

        untold: list[str] = []
        progress = arriving.progress(world, "uploading the image")
        vm = nfc.import_vapp(session, pool, folder, None, spec, sources, progress, untold.append)
    told = {facts.UPLOADED: "true", **_disks(session, vm)}
    if untold:
        told[facts.UNTOLD] = untold[0]
    session.task(vm, "ReconfigVM_Task", spec=marks.spec(told))


def _dress(spec: Any, world: Writer, wish: Jumpbox) -> None:
    """Puts mark, first-boot data, size and the card's address into what is to be imported."""
    born = {
        MARK_KEY: world.mark(complete=False).dumps(),
        image.KEY: wish.image or "",
        **first_boot.guestinfo(wish.first_boot(world.site)),
    }
    spec.extraConfig = [*(spec.extraConfig or ()), *marks.options(born)]
    spec.numCPUs = wish.cpus
    spec.memoryMB = wish.memory_mb
    operations = spec.powerOpInfo
    for name in ("powerOffType", "suspendType", "resetType"):
        # Some exporters write "default" there, which hosts refuse with a word about the NFC lease.
        if operations is not None and getattr(operations, name, None) == "default":
            setattr(operations, name, "preset")
    cards = facts.cards([change.device for change in spec.deviceChange or ()])
    if not cards:
        raise BadInput(f"the image {wish.path} has no network card", do="use an image with one")
    cards[0].addressType = "manual"
    cards[0].macAddress = first_boot.mac_of(world.site, wish.id)


def _placed(spec: Any, data: DataDisk, wish: Jumpbox) -> Any:
    """Returns the data disk, which is empty and not uploaded, in what is to be imported."""
    found = facts.disks([change.device for change in spec.deviceChange or ()])
    there = [disk for disk in found if disk.unitNumber == data.unit]
    if len(found) != 2 or len(there) != 1:
        raise PaverError(
            f"the host does not make the disks of the image {wish.path} as it describes them",
            seen=f"disks of the units {', '.join(str(disk.unitNumber) for disk in found) or 'none'}",
            why=f"it describes two, of which that of unit {data.unit} is empty",
            do="report it, with the host's version",
        )
    return there[0]


def _disks(session: Any, vm: Any) -> dict[str, str]:
    """Returns what is to be written on a VM of the disks that it has now."""
    found = facts.identities(session.value(vm, "config.hardware.device", fresh=True) or [])
    return {facts.DISKS: found} if found else {}


def _resize(disk: Any, size_gb: int) -> None:
    disk.capacityInKB = size_gb * 2**20
    disk.capacityInBytes = size_gb * 2**30


def _room(session: Any, wish: Jumpbox, verified: Verified) -> Any:
    """Returns the datastore, if what is populated of the disks fits, a fifth more, and the swap file that it starts with."""
    name = reading.datastore(session, wish.datastore or "")
    free = next(
        (
            (ref, values["summary.freeSpace"])
            for ref, values in session.objects("Datastore", ("name", "summary.freeSpace"))
            if values["name"] == name
        ),
        None,
    )
    if free is None:
        raise Refused(f"{session.name} has no datastore {wish.datastore}", do="make a new plan")
    # An empty disk takes nothing yet.
    populated = sum(disk.populated or disk.capacity for disk in verified.descriptor.disks if disk.file)
    wanted = max(populated, sum(file.size for file in verified.files)) * 6 // 5
    wanted += (wish.memory_mb or 0) * 2**20
    if free[1] is not None and free[1] < wanted:
        raise Refused(
            f"{session.name}: [{name}] is too full for {wish.name}",
            seen=f"{_mb(free[1])} free, about {_mb(wanted)} wanted",
            do="free space on it, or name another one under jumpbox.datastore",
        )
    return free[0]


def _mb(size: int) -> str:
    return f"{math.ceil(size / 10**6)} MB"


def _network(session: Any, wish: Jumpbox) -> Any:
    found = {session.value(ref, "name"): ref for ref in reading.items(session, "network")}
    if wish.port_group not in found:
        raise Refused(
            f"{session.name} has no port group {wish.port_group}",
            seen=", ".join(sorted(found)),
            do="make a new plan",
        )
    return found[wish.port_group]


# Bringing it to its end -------------------------------------------------------------------------------------


def _finish(world: Writer, session: Any, wish: Jumpbox, found: Found, disk: Any) -> None:
    spec = marks.spec({})
    if wish.cpus is not None and wish.cpus != found.details["config.hardware.numCPU"]:
        spec.numCPUs = wish.cpus
    if wish.memory_mb is not None and wish.memory_mb != found.details["config.hardware.memoryMB"]:
        spec.memoryMB = wish.memory_mb
    if disk is not None:
        spec.deviceChange = [disk]
    if spec.numCPUs or spec.memoryMB or spec.deviceChange:
        session.task(found.vm, "ReconfigVM_Task", spec=spec)
    if wish.autostart is not None:
        autostart.enter(session, found.vm, start=wish.autostart, order=autostart.FIRST)
    state = session.value(found.vm, "runtime.powerState", fresh=True)
    if wish.running and str(state) != "poweredOn":
        session.task(found.vm, "PowerOnVM_Task")
    if wish.running:
        _await(world, session, wish, found.vm)
    done = {MARK_KEY: world.mark(complete=True).dumps()}
    if not facts.own_disks(found):
        done |= _disks(session, found.vm)
    session.task(found.vm, "ReconfigVM_Task", spec=marks.spec(done))


def demand_room(name: str, there: int, wished: int) -> None:
    """Does nothing if a disk of `there` GiB may become one of `wished`.

    Raises:
        Refused: if it would have to become smaller.
    """
    if there > wished:
        raise Refused(
            f"{name}: a disk of {there} GiB cannot shrink to {wished}",
            do="set jumpbox.disk_gb to what is there, or more",
        )


def _grown(wish: Jumpbox, found: Found) -> Any:
    if wish.disk_gb is None or not facts.own_disks(found):
        return None
    disk = facts.state_disk(found)
    if disk is None:
        _require_own(found)
        raise Refused(
            f"{wish.name} has not the disk with its state any more",
            seen=_named(facts.disks(found.devices)) or "no disk",
            why=f"none of them has the UUID {facts.own_disks(found)[-1]} of the one that it was deployed with",
            do=f"attach that one to the VM again, then run the same command again; if it is lost, {wish.name} is "
            "lost with it: delete the VM on its host, and apply makes another",
        )
    if disk.capacityInKB // 2**20 == wish.disk_gb:
        return None
    demand_room(wish.name, disk.capacityInKB // 2**20, wish.disk_gb)
    if getattr(disk.backing, "parent", None) is not None:
        raise Refused(
            f"{wish.name} has a snapshot, and its disk cannot grow",
            why="vSphere enlarges no disk that has a parent",
            do="delete the VM's snapshots, then run the same command again",
        )
    _resize(disk, wish.disk_gb)
    return new("VirtualDeviceConfigSpec", operation="edit", device=disk)


def _await(world: Writer, session: Any, wish: Jumpbox, vm: Any) -> None:
    began = time.monotonic()

    def look(seen: Mapping[str, Any]) -> None:
        if world.stopping():
            raise Interrupted(
                f"stopped while {wish.name} boots", do="run the same command again: it goes on there"
            )
        power = str(seen["runtime.powerState"])
        if power != "poweredOn":
            raise _OffError(
                f"{wish.name} is {power} while it was to boot",
                why="it went off by itself, somebody did it, or its host could not run it on",
                do=f"look at the console and the events of {wish.name} on {session.name}, then run the same command again",
            )
        world.report("waiting for the first boot", int(time.monotonic() - began), wish.patience, "s")

    try:
        session.wait(
            vm,
            ("config.extraConfig", "runtime.powerState", "guest.toolsRunningStatus", "guest.ipAddress"),
            lambda seen: facts.host_keys(marks.values(seen["config.extraConfig"])) is not None,
            timeout=wish.patience,
            doing=f"the host keys of {wish.name}",
            on_look=look,
        )
    except (Interrupted, Unobservable, VsphereFault, _OffError):
        raise
    except PaverError as error:
        raise _silent(session, wish, vm) from error


class _OffError(PaverError):
    """The machine is off, and so will not boot however long it is waited for."""


def _silent(session: Any, wish: Jumpbox, vm: Any) -> PaverError:
    seen = session.values(vm, "guest.toolsRunningStatus", "guest.ipAddress", fresh=True)
    tools = str(seen["guest.toolsRunningStatus"] or "guestToolsNotRunning")
    if tools == "guestToolsNotRunning":
        why = "its guest never started: the image does not boot here, or lacks open-vm-tools"
    elif not seen["guest.ipAddress"]:
        why = "its guest runs, but has no address: cloud-init did not take the first-boot data"
    else:
        why = "its guest runs and has an address: the image does not publish its host keys"
    return PaverError(
        f"{wish.name} did not publish its host keys within {wish.patience} s",
        seen=f"tools {tools}, address {seen['guest.ipAddress'] or 'none'}",
        why=why,
        do=f"look at the console of {wish.name} on {session.name}, then run the same command again",
    )


# Removing ---------------------------------------------------------------------------------------------------


def _shut_down(world: Writer, session: Any, vm: Any) -> None:
    """Shuts the guest down; switches it off if its tools do not run or it takes too long."""
    world.report("shutting down")
    try:
        session.call(vm, "ShutdownGuest")
        session.wait(
            vm,
            ("runtime.powerState",),
            lambda seen: str(seen["runtime.powerState"]) == "poweredOff",
            timeout=_SHUTDOWN,
            doing="the shutdown",
        )
    except PaverError:
        if str(session.value(vm, "runtime.powerState", fresh=True)) != "poweredOff":
            session.task(vm, "PowerOffVM_Task")


def _remove(world: Writer, session: Any, found: Found) -> None:
    foreign = _detachable(found)
    if found.running:
        session.task(found.vm, "PowerOffVM_Task")
    _let_go(world, session, found, foreign)
    end = time.monotonic() + _LEASE_ENDS
    while True:
        try:
            session.task(found.vm, "Destroy_Task")
        except VsphereFault as fault:
            if fault.is_a("ManagedObjectNotFound"):
                return
            # The upload of a killed run holds its VM until the host ends the lease, which takes the VM along.
            if not (fault.is_a("InvalidState") or fault.is_a("TaskInProgress")) or time.monotonic() > end:
                raise
            world.report("waiting for the host to end a broken upload")
            if world.stopping():
                raise Interrupted("stopped while a broken upload is taken back") from fault
            time.sleep(2)
        else:
            return


def _detachable(found: Found) -> list[Any]:
    """Returns the disks that somebody attached besides.

    Raises:
        Refused: they cannot be told from its own, or not be detached; the machine still runs.
    """
    foreign = facts.foreign_disks(found)
    if foreign:
        _require_own(found)
    if any(getattr(disk.backing, "parent", None) is not None for disk in foreign):
        raise Refused(
            f"{found.name} has a snapshot, and a disk that is not its own",
            seen=_named(foreign),
            why="deleted with the VM it would be lost, and vSphere detaches no disk that is part of a snapshot",
            do="delete the VM's snapshots, then run the same command again",
        )
    return foreign


def _let_go(world: Writer, session: Any, found: Found, foreign: list[Any]) -> None:
    """Detaches disks, whose files stay: a host deletes every disk that a VM has with it."""
    for disk in foreign:
        world.report(f"detaching {disk.backing.fileName}, which is not its own")
    if foreign:
        spec = marks.spec({})
        spec.deviceChange = [
            new("VirtualDeviceConfigSpec", operation="remove", device=disk) for disk in foreign
        ]
        session.task(found.vm, "ReconfigVM_Task", spec=spec)


def _require_own(found: Found) -> None:
    """Refuses to go on with a VM none of whose disks is one that it came with: a copy's have other UUIDs."""
    there = facts.disks(found.devices)
    if there and len(facts.foreign_disks(found)) == len(there):
        raise Refused(
            f"{found.name} has none of the disks that it was deployed with",
            seen=_named(there),
            why="it was restored or cloned, which gives disks other UUIDs, or somebody exchanged them all",
            do=f"if they are its own, empty {facts.DISKS} in the VM's advanced parameters, then `paver apply` notes them",
        )


def _named(disks: list[Any]) -> str:
    return ", ".join(str(disk.backing.fileName) for disk in disks)
