"""Raising a lab and taking it down: what stays, what goes, what is refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from paver.errors import BadInput, PaverError, Refused
from paver.lab import plan, raising, system
from tests.support.raised import Raised
from tests.support.waiting import until

pytestmark = pytest.mark.lab

BARE = replace(plan.demo({"esx-01": "Paver-Lab-1!", "esx-02": "Paver-Lab-2!"}), hosts=())
DEMO = plan.demo({"esx-01": "Paver-Lab-1!", "esx-02": "Paver-Lab-2!"})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "lab"
    raising.down(tmp_path / "lab")


def living(lab: raising.Lab) -> dict[int, str]:
    """Returns the lab's processes, by their numbers outside, with their command lines."""
    try:
        namespace = Path(f"/proc/{lab.init.pid}/ns/pid").readlink()
    except OSError:
        return {}
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # Machines have namespaces of their own inside of the lab's: they are found by their lab's folder.
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if (entry / "ns/pid").readlink() == namespace or str(lab.folder) in command:
                found[int(entry.name)] = command
        except OSError:
            continue
    return found


def gone(numbers: dict[int, str]) -> bool:
    return not any(Path(f"/proc/{number}/cmdline").exists() and _cmdline(number) for number in numbers)


def _cmdline(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()  # empty for a zombie
    except OSError:
        return b""


def test_hosts_answer_with_the_certificates_that_the_lab_tells(lab: Raised) -> None:
    code = (
        "import ssl, hashlib, json, sys\n"
        "pem = ssl.get_server_certificate((sys.argv[1], 443))\n"
        "print(json.dumps(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()))"
    )
    for host in lab.lab.plan.hosts:
        shown = lab.python(code, host.address)
        assert lab.lab.fingerprints[host.name].replace(":", "") == f"sha256{shown}"


def test_nothing_outside_can_be_reached(empty_lab: Raised) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = (
            "import socket, sys, json\n"
            "def tell(address, port):\n"
            "    try: socket.create_connection((address, port), 3); return 'connected'\n"
            "    except OSError as error: return error.errno\n"
            "print(json.dumps([tell('127.0.0.1', int(sys.argv[1])), tell('192.0.2.1', 443), tell('10.20.0.99', 22)]))"
        )
        refused, unreachable = 111, 101
        port = str(listener.getsockname()[1])
        assert empty_lab.python(code, port) == [refused, unreachable, unreachable]


def test_a_second_up_finds_the_lab_that_is_there(folder: Path, tools: dict[str, Path]) -> None:
    first = raising.up(BARE, folder, programs={}, tools=tools)
    assert raising.up(BARE, folder, programs={}, tools=tools) == first
    assert raising.find(folder) == first


def test_two_at_once_raise_one_lab(folder: Path, tools: dict[str, Path]) -> None:
    found: list[raising.Lab] = []
    threads = [
        threading.Thread(target=lambda: found.append(raising.up(BARE, folder, programs={}, tools=tools)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]


def test_a_lab_of_another_plan_is_refused(folder: Path, tools: dict[str, Path]) -> None:
    raising.up(BARE, folder, programs={}, tools=tools)
    with pytest.raises(Refused, match="another lab is up"):
        raising.up(replace(BARE, zone="south.example"), folder, programs={}, tools=tools)


def test_down_leaves_no_process_and_can_be_said_twice(folder: Path, tools: dict[str, Path]) -> None:
    lab = raising.up(BARE, folder, programs={}, tools=tools)
    processes = living(lab)
    assert processes
    assert raising.down(folder)
    until(lambda: gone(processes), "the lab's processes are gone")
    assert not raising.down(folder)
    assert raising.find(folder) is None


@pytest.mark.parametrize("which", ["paver.lab.room", "unshare", "vsim esx"])
def test_nothing_is_left_when_any_process_is_killed_and_the_next_lab_rises_at_once(
    which: str, folder: Path, tools: dict[str, Path], programs: dict[str, Path]
) -> None:
    lab = raising.up(DEMO, folder, programs=programs, tools=tools)
    processes = living(lab)
    victims = [number for number, command in processes.items() if which in command]
    assert victims
    os.kill(victims[-1], signal.SIGKILL)
    until(lambda: raising.find(folder) is None, "the lab is known to be gone")
    again = raising.up(DEMO, folder, programs=programs, tools=tools)
    assert again.init != lab.init
    until(lambda: gone(processes), "the first lab's processes are gone")


def test_a_state_file_that_a_killed_lab_left_is_no_lab(folder: Path, tools: dict[str, Path]) -> None:
    lab = raising.up(BARE, folder, programs={}, tools=tools)
    state = folder / "run" / "lab.json"
    text = state.read_text()
    raising.down(folder)
    # The number was given out again, to this very process.
    state.write_text(text.replace(f'"pid": {lab.init.pid}', f'"pid": {os.getpid()}'))
    assert raising.find(folder) is None
    assert not raising.down(folder)
    state.write_text(text[: len(text) // 2])
    assert raising.find(folder) is None


def test_a_lab_of_another_paver_is_not_overrun_but_can_be_taken_down(
    folder: Path, tools: dict[str, Path]
) -> None:
    raising.up(BARE, folder, programs={}, tools=tools)
    (folder / "run" / "config.json").write_text('{"plan": {}}')
    with pytest.raises(BadInput, match="can't be read"):
        raising.up(BARE, folder, programs={}, tools=tools)
    assert raising.down(folder)


def test_the_lab_ends_with_its_owner(folder: Path, tools: dict[str, Path]) -> None:
    reading, writing = os.pipe()
    lab = raising.up(BARE, folder, programs={}, tools=tools, hold=reading)
    processes = living(lab)
    os.close(reading)
    os.close(writing)
    until(lambda: gone(processes), "the lab's processes are gone")


def test_a_folder_with_spaces_and_a_long_name_will_do(tmp_path: Path, tools: dict[str, Path]) -> None:
    folder = tmp_path / "a lab with spaces" / ("x" * 120)
    try:
        lab = raising.up(BARE, folder, programs={}, tools=tools)
        assert lab.status() == {"hosts": [], "machines": []}
    finally:
        raising.down(folder)


def test_a_folder_that_the_lab_hides_is_refused(tools: dict[str, Path]) -> None:
    with pytest.raises(BadInput, match="can't lie in /run/paver"):
        raising.up(BARE, Path("/run/paver"), programs={}, tools=tools)


def test_a_simulator_that_ends_at_its_start_is_told_with_its_own_words(
    folder: Path, tools: dict[str, Path]
) -> None:
    broken = folder.parent / "vsim"
    broken.write_text("#!/bin/sh\necho no memory left >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(PaverError) as caught:
        raising.up(DEMO, folder, programs={"vsim": broken}, tools=tools)
    assert "no memory left" in "\n".join(caught.value.lines())
    assert raising.find(folder) is None


PROGRAM = """
import json, sys
from dataclasses import replace
from pathlib import Path
from paver.errors import PaverError
from paver.lab import plan, raising, system
folder = Path(sys.argv[1])
tools = {need.program: system.survey(resolved=False).present[need.program] for need in system.NEEDS}
bare = replace(plan.demo({"esx-01": "x", "esx-02": "y"}), hosts=())
try:
    lab = raising.up(bare, folder, programs={}, tools=tools)
    print(json.dumps(lab.status()))
    raising.down(folder)
except PaverError as error:
    print(json.dumps(error.lines()))
"""


@pytest.mark.usefixtures("tools")
def test_a_user_without_rights_can_raise_a_lab(tmp_path: Path) -> None:
    plain = ["unshare", "-U", "--map-user=1000", "--map-group=1000"]
    shown = subprocess.run(
        [*plain, sys.executable, "-c", PROGRAM, str(tmp_path / "lab")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(shown.stdout) == {"hosts": [], "machines": []}


@pytest.mark.usefixtures("tools")
def test_a_full_disk_is_told_and_leaves_no_process(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    script = (
        'mount -t tmpfs -o size=8k tmpfs "$0" && head -c 8k /dev/zero >"$0"/filling 2>/dev/null; exec "$@"'
    )
    shown = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(small), sys.executable, "-c", PROGRAM, str(small / "lab")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": system.python_path()},
    )
    lines = json.loads(shown.stdout)
    assert "No space left on device" in "\n".join(lines)
    assert not [
        each for each in Path("/proc").glob("[0-9]*") if str(small).encode() in _cmdline(int(each.name))
    ]


def test_where_namespaces_are_refused_it_stands_on_loopback(
    folder: Path, tools: dict[str, Path], programs: dict[str, Path]
) -> None:
    lab = raising.up(DEMO, folder, programs=programs, tools=tools, isolated=False)
    assert [host.address for host in lab.plan.hosts] == ["127.20.0.11", "127.20.0.12"]
    with socket.create_connection(("127.20.0.12", 443), 5):
        pass
    assert raising.up(DEMO, folder, programs=programs, tools=tools) == lab
    processes = living_by_folder(lab)
    os.kill(lab.init.pid, signal.SIGKILL)
    until(lambda: gone(processes), "its processes end with the room")


def living_by_folder(lab: raising.Lab) -> dict[int, str]:
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found = {number: _cmdline(number).decode(errors="replace") for number in numbers}
    return {number: command for number, command in found.items() if str(lab.folder) in command}


def test_what_no_namespaces_means_is_said() -> None:
    text = "\n".join(raising.without_namespaces("EPERM"))
    assert "EPERM" in text
    assert "the jumpbox does not boot" in text
