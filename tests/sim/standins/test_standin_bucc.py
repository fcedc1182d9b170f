"""`bucc up` in the lab: the official CLI's create-env, the lab's CPI on the simulated vCenter, the agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from paver.drivers.vsphere.inventory import bosh
from paver.lab import control
from tests.sim.standins.conftest import CLUSTERS, DIRECTOR, Site, in_clusters
from tests.support.vcenter_lab import with_pool

pytestmark = pytest.mark.lab

VM = {"cpu": 1, "ram": 512, "disk": 1000}
NETWORK = {"default": {"type": "manual", "ip": "10.30.0.99", "cloud_properties": {"name": "bosh"}}}


def state(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((site.project / "state" / "state.json").read_text())
    return found


def datastore(site: Site, host: str = "esx-01") -> set[str]:
    root = site.raised.lab.folder / "hosts" / host / "datastores" / "datastore1"
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_without_vars_the_template_is_copied_and_nothing_is_done(site: Site, tmp_path: Path) -> None:
    environment = {"BUCC_PROJECT_ROOT": str(tmp_path), "HOME": str(tmp_path)}
    done = site.raised.run(
        [str(site.tree / "bin" / "bucc"), "up", "--cpi", "vsphere"], env=environment, check=False
    )
    assert done.returncode == 1
    assert "please adjust it to your needs" in done.stdout
    assert (tmp_path / "vars.yml").read_text() == (site.tree / "ops/cpis/vsphere/vars.tmpl").read_text()


def test_an_unknown_flag_and_an_unknown_cpi_are_refused_and_the_flag_does_not_stick(
    site: Site, tmp_path: Path
) -> None:
    def bucc(*words: str) -> tuple[int, str]:
        environment = {"BUCC_PROJECT_ROOT": str(tmp_path), "HOME": str(tmp_path)}
        done = site.raised.run([str(site.tree / "bin" / "bucc"), *words], env=environment, check=False)
        return done.returncode, done.stdout

    (tmp_path / "vars.yml").write_text("{}")
    code, text = bucc("up", "--cpi", "vsphere", "--dnss")
    assert (code, "unsupported flag: --dnss" in text, "--dns" in text) == (1, True, True)
    assert (tmp_path / "state" / "flags").read_text() == ""
    code, text = bucc("up", "--cpi=vmware")
    assert (code, "'--cpi vmware' not supported" in text) == (1, True)


def test_operations_are_applied_in_the_order_of_their_names_wherever_they_lie(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "operators").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "cpi").write_text("vsphere\n")
    (tmp_path / "vars.yml").write_text("{}")
    operation = "- {type: replace, path: /instance_groups/name=bosh/jobs/name=web/properties/external_url, value: %s}\n"
    (tmp_path / "operators" / "zz-late.yml").write_text(operation % "late")
    (tmp_path / "operators" / "4-early.yml").write_text(operation % "early")
    environment = {"BUCC_PROJECT_ROOT": str(tmp_path), "HOME": str(tmp_path), "PWD": str(tmp_path)}
    argv = [
        str(site.tree / "bin" / "bucc"),
        "int",
        "--path",
        "/instance_groups/name=bosh/jobs/name=web/properties/external_url",
    ]
    assert site.raised.run(argv, env=environment).stdout.strip() == "late"


def test_the_directors_cpi_is_told_of_all_clusters_with_their_pools_and_that_of_create_env_of_one(
    site: Site, tmp_path: Path
) -> None:
    wished = with_pool(in_clusters(site.raised, tmp_path))
    (tmp_path / "operators").mkdir()
    for name, text in bosh.cpi_operators(wished).items():
        (tmp_path / "operators" / name).write_text(text)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "cpi").write_text("vsphere\n")
    (tmp_path / "state" / "flags").write_text("resource-pool\n")
    (tmp_path / "vars.yml").write_text(yaml.safe_dump({**site.variables, "vcenter_rp": "bosh"}))
    environment = {"BUCC_PROJECT_ROOT": str(tmp_path), "HOME": str(tmp_path), "PWD": str(tmp_path)}

    def told(where: str) -> Any:
        path = f"{where}/properties/vcenter/datacenters/name=north/clusters"
        argv = [str(site.tree / "bin" / "bucc"), "int", "--path", path]
        return yaml.safe_load(site.raised.run(argv, env=environment).stdout)

    own, other = ({cluster: {"resource_pool": "bosh"}} for cluster in CLUSTERS)
    assert told("/instance_groups/name=bosh") == [own, other]
    assert told("/cloud_provider") == [own]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vcenter_password": "wrong"}, "incorrect user name or password"),
        ({"vcenter_user": "nobody@vsphere.local"}, "incorrect user name or password"),
        ({"vcenter_dc": "south"}, "Datacenter 'south' not found"),
        ({"vcenter_cluster": "computer"}, "Can't find cluster 'computer'"),
        ({"vcenter_ds": r"\Adatastore\z"}, r"no datastore of the cluster matches /\Adatastore\z/"),
        ({"vcenter_rp": "pool"}, "Could not find resource pool pool"),
        ({"vcenter_ip": "10.20.0.20"}, "certificate verify failed"),
        ({"vcenter_ip": "vcenter.north.example"}, "Name or service not known"),
    ],
)
def test_a_wrong_variable_fails_in_the_cpi(director: Site, changes: dict[str, Any], words: str) -> None:
    answer = director.cpi("create_stemcell", "/nowhere", {}, **changes)
    assert words in answer["error"]["message"]


def test_a_wrong_network_fails_in_the_cpi_and_leaves_no_vm(director: Site) -> None:
    stemcell = state(director)["stemcells"][0]["cid"]
    before = set(director.machines())
    networks = {"default": {**NETWORK["default"], "cloud_properties": {"name": "bosch"}}}
    answer = director.cpi("create_vm", "agent", stemcell, VM, networks, [], {})
    assert "Error in finding network 'bosch'" in answer["error"]["message"]
    answer = director.cpi("create_vm", "agent", "sc-none", VM, NETWORK, [], {})
    assert "Could not find VM for stemcell 'sc-none'" in answer["error"]["message"]
    answer = director.cpi("create_vm", "agent", stemcell, {"cpu": 1}, NETWORK, [], {})
    assert "Must specify 'ram' in VM cloud properties." in answer["error"]["message"]
    elsewhere = {**VM, "datacenters": [{"name": "north", "clusters": [{"computer": {}}]}]}
    answer = director.cpi("create_vm", "agent", stemcell, elsewhere, NETWORK, [], {})
    assert "Can't find cluster 'computer'" in answer["error"]["message"]
    assert set(director.machines()) == before


def test_a_disk_in_a_cluster_that_the_cpi_was_not_given_is_found_with_its_vm_alone(director: Site) -> None:
    def refused(method: str, *arguments: Any) -> str:
        return str(director.cpi(method, *arguments)["error"]["type"])

    stemcell = state(director)["stemcells"][0]["cid"]
    away = {**VM, "datacenters": [{"name": "north", "clusters": [{CLUSTERS[1]: {}}]}]}
    vm, _ = director.cpi("create_vm", "agent", stemcell, away, NETWORK, [], {})["result"]
    disk = director.cpi("create_disk", 64, {}, vm)["result"]
    assert f"bosh_disks/{disk}.vmdk" in datastore(director, "esx-02") - datastore(director)
    assert director.cpi("attach_disk", vm, disk)["error"] is None
    assert director.cpi("detach_disk", vm, disk)["error"] is None
    assert refused("detach_disk", vm, disk) == "Bosh::Clouds::DiskNotAttached"

    before = set(director.machines())
    assert refused("create_vm", "agent", stemcell, away, NETWORK, [disk], {}) == "Bosh::Clouds::DiskNotFound"
    assert refused("delete_disk", disk) == "Bosh::Clouds::DiskNotFound"
    assert director.cpi("has_disk", disk)["result"] is False
    assert set(director.machines()) == before

    assert director.cpi("delete_vm", vm)["error"] is None
    assert director.cpi("delete_disk", disk, clusters=CLUSTERS)["error"] is None
    assert not {path for path in datastore(director, "esx-02") if disk in path}


def test_a_certificate_of_another_ca_is_refused(director: Site) -> None:
    answer = director.cpi("has_vm", "vm-1", vcenter_ca_cert=director.creds["default_ca"]["certificate"])
    assert "certificate verify failed" in answer["error"]["message"]


def test_bucc_up_again_changes_nothing(director: Site) -> None:
    before, machines = state(director), director.machines()
    assert "No deployment, stemcell or release changes. Skipping deploy." in director.bucc("up").stdout
    assert (state(director), set(director.machines())) == (before, set(machines))


def test_the_official_cli_logs_in_by_uaa(director: Site) -> None:
    told = director.bosh("env").stdout
    assert "as client 'admin'" in told
    assert "vsphere_cpi" in told
    assert "config_server: enabled" in told


def test_the_director_survives_being_recreated_on_its_disk(director: Site) -> None:
    def uuid() -> str:
        return next(line for line in director.bosh("env").stdout.splitlines() if line.startswith("UUID"))

    director.bosh("update-config", "--type", "note", "--name", "kept", text="kept: {by: disk}\n")
    before, old = uuid(), state(director)
    director.bucc("up", "--recreate")
    new = state(director)
    assert new["current_vm_cid"] != old["current_vm_cid"]
    assert new["disks"] == old["disks"]
    assert uuid() == before
    assert "by: disk" in director.bosh("config", "--type", "note", "--name", "kept").stdout


def test_bucc_tells_how_to_reach_what_it_made(director: Site) -> None:
    told = director.bucc("env").stdout
    assert f"export BOSH_ENVIRONMENT=https://{DIRECTOR}:25555" in told
    assert f"export CREDHUB_SERVER=https://{DIRECTOR}:8844" in told
    assert yaml.safe_load(director.bucc("vars").stdout)["bosh_client"] == "admin"
    assert f"url: https://{DIRECTOR}" in director.bucc("info").stdout


def test_forty_variables_are_generated_and_the_cas_have_their_real_names(director: Site) -> None:
    creds = director.creds
    assert {"default_ca", "nats_ca", "blobstore_ca", "credhub_ca", "dns_api_tls_ca"} <= set(creds)
    assert len(creds) == 40
    assert creds["default_ca"]["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")


def test_the_importer_filled_credhub_for_pipelines(director: Site) -> None:
    shown = control.call(director.raised.lab.room, "GET", "/machines")
    assert shown
    trace = [
        json.loads(line)
        for line in (director.raised.lab.folder / "trace" / "credhub.jsonl").read_text().splitlines()
    ]
    written = [line for line in trace if line["user"] == "credhub-importer" and line["write"]]
    assert len(written) >= 21
    assert all(line["method"] == "PUT /api/v1/data" and line["fault"] is None for line in written)


def test_no_secret_stands_in_the_trace(director: Site) -> None:
    trace = "".join(path.read_text() for path in (director.raised.lab.folder / "trace").glob("*.jsonl"))
    passwords = [value for value in director.creds.values() if isinstance(value, str)]
    assert not [value for value in passwords if value in trace]
