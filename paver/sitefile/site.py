"""The normalised site: what the user wants, whole and checked. Frozen; every other part of paver starts from it."""

from __future__ import annotations

import dataclasses
import enum
import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from pydantic import BaseModel

from paver.signing import canonical
from paver.sitefile import models
from paver.sitefile.diagnostic import Diagnostic
from paver.sitefile.services import Services, StoreUser
from paver.sitefile.source import Source

_NOTHING: tuple[object, ...] = (None, {}, [])
"""As plain data: what says nothing where it is a key's default."""


class NamedFile(enum.StrEnum):
    """What a small file is that the site file names."""

    ROOT = "trusted root"
    SERVICE_ROOT = "root of a service"
    OPERATORS = "operators"
    PIPELINE = "pipeline"


@dataclasses.dataclass(frozen=True)
class Machine:
    """Something in the site that has an address.

    Attributes:
        whose: what messages call it.
        address: its address.
        path: where the site file says so.
        fqdn: its full name in the DNS, or None for a gateway.
    """

    whose: str
    address: IPv4Address
    path: tuple[str, ...]
    fqdn: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """A site file that was loaded.

    Attributes:
        name: the site's name, a DNS label.
        driver: the name of the IaaS driver.
        iaas: the driver's own settings, an instance of its `settings`.
        networks: by name.
        site_services: DNS and time as the user wrote them; `dns` and `ntp` below are the resolved ones.
        jumpbox: the machine from which the site is paved.
        bucc: director, UAA, CredHub, Concourse.
        services: object store, registry, Concourse's teams.
        trust: extra roots, lifetimes of certificates.
        secrets: where the sealed store and its key are.
        moved: old resource ids to new ones.
        adopt: ids of resources that may be somebody else's until now.
        source: the file's text, for messages with positions. No part of the digest.
        folder: the folder of the site file. No part of the digest.
        warnings: what was found that doesn't forbid using the site.
    """

    name: str
    driver: str
    iaas: BaseModel
    networks: Mapping[str, models.Network]
    site_services: models.SiteServices
    jumpbox: models.Jumpbox
    bucc: models.Bucc
    services: Services
    trust: models.Trust
    secrets: models.Secrets
    moved: Mapping[str, str]
    source: Source = dataclasses.field(repr=False, compare=False)
    folder: pathlib.Path = dataclasses.field(compare=False)
    adopt: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = dataclasses.field(default=(), compare=False)

    def normalised(self) -> dict[str, object]:
        """Returns the site as plain data, defaults filled in."""
        sections = {
            field: getattr(self, field).model_dump(mode="json")
            for field in ("iaas", "site_services", "jumpbox", "bucc", "services", "trust", "secrets")
        }
        networks = {name: network.model_dump(mode="json") for name, network in self.networks.items()}
        return {
            "format": "paver.site/1",
            "name": self.name,
            "driver": self.driver,
            "networks": networks,
            "moved": dict(self.moved),
            "adopt": sorted(self.adopt),
        } | sections

    def digest(self) -> str:
        """Returns the SHA-256 of the normalised site; comments, order and formatting don't change it.

        What is not set is left out: a key that a later paver takes changes no digest of a site that has no use for it,
        and voids no approval.
        """
        return self._digest

    @functools.cached_property
    def _digest(self) -> str:
        said = {key: _said(getattr(self, key, value), value) for key, value in self.normalised().items()}
        return canonical.digest({key: value for key, value in said.items() if value not in _NOTHING})

    @property
    def zone(self) -> str:
        """The DNS zone of the site."""
        return self.site_services.zone

    @property
    def dns_on_jumpbox(self) -> bool:
        """Whether the jumpbox serves DNS."""
        return self.site_services.dns == models.JUMPBOX

    @property
    def ntp_on_jumpbox(self) -> bool:
        """Whether the jumpbox serves time."""
        return self.site_services.ntp == models.JUMPBOX

    @property
    def dns(self) -> tuple[IPv4Address, ...]:
        """The DNS servers that every machine of the site asks."""
        wished = self.site_services.dns
        return (self.jumpbox.address,) if isinstance(wished, str) else wished

    @property
    def ntp(self) -> tuple[str, ...]:
        """The time servers of every machine of the site: names or addresses."""
        wished = self.site_services.ntp
        return (str(self.jumpbox.address),) if isinstance(wished, str) else wished

    @property
    def azs(self) -> tuple[str, ...]:
        """The availability zones, sorted."""
        return tuple(sorted({network.az for network in self.networks.values() if network.az}))

    def fqdn(self, label: str) -> str:
        """Returns the full name of a machine in the site's zone."""
        return f"{label}.{self.zone}"

    def network_of(self, address: IPv4Address) -> str | None:
        """Returns the name of the network that holds `address`."""
        return next((name for name, network in self.networks.items() if address in network.cidr), None)

    def network_dns(self, network: str) -> tuple[IPv4Address, ...]:
        """Returns the DNS servers of the machines in `network`."""
        return self.networks[network].dns or self.dns

    def team_user(self, team: str) -> str | None:
        """Returns the account of the object store whose key a team's pipelines get.

        None where they get the external store's own login, or where there is no bucket that they could use.
        """
        store, named = self.services.object_store, self.services.concourse.teams[team].store_user
        return named or (f"team-{team}" if store.buckets and store.external is None else None)

    @property
    def store_users(self) -> dict[str, StoreUser]:
        """The accounts of the object store: those that are declared, and one for each team that names none."""
        store = self.services.object_store
        teams = (self.team_user(team) for team in self.services.concourse.teams)
        every = StoreUser(write=tuple(sorted(store.buckets)))
        return {**{user: every for user in teams if user}, **store.users}

    def path(self, text: str) -> pathlib.Path:
        """Returns a path of the site file, absolute: relative ones start at the site file's folder."""
        return self.folder / pathlib.Path(text).expanduser()

    @property
    def named_files(self) -> tuple[tuple[NamedFile, str], ...]:
        """The small files that the site file names: what each is, and its name as it stands there."""
        pipelines = [
            one for team in self.services.concourse.teams.values() for one in team.pipelines.values()
        ]
        externals = (self.services.object_store.external, self.services.registry.external)
        return (
            *((NamedFile.ROOT, name) for name in self.trust.extra_roots),
            *((NamedFile.SERVICE_ROOT, one.ca) for one in externals if one and one.ca),
            *((NamedFile.OPERATORS, name) for name in self.bucc.operators),
            *((NamedFile.PIPELINE, one.file) for one in pipelines if one.file),
        )

    @property
    def small_files(self) -> tuple[str, ...]:
        """The names of these files, each once: they are read while planning, at each station."""
        return tuple(dict.fromkeys(name for _, name in self.named_files))

    @property
    def sealed_file(self) -> pathlib.Path:
        """The file of the sealed store."""
        return self.path(self.secrets.file or f"{self.name}.sealed")

    def machines(self) -> Iterator[Machine]:
        """Yields every machine that paver gives an address on any IaaS, and the gateways; not the driver's."""
        for name, network in self.networks.items():
            yield Machine(f"the gateway of {name}", network.gateway, ("networks", name, "gateway"))
        yield self._machine("the jumpbox", self.jumpbox, ("jumpbox",))
        yield self._machine("the director", self.bucc, ("bucc",))
        if self.services.object_store.address:
            yield self._machine("the object store", self.services.object_store, ("services", "object_store"))
        if self.services.registry.address:
            yield self._machine("the registry", self.services.registry, ("services", "registry"))

    def _machine(self, whose: str, section: Any, path: tuple[str, ...]) -> Machine:
        return Machine(whose, section.address, (*path, "address"), self.fqdn(section.hostname))


def _said(value: object, plain: Any) -> Any:
    """Returns `plain`, a value as plain data, without keys that stand at a default which says nothing; other defaults stay."""
    if isinstance(value, BaseModel) and isinstance(plain, dict):
        fields = type(value).model_fields
        found = {key: _said(getattr(value, key), item) for key, item in plain.items()}
        return {
            key: item
            for key, item in found.items()
            if item not in _NOTHING
            or getattr(value, key) != fields[key].get_default(call_default_factory=True)
        }
    if isinstance(value, Mapping) and isinstance(plain, dict):
        return {key: _said(one, item) for one, (key, item) in zip(value.values(), plain.items(), strict=True)}
    if isinstance(value, Sequence) and isinstance(plain, list):
        return [_said(one, item) for one, item in zip(value, plain, strict=True)]
    return plain
