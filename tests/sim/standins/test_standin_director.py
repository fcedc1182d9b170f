"""The lab's director under the official CLI: uploads, configs, deploys that start real servers, and refusals."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from paver.lab.standins import tarballs
from tests.sim.standins.conftest import CLUSTERS, Site

pytestmark = pytest.mark.lab

STORE, REGISTRY, AWAY = "10.30.0.11", "10.30.0.12", "10.30.0.13"
CLOUD: dict[str, Any] = {
    "azs": [
        {
            "name": zone,
            "cloud_properties": {"datacenters": [{"name": "north", "clusters": [{cluster: {}}]}]},
        }
        for zone, cluster in zip(("z1", "z2"), CLUSTERS, strict=True)
    ],
    "vm_types": [{"name": "default", "cloud_properties": {"cpu": 2, "ram": 1024, "disk": 10000}}],
    "disk_types": [{"name": "default", "disk_size": 10240}, {"name": "large", "disk_size": 20480}],
    "networks": [
        {
            "name": "bosh",
            "type": "manual",
            "subnets": [
                {
                    "range": "10.30.0.0/24",
                    "gateway": "10.30.0.1",
                    "azs": ["z1", "z2"],
                    "dns": ["10.20.0.2"],
                    "reserved": ["10.30.0.1-10.30.0.10"],
                    "static": ["10.30.0.11-10.30.0.30"],
                    "cloud_properties": {"name": "bosh"},
                }
            ],
        }
    ],
    "compilation": {"workers": 1, "network": "bosh", "az": "z1", "vm_type": "default"},
}
PROBE = """
import json, ssl, sys, urllib.error, urllib.request
url, ca, auth = sys.argv[1:]
request = urllib.request.Request(url, headers={"Authorization": auth} if auth else {})
context = ssl.create_default_context(cadata=ca)
try:
    with urllib.request.urlopen(request, context=context) as answer:
        print(json.dumps(answer.status))
except urllib.error.HTTPError as error:
    print(json.dumps(error.code))
except OSError as error:
    print(json.dumps(type(error).__name__))
"""


class Authority:
    """A CA for the services' certificates."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "services")])
        self.certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))

    def issue(self, address: str) -> tuple[str, str]:
        """Returns a server's certificate and key."""
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        form = serialization.PrivateFormat.TraditionalOpenSSL
        pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        return self._sign(name, key, names), pem.decode()

    def _sign(self, name: x509.Name, key: rsa.RSAPrivateKey, extension: x509.ExtensionType) -> str:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=2))
            .add_extension(extension, critical=False)
        )
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def stocked(director: Site) -> Site:
    """A director with stemcell, releases and configs; a config comes before what it names, which nobody asks for yet."""
    offline = director.tree / "src" / "offline_resources"
    runtime = director.tree / "src" / "bosh-deployment" / "runtime-configs" / "dns.yml"
    director.bosh("-n", "update-runtime-config", str(runtime))
    for path in offline.glob("bosh-vsphere-esxi*"):
        director.bosh("upload-stemcell", str(path))
    for path in (*offline.glob("bosh-dns*"), *director.services.glob("*.tgz")):
        director.bosh("upload-release", str(path))
    director.bosh("-n", "update-cloud-config", text=yaml.safe_dump(CLOUD))
    return director


def manifest(
    name: str, release: str, version: str, address: str, jobs: list[dict[str, Any]]
) -> dict[str, Any]:
    group = {
        "name": name,
        "instances": 1,
        "azs": ["z1"],
        "vm_type": "default",
        "stemcell": "default",
        "persistent_disk_type": "default",
        "networks": [{"name": "bosh", "static_ips": [address]}],
        "jobs": jobs,
    }
    return {
        "name": name,
        "releases": [{"name": release, "version": version}],
        "stemcells": [{"alias": "default", "os": "ubuntu-noble", "version": "1.484"}],
        "update": {"canaries": 1, "max_in_flight": 1, "canary_watch_time": 30000, "update_watch_time": 30000},
        "instance_groups": [group],
        "variables": [{"name": "password", "type": "password"}],
    }


