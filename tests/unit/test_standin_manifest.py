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
from paver.lab.standins.director_network import Address
from paver.lab.standins.director_tasks import TaskError
from paver.lab.standins.director_wish import Known

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
    "update": {"canaries": 1, "max_in_flight": 1, "canary_watch_time": 1000, "update_watch_time": "1-1000"},
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
    cloud = director_configs.cloud_config(changes.pop("cloud", CLOUD), (Address("10.30.0.2"),))
    runtime = tuple(map(director_configs.runtime_config, changes.pop("runtime", ())))
    settings: dict[str, Any] = {"taken": {}, "kept": {}, **changes}
    return Known(RELEASES, STEMCELLS, cloud, runtime, **settings)


def changed(document: dict[str, Any], change: Callable[[Any], None]) -> dict[str, Any]:
    copied = copy.deepcopy(document)
    change(copied)
    return copied


def group(**changes: Any) -> Callable[[Any], None]:
    return lambda manifest: manifest["instance_groups"][0].update(changes)


def subnet(**changes: Any) -> Callable[[Any], None]:
    return lambda cloud: cloud["networks"][0]["subnets"][0].update(changes)


def first(key: str, **changes: Any) -> Callable[[Any], None]:
    return lambda document: document[key][0].update(changes)


def without(key: str, *above: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for one in above:
            document = document[one]
        del document[key]

    return change


def second_subnet(**changes: Any) -> Callable[[Any], None]:
    subnet = {
        "range": "10.31.0.0/24",
        "gateway": "10.31.0.1",
        "az": "z2",
        "static": ["10.31.0.11"],
        **changes,
    }
    wanted = {key: value for key, value in subnet.items() if value is not None}
    return lambda cloud: cloud["networks"][0]["subnets"].append(wanted)


ADDON: dict[str, Any] = {"name": "dns", "jobs": [{"name": "dns", "release": "dns"}]}
RUNTIME: dict[str, Any] = {"releases": [{"name": "dns", "version": "2"}], "addons": [ADDON]}


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


def test_a_zones_and_a_types_cloud_properties_come_together_and_the_types_win() -> None:
    cloud = changed(CLOUD, first("azs", cloud_properties={"cpu": 8, "datacenters": [{"name": "north"}]}))
    [instance] = director_manifest.plan(MANIFEST, known(cloud=cloud)).instances
    assert instance.cloud_properties == {
        "cpu": 1,
        "ram": 512,
        "disk": 1000,
        "datacenters": [{"name": "north"}],
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda m: m["releases"].append({"name": "minim", "version": "1"}),
            "Release 'minim' doesn't exist",
        ),
        (first("releases", version="2"), "Release version 'minio/2' doesn't exist"),
        (lambda m: m["releases"].append(m["releases"][0]), "Duplicate release name 'minio'"),
        (first("stemcells", version="9"), "Stemcell version '9' for OS 'ubuntu-noble' doesn't exist"),
        (
            first("stemcells", os="ubuntu-xenial"),
            "Stemcell version '1.484' for OS 'ubuntu-xenial' doesn't exist",
        ),
        (
            first("stemcells", os="ubuntu-xenial", version="latest"),
            "Stemcell with Operating System 'ubuntu-xenial' doesn't exist",
        ),
        (lambda m: m["stemcells"].append(m["stemcells"][0]), "Duplicate stemcell alias 'default'"),
        (lambda m: m.update(stemcells=[], instance_groups=[]), "'stemcells' needs to be specified"),
        (without("update"), 'Required property \'update\' was not specified in object ({"name" => "minio"'),
        (
            without("max_in_flight", "update"),
            "Required property 'max_in_flight' was not specified in object ({\"canaries\" => 1, ",
        ),
        (
            lambda m: m["instance_groups"].append(m["instance_groups"][0]),
            "Invalid instance group name 'minio', canonical name already taken",
        ),
        (group(stemcell="other"), "references an unknown stemcell 'other'"),
        (group(vm_type="huge"), "references an unknown vm type 'huge'"),
        (without("vm_type", "instance_groups", 0), "is missing either 'vm_type' or 'vm_resources' section."),
        (
            group(vm_extensions=["fast"]),
            "The vm_extension 'fast' has not been configured in cloud-config.",
        ),
        (group(persistent_disk_type="huge"), "references an unknown disk type 'huge'"),
        (group(persistent_disk=1024), "specifies more than one of the following keys: 'persistent_disk',"),
        (
            group(azs=["z9"]),
            "must specify availability zone that matches availability zones of network 'bosh'",
        ),
        (
            group(azs=["z2"]),
            "must specify availability zone that matches availability zones of network 'bosh'",
        ),
        (
            without("azs", "instance_groups", 0),
            "must specify availability zone that matches availability zones of network 'bosh'",
        ),
        (group(azs=[]), "Instance group 'minio' has empty availability zones"),
        (group(networks=[{"name": "nat"}]), "references an unknown network 'nat'"),
        (group(networks=[]), "Instance group 'minio' must specify at least one network"),
        (
            group(networks=[{"name": "bosh", "static_ips": ["10.30.0.200"]}]),
            "with network 'bosh' declares static ip '10.30.0.200/32', which belongs to no subnet",
        ),
        (
            group(networks=[{"name": "bosh", "static_ips": ["10.40.0.11"]}]),
            "with network 'bosh' declares static ip '10.40.0.11/32', which belongs to no subnet",
        ),
        (
            group(networks=[{"name": "bosh", "static_ips": ["10.30.0.5"]}]),
            "with network 'bosh' declares static ip '10.30.0.5/32', which belongs to no subnet",
        ),
        (group(instances=2), "has 2 instances but was allocated 1 static IPs"),
        (without("jobs", "instance_groups", 0), "Instance group 'minio' does not specify jobs key"),
        (group(jobs=[{"name": "serve", "release": "minio"}]), "Job 'serve' not found in release 'minio'"),
        (
            group(jobs=[{"name": "server", "release": "mini"}]),
            "Job 'server' (instance group 'minio') references an unknown release 'mini'",
        ),
        (
            group(jobs=[{"name": "server", "release": "minio"}] * 2),
            "Colocated job 'server' is already added to the instance group 'minio'",
        ),
    ],
)
def test_a_manifest_is_refused(change: Callable[[Any], None], words: str) -> None:
    with pytest.raises(TaskError) as refusal:
        director_manifest.plan(changed(MANIFEST, change), known())
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("cloud", "manifest", "words"),
    [
        (
            second_subnet(),
            group(networks=[{"name": "bosh", "static_ips": ["10.31.0.11"]}]),
            "declares static ip '10.31.0.11/32' which does not belong to any of the instance group's availability zones.",
        ),
        (
            subnet(reserved=[], static=["10.30.0.0/27"]),
            group(networks=[{"name": "bosh", "static_ips": ["10.30.0.1"]}]),
            "Failed to reserve IP '10.30.0.1/32' for network 'bosh': IP belongs to reserved range",
        ),
        (
            first("azs", cpi="north"),
            group(),
            "Failed to load CPI for AZ 'z1': CPI 'north' not found in cpi-config (because cpi-config is not set)",
        ),
    ],
)
def test_a_manifest_that_does_not_meet_its_cloud_config_is_refused(
    cloud: Callable[[Any], None], manifest: Callable[[Any], None], words: str
) -> None:
    with pytest.raises(TaskError) as refusal:
        director_manifest.plan(changed(MANIFEST, manifest), known(cloud=changed(CLOUD, cloud)))
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("cpi", "words"),
    [
        ({}, "AZ 'z1' must specify a CPI when CPI config is defined."),
        ({"cpi": "south"}, "Failed to load CPI for AZ 'z1': CPI 'south' not found in cpi-config"),
    ],
)
def test_a_zone_whose_cpi_is_not_configured_is_refused(cpi: dict[str, str], words: str) -> None:
    cloud = changed(CLOUD, first("azs", **cpi))
    with pytest.raises(TaskError) as refusal:
        director_manifest.plan(MANIFEST, known(cloud=cloud, cpis=frozenset({"north"})))
    assert str(refusal.value) == words


