"""One installer at a time: what a killed run left at work is followed, also before its VM is there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import BadInput, Endpoint, Mark, ResourceId
from paver.drivers.vsphere import DRIVER, ledger
from paver.drivers.vsphere.vcsa import install, installer, template
from paver.drivers.vsphere.vcsa.appliance import Appliance
from paver.lab.standins import vcsa_iso
from paver.sitefile.load import loads
from paver.transport import job
from paver.transport.job import JobState
from tests.support.vsphere_lab import text_of

ID = ResourceId("vsphere.appliance:vcenter")
HOST: Endpoint[Any, Any] = Endpoint("host:esx-01")


class World:
    """A world whose action is `now`, with a ledger, jobs, and what was done."""

    site = "north"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, intent: ledger.Entry | None, state: str) -> None:
        self.book = ledger.Ledger(self.site, "datastore1", {ID: intent} if intent is not None else {})
        self.done: list[str] = []
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
        monkeypatch.setattr(install, "_filled", lambda *_: None)
        monkeypatch.setattr(template, "to_json", lambda _: "")

    def mark(self, *, complete: bool) -> Mark:
        return Mark(self.site, ID, "now", complete)

    def writing(self, _: object) -> Any:
        return self

    def report(self, *_: object) -> None:
        pass


def run(world: World) -> list[str]:
    wish: Any = SimpleNamespace(
        id=ID,
        at=HOST,
        name="vcsa",
        program="vcsa-deploy",
        ledger_on="datastore1",
        time_limit=1,
        order=SimpleNamespace(version=None),
        read=lambda _: None,
    )
    install.create(world, wish)  # type: ignore[arg-type] # as much of a world as it needs
    return world.done


def test_an_installer_that_has_no_vm_yet_is_followed_and_not_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    intent = ledger.Entry(id=ID, action="before", complete=False)
    world = World(monkeypatch, intent=intent, state="running")
    assert run(world) == ["install before", "mark"]


@pytest.mark.parametrize("state", ["absent", "ended", "died"])
def test_an_installer_that_is_over_and_left_no_vm_is_started_anew(
    monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    intent = ledger.Entry(id=ID, action="before", complete=False)
    done = run(World(monkeypatch, intent=intent, state=state))
    assert done[0] == "intent"
    assert done[-2:] == ["install new now", "mark"]


def test_without_an_intent_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(World(monkeypatch, intent=None, state="running"))[-2:] == ["install new now", "mark"]


class Machine:
    def listdir(self, path: str) -> tuple[str, ...]:
        return tuple(one.name for one in Path(path).iterdir())


@pytest.mark.parametrize("version", [None, "8", "8.0", "8.0.3", "8.0.3.0"])
def test_an_installer_of_the_version_that_is_wished_is_taken(tmp_path: Path, version: str | None) -> None:
    program = vcsa_iso.build_tree(tmp_path / "tree")
    installer.held_to(Machine(), str(program), version)


@pytest.mark.parametrize("version", ["9", "8.0.2", "8.0.30", "80"])
def test_an_installer_of_another_version_is_not_run(tmp_path: Path, version: str) -> None:
    program = vcsa_iso.build_tree(tmp_path / "tree")
    with pytest.raises(BadInput, match=f"not of vCenter {version}") as told:
        installer.held_to(Machine(), str(program), version)
    assert "8.0.3" in told.value.seen


def test_an_installer_that_does_not_say_its_version_is_not_run_where_one_is_wished(tmp_path: Path) -> None:
    (tmp_path / "vcsa").mkdir()
    with pytest.raises(BadInput, match="not of vCenter 8") as told:
        installer.held_to(Machine(), str(tmp_path / installer.PROGRAM), "8")
    assert "no appliance" in told.value.seen


def test_the_site_files_version_is_what_the_installer_is_held_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = ["sha256:" + ":".join([f"{number:02x}"] * 32) for number in (1, 2)]
    text = text_of(pins).replace("    on: esx-01\n", '    on: esx-01\n    version: "8.0.2"\n')
    site = loads(text, {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)
    (appliance,) = (one for one in DRIVER.pave(site).resources if isinstance(one, Appliance))
    world = World(monkeypatch, intent=None, state="absent")
    world.listdir = lambda _: ("VMware-vCenter-Server-Appliance-8.0.3.0_OVF10.ova",)  # type: ignore[attr-defined]
    wish: Any = SimpleNamespace(
        id=ID, at=HOST, read=lambda _: None, program=installer.PROGRAM, order=appliance.order
    )
    with pytest.raises(BadInput, match=r"not of vCenter 8\.0\.2"):
        install.create(world, wish)  # type: ignore[arg-type] # as much of a world as it needs
    assert world.done == []