@pytest.fixture(scope="session")
def store(authority: Authority) -> dict[str, Any]:
    certificate, key = authority.issue(STORE)
    properties = {
        "credential": {"accesskey": "admin", "secretkey": "((password))"},
        "port": 9000,
        "server_cert": certificate,
        "server_key": key,
        "ca_cert": authority.certificate,
    }
    jobs = [{"name": "minio-server", "release": "minio", "properties": properties}]
    return manifest("minio", "minio", "2026.02.12", STORE, jobs)


@pytest.fixture(scope="session")
def registry(authority: Authority) -> dict[str, Any]:
    certificate, key = authority.issue(REGISTRY)
    proxy = {"auth_basic": {"admin": "{PLAIN}((password))"}, "ssl": {"cert": certificate, "key": key}}
    jobs = [
        {
            "name": "registry",
            "release": "docker-registry",
            "properties": {"docker": {"registry": {"cookie": "c"}}},
        },
        {"name": "proxy", "release": "docker-registry", "properties": {"docker": {"proxy": proxy}}},
    ]
    return manifest("registry", "docker-registry", "3.5.2", REGISTRY, jobs)


def deploy(site: Site, document: dict[str, Any], *, check: bool = True) -> str:
    done = site.bosh("-n", "-d", document["name"], "deploy", check=check, text=yaml.safe_dump(document))
    assert check or done.returncode == 1
    return done.stdout


def credential(site: Site, name: str) -> str:
    code = """
import json, ssl, sys
from paver.lab.standins.client import Client
uaa_ca, credhub_ca, secret, name = sys.argv[1:]
uaa = Client("https://10.30.0.10:8443", ssl.create_default_context(cadata=uaa_ca))
token = uaa.form("/oauth/token", ("credhub-admin", secret), {"grant_type": "client_credentials"})["access_token"]
credhub = Client("https://10.30.0.10:8844", ssl.create_default_context(cadata=credhub_ca), "bearer " + token)
print(json.dumps(credhub.get("/api/v1/data", {"name": name, "current": "true"})["data"][0]["value"]))
"""
    creds = site.creds
    arguments = (
        creds["default_ca"]["certificate"],
        creds["credhub_ca"]["certificate"],
        creds["credhub_admin_client_secret"],
    )
    value: str = site.raised.python(code, *arguments, name)
    return value


def files(site: Site, host: str = "esx-01") -> set[str]:
    root = site.raised.lab.folder / "hosts" / host / "datastores" / "datastore1"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_what_was_uploaded_is_listed(stocked: Site) -> None:
    assert {row["name"] for row in stocked.rows("releases")} == {"bosh-dns", "minio", "docker-registry"}
    [stemcell] = stocked.rows("stemcells")
    assert (stemcell["os"], stemcell["version"]) == ("ubuntu-noble", "1.484")
    assert (
        yaml.safe_load(stocked.bosh("cloud-config").stdout.partition("\n")[2].rpartition("Succeeded")[0])
        == CLOUD
    )


def test_uploading_again_changes_nothing(stocked: Site) -> None:
    before = stocked.rows("stemcells"), stocked.rows("releases"), stocked.rows("configs")
    for path in (stocked.tree / "src" / "offline_resources").glob("bosh-vsphere-esxi*"):
        stocked.bosh("upload-stemcell", str(path))
    for path in stocked.services.glob("*.tgz"):
        stocked.bosh("upload-release", str(path))
    stocked.bosh("-n", "update-cloud-config", text=yaml.safe_dump(CLOUD))
    assert (stocked.rows("stemcells"), stocked.rows("releases"), stocked.rows("configs")) == before


