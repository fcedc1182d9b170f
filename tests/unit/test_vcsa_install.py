"""One installer at a time: what a killed run left at work is followed, also before its VM is there."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import (
    MARK_KEY,
    BadInput,
    Endpoint,
    Mark,
    PaverError,
    Refused,
    ResourceId,
    Secret,
    Unobservable,
)
from paver.drivers.vsphere import ledger
from paver.drivers.vsphere.endpoints import MACHINE
from paver.drivers.vsphere.vcsa import appliance, install, installer, template
from paver.drivers.vsphere.vcsa.installer import PROGRAM
from paver.transport import job
from paver.transport.job import JobState
from paver.transport.shell import Ran
from tests.unit.test_vsphere_cases import ORDER

ID = ResourceId("vsphere.appliance:vcenter")
HOST: Endpoint[Any, Any] = Endpoint("host:esx-01")


END = ("starts with its host", "mark")
"""How an installation that ended well is ended: the mark comes last."""


WISH = appliance.Appliance(
    id=ID,
    phase="vcenter",
    at=HOST,
    program=f"/opt/vcsa/{PROGRAM}",
    order=ORDER,
    host_password=Secret("esx-root"),
    ledger_on="datastore1",
    time_limit=1,
    name="vcsa",
    ip="10.20.0.20",
    fqdn="vcsa.north.example",
    size="tiny",
    root_password=Secret("vcenter-root"),
    administrator_password=Secret("vcenter-administrator"),
)


class World:
    """A world whose action is `now`, with a ledger, jobs, and what was done."""

    site = "north"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, intent: ledger.Entry | None, state: str) -> None:
        self.book = ledger.Ledger(self.site, "datastore1", {ID: intent} if intent is not None else {})
        self.done: list[str] = []
        self.files: dict[str, tuple[str, ...]] = {
            "/opt/vcsa/vcsa": ("VMware-vCenter-Server-Appliance-8.0.3.00100-24091160_OVF10.ova", "ovftool")
        }
        jobs = {"before": JobState(state)}
        monkeypatch.setattr(ledger, "read", lambda *_: self.book)
        monkeypatch.setattr(ledger, "note", lambda *_: self.done.append("intent"))
        monkeypatch.setattr(job, "state", lambda _, name: jobs.get(name, JobState("absent")))
        monkeypatch.setattr(job, "attach", lambda _, name: name)
        monkeypatch.setattr(job, "start_or_attach", lambda _, name, *__, **___: f"new {name}")
        monkeypatch.setattr(
            install, "_follow", lambda _, running, step: self.done.append(f"{step} {running}")
        )
        monkeypatch.setattr(install, "mark", lambda *_: self.done.append("mark"))
        monkeypatch.setattr(install, "_made", lambda *_: ("host", "vm"))
        monkeypatch.setattr(install, "_filled", lambda *_: None)
        monkeypatch.setattr(template, "to_json", lambda _: "")

    def mark(self, *, complete: bool) -> Mark:
        return Mark(self.site, ID, "now", complete)

    def writing(self, _: object) -> Any:
        return self

    def report(self, *_: object) -> None:
        pass

    def listdir(self, path: str) -> tuple[str, ...] | None:
        return self.files.get(path)


def run(world: World, version: str | None = None) -> list[str]:
    wish: Any = SimpleNamespace(
        id=ID,
        at=HOST,
        name="vcsa",
        program=f"/opt/vcsa/{PROGRAM}",
        version=version,
        ledger_on="datastore1",
        time_limit=1,
        read=lambda _: None,
        enter_autostart=lambda *_: world.done.append("starts with its host"),
    )
    install.create(world, wish)  # type: ignore[arg-type] # as much of a world as it needs
    return world.done


def test_an_installer_that_has_no_vm_yet_is_followed_and_not_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    intent = ledger.Entry(id=ID, action="before", complete=False)
    world = World(monkeypatch, intent=intent, state="running")
    assert run(world) == ["install before", *END]


@pytest.mark.parametrize("state", ["absent", "ended", "died"])
def test_an_installer_that_is_over_and_left_no_vm_is_started_anew(
    monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    intent = ledger.Entry(id=ID, action="before", complete=False)
    done = run(World(monkeypatch, intent=intent, state=state))
    assert done[0] == "intent"
    assert done[-3:] == ["install new now", *END]


@pytest.mark.parametrize("namesake", [None, "south"], ids=["nothing", "another site's"])
def test_a_vcenter_that_has_left_its_host_is_refused_and_never_made_a_second_time(
    monkeypatch: pytest.MonkeyPatch, namesake: str | None
) -> None:
    others = [] if namesake is None else [Mark(namesake, ID, "theirs", True).dumps()]
    extra = [SimpleNamespace(key=MARK_KEY, value=mark) for mark in others]
    machines = [(SimpleNamespace(_moId="1"), {"name": "vcsa", "config.extraConfig": extra}) for _ in others]
    host = SimpleNamespace(name="esx-01", objects=lambda *_: machines)
    world: Any = SimpleNamespace(site="north", session=lambda _: host)
    begun = ledger.Entry(id=ID, action="before", complete=False, address={"name": "vcsa"})
    book: dict[str, ledger.Entry] = {ID: begun}
    monkeypatch.setattr(ledger, "read", lambda *_: ledger.Ledger("north", "datastore1", book))
    assert WISH.read(world) is None, "the installer has not made it yet"
    book[ID] = dataclasses.replace(begun, complete=True)
    with pytest.raises(Refused, match="vCenter's VM vcsa is no longer on esx-01"):
        WISH.read(world)


@pytest.mark.parametrize("marked", [True, False], ids=["finished", "its first boot failed"])
def test_a_vcenter_on_another_host_than_the_site_files_is_named_and_never_made_a_second_time(
    monkeypatch: pytest.MonkeyPatch, *, marked: bool
) -> None:
    there: Endpoint[Any, Any] = Endpoint("host:esx-02")
    mark = Mark("north", ID, "before", complete=True).dumps()
    extra = [SimpleNamespace(key=MARK_KEY, value=mark)] if marked else []
    machines = [(SimpleNamespace(_moId="1"), {"name": "vcsa", "config.extraConfig": extra})]
    hosts = {
        HOST.name: SimpleNamespace(name="esx-01", objects=lambda *_: []),
        there.name: SimpleNamespace(name="esx-02", objects=lambda *_: machines),
    }
    begun = ledger.Entry(id=ID, action="before", complete=False, address={"name": "vcsa"})
    books: dict[str, dict[str, ledger.Entry]] = {HOST.name: {}, there.name: {} if marked else {ID: begun}}
    monkeypatch.setattr(ledger, "read", lambda _, at: ledger.Ledger("north", "datastore1", books[at.name]))
    world: Any = SimpleNamespace(site="north", session=lambda at: hosts[at.name])
    with pytest.raises(Refused, match="vCenter's VM vcsa is on esx-02, not on esx-01"):
        dataclasses.replace(WISH, elsewhere=(there,)).read(world)


@pytest.mark.parametrize(
    ("told", "running", "holds"),
    [
        ("10.20.0.20      STREAM vcsa.north.example\n10.20.0.20      DGRAM\n", True, [True, True]),
        ("10.20.0.20      STREAM vcsa.north.example\n", False, [True, False]),
        ("10.20.0.209     STREAM vcsa.north.example\n", True, [False, True]),
        ("110.20.0.20     STREAM vcsa.north.example\n", True, [False, True]),
        ("", True, [False, True]),
    ],
)
def test_a_vcenter_is_proven_by_its_name_that_leads_to_its_address_and_by_running(
    told: str, *, running: bool, holds: list[bool]
) -> None:
    machine = SimpleNamespace(probe=lambda _: Ran((), 0, told.encode(), b""))
    world: Any = SimpleNamespace(session=lambda _: machine)
    facts = appliance.ApplianceFacts(name="vcsa", running=running)
    assert [check.ok for check in WISH.checks(world, facts)] == holds


def test_without_an_intent_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(World(monkeypatch, intent=None, state="running"))[-3:] == ["install new now", *END]


@pytest.mark.parametrize("version", [None, "8", "8.0.3", "8.0.3.00100"])
def test_the_installer_of_the_version_that_the_site_file_names_is_run(
    monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    assert run(World(monkeypatch, intent=None, state="absent"), version)[-2:] == [*END]


@pytest.mark.parametrize("version", ["7", "8.0.2", "8.0.3.00200", "8.0.30"])
def test_the_installer_of_another_version_is_not_run(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    world = World(monkeypatch, intent=None, state="absent")
    with pytest.raises(BadInput, match=f"the installer is not that of vCenter {version}") as told:
        run(world, version)
    assert told.value.seen == "vCenter 8.0.3.00100"
    assert world.done == []


def test_what_does_not_say_its_version_is_run_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, intent=None, state="absent")
    world.files = {}
    with pytest.raises(BadInput, match="the installer is not that of vCenter 8"):
        run(world, "8")
    assert run(world)[-2:] == [*END]


@pytest.mark.parametrize(
    ("ova", "old"),
    [
        ("7.0.1.00100-17004997_OVF10.ova", True),
        ("7.0.2.00000-17694817_OVF10.ova", False),
        ("9.1.0.0.24840651_OVF10.ova", False),
    ],
)
def test_a_vcenter_whose_api_paver_cannot_ask_is_refused_before_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, ova: str, *, old: bool
) -> None:
    world = World(monkeypatch, intent=None, state="absent")
    world.files = {"/opt/vcsa/vcsa": (f"VMware-vCenter-Server-Appliance-{ova}",)}
    if not old:
        assert run(world)[-2:] == [*END]
        return
    with pytest.raises(BadInput, match=r"vCenter 7\.0\.1\.00100 is too old"):
        run(world)
    assert world.done == []


MARK = {"action": "a" * 64, "complete": True, "id": "vsphere.installer:vcenter", "site": "north"}


def unpacked(marker: bytes) -> list[Any]:
    """What is found of an installer's tree with this marker."""
    machine = SimpleNamespace(listdir=lambda _: ("tree",), read_file=lambda _: marker)
    world: Any = SimpleNamespace(session=lambda _: machine)
    return [*installer.Installer.discover(world, MACHINE)]


