"""The demo's site: a folder with a site file that names a raised lab's hosts, its inputs, and its secrets.

    site.yml            the site, with the real fingerprints of the lab's hosts
    site.key            key of the sealed store (0600)
    lab-north.sealed    the sealed store with the hosts' passwords
    operator            SSH key of whoever may log in on the jumpbox, and operator.pub
    jumpbox.ova         the jumpbox's image: a disk that the lab boots
    bucc.tar            the BUCC artefact; whichever program of it was not built says so when it is run

The installer's ISO is put where the site file says that it is: on the datastore of the first host.
"""

from __future__ import annotations

import hashlib
import secrets
import shlex
import shutil
import string
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paver.errors import BadInput
from paver.lab import system
from paver.lab.plan import Host, Plan
from paver.lab.raising import Lab
from paver.lab.room import disk
from paver.lab.standins import bucc_artefact, vcsa_iso
from paver.ovf.write import make_ova
from paver.sealed import keys, store

BAKED = "/usr/share/paver/venv/bin/python3"
"""The Python of a jumpbox that was made of paver's image; it has paver, the stand-ins too."""

ROOT_SECRET = "esx-root"  # noqa: S105 - the secret's name
ISO = "iso/VMware-VCSA-all-8.0.3.iso"
_NOT_BUILT = Path("/not/built/for/this/lab")
_JUMPBOX_BYTES = 16 * 2**20
# What root's password on an ESXi host may be made of; one of each kind is in it.
_LETTERS = "abcdefghijkmnpqrstuvwxyz"
_SITE = string.Template("""\
# The demo's site, written for the lab that is up: fingerprints and addresses are its own.
paver: 1
name: $name
iaas:
  driver: vsphere
  hosts:
    $first:
      address: $address
      fingerprint: $fingerprint
      login: secret:$secret
      switches: {vSwitch0: {uplinks: [vmnic0], mtu: 1500}}
      port_groups: {mgmt: {switch: vSwitch0, vlan: 20}, bosh: {switch: vSwitch0, vlan: 30}}
      datastore: $datastore
$others  vcenter:
    fqdn: vcsa.$zone
    address: $net.20.0.20
    size: tiny
    on: $first
    installer: {iso: "[$datastore] $iso", sha256: $sha256}
  inventory:
    datacenter: north
    clusters: {compute: {hosts: [$hosts], drs: true, ha: false}}
networks:
  mgmt: {cidr: $net.20.0.0/24, gateway: $net.20.0.1, port_group: mgmt}
  bosh:
    cidr: $net.30.0.0/24
    gateway: $net.30.0.1
    port_group: bosh
    reserved: [$net.30.0.1-$net.30.0.9]
    static: [$net.30.0.10-$net.30.0.30]
    az: z1
site_services: {dns: $dns, ntp: $ntp, zone: $zone}
jumpbox:
  image: jumpbox.ova
  on: $first
  network: mgmt
  address: $net.20.0.10
  disk_gb: 16
  ssh_keys: ["$operator"]
bucc: {artefact: bucc.tar, address: $net.30.0.10, az: z1}
services:
  object_store: {address: $net.30.0.11, buckets: {bundles: {versioned: true}, state: {versioned: true, lock: 30d}}}
  registry: {address: $net.30.0.12}
secrets: {store: sealed, key: file:site.key}
""")


@dataclass(frozen=True)
class Demo:
    """The demo's files that a user names."""

    site: Path
    operator_key: Path


def password() -> str:
    """Returns a new password that an ESXi host takes: three classes of signs, 20 of them."""
    body = "".join(secrets.choice(_LETTERS + "23456789") for _ in range(17))
    return f"P1-{body}"


