"""`paver-firstboot`: what every boot does once the machine is up, and the first one more of.

It mounts the data disk, publishes the public host keys, says on the console how to get in, and marks that the first
boot came to its end; or opens the console's form where nothing told the machine what it needs.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from paver.appliance import console, datadisk, ended, guestinfo, handed, render
from paver.appliance.answers import fingerprint
from paver.appliance.guestinfo import Guestinfo
from paver.appliance.machine import Machine, Run, run, terminals
from paver.errors import PaverError

SOURCES = {"vmware": "guestinfo", "nocloud": "nocloud"}
"""cloud-init's names of where its data came from, and ours of the way."""


def main(root: Path = Path("/"), run: Run = run) -> int:
    """Does what a boot does; returns the process's exit code."""
    os.umask(0o022)
    said, form = boot(root, run)
    for line in said:
        sys.stderr.write(f"{line}\n")
    for terminal in form:
        unit = "paver-console.service" if terminal == "tty1" else f"paver-console@{terminal}.service"
        run("systemctl", "--no-block", "start", unit)
    return 0


def boot(root: Path, run: Run) -> tuple[list[str], list[str]]:
    """Does what a boot does; returns what somebody should know, and the terminals that the form has to open on."""
    machine, info = Machine(root, run), Guestinfo(root, run)
    said = _attempt(lambda: datadisk.prepare(root, run))
    _folder(root)
    has_info, key = info.there(), machine.host_key()
    if has_info and key:
        said += _attempt(lambda: _publish(info, key))
    before = ended.read(root)
    wrong: list[str] = []
    if before is None:
        wrong = [*(guestinfo.wrong(info) if has_info else ()), *said_by_cloud_init(root)]
    way = before.way if before else way_of(root)
    found = _told(before, machine) if way == "console" else way and _ended(root, machine, way, key)
    form = _needs_form(machine, way, found or None, wrong)
    if found and not (form and before is None):
        # At every boot: one that was cut off, or a form that was filled in since, leaves them. Where it ended, it was tried.
        if has_info:
            said += _attempt(lambda: _clean(info))
        ended.write(root, found)
    if way is None:
        said += _attempt(lambda: _grow(machine))
    console.write_issue(machine, found or None, [*said, *wrong])
    ended.put(root / console.PROBLEMS, "".join(f"{line}\n" for line in wrong), 0o644)
    said += _attempt(lambda: _reload_logins(run))
    active = (root / "sys/class/tty/console/active").read_text()
    return [*said, *wrong], list(terminals(active)) if form else []


def _needs_form(machine: Machine, way: str | None, found: ended.Ended | None, wrong: Sequence[str]) -> bool:
    if way is None:
        return True
    if way == "console":
        return found is None or not found.closed
    # Data that lets nobody in leaves a machine that only the console reaches.
    return bool(wrong) and not machine.has_login()


def way_of(root: Path) -> str | None:
    """Returns by which way cloud-init was told what this machine is; None if by none."""
    try:
        return SOURCES.get((root / "run/cloud-init/cloud-id").read_text().strip())
    except OSError:
        # cloud-init was not started at all: ds-identify found nothing.
        return None


def said_by_cloud_init(root: Path) -> list[str]:
    """Returns what cloud-init could not do with its data."""
    try:
        stages = json.loads((root / "run/cloud-init/status.json").read_text())["v1"]
    except (OSError, ValueError, KeyError):
        return []
    found = []
    for stage in stages.values():
        if isinstance(stage, dict):
            found += [str(line) for line in stage.get("errors") or ()]
            for grade, lines in (stage.get("recoverable_errors") or {}).items():
                found += [str(line) for line in lines if grade in {"WARNING", "ERROR", "CRITICAL"}]
    return list(dict.fromkeys(f"cloud-init: {handed.of_cloud_init(line)}" for line in found))


def _told(before: ended.Ended | None, machine: Machine) -> ended.Ended | None:
    """Returns how the form ended, closed once somebody has logged in: the journal, which says so, forgets in time."""
    if before is None or before.closed or not machine.logged_in():
        return before
    return dataclasses.replace(before, closed=True)


def _ended(root: Path, machine: Machine, way: str, key: str | None) -> ended.Ended:
    address, prefix = machine.address() or (None, None)
    return ended.Ended(
        way=way,
        machine=ended.machine_id(root),
        address=address,
        prefix=prefix,
        fingerprint=fingerprint(key) if key else None,
    )


def _publish(info: Guestinfo, key: str) -> list[str]:
    info.put(guestinfo.HOST_KEYS, base64.b64encode(f"{key}\n".encode()).decode())
    return []


def _clean(info: Guestinfo) -> list[str]:
    guestinfo.clean(info)
    return []


def _grow(machine: Machine) -> list[str]:
    machine.grow()
    return []


def _reload_logins(run: Run) -> list[str]:
    run("agetty", "--reload")
    return []


def _folder(root: Path) -> None:
    folder = root / datadisk.MOUNT
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    if root == Path("/"):
        # Jobs are started by this account.
        shutil.chown(folder, render.USER, render.USER)


def _attempt(does: Callable[[], list[str]]) -> list[str]:
    """Returns what was said, or the error's words: a boot goes on, so that the console says what is wrong."""
    try:
        return does()
    except PaverError as error:
        words = " ".join(part for part in (error.what, error.seen, error.why) if part)
        return [f"{words}: {error.do}" if error.do else words]
    except OSError as error:
        return [f"{error.filename or 'this machine'}: {error.strerror or error}"]


if __name__ == "__main__":
    sys.exit(main())
