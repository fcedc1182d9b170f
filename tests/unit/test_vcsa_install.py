"""One installer at a time: what a killed run left at work is followed, also before its VM is there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import Endpoint, Mark, ResourceId
from paver.drivers.vsphere import ledger
from paver.drivers.vsphere.vcsa import install, template
from paver.transport import job
from paver.transport.job import JobState

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
