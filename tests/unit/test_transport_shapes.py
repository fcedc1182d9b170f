"""What transport decides without a socket: what only reads, what is redacted, how pieces are put together."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import datetime as dt
import hashlib
import io
import json
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from paver.errors import BadInput, PaverError, Refused, Unobservable
from paver.transport import dial, http, job, probes, shell, socket_owner, ssh, stream, tls
from paver.transport.context import Wire
from paver.transport.machine import MachineReader
from paver.transport.vsphere import faults, folder, nfc, soap_gate, soap_types
from paver.transport.vsphere.snapshot import Snapshot

TREE = Path(__file__).parents[2]
PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["systemctl", "is-active", "dnsmasq"],
        ["ss", "-Htln"],
        ["dig", "+short", "@10.20.0.10", "vcsa.north.example"],
        ["chronyc", "-n", "tracking"],
        ["paver", "--version"],
        ["/usr/bin/cat", "/etc/resolv.conf"],
        ["ip", "-j", "addr", "show"],
        ["find", "/var/lib/paver", "-name", "x"],
        ["date", "-u", "+%s"],
    ],
)
def test_a_probe_that_reads_is_let_through(argv: list[str]) -> None:
    assert probes.reads(argv)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["systemctl", "restart", "dnsmasq"],
        ["ss", "-K", "dst", "10.0.0.1"],
        ["ss", "-tKn"],
        ["chronyc", "makestep"],
        ["paver", "apply"],
        ["ip", "addr", "add", "10.0.0.1/32", "dev", "lo"],
        ["ip", "-batch", "file"],
        ["find", "/", "-delete"],
        ["find", "/", "-fprintf=/etc/passwd"],
        ["date", "-s", "2020-01-01"],
        ["sh", "-c", "cat /etc/passwd"],
        ["bosh", "deploy"],
        ["dnsmasq"],
    ],
)
def test_a_command_that_may_write_is_no_probe(argv: list[str]) -> None:
    assert not probes.reads(argv)


def test_every_method_that_is_said_to_read_is_one_of_vsphere() -> None:
    soap_types.type_of("HostSystem")
    known = {name for _, name in soap_types.vmomi()._wsdlMethodMap}
    assert soap_gate.READS - known == set()
    assert soap_gate.UPKEEP - known == set()
    assert not {
        name for name in soap_gate.READS if name.startswith(("Add", "Update", "Remove", "Reconfigure"))
    }
    assert not soap_gate.READS & soap_gate.UPKEEP


def test_every_soap_method_that_passes_unasked_is_called_by_somebody() -> None:
    rooms = [TREE / "paver" / name / "vsphere" for name in ("transport", "drivers")]
    files = [file for room in rooms for file in room.rglob("*.py") if file.name != "soap_gate.py"]
    called = {
        node.attr if isinstance(node, ast.Attribute) else node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute | ast.Constant)
    }
    # pyVmomi has another name for it.
    by_other_names = {"RetrieveServiceContent"} if "RetrieveContent" in called else set()
    assert (soap_gate.READS | soap_gate.UPKEEP) - called == by_other_names


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ('{"password": "hunter2", "name": "x"}', "hunter2", '"name": "x"'),
        ('{"client_secret":"a\\"hunter2","x":1}', "hunter2", '"x":1'),
        ("token=hunter2&user=x", "hunter2", "user=x"),
        ("access_token: hunter2", "hunter2", "access_token"),
        ('{"private_key": "-----BEGIN hunter2', "hunter2", "private_key"),
    ],
)
def test_what_looks_like_a_secret_is_struck_out_of_answers(text: str, gone: str, left: str) -> None:
    shown = http.redacted(text)
    assert gone not in shown
    assert left in shown


def test_a_socket_is_its_owners_by_the_kernels_table() -> None:
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 1\n"
        "   1: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1002        0 2\n"
    )
    client, server = ("127.0.0.1", 0xC001), ("127.0.0.1", 0x1F90)
    assert socket_owner.in_table(client, server, table) == 1002
    assert socket_owner.in_table(server, client, table) == 0
    assert socket_owner.in_table(("127.0.0.1", 1), server, table) is None


def test_roots_are_texts_or_names_of_anchors_and_unknown_ones_are_left_out() -> None:
    wire = Wire(anchor=lambda name: PEM.strip() if name == "vmca" else None)
    assert wire.pem(("vmca", PEM, "none")) == PEM + PEM


def test_from_outside_the_way_leads_through_the_machine_and_on_the_jumpbox_it_does_not() -> None:
    assert Wire(proxy=lambda _: ("127.0.0.1", 1)).route("jumpbox") == ("127.0.0.1", 1)
    assert Wire(station="jumpbox").route("jumpbox") is None
    assert Wire().route(None) is None
    with pytest.raises(Unobservable):
        Wire().route("jumpbox")


def test_a_refused_certificate_is_found_wherever_a_library_hides_it() -> None:
    refused = ssl.SSLCertVerificationError("no")
    caused = OSError("x")
    caused.__cause__ = refused
    for error in (refused, OSError(refused), caused, RuntimeError(OSError(refused))):
        assert dial.refused_certificate(error) is refused
    assert dial.refused_certificate(OSError("no")) is None


def test_variables_stand_in_the_input_and_never_in_the_argv() -> None:
    argv, given = shell.with_env(["bosh", "env"], {"SECRET": "a\\b\nc"}, b"rest")
    assert argv[-2:] == ["bosh", "env"]
    assert not any("a\\b" in word for word in argv)
    assert given == b"SECRET=a\\\\b\\nc\n\nrest"
    assert shell.with_env(["x"], {}, b"y") == (["x"], b"y")


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_a_log_is_put_together_however_its_frames_are_cut(pieces: list[bytes], data: st.DataObject) -> None:
    end = b"=" + json.dumps({"state": "ended", "code": 0, "reason": "ended"}).encode() + b"\n"
    raw = b"".join(b"%d\n" % len(piece) + piece for piece in pieces) + end
    lines: list[str] = []
    following = job._Following(MachineReader.__new__(MachineReader), "x", lines.append, lambda: False)
    while raw:
        cut = data.draw(st.integers(1, len(raw)))
        following._take(raw[:cut])
        raw = raw[cut:]
    whole = b"".join(pieces)
    expected = [line.rstrip(b"\r").decode("utf-8", "replace") for line in whole.split(b"\n")[:-1]]
    assert lines == expected
    assert following._offset == len(whole)
    assert following._end is not None
    assert following._end.ok


@pytest.mark.parametrize("bad", ["", "../x", "a/b", ".hidden", "x" * 200, "a b"])
def test_a_job_id_that_could_leave_its_folder_is_refused(bad: str) -> None:
    with pytest.raises(BadInput):
        job._checked(bad)


class OnlyRead:
    """A source without `readinto`, as an archive's member is."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(size)


