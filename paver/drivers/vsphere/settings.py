"""Everything that stands under `iaas` in the site file of a vSphere site, after `driver: vsphere`.

Models only: what one value may be. What needs two of them is in `check`.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from paver.drivers.vsphere.example import EXAMPLE
from paver.sitefile import credentials, values
from paver.sitefile.addresses import Address
from paver.sitefile.credentials import SecretRef
from paver.sitefile.section import ALIKE, Section
from paver.sitefile.services import Login, login_from
from paver.sitefile.site import Machine, Site
from paver.sitefile.values import (
    Duration,
    Label,
    List,
    Map,
    ObjectName,
    PathText,
    Unordered,
    kind_of,
    shown,
    wrong,
)
from paver.transport import nfs_url

VLAN_ADVICE = "A VLAN id is 0 (untagged), 1 to 4094, or 4095 (trunk to the guest)."
MTU_ADVICE = "An MTU is 1280 to 9000; 1500 unless every switch on the way carries more."
LONGEST_SWITCH = 31
"""Characters of a standard switch's name: 32, and whether the text's end is one of them it does not say (vim25 HostVirtualSwitch.name)."""
SWITCH_ADVICE = f"A host takes {LONGEST_SWITCH} characters at most: vSwitch1."
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_UPLINK_ADVICE = "Physical adapters as the host names them: vmnic0."
_UPLINK = re.compile(r"(?:vmnic|vusb)[0-9]{1,3}\Z")


def _number(value: object, what: str, advice: str, most: int, least: int = 0) -> object:
    """Returns a whole number that is from `least` to `most`, or raises that it is not `what`."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    given = shown(value) if isinstance(value, int) else kind_of(value)
    plain = str(value).lstrip("0")
    if isinstance(value, str) and plain.isdecimal() and least <= int(plain[:9]) <= most:
        advice = f"Write {plain}, without quotes and leading zeros. {advice}"
    raise wrong(f"{given} is not {what}", advice)


def _vlan(value: object) -> object:
    return _number(value, "a VLAN id", VLAN_ADVICE, 4095)


def _mtu(value: object) -> object:
    return _number(value, "an MTU", MTU_ADVICE, 9000, least=1280)


def _uplink(value: object) -> object:
    if not isinstance(value, str) or not _UPLINK.match(value):
        raise wrong(f"{shown(value)} is not a physical adapter", _UPLINK_ADVICE)
    return value


def _switch_name(text: str) -> str:
    if len(text) > LONGEST_SWITCH:
        raise wrong(f"{shown(text)} is too long for a switch", SWITCH_ADVICE)
    return text


Vlan = Annotated[int, Field(ge=0, le=4095), BeforeValidator(_vlan)]
Mtu = Annotated[int, Field(ge=1280, le=9000), BeforeValidator(_mtu)]
Uplink = Annotated[str, BeforeValidator(_uplink)]
SwitchName = Annotated[ObjectName, AfterValidator(_switch_name)]


class HostLogin(Login):
    """An account of a host."""

    user: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        default="root", description="The user's name."
    )


class Switch(Section):
    """A standard switch of a host."""

    uplinks: List[Uplink] = Field(description="Physical adapters, the active ones, in order.")
    mtu: Mtu = Field(default=1500, description="The largest frame, in bytes.")


class PortGroup(Section):
    """A port group of a standard switch."""

    switch: ObjectName = Field(description="The switch that it is on: a key of `switches`.")
    vlan: Vlan = Field(default=0, description=VLAN_ADVICE)


class HostServices(Section):
    """Services of a host that are running, or aren't."""

    ssh: bool = Field(default=False, description="SSH to the host.")
    shell: bool = Field(default=False, description="The shell on the host's console.")


class Host(Section):
    """A bare ESXi host."""

    address: Address = Field(description="Its management address.")
    fingerprint: credentials.Fingerprint = Field(
        description="SHA-256 of its certificate, as its console shows it; `paver preflight --show-pins` prints what "
        "it sees."
    )
    login: Annotated[
        HostLogin, BeforeValidator(login_from, json_schema_input_type=credentials.Reference | HostLogin)
    ] = Field(description="root's password: a reference, `secret:<name>`; or {user: …, password: secret:…}.")
    licence: credentials.Reference | None = Field(
        default=None,
        description="Reference to the licence key to assign. Left out, the host's own is kept; it must allow writing.",
    )
    switches: Map[SwitchName, Switch] = Field(
        default={"vSwitch0": Switch(uplinks=("vmnic0",))}, description="Standard switches, by name."
    )
    port_groups: Map[ObjectName, PortGroup] = Field(default={}, description="Port groups, by name.")
    datastore: ObjectName = Field(
        default="datastore1", description="The datastore for what is placed on this host."
    )
    services: HostServices = Field(default=HostServices(), description="Services that run, or don't.")


