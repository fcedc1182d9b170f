"""The kinds of phase `hosts` through the real planner and executor, against a host that lives in memory."""

# ruff: noqa: A002, ARG002, ARG005, N802, N803 (the fake host has the vendor's names and faces)
from __future__ import annotations

import copy
import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import (
    Paved,
    PaverError,
    Refused,
    Resource,
    ResourceId,
    Secret,
    Unobservable,
    resource_id,
)
from paver.drivers.vsphere import endpoints, ledger
from paver.drivers.vsphere.host import switches
from paver.drivers.vsphere.host.datastore import Datastore
from paver.drivers.vsphere.host.default_switch import DefaultSwitch
from paver.drivers.vsphere.host.dns import Dns
from paver.drivers.vsphere.host.licence import Licence
from paver.drivers.vsphere.host.ntp import Ntp
from paver.drivers.vsphere.host.pave import KINDS
from paver.drivers.vsphere.host.port_group import PortGroup
from paver.drivers.vsphere.host.service import Service
from paver.drivers.vsphere.host.switch import Switch
from paver.engine.again import Again
from paver.engine.board import Board
from paver.engine.executor import Executor, Hands, Outcome
from paver.engine.journal import Journal
from paver.engine.plan import Plan
from paver.engine.planner import Heading, Request, plan
from paver.engine.resource import Gate, Ground
from paver.engine.world import Connections, ReadingWorld
from paver.report.plan_text import plan_text
from paver.transport.vsphere import faults, new, ref

AT = endpoints.host("esx-01")
LEDGER = "paver/north/esx-01.json"
EVALUATION = ("00000-00000-00000-00000-00000", "Evaluation Mode", "eval")


