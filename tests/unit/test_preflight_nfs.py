"""What `paver preflight` says of an installer on an NFS server: the jumpbox's word counts, this machine's is a hint."""

from __future__ import annotations

import pathlib
import shutil
from typing import Any

import pytest

from paver.driver import BadInput, Finding, Grade, PaverError, Refused, Unobservable
from paver.drivers.vsphere import DRIVER, preflight_nfs
from paver.sitefile import load
from paver.sitefile.site import Site
from paver.transport import files, nfs
from paver.transport.context import Station, Wire
from paver.transport.machine import Host, MachineConnection, MachineConnector
from paver.transport.shell import LocalShell

GOOD = (pathlib.Path(__file__).parents[1] / "cases" / "sitefile" / "good" / "lab-north.yml").read_text()
ISO = '"[datastore1] iso/VMware-VCSA-all-8.0.3.iso"'


def site(iso: str = "nfs://nas.corp.example/iso/vcsa.iso") -> Site:
    assert ISO in GOOD
    return load.loads(
        GOOD.replace(ISO, iso), {"vsphere": DRIVER}, file="site.yml", folder=pathlib.Path("/site")
    )


def look(wished: Site, station: Station) -> list[Finding]:
    return list(preflight_nfs.installer(wished, Wire(reveal=lambda _: "", station=station)))


def says(monkeypatch: pytest.MonkeyPatch, answer: int | PaverError) -> None:
    def size(*_: Any) -> int:
        if isinstance(answer, PaverError):
            raise answer
        return answer

    monkeypatch.setattr(nfs, "size", size)
    host = Host("jumpbox", LocalShell("jumpbox"), (), "python3", "", "", 60, files.DirectFiles("jumpbox"))
    monkeypatch.setattr(MachineConnector, "connect", lambda *_: MachineConnection(host))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def test_an_iso_elsewhere_is_nothing_to_ask_an_nfs_server_for() -> None:
    assert look(site(ISO), "jumpbox") == []


@pytest.mark.parametrize("station", ["jumpbox", "outside"])
def test_an_iso_that_is_there_is_told_with_its_size(
    monkeypatch: pytest.MonkeyPatch, station: Station
) -> None:
    says(monkeypatch, 12_345_678_901)
    [found] = look(site(), station)
    assert (found.subject, found.grade) == ("nas.corp.example", Grade.OK)
    assert found.seen == "/iso/vcsa.iso, 12.3 GB"


@pytest.mark.parametrize(
    ("error", "grade"),
    [
        (BadInput("it is not there", do="put it there"), Grade.INPUT),
        (Refused("it is not exported", do="export it"), Grade.REFUSED),
        (Unobservable("it does not answer", do="look"), Grade.UNREACHABLE),
    ],
)
def test_what_the_jumpbox_meets_stands_in_the_way_and_what_this_machine_meets_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, error: PaverError, grade: Grade
) -> None:
    says(monkeypatch, error)
    [over_there], [here] = look(site(), "jumpbox"), look(site(), "outside")
    assert (over_there.grade, over_there.seen, over_there.do) == (grade, error.what, error.do)
    assert (here.grade, here.seen) == (Grade.WARNING, error.what)
    assert "what counts is the jumpbox" in here.why


def test_a_machine_without_the_client_leaves_it_to_the_jumpbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    [found] = look(site(), "outside")
    assert found.grade is Grade.OK
    assert "on the jumpbox" in found.seen
