"""Sessions with simulated ESXi hosts: trust, reading in one call, writing through the gate, uploads."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from paver.errors import BadInput, PaverError, Refused, Unobservable
from paver.lab import control, pki
from paver.ovf import ova, write
from paver.transport import stream, vsphere
from paver.transport.context import Wire
from paver.transport.vsphere import (
    LoginError,
    NoAccessError,
    TrustError,
    VsphereConnection,
    VsphereConnector,
    VsphereFault,
    VsphereWriter,
    nfc,
)
from tests.support.ports import free_port
from tests.support.vsphere_lab import simulator
from tests.support.waiting import until

pytestmark = pytest.mark.lab

ADDRESS = "127.0.0.21"


@dataclasses.dataclass(frozen=True)
class Named:
    name: str


@dataclasses.dataclass(frozen=True)
class Esx:
    port: int
    folder: Path
    pair: pki.Pair

    @property
    def control(self) -> Path:
        return self.folder / "esx.sock"

    def connector(self, **changes: Any) -> VsphereConnector:
        return dataclasses.replace(
            VsphereConnector(
                name="esx-01",
                address=ADDRESS,
                port=self.port,
                user="root",
                password=Named("esx-root"),
                pins=(self.pair.fingerprint,),
            ),
            **changes,
        )

    def trace(self) -> list[dict[str, Any]]:
        # What has no end yet is still being written.
        *whole, _ = (self.folder / "trace.jsonl").read_text().split("\n")
        return [json.loads(line) for line in whole]


def wire(password: str = "Geheim!1", **changes: Any) -> Wire:
    return Wire(reveal=lambda _: password, **changes)


@pytest.fixture
def esx(tmp_path: Path) -> Iterator[Esx]:
    pair = pki.host("esx-01.north.example", ADDRESS)
    certificate, key = pair.write(tmp_path, "rui")
    port = free_port(ADDRESS)
    (tmp_path / "datastore1").mkdir()
    config = {
        "hosts": [
            {
                "name": "esx-01",
                "listen": f"{ADDRESS}:{port}",
                "hostname": "esx-01.north.example",
                "certificate": str(certificate),
                "key": str(key),
                "users": [{"name": "root", "password": "Geheim!1"}],
                "datastores": [
                    {"name": "datastore1", "path": str(tmp_path / "datastore1"), "capacity_bytes": 1 << 40}
                ],
                "uplinks": [{"device": "vmnic0", "up": True}],
                "licence": "evaluation",
                "version": "8.0.3",
                "trace": str(tmp_path / "trace.jsonl"),
            }
        ],
        "control": str(tmp_path / "esx.sock"),
    }
    (tmp_path / "esx.json").write_text(json.dumps(config))
    with simulator("esx", tmp_path / "esx.json", tmp_path / "vsim.log"):
        yield Esx(port, tmp_path, pair)


class Gate:
    """Lets everything pass and remembers it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, call: str, target: str = "", detail: object = None) -> None:
        del target, detail
        self.calls.append(call)


@pytest.fixture
def connection(esx: Esx) -> Iterator[VsphereConnection]:
    opened = esx.connector().connect(wire())
    yield opened
    opened.close()


@pytest.fixture
def writer(connection: VsphereConnection) -> VsphereWriter:
    return connection.writer(Gate())


def host_of(reader: vsphere.VsphereReader, *paths: str) -> tuple[Any, dict[str, Any]]:
    found = reader.one("HostSystem", paths or ("name",))
    assert found is not None
    return found


def test_a_pinned_host_is_reached_and_read(connection: VsphereConnection) -> None:
    reader = connection.reader()
    assert reader.content.about.apiVersion.startswith("8.0")
    host, values = host_of(reader, "name", "config.network.portgroup", "summary.host")
    assert values["name"] == "esx-01.north.example"
    assert vsphere.describe(host).startswith("HostSystem:")


def test_another_certificate_than_the_pinned_one_is_refused_before_the_login(esx: Esx) -> None:
    other = pki.host("esx-01.north.example", ADDRESS)
    with pytest.raises(TrustError, match="another certificate"):
        esx.connector(pins=(other.fingerprint,)).connect(wire())
    with pytest.raises(TrustError, match="nothing is known"):
        esx.connector(pins=()).connect(wire())
    assert [line for line in esx.trace() if line["kind"] == "soap"] == []


