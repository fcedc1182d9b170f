"""A lab with two hosts, a vCenter that has each in a cluster of its own, and a BUCC tree to raise a director from."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from paver.drivers.vsphere import DRIVER
from paver.drivers.vsphere.inventory import bosh
from paver.lab import build, control, plan, system
from paver.lab.standins import libyaml, tarballs
from paver.sitefile import Site as Wished
from paver.sitefile.load import loads
from tests.support.raised import Raised, held
from tests.support.vsphere_lab import text_of
from tests.support.waiting import until

PASSWORD = "Paver-Lab-1!"
SSO = "Paver-Sso-1!"
VCENTER = "vcsa.north.example"
DIRECTOR = "10.30.0.10"
HERE = Path(__file__).parent
CLUSTERS = ("compute", "edge")
"""The cluster of the zone z1, the director's, and that of z2; each has a host."""


@dataclass
class Site:
    """The lab from BOSH's side: a BUCC tree, its project folder, and the official CLI inside of the lab."""

    raised: Raised
    tree: Path
    project: Path
    services: Path
    variables: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def creds(self) -> dict[str, Any]:
        """What create-env generated."""
        found: dict[str, Any] = libyaml.loads((self.project / "state" / "creds.yml").read_text())
        return found

    def write_vars(self, **changes: Any) -> None:
        """Writes vars.yml, with some values changed."""
        (self.project / "vars.yml").write_text(yaml.safe_dump({**self.variables, **changes}))

    def bucc(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `bucc`."""
        environment = {"BUCC_PROJECT_ROOT": str(self.project), "HOME": str(self.project / "home")}
        return self.raised.run(
            [str(self.tree / "bin" / "bucc"), *words], env=environment, check=check, timeout=120
        )

    def bosh(
        self, *words: str, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs the official CLI as the director's admin."""
        environment = {
            "HOME": str(self.project / "home"),
            "BOSH_ENVIRONMENT": f"https://{DIRECTOR}:25555",
            "BOSH_CLIENT": "admin",
            "BOSH_CLIENT_SECRET": self.creds["admin_password"],
            "BOSH_CA_CERT": self.creds["default_ca"]["certificate"],
            "BOSH_NON_INTERACTIVE": "true",
            # Entering a mount namespace leaves the folder unreachable by name; Go believes PWD.
            "PWD": str(self.raised.lab.folder),
        }
        argv = [str(self.tree / "bin" / "bosh"), "--tty", *words]
        if text is not None:
            file = self.raised.lab.folder / "tmp" / f"{uuid.uuid4()}.yml"
            file.write_text(text)
            argv.append(str(file))
        done = self.raised.run(argv, env=environment, check=check, timeout=120)
        # The CLI tells errors on stderr, what it was about on stdout.
        done.stdout += done.stderr
        return done

    def cpi(
        self, method: str, *arguments: Any, clusters: tuple[str, ...] = (), **changes: Any
    ) -> dict[str, Any]:
        """Makes one call of the CPI, with other clusters than the director's own, or some of the variables changed."""
        values = {**self.variables, **changes}
        datacenter = {
            "name": values["vcenter_dc"],
            "vm_folder": values["vcenter_vms"],
            "template_folder": values["vcenter_templates"],
            "disk_path": values["vcenter_disks"],
            "datastore_pattern": values["vcenter_ds"],
            "clusters": clusters
            or [{values["vcenter_cluster"]: {"resource_pool": values.get("vcenter_rp")}}],
        }
        vcenter = {
            "host": values["vcenter_ip"],
            "user": values["vcenter_user"],
            "password": values["vcenter_password"],
            "connection_options": {"ca_cert": values["vcenter_ca_cert"]},
            "datacenters": [datacenter],
        }
        properties = {"vcenters": [vcenter], "agent": {"mbus": ""}}
        file = self.project / "cpi.json"
        file.write_text(json.dumps({"cloud": {"properties": properties}}))
        request = json.dumps({"method": method, "arguments": arguments})
        argv = [sys.executable, "-m", "paver.lab.standins.cpi", "--config", str(file)]
        environment = {"PYTHONPATH": system.python_path()}
        answer: dict[str, Any] = json.loads(self.raised.run(argv, env=environment, input=request).stdout)
        return answer

    def rows(self, *words: str) -> list[dict[str, str]]:
        """The rows of the first table that the official CLI shows."""
        found: list[dict[str, str]] = json.loads(self.bosh("--json", *words).stdout)["Tables"][0]["Rows"]
        return found

    def machines(self) -> dict[str, Any]:
        """The room's machines by VM name."""
        return {
            machine["name"]: machine for machine in control.call(self.raised.lab.room, "GET", "/machines")
        }


@pytest.fixture(scope="session")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The BUCC artefact, unpacked."""
    programs = build.build(["bosh", "minio", "registry"])
    folder = tmp_path_factory.mktemp("artefact")
    argv = [sys.executable, "-m", "paver.lab.standins.bucc_artefact", "--out", str(folder / "bucc.tar")]
    for name in ("bosh", "minio", "registry"):
        argv += [f"--{name}", str(programs[name])]
    subprocess.run(argv, check=True, env={**os.environ, "PYTHONPATH": system.python_path()})
    with tarfile.open(folder / "bucc.tar") as tar:
        tarballs.unpack(tar, folder)
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, tools: dict[str, Path], artefact: Path) -> Iterator[Site]:
    """A lab whose vCenter has a cluster for each zone, on a datastore of its own, ready for `bucc up`."""
    folder = tmp_path_factory.mktemp("lab")
    bare = plan.demo({"esx-01": PASSWORD, "esx-02": PASSWORD})
    records = ((VCENTER, "10.20.0.20"), *((host.hostname, host.address) for host in bare.hosts))
    wanted = replace(bare, dns=("10.20.0.2",), ntp=("10.20.0.3",), records=records)
    programs = dict(build.build(["vsim", "minio", "registry", "bosh"]))
    with held(wanted, folder, programs=programs, tools=tools) as lab:
        raised = Raised(lab)
        authority = _vcenter(raised)
        yield _site(raised, artefact, tmp_path_factory.mktemp("bucc"), authority)


@pytest.fixture(scope="session")
def director(site: Site) -> Site:
    """The site with its director up."""
    site.bucc("up", "--cpi", "vsphere", "--dns")
    return site


def _vcenter(raised: Raised) -> str:
    machine = str(uuid.uuid4())
    nic = {
        "key": 4000,
        "mac": "00:50:56:01:02:20",
        "port_group": "mgmt",
        "vlan": 20,
        "switch": "vSwitch0",
        "uplinks_up": 1,
        "connected": True,
    }
    properties = {
        "appliance.net.addr": "10.20.0.20",
        "appliance.net.pnid": VCENTER,
        "appliance.net.dns.servers": "10.20.0.2",
        "appliance.ntp.servers": "10.20.0.3",
        "vmdir.password": SSO,
        "vmdir.domain-name": "vsphere.local",
        "vmdir.username": "administrator",
    }
    extra = {f"guestinfo.cis.{key}": value for key, value in properties.items()}
    raised.power(
        "on", machine, extra_config=extra, nics=[nic], disks=[{"file": str(raised.bootable("vcsa"))}]
    )
    until(lambda: "answers at" in raised.console(machine), "vCenter answers")
    hosts = {
        cluster: {
            "name": host.hostname,
            "address": host.address,
            "user": "root",
            "password": PASSWORD,
            "thumbprint": _thumbprint(raised, host.name),
        }
        for cluster, host in zip(CLUSTERS, raised.lab.plan.hosts, strict=True)
    }
    vcenter = {"address": "10.20.0.20", "user": "administrator@vsphere.local", "password": SSO}
    raised.run(
        [sys.executable, str(HERE / "vcenter_site.py"), json.dumps(hosts), json.dumps(vcenter)],
        env={"PYTHONPATH": system.python_path()},
    )
    root = raised.lab.folder / "machines" / machine / "root" / "var/lib/vmware/vmca/root.cer"
    return root.read_text()


def _thumbprint(raised: Raised, host: str) -> str:
    pem = (raised.lab.folder / "certificates" / f"{host}.crt").read_text()
    digest = hashlib.sha1(ssl.PEM_cert_to_DER_cert(pem), usedforsecurity=False).hexdigest().upper()
    return ":".join(digest[index : index + 2] for index in range(0, 40, 2))


def in_clusters(raised: Raised, folder: Path) -> Wished:
    """A site file's site with these clusters: what paver tells the director's CPI of them is told here."""
    own, other = CLUSTERS
    zones = f"{{{own}: {{hosts: [esx-01], azs: [z1]}}, {other}: {{hosts: [esx-02], azs: [z2]}}}}"
    text = text_of(list(raised.lab.fingerprints.values()))
    text = text.replace("{compute: {hosts: [esx-01, esx-02]}}", zones)
    second = "{cidr: 10.31.0.0/24, gateway: 10.31.0.1, port_group: bosh, az: z2}"
    text = text.replace("site_services:", f"  bosh-2: {second}\nsite_services:", 1)
    return loads(text, {"vsphere": DRIVER}, file="site.yml", folder=folder)


def _site(raised: Raised, artefact: Path, project: Path, authority: str) -> Site:
    tree = artefact / "bucc"
    (project / "operators").mkdir()
    (project / "home").mkdir()
    for source in ("misc/ntp.yml", "vsphere/custom-ca.yml"):
        text = (tree / "src" / "bosh-deployment" / source).read_text()
        (project / "operators" / f"zz-{Path(source).name}").write_text(text)
    for name, text in bosh.cpi_operators(in_clusters(raised, project)).items():
        (project / "operators" / name).write_text(text)
    variables = {
        "director_name": "bucc",
        "internal_cidr": "10.30.0.0/24",
        "internal_gw": "10.30.0.1",
        "internal_ip": DIRECTOR,
        "network_name": "bosh",
        "vcenter_ip": VCENTER,
        "vcenter_user": "administrator@vsphere.local",
        "vcenter_password": SSO,
        "vcenter_dc": "north",
        "vcenter_cluster": CLUSTERS[0],
        "vcenter_ds": bosh.pattern(("datastore1",)),
        "vcenter_disks": "bosh_disks",
        "vcenter_templates": "bosh_templates",
        "vcenter_vms": "bosh_vms",
        "vcenter_vm_cpu": 4,
        "vcenter_vm_disk": 50000,
        "vcenter_vm_ram": 16640,
        "vcenter_dns": ["10.20.0.2"],
        "internal_ntp": ["10.20.0.3"],
        "vcenter_ca_cert": authority,
    }
    found = Site(raised, tree, project, artefact / "services", variables)
    found.write_vars()
    return found
