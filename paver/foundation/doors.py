"""The ways into what stands on any IaaS. Pure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator

from paver.driver import Door, Part, Quoted, Root, Secret, ToolDoor
from paver.foundation import places
from paver.sitefile.site import Site


def doors(site: Site) -> Iterator[Door]:
    """Yields the doors of director, CredHub, Concourse, object store and registry."""
    default = places.authority("default_ca").name
    admin, credhub, concourse = (
        Secret(places.PASSWORDS[name])
        for name in ("admin_password", "credhub_admin_client_secret", "ui_password")
    )
    yield ToolDoor(
        name="director",
        at=places.director_url(site),
        user=places.DIRECTOR_CLIENT,
        secret=admin.name,
        endpoint=places.director().name,
        tool="bosh",
        proxy="BOSH_ALL_PROXY",
        exports={
            "BOSH_ENVIRONMENT": (places.director_url(site),),
            "BOSH_CLIENT": (places.DIRECTOR_CLIENT,),
            "BOSH_CLIENT_SECRET": (admin,),
            "BOSH_CA_CERT": (Root((default,)),),
        },
    )
    yield ToolDoor(
        name="CredHub",
        at=places.credhub_url(site),
        user=places.CREDHUB_CLIENT,
        secret=credhub.name,
        endpoint=places.credhub().name,
        tool="credhub",
        proxy="CREDHUB_PROXY",
        exports={
            "CREDHUB_SERVER": (places.credhub_url(site),),
            "CREDHUB_CLIENT": (places.CREDHUB_CLIENT,),
            "CREDHUB_SECRET": (credhub,),
            # The CLI asks UAA as well, whose certificate another authority issued.
            "CREDHUB_CA_CERT": (Root((places.authority("credhub_ca").name, default)),),
        },
    )
    yield ToolDoor(
        name="Concourse",
        at=places.concourse_url(site),
        user=places.CONCOURSE_USER,
        secret=concourse.name,
        endpoint=places.concourse().name,
        tool="fly",
        exports={
            "CONCOURSE_URL": (places.concourse_url(site),),
            "CONCOURSE_USER": (places.CONCOURSE_USER,),
            "CONCOURSE_PASSWORD": (concourse,),
            "CONCOURSE_CA_CERT": (Root((default,)),),
        },
    )
    yield _object_store(site)
    yield _registry(site)


def _object_store(site: Site) -> Door:
    external = site.services.object_store.external
    url = urllib.parse.urlsplit(places.object_store_url(site))
    user = external.login.user if external else places.STORE_USER
    secret = Secret(external.login.password.name if external else places.store_root_password().name)
    host: tuple[Part, ...] = (
        f"{url.scheme}://{urllib.parse.quote(user, safe='')}:",
        Quoted(secret),
        f"@{url.netloc}{url.path}",
    )
    return ToolDoor(
        name="object store",
        at=url.geturl(),
        user=user,
        secret=secret.name,
        endpoint=places.object_store(site).name,
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
        user=login.user if login else "" if external else places.REGISTRY_USER,
        secret=secret,
        endpoint=places.registry(site).name,
    )