def test_a_certificate_of_a_known_root_is_trusted_where_the_pin_no_longer_holds(esx: Esx) -> None:
    vmca = pki.vmca("vsphere.local", "vcsa.north.example")
    issued = pki.machine("esx-01.north.example", vmca)
    certificate, key = issued.write(esx.folder, "issued")
    control.call(
        esx.control,
        "POST",
        "/certificate",
        {"server": "esx-01", "certificate": certificate.read_text(), "key": key.read_text()},
    )
    root = vmca.certificate.public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(TrustError, match="another certificate"):
        esx.connector().connect(wire())
    trusted = esx.connector(roots=("vmca",), server_name="esx-01.north.example")
    trusted.connect(wire(anchor=lambda name: root if name == "vmca" else None)).close()
    with pytest.raises(TrustError, match="another name"):
        esx.connector(roots=("vmca",), server_name="esx-02.north.example").connect(
            wire(anchor=lambda _: root)
        )
    stranger = pki.vmca("vsphere.local", "vcsa.north.example").certificate
    with pytest.raises(TrustError):
        trusted.connect(wire(anchor=lambda _: stranger.public_bytes(serialization.Encoding.PEM).decode()))


def test_a_session_outlives_the_new_certificate_that_vcenter_gives_its_host(esx: Esx) -> None:
    vmca = pki.vmca("vsphere.local", "vcsa.north.example")
    issued = pki.machine("esx-01.north.example", vmca)
    certificate, key = issued.write(esx.folder, "issued")
    root = vmca.certificate.public_bytes(serialization.Encoding.PEM).decode()
    anchors: dict[str, str] = {}
    connector = esx.connector(roots=("vmca",), server_name="esx-01.north.example")
    connection = connector.connect(wire(anchor=anchors.get))

    def dialled_anew() -> bytes | None:
        connection._link.stub.DropConnections()
        connection.forget()
        return connection.reader().datastore_get("datastore1", "none")

    assert dialled_anew() is None
    control.call(
        esx.control,
        "POST",
        "/certificate",
        {"server": "esx-01", "certificate": certificate.read_text(), "key": key.read_text()},
    )
    with pytest.raises(TrustError, match="another certificate"):
        dialled_anew()
    anchors["vmca"] = root
    assert dialled_anew() is None
    connection.close()


def test_a_wrong_password_and_a_dead_port_are_unobservable(esx: Esx) -> None:
    with pytest.raises(Unobservable, match="refuses the login of root"):
        esx.connector().connect(wire("wrong"))
    # Held, so that nobody else listens there.
    with socket.socket() as held:
        held.bind((ADDRESS, 0))
        with pytest.raises(Unobservable, match="does not answer"):
            esx.connector(port=held.getsockname()[1]).connect(wire())


def test_a_host_is_sent_a_wrong_password_once_a_run_and_the_error_says_what_more_of_it_costs(
    esx: Esx,
) -> None:
    run = wire("wrong")
    for _ in range(6):
        with pytest.raises(LoginError, match="refuses the login of root") as refused:
            esx.connector().connect(run)
    assert [line["method"] for line in esx.trace()].count("Login") == 1
    assert "five wrong passwords lock it for 15 minutes" in refused.value.why
    assert "check secret:esx-root before you try again, since each wrong try counts" in refused.value.do
    assert "`paver secrets set esx-root` takes the one that is set there" in refused.value.do
    assert "pam_tally2 --user root --reset" in refused.value.do
    esx.connector().connect(wire()).close()


def test_a_session_that_ended_is_not_renewed_twice_with_a_password_that_became_wrong(esx: Esx) -> None:
    passwords = {"esx-root": "Geheim!1"}
    connection = esx.connector().connect(Wire(reveal=lambda secret: passwords[secret.name]))
    passwords["esx-root"] = "another one by now"
    control.call(esx.control, "POST", "/expire", {"server": "esx-01"})
    for _ in range(3):
        connection.forget()
        with pytest.raises(LoginError, match="refuses the login of root"):
            connection.reader().objects("HostSystem", ["name"])
    assert [line["method"] for line in esx.trace()].count("Login") == 2
    connection.close()