class Host:
    """An ESXi host in memory; `dies` raises before the call of that number, as a killed paver would stop.

    `meanwhile` is what another run does once, just before the call of that name. `kept` are files as a session read them
    before and has them still; None keeps none.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.kept: dict[str, bytes] | None = None
        self.accessible = True
        self.calls: list[str] = []
        self.dies: int | None = None
        self.meanwhile: dict[str, Callable[[], None]] = {}
        self.licence = EVALUATION
        self.services = {
            key: SimpleNamespace(key=key, policy="off", running=False) for key in ("ntpd", "TSM", "TSM-SSH")
        }
        self.ntp: list[str] = []
        self.rules = {"ntpClient": SimpleNamespace(key="ntpClient", enabled=False)}
        self.dns = new(
            "HostDnsConfig", dhcp=False, hostName="localhost", domainName="", address=["192.0.2.53"]
        )
        self.switches = {
            "vSwitch0": new(
                "HostVirtualSwitchSpec",
                numPorts=128,
                mtu=1500,
                bridge=new("HostVirtualSwitchBondBridge", nicDevice=["vmnic0"]),
            )
        }
        self.groups: dict[str, Any] = {}

    def state(self) -> Any:
        return copy.deepcopy(
            (
                self.files,
                self.licence,
                {key: vars(value) for key, value in self.services.items()},
                self.ntp,
                vars(self.rules["ntpClient"]),
                repr(self.dns),
                {
                    key: (spec.mtu, spec.bridge and list(spec.bridge.nicDevice))
                    for key, spec in self.switches.items()
                },
                {key: (spec.vswitchName, spec.vlanId) for key, spec in self.groups.items()},
            )
        )


class Session:
    """What the transport's faces offer, over a `Host`."""

    name = "esx-01"
    address = "10.20.0.11"
    station = "outside"

    def __init__(self, host: Host, gate: Gate | None = None) -> None:
        self._host = host
        self._gate = gate
        self.content = SimpleNamespace(
            licenseManager=ref("LicenseManager", "lm"), fileManager=ref("FileManager", "fm")
        )

    def objects(self, type_name: str, paths: Any, root: Any = None) -> list[Any]:
        assert type_name == "Datastore"
        values = {
            "name": "datastore1",
            "summary.accessible": self._host.accessible,
            "summary.type": "VMFS",
            "browser": ref("HostDatastoreBrowser", "browser"),
        }
        return [(ref("Datastore", "ds"), {path: values[path] for path in paths})]

    def snapshot(self, wants: Any) -> None:
        assert set(wants) == {"HostSystem"}

    def one(self, type_name: str, paths: Any) -> Any:
        assert type_name == "HostSystem"
        host = self._host
        values: dict[str, Any] = {
            "config.service.service": list(host.services.values()),
            "config.firewall.ruleset": list(host.rules.values()),
            "config.dateTimeInfo": SimpleNamespace(ntpConfig=SimpleNamespace(server=host.ntp)),
            "config.network.dnsConfig": host.dns,
            "config.network.vswitch": [
                SimpleNamespace(name=name, mtu=spec.mtu, spec=copy.deepcopy(spec))
                for name, spec in host.switches.items()
            ],
            "config.network.vnic": [],
            "summary.managementServerIp": None,
            "config.network.portgroup": [
                SimpleNamespace(spec=copy.deepcopy(spec)) for spec in host.groups.values()
            ],
        }
        managers = {path for path in paths if path.startswith("configManager.")}
        values |= {path: path.removeprefix("configManager.") for path in managers}
        return ref("HostSystem", "ha-host"), {path: values[path] for path in paths}

    def value(self, managed: Any, path: str) -> Any:
        assert path == "licenses"
        key, name, edition = self._host.licence
        return [SimpleNamespace(licenseKey=key, name=name, editionKey=edition)]

    def datastore_get(self, datastore: str, path: str, *, fresh: bool = False) -> bytes | None:
        assert datastore == "datastore1"
        host = self._host
        return (host.files if fresh or host.kept is None else host.kept).get(path)

    def query(self, managed: Any, method: str, **arguments: Any) -> Any:
        assert method == "SearchDatastore_Task"
        place = arguments["datastorePath"].partition("] ")[2] + "/"
        inside = [name[len(place) :] for name in self._host.files if name.startswith(place)]
        if not inside:
            raise faults.translate(new("FileNotFound", file=place), method, self.name)
        children = {name.partition("/")[0] for name in inside if name}
        return SimpleNamespace(file=[SimpleNamespace(path=name) for name in sorted(children)])

    def _pass(self, call: str) -> None:
        assert self._gate is not None
        self._gate(call, self.name)
        host = self._host
        if host.dies is not None and len(host.calls) == host.dies:
            raise KeyboardInterrupt
        host.calls.append(call)
        host.meanwhile.pop(call, lambda: None)()

    def datastore_mkdir(self, datastore: str, path: str) -> None:
        self._pass("MakeDirectory")
        self._host.files[path + "/"] = b""

    def datastore_put(self, datastore: str, path: str, data: bytes) -> None:
        self._pass("folder:PUT")
        self._host.files[path] = data

    def datastore_delete(self, datastore: str, path: str) -> None:
        self._pass("DeleteDatastoreFile_Task")
        self._host.files = {
            name: data
            for name, data in self._host.files.items()
            if name != path and not name.startswith(f"{path}/")
        }

    def task(self, managed: Any, method: str, **arguments: Any) -> None:
        assert method == "MoveDatastoreFile_Task"
        self._pass(method)
        source, target = (arguments[key].partition("] ")[2] for key in ("sourceName", "destinationName"))
        if source not in self._host.files:
            raise faults.translate(new("FileNotFound", file=source), method, self.name)
        self._host.files[target] = self._host.files.pop(source)

    def call(self, managed: Any, method: str, **arguments: Any) -> None:
        self._pass(method)
        getattr(self, f"_{method}")(**arguments)

    def _UpdateLicense(self, licenseKey: str) -> None:
        evaluates = licenseKey == EVALUATION[0]
        self._host.licence = EVALUATION if evaluates else (licenseKey, "vSphere 8", "esx.enterprisePlus")

    def _UpdateDateTimeConfig(self, config: Any) -> None:
        self._host.ntp = list(config.ntpConfig.server)

    def _EnableRuleset(self, id: str) -> None:
        assert not hasattr(self._host.rules[id], "userControllable"), (
            "the host refuses: it goes with its service"
        )
        self._host.rules[id].enabled = True

    def _DisableRuleset(self, id: str) -> None:
        assert not hasattr(self._host.rules[id], "userControllable"), (
            "the host refuses: it goes with its service"
        )
        self._host.rules[id].enabled = False

    def _UpdateServicePolicy(self, id: str, policy: str) -> None:
        self._host.services[id].policy = policy

    def _StartService(self, id: str) -> None:
        self._host.services[id].running = True
        self._follow(id, opens=True)

    def _follow(self, id: str, *, opens: bool) -> None:
        for rule in self._host.rules.values():
            if hasattr(rule, "userControllable") and rule.service == id:
                rule.enabled = opens

    def _RestartService(self, id: str) -> None:
        assert self._host.services[id].running

    def _StopService(self, id: str) -> None:
        self._host.services[id].running = False
        self._follow(id, opens=False)

    def _UpdateDnsConfig(self, config: Any) -> None:
        self._host.dns = config

    def _AddVirtualSwitch(self, vswitchName: str, spec: Any) -> None:
        assert vswitchName not in self._host.switches
        self._host.switches[vswitchName] = spec

    def _UpdateVirtualSwitch(self, vswitchName: str, spec: Any) -> None:
        assert vswitchName in self._host.switches
        self._host.switches[vswitchName] = spec

    def _RemoveVirtualSwitch(self, vswitchName: str) -> None:
        del self._host.switches[vswitchName]

    def _AddPortGroup(self, portgrp: Any) -> None:
        if portgrp.name in self._host.groups:
            raise faults.translate(new("AlreadyExists", name=portgrp.name), "AddPortGroup", self.name)
        self._host.groups[portgrp.name] = portgrp

    def _UpdatePortGroup(self, pgName: str, portgrp: Any) -> None:
        assert pgName in self._host.groups
        self._host.groups[pgName] = portgrp

    def _RemovePortGroup(self, pgName: str) -> None:
        del self._host.groups[pgName]


