"""Where a group's instances go: zone, subnet and address, and the director's refusals of what does not fit.

Source: bosh 283.1.6, director/deployment_plan/placement_planner, ip_provider, az_cloud_factory.rb.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from paver.lab.standins.director_network import Address, Network, Subnet
from paver.lab.standins.director_properties import prop
from paver.lab.standins.director_tasks import TaskError
from paver.lab.standins.director_wish import Group, InstanceWish, JobWish, Known


def placed(
    deployment: str,
    group: Group,
    more: tuple[JobWish, ...],
    known: Known,
    stemcell: Mapping[str, Any],
    taken: dict[Address, str],
) -> Iterator[InstanceWish]:
    """Yields a group's instances, each with an address that nobody holds; notes these in `taken`."""
    label, network = group.name, group.network
    if network.kind != "manual":
        raise TaskError(
            100, f"The lab's director places nothing on {network.kind} networks: '{network.name}'"
        )
    subnets = [_asked(group, address) for address in group.static]
    for index in range(group.count):
        static, kept = group.static[index] if group.static else None, known.kept.get((label, index))
        if static is None:
            address, subnet = _chosen(group, index, kept, taken)
        else:
            address, subnet = static, subnets[index]
            _reserve(f"{label}/{index}", network, subnet, address, taken)
        taken[address] = f"instance '{label}/{index}' from deployment '{deployment}'"
        az = next((az for az in subnet.azs if az in group.azs), group.azs[0] if group.azs else "")
        yield InstanceWish(
            group=label,
            index=index,
            az=az,
            stemcell=stemcell,
            vm_type=group.document["vm_type"],
            cloud_properties={**_zone(az, known), **group.properties},
            network=network.name,
            address=address,
            subnet=subnet,
            disk=group.disk[0],
            disk_properties=group.disk[1],
            jobs=(*group.jobs, *more),
            env=group.document.get("env") or {},
            errand=group.document.get("lifecycle") == "errand",
        )


def _asked(group: Group, address: Address) -> Subnet:
    subnet = next((subnet for subnet in group.network.subnets if subnet.is_static(address)), None)
    if subnet is None:
        raise TaskError(
            150002,
            f"Instance group '{group.name}' with network '{group.network.name}' declares static ip '{address}/32', which belongs to no subnet",
        )
    if group.azs and not set(group.azs) & set(subnet.azs):
        raise TaskError(
            150007,
            f"Instance group '{group.name}' declares static ip '{address}/32' which does not belong to any of the instance group's availability zones.",
        )
    return subnet


def _reserve(
    instance: str, network: Network, subnet: Subnet, address: Address, taken: Mapping[Address, str]
) -> None:
    if any(address in block for block in subnet.restricted):
        raise TaskError(
            130013,
            f"Failed to reserve IP '{address}/32' for network '{network.name}': IP belongs to reserved range",
        )
    if address in taken:
        raise TaskError(
            130008,
            f"Failed to reserve IP '{address}/32' for instance '{instance}': already reserved by {taken[address]}",
        )


def _chosen(
    group: Group, index: int, kept: Address | None, taken: Mapping[Address, str]
) -> tuple[Address, Subnet]:
    fitting = [s for s in group.network.subnets if not group.azs or set(group.azs) & set(s.azs)]
    for subnet in fitting:
        if kept is not None and kept in subnet.network and kept not in taken:
            return kept, subnet
        for address in subnet.free(taken):
            return address, subnet
    raise TaskError(
        130011,
        f"Failed to reserve IP for '{group.name}/{index}' for manual network '{group.network.name}': no more available",
    )


def _zone(az: str, known: Known) -> Mapping[str, Any]:
    """The cloud properties of a zone whose CPI is there."""
    if not az:
        return {}
    entry = known.cloud.azs[az]
    cpi = prop(entry, "cpi", str, default="")
    if known.cpis is None and cpi:
        why = f"CPI '{cpi}' not found in cpi-config (because cpi-config is not set)"
        raise TaskError(100, f"Failed to load CPI for AZ '{az}': {why}")
    if known.cpis is not None and not cpi:
        raise TaskError(550001, f"AZ '{az}' must specify a CPI when CPI config is defined.")
    if known.cpis is not None and cpi not in known.cpis:
        raise TaskError(100, f"Failed to load CPI for AZ '{az}': CPI '{cpi}' not found in cpi-config")
    found: Mapping[str, Any] = prop(entry, "cloud_properties", dict, default={})
    return found
