"""The stand-in for vCenter's installer against the simulated host, its DNS and time servers, and the room."""

from __future__ import annotations

import copy
import json
import os
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from paver.drivers.vsphere.vcsa import progress, template
from paver.lab import build, raising, system
from paver.lab import plan as plans
from paver.lab.standins import vcsa_iso
from paver.ovf.ova import Ova
from tests.support.installer import events, summary
from tests.support.waiting import until

pytestmark = pytest.mark.lab

SITE = "10.20.0.2"
PASSWORDS = {"esx": "Esx!Pass1", "root": "Root!Pass1", "sso": "Sso!Pass1"}
PLAN = plans.Plan(
    name="vcsa",
    zone="north.example",
    hosts=(
        plans.Host("esx-01", "10.20.0.11", "esx-01.north.example", PASSWORDS["esx"]),
        plans.Host("esx-02", "10.20.0.12", "esx-02.north.example", PASSWORDS["esx"], licence="free"),
        plans.Host(
            "esx-03",
            "10.20.0.13",
            "esx-03.north.example",
            PASSWORDS["esx"],
            datastores=(plans.Datastore("datastore1", 20 * 2**30),),
        ),
    ),
    networks=(plans.Network("mgmt", "10.20.0.0/24", 0),),
    dns=(SITE,),
    ntp=(SITE,),
    records=(
        ("vcsa.north.example", "10.20.0.20"),
        ("broken.north.example", "10.20.0.21"),
        ("slow.north.example", "10.20.0.22"),
        ("alias.north.example", "10.20.0.20"),
    ),
)