@dataclasses.dataclass(frozen=True)
class Connector:
    host: Host

    def connect(self, context: Any) -> Any:
        return SimpleNamespace(
            reader=lambda: Session(self.host),
            writer=lambda gate: Session(self.host, gate),
            forget=lambda: None,
            close=lambda: None,
        )


class Site:
    """The engine, wired to one host."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self._folder = folder
        self._runs = 0
        self.moved: dict[ResourceId, ResourceId] = {}

    def _paved(self, wishes: tuple[Resource[Any], ...]) -> Paved:
        return Paved(
            moved=self.moved,
            phases=("hosts",),
            outside=frozenset({"hosts"}),
            resources=wishes,
            connectors={AT.name: Connector(self.host)},
            grounds=tuple(Ground(kind, AT, "hosts") for kind in KINDS),
        )

    def plan(self, *wishes: Resource[Any], mode: str = "apply") -> Plan:
        paved, board = self._paved(wishes), Board()
        connections = Connections(paved.connectors, None, board.for_reading)
        world = ReadingWorld("north", connections, lambda secret: f"version-of-{secret.name}")
        heading = Heading(site="north", site_digest="d", paver="1", driver="vsphere/1")
        return plan(paved, heading, Request(mode=mode), world, board)

    def apply(self, *wishes: Resource[Any], mode: str = "apply", planned: Plan | None = None) -> Outcome:
        made = planned or self.plan(*wishes, mode=mode)
        paved, board = self._paved(wishes), Board()
        self._runs += 1
        with Journal(self._folder / f"journal-{self._runs}") as journal:
            hands = Hands(
                connections=Connections(paved.connectors, None, board.for_reading),
                journal=journal,
                versions=lambda secret: f"version-of-{secret.name}",
                reveal=lambda secret: "STD00-STD00-STD00-STD00-STD00",
                tell=lambda event: None,
                stop=threading.Event(),
            )
            world = ReadingWorld("north", hands.connections, hands.versions, moved=paved.moved)
            return Executor(Again(made, paved, board, world), hands).run(lambda action: True)


def verbs(made: Plan) -> dict[str, str]:
    return {action.resource: action.verb.value for action in made.actions}


def fine(outcome: Outcome) -> None:
    for _, error in outcome.failed:
        raise error
    assert not outcome.left


COMMON: dict[str, Any] = {"phase": "hosts", "at": AT, "ledger_on": "datastore1"}


def port_group(name: str = "mgmt", **fields: Any) -> PortGroup:
    wish = {"switch": "vSwitch0", "vlan": 20, **fields}
    return PortGroup(id=resource_id(PortGroup.kind, f"esx-01/{name}"), name=name, **wish, **COMMON)


WISHES: dict[str, Resource[Any]] = {
    "port group": port_group(),
    "switch": Switch(
        id=resource_id(Switch.kind, "esx-01/vSwitch1"),
        name="vSwitch1",
        uplinks=("vmnic1",),
        mtu=9000,
        **COMMON,
    ),
    "default switch": DefaultSwitch(
        id=resource_id(DefaultSwitch.kind, "esx-01"), uplinks=("vmnic0", "vmnic1"), mtu=9000, **COMMON
    ),
    "ntp": Ntp(id=resource_id(Ntp.kind, "esx-01"), servers=("10.20.0.10",), **COMMON),
    "dns": Dns(
        id=resource_id(Dns.kind, "esx-01"),
        servers=("10.20.0.10",),
        hostname="esx-01",
        domain="north.example",
        **COMMON,
    ),
    "service": Service(
        id=resource_id(Service.kind, "esx-01/TSM-SSH"), service="TSM-SSH", policy="on", running=True, **COMMON
    ),
    "licence": Licence(id=resource_id(Licence.kind, "esx-01"), key=Secret("licence"), **COMMON),
}


def _drift(host: Host) -> dict[str, Callable[[], object]]:
    def vlan() -> None:
        host.groups["mgmt"].vlanId = 99

    def one_uplink() -> None:
        host.switches["vSwitch0"].bridge.nicDevice = ["vmnic0"]

    return {
        "port group": vlan,
        "switch": lambda: setattr(host.switches["vSwitch1"], "mtu", 1500),
        "default switch": one_uplink,
        "ntp": lambda: setattr(host.rules["ntpClient"], "enabled", False),
        "dns": lambda: setattr(host.dns, "hostName", "other"),
        "service": lambda: setattr(host.services["TSM-SSH"], "running", False),
        "licence": lambda: setattr(host, "licence", ("OTHER", "vSphere 8", "esx.standard")),
    }


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def site(host: Host, tmp_path: Path) -> Site:
    return Site(host, tmp_path)


def test_dns_by_dhcp_is_put_back_with_the_cards_that_gave_it(site: Site, host: Host) -> None:
    host.dns = new(
        "HostDnsConfig",
        dhcp=True,
        hostName="localhost",
        domainName="",
        virtualNicDevice="vmk0",
        ipv6VirtualNicDevice="vmk1",
        searchDomain=["corp.example"],
    )
    start = host.state()
    fine(site.apply(WISHES["dns"]))
    assert not host.dns.dhcp
    fine(site.apply(WISHES["dns"], mode="destroy"))
    assert host.state() == start


@pytest.mark.parametrize("what", WISHES)
def test_a_kind_is_made_kept_repaired_and_taken_away_without_a_trace(
    what: str, site: Site, host: Host
) -> None:
    wish = WISHES[what]
    start = host.state()
    first = site.plan(wish)
    assert verbs(first) == {wish.id: "update" if wish.setting else "create"}
    fine(site.apply(wish, planned=first))
    assert verbs(site.plan(wish)) == {wish.id: "keep"}
    _drift(host)[what]()
    drifted = site.plan(wish)
    assert verbs(drifted) == {wish.id: "update"}
    assert drifted.actions[0].changes
    fine(site.apply(wish))
    assert verbs(site.plan(wish)) == {wish.id: "keep"}
    fine(site.apply(wish, mode="destroy"))
    assert host.state() == start


def test_a_hole_in_the_firewall_that_goes_with_its_service_is_left_to_the_host(
    site: Site, host: Host
) -> None:
    host.rules["ntpClient"] = SimpleNamespace(
        key="ntpClient", enabled=False, service="ntpd", userControllable=False
    )
    start = host.state()
    fine(site.apply(WISHES["ntp"]))
    assert verbs(site.plan(WISHES["ntp"])) == {WISHES["ntp"].id: "keep"}
    assert host.rules["ntpClient"].enabled
    fine(site.apply(WISHES["ntp"], mode="destroy"))
    assert host.state() == start


@pytest.mark.parametrize("what", WISHES)
def test_what_is_no_longer_wished_for_is_deleted_as_an_orphan(what: str, site: Site, host: Host) -> None:
    start = host.state()
    fine(site.apply(WISHES[what]))
    assert verbs(site.plan()) == {WISHES[what].id: "delete"}
    fine(site.apply())
    assert host.state() == start


@pytest.mark.parametrize("what", WISHES)
def test_killed_before_any_write_a_kind_converges_and_destroy_leaves_nothing(
    what: str, tmp_path: Path
) -> None:
    wish = WISHES[what]
    whole = Host()
    fine(Site(whole, tmp_path).apply(wish))
    for number in range(len(whole.calls)):
        host, folder = Host(), tmp_path / str(number)
        folder.mkdir()
        site, start = Site(host, folder), host.state()
        host.dies = number
        assert site.apply(wish).failed
        host.dies = None
        fine(site.apply(wish))
        assert verbs(site.plan(wish)) == {wish.id: "keep"}
        fine(site.apply(wish, mode="destroy"))
        assert host.state() == start


@pytest.mark.parametrize("what", WISHES)
def test_destroy_right_after_a_kill_leaves_nothing(what: str, tmp_path: Path) -> None:
    wish = WISHES[what]
    whole = Host()
    fine(Site(whole, tmp_path).apply(wish))
    for number in range(len(whole.calls)):
        host, folder = Host(), tmp_path / str(number)
        folder.mkdir()
        site, start = Site(host, folder), host.state()
        host.dies = number
        assert site.apply(wish).failed
        host.dies = None
        fine(site.apply(wish, mode="destroy"))
        assert host.state() == start


# The licence is put back after its entry is struck, since the former one may forbid to write: killed in between, it stays.
@pytest.mark.parametrize("what", sorted(WISHES.keys() - {"licence"}))
def test_a_destroy_that_is_killed_before_any_write_is_ended_by_the_very_same_plan(
    what: str, tmp_path: Path
) -> None:
    wish = WISHES[what]
    for number in range(40):
        host, folder = Host(), tmp_path / str(number)
        folder.mkdir()
        site, start = Site(host, folder), host.state()
        fine(site.apply(wish))
        planned = site.plan(wish, mode="destroy")
        host.dies = len(host.calls) + number
        ended = not site.apply(wish, planned=planned).failed
        host.dies = None
        fine(site.apply(wish, planned=planned))
        assert host.state() == start
        if ended:
            return
    raise AssertionError("it does not come to its end")


@pytest.mark.parametrize("others", ["paver/south/esx-01.json", "paver/north/notes.txt", "paver/readme"])
def test_what_others_put_beside_the_ledger_stays_when_that_goes(others: str, site: Site, host: Host) -> None:
    fine(site.apply(*WISHES.values()))
    host.files[others] = b"theirs"
    fine(site.apply(*WISHES.values(), mode="destroy"))
    assert {name for name in host.files if not name.endswith("/")} == {others}


@pytest.mark.parametrize("others", ["paver/north/notes.txt", "paver/north/esx-02.json", "paver/readme"])
@pytest.mark.parametrize("begun", [(), ("paver/north/esx-01.json.new",)])
def test_a_ledgers_folder_that_a_killed_run_left_goes_and_what_others_have_there_stays(
    begun: tuple[str, ...], others: str, site: Site, host: Host
) -> None:
    host.files = {"paver/north/": b""} | dict.fromkeys(begun, b'{"sche')
    with_others = {**host.files, others: b"theirs"}
    planned = site.plan(mode="destroy")
    assert verbs(planned) == {"vsphere.ledger-folder:esx-01": "delete"}
    fine(site.apply(planned=planned))
    assert host.files == {}

    host.files = dict(with_others)
    fine(site.apply(mode="destroy"))
    kept = {others} if others == "paver/readme" else set(with_others)
    assert set(host.files) == kept
    assert host.files[others] == b"theirs"


def test_a_ledgers_folder_into_which_something_came_since_the_plan_stays(site: Site, host: Host) -> None:
    host.files = {"paver/north/": b""}
    planned = site.plan(mode="destroy")
    host.files["paver/north/notes.txt"] = b"theirs"
    fine(site.apply(planned=planned))
    assert host.files == {"paver/north/": b"", "paver/north/notes.txt": b"theirs"}


def test_a_ledgers_folder_that_another_run_puts_to_use_meanwhile_stays(site: Site, host: Host) -> None:
    """No plan of an apply takes it away either: what is applied needs it."""
    host.files = {"paver/north/": b""}
    planned = site.plan(mode="destroy")
    assert verbs(site.plan(WISHES["dns"])) == {WISHES["dns"].id: "update"}
    fine(site.apply(WISHES["dns"]))
    fine(site.apply(planned=planned))
    assert LEDGER in host.files
    assert verbs(site.plan(WISHES["dns"])) == {WISHES["dns"].id: "keep"}


def test_all_kinds_of_a_host_share_one_ledger(site: Site, host: Host) -> None:
    start = host.state()
    fine(site.apply(*WISHES.values()))
    book = ledger.loads(host.files[LEDGER], datastore="datastore1", where="here")
    assert set(book.entries) == {wish.id for wish in WISHES.values()}
    assert all(entry.complete for entry in book.entries.values())
    fine(site.apply(*WISHES.values(), mode="destroy"))
    assert host.state() == start


def test_what_another_run_notes_meanwhile_is_kept_and_ours_is_noted_before_it_is_said(
    site: Site, host: Host, tmp_path: Path
) -> None:
    """The lock of a run is of its machine: another one's entries were overwritten, and its things were foreign then."""
    fine(site.apply(port_group("before")))
    (tmp_path / "there").mkdir()
    another = Site(host, tmp_path / "there")
    plan_there = another.plan(port_group("before"), port_group("theirs"))
    host.meanwhile["AddPortGroup"] = lambda: fine(
        another.apply(port_group("before"), port_group("theirs"), planned=plan_there)
    )
    ((failed, error),) = site.apply(port_group("before"), port_group("ours")).failed
    assert (failed, type(error)) == (port_group("ours").id, Refused)
    assert "another run of this site is at work on esx-01" in str(error)
    assert "esx-01/theirs" in error.seen  # type: ignore[attr-defined]
    every = [port_group(name) for name in ("before", "ours", "theirs")]
    assert set(verbs(site.plan(*every)).values()) == {"keep"}


