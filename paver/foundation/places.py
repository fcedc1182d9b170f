"""Where the foundation's resources live: endpoints, and how each is reached.

Every one of them is trusted by the root that paver made for it, never by what the server shows.
"""

from __future__ import annotations

from typing import Any

from paver.driver import (
    JUMPBOX_ENDPOINT,
    Connector,
    Endpoint,
    InUse,
    Material,
    ResourceId,
    Secret,
    output,
    resource_id,
)
from paver.foundation import named_files
from paver.sitefile.site import Site
from paver.transport.http import Basic, ClientCredentials, HttpConnector, PasswordGrant
from paver.transport.s3 import S3Connector

DIRECTOR_ID = resource_id("bucc.director", "bucc")
ARTEFACT = resource_id("bucc.artefact", "bucc")
STEMCELL = resource_id("bosh.stemcell", "default")
CLOUD = resource_id("bosh.config", "cloud/default")
RUNTIME = resource_id("bosh.config", "runtime/dns")
STORE_DEPLOYMENT = resource_id("bosh.deployment", "object-store")
REGISTRY_DEPLOYMENT = resource_id("bosh.deployment", "registry")

DIRECTOR_PORT, UAA_PORT, CREDHUB_PORT, TSA_PORT = 25555, 8443, 8844, 2222
DIRECTOR_CLIENT, CREDHUB_CLIENT, CONCOURSE_USER = "admin", "credhub-admin", "admin"
REGISTRY_PORT = 443
STORE_USER, REGISTRY_USER = "paver-admin", "admin"
"""Where the foundation listens, and as whom paver and its users come in."""

CAS = ("default_ca", "nats_ca", "blobstore_ca", "credhub_ca", "dns_api_tls_ca")
"""The five authorities of BUCC, by its variables' names; seeded, so that only leaves are generated there."""

AGENTS = ("nats_ca", "blobstore_ca")
"""Those of them by which director and agents know each other."""

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
    if site.services.object_store.external:
        return Endpoint("s3", slots=4, through=JUMPBOX_ENDPOINT)
    return Endpoint("s3", STORE_DEPLOYMENT, slots=4)


def registry(site: Site) -> Endpoint[Any, Any]:
    """The registry's API."""
    if site.services.registry.external:
        return Endpoint("registry", through=JUMPBOX_ENDPOINT)
    return Endpoint("registry", REGISTRY_DEPLOYMENT)


def director_url(site: Site) -> str:
    """Returns the director's URL."""
    return f"https://{site.bucc.address}:{DIRECTOR_PORT}"


def uaa_url(site: Site) -> str:
    """Returns UAA's URL."""
    return f"https://{site.bucc.address}:{UAA_PORT}"


def credhub_url(site: Site) -> str:
    """Returns CredHub's URL."""
    return f"https://{site.bucc.address}:{CREDHUB_PORT}"


def concourse_url(site: Site) -> str:
    """Returns Concourse's URL."""
    return f"https://{site.bucc.address}"


def object_store_url(site: Site) -> str:
    """Returns the object store's URL, by name."""
    store = site.services.object_store
    return store.external.endpoint if store.external else f"https://{site.fqdn(store.hostname)}:{store.port}"


def registry_url(site: Site) -> str:
    """Returns the registry's URL, by name."""
    found = site.services.registry
    if found.external:
        return found.external.endpoint
    port = "" if found.port == REGISTRY_PORT else f":{found.port}"
    return f"https://{site.fqdn(found.hostname)}{port}"


def pem(material: Material) -> str:
    """Returns the placeholder of an authority's certificate."""
    return output(material.id, "pem", str)


def connectors(site: Site, via: str) -> dict[str, Connector]:
    """Returns how every endpoint of the foundation is reached; from outside, through the machine `via`."""
    default, own = pem(authority("default_ca")), pem(authority("credhub_ca"))

    def client(name: str, variable: str) -> ClientCredentials:
        return ClientCredentials(f"{uaa_url(site)}/oauth/token", name, _seeded(variable))

    return {
        "director": HttpConnector(
            name="director",
            base_url=director_url(site),
            roots=(default,),
            auth=client(DIRECTOR_CLIENT, "admin_password"),
            via=via,
        ),
        "credhub": HttpConnector(
            name="credhub",
            base_url=credhub_url(site),
            roots=(default, own),
            auth=client(CREDHUB_CLIENT, "credhub_admin_client_secret"),
            via=via,
        ),
        "concourse": _concourse(concourse_url(site), default, via),
        "s3": _object_store(site, via),
        "registry": _registry(site, via),
    }


