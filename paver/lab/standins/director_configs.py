"""Cloud and runtime configs: what a director takes at their upload, and what of them a deploy can do nothing with.

At the upload it asks for a YAML hash and nothing else (bosh 283.1.6, director/api/controllers/configs_controller.rb,
api_helper.rb). What such a hash says it reads when a manifest meets it: director/deployment_plan/cloud_manifest_parser.rb,
cloud_config/cloud_configs_consolidator.rb, runtime_config, addon.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from paver.lab.standins import director_network, libyaml
from paver.lab.standins.director_network import Address, Network
from paver.lab.standins.director_properties import canonical, prop
from paver.lab.standins.director_tasks import TaskError

Releases = Mapping[str, Mapping[str, Mapping[str, Any]]]
_LISTS = ("azs", "vm_types", "disk_types", "networks", "vm_extensions")
_LATEST = re.compile(r"(^|[._])latest$")


@dataclass(frozen=True)
class CloudConfig:
    """What deployments may refer to by name."""

    azs: Mapping[str, Mapping[str, Any]]
    vm_types: Mapping[str, Mapping[str, Any]]
    vm_extensions: Mapping[str, Mapping[str, Any]]
    disk_types: Mapping[str, Mapping[str, Any]]
    networks: Mapping[str, Network]


@dataclass(frozen=True)
class RuntimeConfig:
    """Releases by name, and what of them runs on which VMs."""

    releases: Mapping[str, str]
    addons: tuple[Mapping[str, Any], ...]


def content(text: Any) -> dict[str, Any]:
    """Returns what a config of any type says: a YAML hash; refuses all else at its upload."""
    try:
        found = libyaml.loads(text)
    except yaml.YAMLError as error:
        raise TaskError(440011, f"Config must be valid YAML: {error}") from error
    if not isinstance(found, dict):
        raise TaskError(440011, "YAML hash expected")
    return found


def manifest(text: str) -> dict[str, Any]:
    """Returns what a manifest says, or a config that comes as text alone; refuses what is no YAML hash."""
    if not text:
        raise TaskError(440001, "Manifest should not be empty")
    try:
        found = libyaml.loads(text)
    except yaml.YAMLError as error:
        raise TaskError(440001, f"Incorrect YAML structure of the uploaded manifest: {error}") from error
    if not isinstance(found, dict):
        raise TaskError(440001, "Manifest should be a hash")
    return found


def kept(kind: str, text: str, document: Mapping[str, Any]) -> str:
    """Returns the text by which a director keeps a config: a runtime config is written anew, its versions as text."""
    if kind != "runtime":
        return text
    releases = document.get("releases") or []
    named = [{**one, "version": str(one["version"])} if one.get("version") else one for one in releases]
    again = {**document, **({"releases": named} if "releases" in document else {})}
    return libyaml.dumps(again, explicit_start=True)


def merged(configs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns all cloud configs as one; nothing where they say nothing."""
    named = list(configs)
    if not any(named):
        return {}
    found: dict[str, Any] = {
        key: [one for config in named for one in prop(config, key, list, default=[])] for key in _LISTS
    }
    compiling = [one for config in named if (one := prop(config, "compilation", dict, default=None))]
    if len(compiling) > 1:
        raise TaskError(570000, "Cloud config 'compilation' key cannot be defined in multiple cloud configs.")
    return found | ({"compilation": compiling[0]} if compiling else {})


def cloud_config(document: Mapping[str, Any], own: Iterable[Address] = ()) -> CloudConfig:
    """Reads a cloud config whole, as each deploy does; `own` are the director's addresses.

    Raises:
        TaskError: in the director's words.
    """
    azs = _named(document, "azs", 190017, "az")
    networks = _networks(document, azs, own)
    vm_types = _named(document, "vm_types", 190004, "vm type")
    extensions = _named(document, "vm_extensions", 190005, "vm extension")
    disks = _named(document, "disk_types", 190013, "disk type", _disk)
    _compilation(prop(document, "compilation", dict), azs, networks, vm_types, extensions)
    return CloudConfig(azs, vm_types, extensions, disks, networks)


def _networks(
    document: Mapping[str, Any], azs: Iterable[str], own: Iterable[Address]
) -> Mapping[str, Network]:
    entries = prop(document, "networks", list)
    if not entries:
        raise TaskError(190008, "No networks specified")
    found = [director_network.parse(entry, azs, own) for entry in entries]
    taken: set[str] = set()
    for network in found:
        if canonical(network.name) in taken:
            raise TaskError(190007, f"Invalid network name '{network.name}', canonical name already taken")
        taken.add(canonical(network.name))
    return {network.name: network for network in found}


