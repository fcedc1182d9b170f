"""What the director is told: cloud and runtime config, and the manifests of object store and registry. Pure.

A director looks into its configs at the first deploy that they meet (bosh, director/deployment_plan/cloud_manifest_parser.rb),
which may be somebody else's, long after paver. So the site file is held to all that it would refuse of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paver.driver import Paved, ResourceId, output
from paver.foundation import places
from paver.sitefile.site import Site

UPDATE = {
    "canaries": 1,
    "max_in_flight": 1,
    "canary_watch_time": "1000-120000",
    "update_watch_time": "1000-120000",
}

_BEFORE_RESOLVED = ("ubuntu-xenial", "ubuntu-bionic", "ubuntu-jammy")
_WORKERS = 2
"""How many VMs compile at once, as far as there are addresses for them."""
_DNS_DAYS = 3650
"""How long the certificates of BOSH DNS hold, CredHub's most. By default it is a year, and nothing makes them anew then."""


def cloud_config(site: Site, under: Paved) -> dict[str, Any]:
    """Returns AZs, networks, VM types and disk types of the site."""
    networks = [
        {
            "name": name,
            "type": "manual",
            "subnets": [
                {
                    "az": network.az,
                    "range": str(network.cidr),
                    "gateway": str(network.gateway),
                    "dns": [str(server) for server in site.network_dns(name)],
                    "reserved": [*map(str, network.reserved), *_taken(site, name)],
                    "static": [*_static(site, name)],
                    "cloud_properties": dict(under.network_properties.get(name, {})),
                }
            ],
        }
        for name, network in sorted(site.networks.items())
        if network.az is not None
    ]
    store, registry = site.services.object_store, site.services.registry
    # The director's own: it is in `bucc.az`, which another one need not be.
    compiling = site.network_of(site.bucc.address) or ""
    return {
        "azs": [{"name": az, "cloud_properties": under.azs.get(az, {})} for az in site.azs],
        "compilation": {
            "az": site.bucc.az,
            "network": compiling,
            "reuse_compilation_vms": True,
            "vm_type": "default",
            # One that finds no address fails the deploy.
            "workers": max(1, min(_WORKERS, site.networks[compiling].dynamic)),
        },
        "disk_types": [
            {"name": "default", "disk_size": 10240},
            {"name": "object-store", "disk_size": store.disk_gb * 1024},
            {"name": "registry", "disk_size": registry.disk_gb * 1024},
        ],
        "networks": networks,
        "vm_types": [
            {"name": name, "cloud_properties": dict(properties)}
            for name, properties in sorted(under.vm_types.items())
        ],
    }


_OF_A_VM = ("range", "gateway", "dns", "cloud_properties")
"""What a VM gets of its subnet; the rest says which addresses are to be had."""