def test_lockdown_mode_is_told_as_what_it_is(esx: Esx) -> None:
    control.call(esx.control, "POST", "/lockdown", {"server": "esx-01", "mode": "lockdownNormal"})
    with pytest.raises(NoAccessError, match="does not let root in, though the password is right") as refused:
        esx.connector().connect(wire())
    assert "lockdown mode" in refused.value.why
    assert "turn lockdown mode off in vCenter" in refused.value.do
    assert "exception user" in refused.value.do


def test_reading_twice_asks_once_and_forgetting_asks_again(esx: Esx, connection: VsphereConnection) -> None:
    reader = connection.reader()
    reader.snapshot(
        {"HostSystem": ["config.network.vswitch"], "Datastore": ["name"], "VirtualMachine": ["name"]}
    )

    def calls() -> int:
        return sum(line["method"] == "RetrievePropertiesEx" for line in esx.trace())

    reader.objects("HostSystem", ["name"])
    once = calls()
    assert reader.objects("Datastore", ["name"])[0][1] == {"name": "datastore1"}
    assert reader.objects("VirtualMachine", ["name"]) == []
    reader.objects("HostSystem", ["config.network.vswitch", "name"])
    assert calls() == once == 1
    connection.forget()
    reader.objects("Datastore", ["name"])
    assert calls() == 2


def test_a_file_is_fetched_once_until_a_file_is_written(esx: Esx, writer: VsphereWriter) -> None:
    def calls(method: str) -> int:
        return sum(line["method"] == method for line in esx.trace())

    assert writer.datastore_get("datastore1", "one") is None
    assert writer.datastore_get("datastore1", "one") is None
    assert calls("GET /folder/one") == 1
    host_of(writer)
    read = calls("RetrievePropertiesEx")
    writer.datastore_put("datastore1", "one", b"1")
    assert writer.datastore_get("datastore1", "one") == b"1"
    host_of(writer)
    assert calls("RetrievePropertiesEx") == read
    writer.forget()
    assert writer.datastore_get("datastore1", "one") == b"1"
    assert calls("GET /folder/one") == 3


def test_reading_anew_fetches_what_was_asked_for_since_the_last_time(
    esx: Esx, connection: VsphereConnection
) -> None:
    reader = connection.reader()
    reader.snapshot({"HostSystem": ["config.network.vswitch", "name"], "Datastore": ["name"]})
    reader.objects("HostSystem", ["name"])
    connection.forget()
    asked = sum(line["method"] == "RetrievePropertiesEx" for line in esx.trace())
    reader.objects("HostSystem", ["name"])
    reader.objects("Datastore", ["name"])
    assert sum(line["method"] == "RetrievePropertiesEx" for line in esx.trace()) == asked + 2
    connection.forget()
    connection.forget()
    reader.objects("HostSystem", ["name"])
    reader.objects("Datastore", ["name"])
    assert sum(line["method"] == "RetrievePropertiesEx" for line in esx.trace()) == asked + 3


def test_every_face_uses_the_sessions_own_connections(connection: VsphereConnection) -> None:
    reader = connection.reader()
    host_of(reader)
    (kept, _) = connection._link.stub.pool[0]
    for number in range(3):
        writer = connection.writer(Gate())
        writer.datastore_mkdir("datastore1", f"folder{number}")
        writer.datastore_put("datastore1", f"folder{number}/x", b"x")
        assert reader.datastore_get("datastore1", f"folder{number}/x") == b"x"
    assert [line for line, _ in connection._link.stub.pool] == [kept]


def test_no_reading_leaves_a_write_in_the_trace(esx: Esx, connection: VsphereConnection) -> None:
    reader = connection.reader()
    host_of(reader)
    reader.datastore_get("datastore1", "none")
    reader.query(reader.content.searchIndex, "FindByInventoryPath", inventoryPath="ha-datacenter")
    assert [line for line in esx.trace() if line["write"]] == []


def test_a_reading_face_refuses_writes_whatever_way_they_take(
    esx: Esx, connection: VsphereConnection
) -> None:
    reader = connection.reader()
    host, values = host_of(reader, "configManager.networkSystem")
    network = values["configManager.networkSystem"]
    with pytest.raises(Refused):
        reader.query(network, "AddPortGroup", portgrp=None)
    with pytest.raises(Refused):
        network.RemovePortGroup("VM Network")
    with pytest.raises(Refused):
        host.EnterMaintenanceMode_Task(0, False)
    with pytest.raises(Refused):
        reader.content.rootFolder.childEntity[0].vmFolder.CreateFolder("x")
    assert [line for line in esx.trace() if line["write"]] == []