def test_an_address_that_another_deployment_holds_is_refused() -> None:
    with pytest.raises(TaskError) as refusal:
        director_manifest.plan(MANIFEST, known(taken={Address("10.30.0.11"): "instance 'x'"}))
    words = "Failed to reserve IP '10.30.0.11/32' for instance 'minio/0': already reserved by instance 'x'"
    assert str(refusal.value) == words


def test_a_network_without_a_free_address_is_refused() -> None:
    cloud = changed(CLOUD, subnet(reserved=["10.30.0.2-10.30.0.9", "10.30.0.31-10.30.0.254"]))
    with pytest.raises(TaskError, match="no more available"):
        director_manifest.plan(changed(MANIFEST, group(networks=[{"name": "bosh"}])), known(cloud=cloud))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("networks"), "Required property 'networks' was not specified in object ({\"azs\" => "),
        (lambda c: c.update(networks=[]), "No networks specified"),
        (
            lambda c: c["networks"].append({**c["networks"][0], "name": "BOSH"}),
            "Invalid network name 'BOSH', canonical name already taken",
        ),
        (first("networks", name="bosh-"), "Invalid DNS canonical name 'bosh-', cannot end with a hyphen"),
        (first("networks", type="overlay"), "Invalid network type 'overlay'"),
        (subnet(range="10.30.0.0/99"), "Invalid IP or CIDR format: 10.30.0.0/99"),
        (subnet(range="10.30.0.1/32"), "Invalid network range '10.30.0.1/32', should include at least 2 IPs"),
        (without("gateway", "networks", 0, "subnets", 0), "Required property 'gateway' was not specified"),
        (subnet(gateway="10.31.0.1"), "Invalid gateway for network 'bosh': must be inside the range"),
        (subnet(gateway="10.30.0.0"), "Invalid gateway for network 'bosh': can't be the network id"),
        (subnet(gateway="10.30.0.255"), "Invalid gateway for network 'bosh': can't be the broadcast IP"),
        (subnet(reserved=["10.31.0.1"]), "Reserved IP '10.31.0.1/32' is out of network 'bosh' range"),
        (subnet(reserved="10.30.0"), "Invalid IP or CIDR format: 10.30.0"),
        (subnet(reserved=["10.30.0.1-2-3"]), "Invalid IP range format: 10.30.0.1-2-3"),
        (subnet(static=["10.31.0.1"]), "Static IP '10.31.0.1/32' is out of network 'bosh' range"),
        (subnet(static=["10.30.0.5"]), "Static IP '10.30.0.5/32' is in network 'bosh' reserved range"),
        (
            subnet(static=["10.30.0.1-10.30.0.30"], reserved=[]),
            "Static IP '10.30.0.1/32' is in network 'bosh' reserved range",
        ),
        (subnet(static=["10.30.0.255"]), "Static IP '10.30.0.255/32' is in network 'bosh' reserved range"),
        (
            subnet(static=["10.30.0.2"], reserved=[]),
            "Static IP '10.30.0.2/32' is in network 'bosh' reserved range",
        ),
        (subnet(dns=["10.20.0.0/30"]), "Invalid DNS for network 'bosh': must be a single IP"),
        (
            subnet(dns="10.20.0.2"),
            "Property 'dns' value (\"10.20.0.2\") did not match the required type 'Array'",
        ),
        (subnet(az="z9"), "Network 'bosh' refers to an unknown availability zone 'z9'"),
        (subnet(azs=["z1"]), "Network 'bosh' contains both 'az' and 'azs'. Choose one."),
        (
            second_subnet(az=None),
            "Subnets on network 'bosh' must all either specify availability zone or not",
        ),
        (
            second_subnet(range="10.30.0.128/25", gateway="10.30.0.129", static=[]),
            "Network 'bosh' has overlapping subnets",
        ),
        (without("compilation"), "Required property 'compilation' was not specified in object ("),
        (
            lambda c: c["compilation"].update(network="nat"),
            "Compilation config references an unknown network 'nat'",
        ),
        (
            lambda c: c["compilation"].update(az="z9"),
            "Compilation config references unknown az 'z9'. Known azs are: [z1, z2]",
        ),
        (
            lambda c: c["compilation"].update(az="z2"),
            "Compilation config refers to az 'z2' but network 'bosh' has no matching subnet(s).",
        ),
        (
            lambda c: c["compilation"].update(vm_type="huge"),
            "Compilation config references unknown vm type 'huge'. Known vm types are: default",
        ),
        (
            lambda c: c["compilation"].update(cloud_properties={"cpu": 1}),
            "Compilation config specifies more than one of 'vm_type', 'vm_resources', or 'cloud_properties'",
        ),
        (lambda c: c["compilation"].update(workers=0), "'workers' value (0) should be greater than 1"),
        (without("workers", "compilation"), "Required property 'workers' was not specified in object ("),
        (first("disk_types", disk_size=-1), "references an invalid persistent disk size '-1'"),
        (
            first("disk_types", disk_size="1024"),
            "Property 'disk_size' value (\"1024\") did not match the required type 'Integer'",
        ),
        (first("vm_types", cloud_properties=None), "Property 'cloud_properties' value (nil) did not match"),
        (lambda c: c["azs"].append({"name": "z1"}), "Duplicate az name 'z1'"),
        (lambda c: c["vm_types"].append({"name": "default"}), "Duplicate vm type name 'default'"),
        (lambda c: c["disk_types"].append(c["disk_types"][0]), "Duplicate disk type name 'small'"),
    ],
)
def test_a_cloud_config_is_refused(change: Callable[[Any], None], words: str) -> None:
    with pytest.raises(TaskError) as refusal:
        known(cloud=changed(CLOUD, change))
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "change",
    [
        subnet(range="10.30.0.7/24"),
        subnet(reserved=["10.30.0.9-10.30.0.2"]),
        # A block of them is looked at as a whole, and the gateway in it is not seen.
        subnet(static=["10.30.0.0-10.30.0.31"], reserved=[]),
        lambda c: c["networks"].append({"name": "outside", "type": "dynamic"}),
        lambda c: c["networks"].append({"name": "shared", "type": "vip"}),
        first("disk_types", disk_size=0),
        lambda c: c.update(anything=["else"]),
    ],
)
def test_a_director_takes_of_a_cloud_config_what_one_would_not_think(change: Callable[[Any], None]) -> None:
    known(cloud=changed(CLOUD, change))