@dataclass(frozen=True)
class Room:
    """A lab that is up, and the installer's tree."""

    lab: raising.Lab
    command: Path

    def thumbprint(self, host: str) -> str:
        pem = (self.lab.folder / "certificates" / f"{host}.crt").read_text()
        return template.thumbprint(ssl.PEM_cert_to_DER_cert(pem))

    def template(self, **changes: Any) -> dict[str, Any]:
        """Returns a good template for esx-01; a change's key is `section__key`, ... takes the key out."""
        made: Any = template.build(
            template.Appliance(
                host="10.20.0.11",
                user="root",
                password=PASSWORDS["esx"],
                thumbprint=self.thumbprint("esx-01"),
                port_group="VM Network",
                datastore="datastore1",
                name="vcsa",
                size="tiny",
                address="10.20.0.20",
                prefix=24,
                gateway="10.20.0.1",
                dns=(SITE,),
                fqdn="vcsa.north.example",
                ntp=(SITE,),
                root_password=PASSWORDS["root"],
                sso_password=PASSWORDS["sso"],
            )
        )
        raw: dict[str, Any] = copy.deepcopy(made)
        for path, value in changes.items():
            section, key = path.split("__")
            if value is ...:
                del raw["new_vcsa"][section][key]
            else:
                raw["new_vcsa"][section][key] = value
        return raw

    def start(
        self,
        folder: Path,
        raw: Mapping[str, Any],
        *options: str,
        fault: str = "",
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        path = folder / "template.json"
        path.write_text(json.dumps(raw))
        argv = [str(self.command), "install", "--log-dir", str(folder / "log"), *options, str(path)]
        return subprocess.Popen(
            self.lab.argv(argv, cwd=folder),
            env=self.lab.environment() | {"PAVER_LAB_VCSA_FAULT": fault},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, folder: Path, raw: Mapping[str, Any], *options: str, fault: str = "") -> tuple[int, str]:
        process = self.start(folder, raw, *options, fault=fault)
        output, _ = process.communicate(timeout=90)
        return process.returncode, output

    def machines(self) -> dict[str, str]:
        """Returns the state of the first boot of all machines by name."""
        return {
            each["name"]: each.get("progress", {}).get("state", "") for each in self.lab.status()["machines"]
        }


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("lab")
    tools = system.provide(system.survey())
    lab = raising.up(PLAN, folder / "lab", programs=build.build(["vsim"]), tools=tools, isolated=True)
    try:
        yield Room(lab, vcsa_iso.build_tree(folder / "vcsa"))
    finally:
        raising.down(folder / "lab")


def _log(folder: Path) -> str:
    (workflow,) = (folder / "log").iterdir()
    assert workflow.name.startswith("workflow_")
    return (workflow / "vcsa-cli-installer.log").read_text()


def _status(folder: Path) -> Any:
    (workflow,) = (folder / "log").iterdir()
    return json.loads((workflow / "vcsa-cli-installer.json").read_text())["status"]


def _read_until(process: subprocess.Popen[str], wanted: str) -> str:
    """Reads the output until it says `wanted`, however it is cut into lines."""
    assert process.stdout is not None
    watchdog = threading.Timer(60, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    said = ""
    try:
        while wanted not in said:
            line = process.stdout.readline()
            assert line, f"ended without saying {wanted!r}: {said}"
            said += line.rstrip("\n")
    finally:
        watchdog.cancel()
    return said


EULA = "--accept-eula"


def test_an_installation_ends_with_a_vcenter_that_answers(room: Room, tmp_path: Path) -> None:
    code, output = room.run(tmp_path, room.template(), EULA)
    assert code == 0, output
    # It answers before the room says so.
    until(lambda: room.machines().get("vcsa") == "succeeded", "the room knows it")
    for told in (events(output), events(_log(tmp_path))):
        assert summary(told) == {
            "Appliance Name": "vcsa",
            "System Name": "vcsa.north.example",
            "System IP": "10.20.0.20",
            "Log in as": "Administrator@vsphere.local",
        }
        assert (told[-1].kind, told[-1].percent) == ("ended", 100)
    assert _status(tmp_path) == "success"
    assert max(map(len, output.splitlines())) == 80
    assert not [secret for secret in PASSWORDS.values() if secret in output + _log(tmp_path)]
    kinds = {event.kind for event in events(output)}
    assert kinds == {"started", "done", "transfer", "progress", "summary", "ended"}
    # A second one finds the first in its way, and touches nothing.
    second = tmp_path / "second"
    second.mkdir()
    code, output = room.run(second, room.template(), EULA)
    assert code == 1
    assert "'vcsa' already exists" in _log(second)


def test_a_failed_first_boot_leaves_a_machine_that_is_no_vcenter(room: Room, tmp_path: Path) -> None:
    raw = room.template(
        appliance__name="broken", network__ip="10.20.0.21", network__system_name="broken.north.example"
    )
    code, _ = room.run(tmp_path, raw, EULA, fault="fail-firstboot")
    assert code == 1
    told = events(_log(tmp_path))
    assert (told[-1].kind, told[-1].percent) == ("ended", None)
    found = progress.failure(told)
    assert found is not None
    assert "first boot failed" in found.reason
    assert _status(tmp_path) == "error"
    # The installer looks for itself, and may be the first to know.
    until(lambda: room.machines().get("broken") == "failed", "the room knows it")


def test_a_hanging_first_boot_hangs(room: Room, tmp_path: Path) -> None:
    raw = room.template(
        appliance__name="slow", network__ip="10.20.0.22", network__system_name="slow.north.example"
    )
    process = room.start(tmp_path, raw, EULA, fault="hang")
    try:
        _read_until(process, "Starting VMware Postgres...")
        # Where vCenter answers, any other installation ends at once.
        while (state := room.machines().get("slow")) != "succeeded":
            assert state != "failed"
            assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
    finally:
        # nsenter has a child inside of the lab: they go together.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_verifying_a_template_needs_no_host_and_no_eula(room: Room, tmp_path: Path) -> None:
    code, output = room.run(tmp_path, room.template(esxi__hostname="10.20.0.99"), "--verify-template-only")
    assert (code, _status(tmp_path)) == (0, "success"), output


def test_a_wrong_template_is_refused_with_its_key(room: Room, tmp_path: Path) -> None:
    code, _ = room.run(tmp_path, room.template(network__prefix=24), "--verify-template-only")
    assert code == 1
    assert "new_vcsa.network.prefix is not of type 'string'" in _log(tmp_path)


def test_a_precheck_makes_nothing(room: Room, tmp_path: Path) -> None:
    before = room.machines()
    code, output = room.run(tmp_path, room.template(appliance__name="never"), EULA, "--precheck-only")
    assert code == 0, output
    assert room.machines() == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"esxi__password": "Wrong!Pass1"}, "incorrect user name or password"),
        ({"esxi__ssl_certificate_verification": {"thumbprint": ":".join(["AB"] * 20)}}, "is not the one of"),
        ({"esxi__ssl_certificate_verification": ...}, "Nobody answers the question: Type 1"),
        ({"esxi__hostname": "10.20.0.99"}, "Could not connect"),
        ({"esxi__deployment_network": "mgmt"}, "Network 'mgmt' is not found; available: ['VM Network']"),
        ({"esxi__datastore": "Datastore1"}, "Datastore 'Datastore1' is not found; available: ['datastore1']"),
        ({"network__system_name": "absent.north.example"}, "resolves to nothing"),
        ({"network__ip": "10.20.0.23"}, "resolves to 10.20.0.20"),
        ({"network__system_name": "alias.north.example"}, "The reverse lookup of 10.20.0.20"),
        ({"network__dns_servers": ["10.20.0.99"]}, "resolves to nothing"),
        ({"os__ntp_servers": "10.20.0.99"}, "com.vmware.applmgmt.err_ntp_sync_failed"),
        ({"os__password": ""}, "Nobody answers the question: Password of the appliance's root"),
        ({"sso__password": ...}, "Nobody answers the question: Password of Administrator@vsphere.local"),
    ],
)
def test_what_is_not_in_order_is_found_before_anything_is_made(
    room: Room, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    before = room.machines()
    code, _ = room.run(tmp_path, room.template(appliance__name="never", **changes), EULA)
    assert code == 1
    assert said in _log(tmp_path)
    assert room.machines() == before


@pytest.mark.parametrize(
    ("host", "number", "said"),
    [("esx-02", 12, "RestrictedVersion"), ("esx-03", 13, "20 GB free; at least 45 GB")],
)
def test_a_host_that_cannot_take_it_is_found(
    room: Room, tmp_path: Path, host: str, number: int, said: str
) -> None:
    raw = room.template(
        esxi__hostname=f"10.20.0.{number}",
        esxi__ssl_certificate_verification={"thumbprint": room.thumbprint(host)},
        appliance__name="never",
    )
    code, output = room.run(tmp_path, raw, EULA)
    assert code == 1
    assert said in _log(tmp_path), output
    assert "never" not in room.machines()


def test_it_waits_for_an_answer_about_a_certificate_and_goes_on_with_it(room: Room, tmp_path: Path) -> None:
    raw = room.template(appliance__name="never", esxi__ssl_certificate_verification=...)
    process = room.start(tmp_path, raw, EULA, "--precheck-only", stdin=subprocess.PIPE)
    _read_until(process, "Type 1 to accept")
    assert process.poll() is None
    process.communicate("1\n", timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("options", [("--no-ssl-certificate-verification",), ()])
def test_it_can_be_told_not_to_look_at_the_certificate(
    room: Room, tmp_path: Path, options: tuple[str, ...]
) -> None:
    verification = ... if options else {"verification_mode": "NONE"}
    raw = room.template(appliance__name="never", esxi__ssl_certificate_verification=verification)
    assert room.run(tmp_path, raw, EULA, "--precheck-only", *options)[0] == 0


@pytest.mark.parametrize(("fault", "said"), [("precheck", "Precheck failed"), ("ask", "Nobody answers")])
def test_a_fault_can_be_ordered(room: Room, tmp_path: Path, fault: str, said: str) -> None:
    code, _ = room.run(tmp_path, room.template(appliance__name="never"), EULA, fault=fault)
    assert code == 1
    assert said in _log(tmp_path)


@pytest.mark.parametrize("program", ["ovftool", "ovftool.bin"])
def test_an_ovftool_that_may_not_be_run_makes_no_machine(room: Room, tmp_path: Path, program: str) -> None:
    tool = room.command.parents[2] / "vcsa/ovftool/lin64" / program
    tool.chmod(0o644)
    try:
        code, _ = room.run(tmp_path, room.template(appliance__name="never"), EULA)
    finally:
        tool.chmod(0o755)
    assert code == 1
    assert f"lin64/{program}" in _log(tmp_path)
    assert "Permission denied" in _log(tmp_path)
    assert "never" not in room.machines()


def test_without_the_eula_nothing_is_even_begun(room: Room, tmp_path: Path) -> None:
    code, output = room.run(tmp_path, room.template())
    assert code == 1
    assert "--accept-eula" in output
    assert not (tmp_path / "log").exists()


def test_the_experience_programme_wants_to_be_acknowledged(room: Room, tmp_path: Path) -> None:
    raw = room.template()
    raw["ceip"]["settings"]["ceip_enabled"] = True
    assert room.run(tmp_path, raw, "--verify-template-only")[0] == 1
    assert "--acknowledge-ceip is required" in _log(tmp_path)


def test_the_iso_holds_the_tree_without_its_exec_bits_and_is_the_same_each_time(
    room: Room, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.iso", tmp_path / "two.iso"
    for path in (one, two):
        vcsa_iso.build_iso(path)
    assert one.read_bytes() == two.read_bytes()
    argv = [
        str(room.lab.tools["xorriso"]),
        "-osirrox",
        "on",
        "-indev",
        str(one),
        "-extract",
        "/",
        str(tmp_path / "x"),
    ]
    subprocess.run(argv, check=True, capture_output=True)
    files = [each for each in (tmp_path / "x").rglob("*") if each.is_file()]
    names = {str(each.relative_to(tmp_path / "x")) for each in files}
    assert names >= {"vcsa-cli-installer/lin64/vcsa-deploy", "vcsa/ovftool/lin64/ovftool"}
    assert not [each for each in files if each.stat().st_mode & 0o111]
    (image,) = (tmp_path / "x/vcsa").glob("VMware-vCenter-Server-Appliance-8.0.3*.ova")
    with Ova(image) as ova:
        assert "<Version>8.0.3</Version>" in ova.verify().descriptor.text
    for folder in (tmp_path / "x").rglob("*"):
        folder.chmod(0o755)  # else the temporary folder could not be removed
