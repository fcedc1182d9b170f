"""A host that burns down with the jumpbox on it: what stands elsewhere stays, and the site goes on without the host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from paver.lab import build, control, pki, programs, system
from tests.e2e.conftest import PHASES
from tests.support.place import Place, place
from tests.support.ran import refused

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

ON_ESX_02 = ("  image: jumpbox.ova\n  on: esx-01\n", "  image: jumpbox.ova\n  on: esx-02\n")
NEEDED = ("trust", "hosts", "jumpbox", "site-services")
BEHIND = ("vcenter", "inventory")
DISKS = "vsphere.disk-folder:north/datastore1/BOSH_Disks"


@pytest.fixture(scope="module")
def paved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The inventory of vCenter stands; the jumpbox is on the second host, and vCenter on the first."""
    tools = dict(system.provide(system.survey()))
    with place(tmp_path_factory.mktemp("lost"), dict(build.build(programs.required(None))), tools) as made:
        text = made.site.read_text()
        assert ON_ESX_02[0] in text
        made.site.write_text(text.replace(*ON_ESX_02))
        made.paver("apply", "--yes", *_phases(*PHASES["deeper"]))
        yield made


def test_a_host_that_was_installed_anew_gets_all_of_its_own_back_and_the_jumpbox_that_was_on_it(
    paved: Place,
) -> None:
    """Its disks are empty, it shows a certificate of its own, and vCenter still has it."""
    host = next(one for one in paved.lab.plan.hosts if one.name == "esx-02")
    pair = pki.host(host.hostname, host.address)
    certificate, key = (path.read_text() for path in pair.write(paved.folder, "installed-anew"))
    paved.control("POST", "/install", {"server": "esx-02", "certificate": certificate, "key": key})
    refused(
        paved.paver("plan", code=None), 4, "esx-02", "another certificate than the one that is pinned", "do"
    )
    text = paved.site.read_text()
    assert paved.lab.fingerprints["esx-02"] in text
    paved.site.write_text(text.replace(paved.lab.fingerprints["esx-02"], pair.fingerprint))
    trace = paved.trace()
    paved.paver("apply", "--yes", *_phases(*NEEDED))
    paved.paver("apply", "--yes", *_phases(*BEHIND))
    # What was on its disks shows once vCenter has it again.
    assert paved.pending(*_phases(*NEEDED, *BEHIND)) == {DISKS: "update"}
    paved.paver("apply", "--yes", *_phases(*BEHIND))
    assert paved.pending(*_phases(*NEEDED, *BEHIND)) == {}
    made = {(call.server, call.method) for call in trace.writes() if call.kind == "soap"}
    assert {server for server, method in made if method == "AddPortGroup"} == {"esx-02"}
    assert not {method for _, method in made} & {"CreateDatacenter", "AddHost_Task"}
    assert paved.machines()["paver-jumpbox"]["server"] == "esx-02"


def test_a_host_that_is_lost_with_the_jumpbox_on_it_goes_out_of_vcenter_and_another_carries_the_jumpbox(
    paved: Place,
) -> None:
    control.call(paved.lab.room, "POST", "/hosts/esx-02/power", {"state": "off"})
    refused(paved.paver("plan", code=None), 1, "esx-02 (10.20.0.12:443) does not answer", "why", "do")
    _without(paved, "esx-02")
    paved.paver("apply", "--yes", *_phases(*NEEDED))
    assert paved.machines()["paver-jumpbox"]["server"] == "esx-01"
    paved.paver("apply", "--yes", *_phases(*BEHIND))
    gone = {id_: verb for id_, verb in paved.pending().items() if verb != "create"}
    assert gone == {"vsphere.cluster-host:esx-02": "delete"}
    state = ("object.collect", "-s", "/north/host/compute/esx-02.north.example", "runtime.connectionState")
    assert paved.tool("govc", *state).out.strip() == "notResponding"
    trace = paved.trace()
    paved.paver("apply", "--yes")
    assert paved.pending() == {}
    assert not [call for call in trace.writes() if call.method in {"CreateDatacenter", "AddHost_Task"}]
    left = paved.tool("govc", "find", "/", "-type", "h").out.split()
    assert left == ["/north/host/compute/esx-01.north.example"]


def test_a_vcenter_that_is_off_is_switched_on_by_its_phase_alone(paved: Place) -> None:
    """As after a power cut; the whole plan cannot be made while nothing of it answers."""
    paved.govc("esx-01", "vm.power", "-off", "-force", "vcsa")
    paved.govc("esx-01", "host.autostart.remove", "vcsa")
    refused(paved.paver("plan", code=None), 1, "vcsa", "does not answer", "--phase, --only")
    assert paved.pending("--phase", "vcenter") == {"vsphere.appliance:vcenter": "update"}
    paved.paver("apply", "--yes", "--phase", "vcenter")
    there = paved.inventory()["esx-01"]
    assert there["virtual_machines"]["vcsa"]["power"] == "poweredOn"
    assert [entry["order"] for entry in there["autostart"]["machines"]] == [1, -1]


def _phases(*names: str) -> list[str]:
    return [word for name in names for word in ("--phase", name)]


def _without(place: Place, host: str) -> None:
    """Takes a host out of the site file, as its user would, and has the other one carry the jumpbox."""
    lines = place.site.read_text().replace(ON_ESX_02[1], ON_ESX_02[0]).splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(f"    {host}:")]
    assert len(kept) == len(lines) - 1
    place.site.write_text("".join(kept).replace(f", {host}]", "]"))
