from __future__ import annotations

import io
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paver.drivers.vsphere.vcsa import progress
from paver.drivers.vsphere.vcsa.progress import Event
from paver.lab.standins.vcsa_console import Console
from tests.support.installer import events

# The longest line comes first, as it does with the real installer: it tells the width.
HEADER = (
    "Updating log file location, copying '/tmp/vcsaCliInstaller-2025-06-04-20-02-5hpz8/vcsa-cli-installer.log' to "
    "desired location as a backup: '/var/log/paver/workflow_1749067370854/vcsa-cli-installer.log.bak'"
)
LINES = [
    HEADER,
    "[START] Start executing Task: To validate CLI options at 20:02:46",
    "Command line arguments verfied.",
    (
        "[SUCCEEDED] Successfully executed Task 'CLIOptionsValidationTask: Executing CLI options validation task' "
        "in TaskFlow 'template_validation' at 20:02:46"
    ),
    "=" * 60,
    "OVF Tool: Opening OVA source: /mnt/vcsa/VMware-vCenter-Server-Appliance-8.0.3.ova",
    "OVF Tool: Disk progress: 7%",
    "OVF Tool: Disk progress: 100%",
    "OVF Tool: Transfer Completed",
    "OVF Tool: Powering on VM: vcsa",
    (
        "VCSA Deployment Progress Report         Task: Install required RPMs for the appliance.(RUNNING 5/100)    "
        "- Setting up storage"
    ),
    (
        "VCSA Deployment Progress Report         Task: Run firstboot scripts.(RUNNING 92/100)    "
        "- Starting VMware Content Library Service..."
    ),
    "Task: Run firstboot scripts.(SUCCEEDED 100/100)    - Task has completed successfully.",
    "    Appliance Name: vcsa",
    "    System Name: vcsa.north.example",
    "    System IP: 10.20.0.20",
    "    Log in as: Administrator@vsphere.local",
    "vcsa-deploy execution successfully completed, workflow log dir: /var/log/paver/workflow_1749067370854",
]
EXPECTED = (
    Event(kind="started", stage="To validate CLI options"),
    Event(kind="done", stage="CLIOptionsValidationTask: Executing CLI options validation task"),
    Event(
        kind="transfer",
        stage="OVF Tool",
        message="Opening OVA source: /mnt/vcsa/VMware-vCenter-Server-Appliance-8.0.3.ova",
    ),
    Event(kind="transfer", stage="OVF Tool", percent=7),
    Event(kind="transfer", stage="OVF Tool", percent=100),
    Event(kind="transfer", stage="OVF Tool", message="Transfer Completed"),
    Event(kind="transfer", stage="OVF Tool", message="Powering on VM: vcsa"),
    Event(
        kind="progress",
        stage="Install required RPMs for the appliance",
        percent=5,
        message="Setting up storage",
    ),
    Event(
        kind="progress",
        stage="Run firstboot scripts",
        percent=92,
        message="Starting VMware Content Library Service",
    ),
    Event(
        kind="progress",
        stage="Run firstboot scripts",
        percent=100,
        message="Task has completed successfully.",
    ),
    Event(kind="summary", stage="Appliance Name", message="vcsa"),
    Event(kind="summary", stage="System Name", message="vcsa.north.example"),
    Event(kind="summary", stage="System IP", message="10.20.0.20"),
    Event(kind="summary", stage="Log in as", message="Administrator@vsphere.local"),
    Event(kind="ended", percent=100),
)


def _cut(lines: list[str], width: int) -> str:
    parts = [line[at : at + width] for line in lines for at in range(0, max(len(line), 1), width)]
    return "\n".join(parts) + "\n"


def test_a_run_is_read_as_events() -> None:
    assert events("\n".join(LINES)) == EXPECTED


@given(st.integers(8, 250))
@settings(max_examples=243)
def test_any_width_gives_the_same_events(width: int) -> None:
    assert events(_cut(LINES, width)) == EXPECTED


def test_the_log_gives_the_same_events_as_the_output() -> None:
    stamped = [f"2025-06-04 20:02:50,854 - vCSACliInstallLogger - INFO - {line}" for line in LINES]
    assert events("\n".join(stamped)) == EXPECTED


@given(st.integers(8, 250), st.lists(st.integers(0, 5000), max_size=30))
@settings(max_examples=150)
def test_however_the_text_arrives_each_event_is_told_once(width: int, cuts: list[int]) -> None:
    text = _cut(LINES, width)
    places = sorted({0, *(min(cut, len(text)) for cut in cuts), len(text)})
    follower = progress.Follower()
    told: list[Event] = []
    for start, end in itertools.pairwise(places):
        told += follower.feed(text[start:end])
    told += follower.end()
    assert [(event.kind, event.stage, event.percent) for event in told] == [
        (event.kind, event.stage, event.percent) for event in EXPECTED
    ]


_NOISE = st.lists(
    st.sampled_from(
        [*LINES[1:], "", "Monitoring VCSA Deploy task completed", "Domain join task not applicable."]
    )
    .filter(
        lambda line: not line.startswith(("    ", "vcsa-deploy", "OVF Tool: P", "OVF Tool: T", "OVF Tool: O"))
    )
    .filter(lambda line: "Setting up" not in line and "SUCCEEDED 100" not in line),
    max_size=15,
)


@given(_NOISE, st.integers(20, 250))
@settings(max_examples=200)
def test_lines_that_mean_nothing_change_no_event_at_any_width(lines: list[str], width: int) -> None:
    assert events(_cut([HEADER, *lines], width)) == events("\n".join([HEADER, *lines]))


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    follower = progress.Follower()
    told = [event for one in text for event in follower.feed(one)] + [*follower.end()]
    assert [event.kind for event in told] == [event.kind for event in events(text)]


@pytest.mark.parametrize("width", [20, 80, 200])
def test_a_failure_is_told_with_its_task_and_reason(tmp_path: Path, width: int) -> None:
    out = io.StringIO()
    console = Console(tmp_path, out, width=width)
    console.say(HEADER)
    console.start("To check the target ESXi")
    console.failed("PrecheckTask: Running prechecks")
    console.error("com.vmware.applmgmt.err_ntp_sync_failed: 10.20.0.10")
    console.say("=" * 40)
    console.say("vcsa-deploy execution failed, workflow log dir: /x")
    console.close()
    expected = progress.Failure(
        stage="PrecheckTask: Running prechecks",
        reason="com.vmware.applmgmt.err_ntp_sync_failed: 10.20.0.10",
    )
    assert progress.failure(events(out.getvalue())) == expected
    log = (console.folder / "vcsa-cli-installer.log").read_text()
    assert progress.failure(events(log)) == expected


def test_a_run_that_says_no_end_has_none() -> None:
    assert progress.failure(events("\n".join(LINES[:-1]))) is None