def _seeded(variable: str) -> InUse:
    """One of BUCC's passwords as the director has it: a newer one is brought there by the next `bucc up`."""
    return InUse(password(variable).secret, output(DIRECTOR_ID, "seeds", dict), variable)


def _deployed(deployment: ResourceId, key: str, item: Material) -> InUse:
    """A password as a deployment has it: a newer one is brought there by the next deploy."""
    return InUse(item.secret, output(deployment, "versions", dict), key)


def _concourse(url: str, root_pem: str, via: str) -> Connector:
    return HttpConnector(
        name="concourse",
        base_url=url,
        roots=(root_pem,),
        auth=PasswordGrant(
            f"{url}/sky/issuer/token",
            CONCOURSE_USER,
            _seeded("ui_password"),
            "fly",
            # fly's own client: its secret stands in fly's source, and proves nothing.
            public_secret="Zmx5",  # noqa: S106
            scope="openid profile email federated:id groups",
        ),
        via=via,
    )


def store_root_password() -> Material:
    """The object store's administrator's secret key."""
    return Material(kind="password", name="object-store-root", policy="s3")


def user_secret(site: Site, name: str) -> Secret:
    """Returns the reference to the secret key of an account of the object store."""
    given = site.store_users[name].secret
    return Secret(given.name) if given else user_password(name).secret


def user_password(name: str) -> Material:
    """The secret key of an account of the object store, where paver makes it."""
    return Material(kind="password", name=f"object-store-{name}", policy="s3")


def team_login(site: Site, team: str) -> tuple[str, Secret] | None:
    """Returns access key and secret key that a team's pipelines get; None where there is nothing to reach with it."""
    user, external = site.team_user(team), site.services.object_store.external
    if user is not None:
        return user, user_secret(site, user)
    return (external.login.user, Secret(external.login.password.name)) if external else None


def registry_password() -> Material:
    """The registry's administrator's password."""
    return Material(kind="password", name="registry-admin", brought="registry")


def registry_secret(site: Site) -> Secret | None:
    """Returns the reference to the registry's password; None where an external one needs none."""
    external = site.services.registry.external
    if external is None:
        return registry_password().secret
    return Secret(external.login.password.name) if external.login else None


def _object_store(site: Site, via: str) -> Connector:
    external = site.services.object_store.external
    if external is None:
        return S3Connector(
            name="object store",
            endpoint=object_store_url(site),
            access_key=STORE_USER,
            secret_key=_deployed(STORE_DEPLOYMENT, "secret_key", store_root_password()),
            roots=(pem(root()),),
            via=via,
        )
    return S3Connector(
        name="object store",
        endpoint=external.endpoint,
        access_key=external.login.user,
        secret_key=Secret(external.login.password.name),
        roots=external_roots(site, external.ca),
        region=external.region,
        via=via,
    )


def _registry(site: Site, via: str) -> Connector:
    external = site.services.registry.external
    if external is None:
        return HttpConnector(
            name="registry",
            base_url=registry_url(site),
            roots=(pem(root()),),
            auth=Basic(REGISTRY_USER, _deployed(REGISTRY_DEPLOYMENT, "password", registry_password())),
            via=via,
        )
    return HttpConnector(
        name="registry",
        base_url=external.endpoint,
        roots=external_roots(site, external.ca),
        auth=Basic(external.login.user, Secret(external.login.password.name)) if external.login else None,
        via=via,
    )


def store_ca(site: Site) -> str:
    """Returns the roots that an external object store is held to, as one PEM; empty for one that BOSH deploys."""
    external = site.services.object_store.external
    return "".join(external_roots(site, external.ca)) if external else ""


def registry_ca(site: Site) -> str:
    """Returns the roots that an external registry is held to, as one PEM; empty for one that BOSH deploys."""
    external = site.services.registry.external
    return "".join(external_roots(site, external.ca)) if external else ""


def external_roots(site: Site, own: str | None) -> tuple[str, ...]:
    """Returns what a service that is there already is held to: its own root, or the site's extra ones.

    Raises:
        BadInput: if a file can't be read, or has no certificate.
    """
    files = [own] if own else list(site.trust.extra_roots)
    return tuple(named_files.roots(site, name) for name in files)