def _disk(entry: Mapping[str, Any]) -> None:
    size = prop(entry, "disk_size", int)
    if size < 0:
        raise TaskError(
            200001, f"Disk types '{entry['name']}' references an invalid persistent disk size '{size}'"
        )


def _compilation(
    document: Mapping[str, Any],
    azs: Mapping[str, Any],
    networks: Mapping[str, Network],
    vm_types: Mapping[str, Any],
    extensions: Mapping[str, Any],
) -> None:
    workers = prop(document, "workers", int)
    if workers < 1:
        raise TaskError(40002, f"'workers' value ({workers}) should be greater than 1")
    name = prop(document, "network", str)
    own = prop(document, "cloud_properties", dict, default={})
    az = prop(document, "az", str, default=None)
    if az and az not in azs:
        raise TaskError(
            120002, f"Compilation config references unknown az '{az}'. Known azs are: [{', '.join(azs)}]"
        )
    vm_type, resources = (
        prop(document, key, kind, default=None) for key, kind in (("vm_type", str), ("vm_resources", dict))
    )
    if sum(bool(one) for one in (vm_type, resources, own)) > 1:
        raise TaskError(
            120007,
            "Compilation config specifies more than one of 'vm_type', 'vm_resources', or 'cloud_properties', only one is allowed.",
        )
    if vm_type is not None and vm_type not in vm_types:
        raise TaskError(
            120003,
            f"Compilation config references unknown vm type '{vm_type}'. Known vm types are: {', '.join(vm_types)}",
        )
    for extension in prop(document, "vm_extensions", list, default=[]):
        if extension not in extensions:
            raise TaskError(
                120005,
                f"Compilation config references unknown vm extension '{extension}'. Known vm extensions are: {', '.join(extensions)}",
            )
    if name not in networks:
        raise TaskError(120001, f"Compilation config references an unknown network '{name}'")
    if not networks[name].has_azs([az]):
        raise TaskError(
            150006,
            f"Compilation config refers to az '{az or ''}' but network '{name}' has no matching subnet(s).",
        )


def runtime_config(document: Mapping[str, Any]) -> RuntimeConfig:
    """Reads a runtime config, as each deploy does. Whether its releases are there is asked only where it applies.

    Raises:
        TaskError: in the director's words.
    """
    releases = {}
    for entry in prop(document, "releases", list, default=[]):
        name, version = prop(entry, "name", str), prop(entry, "version", str)
        if _LATEST.search(version):
            raise TaskError(
                530001,
                f"Runtime manifest contains the release '{name}' with version as '{version}'. Please specify the actual version string.",
            )
        releases[name] = version
    addons = prop(document, "addons", list, default=[])
    for addon in addons:
        prop(addon, "name", str)
        for rule in ("include", "exclude"):
            prop(addon, rule, dict, default=None)
        for job in prop(addon, "jobs", list, default=[]):
            job_name, release = prop(job, "name", str), prop(job, "release", str)
            if release not in releases:
                raise TaskError(
                    530002,
                    f"Manifest specifies job '{job_name}' which is defined in '{release}', but '{release}' is not listed in the runtime releases section.",
                )
    return RuntimeConfig(releases, tuple(addons))


def release_spec(releases: Releases, name: str, version: str) -> Mapping[str, Any]:
    """Returns an uploaded release; `version` may be "latest"."""
    if name not in releases or not releases[name]:
        raise TaskError(30005, f"Release '{name}' doesn't exist")
    if version == "latest":
        version = max(releases[name], key=version_key)
    if version not in releases[name]:
        raise TaskError(30006, f"Release version '{name}/{version}' doesn't exist")
    return releases[name][version]


def version_key(version: str) -> tuple[tuple[int, str], ...]:
    """Orders versions part by part, numbers as numbers."""
    return tuple(
        (int(part), "") if part.isdigit() else (-1, part) for part in version.replace("-", ".").split(".")
    )


def _named(
    document: Mapping[str, Any],
    key: str,
    code: int,
    what: str,
    check: Callable[[Mapping[str, Any]], None] | None = None,
) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    twice: list[str] = []
    for entry in prop(document, key, list, default=[]):
        name = prop(entry, "name", str)
        prop(entry, "cloud_properties", dict, default={})
        if check is not None:
            check(entry)
        if name in found:
            twice.append(name)
        found[name] = entry
    if twice:
        raise TaskError(code, f"Duplicate {what} name '{twice[0]}'")
    return found
