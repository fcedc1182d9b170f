"""`paver lab` where no lab has to be raised: which one is meant, and what its shell says."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paver.cli import entry, lab
from paver.drivers.vsphere import DRIVER
from paver.errors import PaverError
from paver.image import own_key, stages
from paver.lab import demo, foreground, namespace, plan, providing, raising, site
from paver.sitefile.init import init_text
from tests.support import documents


@dataclasses.dataclass
class Standing:
    """A lab that is up, as far as its shell asks."""

    folder: Path
    site: Path | None = None
    isolated: bool = False

    def status(self) -> dict[str, Any]:
        return {"hosts": [{"name": "esx-01", "address": "127.0.0.2", "state": "on"}], "machines": []}


def test_of_several_labs_none_is_guessed_and_the_option_can_be_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raising, "standing", lambda: (tmp_path / "demo" / "lab", tmp_path / "lab"))
    assert entry.main(["lab", "shell"]) == 3
    said = capsys.readouterr().err
    assert "error: 2 labs are up" in said
    assert f"--dir {tmp_path / 'demo' / 'lab'}" in said


def test_the_status_of_several_labs_is_that_of_each_and_a_list_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = (tmp_path / "demo" / "lab", tmp_path / "lab")
    monkeypatch.setattr(raising, "standing", lambda: folders)
    monkeypatch.setattr(raising, "find", lambda folder: Standing(folder) if folder in folders else None)
    assert entry.main(["lab", "status"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split(" in ")[1] for line in shown if not line.startswith(" ")] == [
        f"{folder}, on loopback addresses" for folder in folders
    ]
    assert shown.count("  host     name esx-01  address 127.0.0.2  state on") == 2
    assert entry.main(["lab", "status", "--json"]) == 0
    found = documents.held(json.loads(capsys.readouterr().out))
    assert [lab["folder"] for lab in found["labs"]] == list(map(str, folders))
    assert entry.main(["lab", "status", "--json", "--dir", str(folders[1])]) == 0
    assert documents.held(json.loads(capsys.readouterr().out))["folder"] == str(folders[1])


@pytest.mark.parametrize("verb", ["status", "down", "shell"])
def test_from_inside_of_a_lab_it_is_said_that_one_is_inside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(raising, "standing", lambda: ())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PAVER_LAB", "/the/lab")
    assert entry.main(["lab", verb]) == 1
    assert "error: this shell is inside of the lab in /the/lab" in capsys.readouterr().err
    monkeypatch.delenv("PAVER_LAB")
    assert entry.main(["lab", verb]) == (0 if verb == "down" else 1)
    assert "no lab is up in" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("terminal", "command", "told"), [(True, [], True), (False, [], False), (True, ["--", "true"], False)]
)
def test_a_shell_inside_says_where_one_is_but_a_command_only_runs(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    command: list[str],
    told: bool,
) -> None:
    monkeypatch.setattr(lab, "_there", lambda _: Standing(tmp_path))
    monkeypatch.setattr(foreground, "run", lambda *_, **__: 0)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal)
    assert entry.main(["lab", "shell", *command]) == 0
    assert (f"inside the lab in {tmp_path}" in capsys.readouterr().err) is told


def test_what_a_shell_says_at_its_beginning_breaks_at_words_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "_there", lambda _: Standing(tmp_path, site=tmp_path / "site.yml"))
    monkeypatch.setattr(lab, "_asking", lambda _, argv: argv)
    monkeypatch.setattr(foreground, "run", lambda *_, **__: 0)
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    assert entry.main(["lab", "shell"]) == 0
    shown = capsys.readouterr().err
    assert [line for line in shown.splitlines() if len(line) > 60 and " " in line.strip()] == []
    assert "`exit` leaves it" in shown


@pytest.mark.parametrize(
    "raises",
    [
        lambda folder: entry.main(["lab", "up", "--dir", str(folder / "lab")]),
        lambda folder: demo.main(["--folder", str(folder)]),
    ],
    ids=["lab up", "make demo"],
)
def test_a_lab_whose_site_the_disk_refuses_is_taken_down_again(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    raises: Callable[[Path], int],
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    up: set[Path] = set()

    def raised(_: object, folder: Path, **__: object) -> Standing:
        up.add(folder)
        return Standing(folder)

    def taken_down(folder: Path) -> bool:
        there = folder in up
        up.discard(folder)
        return there

    monkeypatch.setattr(namespace, "refusal", lambda: None)
    monkeypatch.setattr(providing, "provide", lambda *_, **__: ({}, {}))
    monkeypatch.setattr(plan, "demo", lambda *_, **__: None)
    monkeypatch.setattr(raising, "up", raised)
    monkeypatch.setattr(raising, "down", taken_down)
    monkeypatch.setattr(site, "write", full)
    assert raises(tmp_path) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert up == set()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--phase", "hosts", "--phase", "hots"), "there is no phase hots"),
        (("--phase", "trust"), "no place to build"),
    ],
    ids=["a phase that is misspelt", "programs that cannot be built"],
)
def test_a_rehearsal_that_was_kept_stays_where_a_new_one_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    told: str,
) -> None:
    def refused(*_: object) -> None:
        raise PaverError("no place to build")

    def touched(*_: object, **__: object) -> bool:
        raise AssertionError("the lab that was kept is touched")

    monkeypatch.setattr(namespace, "refusal", lambda: None)
    monkeypatch.setattr(providing, "provide", refused)
    monkeypatch.setattr(raising, "up", touched)
    monkeypatch.setattr(raising, "down", touched)
    wish = tmp_path / "site.yml"
    wish.write_text(init_text(DRIVER, "lab-north"))
    kept = tmp_path / "kept" / "site"
    kept.mkdir(parents=True)
    (kept / ".rehearsal").touch()
    assert entry.main(["lab", "rehearse", "-s", str(wish), "--dir", str(kept.parent), *options]) != 0
    assert told in capsys.readouterr().err
    assert (kept / ".rehearsal").exists()


FOLDERS = {
    "XDG_STATE_HOME": (raising.default_folder, ".local/state/paver/lab"),
    "XDG_CACHE_HOME": (stages.root, ".cache/paver/image"),
    "XDG_CONFIG_HOME": (own_key.place, ".config/paver/image-key"),
}


@pytest.mark.parametrize("home", ["", None])
@pytest.mark.parametrize("variable", FOLDERS)
def test_without_a_home_pavers_folders_lie_where_the_systems_list_of_users_says(
    monkeypatch: pytest.MonkeyPatch, variable: str, home: str | None
) -> None:
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    place, below = FOLDERS[variable]
    assert place() == Path(pwd.getpwuid(os.getuid()).pw_dir) / below
    monkeypatch.setenv("HOME", "/elsewhere")
    assert place() == Path("/elsewhere") / below


def test_a_lab_is_not_built_for_a_phase_that_is_misspelt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def touched(*_: object) -> None:
        raise AssertionError("something is built")

    monkeypatch.setattr(providing, "provide", touched)
    assert entry.main(["lab", "up", "--phase", "hots"]) == 3
    assert "there is no phase hots" in capsys.readouterr().err


def test_where_nobody_says_where_home_is_it_is_said_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 9)
    with pytest.raises(PaverError) as caught:
        raising.default_folder()
    assert caught.value.do == "set HOME or XDG_STATE_HOME"


@pytest.mark.parametrize("hosts", ["0", "-1", "65", "many"])
def test_a_lab_has_as_many_hosts_as_its_network_has_room_for(
    capsys: pytest.CaptureFixture[str], hosts: str
) -> None:
    assert entry.main(["lab", "up", "--hosts", hosts]) == 3
    assert "is no number from 1 to 64" in capsys.readouterr().err