def cloud_of(site: Site, under: Paved, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the cloud config says of the VMs and disks of a manifest's group, by what it says it of."""
    config, [group] = cloud_config(site, under), manifest["instance_groups"]

    def named(section: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in config[section] if one["name"] == name)
        return found

    [subnet] = named("networks", group["networks"][0]["name"])["subnets"]
    return {
        "az": named("azs", group["azs"][0])["cloud_properties"],
        "disk_size": named("disk_types", group["persistent_disk_type"])["disk_size"],
        "subnet": {key: subnet[key] for key in _OF_A_VM},
        "vm_type": named("vm_types", group["vm_type"])["cloud_properties"],
    }


def _taken(site: Site, network: str) -> list[str]:
    """Addresses that BOSH must leave alone although no range of the site file says so: the director's."""
    address = site.bucc.address
    return [str(address)] if site.network_of(address) == network else []


def _static(site: Site, network: str) -> list[str]:
    """The static ranges without the director's address, which no deploy gets, nor any with it among the static ones."""
    director, found = int(site.bucc.address), []
    for one in site.networks[network].static:
        first, last = int(one.first), int(one.last)
        parts = (
            [(first, director - 1), (director + 1, last)] if first <= director <= last else [(first, last)]
        )
        found += [_range(a, b) for a, b in parts if a <= b]
    return found


def _range(first: int, last: int) -> str:
    import ipaddress  # noqa: PLC0415 - only here

    a, b = ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
    return str(a) if a == b else f"{a}-{b}"


def runtime_config(artefact: ResourceId) -> dict[str, Any]:
    """Returns the runtime config that puts BOSH DNS onto every VM.

    Stemcells up to jammy have BOSH DNS in their resolv.conf, later ones behind systemd-resolved, and what the one kind is
    told breaks the other (bosh-deployment, `runtime-configs/dns.yml`).
    """
    certificate = {"type": "certificate"}
    uses = {"server": ["server_auth"], "client": ["client_auth"]}
    behind = {"configure_systemd_resolved": True, "disable_recursors": True, "override_nameserver": False}
    older = [{"os": system} for system in _BEFORE_RESOLVED]
    return {
        "releases": [{"name": "bosh-dns", "version": output(artefact, "bosh_dns_version", str)}],
        "addons": [
            {"name": "bosh-dns", "include": {"stemcell": older}, "jobs": [_dns_job({})]},
            {
                "name": "bosh-dns-systemd",
                "include": {"stemcell": [{"os": output(artefact, "stemcell_os", str)}]},
                "exclude": {"stemcell": older},
                "jobs": [_dns_job(behind)],
            },
        ],
        "variables": [
            {
                "name": "/dns_api_tls_ca",
                **certificate,
                "options": {"is_ca": True, "common_name": "dns-api-tls-ca", "duration": _DNS_DAYS},
            },
            *(
                {
                    "name": f"/dns_api_{side}_tls",
                    **certificate,
                    "options": {
                        "ca": "/dns_api_tls_ca",
                        "common_name": "api.bosh-dns",
                        "alternative_names": ["api.bosh-dns"],
                        "extended_key_usage": usage,
                        "duration": _DNS_DAYS,
                    },
                }
                for side, usage in uses.items()
            ),
        ],
    }


def _dns_job(more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "bosh-dns",
        "release": "bosh-dns",
        "properties": {
            **more,
            "cache": {"enabled": True},
            "api": {
                "server": {"tls": "((/dns_api_server_tls))"},
                "client": {"tls": "((/dns_api_client_tls))"},
            },
        },
    }


def object_store(site: Site, artefact: ResourceId) -> dict[str, Any]:
    """Returns the manifest of the object store."""
    store = site.services.object_store
    properties = {
        "credential": {"accesskey": places.STORE_USER, "secretkey": "((secret_key))"},
        "port": store.port,
        "server_cert": "((tls.certificate))",
        "server_key": "((tls.private_key))",
        "ca_cert": "((tls.ca))",
    }
    release = {"name": "minio", "version": output(artefact, "minio_version", str)}
    return _manifest(
        site,
        artefact,
        name="object-store",
        release=release,
        address=str(store.address),
        group="minio",
        jobs=[{"name": "minio-server", "release": "minio", "properties": properties}],
    )


def registry(site: Site, artefact: ResourceId) -> dict[str, Any]:
    """Returns the manifest of the registry.

    Its nginx hands on the host that was asked for without the port (docker-registry-boshrelease, jobs/proxy, `$host`), so
    behind another one than 443 the registry has to be told where it is: clients would be sent on to 443.
    """
    found = site.services.registry
    elsewhere = found.port != places.REGISTRY_PORT
    release = {"name": "docker-registry", "version": output(artefact, "registry_version", str)}
    jobs = [
        {
            "name": "registry",
            "release": "docker-registry",
            "properties": {
                "docker": {
                    "registry": {
                        "root": "/var/vcap/store/registry",
                        "cookie": "((cookie))",
                        # Off by default, and then not even the proof's empty image could be taken away.
                        "storage_delete": True,
                        **({"endpoint": places.registry_url(site)} if elsewhere else {}),
                    }
                }
            },
        },
        {
            "name": "proxy",
            "release": "docker-registry",
            "properties": {
                "docker": {
                    "proxy": {
                        "backend": {"hosts": ["127.0.0.1"], "port": 5000},
                        "auth_basic": {places.REGISTRY_USER: "{PLAIN}((password))"},
                        "ssl": {"cert": "((tls.certificate))", "key": "((tls.private_key))"},
                        **({"port": found.port} if elsewhere else {}),
                    }
                }
            },
        },
    ]
    return _manifest(
        site,
        artefact,
        name="registry",
        release=release,
        address=str(found.address),
        group="registry",
        jobs=jobs,
    )


def _manifest(
    site: Site,
    artefact: ResourceId,
    *,
    name: str,
    release: Mapping[str, Any],
    address: str,
    group: str,
    jobs: list[dict[str, Any]],
) -> dict[str, Any]:
    import ipaddress  # noqa: PLC0415 - only here

    network = site.network_of(ipaddress.IPv4Address(address))
    return {
        "name": name,
        "releases": [dict(release)],
        "stemcells": [
            {
                "alias": "default",
                "os": output(artefact, "stemcell_os", str),
                "version": output(artefact, "stemcell_version", str),
            }
        ],
        "update": dict(UPDATE),
        "instance_groups": [
            {
                "name": group,
                "azs": [site.networks[network or ""].az],
                "instances": 1,
                "vm_type": "default",
                "stemcell": "default",
                "persistent_disk_type": name,
                "networks": [{"name": network, "static_ips": [address]}],
                "jobs": jobs,
            }
        ],
        "tags": {"paver-site": site.name},
    }
