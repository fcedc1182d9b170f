"""The sections of a site file that hold on any IaaS, as the user writes them.

What needs more than one section is checked in `check`; what the user asks of one IaaS is in its driver.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from paver.sitefile import addresses, credentials, values
from paver.sitefile.addresses import Address
from paver.sitefile.section import Section
from paver.sitefile.values import Duration, Label, List, PathText, shown, wrong

JUMPBOX = "jumpbox"
_DAY = dt.timedelta(days=1)


Ranges = values.Unordered[addresses.Range]


def _who_serves(value: object) -> str:
    return "jumpbox" if isinstance(value, str) else "servers"


def _or_a_list_of(server: Callable[[str], object]) -> BeforeValidator:
    """Returns what tells of a `server` that stands alone that it lacks its brackets."""

    def validate(value: object) -> object:
        if not isinstance(value, str) or value == JUMPBOX:
            return value
        try:
            server(value)
        except PydanticCustomError:
            return value
        raise wrong(
            f"a list of servers is wanted here, or {JUMPBOX}, not {shown(value)} alone",
            f"Did you mean [{shown(value)}]?",
        )

    return BeforeValidator(validate)


DnsServers = Annotated[
    Annotated[Literal["jumpbox"], _or_a_list_of(addresses.address), Tag("jumpbox")]
    | Annotated[List[Address], Field(min_length=1), Tag("servers")],
    Discriminator(_who_serves),
]
NtpServers = Annotated[
    Annotated[Literal["jumpbox"], _or_a_list_of(addresses.host), Tag("jumpbox")]
    | Annotated[List[addresses.HostText], Field(min_length=1), Tag("servers")],
    Discriminator(_who_serves),
]


class Network(Section):
    """One subnet, as the machines in it see it."""

    cidr: addresses.Cidr = Field(description="The network's addresses.")
    gateway: Address = Field(description="The router's address.")
    port_group: values.ObjectName | None = Field(
        default=None,
        description="The port group that carries it: a key of `iaas.hosts.*.port_groups`. Left out where none of "
        "paver's machines is attached to the network.",
    )
    reserved: Ranges = Field(default=(), description="Addresses that BOSH leaves alone.")
    static: Ranges = Field(
        default=(),
        description="Addresses that BOSH gives only to what asks for them by number. The director's and the "
        "services' are among them.",
    )
    az: Label | None = Field(
        default=None,
        description="The availability zone of what BOSH puts here. Left out where BOSH doesn't use the network.",
    )
    dns: Annotated[List[Address], Field(min_length=1)] | None = Field(
        default=None, description="DNS servers of this network's machines, if not those of `site_services`."
    )

    @property
    def dynamic(self) -> int:
        """How many addresses BOSH may give to a VM that asks for none by number, as those that compile."""
        first, last = int(self.cidr.network_address), int(self.cidr.broadcast_address)
        ends = ((at, at) for at in (first, int(self.gateway), last))
        ranges = ((int(one.first), int(one.last)) for one in (*self.reserved, *self.static))
        left, at = 0, first
        for begin, end in sorted((*ends, *ranges)):
            left, at = left + max(0, begin - at), max(at, end + 1)
        return left


class SiteServices(Section):
    """DNS and time. They are up and checked before anything depends on them."""

    dns: DnsServers = Field(
        default="jumpbox",
        description="`jumpbox` if the jumpbox serves the zone, or the addresses of servers that know every name "
        "of the site, forward and backward.",
    )
    ntp: NtpServers = Field(
        default="jumpbox",
        description="`jumpbox` if the jumpbox serves time, or names or addresses of servers.",
    )
    zone: values.DomainName = Field(
        description="The DNS zone in which every machine of the site has its name."
    )
    forwarders: List[Address] = Field(
        default=(),
        description="Where the jumpbox's DNS asks for names outside of the zone. Without any it refuses them.",
    )


class Jumpbox(Section):
    """The machine from which the site is paved."""

    image: PathText = Field(description="The jumpbox's OVA, or the OVF of an unpacked one.")
    on: str = Field(description="The host that it is placed on: a key of `iaas.hosts`.")
    network: str = Field(description="The network that it stands in: a key of `networks`.")
    address: Address = Field(description="Its address.")
    ssh_keys: Annotated[List[credentials.SshKey], Field(min_length=1)] = Field(
        description="Public keys of those who may log in, as in a `.pub` file."
    )
    hostname: Label = Field(default="jumpbox", description="Its name in the zone.")
    name: values.ObjectName = Field(default="paver-jumpbox", description="The VM's name.")
    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,30}$")] = Field(
        default="paver", description="The account that the keys are for."
    )
    datastore: values.ObjectName | None = Field(
        default=None, description="Where its disks lie, if not on the host's own `datastore`."
    )
    cpus: Annotated[int, Field(ge=1, le=64)] = Field(default=2, description="Number of CPUs.")
    memory_mb: Annotated[int, Field(ge=1024, le=1024 * 1024)] = Field(
        default=4096, description="Memory, in MiB."
    )
    disk_gb: Annotated[int, Field(ge=8, le=4096)] = Field(
        default=100,
        description="Size of its data disk, in GiB: room for vCenter's ISO and BUCC's artefact. Of an image without"
        " a data disk, of its only disk.",
    )
    placed_by: Literal["paver", "hand"] = Field(
        default="paver",
        description="`hand` if someone imports the image with the host's own client; paver then adopts the VM, and"
        " leaves its processors, memory, datastore and disks as that import made them.",
    )


class Lifetimes(Section):
    """How long paver's own certificates hold."""

    root: Duration = Field(default=3650 * _DAY, description="The site's root certificate.")
    certificate: Duration = Field(default=365 * _DAY, description="Every other certificate.")
    renew_before: Duration = Field(
        default=30 * _DAY, description="How long before its end a certificate is planned to be renewed."
    )