def test_a_release_that_failed_halfway_is_listed_and_a_plain_second_upload_mends_it(
    stocked: Site, tmp_path: Path
) -> None:
    job = tarballs.Job("server", {"a.json": "{}"}, {}, ("tool",))
    package = tarballs.Package("tool", {"packaging": (b"true\n", True)})
    release = tmp_path / "half.tgz"
    release.write_bytes(tarballs.release_tarball(tarballs.Release("half", "1", (job,), (package,))))
    [state] = stocked.raised.lab.folder.glob("machines/*/**/store/director/state.json")
    room = state.with_name("blobs.room")
    room.write_text("1")
    failed = stocked.bosh("upload-release", str(release), check=False)
    room.unlink()
    assert "no space left on device" in failed.stdout
    assert stocked.rows("inspect-release", "half/1") == []
    stocked.bosh("upload-release", str(release))
    assert [row["job"].partition("/")[0] for row in stocked.rows("inspect-release", "half/1")] == ["server"]
    stocked.bosh("-n", "delete-release", "half")
    assert "half" not in {row["name"] for row in stocked.rows("releases")}


def test_a_cloud_config_with_an_address_outside_of_its_range_is_refused_when_a_manifest_meets_it(
    stocked: Site, store: dict[str, Any]
) -> None:
    """Any YAML hash is taken at its upload."""
    wrong = copy.deepcopy({"networks": CLOUD["networks"]})
    wrong["networks"][0] |= {"name": "other"}
    wrong["networks"][0]["subnets"][0]["static"] = ["10.31.0.11"]
    named = ("--type", "cloud", "--name", "other")
    stocked.bosh("-n", "update-config", *named, text=yaml.safe_dump(wrong))
    assert "Static IP '10.31.0.11/32' is out of network 'other' range" in deploy(stocked, store, check=False)
    stocked.bosh("-n", "delete-config", *named)
    assert stocked.rows("-d", "minio", "vms") == []
    stocked.bosh("-n", "-d", "minio", "delete-deployment")


def test_what_is_no_config_is_refused_at_once(stocked: Site) -> None:
    done = stocked.bosh("-n", "update-config", "--type", "cloud", "--name", "other", check=False, text="- a")
    assert "YAML hash expected" in done.stdout
    assert "other" not in {row["name"] for row in stocked.rows("configs")}


def test_a_broken_release_is_refused(stocked: Site, tmp_path: Path) -> None:
    path = tmp_path / "broken.tgz"
    path.write_bytes(next(stocked.services.glob("minio*")).read_bytes()[:-200])
    assert stocked.bosh("upload-release", str(path), check=False).returncode == 1


def test_minio_runs_for_real_once_it_is_deployed(
    stocked: Site, authority: Authority, store: dict[str, Any]
) -> None:
    shown = deploy(stocked, store)
    assert "Updating instance minio" in shown
    health = f"https://{STORE}:9000/minio/health/live"
    assert stocked.raised.python(PROBE, health, authority.certificate, "") == 200
    assert stocked.raised.python(PROBE, health, stocked.creds["default_ca"]["certificate"], "") == "URLError"
    [vm] = stocked.rows("-d", "minio", "vms")
    assert (vm["process_state"], vm["ips"]) == ("running", STORE)
    assert {row["name"] for row in stocked.rows("-d", "minio", "variables")} >= {"/bucc/minio/password"}
    again = deploy(stocked, store)
    assert "Updating instance" not in again
    assert stocked.rows("-d", "minio", "vms") == [vm]


def test_the_registry_runs_for_real_and_wants_the_password(
    stocked: Site, authority: Authority, registry: dict[str, Any]
) -> None:
    deploy(stocked, registry)
    url = f"https://{REGISTRY}/v2/"
    assert stocked.raised.python(PROBE, url, authority.certificate, "") == 401
    password = credential(stocked, "/bucc/registry/password")
    for secret, status in ((password, 200), ("wrong", 401)):
        basic = "Basic " + base64.b64encode(f"admin:{secret}".encode()).decode()
        assert stocked.raised.python(PROBE, url, authority.certificate, basic) == status


def test_the_registry_listens_on_the_port_that_it_is_given(
    stocked: Site, authority: Authority, registry: dict[str, Any]
) -> None:
    other = copy.deepcopy(registry)
    storage, proxy = (job["properties"]["docker"] for job in other["instance_groups"][0]["jobs"])
    proxy["proxy"]["port"] = 5443
    storage["registry"]["endpoint"] = f"https://{REGISTRY}:5443"
    deploy(stocked, other)
    assert stocked.raised.python(PROBE, f"https://{REGISTRY}:5443/v2/", authority.certificate, "") == 401


