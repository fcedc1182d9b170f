"""What the contract says, from the site alone. Pure; values that are not known yet are outputs."""

from __future__ import annotations

from typing import Any

from paver.driver import Paved, Secret, output
from paver.foundation import places
from paver.foundation.handover.contract import SCHEMA
from paver.sitefile.site import Site

VERSION = "1.1.0"


def contract(site: Site, under: Paved) -> dict[str, Any]:
    """Returns the contract of `site`; secrets are references, `credhub:/…` or `sealed:…`."""
    address = str(site.bucc.address)
    default = output(places.authority("default_ca").id, "pem", str)
    credhub = output(places.authority("credhub_ca").id, "pem", str)
    root = output(places.root().id, "pem", str)
    return {
        "schema": SCHEMA,
        "meta": {"version": VERSION, "site": site.name, "iaas": site.driver},
        "azs": list(site.azs),
        "networks": [
            {
                "name": name,
                "cidr": str(network.cidr),
                "gateway": str(network.gateway),
                "dns": [str(server) for server in site.network_dns(name)],
                "reserved": [str(one) for one in network.reserved],
                "static": [str(one) for one in network.static],
                "az": network.az or "",
                "iaas": dict(under.network_properties.get(name, {})),
            }
            for name, network in sorted(site.networks.items())
        ],
        "dns": [str(server) for server in site.dns],
        "ntp": list(site.ntp),
        "trusted_cas": [root],
        "jumpbox": {
            "ip": str(site.jumpbox.address),
            "user": site.jumpbox.user,
            **({"host_keys": _host_keys(under)} if under.jumpbox and under.jumpbox.provider else {}),
        },
        "director": {
            "url": places.director_url(site),
            "ip": address,
            "ca": default,
            "client": places.DIRECTOR_CLIENT,
            "client_secret_ref": _reference(places.password("admin_password").secret),
        },
        "uaa": {"url": places.uaa_url(site), "ca": default},
        "credhub": {
            "url": places.credhub_url(site),
            "ca": credhub,
            "client": places.CREDHUB_CLIENT,
            "client_secret_ref": _reference(places.password("credhub_admin_client_secret").secret),
        },
        "concourse": {
            "url": places.concourse_url(site),
            "ca": default,
            "teams": sorted(site.services.concourse.teams),
            "tsa": f"{address}:{places.TSA_PORT}",
        },
        "object_store": {
            "endpoint": places.object_store_url(site),
            "ca": places.store_ca(site) if site.services.object_store.external else root,
            "buckets": sorted(site.services.object_store.buckets),
            **_store_login(site),
        },
        "registry": {
            "url": places.registry_url(site),
            "ca": places.registry_ca(site) if site.services.registry.external else root,
            "cred_ref": f"{_team(site)}/registry_password" if places.registry_secret(site) else "",
        },
        "iaas": {name: _reference(value) for name, value in sorted(under.cpi_values.items())},
    }


def _store_login(site: Site) -> dict[str, str]:
    team = _first_team(site)
    login = places.team_login(site, team) if team else None
    if login is None:
        return {"cred_ref": ""}
    return {"access_key": login[0], "cred_ref": f"{_team(site)}/object_store_secret_key"}


def _first_team(site: Site) -> str | None:
    return min(site.services.concourse.teams, key=lambda name: (name != "main", name), default=None)


def _team(site: Site) -> str:
    """Returns where CredHub holds what the first team's pipelines use."""
    team = _first_team(site)
    return f"credhub:/concourse/{team}" if team else f"credhub:/{site.name}"


def _host_keys(under: Paved) -> str:
    if under.jumpbox is None or under.jumpbox.provider is None:
        return ""
    return output(under.jumpbox.provider, "host_keys", str)


def _reference(value: Any) -> Any:
    return f"sealed:{value.name}" if isinstance(value, Secret) else value
