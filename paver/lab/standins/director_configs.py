"""Cloud and runtime configs: what a director takes and what it refuses, by pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from paver.lab.standins import director_network
from paver.lab.standins.director_network import Network, required
from paver.lab.standins.director_tasks import TaskError

Releases = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class CloudConfig:
    """What deployments may refer to by name."""

    azs: Mapping[str, Mapping[str, Any]]
    vm_types: Mapping[str, Mapping[str, Any]]
    vm_extensions: Mapping[str, Mapping[str, Any]]
    disk_types: Mapping[str, Mapping[str, Any]]
    networks: Mapping[str, Network]


def load(text: str, what: str) -> dict[str, Any]:
    """Returns a YAML mapping; refuses anything else."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TaskError(440001, f"Incorrect YAML structure of the uploaded {what}: {error}") from error
    if not isinstance(content, dict):
        raise TaskError(
            440001, f"The {what} must be a hash" if content is not None else "Manifest should not be empty"
        )
    return content


def cloud_config(document: Mapping[str, Any]) -> CloudConfig:
    """Checks a cloud config whole; raises TaskError in the director's words."""
    azs = _named(document, "azs")
    vm_types, disk_types = _named(document, "vm_types"), _named(document, "disk_types")
    networks = {
        str(entry["name"]): director_network.parse(entry, set(azs))
        for entry in _named(document, "networks").values()
    }
    for name, disk in disk_types.items():
        size = required(disk, "disk_size", f"disk_type '{name}'")
        if not isinstance(size, int) or size <= 0:
            raise TaskError(380001, f"Disk type '{name}' references an invalid disk size: {size}")
    compilation = document.get("compilation")
    if compilation is None:
        raise TaskError(40001, "Required property 'compilation' was not specified in object (cloud config)")
    network = str(required(compilation, "network", "compilation"))
    if network not in networks:
        raise TaskError(90001, f"Compilation config references an unknown network '{network}'")
    required(compilation, "workers", "compilation")
    if compilation.get("az") is not None and compilation["az"] not in azs:
        raise TaskError(
            90002,
            f"Compilation config references unknown az '{compilation['az']}'. Known azs are: [{', '.join(azs)}]",
        )
    if compilation.get("vm_type") is not None and compilation["vm_type"] not in vm_types:
        raise TaskError(
            90003,
            f"Compilation config references unknown vm type '{compilation['vm_type']}'. Known vm types are: {', '.join(vm_types)}",
        )
    return CloudConfig(azs, vm_types, _named(document, "vm_extensions"), disk_types, networks)


def check_runtime_config(document: Mapping[str, Any], releases: Releases) -> None:
    """Refuses a runtime config that names what the director hasn't got."""
    listed: set[str] = set()
    for entry in document.get("releases") or []:
        name, version = str(required(entry, "name", "release")), str(required(entry, "version", "release"))
        if version == "latest":
            raise TaskError(
                530003,
                f"Runtime config contains the release '{name}' with version as '{version}'. Please specify the actual version string.",
            )
        release_spec(releases, name, version)
        listed.add(name)
    for addon in document.get("addons") or []:
        where = f"addon '{required(addon, 'name', 'addon')}'"
        for job in required(addon, "jobs", where):
            release = str(required(job, "release", where))
            if release not in listed:
                raise TaskError(
                    530001,
                    f"Manifest specifies job '{job.get('name')}' which is defined in '{release}', but '{release}' is not listed in the runtime releases section.",
                )


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


def _named(document: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    entries = document.get(key) or []
    if not isinstance(entries, list):
        raise TaskError(
            40000, f"Property '{key}' value ({entries!r}) did not match the required type 'Array'"
        )
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        name = str(required(entry, "name", key))
        if name in found:
            raise TaskError(440002, f"Duplicate {key.rstrip('s')} name '{name}'")
        found[name] = entry
    return found