def port_group(name: str) -> Any:
    return vsphere.new(
        "HostPortGroupSpec",
        name=name,
        vlanId=20,
        vswitchName="vSwitch0",
        policy=vsphere.new("HostNetworkPolicy"),
    )


def network_of(reader: vsphere.VsphereReader) -> Any:
    return host_of(reader, "configManager.networkSystem")[1]["configManager.networkSystem"]


def names_of(reader: vsphere.VsphereReader) -> set[str]:
    groups = host_of(reader, "config.network.portgroup")[1]["config.network.portgroup"]
    return {group.spec.name for group in groups}


def test_a_write_passes_the_gate_by_its_name_and_is_seen_afterwards(
    esx: Esx, connection: VsphereConnection
) -> None:
    gate = Gate()
    writer = connection.writer(gate)
    assert "mgmt" not in names_of(writer)
    writer.call(network_of(writer), "AddPortGroup", portgrp=port_group("mgmt"))
    assert "mgmt" in names_of(writer)
    assert "mgmt" in names_of(connection.reader())
    assert gate.calls == ["AddPortGroup"]
    assert [line["method"] for line in esx.trace() if line["write"]] == ["AddPortGroup"]


def test_a_gate_that_refuses_keeps_the_call_from_leaving(esx: Esx, connection: VsphereConnection) -> None:
    def refuse(call: str, target: str = "", detail: object = None) -> None:
        del target, detail
        raise Refused(call)

    writer = connection.writer(refuse)
    with pytest.raises(Refused):
        writer.call(network_of(writer), "AddPortGroup", portgrp=port_group("mgmt"))
    with pytest.raises(Refused):
        writer.datastore_put("datastore1", "x", b"x")
    assert [line for line in esx.trace() if line["write"]] == []


def test_a_fault_is_told_by_class_and_fields(writer: VsphereWriter) -> None:
    network = network_of(writer)
    writer.call(network, "AddPortGroup", portgrp=port_group("mgmt"))
    with pytest.raises(VsphereFault) as caught:
        writer.call(network, "AddPortGroup", portgrp=port_group("mgmt"))
    assert caught.value.fault == "AlreadyExists"
    assert caught.value.is_a("VimFault")
    assert "name mgmt" in str(caught.value)


def test_an_expired_session_logs_in_again_once(esx: Esx, connection: VsphereConnection) -> None:
    reader = connection.reader()
    host_of(reader)
    control.call(
        esx.control,
        "POST",
        "/fault",
        {"server": "esx-01", "method": "RetrievePropertiesEx", "fault": "NotAuthenticated", "times": 1},
    )
    reader.forget()
    host_of(reader)
    assert sum(line["method"] == "Login" for line in esx.trace()) == 2


@pytest.mark.parametrize(
    "read",
    [
        lambda reader: reader.value(reader.content.licenseManager, "licenses", fresh=True),
        lambda reader: reader.objects("Datastore", ("name",)),
        lambda reader: reader.query(reader.content.searchIndex, "FindByInventoryPath", inventoryPath="x"),
        lambda reader: reader.datastore_size("datastore1", "none"),
        lambda reader: reader.datastore_get("datastore1", "none"),
    ],
    ids=["a manager's property", "all objects of a type", "a method", "a file's size", "a file"],
)
def test_whatever_is_read_first_after_a_session_ended_is_read_in_a_new_one(
    esx: Esx, connection: VsphereConnection, read: Callable[[Any], Any]
) -> None:
    reader = connection.reader()
    before = read(reader)
    control.call(esx.control, "POST", "/expire", {"server": "esx-01"})
    reader.forget()
    assert repr(read(reader)) == repr(before)
    assert sum(line["method"] == "Login" for line in esx.trace()) == 2


def test_files_of_a_datastore_are_written_read_and_deleted(writer: VsphereWriter, esx: Esx) -> None:
    assert writer.datastore_get("datastore1", "paver/led ger.json") is None
    writer.datastore_mkdir("datastore1", "paver")
    writer.datastore_mkdir("datastore1", "paver")
    content = os.urandom(2_500_000)
    writer.datastore_put("datastore1", "paver/led ger.json", content)
    assert writer.datastore_get("datastore1", "paver/led ger.json") == content
    assert writer.datastore_size("datastore1", "paver/led ger.json") == len(content)
    assert (esx.folder / "datastore1/paver/led ger.json").read_bytes() == content
    writer.datastore_delete("datastore1", "paver")
    writer.datastore_delete("datastore1", "paver")
    assert writer.datastore_size("datastore1", "paver/led ger.json") is None