def write(lab: Lab, folder: Path, image: Path | None = None) -> Demo:
    """Writes the demo's site for `lab` into `folder`; what is there already of it is kept, but for the pins.

    A lab that is raised again has hosts with new certificates, and, where the folder is new, new passwords: so
    raise it with those of `passwords(folder)`.

    Args:
        lab: a lab that is up.
        folder: the site's.
        image: the jumpbox's OVA; None makes one that the lab boots without QEMU.

    Raises:
        BadInput: the lab's hosts have other passwords than the folder's sealed store.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    root = lab.plan.hosts[0].password
    if any(host.password != root for host in lab.plan.hosts):
        raise BadInput(
            "the demo's hosts have one password", why="the site file names one secret for all of them"
        )
    _seal(folder, lab.plan.name, root)
    key = folder / "operator"
    if not key.exists():
        argv: list[str] = [
            str(lab.tools["ssh-keygen"]),
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "operator",
            "-f",
            str(key),
        ]
        subprocess.run(argv, check=True, capture_output=True)
    digest = inputs(lab, folder, lab.plan.hosts[0], image)
    site = folder / "site.yml"
    operator = key.with_suffix(".pub").read_text().strip()
    site.write_text(text(lab.plan, lab.fingerprints, operator, digest))
    lab.name_site(site)
    return Demo(site, key)


def inputs(lab: Lab, folder: Path, vcenter_on: Host, image: Path | None = None) -> str:
    """Makes what a site file names: image and artefact in `folder`, the installer's ISO on a host's datastore (`ISO`).

    Without the programs that it is made of, the artefact can be brought over, and nothing be made of it.

    Args:
        lab: a lab that is up.
        folder: the site's.
        vcenter_on: the host that has the ISO, on its first datastore.
        image: the jumpbox's OVA; None makes one that the lab boots without QEMU.

    Returns:
        the ISO's digest.
    """
    _jumpbox(folder / "jumpbox.ova", image)
    interpreter = shlex.quote(sys.executable) if image is None else _either(sys.executable)
    artefact = folder / "bucc.tar"
    # Made anew each time: it names the programs where this lab has them.
    minio, registry = (lab.programs.get(name, _NOT_BUILT / name) for name in ("minio", "registry"))
    library = shlex.quote(system.python_path())
    bucc_artefact.build(artefact, lab.programs.get("bosh"), minio, registry, interpreter, library)
    iso = lab.folder / "hosts" / vcenter_on.name / "datastores" / vcenter_on.datastores[0].name / ISO
    if not iso.exists():
        iso.parent.mkdir(parents=True, exist_ok=True)
        vcsa_iso.build_iso(iso, python=sys.executable if image is None else BAKED)
    return _sha256(iso)


def _jumpbox(target: Path, image: Path | None) -> None:
    if image is None:
        first = disk.first_line("jumpbox")
        networks = ("VM Network",)
        make_ova(target, name="paver-jumpbox", disk=first, capacity=_JUMPBOX_BYTES, networks=networks)
        return
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(image)
    except OSError:
        # On another file system.
        shutil.copyfile(image, target)


def _either(here: str) -> str:
    """Returns what a shell takes for the interpreter: the image's own on a jumpbox made of it, this one in the lab."""
    return f'"$(test -x {BAKED} && echo {BAKED} || echo {shlex.quote(here)})"'


def passwords(folder: Path, name: str, hosts: int = 2) -> dict[str, str]:
    """Returns the hosts' passwords by host name: the ones of the folder's sealed store, or new ones."""
    sealed, key = folder / f"{name}.sealed", folder / "site.key"
    if sealed.exists():
        value = store.unlock(sealed, keys.KeyFile(key)).secret(ROOT_SECRET).reveal()
    else:
        value = password()
    return {f"esx-{number:02d}": value for number in range(1, hosts + 1)}


def _sha256(path: Path) -> str:
    """Returns a file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text(plan: Plan, fingerprints: Mapping[str, str], operator: str, iso: str) -> str:
    """Returns the site file of the demo for the hosts of `plan`.

    Args:
        plan: of the lab.
        fingerprints: of the hosts' certificates, by name.
        operator: a public SSH key.
        iso: the digest of the installer's ISO.
    """
    first, *others = plan.hosts
    alike = "".join(
        f'    {host.name}: {{like: {first.name}, address: {host.address}, fingerprint: "{fingerprints[host.name]}"}}\n'
        for host in others
    )
    return _SITE.substitute(
        name=plan.name,
        zone=plan.zone,
        first=first.name,
        address=first.address,
        fingerprint=fingerprints[first.name],
        secret=ROOT_SECRET,
        datastore=first.datastores[0].name,
        others=alike,
        hosts=", ".join(host.name for host in plan.hosts),
        iso=ISO,
        sha256=iso,
        net=first.address.split(".")[0],  # 127 where the lab is on loopback addresses
        dns=_served(plan.dns),
        ntp=_served(plan.ntp),
        operator=operator,
    )


def with_pins(site: Mapping[str, Any], lab: Lab) -> dict[str, Any]:
    """Returns a site's raw document with its hosts' fingerprints replaced by the lab's, to rehearse it."""
    hosts = {
        name: {**host, "fingerprint": lab.fingerprints[name]} if name in lab.fingerprints else host
        for name, host in site["iaas"]["hosts"].items()
    }
    return {**site, "iaas": {**site["iaas"], "hosts": hosts}}


def _served(servers: tuple[str, ...]) -> str:
    return f"[{', '.join(servers)}]" if servers else "jumpbox"


def _seal(folder: Path, name: str, root: str) -> None:
    sealed, key = folder / f"{name}.sealed", folder / "site.key"
    source = keys.KeyFile(key) if key.exists() else keys.new_key_file(key)
    if sealed.exists():
        if store.unlock(sealed, source).secret(ROOT_SECRET).reveal() != root:
            why = "the sealed store has another password for the hosts"
            raise BadInput(
                "the lab is not of this demo's folder", why=why, do="raise it with `site.passwords(folder)`"
            )
        return
    store.create(sealed, source)
    with store.writer(sealed, source, "paver lab up") as writer:
        writer.put(ROOT_SECRET, root, made_by="paver lab up")
