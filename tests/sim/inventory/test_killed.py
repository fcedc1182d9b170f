"""Wherever phase `inventory` is killed, the next run ends the same."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.drivers.vsphere.inventory.cluster_host import ClusterHost
from paver.engine.resource import Gate
from paver.lab import control
from paver.transport.vsphere.reader import VsphereReader
from tests.support.inventory import (
    EXCLUDED,
    but_actions,
    in_two_zones,
    state,
)
from tests.support.vcenter_lab import FQDN, InventoryRun, VCenter
from tests.support.vsphere_lab import pending

pytestmark = pytest.mark.lab


@dataclasses.dataclass
class Deaths:
    """Ends a run before a write of this number leaves, as a killed paver would; of some calls' writes where they are named."""

    at: int
    of: frozenset[str] | None = None
    seen: int = 0

    def gate(self, inner: Gate) -> Gate:
        def gate(call: str, target: str = "", detail: Any = None) -> None:
            self.seen += self.of is None or call in self.of
            if self.seen == self.at:
                raise KeyboardInterrupt
            inner(call, target, detail)

        return gate


class Mortal:
    """A connector whose writing faces die."""

    def __init__(self, inner: Any, deaths: Deaths) -> None:
        self._inner, self._deaths = inner, deaths

    def connect(self, context: Any) -> Any:
        connection, deaths = self._inner.connect(context), self._deaths

        class Connection:
            reader, forget, close = connection.reader, connection.forget, connection.close

            def writer(self, gate: Gate) -> Any:
                return connection.writer(deaths.gate(gate))

        return Connection()


def test_wherever_it_is_killed_the_next_run_ends_the_same(run: InventoryRun, there: VCenter) -> None:
    for machine_of, name in EXCLUDED.items():
        run.place(machine_of, name)
    start = there.inventory()
    run.fine()
    made = but_actions(there.inventory())
    run.fine("destroy")
    writes, at = 10**6, 1
    while at < writes:
        deaths = Deaths(at)
        ends = {name: Mortal(run.paved().connectors[name], deaths) for name in ("vcenter", "vcenter-sso")}
        run.connectors = dict(ends)
        failed = run.apply().failed
        run.connectors = {}
        assert failed or deaths.seen < at
        run.fine()
        assert pending(run.plan()) == {}
        assert but_actions(there.inventory()) == made

        deaths = Deaths(at)
        run.connectors = {
            name: Mortal(run.paved().connectors[name], deaths) for name in ("vcenter", "vcenter-sso")
        }
        run.apply("destroy")
        run.connectors = {}
        run.fine("destroy")
        assert there.inventory() == start
        writes = deaths.seen if deaths.seen < at else writes
        at += 17


def test_a_destroy_that_dies_between_the_parts_of_a_thing_goes_on_by_the_same_plan(
    there: VCenter, tmp_path: Path
) -> None:
    """What lies on the datastores of several hosts goes from one after the other: then it is not what was planned."""
    run = InventoryRun(in_two_zones(there, tmp_path), there, tmp_path)
    bare = state(there.hosts)
    run.fine()
    planned = run.plan("destroy")
    died = 0
    while True:
        deaths = Deaths(2, of=frozenset({"DeleteDatastoreFile_Task", "RemoveEntityPermission"}))
        run.connectors = {"vcenter": Mortal(run.paved().connectors["vcenter"], deaths)}
        failed = run.act(planned).failed
        run.connectors = {}
        if deaths.seen < deaths.at:
            break
        assert [type(error) for _, error in failed] == [KeyboardInterrupt]
        died += 1
    assert not failed
    assert died >= 3, "of both kinds some have two parts"
    assert state(there.hosts) == bare


@contextlib.contextmanager
def dying_after(call: str) -> Iterator[None]:
    """Has a run die once it has asked for a task of this name, as a killed paver would: nobody sees the task's end."""
    finished = VsphereReader._finished

    def died(self: VsphereReader, task: Any, method: str, *more: Any) -> Any:
        if method == call:
            raise KeyboardInterrupt
        return finished(self, task, method, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VsphereReader, "_finished", died)
        yield


@contextlib.contextmanager
def held(there: VCenter, call: str) -> Iterator[list[str]]:
    """Has vCenter's next task of this name change nothing before somebody has asked for the recent tasks; yields those asked for."""
    control.call(there.control, "POST", "/fault", {"server": FQDN, "method": call, "task_ms": 600_000})
    recent, seen = VsphereReader.recent_tasks, list[str]()

    def asked(self: VsphereReader) -> list[Any]:
        found = recent(self)
        running = [values["info.name"] for _, values in found if values["info.state"] == "running"]
        if running:
            seen.extend(running)
            # Whoever asked takes it up in the meantime.
            threading.Timer(0.5, control.call, (there.control, "DELETE", "/faults")).start()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VsphereReader, "recent_tasks", asked)
        yield seen


def test_a_host_that_vcenter_adds_still_for_a_run_that_was_killed_is_waited_for_and_added_once(
    run: InventoryRun, there: VCenter
) -> None:
    with held(there, "AddHost_Task") as waited:
        with dying_after("AddHost_Task"):
            assert run.apply().failed
        run.fine()
    assert waited == ["AddHost_Task"]
    assert pending(run.plan()) == {}
    wished = [one for one in run.paved().resources if isinstance(one, ClusterHost)]
    assert there.writes().count("AddHost_Task") == len(wished) > 1


def test_what_vcenter_removes_still_for_a_run_that_was_killed_does_not_count_as_made(
    run: InventoryRun, there: VCenter
) -> None:
    run.fine()
    made = but_actions(there.inventory())
    with held(there, "Destroy_Task") as waited:
        with dying_after("Destroy_Task"):
            assert run.apply("destroy").failed
        run.fine()
    assert waited == ["Destroy_Task"]
    assert pending(run.plan()) == {}
    assert but_actions(there.inventory()) == made