class Trust(Section):
    """Whom the site trusts beside its own root."""

    extra_roots: List[PathText] = Field(
        default=(),
        description="PEM files of root certificates. The director puts them on every VM that it makes, beside the "
        "site's own root; an external object store or registry is held to them, unless it names a `ca` of its own. "
        "The jumpbox's and the director's own lists of roots stay as they are.",
    )
    lifetimes: Lifetimes = Field(default=Lifetimes(), description="How long paver's own certificates hold.")


class Secrets(Section):
    """Where the site's secrets are. Their values never stand in this file."""

    store: Literal["sealed"] = Field(
        default="sealed", description="The only kind there is: an encrypted file."
    )
    file: PathText | None = Field(
        default=None, description="The store's file, if not `<name of the site>.sealed` beside the site file."
    )
    key: credentials.KeySource = Field(
        default="file:/etc/paver/site.key",
        description="What opens it: `file:<path>` of a key file, or `passphrase` to be asked.",
    )


class DirectorVm(Section):
    """Size of the one VM that holds director, UAA, CredHub and Concourse."""

    cpus: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="Number of CPUs.")
    memory_mb: Annotated[int, Field(ge=4096, le=1024 * 1024)] = Field(
        default=16640, description="Memory, in MiB."
    )
    disk_gb: Annotated[int, Field(ge=10, le=4096)] = Field(
        default=50, description="Ephemeral disk, in GiB; empty again after every change of the VM."
    )
    persistent_disk_gb: Annotated[int, Field(ge=10, le=16384)] = Field(
        default=64, description="Disk that is kept when the VM is made anew, in GiB."
    )


class Bucc(Section):
    """BOSH, UAA, CredHub and Concourse: one VM, made by `bucc up` from the jumpbox."""

    artefact: PathText = Field(
        description="One tar with BUCC, releases, stemcell and CLIs; docs/reference/bucc-artefact.md says what is in it."
    )
    address: Address = Field(description="The director's address, in a network with an availability zone.")
    az: Label = Field(description="The availability zone that it is placed in.")
    hostname: Label = Field(default="director", description="Its name in the zone.")
    alias: Label | None = Field(
        default=None, description="What the BOSH CLI calls the director, if not the site's name."
    )
    vm: DirectorVm = Field(default=DirectorVm(), description="Size of the VM.")
    operators: List[PathText] = Field(
        default=(), description="Your own ops files for `bosh create-env`, applied after BUCC's and paver's."
    )