@given(st.binary(min_size=1, max_size=5000), st.integers(1, 700), st.booleans())
def test_what_is_sent_is_what_was_hashed_and_what_was_read(data: bytes, piece: int, plain: bool) -> None:
    source: stream.Readable = OnlyRead(data) if plain else io.BytesIO(data)
    hashing = stream.Hashing("sha1")
    sent = bytearray()
    before = stream.PIECE
    stream.PIECE = piece
    try:
        for part in stream._pieces(source, len(data), kept=hashing.kept):
            hashing.update(part)
            sent += part
    finally:
        stream.PIECE = before
    assert bytes(sent) == data
    assert hashing.hexdigest() == hashlib.sha1(data, usedforsecurity=False).hexdigest()


def test_a_source_that_ends_early_is_an_error() -> None:
    with pytest.raises(PaverError, match="ended 3 bytes early"):
        list(stream._pieces(io.BytesIO(b"1234567"), 10, kept=0))


def test_a_fault_tells_its_class_its_bases_and_its_fields() -> None:
    fault = soap_types.new("DuplicateName", name="mgmt", object=soap_types.ref("Folder", "group-v1"))
    told = faults.translate(fault, "CreateFolder", "vcenter: Folder:group-v1")
    assert told.fault == "DuplicateName"
    assert told.is_a("VimFault")
    assert told.fields == {"name": "mgmt", "object": "Folder:group-v1"}
    assert "already" in told.why