Size = Literal[
    "tiny", "small", "medium", "large", "xlarge",
    "tiny-lstorage", "small-lstorage", "medium-lstorage", "large-lstorage", "xlarge-lstorage",
    "tiny-xlstorage", "small-xlstorage", "medium-xlstorage", "large-xlstorage", "xlarge-xlstorage",
]  # fmt: skip
"""Deployment options of the appliance's OVF."""


_ISO_ADVICE = 'A path on the jumpbox, "[datastore1] iso/vcsa.iso", or nfs://server/export/vcsa.iso.'
_NFS_ADVICE = "Write it as nfs://server/export/vcsa.iso; a port may follow the server: nfs://10.20.0.9:2049/…"
_DATASTORE_PATH = re.compile(r"\[[^\]]+\] \S")


ELSEWHERE = ("[", "/", nfs_url.SCHEME)
"""How an ISO begins that does not lie beside the site file: on a datastore, on the jumpbox, on an NFS server."""


def _iso(text: str) -> str:
    if text.startswith("["):
        if not _DATASTORE_PATH.match(text):
            raise wrong(
                f"{shown(text)} is not a path on a datastore", 'Write it as "[datastore1] iso/vcsa.iso".'
            )
    elif text.lower().startswith("nfs:"):
        try:
            nfs_url.parse(text)
        except ValueError as error:
            raise wrong(f"this is not a file on an NFS server: {error}", _NFS_ADVICE) from None
        return text
    return values.path_of(text)


def _sha256(text: str) -> str:
    plain = text.strip().lower().removeprefix("sha256:")
    if not _SHA256.match(plain):
        raise wrong(
            f"{shown(text)} is not a SHA-256",
            "Write its 64 hexadecimal digits; Broadcom shows them beside the ISO.",
        )
    return plain


class Installer(Section):
    """Where vCenter's installer is."""

    iso: Annotated[str, *values.written(_iso, str, "a path", _ISO_ADVICE)] | None = Field(
        default=None,
        description='The ISO: a path on the jumpbox (on a disk of artefacts: /srv/artefacts/NAME), "[datastore] path" of the '
        "host under `on`, or nfs://server/export/path, which the jumpbox reads.",
    )
    sha256: Annotated[str, AfterValidator(_sha256)] | None = Field(
        default=None, description="The ISO's SHA-256 as its vendor shows it: nothing of another one is run."
    )
    tree: PathText | None = Field(default=None, description="The ISO's content, unpacked on the jumpbox.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.iso is None) == (self.tree is None):
            many = "both `iso` and `tree`" if self.iso is not None else "neither `iso` nor `tree`"
            raise wrong(
                f"the installer has {many}", "Write where the ISO is, or where its content is unpacked."
            )
        if self.sha256 is not None and self.iso is None:
            raise wrong(
                "a SHA-256 without an ISO", "It is compared with the ISO's; leave it out beside `tree`."
            )
        return self


class Passwords(Section):
    """The appliance's passwords. Made by paver, unless the sealed store has them already."""

    root: credentials.Reference = Field(
        default=SecretRef("vcenter-root"), description="root of the appliance."
    )
    administrator: credentials.Reference = Field(
        default=SecretRef("vcenter-administrator"), description="administrator of the SSO domain."
    )


class VCenter(Section):
    """The vCenter appliance."""

    fqdn: values.DomainName = Field(
        description="Its name, in the site's zone. Its certificate names it alone."
    )
    address: Address = Field(description="Its address.")
    on: str = Field(description="The host that it is placed on: a key of `hosts`.")
    installer: Installer = Field(description="Where its installer is.")
    size: Size = Field(
        default="tiny",
        description="tiny up to 10 hosts and 100 VMs, small 100 and 1000, medium 400 and 4000, large 1000 and 10000, "
        "xlarge 2000 and 35000; `-lstorage` and `-xlstorage` have larger disks.",
    )
    network: str | None = Field(
        default=None,
        description="The network that it stands in, a key of `networks`; the one that holds its address.",
    )
    datastore: ObjectName | None = Field(
        default=None,
        description="Where its disks lie, if not on the host's own `datastore`; only as it is installed.",
    )
    name: ObjectName | None = Field(
        default=None, description="The VM's name, if not the first label of `fqdn`."
    )
    sso_domain: values.DomainName = Field(
        default="vsphere.local", description="The domain of its own accounts."
    )
    passwords: Passwords = Field(
        default=Passwords(), description="Names of its passwords in the sealed store."
    )
    version: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+){0,3}$")] | None = Field(
        default=None,
        description='The version that the installer must be of, as far as it is given: "8.0.3". None is older than 7.0.2.',
    )
    ssh: bool = Field(default=False, description="SSH to the appliance; only as it is installed.")
    thin: bool = Field(
        default=True, description="Its disks take only the room that they use; only as it is installed."
    )
    timeout: Duration = Field(
        default=dt.timedelta(hours=3),
        description="How long the installer may take before it is stopped.",
    )

    @property
    def vm_name(self) -> str:
        """The VM's name."""
        return self.name or self.fqdn.partition(".")[0]

    @property
    def administrator(self) -> str:
        """The full name of the SSO domain's administrator."""
        return f"administrator@{self.sso_domain}"