def test_a_file_that_another_writes_is_seen_where_the_host_is_asked_anew(
    writer: VsphereWriter, esx: Esx
) -> None:
    writer.datastore_put("datastore1", "one", b"ours")
    assert writer.datastore_get("datastore1", "one") == b"ours"
    (esx.folder / "datastore1/one").write_bytes(b"another's")
    assert writer.datastore_get("datastore1", "one") == b"ours"
    assert writer.datastore_get("datastore1", "one", fresh=True) == b"another's"


def test_a_task_is_waited_for_and_returns_its_result(writer: VsphereWriter) -> None:
    vm = create_vm(writer, "one")
    assert writer.value(vm, "name") == "one"
    told: list[int] = []
    writer.task(vm, "PowerOnVM_Task", told.append)
    assert told[-1] == 100
    with pytest.raises(VsphereFault) as caught:
        writer.task(vm, "Destroy_Task")
    assert caught.value.is_a("InvalidPowerState")
    writer.task(vm, "PowerOffVM_Task")
    writer.task(vm, "Destroy_Task")
    assert writer.objects("VirtualMachine") == []


def places(writer: VsphereWriter) -> tuple[Any, Any, Any]:
    pool = writer.one("ResourcePool")
    datacenter = writer.one("Datacenter", ("vmFolder",))
    datastore = writer.one("Datastore")
    assert pool is not None
    assert datacenter is not None
    assert datastore is not None
    return pool[0], datacenter[1]["vmFolder"], datastore[0]


def create_vm(writer: VsphereWriter, name: str) -> Any:
    pool, folder, _ = places(writer)
    spec = vsphere.new(
        "VirtualMachineConfigSpec",
        name=name,
        guestId="otherGuest64",
        numCPUs=1,
        memoryMB=64,
        files=vsphere.new("VirtualMachineFileInfo", vmPathName="[datastore1]"),
    )
    return writer.task(folder, "CreateVM_Task", config=spec, pool=pool)


@dataclasses.dataclass(frozen=True)
class Package:
    """An OVA on disk and what is to be sent of it."""

    ova: ova.Ova
    text: str
    disk: str

    def sources(self) -> dict[str, nfc.Source]:
        window = self.ova.member(self.disk)
        return {self.disk: nfc.Source(lambda: self.ova.member(self.disk), window.size)}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Package]:
    path = tmp_path_factory.mktemp("ova") / "tiny.ova"
    write.make_ova(path, name="tiny", disk=os.urandom(12_000_000), memory_mb=64)
    with ova.Ova(path) as opened:
        verified = opened.verify()
        text = opened.member("tiny.ovf").read().decode()
        yield Package(opened, text, verified.descriptor.files[0].href)


def spec_of(writer: VsphereWriter, package: Package) -> Any:
    pool, _, datastore = places(writer)
    (network,) = (one for one, values in writer.objects("Network") if values["name"] == "VM Network")
    return nfc.import_spec(
        writer, package.text, pool, datastore, name="jumpbox", networks={"VM Network": network}
    )


def test_an_ova_is_deployed_compared_and_born_with_its_mark(
    connection: VsphereConnection, package: Package
) -> None:
    gate = Gate()
    writer = connection.writer(gate)
    spec = spec_of(writer, package)
    spec.importSpec.configSpec.extraConfig.append(
        vsphere.new("OptionValue", key="paver.site", value="lab-north")
    )
    pool, folder, _ = places(writer)
    told: list[tuple[int, int]] = []
    vm = nfc.import_vapp(writer, pool, folder, None, spec, package.sources(), lambda *now: told.append(now))
    assert writer.value(vm, "name") == "jumpbox"
    options = {option.key: option.value for option in writer.value(vm, "config.extraConfig")}
    assert options["paver.site"] == "lab-north"
    size = package.ova.member(package.disk).size
    assert told[-1] == (size, size)
    assert gate.calls == ["ImportVApp", "nfc:POST", "HttpNfcLeaseComplete"]
    assert set(gate.calls) <= nfc.CALLS


