"""From a deployment manifest to what is to run: a pure function, and every refusal that needs no VM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from paver.lab.standins import director_configs
from paver.lab.standins.director_configs import CloudConfig, Releases
from paver.lab.standins.director_network import Address, Network, Subnet, required
from paver.lab.standins.director_tasks import TaskError


@dataclass(frozen=True)
class JobWish:
    """A job to run, with the properties that the manifest gives it."""

    name: str
    release: str
    version: str
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class InstanceWish:
    """One instance: where it lives, what it runs."""

    group: str
    index: int
    az: str
    stemcell: Mapping[str, Any]
    vm_type: str
    cloud_properties: Mapping[str, Any]
    network: str
    address: Address
    subnet: Subnet
    disk: int
    disk_properties: Mapping[str, Any]
    jobs: tuple[JobWish, ...]
    env: Mapping[str, Any]
    errand: bool


@dataclass(frozen=True)
class Known:
    """What the director has, and the addresses that other deployments hold: address → who."""

    releases: Releases
    stemcells: tuple[Mapping[str, Any], ...]
    cloud: CloudConfig
    runtime: tuple[Mapping[str, Any], ...]
    taken: Mapping[Address, str]
    kept: Mapping[tuple[str, int], Address]


@dataclass(frozen=True)
class Wish:
    """A deployment as it is to be."""

    name: str
    releases: tuple[tuple[str, str], ...]
    stemcells: tuple[Mapping[str, Any], ...]
    instances: tuple[InstanceWish, ...]


def plan(manifest: Mapping[str, Any], known: Known) -> Wish:
    """Returns what a manifest asks for; raises TaskError in the director's words."""
    name = str(required(manifest, "name", "manifest"))
    required(manifest, "update", "manifest")
    releases = _releases(manifest, known, required(manifest, "releases", "manifest"))
    stemcells = {
        str(required(entry, "alias", "stemcell")): _stemcell(entry, known)
        for entry in required(manifest, "stemcells", "manifest")
    }
    taken = dict(known.taken)
    instances: list[InstanceWish] = []
    groups: set[str] = set()
    for group in required(manifest, "instance_groups", "manifest"):
        label = str(required(group, "name", "instance group"))
        if label in groups:
            raise TaskError(140013, f"Duplicate instance group name '{label}'")
        groups.add(label)
        instances += _instances(name, label, group, known, releases, stemcells, taken)
    addons = {
        (str(e["name"]), str(e["version"])) for config in known.runtime for e in config.get("releases") or []
    }
    used = tuple(sorted({(n, v) for n, v in releases.items()} | (addons if instances else set())))
    return Wish(name, used, tuple(stemcells.values()), tuple(instances))


