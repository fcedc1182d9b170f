"""What the lab's director refuses in manifests and configs, each in the words of the real one."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from paver.foundation import manifests, places
from paver.lab.standins import credhub_generate, director_configs, director_interpolation, director_manifest
from paver.lab.standins.director_manifest import Known
from paver.lab.standins.director_network import Address
from paver.lab.standins.director_tasks import TaskError

CLOUD: dict[str, Any] = {
    "azs": [{"name": "z1"}, {"name": "z2"}],
    "vm_types": [{"name": "default", "cloud_properties": {"cpu": 1, "ram": 512, "disk": 1000}}],
    "disk_types": [{"name": "small", "disk_size": 1024}],
    "networks": [
        {
            "name": "bosh",
            "type": "manual",
            "subnets": [
                {
                    "range": "10.30.0.0/24",
                    "gateway": "10.30.0.1",
                    "az": "z1",
                    "reserved": ["10.30.0.2-10.30.0.9"],
                    "static": ["10.30.0.10-10.30.0.30"],
                    "cloud_properties": {"name": "bosh"},
                }
            ],
        }
    ],
    "compilation": {"workers": 1, "network": "bosh", "az": "z1", "vm_type": "default"},
}
MANIFEST: dict[str, Any] = {
    "name": "minio",
    "releases": [{"name": "minio", "version": "1"}],
    "stemcells": [{"alias": "default", "os": "ubuntu-noble", "version": "1.484"}],
    "update": {"canaries": 1},
    "instance_groups": [
        {
            "name": "minio",
            "instances": 1,
            "azs": ["z1"],
            "vm_type": "default",
            "stemcell": "default",
            "persistent_disk_type": "small",
            "networks": [{"name": "bosh", "static_ips": ["10.30.0.11"]}],
            "jobs": [{"name": "server", "release": "minio", "properties": {"port": 9000}}],
        }
    ],
}
RELEASES: dict[str, Any] = {
    "minio": {"1": {"name": "minio", "version": "1", "jobs": {"server": {}}, "packages": {}}},
    "dns": {"2": {"name": "dns", "version": "2", "jobs": {"dns": {}}, "packages": {}}},
}
STEMCELLS = ({"name": "noble", "os": "ubuntu-noble", "version": "1.484", "cid": "sc-1"},)


def known(**changes: Any) -> Known:
    cloud = director_configs.cloud_config(changes.pop("cloud", CLOUD))
    settings: dict[str, Any] = {"runtime": (), "taken": {}, "kept": {}, **changes}
    return Known(RELEASES, STEMCELLS, cloud, **settings)


def changed(document: dict[str, Any], change: Callable[[Any], None]) -> dict[str, Any]:
    copied = copy.deepcopy(document)
    change(copied)
    return copied


def group(**changes: Any) -> Callable[[Any], None]:
    return lambda manifest: manifest["instance_groups"][0].update(changes)


def subnet(**changes: Any) -> Callable[[Any], None]:
    return lambda cloud: cloud["networks"][0]["subnets"][0].update(changes)


def test_a_manifest_becomes_instances_with_address_disk_and_jobs() -> None:
    wish = director_manifest.plan(MANIFEST, known())
    [instance] = wish.instances
    assert (str(instance.address), instance.az, instance.disk) == ("10.30.0.11", "z1", 1024)
    assert [(job.name, job.version, job.properties) for job in instance.jobs] == [
        ("server", "1", {"port": 9000})
    ]
    assert wish.releases == (("minio", "1"),)


def test_the_director_chooses_the_lowest_free_address_and_keeps_it() -> None:
    manifest = changed(MANIFEST, group(networks=[{"name": "bosh"}]))
    [chosen] = director_manifest.plan(manifest, known(taken={Address("10.30.0.31"): "other"})).instances
    assert str(chosen.address) == "10.30.0.32"
    [kept] = director_manifest.plan(manifest, known(kept={("minio", 0): Address("10.30.0.77")})).instances
    assert str(kept.address) == "10.30.0.77"


def test_latest_means_the_highest_version_number() -> None:
    assert director_configs.version_key("1.10") > director_configs.version_key("1.9")
    manifest = changed(MANIFEST, lambda m: m["releases"][0].update(version="latest"))
    assert director_manifest.plan(manifest, known()).releases == (("minio", "1"),)


def test_addons_of_a_runtime_config_run_where_they_are_included() -> None:
    addon = {
        "name": "dns",
        "include": {"stemcell": [{"os": "ubuntu-noble"}]},
        "jobs": [{"name": "dns", "release": "dns"}],
    }
    runtime = {"releases": [{"name": "dns", "version": "2"}], "addons": [addon]}
    [instance] = director_manifest.plan(MANIFEST, known(runtime=(runtime,))).instances
    assert [job.name for job in instance.jobs] == ["server", "dns"]
    elsewhere = {**runtime, "addons": [{**addon, "include": {"stemcell": [{"os": "windows2019"}]}}]}
    [instance] = director_manifest.plan(MANIFEST, known(runtime=(elsewhere,))).instances
    assert [job.name for job in instance.jobs] == ["server"]


def test_the_certificates_of_bosh_dns_do_not_end_after_credhubs_year() -> None:
    made: dict[str, dict[str, Any]] = {}
    for wish in manifests.runtime_config(places.ARTEFACT)["variables"]:
        made[wish["name"]] = credhub_generate.certificate(wish["options"], made.__getitem__)
    assert set(made) == {"/dns_api_tls_ca", "/dns_api_server_tls", "/dns_api_client_tls"}
    for parts in made.values():
        shown = x509.load_pem_x509_certificate(parts["certificate"].encode())
        assert (shown.not_valid_after_utc - shown.not_valid_before_utc).days == 3650


@pytest.mark.parametrize(
    ("system", "resolved"), [("ubuntu-jammy", False), ("ubuntu-noble", True), ("ubuntu-resolute", True)]
)
def test_bosh_dns_is_told_of_systemd_resolved_where_the_stemcell_has_it(system: str, resolved: bool) -> None:
    config = copy.deepcopy(manifests.runtime_config(places.ARTEFACT))
    config["releases"][0]["version"] = "1"
    config["addons"][1]["include"] = {"stemcell": [{"os": system}]}
    stemcell = {**STEMCELLS[0], "os": system}
    releases = {**RELEASES, "bosh-dns": {"1": {"jobs": {"bosh-dns": {}}}}}
    manifest = changed(MANIFEST, lambda m: m["stemcells"][0].update(os=system))
    wish = director_manifest.plan(
        manifest, dataclasses.replace(known(runtime=(config,)), releases=releases, stemcells=(stemcell,))
    )
    (dns,) = (job for job in wish.instances[0].jobs if job.name == "bosh-dns")
    assert dns.properties["cache"] == {"enabled": True}
    assert dns.properties.get("configure_systemd_resolved", False) is resolved
    assert dns.properties.get("override_nameserver", True) is not resolved


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["releases"][0].update(name="minim"), "Release 'minim' doesn't exist"),
        (lambda m: m["releases"][0].update(version="2"), "Release version 'minio/2' doesn't exist"),
        (
            lambda m: m["stemcells"][0].update(version="9"),
            "Stemcell version '9' for OS 'ubuntu-noble' doesn't exist",
        ),
        (
            lambda m: m["stemcells"][0].update(os="ubuntu-xenial"),
            "Stemcell with Operating System 'ubuntu-xenial' doesn't exist",
        ),
        (lambda m: m.pop("update"), "Required property 'update' was not specified"),
        (group(stemcell="other"), "references unknown stemcell alias 'other'"),
        (group(vm_type="huge"), "references an unknown vm type 'huge'"),
        (group(persistent_disk_type="huge"), "references an unknown disk type 'huge'"),
        (group(azs=["z9"]), "references unknown az 'z9'. Known azs are: z1, z2"),
        (group(azs=["z2"]), "belongs to az 'z1' that is not one of its azs"),
        (group(networks=[{"name": "nat"}]), "references an unknown network 'nat'"),
        (
            group(networks=[{"name": "bosh", "static_ips": ["10.30.0.200"]}]),
            "declares static ip '10.30.0.200', which belongs to no subnet",
        ),
        (
            group(networks=[{"name": "bosh", "static_ips": ["10.40.0.11"]}]),
            "declares static ip '10.40.0.11', which belongs to no subnet",
        ),
        (
            group(networks=[{"name": "bosh", "static_ips": ["10.30.0.5"]}]),
            "declares static ip '10.30.0.5', which belongs to no subnet",
        ),
        (group(instances=2), "has 2 instances but was allocated 1 static IPs"),
        (
            group(jobs=[{"name": "serve", "release": "minio"}]),
            "references job 'serve' which is not in release 'minio/1'",
        ),
        (
            group(jobs=[{"name": "server", "release": "mini"}]),
            "references unknown release 'mini' for job 'server'",
        ),
    ],
)
def test_a_manifest_is_refused(change: Callable[[Any], None], words: str) -> None:
    with pytest.raises(TaskError) as refusal:
        director_manifest.plan(changed(MANIFEST, change), known())
    assert words in str(refusal.value)


def test_an_address_that_another_deployment_holds_is_refused() -> None:
    with pytest.raises(TaskError) as refusal:
        director_manifest.plan(MANIFEST, known(taken={Address("10.30.0.11"): "instance 'x'"}))
    assert "already reserved by instance 'x'" in str(refusal.value)


def test_a_network_without_a_free_address_is_refused() -> None:
    cloud = changed(CLOUD, subnet(reserved=["10.30.0.2-10.30.0.9", "10.30.0.31-10.30.0.254"]))
    with pytest.raises(TaskError, match="no more available"):
        director_manifest.plan(changed(MANIFEST, group(networks=[{"name": "bosh"}])), known(cloud=cloud))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (subnet(range="10.30.0.0/99"), "Invalid subnet range '10.30.0.0/99'"),
        (subnet(gateway="10.31.0.1"), "must be inside the range"),
        (subnet(gateway="10.30.0.0"), "can't be the network id or broadcast IP"),
        (subnet(reserved=["10.31.0.1"]), "Reserved IP '10.31.0.1' is out of network 'bosh' range"),
        (subnet(static=["10.31.0.1"]), "Static IP '10.31.0.1' is out of network 'bosh' range"),
        (subnet(static=["10.30.0.5"]), "Static IP '10.30.0.5' is in network 'bosh' reserved range"),
        (subnet(static=["10.30.0.1"]), "is the gateway of network 'bosh'"),
        (subnet(az="z9"), "refers to an unknown availability zone 'z9'"),
        (lambda c: c["networks"][0].update(type="dynamic"), "Invalid network type 'dynamic'"),
        (lambda c: c.pop("compilation"), "Required property 'compilation'"),
        (
            lambda c: c["compilation"].update(network="nat"),
            "Compilation config references an unknown network 'nat'",
        ),
        (lambda c: c["compilation"].update(az="z9"), "Compilation config references unknown az 'z9'"),
        (
            lambda c: c["compilation"].update(vm_type="huge"),
            "Compilation config references unknown vm type 'huge'",
        ),
        (lambda c: c["disk_types"][0].update(disk_size=0), "references an invalid disk size: 0"),
        (lambda c: c["azs"].append({"name": "z1"}), "Duplicate az name 'z1'"),
    ],
)
def test_a_cloud_config_is_refused(change: Callable[[Any], None], words: str) -> None:
    with pytest.raises(TaskError) as refusal:
        director_configs.cloud_config(changed(CLOUD, change))
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ({"name": "absent", "version": "1"}, "Release 'absent' doesn't exist"),
        ({"name": "dns", "version": "1"}, "Release version 'dns/1' doesn't exist"),
        ({"name": "dns", "version": "latest"}, "Please specify the actual version string"),
        ({"name": "minio", "version": "1"}, "'dns' is not listed in the runtime releases section"),
    ],
)
def test_a_runtime_config_is_refused(release: dict[str, str], words: str) -> None:
    config = {"releases": [release], "addons": [{"name": "dns", "jobs": [{"name": "dns", "release": "dns"}]}]}
    with pytest.raises(TaskError) as refusal:
        director_configs.check_runtime_config(config, RELEASES)
    assert words in str(refusal.value)


def test_variables_are_found_and_put_in_their_place() -> None:
    document = {"a": "((tls.ca))((/other))", "b": ["((!port))"], "c": {"d": "((tls))"}}
    assert director_interpolation.variables_in(document) == {"tls", "/other", "port"}
    values = {"tls": {"ca": "CA"}, "/other": "X", "port": 9000}
    assert director_interpolation.interpolate(document, values) == {
        "a": "CAX",
        "b": [9000],
        "c": {"d": {"ca": "CA"}},
    }
    with pytest.raises(TaskError, match="to have field 'key'"):
        director_interpolation.interpolate("((tls.key))", values)