def test_an_installers_tree_is_known_by_its_marker() -> None:
    (found,) = unpacked(json.dumps({"mark": MARK, "sha256": "f" * 64, "size": 7, "source": "/iso"}).encode())
    assert (found.mark.id, found.source, found.size) == ("vsphere.installer:vcenter", "/iso", 7)


@pytest.mark.parametrize(
    "marker", [b"{", b"[]", b"[" * 100_000, b"{}", b'{"mark":{},"sha256":"f","size":"7","source":"/iso"}']
)
def test_a_marker_that_is_not_what_paver_wrote_is_told_and_never_taken_for_no_tree(marker: bytes) -> None:
    with pytest.raises(Unobservable, match="is not what paver wrote there") as caught:
        unpacked(marker)
    assert "remove /var/lib/paver/installers/tree" in caught.value.do


def test_an_iso_that_cannot_be_read_is_named_with_what_the_machine_said_of_it() -> None:
    """As a folder, of which only reading tells that it is none of the vendor's files."""
    said = b"sha256sum: /srv/vcsa: Is a directory\n"
    machine = SimpleNamespace(
        probe=lambda argv, **_: Ran(tuple(argv), 1, b"", said),
        exists=lambda path: path == "/srv/vcsa",
        remove=lambda *_, **__: None,
        mkdir=lambda *_: None,
    )
    world: Any = SimpleNamespace(
        session=lambda _: machine, writing=lambda _: machine, report=lambda *_: None, mark=lambda **_: None
    )
    at = ResourceId("vsphere.installer:vcenter")
    wish = installer.Installer(id=at, phase="vcenter", at=MACHINE, source="/srv/vcsa", host=HOST)
    with pytest.raises(PaverError, match="ISO /srv/vcsa can't be read on the jumpbox") as caught:
        wish.create(world)
    assert caught.value.seen == said.decode().strip()