def test_an_api_version_is_never_newer_than_the_server_or_than_what_is_known() -> None:
    ids = soap_types.vmomi().versionIdMap
    assert ids[soap_types.newest_known("8.0.3.0")] == "8.0.3.0"
    assert ids[soap_types.newest_known("7.0.3.9")] == "7.0.3.2"
    assert soap_types.newest_known("99.0.0.0").startswith("vim.version.v9")
    assert soap_types.newest_known("6.5") == soap_types.BASELINE


def route(address: str) -> dial.Route:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return dial.Route(address=address, port=8443, trust=dial.Trust(context, "esx-01.north.example"))


def test_a_star_in_a_devices_address_is_the_host_and_port_that_were_dialled() -> None:
    dialled = route("10.20.0.11")
    for host in ("*", "10.20.0.11", "esx-01.north.example"):
        assert nfc.upload_route(dialled, host, 443, "") is dialled


@pytest.mark.parametrize(("elsewhere", "cookies"), [(False, ["vmware_soap_session"]), (True, [])])
def test_a_sessions_cookie_goes_to_the_server_of_the_session_alone(
    monkeypatch: pytest.MonkeyPatch, elsewhere: bool, cookies: list[str]
) -> None:
    sent: list[dict[str, str]] = []

    def stream(
        _route: object, _method: str, _path: str, headers: dict[str, str], *_: object, **__: object
    ) -> Any:
        sent.append(headers)
        return 200, "OK"

    dialled = route("10.20.0.11")
    link = SimpleNamespace(route=dialled, session=SimpleNamespace(cookie="vmware_soap_session"))
    writer = SimpleNamespace(link=link, name="esx-01", admit=lambda *_, **__: None)
    monkeypatch.setattr(nfc, "upload_route", lambda *_: route("10.20.0.12") if elsewhere else dialled)
    monkeypatch.setattr(nfc, "send_stream", stream)
    source = nfc.Source(open=lambda: io.BytesIO(b"x"), size=1, sha1="00")
    url = SimpleNamespace(url="https://*/nfc/1/disk", sslThumbprint="")
    nfc._send(cast("Any", writer), SimpleNamespace(create=False, path="disk"), url, source, lambda *_: None)
    assert [headers["Cookie"] for headers in sent if "Cookie" in headers] == cookies


def test_an_upload_elsewhere_without_a_thumbprint_is_refused() -> None:
    with pytest.raises(PaverError, match="nothing tells which certificate"):
        nfc.upload_route(route("10.20.0.20"), "esx-02.north.example", 443, "")


def test_an_upload_elsewhere_goes_only_to_the_certificate_that_the_lease_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "esx-02")])
    pem = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    monkeypatch.setattr(tls, "fetch_certificate", lambda *_, **__: pem)
    there = nfc.upload_route(route("10.20.0.20"), "esx-02", 443, tls.thumbprint(pem))
    assert there.address == "esx-02"
    assert there.trust.context.verify_mode is ssl.CERT_REQUIRED
    with pytest.raises(tls.TrustError, match="another certificate"):
        nfc.upload_route(route("10.20.0.20"), "esx-02", 443, ":".join(["AA"] * 20))


def test_the_gate_of_a_reading_face_refuses_everything() -> None:
    with pytest.raises(Refused, match="this session only reads"):
        soap_gate.refuse("PowerOnVM_Task", "VirtualMachine:1")


@dataclasses.dataclass
class Property:
    name: str
    val: Any