def test_nothing_is_made_once_another_run_was_seen_to_write_the_ledger(
    site: Site, host: Host, tmp_path: Path
) -> None:
    fine(site.apply(port_group("before")))
    every = [port_group(name) for name in ("before", "ours")]
    planned, kept = site.plan(*every), dict(host.files)
    (tmp_path / "there").mkdir()
    fine(Site(host, tmp_path / "there").apply(port_group("before"), port_group("theirs")))
    host.kept = kept
    ((failed, error),) = site.apply(*every, planned=planned).failed
    assert (failed, type(error)) == (port_group("ours").id, Refused)
    assert "esx-01/theirs" in error.seen  # type: ignore[attr-defined]
    assert set(host.groups) == {"before", "theirs"}
    assert b"esx-01/ours" not in host.files[LEDGER], "an intent that nothing came of"


def test_a_datastore_that_hides_is_never_taken_for_one_without_a_ledger(site: Site, host: Host) -> None:
    fine(site.apply(port_group()))
    files, host.files, host.accessible = host.files, {}, False
    with pytest.raises(Unobservable, match="the datastore datastore1 is not accessible"):
        site.plan(port_group())
    host.files, host.accessible = files, True
    assert verbs(site.plan(port_group())) == {port_group().id: "keep"}


def test_of_two_runs_that_write_the_ledger_at_once_the_one_whose_draft_is_gone_makes_nothing(
    site: Site, host: Host
) -> None:
    host.meanwhile["MoveDatastoreFile_Task"] = lambda: host.files.__delitem__(f"{LEDGER}.new")
    ((_, error),) = site.apply(port_group()).failed
    assert "another run of this site is at work on esx-01" in str(error)
    assert host.groups == {}


