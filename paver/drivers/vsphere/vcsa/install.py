"""Running the installer: verify, precheck, install, each as a job; then the mark on the VM.

The template with its passwords is on the jumpbox's tmpfs only as long as a job runs. The installer would ask
where something is open, and wait for ever: it gets nothing to read and a time limit.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from paver.driver import MARK_KEY, Interrupted, PaverError, Writer
from paver.drivers.vsphere import ledger, marks
from paver.drivers.vsphere.endpoints import MACHINE
from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.vcsa import progress, release, template
from paver.transport import job

if TYPE_CHECKING:
    from paver.drivers.vsphere.vcsa.appliance import Appliance, ApplianceFacts

ADDRESS, FQDN, SIZE = "paver.address", "paver.fqdn", "paver.size"
ROOT, ADMINISTRATOR = "paver.version.root", "paver.version.administrator"
"""What stands on the VM beside its mark: what it was told, and the versions of its passwords."""

STALL_LIMIT = 3600
CHECK_LIMIT = 1800
"""The two checks look names up, and a reverse look-up that fails takes up to 15 minutes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """What the installer is told beside name, address, size and passwords."""

    host: str
    user: str
    port_group: str
    datastore: str
    thin: bool
    prefix: int
    gateway: str
    dns: tuple[str, ...]
    ntp: tuple[str, ...]
    ssh: bool
    sso_domain: str


def create(world: Writer, wish: Appliance) -> None:
    """Installs the appliance of `wish`, or goes on with an installation that was begun.

    Raises:
        BadInput: if it is the installer of another vCenter than may be.
        PaverError: with the stage and the installer's own words, if it fails.
        Interrupted: if the user stopped following; the installer goes on.
    """
    machine = world.writing(MACHINE)
    action = world.mark(complete=False).action
    found: ApplianceFacts | None = wish.read(world)
    begun = _begun(world, wish, found) or action
    running = job.state(machine, begun)
    at_work = running.state == "running"
    if found is not None and not (at_work or running.ok):
        world.report("deleting what an installation that failed left behind")
        type(wish).delete(world, wish.at, found)
        found = None
    if found is None and not at_work:
        release.demand(machine, wish.program, wish.version)
        intent = ledger.Entry(id=wish.id, action=action, complete=False, address={"name": wish.name})
        ledger.note(world, wish.at, intent, wish.ledger_on)
        text = template.to_json(_filled(world, wish)).encode()
        for step in ("--verify-template-only", "--precheck-only"):
            _step(world, wish, f"{action}{step[1:]}", step, text)
        _install(world, wish, action, text)
    else:
        _follow(world, job.attach(machine, begun), "install")
    wish.enter_autostart(*_made(world, wish))
    mark(world, wish)


def _begun(world: Writer, wish: Appliance, found: ApplianceFacts | None) -> str | None:
    """Returns the action that began the installation, None if none did.

    Before the installer has made its VM, only the intent in the ledger says so: a later run's action has another id,
    and would start a second installer beside the one that a killed run left at work.
    """
    if found is not None:
        return found.mark.action if found.mark is not None else None
    intent = ledger.read(world, wish.at).get(wish.id)
    return intent.action if intent is not None and not intent.complete else None


def _filled(world: Writer, wish: Appliance) -> template.Appliance:
    order = wish.order
    return template.Appliance(
        host=order.host,
        user=order.user,
        password=world.reveal(wish.host_password),
        thumbprint=template.thumbprint(_certificate(world, wish)),
        port_group=order.port_group,
        # An earlier vCenter may have renamed it.
        datastore=reading.datastore(world.session(wish.at), order.datastore) or order.datastore,
        name=wish.name,
        size=wish.size,
        thin=order.thin,
        address=wish.ip,
        prefix=order.prefix,
        gateway=order.gateway,
        dns=order.dns,
        fqdn=wish.fqdn,
        ntp=order.ntp,
        root_password=world.reveal(wish.root_password),
        ssh=order.ssh,
        sso_password=world.reveal(wish.administrator_password),
        sso_domain=order.sso_domain,
    )


def _certificate(world: Writer, wish: Appliance) -> bytes:
    """Returns the certificate (DER) that the host shows on a connection that was verified."""
    connection = world.session(wish.at).link.route.https()
    connection.connect()
    try:
        shown: bytes = connection.sock.getpeercert(binary_form=True)
    finally:
        connection.close()
    return shown


def _step(world: Writer, wish: Appliance, name: str, step: str, text: bytes) -> None:
    world.report(f"vcsa-deploy {step}")
    _follow(world, _started(world, wish, name, text, CHECK_LIMIT, step), step)


def _install(world: Writer, wish: Appliance, name: str, text: bytes) -> None:
    _follow(world, _started(world, wish, name, text, wish.time_limit), "install")


def _started(world: Writer, wish: Appliance, name: str, text: bytes, limit: int, *more: str) -> job.Job:
    argv = [wish.program, "install", "--accept-eula", *more, "--log-dir", f"/var/lib/paver/logs/{name}"]
    return job.start_or_attach(
        world.writing(MACHINE),
        name,
        [*argv, "{scratch}/vcsa.json"],
        {"LANG": "en_US.UTF-8", "LC_ALL": "C.UTF-8"},
        time_limit=limit,
        stall_limit=STALL_LIMIT,
        scratch={"vcsa.json": text},
    )


def _follow(world: Writer, running: job.Job, step: str) -> None:
    follower = progress.Follower()
    told: list[progress.Event] = []
    last: list[str] = []

    def heard(events: tuple[progress.Event, ...]) -> None:
        for event in events:
            told.append(event)
            percent = event.percent or 0
            text = " · ".join(part for part in (event.stage, event.message) if part)
            if text:
                world.report(f"{step}: {text}", percent, 100 if event.percent is not None else 0, "%")

    def line(text: str) -> None:
        last.append(text)
        del last[:-15]
        heard(follower.feed(text + "\n"))

    end = running.follow(line, stop=world.stopping)
    if end.state == "running":
        raise Interrupted("stopped following vcsa-deploy; it goes on, and the same command finds it again")
    heard(follower.end())
    if not end.ok:
        failure = progress.failure(told)
        stage = f" at {failure.stage!r}" if failure is not None and failure.stage else ""
        raise PaverError(
            f"vcsa-deploy failed{stage} ({step})",
            seen="\n".join(last),
            why=failure.reason if failure is not None else end.reason,
            do="mend what it says, then run the same command again: what it left behind is deleted first",
        )


def _made(world: Writer, wish: Appliance) -> tuple[Any, Any]:
    """Returns the host's session and the VM."""
    host = world.writing(wish.at)
    host.forget()
    found = wish.read(world)
    if found is None:
        raise PaverError(f"vcsa-deploy ended well, and there is no VM {wish.name} on {wish.order.host}")
    return host, host.ref("VirtualMachine", found.address["vm"])


def mark(world: Writer, wish: Appliance) -> None:
    """Marks the VM as ours and complete, last of all."""
    host, vm = _made(world, wish)
    done = world.mark(complete=True)
    settings = {
        MARK_KEY: done.dumps(),
        ADDRESS: wish.ip,
        FQDN: wish.fqdn,
        SIZE: wish.size,
        ROOT: world.version(wish.root_password) or "",
        ADMINISTRATOR: world.version(wish.administrator_password) or "",
    }
    host.task(vm, "ReconfigVM_Task", spec=marks.spec(settings))
    ledger.note(
        world,
        wish.at,
        ledger.Entry(id=wish.id, action=done.action, complete=True, address={"name": wish.name}),
        wish.ledger_on,
    )
