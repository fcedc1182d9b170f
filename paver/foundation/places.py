"""Where the foundation's resources live: endpoints, and how each is reached.

Every one of them is trusted by the root that paver made for it, never by what the server shows.
"""

from __future__ import annotations

from typing import Any

from paver.driver import Connector, Endpoint, Material, Secret, output, resource_id
from paver.sitefile.site import Site
from paver.transport.http import Basic, ClientCredentials, HttpConnector
from paver.transport.s3 import S3Connector

DIRECTOR_ID = resource_id("bucc.director", "bucc")
STORE_DEPLOYMENT = resource_id("bosh.deployment", "object-store")
REGISTRY_DEPLOYMENT = resource_id("bosh.deployment", "registry")
JUMPBOX = "machine:jumpbox"

CAS = ("default_ca", "nats_ca", "blobstore_ca", "credhub_ca", "dns_api_tls_ca")
"""The five authorities of BUCC, by its variables' names; seeded, so that only leaves are generated there."""

PASSWORDS = {
    "admin_password": "director-admin",
    "credhub_admin_client_secret": "credhub-admin",
    "ui_password": "concourse-admin",
    "uaa_admin_client_secret": "uaa-admin",
}
"""BUCC's passwords that paver itself uses, and their names in the sealed store."""


def authority(variable: str) -> Material:
    """Returns the authority behind one of BUCC's CA variables (RSA: it takes nothing else)."""
    name = "bucc-" + variable.replace("_", "-")
    return Material(kind="authority", name=name, policy="rsa", common_name=name)


def password(variable: str) -> Material:
    """Returns the password behind one of BUCC's variables."""
    return Material(kind="password", name=PASSWORDS[variable])


def root() -> Material:
    """Returns the site's root: it issues what the services serve."""
    return Material(kind="authority", name="root", policy="rsa")


def director() -> Endpoint[Any, Any]:
    """BOSH's API."""
    return Endpoint("director", DIRECTOR_ID)


def credhub() -> Endpoint[Any, Any]:
    """CredHub's API."""
    return Endpoint("credhub", DIRECTOR_ID, slots=4)


def concourse() -> Endpoint[Any, Any]:
    """Concourse's API."""
    return Endpoint("concourse", DIRECTOR_ID)


def object_store(site: Site) -> Endpoint[Any, Any]:
    """The object store's S3 API."""
    return Endpoint("s3", None if site.services.object_store.external else STORE_DEPLOYMENT, slots=4)


def registry(site: Site) -> Endpoint[Any, Any]:
    """The registry's API."""
    return Endpoint("registry", None if site.services.registry.external else REGISTRY_DEPLOYMENT)


def object_store_url(site: Site) -> str:
    """Returns the object store's URL, by name."""
    store = site.services.object_store
    return store.external.endpoint if store.external else f"https://{site.fqdn(store.hostname)}:{store.port}"


def registry_url(site: Site) -> str:
    """Returns the registry's URL, by name."""
    found = site.services.registry
    return found.external.endpoint if found.external else f"https://{site.fqdn(found.hostname)}"


def pem(material: Material) -> str:
    """Returns the placeholder of an authority's certificate."""
    return output(material.id, "pem", str)


def connectors(site: Site) -> dict[str, Connector]:
    """Returns how every endpoint of the foundation is reached."""
    address = str(site.bucc.address)
    default, own = pem(authority("default_ca")), pem(authority("credhub_ca"))
    uaa = f"https://{address}:8443"

    def client(name: str, variable: str) -> ClientCredentials:
        return ClientCredentials(f"{uaa}/oauth/token", name, password(variable).secret)

    return {
        "director": HttpConnector(
            name="director",
            base_url=f"https://{address}:25555",
            roots=(default,),
            auth=client("admin", "admin_password"),
            via=JUMPBOX,
        ),
        "credhub": HttpConnector(
            name="credhub",
            base_url=f"https://{address}:8844",
            roots=(default, own),
            auth=client("credhub-admin", "credhub_admin_client_secret"),
            via=JUMPBOX,
        ),
        "concourse": _concourse(address, default),
        "s3": _object_store(site),
        "registry": _registry(site),
    }


def _concourse(address: str, root_pem: str) -> Connector:
    from paver.transport.http import PasswordGrant  # noqa: PLC0415 - only here

    return HttpConnector(
        name="concourse",
        base_url=f"https://{address}",
        roots=(root_pem,),
        auth=PasswordGrant(
            f"https://{address}/sky/issuer/token",
            "admin",
            password("ui_password").secret,
            "fly",
            # fly's own client: its secret stands in fly's source, and proves nothing.
            public_secret="Zmx5",  # noqa: S106
            scope="openid profile email federated:id groups",
        ),
        via=JUMPBOX,
    )


def store_root_password() -> Material:
    """The object store's administrator's secret key."""
    return Material(kind="password", name="object-store-root", policy="s3")


def registry_password() -> Material:
    """The registry's administrator's password."""
    return Material(kind="password", name="registry-admin")


def registry_secret(site: Site) -> Secret | None:
    """Returns the reference to the registry's password; None where an external one needs none."""
    external = site.services.registry.external
    if external is None:
        return registry_password().secret
    return Secret(external.login.password.name) if external.login else None


def _object_store(site: Site) -> Connector:
    external = site.services.object_store.external
    if external is None:
        return S3Connector(
            name="object store",
            endpoint=object_store_url(site),
            access_key="paver-admin",
            secret_key=store_root_password().secret,
            roots=(pem(root()),),
            via=JUMPBOX,
        )
    return S3Connector(
        name="object store",
        endpoint=external.endpoint,
        access_key=external.login.user,
        secret_key=Secret(external.login.password.name),
        roots=_roots(site, external.ca),
        region=external.region,
        via=JUMPBOX,
    )


def _registry(site: Site) -> Connector:
    external = site.services.registry.external
    if external is None:
        return HttpConnector(
            name="registry",
            base_url=registry_url(site),
            roots=(pem(root()),),
            auth=Basic("admin", registry_password().secret),
            via=JUMPBOX,
        )
    return HttpConnector(
        name="registry",
        base_url=external.endpoint,
        roots=_roots(site, external.ca),
        auth=Basic(external.login.user, Secret(external.login.password.name)) if external.login else None,
        via=JUMPBOX,
    )


def _roots(site: Site, own: str | None) -> tuple[str, ...]:
    files = [own] if own else list(site.trust.extra_roots)
    return tuple(site.path(name).read_text(encoding="ascii") for name in files)
