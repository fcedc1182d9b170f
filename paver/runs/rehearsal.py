"""A user's own site, rehearsed: its site file with the lab's pins, the lab's image, installer and secrets.

Addresses, names, networks and wishes are the user's. What only the real site has is played: host certificates and
passwords, the jumpbox's image, vCenter's ISO, BUCC's artefact, and every secret that the user would give.
"""

from __future__ import annotations

import secrets
import shutil
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from paver.driver import Driver
from paver.engine.selection import Selection
from paver.errors import BadInput
from paver.lab import plan as plans
from paver.lab import raising
from paver.lab import site as lab_site
from paver.lab.plan import Host, Plan
from paver.lab.raising import Lab
from paver.runs.compose import compose, given
from paver.sealed import keys, passwords, store
from paver.sitefile import tree
from paver.sitefile.site import Site

_KEY_SIGNS = string.digits + "ACDEFGHJKLMNPQRTUVWXYZ"
_MARK = ".rehearsal"


def refused(site: Site, phases: Iterable[str]) -> str:
    """Returns what of the site nobody plays, for these phases (none: all); empty where all is played."""
    chosen = frozenset(phases)
    if chosen and not chosen & {"services", "handover"}:
        return ""
    services = site.services
    named = {"object_store": services.object_store.external, "registry": services.registry.external}
    return ", ".join(f"services.{name}.external" for name, external in named.items() if external)


def check(site: Site, driver: Driver, phases: Iterable[str]) -> None:
    """Does nothing if the site has these phases (none: all), and something in them.

    Raises:
        BadInput: if not, as `paver apply` would say inside of the lab.
    """
    paved = compose(site, driver)
    Selection(tuple(phases), ()).check(paved.graph, paved.phases)


def clear(folder: Path) -> bool:
    """Removes what an earlier rehearsal left in `folder`; False where something of another kind lies there.

    A rehearsal that is still up is taken down: a new one is a new world.
    """
    site = folder / "site"
    if not site.exists():
        return True
    if not (site / _MARK).exists():
        return False
    raising.down(folder / "lab")
    shutil.rmtree(site)
    return True


def secrets_of(site: Site, driver: Driver) -> dict[str, str]:
    """Returns made-up values for every secret that the user gives in the real site."""
    licences = _licences(site)
    return {
        name: _licence() if name in licences else passwords.generate("vcenter").reveal()
        for name in sorted(given(compose(site, driver)))
    }


def _licences(site: Site) -> frozenset[str]:
    data: Any = site.normalised()["iaas"]
    found = (host.get("licence") for host in data.get("hosts", {}).values())
    return frozenset(str(reference).removeprefix("secret:") for reference in found if reference)


def _licence() -> str:
    """Returns a key of the form that a host takes; it licenses nothing but the lab's hosts."""
    return "-".join("".join(secrets.choice(_KEY_SIGNS) for _ in range(5)) for _ in range(5))


def plan_of(site: Site, values: dict[str, str]) -> Plan:
    """Returns the lab that plays the site's hosts and networks."""
    return plans.from_site(site.normalised(), values)


def write(site: Site, lab: Lab, folder: Path, values: dict[str, str]) -> Path:
    """Writes the site to be rehearsed into `folder`, an empty one, and returns its site file.

    Raises:
        BadInput: a small file that the site file names is missing, or lies elsewhere.
    """
    folder.mkdir(parents=True, mode=0o700)
    (folder / _MARK).touch()
    _seal(folder, site.name, values)
    # As the site file is read: YAML's own rules make a truth value of the key `on`.
    document: Any = tree.plain(site.source.root) if site.source.root is not None else {}
    document = lab_site.with_pins(document, lab)
    document["secrets"] = {"store": "sealed", "key": "file:site.key"}
    # Nobody is there who would import an image by hand.
    document["jumpbox"] = {**document["jumpbox"], "image": "jumpbox.ova", "placed_by": "paver"}
    document["bucc"] = {**document["bucc"], "artefact": "bucc.tar"}
    for text in site.small_files:
        target = folder / text
        if Path(text).is_absolute() or not target.resolve().is_relative_to(folder.resolve()):
            raise BadInput(f"{text} can't be rehearsed", why="it does not lie beside the site file or below")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(site.path(text), target)
        except OSError as error:
            raise BadInput(f"{text} can't be read", why=error.strerror or "") from error
    host = next(one for one in lab.plan.hosts if one.name == document["iaas"]["vcenter"]["on"])
    document["iaas"] = _installed_by(document["iaas"], host, lab_site.inputs(lab, folder, host))
    lab.name_site(folder / "site.yml")
    file = folder / "site.yml"
    file.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def _installed_by(iaas: dict[str, Any], host: Host, digest: str) -> dict[str, Any]:
    """Returns the section with the stand-in's ISO, which lies on the host that vCenter is placed on."""
    installer = {"iso": f"[{host.datastores[0].name}] {lab_site.ISO}", "sha256": digest}
    return {**iaas, "vcenter": {**iaas["vcenter"], "installer": installer}}


def _seal(folder: Path, name: str, values: dict[str, str]) -> None:
    key, sealed = keys.new_key_file(folder / "site.key"), folder / f"{name}.sealed"
    store.create(sealed, key)
    with store.writer(sealed, key, "paver lab rehearse") as writer:
        for secret, value in values.items():
            writer.put(secret, value, made_by="paver lab rehearse")
