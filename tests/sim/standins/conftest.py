"""A datacentre of one vCenter simulator, without the room: machines are started by the watcher below."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pyVmomi import SoapStubAdapter, vim, vmodl

VCENTER = "127.30.0.20"


@dataclass(frozen=True)
class Authority:
    """A CA, PKCS#1 like BOSH wants it."""

    certificate: str
    private_key: str

    @classmethod
    def make(cls, name: str) -> Authority:
        """A self-signed root."""
        key = rsa.generate_private_key(65537, 2048)
        return cls(_sign(name, key.public_key(), name, key, authority=True), _pem(key))

    def issue(self, address: str) -> tuple[str, str]:
        """A server certificate for an address."""
        issuer = x509.load_pem_x509_certificate(self.certificate.encode())
        parent = serialization.load_pem_private_key(self.private_key.encode(), None)
        key = rsa.generate_private_key(65537, 2048)
        name = issuer.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        return _sign(address, key.public_key(), str(name), parent, authority=False), _pem(key)


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()


def _sign(name: str, key: Any, issuer: str, signer: Any, *, authority: bool) -> str:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class VCenter:
    """What a test needs to know about the simulator."""

    address: str
    port: int
    user: str
    password: str
    ca: str
    datacenter: str
    cluster: str
    datastore: str
    network: str

    def connect(self) -> Any:
        """A session of its own; the service's content."""
        context = ssl.create_default_context(cadata=self.ca)
        stub = SoapStubAdapter(self.address, self.port, path="/sdk", version="vim.version.v7_0", sslContext=context)
        content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
        content.sessionManager.Login(self.user, self.password, None)
        return content

    def vms(self) -> dict[str, dict[str, Any]]:
        """The VMs by name, with their power state and extraConfig."""
        return read_vms(self.connect())


def read_vms(content: Any) -> dict[str, dict[str, Any]]:
    """The VMs by name, read in one call: while others delete, reading one by one would fail."""
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    kind = vmodl.query.PropertyCollector
    way = kind.TraversalSpec(name="view", path="view", skip=False, type=vim.view.ContainerView)
    wanted = kind.FilterSpec(
        objectSet=[kind.ObjectSpec(obj=view, skip=True, selectSet=[way])],
        propSet=[kind.PropertySpec(type=vim.VirtualMachine, pathSet=["name", "runtime.powerState", "config.extraConfig"])],
    )
    found = {}
    for entry in content.propertyCollector.RetrieveContents([wanted]):
        facts = {prop.name: prop.val for prop in entry.propSet}
        extra = {option.key: option.value for option in facts.get("config.extraConfig", [])}
        found[str(facts["name"])] = {"on": facts.get("runtime.powerState") == "poweredOn", "extra": extra}
    view.Destroy()
    return found


@dataclass
class Machines:
    """Does what the room does on a power event: a VM that carries an agent's settings gets its agent."""

    vcenter: VCenter
    folder: Path
    environment: dict[str, str]
    agents: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _end: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Follows the VMs' power until `close`."""
        content = self.vcenter.connect()
        while not self._end.wait(0.05):
            powered = {
                name: vm["extra"]["guestinfo.bosh.env"]
                for name, vm in read_vms(content).items()
                if vm["on"] and "guestinfo.bosh.env" in vm["extra"]
            }
            for name in set(powered) - set(self.agents):
                self.agents[name] = self._start(name, powered[name])
            for name in set(self.agents) - set(powered):
                self._stop(name)

    def _start(self, name: str, settings: str) -> subprocess.Popen[bytes]:
        home = self.folder / name
        home.mkdir(parents=True, exist_ok=True)
        file = home / "settings.json"
        file.write_bytes(base64.b64decode(settings))
        with (home / "console.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "paver.lab.standins.agent", "--settings", str(file)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
            )

    def _stop(self, name: str) -> None:
        agent = self.agents.pop(name)
        agent.terminate()
        agent.wait()

    def close(self) -> None:
        """Ends the watching and every agent."""
        self._end.set()
        for name in list(self.agents):
            self._stop(name)