def test_a_foreign_port_group_of_the_same_name_blocks(site: Site, host: Host) -> None:
    host.groups["mgmt"] = new("HostPortGroupSpec", name="mgmt", vlanId=7, vswitchName="vSwitch0")
    made = site.plan(port_group())
    assert verbs(made) == {port_group().id: "blocked"}
    assert verbs(site.plan(mode="destroy")) == {}


def test_a_port_group_that_appears_after_the_plan_is_not_made_ours(site: Site, host: Host) -> None:
    made = site.plan(port_group())
    host.groups["mgmt"] = new("HostPortGroupSpec", name="mgmt", vlanId=7, vswitchName="vSwitch0")
    ((_, error),) = site.apply(port_group(), planned=made).failed
    assert isinstance(error, Refused)
    assert host.groups["mgmt"].vlanId == 7
    assert not host.files


def test_a_port_group_moves_to_another_switch_by_replacement(site: Site, host: Host) -> None:
    fine(site.apply(port_group(), WISHES["switch"]))
    moved = port_group(switch="vSwitch1")
    assert verbs(site.plan(moved, WISHES["switch"]))[moved.id] == "replace"
    fine(site.apply(moved, WISHES["switch"]))
    assert host.groups["mgmt"].vswitchName == "vSwitch1"


