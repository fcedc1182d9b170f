"""Every way into a site: the driver's, and those of the foundation. Pure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator

from paver.driver import Driver, Secret
from paver.engine.offer import Door, Part, Quoted, Root
from paver.foundation import places
from paver.sitefile.site import Site

STORE_USER = "paver-admin"
REGISTRY_USER = "admin"


def doors(site: Site, driver: Driver) -> tuple[Door, ...]:
    """Returns the doors of a site: those that need the least first."""
    offered = getattr(driver, "doors", None)
    below = tuple(offered(site)) if offered is not None else ()
    last = (door for door in below if door.last)
    rest = (door for door in below if not door.last)
    return (*last, _jumpbox(site), *rest, *_foundation(site))


def _jumpbox(site: Site) -> Door:
    return Door(
        name="jumpbox",
        at=f"ssh {site.jumpbox.user}@{site.jumpbox.address}",
        user=site.jumpbox.user,
        exports={},
    )


def _foundation(site: Site) -> Iterator[Door]:
    address = site.bucc.address
    default = places.authority("default_ca").name
    admin, credhub, concourse = (
        Secret(places.PASSWORDS[name])
        for name in ("admin_password", "credhub_admin_client_secret", "ui_password")
    )
    yield Door(
        name="director",
        at=f"https://{address}:25555",
        user="admin",
        secret=admin.name,
        tool="bosh",
        exports={
            "BOSH_ENVIRONMENT": (f"https://{address}:25555",),
            "BOSH_CLIENT": ("admin",),
            "BOSH_CLIENT_SECRET": (admin,),
            "BOSH_CA_CERT": (Root((default,)),),
        },
    )
    yield Door(
        name="CredHub",
        at=f"https://{address}:8844",
        user="credhub-admin",
        secret=credhub.name,
        tool="credhub",
        exports={
            "CREDHUB_SERVER": (f"https://{address}:8844",),
            "CREDHUB_CLIENT": ("credhub-admin",),
            "CREDHUB_SECRET": (credhub,),
            # The CLI asks UAA as well, whose certificate another authority issued.
            "CREDHUB_CA_CERT": (Root((places.authority("credhub_ca").name, default)),),
        },
    )
    yield Door(
        name="Concourse",
        at=f"https://{address}",
        user="admin",
        secret=concourse.name,
        tool="fly",
        exports={
            "CONCOURSE_URL": (f"https://{address}",),
            "CONCOURSE_USER": ("admin",),
            "CONCOURSE_PASSWORD": (concourse,),
            "CONCOURSE_CA_CERT": (Root((default,)),),
        },
    )
    yield _object_store(site)
    yield _registry(site)


def _object_store(site: Site) -> Door:
    external = site.services.object_store.external
    url = urllib.parse.urlsplit(places.object_store_url(site))
    user = external.login.user if external else STORE_USER
    secret = Secret(external.login.password.name if external else places.store_root_password().name)
    host: tuple[Part, ...] = (
        f"{url.scheme}://{urllib.parse.quote(user, safe='')}:",
        Quoted(secret),
        f"@{url.netloc}{url.path}",
    )
    return Door(
        name="object store",
        at=url.geturl(),
        user=user,
        secret=secret.name,
        tool="mc",
        # mc reads its hosts from variables, and roots from a folder below its own.
        exports={"MC_HOST_site": host},
    )


def _registry(site: Site) -> Door:
    external = site.services.registry.external
    login = external.login if external else None
    secret = login.password.name if login else "" if external else places.registry_password().name
    return Door(
        name="registry",
        at=places.registry_url(site),
        user=login.user if login else "" if external else REGISTRY_USER,
        secret=secret,
    )