@dataclasses.dataclass
class Content:
    obj: Any
    propSet: Sequence[Property]  # noqa: N815
    missingSet: Sequence[Any] = ()  # noqa: N815


@dataclasses.dataclass
class Page:
    objects: Sequence[Content]
    token: str | None


class Collector:
    """Answers from a table, one object a page, and counts the calls."""

    def __init__(self, objects: Mapping[str, Mapping[str, Any]]) -> None:
        self._objects = objects
        self.asked: list[set[str]] = []
        self._waiting: list[Content] = []

    def RetrievePropertiesEx(self, filters: Sequence[Any], _: Any) -> Page | None:  # noqa: N802
        paths = {path for one in filters for prop in one.propSet for path in prop.pathSet}
        self.asked.append(paths)
        self._waiting = [
            Content(
                soap_types.ref(*name.split(":")),
                [Property(path, values[path]) for path in values if path in paths],
            )
            for name, values in self._objects.items()
        ]
        return self.ContinueRetrievePropertiesEx("")

    def ContinueRetrievePropertiesEx(self, _: str) -> Page | None:  # noqa: N802
        if not self._waiting:
            return None
        first = self._waiting.pop(0)
        return Page([first], "more" if self._waiting else None)


def snapshot_of(collector: Collector) -> Snapshot:
    return Snapshot(lambda: collector, lambda _: soap_types.ref("ContainerView", "view-1"))


def test_a_snapshot_reads_once_over_all_pages_and_unset_paths_are_none() -> None:
    collector = Collector(
        {"VirtualMachine:1": {"name": "a"}, "VirtualMachine:2": {"name": "b", "guest.ipAddress": "x"}}
    )
    snapshot = snapshot_of(collector)
    snapshot.expect({"VirtualMachine": ["guest.ipAddress"]})
    first = [values for _, values in snapshot.objects("VirtualMachine", ["name"])]
    second = [values for _, values in snapshot.objects("VirtualMachine", ["name", "guest.ipAddress"])]
    assert first == [{"name": "a"}, {"name": "b"}]
    assert second == [{"name": "a", "guest.ipAddress": None}, {"name": "b", "guest.ipAddress": "x"}]
    assert collector.asked == [{"name", "guest.ipAddress"}]


def test_after_a_plan_one_call_fetches_what_the_last_act_asked_for() -> None:
    collector = Collector({"Datastore:1": {"name": "d"}, "Network:1": {"name": "n", "summary.name": "n"}})
    snapshot = snapshot_of(collector)
    snapshot.expect({"Datastore": ["name"], "Network": ["name", "summary.name"]})
    snapshot.objects("Datastore", ["name"])
    for _ in range(2):
        snapshot.forget()
        snapshot.objects("Network", ["name"])
        snapshot.objects("Datastore", ["name"])
        snapshot.forget()
    assert collector.asked == [{"name", "summary.name"}, {"name"}, {"name"}, {"name"}]


def test_what_was_read_before_somebody_wrote_is_not_kept_after_it() -> None:
    collector = Collector({"Datastore:1": {"name": "d"}})
    snapshot = snapshot_of(collector)

    def slow() -> bytes:
        snapshot.forget()
        return b"old"

    place = ("datastore1", "ledger.json", "ha-datacenter")
    assert snapshot.file(place, slow) == b"old"
    assert snapshot.file(place, lambda: b"new") == b"new"
    assert snapshot.file(place, lambda: b"newer") == b"new"


def test_what_is_known_of_objects_is_not_read_again_with_what_is_not() -> None:
    collector = Collector({"VirtualMachine:1": {"name": "a", "guest.ipAddress": "x"}})
    snapshot = snapshot_of(collector)
    snapshot.objects("VirtualMachine", ["name"])
    ((_, values),) = snapshot.objects("VirtualMachine", ["name", "guest.ipAddress", "guest.hostName"])
    assert values == {"name": "a", "guest.ipAddress": "x", "guest.hostName": None}
    assert collector.asked == [{"name"}, {"guest.ipAddress", "guest.hostName"}]


