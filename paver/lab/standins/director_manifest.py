"""From a deployment manifest to what is to run: a pure function, and every refusal that needs no VM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paver.lab.standins import director_addons, director_configs, director_network, director_placing
from paver.lab.standins.director_configs import CloudConfig
from paver.lab.standins.director_network import Address, Network
from paver.lab.standins.director_properties import canonical, prop, shown
from paver.lab.standins.director_tasks import TaskError
from paver.lab.standins.director_wish import Group, JobWish, Known, Wish


def plan(manifest: Mapping[str, Any], known: Known) -> Wish:
    """Returns what a manifest asks for; raises TaskError in the director's words, and in its order.

    Source: bosh 283.1.6, director/deployment_plan/planner_factory.rb: what the manifest says by itself comes first, then the
    runtime configs, then whether releases and stemcells are there, then places and addresses.
    """
    name = prop(manifest, "name", str)
    aliases = _aliases(manifest, known)
    releases = _releases(manifest, known)
    _update(prop(manifest, "update", dict))
    groups: list[Group] = []
    for entry in prop(manifest, "instance_groups", list, default=[]):
        group = _group(entry, known, releases, aliases)
        if canonical(group.name) in {canonical(other.name) for other in groups}:
            raise TaskError(
                190006, f"Invalid instance group name '{group.name}', canonical name already taken"
            )
        groups.append(group)
    added = director_addons.added(name, groups, known, releases, aliases)
    if not aliases:
        raise TaskError(190019, "'stemcells' needs to be specified")
    for release, version in releases.items():
        director_configs.release_spec(known.releases, release, version)
    stemcells = {alias: _stemcell(entry, known) for alias, entry in aliases.items()}
    taken = dict(known.taken)
    instances = [
        one
        for group, more in zip(groups, added.jobs, strict=True)
        for one in director_placing.placed(name, group, more, known, stemcells[group.stemcell], taken)
    ]
    used = tuple(sorted({*releases.items(), *added.releases.items()}))
    return Wish(name, used, tuple(stemcells.values()), tuple(instances))


def _update(document: Mapping[str, Any]) -> None:
    for key in ("canaries", "max_in_flight", "canary_watch_time", "update_watch_time"):
        prop(document, key, str)


def _aliases(manifest: Mapping[str, Any], known: Known) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for entry in prop(manifest, "stemcells", list, default=[]):
        alias = prop(entry, "alias", str)
        if alias in found:
            raise TaskError(50005, f"Duplicate stemcell alias '{alias}'")
        prop(entry, "version", str)
        if "os" not in entry and "name" not in entry:
            raise TaskError(
                40001, f"Required property 'os' or 'name' was not specified in object ({shown(entry)})"
            )
        if entry["version"] == "latest":
            _stemcell(entry, known)
        found[alias] = entry
    return found


def _releases(manifest: Mapping[str, Any], known: Known) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in prop(manifest, "releases", list):
        name, version = prop(entry, "name", str), prop(entry, "version", str)
        if version == "latest":
            version = str(director_configs.release_spec(known.releases, name, version)["version"])
        if name in found:
            raise TaskError(190002, f"Duplicate release name '{name}'")
        found[name] = version
    return found


def _stemcell(entry: Mapping[str, Any], known: Known) -> Mapping[str, Any]:
    system, name, version = entry.get("os"), entry.get("name"), prop(entry, "version", str)
    of_kind = [s for s in known.stemcells if (s["name"] == name if name else s["os"] == system)]
    if version == "latest":
        if not of_kind:
            what = f"Stemcell '{name}'" if name else f"Stemcell with Operating System '{system}'"
            raise TaskError(50003, f"{what} doesn't exist")
        return max(of_kind, key=lambda stemcell: director_configs.version_key(str(stemcell["version"])))
    for stemcell in of_kind:
        if stemcell["version"] == version:
            return stemcell
    what = f"Stemcell '{name}/{version}'" if name else f"Stemcell version '{version}' for OS '{system}'"
    raise TaskError(50003, f"{what} doesn't exist")


def _group(
    document: Mapping[str, Any],
    known: Known,
    releases: Mapping[str, str],
    aliases: Mapping[str, Mapping[str, Any]],
) -> Group:
    cloud, label = known.cloud, prop(document, "name", str)
    jobs = _jobs(label, document, known, releases)
    disk = _disk(label, document, cloud)
    alias = prop(document, "stemcell", str)
    if alias not in aliases:
        raise TaskError(140005, f"Instance group '{label}' references an unknown stemcell '{alias}'")
    if "vm_type" not in document:
        raise TaskError(
            140022, f"Instance group '{label}' is missing either 'vm_type' or 'vm_resources' section."
        )
    vm_type = prop(document, "vm_type", str)
    if vm_type not in cloud.vm_types:
        raise TaskError(140004, f"Instance group '{label}' references an unknown vm type '{vm_type}'")
    extensions = [
        _extension(extension, cloud) for extension in prop(document, "vm_extensions", list, default=[])
    ]
    prop(document, "env", dict, default={})
    network, static = _network(label, document, cloud)
    azs = _azs(label, document, network)
    count = prop(document, "instances", int)
    if static and len(static) != count:
        raise TaskError(
            150002,
            f"Instance group '{label}' has {count} instances but was allocated {len(static)} static IPs in network '{network.name}'",
        )
    properties: dict[str, Any] = {}
    for source in (cloud.vm_types[vm_type], *extensions):
        properties.update(prop(source, "cloud_properties", dict, default={}))
    return Group(label, document, jobs, disk, alias, properties, network, tuple(static), azs, count)


def _network(label: str, document: Mapping[str, Any], cloud: CloudConfig) -> tuple[Network, list[Address]]:
    entries = prop(document, "networks", list)
    if not entries:
        raise TaskError(140009, f"Instance group '{label}' must specify at least one network")
    name = prop(entries[0], "name", str)
    asked = prop(entries[0], "static_ips", None, default=None)
    static = [address for block in director_network.blocks(asked) for address in block]
    if name not in cloud.networks:
        raise TaskError(150001, f"Instance group '{label}' references an unknown network '{name}'")
    return cloud.networks[name], static


def _azs(label: str, document: Mapping[str, Any], network: Network) -> tuple[str, ...]:
    """The group's zones; each is one of its network's, so that there is none that nobody knows."""
    names = prop(document, "azs", list, default=None)
    if not network.has_azs([None] if names is None else names):
        raise TaskError(
            150006,
            f"Instance group '{label}' must specify availability zone that matches availability zones of network '{network.name}'",
        )
    if names == []:
        raise TaskError(140017, f"Instance group '{label}' has empty availability zones")
    return tuple(names or ())


def _disk(label: str, group: Mapping[str, Any], cloud: CloudConfig) -> tuple[int, Mapping[str, Any]]:
    size = prop(group, "persistent_disk", int, default=None)
    name = prop(group, "persistent_disk_type", str, default=None)
    if size is not None and name is not None:
        raise TaskError(
            140013,
            f"Instance group '{label}' specifies more than one of the following keys: 'persistent_disk', 'persistent_disk_type', and 'persistent_disks'. Choose one.",
        )
    if name is None:
        return size or 0, {}
    if name not in cloud.disk_types:
        raise TaskError(140012, f"Instance group '{label}' references an unknown disk type '{name}'")
    entry = cloud.disk_types[name]
    return int(entry["disk_size"]), prop(entry, "cloud_properties", dict, default={})


def _extension(name: str, cloud: CloudConfig) -> Mapping[str, Any]:
    if name not in cloud.vm_extensions:
        raise TaskError(100, f"The vm_extension '{name}' has not been configured in cloud-config.")
    return cloud.vm_extensions[name]


def _jobs(
    label: str, group: Mapping[str, Any], known: Known, releases: Mapping[str, str]
) -> tuple[JobWish, ...]:
    if group.get("jobs") is None:
        raise TaskError(40001, f"Instance group '{label}' does not specify jobs key")
    shared = prop(group, "properties", dict, default={})
    found: list[JobWish] = []
    for job in prop(group, "jobs", list):
        name, release = prop(job, "name", str), prop(job, "release", str)
        if release not in releases:
            raise TaskError(
                140002,
                f"Job '{name}' (instance group '{label}') references an unknown release '{release}'",
            )
        spec = director_configs.release_spec(known.releases, release, releases[release])
        if name not in spec["jobs"]:
            raise TaskError(140029, f"Job '{name}' not found in release '{release}'")
        own = prop(job, "properties", dict, default=shared)
        found.append(JobWish(name, release, releases[release], own))
    names = [job.name for job in found]
    for name in names:
        if names.count(name) > 1:
            raise TaskError(
                140010, f"Colocated job '{name}' is already added to the instance group '{label}'"
            )
    return tuple(found)
