"""Simulated hosts and a vCenter for the tests of the simulator itself, spoken to by pyVmomi and plain HTTP."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyVmomi import SoapAdapter
from pyVmomi import vim as _vim
from pyVmomi import vmodl as _vmodl

from paver.lab import build, control, pki
from tests.support.ports import free_port

# pyVmomi makes its types at run time.
vim: Any = _vim
vmodl: Any = _vmodl
_Stub: Any = SoapAdapter.SoapStubAdapter

ROOT = "Paver-Lab-1!"
SSO = "Paver-Sso-1!"
PORT = 8443
_NUMBERS = itertools.count(2)


def address() -> str:
    """A loopback address that no other test of this machine uses."""
    pid, number = os.getpid(), next(_NUMBERS)
    return f"127.{pid >> 8 & 127 | 64}.{pid & 255}.{number % 250 + 2}"


@dataclass
class Site:
    """Hosts and, if asked for, a vCenter, each a process or a part of one."""

    folder: Path
    allow: tuple[str, ...]
    hosts: dict[str, dict[str, Any]]
    vcenter: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stubs: list[Any] = field(default_factory=list)

    @property
    def esx_control(self) -> Path:
        """The hosts' control socket."""
        return self.folder / "run" / "esx.control.sock"

    @property
    def vcenter_control(self) -> Path:
        """The vCenter's."""
        return self.folder / "run" / "vcenter.control.sock"

    def where(self, name: str) -> tuple[str, int]:
        """Address and port of a host."""
        here, port = self.hosts[name]["listen"].rsplit(":", 1)
        return here.replace("0.0.0.0", "127.0.0.2"), int(port)  # noqa: S104 - replaced by what is dialled

    def host(self, name: str = "esx-01", password: str = ROOT) -> Any:
        """The content of a host's API, logged in."""
        return self._content(*self.where(name), "root", password)

    def center(self, user: str = "administrator@vsphere.local", password: str = SSO) -> Any:
        """The content of the vCenter's API, logged in."""
        return self._content(self.vcenter, PORT, user, password)

    def _content(self, host: str, port: int, user: str, password: str) -> Any:
        stub = _Stub(host, port, path="/sdk", version="vim.version.v8_0_3_0", sslContext=trusting())
        self.stubs.append(stub)
        content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
        content.sessionManager.Login(user, password, None)
        return content

    def steer(self, path: str, body: Any = None, *, at: Path | None = None, method: str = "") -> Any:
        """A call of the control socket, the hosts' unless another is given."""
        method = method or ("POST" if body is not None else "GET")
        return control.call(at or self.esx_control, method, path, body)

    def trace(self, name: str) -> list[dict[str, Any]]:
        """The calls that a server got."""
        return [json.loads(line) for line in (self.folder / f"{name}.jsonl").read_text().splitlines()]

    def machine_folder(self, uuid: str) -> Path:
        """What belongs to a machine that is on."""
        return self.folder / "machines" / uuid

    def connect_spec(self, name: str, **changes: Any) -> Any:
        """How a vCenter is told of a host, its certificate as it shows it now."""
        here, port = self.where(name)
        wanted = {
            "hostName": here,
            "port": port,
            "userName": "root",
            "password": ROOT,
            "sslThumbprint": thumbprint(here, port),
            "force": False,
        }
        return vim.host.ConnectSpec(**{**wanted, **changes})

    def more_vcenter(self, name: str, *, version: str = "8.0.3", dns: Sequence[str] = ()) -> str:
        """Starts a vCenter over the hosts and returns its address."""
        here = address()
        authority = pki.vmca("vsphere.local", name)
        crt, key = pki.machine(name, authority).write(self.folder, name)
        root, root_key = authority.write(self.folder, f"{name}-vmca")
        self._start(
            "vcenter",
            {
                "name": name,
                "listen": f"{here}:{PORT}",
                "certificate": str(crt),
                "key": str(key),
                "vmca": {"certificate": str(root), "key": str(root_key)},
                "sso": {"user": "administrator@vsphere.local", "password": SSO},
                "dns": list(dns),
                "version": version,
                "trace": str(self.folder / f"{name}.jsonl"),
                "control": str(self.folder / "run" / f"{name.partition('.')[0]}.control.sock"),
                "hosts_control": str(self.esx_control),
            },
        )
        return here

    def _start(self, mode: str, config: dict[str, Any]) -> None:
        file = self.folder / f"{mode}-{len(self.processes)}.json"
        file.write_text(json.dumps(config))
        argv = [str(build.build(["vsim"])["vsim"]), mode, "--config", str(file)]
        argv += [part for row in self.allow for part in ("--allow", row)]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", (self.folder / "log").read_text()

    def stop(self) -> list[int]:
        """Ends the processes and returns their exit codes."""
        for stub in self.stubs:
            stub.DropConnections()
        codes = []
        for process in reversed(self.processes):
            process.terminate()
            codes.append(process.wait(60))
            assert process.stdout is not None
            process.stdout.close()
        self.processes.clear()
        return codes


@contextlib.contextmanager
def site(
    *,
    hosts: int = 1,
    vcenter: bool = False,
    allow: Sequence[str] = (),
    room: Path | None = None,
    **settings: Any,
) -> Iterator[Site]:
    """Starts hosts esx-01 and on, and an empty vCenter where asked for."""
    # Unix sockets want short paths, which pytest's own folders are not.
    folder = Path(tempfile.mkdtemp(prefix="vsim-"))
    made: dict[str, dict[str, Any]] = {}
    listen = settings.pop("listen", "")
    for number in range(1, hosts + 1):
        name, here = f"esx-{number:02}", listen or address()
        crt, key = pki.host(f"{name}.north.example", here).write(folder, name)
        made[name] = {
            "name": name,
            "listen": f"{here}:{free_port(here) if listen else PORT}",
            "hostname": f"{name}.north.example",
            "certificate": str(crt),
            "key": str(key),
            "users": [{"name": "root", "password": ROOT}],
            "datastores": [{"name": "datastore1", "path": str(folder / name), "capacity_bytes": 1 << 28}],
            "uplinks": [{"device": "vmnic0", "up": True}, {"device": "vmnic1", "up": True}],
            "trace": str(folder / f"{name}.jsonl"),
            **settings,
        }
    there = Site(folder, tuple(allow), made)
    try:
        there._start(
            "esx",
            {
                "hosts": list(made.values()),
                "control": str(there.esx_control),
                "room": str(room or ""),
                "machines": str(folder / "machines"),
            },
        )
        if vcenter:
            there.vcenter = there.more_vcenter("vcenter.north.example")
        yield there
    finally:
        there.stop()
        shutil.rmtree(folder)


def trusting() -> ssl.SSLContext:
    """A context that looks at no certificate: trust is what other tests are about."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def thumbprint(host: str, port: int) -> str:
    """The SHA-1 of the certificate that a server shows, as vSphere writes it."""
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, port)))
    digest = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def wait(task: Any) -> Any:
    """A task's result; its fault is raised."""
    while task.info.state not in ("success", "error"):
        continue
    if task.info.state == "error":
        raise task.info.error
    return task.info.result


def fault(act: Callable[[], Any]) -> str | None:
    """The name of the fault that an act ends with, be it in the call or in its task; None when it passes."""
    try:
        done = act()
        if isinstance(done, vim.Task):
            wait(done)
    except vmodl.MethodFault as error:
        return type(error).__name__.rpartition(".")[2]
    return None