def test_where_objects_came_meanwhile_all_is_read_again() -> None:
    there: dict[str, Mapping[str, Any]] = {"VirtualMachine:1": {"name": "a", "guest.ipAddress": "x"}}
    collector = Collector(there)
    snapshot = snapshot_of(collector)
    snapshot.objects("VirtualMachine", ["name"])
    there["VirtualMachine:2"] = {"name": "b", "guest.ipAddress": "y"}
    found = [values for _, values in snapshot.objects("VirtualMachine", ["guest.ipAddress", "name"])]
    assert found == [{"name": "a", "guest.ipAddress": "x"}, {"name": "b", "guest.ipAddress": "y"}]


def test_setting_an_attribute_drops_attributes_and_nothing_else() -> None:
    collector = Collector({"Folder:1": {"name": "vm", "customValue": ["a"]}, "Datastore:1": {"name": "d"}})
    snapshot, root = snapshot_of(collector), soap_types.ref("Folder", "1")
    snapshot.expect({"Folder": ["name", "customValue"], "Datastore": ["name"]})
    snapshot.objects("Datastore", ["name"])
    snapshot.values(root, ["name", "customValue"])
    collector.asked.clear()
    snapshot.forget_attributes()
    snapshot.objects("Datastore", ["name"])
    snapshot.values(root, ["name"])
    assert not collector.asked
    snapshot.values(root, ["name", "customValue"])
    snapshot.objects("Folder", ["name"])
    assert collector.asked == [{"customValue"}, {"name", "customValue"}]


def test_a_subclass_is_found_under_its_base_too() -> None:
    collector = Collector({"ClusterComputeResource:1": {"name": "compute"}})
    snapshot = snapshot_of(collector)
    assert len(snapshot.objects("ComputeResource", ["name"])) == 1
    assert len(snapshot.objects("ClusterComputeResource", ["name"])) == 1


def test_a_property_that_may_not_be_read_is_never_unset() -> None:
    @dataclasses.dataclass
    class Missing:
        path: str
        fault: Any

    collector = Collector({})
    denied = Content(
        soap_types.ref("Datastore", "1"),
        [],
        [Missing("name", soap_types.new("NoPermission", privilegeId="System.Read"))],
    )
    collector.RetrievePropertiesEx = lambda *_: Page([denied], None)  # type: ignore[method-assign]
    with pytest.raises(Unobservable, match="NoPermission"):
        snapshot_of(collector).objects("Datastore", ["name"])


@pytest.mark.parametrize("answer", [b"Welcome to jumpbox!\n", b"[]", b"{", b'{"state": 1, "argv": 2}', b""])
def test_what_is_no_answer_about_a_job_is_told_as_such(answer: bytes) -> None:
    machine: Any = SimpleNamespace(name="jumpbox", host=SimpleNamespace(python="python3"))
    with pytest.raises(Unobservable, match="jumpbox: job x was asked, and something else answered") as told:
        job._told(machine, "x", answer)
    assert told.value.seen == answer.decode().strip()


def test_a_log_between_whose_frames_something_else_writes_is_told_as_such() -> None:
    machine: Any = SimpleNamespace(name="jumpbox", host=SimpleNamespace(python="python3"))
    following = job._Following(machine, "x", print, lambda: False)
    following._take(b"3\nabc")
    with pytest.raises(Unobservable, match="something else answered") as told:
        following._take(b"You have new mail.\n4\nabcd")
    assert told.value.seen == "You have new mail."


@given(st.binary(max_size=80), st.binary(max_size=80), st.data())
def test_what_a_shell_greets_with_is_cut_off_however_it_arrives(
    greeting: bytes, answer: bytes, data: st.DataObject
) -> None:
    got = bytearray()
    take = ssh._Answer("0123456789abcdef", got.extend)
    raw = greeting + b"0123456789abcdef 4194304\n" + answer
    while raw:
        cut = data.draw(st.integers(1, len(raw)))
        take(raw[:cut])
        raw = raw[cut:]
    assert bytes(got) == answer
    assert take.shell == "4194304"