def test_a_changed_disk_keeps_what_was_on_it(stocked: Site, store: dict[str, Any]) -> None:
    deploy(stocked, store)
    before = {path for path in files(stocked) if "/.minio.sys/format.json" in path}
    larger = copy.deepcopy(store)
    larger["instance_groups"][0]["persistent_disk_type"] = "large"
    deploy(stocked, larger)
    after = {path for path in files(stocked) if "/.minio.sys/format.json" in path}
    assert len(before) == 1
    assert len(after) == 2
    [orphan] = stocked.rows("disks", "--orphaned")
    assert orphan["deployment"] == "minio"


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("releases", 0, "version"), "9", "Release version 'minio/9' doesn't exist"),
        (("stemcells", 0, "version"), "9", "Stemcell version '9' for OS 'ubuntu-noble' doesn't exist"),
        (
            ("instance_groups", 0, "azs"),
            ["z9"],
            "must specify availability zone that matches availability zones of network 'bosh'",
        ),
        (("instance_groups", 0, "networks", 0, "name"), "nat", "references an unknown network 'nat'"),
        (("instance_groups", 0, "networks", 0, "static_ips"), ["10.30.0.5"], "which belongs to no subnet"),
        (
            ("instance_groups", 0, "jobs", 0, "properties", "credential"),
            {},
            "Can't find property '[\"credential.accesskey\"]'",
        ),
        (
            ("instance_groups", 0, "jobs", 0, "properties", "ca_cert"),
            "((absent))",
            "Failed to find variable '/bucc/refused/absent'",
        ),
    ],
)
def test_a_deployment_is_refused_and_nothing_is_made(
    stocked: Site, store: dict[str, Any], where: tuple[Any, ...], value: Any, words: str
) -> None:
    wrong = copy.deepcopy(store)
    wrong["name"] = "refused"
    wrong["instance_groups"][0]["networks"][0]["static_ips"] = ["10.30.0.20"]
    here: Any = wrong
    for key in where[:-1]:
        here = here[key]
    here[where[-1]] = value
    before = set(stocked.machines())
    assert words in deploy(stocked, wrong, check=False)
    assert set(stocked.machines()) == before
    # Its name is known from the moment on that it was asked for.
    stocked.bosh("-n", "-d", "refused", "delete-deployment")
    assert "refused" not in {row["name"] for row in stocked.rows("deployments")}


def test_a_key_that_does_not_fit_is_told_by_the_real_server(
    stocked: Site, authority: Authority, store: dict[str, Any]
) -> None:
    wrong = copy.deepcopy(store)
    wrong["name"] = "misfit"
    wrong["instance_groups"][0]["networks"][0]["static_ips"] = ["10.30.0.21"]
    wrong["instance_groups"][0]["jobs"][0]["properties"]["server_key"] = authority.issue("10.30.0.21")[1]
    assert "is not running after update. Review logs for failed jobs: minio-server" in deploy(
        stocked, wrong, check=False
    )
    stocked.bosh("-n", "-d", "misfit", "delete-deployment")


def test_tasks_tell_what_happened(stocked: Site, store: dict[str, Any]) -> None:
    deploy(stocked, store)
    task = stocked.rows("tasks", "--recent", "--all")[0]["id"]
    assert "Preparing deployment" in stocked.bosh("task", task, "--event").stdout
    assert "DirectorJobRunner" in stocked.bosh("task", task, "--debug").stdout
    assert {"/bucc/minio/password"} <= {row["name"] for row in stocked.rows("-d", "minio", "variables")}


def test_a_dead_machine_is_told_and_mended_only_on_request(stocked: Site, store: dict[str, Any]) -> None:
    deploy(stocked, store)
    [vm] = stocked.rows("-d", "minio", "vms")
    stocked.cpi("delete_vm", vm["vm_cid"])
    [dead] = stocked.rows("-d", "minio", "vms")
    assert dead["process_state"] == "unresponsive agent"
    assert "Timed out sending 'get_state' to instance" in deploy(stocked, store, check=False)
    stocked.bosh("-n", "-d", "minio", "deploy", "--fix", text=yaml.safe_dump(store))
    [mended] = stocked.rows("-d", "minio", "vms")
    assert (mended["process_state"], mended["vm_cid"] == vm["vm_cid"]) == ("running", False)