def _releases(
    manifest: Mapping[str, Any], known: Known, entries: Iterable[Mapping[str, Any]]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        name = str(required(entry, "name", "release"))
        if name in found:
            raise TaskError(140003, f"Duplicate release name '{name}'")
        found[name] = str(
            director_configs.release_spec(known.releases, name, str(required(entry, "version", "release")))[
                "version"
            ]
        )
    for config in known.runtime:
        director_configs.check_runtime_config(config, known.releases)
    if not found and manifest.get("instance_groups"):
        raise TaskError(40001, "Required property 'releases' was not specified in object (manifest)")
    return found


def _stemcell(entry: Mapping[str, Any], known: Known) -> Mapping[str, Any]:
    system, name = entry.get("os"), entry.get("name")
    if not system and not name:
        raise TaskError(
            50007, f"Required property 'os' or 'name' was not specified in object ({dict(entry)})"
        )
    version = str(required(entry, "version", "stemcell"))
    of_kind = [s for s in known.stemcells if (s["os"] == system if system else s["name"] == name)]
    if not of_kind:
        what = f"Stemcell with Operating System '{system}'" if system else f"Stemcell '{name}'"
        raise TaskError(50003, f"{what} doesn't exist")
    if version == "latest":
        return max(of_kind, key=lambda stemcell: director_configs.version_key(str(stemcell["version"])))
    for stemcell in of_kind:
        if stemcell["version"] == version:
            return stemcell
    kind = f"for OS '{system}' " if system else f"'{name}' "
    raise TaskError(50003, f"Stemcell version '{version}' {kind}doesn't exist")


def _instances(
    deployment: str,
    label: str,
    group: Mapping[str, Any],
    known: Known,
    releases: Mapping[str, str],
    stemcells: Mapping[str, Mapping[str, Any]],
    taken: dict[Address, str],
) -> list[InstanceWish]:
    cloud, where = known.cloud, f"instance group '{label}'"
    alias = str(required(group, "stemcell", where))
    if alias not in stemcells:
        raise TaskError(140008, f"Instance group '{label}' references unknown stemcell alias '{alias}'")
    vm_type = str(required(group, "vm_type", where))
    if vm_type not in cloud.vm_types:
        raise TaskError(140019, f"Instance group '{label}' references an unknown vm type '{vm_type}'")
    azs = [str(az) for az in group.get("azs") or []]
    for az in azs:
        if az not in cloud.azs:
            raise TaskError(
                140023,
                f"Instance group '{label}' references unknown az '{az}'. Known azs are: {', '.join(cloud.azs)}",
            )
    [wanted] = required(group, "networks", where)[:1] or [{}]
    name = str(required(wanted, "name", f"{where} network"))
    if name not in cloud.networks:
        raise TaskError(140010, f"Instance group '{label}' references an unknown network '{name}'")
    count = int(required(group, "instances", where))
    static = [Address(str(text)) for text in wanted.get("static_ips") or []]
    if static and len(static) != count:
        raise TaskError(
            140011,
            f"Instance group '{label}' has {count} instances but was allocated {len(static)} static IPs in network '{name}'",
        )
    disk, disk_properties = _disk(label, group, cloud)
    properties: dict[str, Any] = {}
    for source in (
        *(cloud.azs[az].get("cloud_properties") or {} for az in azs[:1]),
        cloud.vm_types[vm_type].get("cloud_properties") or {},
        *(_extension(label, ext, cloud) for ext in group.get("vm_extensions") or []),
    ):
        properties.update(source)
    jobs = _jobs(label, group, known, releases, stemcells[alias], deployment)
    found = []
    for index in range(count):
        holder = f"instance '{label}/{index}' from deployment '{deployment}'"
        kept = known.kept.get((label, index))
        address, subnet = _place(
            label, cloud.networks[name], static[index] if static else None, kept, azs, taken
        )
        taken[address] = holder
        found.append(
            InstanceWish(
                group=label,
                index=index,
                az=next((az for az in subnet.azs if az in azs), azs[0] if azs else ""),
                stemcell=stemcells[alias],
                vm_type=vm_type,
                cloud_properties=properties,
                network=name,
                address=address,
                subnet=subnet,
                disk=disk,
                disk_properties=disk_properties,
                jobs=jobs,
                env=group.get("env") or {},
                errand=group.get("lifecycle") == "errand",
            )
        )
    return found


def _place(
    label: str,
    network: Network,
    static: Address | None,
    kept: Address | None,
    azs: list[str],
    taken: Mapping[Address, str],
) -> tuple[Address, Subnet]:
    if static is not None:
        subnet = network.subnet_of(static, label)
        if azs and subnet.azs and not set(azs) & set(subnet.azs):
            raise TaskError(
                140023,
                f"Instance group '{label}' declares static ip '{static}' which belongs to az '{', '.join(subnet.azs)}' that is not one of its azs",
            )
        if static in taken:
            raise TaskError(
                130009,
                f"Failed to reserve IP '{static}' for instance group '{label}': already reserved by {taken[static]}",
            )
        return static, subnet
    fitting = [
        subnet for subnet in network.subnets if not azs or not subnet.azs or set(azs) & set(subnet.azs)
    ]
    if not fitting:
        raise TaskError(
            140023,
            f"Instance group '{label}' must specify availability zone that matches availability zones of network '{network.name}'",
        )
    for subnet in fitting:
        if kept is not None and kept in subnet.network and kept not in taken:
            return kept, subnet
        for address in subnet.free(taken):
            return address, subnet
    raise TaskError(
        130010,
        f"Failed to reserve IP for instance group '{label}' for manual network '{network.name}': no more available",
    )


def _disk(label: str, group: Mapping[str, Any], cloud: CloudConfig) -> tuple[int, Mapping[str, Any]]:
    if group.get("persistent_disk") is not None:
        return int(group["persistent_disk"]), {}
    name = group.get("persistent_disk_type")
    if name is None:
        return 0, {}
    if name not in cloud.disk_types:
        raise TaskError(140020, f"Instance group '{label}' references an unknown disk type '{name}'")
    entry = cloud.disk_types[name]
    return int(entry["disk_size"]), entry.get("cloud_properties") or {}


def _extension(label: str, name: str, cloud: CloudConfig) -> Mapping[str, Any]:
    if name not in cloud.vm_extensions:
        raise TaskError(140021, f"Instance group '{label}' references an unknown vm extension '{name}'")
    found: Mapping[str, Any] = cloud.vm_extensions[name].get("cloud_properties") or {}
    return found


def _jobs(
    label: str,
    group: Mapping[str, Any],
    known: Known,
    releases: Mapping[str, str],
    stemcell: Mapping[str, Any],
    deployment: str,
) -> tuple[JobWish, ...]:
    shared = group.get("properties") or {}
    found: list[JobWish] = []
    for job in required(group, "jobs", f"instance group '{label}'"):
        name, release = str(required(job, "name", "job")), str(required(job, "release", "job"))
        if release not in releases:
            raise TaskError(
                140005, f"Instance group '{label}' references unknown release '{release}' for job '{name}'"
            )
        found.append(_job(label, name, release, releases[release], job.get("properties"), shared, known))
    for config in known.runtime:
        versions = {str(entry["name"]): str(entry["version"]) for entry in config.get("releases") or []}
        for addon in config.get("addons") or []:
            if _included(addon, stemcell, deployment):
                for job in addon["jobs"]:
                    release, name = str(job["release"]), str(job["name"])
                    found.append(
                        _job(
                            label,
                            name,
                            release,
                            versions[release],
                            job.get("properties") or addon.get("properties"),
                            {},
                            known,
                        )
                    )
    return tuple(found)


def _included(addon: Mapping[str, Any], stemcell: Mapping[str, Any], deployment: str) -> bool:
    def fits(rule: Mapping[str, Any]) -> bool:
        systems = [entry.get("os") for entry in rule.get("stemcell") or []]
        return (not systems or stemcell["os"] in systems) and (
            not rule.get("deployments") or deployment in rule["deployments"]
        )

    exclude = addon.get("exclude")
    return fits(addon.get("include") or {}) and not (exclude and fits(exclude))


def _job(
    label: str, name: str, release: str, version: str, own: Any, shared: Mapping[str, Any], known: Known
) -> JobWish:
    spec = known.releases[release].get(version)
    if spec is None:
        raise TaskError(30006, f"Release version '{release}/{version}' doesn't exist")
    if name not in spec["jobs"]:
        raise TaskError(
            140012,
            f"Instance group '{label}' references job '{name}' which is not in release '{release}/{version}'",
        )
    return JobWish(name, release, version, own if own is not None else shared)
