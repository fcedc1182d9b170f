"""The certificate that a host got from vCenter's authority, kept for the day when vCenter is gone.

Taking a host out of vCenter does not bring its old certificate back: the fingerprint in the site file no longer
holds, and the authority that issued the new one is destroyed. So what the host shows while that authority still
proves it is kept in the sealed store, and a destroy leaves it there.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from paver.driver import STORE, Endpoint, Facts, Reader, Resource, Verb, Writer
from paver.drivers.vsphere.endpoints import shown_certificate
from paver.drivers.vsphere.inventory.cluster_host import shown
from paver.transport import tls


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostCertificateFacts(Facts):
    """The kept certificate, by its SHA-256."""

    fingerprint: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostCertificate(Resource[HostCertificateFacts]):
    """The certificate of one host.

    Attributes:
        name: of the host in the site file.
        host: its endpoint.
        fingerprint: of what it shows since it is in vCenter.
    """

    kind = "vsphere.host-certificate"
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        Verb.CREATE: frozenset({"seal:put"}),
        Verb.UPDATE: frozenset({"seal:put"}),
    }
    unmanaged = frozenset({"name", "host"})
    stays = (
        "the host keeps the certificate that vCenter's authority issued; it is trusted by this from now on. "
        "It keeps vCenter's agent, that one's account and the cluster's resource pools as well"
    )

    name: str
    host: Endpoint[Any, Any]
    fingerprint: str

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"trust {self.name} by its new certificate when vCenter is gone"

    def read(self, world: Reader) -> HostCertificateFacts | None:
        """Returns what is kept."""
        entry = world.session(STORE).entry(shown_certificate(self.name))
        if entry is None:
            return None
        return HostCertificateFacts(mark=entry.mark, fingerprint=tls.fingerprint(str(entry.public["pem"])))

    def create(self, world: Writer) -> None:
        """Keeps what the host shows on a connection that was verified."""
        pem = shown(world.session(self.host), self.name)
        public = {"pem": pem}
        world.writing(STORE).put(shown_certificate(self.name), "", public, world.mark(complete=True))

    def update(self, world: Writer, facts: HostCertificateFacts, fields: frozenset[str]) -> None:
        """Keeps the present one."""
        del facts, fields
        self.create(world)
