"""The reference of the first boot lists what the machine asks, mounts, runs and writes: all of it, and no more."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from paver.appliance import bootstrap, console, datadisk, ended, firstboot, guestinfo, render, site
from paver.appliance.bootstrap import Bootstrap
from paver.drivers.vsphere.jumpbox import first_boot
from tests.support import room

TREE = Path(__file__).parents[2]
PAGE = TREE / "docs/reference/first-boot.md"
UNITS = TREE / "ova/base/etc/systemd"
SITE = "paver: 1\nname: lab-north\n"


def rows(section: str) -> list[str]:
    """The first cells of the table below a heading of the page."""
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")
    assert found, section
    lines = rest.partition("\n## ")[0].splitlines()
    cells = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    return cells[2:]


def names(section: str) -> list[str]:
    return [name for cell in rows(section) for name in re.findall(r"`([^`]+)`", cell)]


def documented_keys() -> set[str]:
    found: set[str] = set()
    for cell in rows("guestinfo"):
        keys = re.findall(r"`(?:guestinfo)?\.?([a-z.-]+)`", cell)
        encoded = ".encoding" in cell
        keys = [key for key in keys if key != "encoding"]
        found |= {*keys, *(f"{key}.encoding" for key in keys if encoded)}
    return found


def test_every_guestinfo_key_that_is_read_or_written_is_listed_and_no_other(tmp_path: Path) -> None:
    made = room.make(tmp_path, vmware=True, cloud="vmware")
    for key in (guestinfo.METADATA, guestinfo.USERDATA, guestinfo.VENDORDATA):
        made.guestinfo[f"guestinfo.{key}"] = "#cloud-config\nusers: []\n"
    firstboot.boot(made.root, made.run)
    made.guestinfo |= {f"guestinfo.{guestinfo.SITE}": SITE, f"guestinfo.{guestinfo.SEALED}": "sealed"}
    Bootstrap(made.root, made.run, lambda _: 0, None, lambda _: None).carry_out()
    used = {argv[1].split()[1] for argv in made.ran if argv[0] == "vmware-rpctool"}
    assert {key.removeprefix("guestinfo.") for key in used} == documented_keys()


def test_what_pavers_own_phase_writes_is_among_what_the_machine_reads() -> None:
    written = {key.removeprefix("guestinfo.") for key in first_boot.guestinfo(room.WISH)}
    assert written
    assert written <= documented_keys()


def test_every_label_of_a_cd_rom_is_listed_and_no_other() -> None:
    what = re.search(
        r"^What=/dev/disk/by-label/(.*)$", (UNITS / "system/srv-artefacts.mount").read_text(), re.MULTILINE
    )
    assert what
    assert set(names("CD-ROM")) == {label.upper() for label in site.LABELS} | {what[1]}


def test_every_command_of_the_appliance_is_listed_and_no_other() -> None:
    scripts = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]["scripts"]
    made = {name for name, where in scripts.items() if where.startswith("paver.appliance.")}
    assert {name.removeprefix("sudo ").split()[0] for name in names("Commands")} == made


def test_every_file_that_the_appliance_keeps_is_listed_and_no_other() -> None:
    kept = {
        *(ended.FILE, datadisk.RECORD, bootstrap.DONE, bootstrap.KEY, f"{site.PLACE}/"),
        *(render.NETWORK, render.HOSTNAME, render.HOSTS, render.SSHD, render.SOURCES, render.SUDOERS),
        *(console.ISSUE, console.PROBLEMS),
    }
    assert set(names("Files")) == {f"/{path}" for path in kept}


def test_every_unit_of_the_image_is_listed() -> None:
    own = {path.name for path in (UNITS / "system").iterdir() if path.is_file()}
    listed = names("Units")
    found = {
        f"{listed[at - 1].rpartition('.')[0]}{name}" if name.startswith(".") else name
        for at, name in enumerate(listed)
    }
    assert own <= {re.sub(r"@\w+\.", "@.", name) for name in found}


def test_a_page_without_that_section_is_told() -> None:
    with pytest.raises(AssertionError, match="Nothing of the kind"):
        rows("Nothing of the kind")
