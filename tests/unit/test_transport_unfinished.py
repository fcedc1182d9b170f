"""Which tasks of a host or vCenter are waited for before the first write: those that paver may have asked for."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import paver
from paver.errors import Interrupted, PaverError
from paver.transport.vsphere import new, soap_gate, unfinished
from paver.transport.vsphere.faults import VsphereFault
from paver.transport.vsphere.reader import VsphereReader
from paver.transport.vsphere.unfinished import ASKED, is_ours, settle


def task(name: str, state: str, user: str | None) -> dict[str, Any]:
    reason = new("TaskReasonUser", userName=user) if user is not None else new("TaskReasonSystem")
    return {"info.name": name, "info.state": state, "info.reason": reason}


@pytest.mark.parametrize("name", ["AddHost_Task", "Destroy_Task", "PowerOnVM_Task"])
@pytest.mark.parametrize("state", ["queued", "running"])
@pytest.mark.parametrize("user", ["VSPHERE.LOCAL\\Administrator", "administrator@vsphere.local"])
def test_a_task_that_paver_may_have_asked_for_is_waited_for(name: str, state: str, user: str) -> None:
    assert is_ours(task(name, state, user), "administrator@vsphere.local")


@pytest.mark.parametrize(
    ("name", "state", "user"),
    [
        ("Destroy_Task", "success", "VSPHERE.LOCAL\\Administrator"),
        ("Destroy_Task", "error", "VSPHERE.LOCAL\\Administrator"),
        ("CloneVM_Task", "running", "VSPHERE.LOCAL\\Administrator"),
        ("Destroy_Task", "running", "VSPHERE.LOCAL\\bosh-cpi"),
        ("Destroy_Task", "running", "vpxuser"),
        ("Destroy_Task", "running", None),
    ],
)
def test_what_has_ended_and_what_others_asked_for_is_not(name: str, state: str, user: str | None) -> None:
    assert not is_ours(task(name, state, user), "administrator@vsphere.local")


def test_an_internal_task_which_has_no_name_is_not() -> None:
    assert not is_ours({"info.state": "running"}, "root")


class Server(VsphereReader):
    """Lists what is on its way, and says of each how it is, look by look; the last answer stays.

    Args:
        ways: by a task's entity, its states, or the fault that asking for it brings.
    """

    name = "vcenter"

    def __init__(self, ways: dict[str, list[str | VsphereFault]]) -> None:
        self._ways = {name: list(way) for name, way in ways.items()}

    def recent_tasks(self) -> list[Any]:
        return [
            (name, {**task("AddHost_Task", "running", "root"), "info.entityName": name})
            for name in self._ways
        ]

    def values(self, managed: Any, *paths: str, fresh: bool = False) -> dict[str, Any]:
        assert fresh
        assert paths == ("info.state",)
        way = self._ways[managed]
        now = way.pop(0) if len(way) > 1 else way[0]
        if isinstance(now, VsphereFault):
            raise now
        return {"info.state": now}


def settled(ways: dict[str, list[str | VsphereFault]], stopped: bool = False) -> list[str]:
    told: list[str] = []
    settle(Server(ways), "root", lambda: stopped, told.append)
    return told


def test_all_are_waited_for_also_one_that_fails_and_one_that_the_server_keeps_no_more() -> None:
    gone = VsphereFault("ManagedObjectNotFound", {}, ("ManagedObjectNotFound",), "read", "vcenter")
    told = settled({"a": ["queued", "running", "success"], "b": ["running", "error"], "c": ["running", gone]})
    assert told == [f"AddHost_Task of {name}, which was begun before, goes on" for name in "abc"]


def test_what_a_server_says_otherwise_is_not_taken_for_an_end() -> None:
    refused = VsphereFault("NoPermission", {}, ("NoPermission",), "read", "vcenter")
    with pytest.raises(VsphereFault, match="NoPermission"):
        settled({"a": [refused]})


def test_whoever_stops_is_told_that_the_task_goes_on_and_one_that_has_ended_is_no_matter() -> None:
    with pytest.raises(Interrupted, match="stopped waiting for AddHost_Task of b; vcenter goes on with it"):
        settled({"a": ["success"], "b": ["running"]}, stopped=True)


def test_all_together_are_waited_for_so_long_and_the_one_that_goes_on_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Three minutes a look: a's end comes before the limit, and so would b's, were it waited for as long by itself.
    passed = itertools.count(step=180)
    clock = SimpleNamespace(monotonic=lambda: float(next(passed)))
    monkeypatch.setattr(unfinished, "time", clock)
    going: list[str | VsphereFault] = ["running"] * 4
    with pytest.raises(
        PaverError, match=r"vcenter: AddHost_Task of b has not come to its end in 15 min"
    ) as told:
        settled({"a": [*going, "success"], "b": [*going, "success"]})
    assert not isinstance(told.value, Interrupted)
    assert "same account" in told.value.why


def test_every_call_of_paver_that_makes_a_task_is_among_those_that_are_waited_for() -> None:
    here = Path(paver.__file__).parent
    files = [*(here / "drivers" / "vsphere").rglob("*.py"), *(here / "transport" / "vsphere").glob("*.py")]
    told = [file for file in files if file.name not in {"unfinished.py", "soap_gate.py"}]
    named = {name for file in told for name in re.findall(r'"([A-Z]\w+_Task)"', file.read_text())}
    assert named - soap_gate.READS == ASKED
