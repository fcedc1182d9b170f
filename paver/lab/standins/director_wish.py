"""What a director knows, and what a manifest asks of it: the data between reading, placing and making."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paver.lab.standins.director_configs import CloudConfig, Releases, RuntimeConfig
from paver.lab.standins.director_network import Address, Network, Subnet


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
    """What the director has, and the addresses that other deployments hold: address → who.

    `cpis` are the names in its CPI configs, None where it has none and uses the one of its own job.
    """

    releases: Releases
    stemcells: tuple[Mapping[str, Any], ...]
    cloud: CloudConfig
    runtime: tuple[RuntimeConfig, ...]
    taken: Mapping[Address, str]
    kept: Mapping[tuple[str, int], Address]
    cpis: frozenset[str] | None = None


@dataclass(frozen=True)
class Wish:
    """A deployment as it is to be."""

    name: str
    releases: tuple[tuple[str, str], ...]
    stemcells: tuple[Mapping[str, Any], ...]
    instances: tuple[InstanceWish, ...]


@dataclass(frozen=True)
class Group:
    """What an instance group names, looked up; `stemcell` is its alias in the manifest."""

    name: str
    document: Mapping[str, Any]
    jobs: tuple[JobWish, ...]
    disk: tuple[int, Mapping[str, Any]]
    stemcell: str
    properties: Mapping[str, Any]
    network: Network
    static: tuple[Address, ...]
    azs: tuple[str, ...]
    count: int