@pytest.mark.parametrize("how", ["nothing", "NotSupported", "InvalidState"])
def test_a_host_that_does_not_tell_what_arrived_gets_its_machine_and_says_so(
    how: str, esx: Esx, connection: VsphereConnection, package: Package
) -> None:
    if how == "nothing":
        control.call(esx.control, "POST", "/manifest", {"server": "esx-01", "silent": True})
    else:
        rule = {"server": "esx-01", "method": "HttpNfcLeaseGetManifest", "fault": how}
        control.call(esx.control, "POST", "/fault", rule)
    writer = connection.writer(Gate())
    pool, folder, _ = places(writer)
    untold: list[str] = []
    vm = nfc.import_vapp(
        writer, pool, folder, None, spec_of(writer, package), package.sources(), None, untold.append
    )
    assert writer.value(vm, "name") == "jumpbox"
    [why] = untold
    assert why.startswith("esx-01 does not tell what arrived")
    assert how == "nothing" or how in why


def test_another_fault_of_asking_what_arrived_is_none_that_is_passed_over(
    esx: Esx, connection: VsphereConnection, package: Package
) -> None:
    rule = {"server": "esx-01", "method": "HttpNfcLeaseGetManifest", "fault": "HostCommunication"}
    control.call(esx.control, "POST", "/fault", rule)
    writer = connection.writer(Gate())
    pool, folder, _ = places(writer)
    with pytest.raises(VsphereFault, match="HostCommunication"):
        nfc.import_vapp(writer, pool, folder, None, spec_of(writer, package), package.sources())
    writer.forget()
    assert writer.objects("VirtualMachine") == []


@pytest.mark.parametrize(
    "how", ["cut short", "interrupted", "changed", "not as verified", "refused", "hung up"]
)
def test_an_upload_that_fails_leaves_no_machine_behind(
    how: str, esx: Esx, connection: VsphereConnection, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = connection.writer(Gate())
    spec = spec_of(writer, package)
    pool, folder, _ = places(writer)
    content = package.ova.member(package.disk).read()
    sources = {package.disk: nfc.Source(lambda: io.BytesIO(content), len(content))}
    expected: type[BaseException] = PaverError
    progress: Any = None
    if how == "cut short":
        sources = {package.disk: nfc.Source(lambda: io.BytesIO(content[:-100_000]), len(content))}
    elif how == "interrupted":
        expected = KeyboardInterrupt

        def interrupt(done: int, total: int) -> None:
            if done > total // 2:
                raise KeyboardInterrupt

        progress = interrupt
    elif how == "not as verified":
        sources = {package.disk: nfc.Source(lambda: io.BytesIO(content), len(content), "0" * 40)}
    elif how == "changed":
        monkeypatch.setattr(stream.Hashing, "hexdigest", lambda _: "0" * 40)
    else:
        rule = {"server": "esx-01", "method": "POST /nfc", "times": 1}
        rule |= {"cut_after_bytes": 3_000_000} if how == "hung up" else {"fault": "503"}
        control.call(esx.control, "POST", "/fault", rule)
    with pytest.raises(expected):
        nfc.import_vapp(writer, pool, folder, None, spec, sources, progress)
    writer.forget()
    assert writer.objects("VirtualMachine") == []
    assert "HttpNfcLeaseAbort" in [line["method"] for line in esx.trace()]


def test_a_descriptor_that_the_host_cannot_take_says_what_is_wrong(
    connection: VsphereConnection, package: Package
) -> None:
    writer = connection.writer(Gate())
    newer = dataclasses.replace(package, text=re.sub(r"vmx-\d+", "vmx-99", package.text))
    with pytest.raises(BadInput, match="cannot deploy") as caught:
        spec_of(writer, newer)
    assert "HardwareFamily" in caught.value.seen


def test_a_slow_upload_keeps_its_lease_alive(
    esx: Esx, connection: VsphereConnection, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nfc, "TELL", 0.02)
    writer = connection.writer(Gate())
    spec = spec_of(writer, package)
    pool, folder, _ = places(writer)

    def tellings() -> int:
        return sum(line["method"] == "HttpNfcLeaseProgress" for line in esx.trace())

    def slow(done: int, total: int) -> None:
        if done == total:
            until(lambda: tellings() >= 3)

    nfc.import_vapp(writer, pool, folder, None, spec, package.sources(), slow)
    assert tellings() >= 3
