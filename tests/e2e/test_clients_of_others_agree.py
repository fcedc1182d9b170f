"""What paver made is what clients that others wrote find: govc, bosh, mc, crane, ssh, openssl."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.support.place import HOSTS, JUMPBOX, Place

pytestmark = pytest.mark.lab

DIRECTOR, REGISTRY = "10.30.0.10", "10.30.0.12"


def test_govc_reaches_vcenter_and_finds_the_inventory(finished: Place) -> None:
    about = json.loads(finished.tool("govc", "about", "-json").out)
    assert about["about"]["apiType"] == "VirtualCenter"
    found = finished.tool("govc", "ls", "/north/host/compute", "/north/vm", "/north/datastore").out
    for path in (
        "/north/host/compute/esx-01.north.example",
        "/north/host/compute/esx-02.north.example",
        "/north/vm/BOSH_VMs",
        "/north/vm/BOSH_Templates",
        "/north/datastore/datastore1",
    ):
        assert path in found.splitlines()


def test_govc_sees_both_hosts_connected_and_in_time(finished: Place) -> None:
    for host in HOSTS:
        shown = finished.tool("govc", "host.info", "-json", f"/north/host/compute/{host}.north.example").out
        [seen] = json.loads(shown)["hostSystems"]
        assert seen["runtime"]["connectionState"] == "connected"
        assert seen["summary"]["config"]["name"] == f"{host}.north.example"
        assert seen["config"]["dateTimeInfo"]["ntpConfig"]["server"] == [JUMPBOX]


def test_govc_trusts_a_hosts_new_certificate_by_vcenters_authority(finished: Place) -> None:
    """The certificate that AddHost brought about; the name that it bears is the host's."""
    exported = finished.paver("env", "govc", "--json").json["variables"]
    password = finished.lab.plan.hosts[0].password
    env = {
        "GOVC_TLS_CA_CERTS": exported["GOVC_TLS_CA_CERTS"],
        "GOVC_URL": "https://root@esx-01.north.example/sdk",
        "GOVC_PASSWORD": password,
    }
    told = [f"export {name}={shlex.quote(value)}" for name, value in env.items()]
    script = "; ".join([*told, "exec govc about -json"])
    assert json.loads(finished.tool("sh", "-c", script).out)["about"]["apiType"] == "HostAgent"


def test_the_official_bosh_cli_logs_in_and_finds_stemcell_configs_and_deployments(finished: Place) -> None:
    env = json.loads(finished.tool("bosh", "env", "--json").out)["Tables"][0]["Rows"][0]
    assert env["user"] == "admin"
    assert env["cpi"] == "vsphere_cpi"
    [stemcell] = json.loads(finished.tool("bosh", "stemcells", "--json").out)["Tables"][0]["Rows"]
    assert stemcell["name"] == "bosh-vsphere-esxi-ubuntu-noble-go_agent"
    cloud = finished.tool("bosh", "cloud-config").out
    assert "z1" in cloud
    assert "range: 10.30.0.0/24" in cloud
    rows = json.loads(finished.tool("bosh", "deployments", "--json").out)["Tables"][0]["Rows"]
    assert {row["name"] for row in rows} == {"object-store", "registry"}
    instances = json.loads(finished.tool("bosh", "instances", "--ps", "--json").out)["Tables"]
    assert {row["process_state"] for table in instances for row in table["Rows"]} == {"running"}


def test_mc_finds_the_buckets_as_the_site_file_has_them(finished: Place) -> None:
    listed = [json.loads(line) for line in finished.tool("mc", "ls", "--json", "site").out.splitlines()]
    assert {entry["key"] for entry in listed} == {"bundles/", "state/"}
    for bucket in ("bundles", "state"):
        version = json.loads(finished.tool("mc", "version", "info", "--json", f"site/{bucket}").out)
        assert version["versioning"]["status"] == "Enabled"
    lock = json.loads(finished.tool("mc", "retention", "info", "--default", "--json", "site/state").out)
    assert lock["validity"].upper() in {"30DAYS", "30D"}