def test_a_switch_with_port_groups_of_others_stays_and_they_are_named(site: Site, host: Host) -> None:
    """A host takes those that nobody uses along without a word."""
    on_it = port_group(switch="vSwitch1")
    fine(site.apply(on_it, WISHES["switch"]))
    host.groups["theirs"] = new("HostPortGroupSpec", name="theirs", vlanId=7, vswitchName="vSwitch1")
    ((_, error),) = site.apply(mode="destroy").failed
    assert isinstance(error, Refused)
    assert "has port groups that paver did not make" in error.what
    assert error.seen == "theirs"
    assert "vSwitch1" in host.switches
    del host.groups["theirs"]
    fine(site.apply(mode="destroy"))
    assert "vSwitch1" not in host.switches


def test_a_port_group_that_someone_removed_is_made_again(site: Site, host: Host) -> None:
    fine(site.apply(port_group()))
    del host.groups["mgmt"]
    assert verbs(site.plan(port_group())) == {port_group().id: "create"}
    fine(site.apply(port_group()))
    assert host.groups["mgmt"].vlanId == 20


def test_a_setting_changed_twice_still_goes_back_to_what_was_before_paver(site: Site, host: Host) -> None:
    host.ntp = ["192.0.2.1"]
    start = host.state()
    fine(site.apply(WISHES["ntp"]))
    assert isinstance(WISHES["ntp"], Ntp)
    fine(site.apply(dataclasses.replace(WISHES["ntp"], servers=("10.20.0.10", "10.20.0.9"))))
    assert host.ntp == ["10.20.0.10", "10.20.0.9"]
    fine(site.apply(mode="destroy"))
    assert host.state() == start


