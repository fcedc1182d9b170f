"""Trust material as a wish: one resource for each thing that somebody refers to."""

from __future__ import annotations

from typing import Any

from paver.driver import STORE, Ground, Material, Paved, Resource, output
from paver.sitefile.site import Site
from paver.trust.material import Authority, Certificate, Password, SshKey

PHASE = "trust"
ROOT = Material(kind="authority", name="root", policy="rsa")

KINDS: tuple[type[Resource[Any]], ...] = (Authority, Certificate, SshKey, Password)
"""Every kind, in creation order."""


def pave(site: Site, material: tuple[Material, ...]) -> Paved:
    """Returns the resources that make `material`, and always the site's root.

    Raises:
        ValueError: for a kind of material that nobody makes: a driver's fault.
    """
    wanted = {item.id: item for item in (ROOT, *material)}
    return Paved(
        outside=frozenset({PHASE}),
        resources=tuple(_resource(site, item) for item in wanted.values()),
        grounds=tuple(Ground(kind, STORE, PHASE) for kind in KINDS),
    )


def _resource(site: Site, item: Material) -> Resource[Any]:
    lifetimes = site.trust.lifetimes
    if item.kind == "authority":
        return Authority(
            id=item.id,
            phase=PHASE,
            at=STORE,
            protected=True,
            name=item.name,
            common_name=item.common_name or f"{site.name} {item.name}",
            algorithm=item.policy if item.policy != "generic" else "rsa",
            days=lifetimes.root.days,
        )
    if item.kind == "certificate":
        issuer = Material(kind="authority", name=item.authority)
        return Certificate(
            id=item.id,
            phase=PHASE,
            at=STORE,
            name=item.name,
            common_name=item.common_name or (item.dns[0] if item.dns else item.name),
            dns=frozenset(item.dns),
            ip=frozenset(item.ip),
            issuer=item.authority,
            issuer_version=output(issuer.id, "version", str),
            days=lifetimes.certificate.days,
            renew_before_days=lifetimes.renew_before.days,
            fresh=True,
        )
    if item.kind == "ssh-key":
        return SshKey(id=item.id, phase=PHASE, at=STORE, name=item.name, algorithm=_key_algorithm(item))
    if item.kind == "password":
        return Password(
            id=item.id, phase=PHASE, at=STORE, name=item.name, policy=item.policy, brought=item.brought
        )
    msg = f"nobody makes material of the kind {item.kind}"
    raise ValueError(msg)


def _key_algorithm(item: Material) -> str:
    return "rsa" if item.policy == "rsa" else "ed25519"
