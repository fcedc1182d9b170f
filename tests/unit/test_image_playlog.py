"""What Packer and Ansible print is read as what happened: recorded lines of both."""

from __future__ import annotations

from paver.image.playlog import PlayLog

GOOD = """\
==> qemu.jumpbox: Waiting for SSH to become available...
==> qemu.jumpbox: Connected to SSH!
==> qemu.jumpbox: Provisioning with Ansible...
    qemu.jumpbox: PLAY [The jumpbox] *************************************************************
    qemu.jumpbox:
    qemu.jumpbox: TASK [system : Keep the journal in bounds, speak UTF-8] ************************
    qemu.jumpbox: changed: [default]
    qemu.jumpbox:
    qemu.jumpbox: RUNNING HANDLER [system : Read it] ************************
    qemu.jumpbox: changed: [default] => (item=one)
    qemu.jumpbox: changed: [default] => (item=two)
    qemu.jumpbox:
    qemu.jumpbox: PLAY RECAP *********************************************************************
    qemu.jumpbox: default                    : ok=2    changed=2    unreachable=0    failed=0    skipped=0
==> qemu.jumpbox: Provisioning with Ansible...
    qemu.jumpbox: TASK [system : Keep the journal in bounds, speak UTF-8] ************************
    qemu.jumpbox: ok: [default]
    qemu.jumpbox: PLAY RECAP *********************************************************************
    qemu.jumpbox: default                    : ok=2    changed=0    unreachable=0    failed=0    skipped=0
"""
FAILED = """\
    qemu.jumpbox: TASK [r : Do a thing] **********************************************************
    qemu.jumpbox: changed: [default]
    qemu.jumpbox: TASK [r : Break a thing] *******************************************************
    qemu.jumpbox: [ERROR]: Task failed: Module failed: non-zero return code
    qemu.jumpbox: Origin: /src/playbooks/roles/r/tasks/main.yml:3:3
    qemu.jumpbox: fatal: [default]: FAILED! => {"changed": false, "msg": "non-zero return code", "rc": 3, "stderr": "err"}
    qemu.jumpbox: PLAY RECAP *********************************************************************
    qemu.jumpbox: default                    : ok=1    changed=1    unreachable=0    failed=1    skipped=0
"""


def read(text: str) -> PlayLog:
    log = PlayLog()
    for line in text.splitlines(keepends=True):
        log.feed(line)
    return log


def test_the_tasks_that_changed_something_are_known_by_run() -> None:
    log = read(GOOD)
    assert log.runs == [("system : Keep the journal in bounds, speak UTF-8", "system : Read it"), ()]
    assert (log.failed, log.no_ssh) == ("", False)


def test_what_is_being_done_is_packers_step_or_ansibles_task() -> None:
    steps = []
    log = PlayLog()
    for line in GOOD.splitlines():
        log.feed(line)
        if log.doing not in steps:
            steps.append(log.doing)
    assert steps == [
        "Waiting for SSH to become available",
        "Connected to SSH!",
        "Provisioning with Ansible",
        "system : Keep the journal in bounds, speak UTF-8",
        "system : Read it",
    ]


def test_a_failed_task_is_named_with_what_it_said_and_where_it_stands() -> None:
    log = read(FAILED)
    assert (log.failed, log.reason) == ("r : Break a thing", "non-zero return code\nerr")
    assert log.origin == "/src/playbooks/roles/r/tasks/main.yml:3:3"


def test_an_item_of_a_loop_that_failed_is_told_like_a_task() -> None:
    item = '    qemu.jumpbox: failed: [default] (item=2) => {"item": 2, "msg": "no such account"}\n'
    log = read("    qemu.jumpbox: TASK [Loop] ****\n" + item)
    assert (log.failed, log.reason) == ("Loop", "no such account")


def test_a_playbook_that_cannot_be_read_has_a_reason_and_no_task() -> None:
    log = read(
        "    qemu.jumpbox: [ERROR]: couldn't resolve module/action 'nosuch'.\n    qemu.jumpbox: Origin: a.yml:4:5\n"
    )
    assert (log.failed, log.reason, log.origin) == (
        "",
        "couldn't resolve module/action 'nosuch'.",
        "a.yml:4:5",
    )


def test_a_change_whose_task_was_not_read_counts_all_the_same() -> None:
    log = read("    qemu.jumpbox: default   : ok=3    changed=2    unreachable=0    failed=0\n")
    assert log.runs == [("2 tasks",)]


def test_a_machine_that_did_not_answer_is_told() -> None:
    log = read(
        "==> qemu.jumpbox: Waiting for SSH to become available...\n"
        "==> qemu.jumpbox: Timeout waiting for SSH.\n"
        "==> qemu.jumpbox: Deleting output directory...\n"
        "==> Builds finished but no artifacts were created.\n"
    )
    assert (log.no_ssh, log.doing) == (True, "Waiting for SSH to become available")