def test_a_setting_that_is_right_already_is_kept_and_never_becomes_ours(site: Site, host: Host) -> None:
    host.services["TSM-SSH"].policy = "on"
    host.services["TSM-SSH"].running = True
    assert verbs(site.plan(WISHES["service"])) == {WISHES["service"].id: "keep"}
    assert not host.files


def test_the_free_licence_is_refused_before_anything_is_written(site: Site, host: Host) -> None:
    host.licence = ("FREE0", "vSphere Hypervisor", "esxBasic")
    keeps = Licence(id=resource_id(Licence.kind, "esx-01"), **COMMON)
    with pytest.raises(Refused) as refused:
        site.plan(keeps, port_group())
    assert refused.value.lines() == [
        "error: esx-01 refuses to be written to: its licence is the free one (RestrictedVersion)",
        '  seen  licence "vSphere Hypervisor", edition esxBasic',
        "  why   the free licence makes the API read-only; vCenter's installer would fail as well",
        (
            "  do    set iaas.hosts.esx-01.licence to a reference, or start the 60-day evaluation on the host, "
            "then run the same command again"
        ),
    ]


def test_a_datastore_of_another_spelling_is_refused_by_name(site: Site) -> None:
    wish = Datastore(
        id=resource_id(Datastore.kind, "esx-01/Datastore1"), phase="hosts", at=AT, name="Datastore1"
    )
    with pytest.raises(Refused, match="no datastore Datastore1") as refused:
        site.plan(wish)
    assert refused.value.seen == "datastore1"
    assert refused.value.do == "write datastore1 in the site file"


def test_a_datastore_that_is_there_is_kept_and_outlives_the_site(site: Site) -> None:
    wish = Datastore(
        id=resource_id(Datastore.kind, "esx-01/datastore1"), phase="hosts", at=AT, name="datastore1"
    )
    assert verbs(site.plan(wish)) == {wish.id: "keep"}
    assert verbs(site.plan(wish, mode="destroy")) == {}


def test_a_damaged_ledger_stops_the_plan(site: Site, host: Host) -> None:
    host.files[LEDGER] = b'{"schema": "paver.ledger/1", "entr'
    with pytest.raises(PaverError, match="cannot be read as paver's ledger"):
        site.plan(port_group())


def test_a_plan_that_puts_a_setting_back_shows_what_it_goes_back_to(site: Site) -> None:
    wish = WISHES["ntp"]
    fine(site.apply(wish))
    leaving, orphan = site.plan(wish, mode="destroy"), site.plan()
    for made in (leaving, orphan):
        (gone,) = made.pending
        assert gone.verb.value == "delete"
        assert {(one.field, str(one.before), str(one.after)) for one in gone.changes} == {
            ("open", "True", "False"),
            ("policy", "on", "off"),
            ("running", "True", "False"),
            ("servers", "['10.20.0.10']", "[]"),
        }
        text = "\n".join(plan_text(made))
        assert "policy: on → off" in text, text
    fine(site.apply(wish, mode="destroy"))