class Cluster(Section):
    """A cluster of hosts."""

    hosts: Annotated[Unordered[str], Field(min_length=1)] = Field(description="Its hosts: keys of `hosts`.")
    drs: bool = Field(
        default=True,
        description="vCenter spreads VMs over the hosts, but for its own and the jumpbox, which stay. Resource pools need it.",
    )
    ha: bool = Field(default=False, description="VMs of a failed host are started on another one.")
    azs: Unordered[Label] = Field(
        default=(),
        description="Availability zones that it carries; all of the site's, if it is the only cluster.",
    )
    resource_pool: ObjectName | None = Field(
        default=None, description="The pool that BOSH's VMs are put into; made if it is named. Needs `drs`."
    )


class Folders(Section):
    """Folders for what BOSH makes."""

    vms: ObjectName = Field(default="BOSH_VMs", description="VMs.")
    templates: ObjectName = Field(default="BOSH_Templates", description="Stemcells.")
    disks: ObjectName = Field(
        default="BOSH_Disks", description="Persistent disks: a folder of the datastore."
    )


class CpiAccount(Section):
    """The account by which BOSH acts on vCenter, with the rights that it needs and no others."""

    user: Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{0,62}$")] = Field(
        default="bosh-cpi", description="Its name in the SSO domain."
    )
    password: credentials.Reference = Field(
        default=SecretRef("vcenter-cpi"),
        description="Its password's name in the sealed store; made by paver.",
    )


class Inventory(Section):
    """What vCenter is to hold."""

    datacenter: ObjectName = Field(description="The datacenter's name.")
    clusters: Annotated[Map[ObjectName, Cluster], Field(min_length=1), ALIKE] = Field(
        description="Clusters, by name."
    )
    folders: Folders = Field(default=Folders(), description="Folders for what BOSH makes.")
    cpi: CpiAccount = Field(default=CpiAccount(), description="The account by which BOSH acts on vCenter.")


class Settings(Section):
    """A vSphere site: from bare hosts to a cluster that BOSH can use."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    hosts: Annotated[Map[Label, Host], Field(min_length=1), ALIKE] = Field(
        description="The bare hosts, by name; the name is the host's in the zone, too."
    )
    vcenter: VCenter = Field(description="The vCenter appliance.")
    inventory: Inventory = Field(description="What vCenter is to hold.")

    def cpi_account(self) -> str:
        """Returns the full name of BOSH's account."""
        return f"{self.inventory.cpi.user}@{self.vcenter.sso_domain}"

    def clusters_of(self, az: str) -> tuple[str, ...]:
        """Returns the names of the clusters that carry an availability zone."""
        clusters = self.inventory.clusters
        if len(clusters) == 1:
            (name,) = clusters
            return (name,) if not clusters[name].azs or az in clusters[name].azs else ()
        return tuple(sorted(name for name, cluster in clusters.items() if az in cluster.azs))

    def machines(self, zone: str) -> tuple[Machine, ...]:
        """Returns hosts and vCenter with their names and addresses; `Site.machines` has the others."""
        hosts = tuple(
            Machine(name, host.address, ("iaas", "hosts", name, "address"), f"{name}.{zone}")
            for name, host in self.hosts.items()
        )
        vcenter = self.vcenter
        return (*hosts, Machine("vCenter", vcenter.address, ("iaas", "vcenter", "address"), vcenter.fqdn))


def of(site: Site) -> Settings:
    """Returns the vSphere settings of a site.

    Raises:
        TypeError: the site is of another driver; a mistake of the caller.
    """
    if not isinstance(site.iaas, Settings):
        raise TypeError(f"{site.driver} is not vsphere")
    return site.iaas


def vcenter_network(site: Site) -> str:
    """Returns the name of the network that vCenter stands in."""
    vcenter = of(site).vcenter
    return vcenter.network or site.network_of(vcenter.address) or site.jumpbox.network