def test_a_file_of_a_datastore_that_is_too_large_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MOST_BYTES", 1024 * 1024)
    read: list[int] = []

    def give(most: int) -> bytes:
        read.append(most)
        return b"x" * most

    closed: list[bool] = []
    response = SimpleNamespace(status=200, read=give)
    connection = SimpleNamespace(
        request=lambda *_, **__: None, getresponse=lambda: response, close=lambda: closed.append(True)
    )
    route: Any = SimpleNamespace(netloc="esx-01")
    lent: Any = lambda: contextlib.nullcontext(connection)  # noqa: E731
    with pytest.raises(Unobservable, match=r"\[datastore1\] paver/x has more than 1 MiB"):
        folder.get(route, lent, "", "datastore1", "paver/x", folder.ESX_DATACENTER)
    assert read == [1024 * 1024 + 1]
    assert closed, "the rest would be taken for the next answer"


def test_paths_of_several_objects_are_read_in_one_call_and_what_is_kept_is_not_read_again() -> None:
    collector = Collector(
        {"Folder:1": {"name": "vm", "customValue": ["a"]}, "CustomFieldsManager:f": {"field": 1}}
    )
    snapshot = snapshot_of(collector)
    root, other = soap_types.ref("Folder", "1"), soap_types.ref("Folder", "2")
    wants = [(root, ["customValue"]), (other, ["customValue"]), (root, ["name"])]
    for _ in range(2):
        assert snapshot.several(wants) == [{"customValue": ["a"]}, {"customValue": None}, {"name": "vm"}]
    assert collector.asked == [{"name", "customValue"}]
    snapshot.forget_attributes()
    assert snapshot.values(root, ["name", "customValue"]) == {"name": "vm", "customValue": ["a"]}
    assert collector.asked[1:] == [{"customValue"}]


def test_what_was_asked_for_by_its_base_type_is_known_by_its_own() -> None:
    snapshot = snapshot_of(Collector({"DistributedVirtualPortgroup:dvportgroup-7": {"name": "bosh"}}))
    assert snapshot.values(soap_types.ref("Network", "dvportgroup-7"), ["name"]) == {"name": "bosh"}


def test_an_answer_is_kept_until_something_is_forgotten_and_not_where_it_was_asked_before_that() -> None:
    snapshot, answers = snapshot_of(Collector({})), iter(range(9))
    assert [snapshot.answer("a", lambda: next(answers)) for _ in range(2)] == [0, 0]
    assert snapshot.answer("b", lambda: next(answers)) == 1
    snapshot.forget()

    def while_somebody_writes() -> int:
        snapshot.forget()
        return next(answers)

    assert snapshot.answer("a", while_somebody_writes) == 2
    assert [snapshot.answer("a", lambda: next(answers)) for _ in range(2)] == [3, 3]


def test_what_lasts_outlives_what_is_forgotten_and_ends_with_the_calls_that_change_it() -> None:
    snapshot, answers = snapshot_of(Collector({})), iter(range(9))

    def lasting() -> int:
        return snapshot.lasting("roles", lambda: next(answers), until=frozenset({"AddRole", "RemoveRole"}))

    assert lasting() == 0
    snapshot.forget()
    snapshot.called("CreateFolder")
    assert lasting() == 0
    snapshot.called("RemoveRole")
    assert lasting() == 1
    assert snapshot.lasting("roles", lambda: 7, until=frozenset(), anew=True) == lasting() == 7

    def while_one_is_added() -> int:
        snapshot.called("AddRole")
        return next(answers)

    snapshot.forget_all()
    assert snapshot.lasting("roles", while_one_is_added, until=frozenset({"AddRole"})) == 2
    assert lasting() == 3