def test_a_ledger_of_another_site_is_refused_with_both_names(site: Site, host: Host) -> None:
    host.files[LEDGER] = ledger.Ledger("south").dumps()
    with pytest.raises(Refused, match="the ledger of the site south, and this site is north"):
        site.plan(port_group())


def test_between_the_two_steps_of_a_move_the_new_ledger_counts(site: Site, host: Host) -> None:
    fine(site.apply(port_group()))
    host.files[f"{LEDGER}.new"] = host.files.pop(LEDGER)
    assert verbs(site.plan(port_group())) == {port_group().id: "keep"}


def test_a_ledger_whose_very_first_writing_was_cut_counts_as_none(site: Site, host: Host) -> None:
    host.files[f"{LEDGER}.new"] = b'{"schema": "pav'
    assert verbs(site.plan(port_group())) == {port_group().id: "create"}
    fine(site.apply(port_group()))
    assert set(host.files) == {"paver/north/", LEDGER}


def test_a_port_group_that_would_get_another_name_is_blocked_and_stays(site: Site) -> None:
    fine(site.apply(port_group("mgmt")))
    other = port_group("net")
    site.moved = {port_group("mgmt").id: other.id}
    made = site.plan(other)
    assert verbs(made) == {other.id: "blocked"}
    assert "its own name (mgmt) would change" in made.blocked[0].reason
    fine(site.apply(other, mode="destroy"))
    assert site.host.groups == {}
    assert site.host.files == {}


def test_a_destroy_tells_of_a_setting_that_could_not_be_renamed_to_what_that_one_goes_back(
    site: Site, host: Host
) -> None:
    start = host.state()
    wish = WISHES["service"]
    fine(site.apply(wish))
    id_ = resource_id(Service.kind, "esx-01/ntpd")
    other = Service(id=id_, service="ntpd", policy="on", running=True, **COMMON)
    site.moved = {wish.id: other.id}
    leaving = site.plan(other, mode="destroy")
    (action,) = leaving.actions
    assert action.resource == wish.id
    assert [(one.field, one.before, one.after) for one in action.changes] == [
        ("policy", "on", "off"),
        ("running", True, False),
    ]
    fine(site.apply(other, mode="destroy", planned=leaving))
    assert host.state() == start


def test_a_rename_that_was_cut_short_goes_on(site: Site) -> None:
    wish = WISHES["ntp"]
    fine(site.apply(wish))
    baseline = json.loads(site.host.files[LEDGER])["entries"][wish.id]["baseline"]
    renamed = dataclasses.replace(wish, id=resource_id(Ntp.kind, "esx-01/again"))
    site.moved = {wish.id: renamed.id}
    for number in range(1, 20):
        site.host.dies = len(site.host.calls) + number
        planned = site.plan(renamed)
        outcome = site.apply(renamed, planned=planned)
        site.host.dies = None
        if not outcome.failed:
            break
    assert number > 1, "nothing was cut"
    assert verbs(site.plan(renamed)) == {renamed.id: "keep"}
    assert json.loads(site.host.files[LEDGER])["entries"] == {
        renamed.id: {
            "action": planned.actions[0].id,
            "address": {},
            "baseline": baseline,
            "complete": True,
        }
    }


def test_what_time_servers_need_is_said_before_it_is_read_so_that_one_call_fetches_it() -> None:
    class Listening(Session):
        def __init__(self) -> None:
            super().__init__(Host())
            self.said: set[str] = set()
            self.read: list[set[str]] = []

        def snapshot(self, wants: Any) -> None:
            assert not self.read
            self.said |= set(wants["HostSystem"])

        def one(self, type_name: str, paths: Any) -> Any:
            self.read.append({path for path in paths if path.startswith("config.")})
            return super().one(type_name, paths)

    session = Listening()
    Ntp.look(session, {})
    assert set[str]().union(*session.read) == session.said
    first = dict(endpoints.HOST_WANTS)["HostSystem"]
    assert not session.said & set(first), "who asks for hosts alone does not decode these"


def test_a_new_switch_hears_which_port_of_which_physical_switch_it_is_plugged_into() -> None:
    """As a host's own one does; a bridge that is given none has it switched off."""
    made = switches.spec({"uplinks": ("vmnic1",), "mtu": 1500})
    listens = made.bridge.linkDiscoveryProtocolConfig
    assert (listens.protocol, listens.operation) == ("cdp", "listen")