def test_machines_of_a_former_authority_for_agents_are_lost_to_the_director_and_made_anew_on_request(
    stocked: Site, store: dict[str, Any], registry: dict[str, Any]
) -> None:
    deploy(stocked, store)
    kept = {name: value for name, value in stocked.creds.items() if not name.startswith("nats_")}
    (stocked.project / "state" / "creds.yml").write_text(yaml.safe_dump(kept))
    stocked.bucc("up")
    assert "Timed out sending 'get_state' to instance" in deploy(stocked, store, check=False)
    for each in (store, registry):
        stocked.bosh("-n", "-d", each["name"], "deploy", "--fix", text=yaml.safe_dump(each))
        assert "running" in stocked.bosh("-d", each["name"], "instances").stdout
        assert deploy(stocked, each)


def test_a_machine_in_another_cluster_is_made_anew_with_its_disk_and_the_disk_goes_once_it_is_deleted(
    stocked: Site, store: dict[str, Any]
) -> None:
    away = copy.deepcopy({**store, "name": "away"})
    away["instance_groups"][0] |= {"azs": ["z2"], "networks": [{"name": "bosh", "static_ips": [AWAY]}]}
    deploy(stocked, away)
    [first] = stocked.rows("-d", "away", "instances", "--details")
    disk = first["disk_cids"]
    assert f"bosh_disks/{disk}.vmdk" in files(stocked, "esx-02") - files(stocked)

    stocked.bosh("-n", "-d", "away", "deploy", "--recreate", text=yaml.safe_dump(away))
    [second] = stocked.rows("-d", "away", "instances", "--details")
    stocked.cpi("delete_vm", second["vm_cid"])
    stocked.bosh("-n", "-d", "away", "deploy", "--fix", text=yaml.safe_dump(away))
    [third] = stocked.rows("-d", "away", "instances", "--details")
    assert len({row["vm_cid"] for row in (first, second, third)}) == 3
    assert (third["process_state"], third["disk_cids"]) == ("running", disk)

    stocked.bosh("-n", "-d", "away", "delete-deployment")
    stocked.bosh("-n", "delete-disk", disk)
    assert disk not in {row["disk_cid"] for row in stocked.rows("disks", "--orphaned")}
    assert not {path for path in files(stocked, "esx-02") if disk in path}


def test_what_is_in_use_stays_and_everything_goes_at_the_end(
    stocked: Site, store: dict[str, Any], registry: dict[str, Any]
) -> None:
    deploy(stocked, store)
    deploy(stocked, registry)
    assert "is still in use by: minio" in stocked.bosh("-n", "delete-release", "minio", check=False).stdout
    [stemcell] = stocked.rows("stemcells")
    slug = f"{stemcell['name']}/{stemcell['version'].rstrip('*')}"
    assert (
        "is still in use by: minio, registry"
        in stocked.bosh("-n", "delete-stemcell", slug, check=False).stdout
    )
    for name in ("minio", "registry"):
        stocked.bosh("-n", "-d", name, "delete-deployment")
    assert stocked.rows("deployments") == []
    assert stocked.rows("disks", "--orphaned")
    stocked.bosh("-n", "delete-config", "--type", "runtime", "--name", "default")
    stocked.bosh("-n", "clean-up", "--all")
    assert (stocked.rows("releases"), stocked.rows("stemcells"), stocked.rows("disks", "--orphaned")) == (
        [],
        [],
        [],
    )
    stocked.bucc("down")
    left = {path for host in ("esx-01", "esx-02") for path in files(stocked, host)}
    assert {path for path in left if not path.startswith(".")} == set()
    trace = (stocked.raised.lab.folder / "trace" / "director.jsonl").read_text().splitlines()
    deploys = [json.loads(line) for line in trace if '"POST /deployments"' in line]
    assert {line["user"] for line in deploys} == {"admin"}
    assert all(line["write"] for line in deploys)