def test_a_teams_key_writes_to_the_buckets_and_is_refused_all_that_the_administrator_may(
    finished: Place,
) -> None:
    store = finished.paver("contract").json["object_store"]
    assert store["cred_ref"] == "credhub:/concourse/main/object_store_secret_key"
    key = finished.reveal("object-store-team-main")
    roots = finished.paver("env", "mc", "--json").json["variables"]["MC_CONFIG_DIR"]
    script = (
        'export MC_CONFIG_DIR="$1"; read -r key; export MC_HOST_team="https://$2:$key@${3#https://}"; '
        "printf ours | mc pipe -q team/bundles/of-the-team && mc cat team/bundles/of-the-team "
        "&& mc rm -q --force --versions team/bundles/of-the-team && mc admin user ls team"
    )
    said = (roots, store["access_key"], store["endpoint"])
    tried = finished.tool("sh", "-c", script, "sh", *said, stdin=f"{key}\n", check=False)
    assert "ours" in tried.out
    assert tried.code != 0
    assert "Access Denied" in tried.told


def test_crane_logs_in_to_the_registry_and_finds_what_was_pushed_for_the_proof_only(finished: Place) -> None:
    root = _root(finished)
    password = finished.reveal("registry-admin")
    home = finished.folder / "crane"
    home.mkdir(exist_ok=True)
    script = (
        f'export SSL_CERT_FILE={root} HOME={home}; crane auth login -u admin --password-stdin "$1" 2>/dev/null '
        '&& crane catalog "$1"'
    )
    found = finished.tool("sh", "-c", script, "sh", "registry.north.example", stdin=password)
    assert set(found.out.split()) <= {"paver/proof"}
    refused = finished.tool(
        "sh",
        "-c",
        f'SSL_CERT_FILE={root} HOME=/nowhere crane catalog "$1"',
        "sh",
        "registry.north.example",
        check=False,
    )
    assert refused.code != 0
    assert "UNAUTHORIZED" in refused.told


def test_ssh_gets_into_the_jumpbox_by_the_operators_key_and_the_verified_host_key(finished: Place) -> None:
    contract = finished.paver("contract").json
    known = finished.folder / "known_hosts"
    keys = contract["jumpbox"]["host_keys"]
    known.write_text("".join(f"{JUMPBOX} {line}\n" for line in keys))
    options = ["-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]
    argv = ["ssh", "-F", "none", *options, "-i", str(finished.demo.operator_key), f"paver@{JUMPBOX}"]
    assert finished.run(*argv, "paver", "--version").out.startswith("paver ")
    resolved = finished.run(*argv, "getent", "hosts", "registry.north.example")
    assert resolved.out.split()[0] == REGISTRY
    known.write_text(
        f"{JUMPBOX} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHIYmqRDTUhtHaUo/EFzAUjuvSKzWNAGdkrUlZDqKfXM\n"
    )
    assert finished.run(*argv, "true", check=False).code == 255


@pytest.mark.parametrize(
    ("name", "address", "root"),
    [
        ("esx-01.north.example", "esx-01.north.example:443", "vmca"),
        ("esx-02.north.example", "esx-02.north.example:443", "vmca"),
        ("vcsa.north.example", "vcsa.north.example:443", "vmca"),
        ("director", f"{DIRECTOR}:25555", "bucc-default-ca"),
        ("uaa", f"{DIRECTOR}:8443", "bucc-default-ca"),
        ("credhub", f"{DIRECTOR}:8844", "bucc-credhub-ca"),
        ("concourse", f"{DIRECTOR}:443", "bucc-default-ca"),
        ("objects.north.example", "objects.north.example:9000", "root"),
        ("registry.north.example", "registry.north.example:443", "root"),
    ],
)
def test_openssl_verifies_the_certificate_that_is_served(
    finished: Place, name: str, address: str, root: str
) -> None:
    """By the root that the sealed store has for it, alone, and for the name or address that is dialled."""
    host = address.partition(":")[0]
    wanted = ["-verify_ip", host] if host == DIRECTOR else ["-verify_hostname", host]
    argv = ["openssl", "s_client", "-connect", address, *wanted, "-verify_return_error", "-brief"]
    anchors = ["-no-CApath", "-no-CAstore"]
    good = finished.tool(*argv, "-CAfile", str(_anchor(finished, root)), *anchors, check=False, stdin="")
    assert good.code == 0, (name, good.told)
    assert "Verification: OK" in good.told
    other = "root" if root != "root" else "bucc-default-ca"
    bad = finished.tool(*argv, "-CAfile", str(_anchor(finished, other)), *anchors, check=False, stdin="")
    assert bad.code != 0, (name, bad.told)


def _root(place: Place) -> Path:
    return _anchor(place, "root")


def _anchor(place: Place, name: str) -> Path:
    """Writes the certificate of an authority, as the sealed store's public part has it."""
    path = place.folder / f"{name}.pem"
    path.write_text(place.public(name))
    return path
