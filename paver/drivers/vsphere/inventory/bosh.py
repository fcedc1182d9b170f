"""What BUCC and BOSH are told of a vSphere site: the CPI's variables, ops, availability zones, VM types. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from paver.driver import Material, output
from paver.drivers.vsphere import endpoints, settings
from paver.sitefile.site import Site

VM_TYPES: Mapping[str, Mapping[str, int]] = {
    "default": {"cpu": 2, "ram": 4096, "disk": 20480},
    "small": {"cpu": 1, "ram": 2048, "disk": 10240},
    "large": {"cpu": 4, "ram": 16384, "disk": 51200},
}
"""Cloud properties of BOSH's VMs: CPUs, memory and ephemeral disk in MiB."""
_DIRECTORS = "/instance_groups/name=bosh/properties"
"""The properties of the director's VM, its CPI's among them."""


def account_password(site: Site) -> Material:
    """Returns the password of BOSH's account."""
    name = settings.of(site).inventory.cpi.password.name
    return Material(kind="password", name=name, policy="vcenter")


def cluster(site: Site) -> str:
    """Returns the name of the cluster that the director is put into."""
    return settings.of(site).clusters_of(site.bucc.az)[0]


def clusters(site: Site) -> tuple[str, ...]:
    """Returns the names of all clusters that carry an availability zone, by zone."""
    wished = settings.of(site)
    return tuple(dict.fromkeys(name for az in site.azs for name in wished.clusters_of(az)))


def hosts(site: Site) -> tuple[str, ...]:
    """Returns the hosts of all clusters that carry an availability zone, by zone."""
    inventory = settings.of(site).inventory
    return tuple(dict.fromkeys(host for name in clusters(site) for host in inventory.clusters[name].hosts))


def datastores(site: Site) -> tuple[str, ...]:
    """Returns what BOSH's hosts call the datastores that they were given: the CPI has one pattern for all zones.

    In each it takes those that hosts of the zone's clusters reach.
    """
    wished = settings.of(site)
    return tuple(dict.fromkeys(wished.hosts[host].datastore for host in hosts(site)))


def cpi_values(site: Site) -> dict[str, Any]:
    """Returns BUCC's variables for the CPI `vsphere`."""
    wished, vm = settings.of(site), site.bucc.vm
    name, folders = cluster(site), wished.inventory.folders
    network = site.networks[site.network_of(site.bucc.address) or ""]
    pool = wished.inventory.clusters[name].resource_pool
    values = {
        "network_name": network.port_group,
        # By name: vCenter's certificate has no address in it.
        "vcenter_ip": wished.vcenter.fqdn,
        "vcenter_user": wished.cpi_account(),
        "vcenter_password": account_password(site).secret,
        "vcenter_ca_cert": output(endpoints.VMCA, "pem", str),
        "vcenter_dc": wished.inventory.datacenter,
        "vcenter_cluster": name,
        "vcenter_ds": pattern(datastores(site)),
        "vcenter_disks": folders.disks,
        "vcenter_templates": folders.templates,
        "vcenter_vms": folders.vms,
        "vcenter_vm_cpu": vm.cpus,
        "vcenter_vm_ram": vm.memory_mb,
        "vcenter_vm_disk": vm.disk_gb * 1024,
        "vcenter_dns": [str(address) for address in site.dns],
    }
    return {**values, "vcenter_rp": pool} if pool else values


def cpi_flags(site: Site) -> tuple[str, ...]:
    """Returns BUCC's flags: the site's name servers instead of the Internet's, the pool if there is one."""
    pool = settings.of(site).inventory.clusters[cluster(site)].resource_pool
    return ("dns", "resource-pool") if pool else ("dns",)


def cpi_operators(site: Site) -> dict[str, str]:
    """Returns the ops: without `connection_options.ca_cert` the CPI does not verify vCenter."""
    operations = [
        {
            "type": "replace",
            "path": f"{path}/connection_options?",
            "value": {"ca_cert": "((vcenter_ca_cert))"},
        }
        for path in (f"{_DIRECTORS}/vcenter", "/cloud_provider/properties/vcenter")
    ]
    # BUCC sorts all ops by name, hence the prefix.
    files = {"50-paver-vcenter-ca.yml": operations}
    if len(clusters(site)) > 1:
        files["50-paver-vcenter-clusters.yml"] = [_all_clusters(site)]
    return {name: yaml.safe_dump(content, sort_keys=False) for name, content in files.items()}


def _all_clusters(site: Site) -> dict[str, Any]:
    """Returns the operation that names all clusters to the director's CPI.

    It looks for a persistent disk on the datastores of these alone, whatever the zone: of another cluster's it says that
    there is none, and the director makes no VM with it any more and forgets it instead of deleting it
    (bosh-vsphere-cpi-release 98.0.9, resources/datacenter.rb, find_disk; bosh, orphan_disk_manager.rb). The CPI of
    `bosh create-env` keeps to one: it would put the director into any.

    Ops come before variables: names that BUCC has a variable for stand as that here, the director's cluster first, for its
    flag `resource-pool`, which sorts after this, writes into the first one of that name.
    """
    named = settings.of(site).inventory.clusters
    own = cluster(site)
    first = {"resource_pool": "((vcenter_rp))"} if named[own].resource_pool else {}
    others = [{name: _of_cluster(named[name])} for name in clusters(site) if name != own]
    return {
        "type": "replace",
        "path": f"{_DIRECTORS}/vcenter/datacenters/name=((vcenter_dc))/clusters",
        "value": [{"((vcenter_cluster))": first}, *others],
    }


def pattern(names: tuple[str, ...]) -> str:
    r"""Returns Ruby's regular expression for these names, and for what vCenter makes of one that it has already.

    `\Adatastore1(?: \(\d+\))?\z`: the second host's `datastore1` is `datastore1 (1)`.
    """
    escaped = [re.sub(r"([^\w\s-])", r"\\\1", name) for name in names]
    either = escaped[0] if len(escaped) == 1 else f"(?:{'|'.join(escaped)})"
    return rf"\A{either}(?: \(\d+\))?\z"


def azs(site: Site) -> dict[str, Any]:
    """Returns the cloud properties of each availability zone: datacenter and clusters."""
    inventory = settings.of(site).inventory
    return {
        az: {
            "datacenters": [
                {
                    "name": inventory.datacenter,
                    "clusters": [
                        {name: _of_cluster(inventory.clusters[name])}
                        for name in settings.of(site).clusters_of(az)
                    ],
                }
            ]
        }
        for az in site.azs
    }


def _of_cluster(wished: settings.Cluster) -> dict[str, str]:
    return {"resource_pool": wished.resource_pool} if wished.resource_pool else {}


def network_properties(site: Site) -> dict[str, Any]:
    """Returns the cloud properties of each network that BOSH uses: the port group's name."""
    return {name: {"name": network.port_group} for name, network in site.networks.items() if network.az}


def vm_types() -> dict[str, Any]:
    """Returns the cloud properties of each VM type."""
    return {name: dict(properties) for name, properties in VM_TYPES.items()}
