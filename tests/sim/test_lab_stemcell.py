"""A VM made from the lab's stemcell: its agent answers at its address, with the certificate that the CPI was given."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import uuid
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.raised import Raised
from tests.support.waiting import until

pytestmark = pytest.mark.lab

ADDRESS = "10.30.0.10"
PING = """
import base64, json, ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[1])
request = urllib.request.Request("https://10.30.0.10:6868/agent", data=b'{"method": "ping", "arguments": [], "reply_to": "x"}')
request.add_header("Authorization", "Basic " + base64.b64encode(b"mbus:Mbus-1").decode())
print(json.dumps(json.load(urllib.request.urlopen(request, context=context, timeout=30))))
"""


@pytest.fixture
def pair() -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ADDRESS)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return {"ca": public, "certificate": public, "private_key": private.decode()}


def test_the_agent_answers_while_the_machine_is_on_and_wired(
    empty_lab: Raised, pair: dict[str, str], tmp_path: Path
) -> None:
    settings = {
        "agent_id": "a",
        "vm": {"name": "vm", "id": "vm"},
        "mbus": "https://mbus:Mbus-1@0.0.0.0:6868",
        "networks": {"default": {"type": "manual", "ip": ADDRESS, "netmask": "255.255.255.0"}},
        "disks": {"system": 0, "ephemeral": 1, "persistent": {}},
        "blobstores": [],
        "env": {"bosh": {"mbus": {"cert": pair}}},
    }
    (tmp_path / "ca.pem").write_text(pair["ca"])
    name = str(uuid.uuid4())
    event = {
        "extra_config": {"guestinfo.bosh.env": base64.b64encode(json.dumps(settings).encode()).decode()},
        "nics": [{"mac": "00:50:56:00:00:07", "vlan": 30, "uplinks_up": 1}],
        "disks": [{"file": str(empty_lab.bootable("bosh-stemcell"))}],
    }
    empty_lab.power("on", name, **event)
    until(lambda: "agent: listens" in empty_lab.console(name), "the agent listens")
    assert empty_lab.python(PING, str(tmp_path / "ca.pem")) == {"value": "pong"}
    assert (empty_lab.lab.folder / "machines" / name / "settings.json").stat().st_mode & 0o077 == 0
    empty_lab.power("off", name)
    until(lambda: empty_lab.machine(name)["state"] == "off", "it is off")
    assert empty_lab.run(["pgrep", "-f", "standins.agent"], check=False).stdout == ""
    wrong = {**event, "nics": [{"mac": "00:50:56:00:00:07", "vlan": 20, "uplinks_up": 1}]}
    empty_lab.power("on", name, **wrong)
    until(lambda: empty_lab.machine(name)["obstacles"], "it has no address")
    empty_lab.power("destroyed", name)


def test_a_machine_without_settings_waits(empty_lab: Raised) -> None:
    name = str(uuid.uuid4())
    empty_lab.power("on", name, nics=[], disks=[{"file": str(empty_lab.bootable("bosh-stemcell"))}])
    until(lambda: "agent: no settings" in empty_lab.console(name), "the console says so")
    empty_lab.power("destroyed", name)
