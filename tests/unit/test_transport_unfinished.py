"""Which tasks of a host or vCenter are waited for before the first write: those that paver may have asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import paver
from paver.transport.vsphere import new, soap_gate
from paver.transport.vsphere.unfinished import ASKED, is_ours


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


def test_every_call_of_paver_that_makes_a_task_is_among_those_that_are_waited_for() -> None:
    here = Path(paver.__file__).parent
    files = [*(here / "drivers" / "vsphere").rglob("*.py"), *(here / "transport" / "vsphere").glob("*.py")]
    told = [file for file in files if file.name not in {"unfinished.py", "soap_gate.py"}]
    named = {name for file in told for name in re.findall(r'"([A-Z]\w+_Task)"', file.read_text())}
    assert named - soap_gate.READS == ASKED