def test_cloud_configs_are_one_to_a_deployment_and_only_one_of_them_says_how_to_compile() -> None:
    more = {"vm_types": [{"name": "large"}]}
    met = director_configs.merged([CLOUD, more])
    assert [one["name"] for one in met["vm_types"]] == ["default", "large"]
    assert director_configs.merged([]) == {}
    with pytest.raises(TaskError, match="cannot be defined in multiple cloud configs"):
        director_configs.merged([CLOUD, CLOUD])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (first("releases", version="1"), "Release version 'dns/1' doesn't exist"),
        (
            lambda r: (
                first("releases", name="absent")(r),
                r["addons"][0].update(jobs=[{"name": "a", "release": "absent"}]),
            ),
            "Release 'absent' doesn't exist",
        ),
        (
            first("releases", version="latest"),
            "Runtime manifest contains the release 'dns' with version as 'latest'. Please specify the actual version string.",
        ),
        (first("releases", version="2.latest"), "Please specify the actual version string"),
        (
            first("releases", name="minio"),
            "Manifest specifies job 'dns' which is defined in 'dns', but 'dns' is not listed in the runtime releases section.",
        ),
        (
            lambda r: r["addons"].append({"name": "other", "jobs": [{"name": "other", "release": "dns"}]}),
            "Can't find job 'other'",
        ),
        (
            lambda r: (
                r["releases"].append({"name": "minio", "version": "3"}),
                r["addons"].append({"name": "m", "jobs": [{"name": "server", "release": "minio"}]}),
            ),
            "specifies release 'minio' with version as '3'. This conflicts with version '1' specified in the deployment manifest.",
        ),
    ],
)
def test_a_runtime_config_is_refused(change: Callable[[Any], None], words: str) -> None:
    with pytest.raises(TaskError) as refusal:
        director_manifest.plan(MANIFEST, known(runtime=(changed(RUNTIME, change),)))
    assert words in str(refusal.value)


def test_a_runtime_config_that_applies_to_nothing_here_asks_for_no_release() -> None:
    elsewhere = changed(RUNTIME, first("addons", include={"stemcell": [{"os": "windows2019"}]}))
    absent = changed(elsewhere, first("releases", version="9"))
    assert director_manifest.plan(MANIFEST, known(runtime=(absent,))).releases == (("minio", "1"),)


def test_variables_are_found_and_put_in_their_place() -> None:
    document = {"a": "((tls.ca))((/other))", "b": ["((!port))"], "c": {"d": "((tls))"}, "e": {"a": "((tls))"}}
    assert director_interpolation.variables_in(document) == {"tls", "/other", "port"}
    values = {"tls": {"ca": "CA"}, "/other": "X", "port": 9000}
    assert director_interpolation.interpolate(document, values) == {
        "a": "CAX",
        "b": [9000],
        "c": {"d": {"ca": "CA"}},
        "e": {"a": {"ca": "CA"}},
    }
    later = director_interpolation.interpolate(document, values, frozenset({"d", "e"}))
    assert (later["a"], later["c"], later["e"]) == ("CAX", document["c"], document["e"])
    with pytest.raises(TaskError, match="to have field 'key'"):
        director_interpolation.interpolate("((tls.key))", values)
