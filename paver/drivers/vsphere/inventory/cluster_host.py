"""A host as a member of a cluster.

Adding a host has a consequence that is wished for: vCenter's own authority issues a new certificate for it, so
the fingerprint in the site file no longer holds and the host is trusted by that authority from then on. vCenter
is told the thumbprint that paver itself saw over its verified connection, never one that vCenter reports.
"""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from paver.driver import (
    STORE,
    Check,
    Endpoint,
    Facts,
    PaverError,
    Reader,
    Refused,
    Secret,
    Unobservable,
    Writer,
    resource_id,
)
from paver.drivers.vsphere import ledger
from paver.drivers.vsphere.endpoints import shown_certificate
from paver.drivers.vsphere.host import licence, reading
from paver.drivers.vsphere.inventory import attributes, cluster, licences, retreat, versions
from paver.drivers.vsphere.inventory.entity import Entity, Found, declared, every, same
from paver.drivers.vsphere.inventory.noted import key_of
from paver.transport import tls
from paver.transport.vsphere import VsphereFault, describe, new

_STEMCELL = "sc-"
_ELSEWHERE = frozenset({"AlreadyConnected", "DuplicateName"})
_CERTIFICATE_SINCE = 9
"""The major version of the API whose HostConnectSpec takes a certificate."""

_TOLD: tuple[tuple[str, str, str], ...] = (
    ("InvalidLogin", "the host refuses user or password", "check the host's `login` in the site file"),
    (
        "SSLVerifyFault",
        "vCenter sees another certificate under that name than paver sees at the host's address",
        "check the name in the DNS that vCenter asks: it must lead to the host",
    ),
    (
        "AlreadyBeingManaged",
        "another vCenter manages the host",
        "take it out there first; if there is no such vCenter any more, disconnect the host from it in its own client",
    ),
    ("AlreadyConnected", "vCenter has the host already, elsewhere", "take it out there first"),
    ("DuplicateName", "vCenter has the host already, elsewhere", "take it out there first"),
    ("NotSupportedHost", "vCenter does not manage hosts of that version", "use a vCenter that is not older"),
    (
        "NotEnoughLicenses",
        "vCenter has no licence for the host, or the host's own lacks what the cluster uses (DRS wants Enterprise Plus)",
        "give the host a licence that has it; `drs: false` for its cluster is no way out where BOSH is to place machines in it",
    ),
    (
        "NoHost",
        "vCenter does not reach the host",
        "check the name in the DNS that vCenter asks, and ports 443 and 902 from there (`paver ports`)",
    ),
    (
        "AgentInstallFailed",
        "vCenter reached the host, and its agent does not run there",
        "make room on the host's boot device, or restart its management agents on the console; see /var/log/vpxa.log on it",
    ),
    (
        "NoPermissionOnHost",
        "the host's account may not give vCenter what it needs",
        "log in as root, or give the account the role Administrator on the host",
    ),
    (
        "TooManyHosts",
        "vCenter has as many hosts as its licence allows",
        "assign vCenter another licence, or take a host out that is not needed",
    ),
    (
        "HostConnectFault",
        "vCenter cannot connect the host",
        "where the fault does not tell why, check name and ports as for a host that is not reached (`paver ports`)",
    ),
    (
        "SystemError",
        "vCenter or its agent on the host did not come to an end with it, which may pass",
        "run the same command again; if it stays, compare the clocks of host and vCenter, and see /var/log/vpxa.log on the host",
    ),
)
"""By class, derived ones before those that they are derived from (vim25 HostConnectFault, and who extends it)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterHostFacts(Facts):
    """A host as vCenter shows it; without values where adding it was only begun.

    Attributes:
        cluster: the cluster that it is in.
        connected: vCenter reaches it.
        certificate: SHA-256 of what the host itself shows; None where vCenter is to replace that. Other resources use it.
        licence: the version of the secret whose key vCenter has assigned to the host, None for any other key.
    """

    cluster: str | None = None
    connected: bool | None = None
    certificate: str | None = None
    licence: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterHost(Entity[ClusterHostFacts]):
    """A host in a cluster. Its own endpoint stands first in `also`: adding it changes its certificate.

    Attributes:
        host: what the site file calls it.
        datacenter: the name of the datacenter.
        cluster: the name of the cluster.
        port: HTTPS of the host.
        user: an account of the host.
        password: its password.
        vcenter: the site's own vCenter, by its address.
        connected: vCenter is to reach it.
        licence: the licence key that vCenter is to assign to it; None leaves it the one that it has.
    """

    kind = "vsphere.cluster-host"
    type_name = "HostSystem"
    facts_type = ClusterHostFacts
    paths = ("runtime.connectionState",)
    unmanaged = frozenset({"name", "host", "datacenter", "port", "user", "password", "vcenter"})
    replaces = frozenset({"cluster"})
    calls = declared(
        create=("AddHost_Task", "ReconnectHost_Task", *licences.CALLS),
        update=("ReconnectHost_Task", *licences.CALLS),
        delete=("Destroy_Task", *retreat.LEAVING),
    )

    host: str
    datacenter: str
    cluster: str
    port: int = 443
    user: str
    password: Secret
    vcenter: str = ""
    connected: bool = True
    licence: Secret | None = None

    def lies_in(self, session: Any) -> Any:
        """Returns the cluster."""
        found = cluster.find(session, self.datacenter, self.cluster)
        return found.ref if found is not None else None

    def _is_here(self, found: Found, parent: Any) -> bool:
        # It can be in one place only, and may be in a wrong one.
        del parent
        return bool(found.values["name"] == self.name)

    @classmethod
    def values(cls, session: Any, found: Found) -> Mapping[str, Any]:
        """Returns where the host is, and whether vCenter reaches it."""
        state = found.values["runtime.connectionState"]
        return {"cluster": _cluster_of(session, found), "connected": state == retreat.CONNECTED}

    def read(self, world: Reader) -> ClusterHostFacts | None:
        """Returns the host as vCenter has it, with the certificate that it shows."""
        facts = super().read(world)
        if facts is None or facts.cluster is None:
            return facts
        certificate: str | None = tls.fingerprint(shown(world.session(self.also[0]), self.host))
        if not facts.connected and certificate != self._kept(world):
            # It was installed anew while vCenter had it: what it shows now is replaced, as by adding it.
            certificate = None
        renamed = world.moved.get(resource_id(cluster.Cluster.kind, facts.cluster))
        held = key_of(renamed) if renamed is not None else facts.cluster
        return dataclasses.replace(
            facts, cluster=held, certificate=certificate, licence=self._assigned(world, facts)
        )

    def _assigned(self, world: Reader, facts: ClusterHostFacts) -> str | None:
        if self.licence is None:
            return None
        session = world.session(self.at)
        key = licences.assigned(session, session.ref(*facts.address["ref"].split(":", 1)))
        # A host has one licence, whatever the site file calls the host.
        entry = next(iter(ledger.read(world, self.also[0]).of_kind(licence.Licence.kind)), None)
        return licence.noted(entry, key)

    def _kept(self, world: Reader) -> str | None:
        entry = world.session(STORE).entry(shown_certificate(self.host))
        return None if entry is None else tls.fingerprint(str(entry.public["pem"]))

    def make(self, world: Writer, session: Any, parent: Any) -> None:
        """Adds the host.

        Raises:
            PaverError: if vCenter cannot add it; says which of host, login, name and certificate is at fault.
        """
        world.report(f"vCenter adds {self.host}")

        def told(percent: int) -> None:
            world.report(f"vCenter adds {self.host}", percent, 100, "%")

        try:
            session.task(parent, "AddHost_Task", told, spec=self._spec(world), asConnected=True)
        except VsphereFault as fault:
            raise self._explained(fault, world, session) from fault

    def change(self, world: Writer, session: Any, found: Found) -> None:
        """Connects the host anew if vCenter lost it, and has vCenter assign its licence."""
        if found.values["runtime.connectionState"] != retreat.CONNECTED:
            try:
                session.task(found.ref, "ReconnectHost_Task", cnxSpec=self._spec(world))
            except VsphereFault as fault:
                raise self._explained(fault, world, session) from fault
        if self.licence is not None:
            licences.assign(session, found.ref, world.reveal(self.licence))

    def _spec(self, world: Writer) -> Any:
        # A host that left while it was disconnected goes on naming the vCenter that it had. One that stands anew at
        # the same address may take it back; from anybody else's it is not taken.
        manager = reading.of(world.session(self.also[0]), reading.MANAGER)
        pem = shown(world.session(self.also[0]), self.host)
        return new(
            "HostConnectSpec",
            hostName=self.name,
            port=self.port,
            **_pinned(pem, str(world.session(self.at).content.about.apiVersion)),
            userName=self.user,
            password=world.reveal(self.password),
            force=not manager or manager == self.vcenter,
        )

    def _explained(self, fault: VsphereFault, world: Writer, session: Any) -> PaverError:
        for name, why, do in _TOLD:
            if fault.is_a(name):
                if name in _ELSEWHERE:
                    # An intent must not make ours what somebody else added.
                    attributes.strike(session, world.site, self.id)
                return PaverError(
                    f"vCenter cannot add {self.host} ({self.name})",
                    why=why,
                    do=do,
                    seen=fault.what,
                )
        return fault

    def checks(self, world: Reader, facts: ClusterHostFacts) -> Iterable[Check]:
        """Yields that the host still proves who it is, now by the certificate that vCenter issued."""
        pem = shown(world.session(self.also[0]), self.host)
        yield Check("the host is trusted with its new certificate", bool(pem), str(facts.certificate))

    @classmethod
    def remove(cls, world: Writer, session: Any, found: Found) -> None:
        """Takes the host out; its VMs run on, and it stays usable by itself.

        What runs on it (vCenter's own machine may) is why it is disconnected and not put into maintenance; so the agent,
        its account and the cluster's resource pools stay on it ("Remove a Host from a Cluster", vSphere 8).

        Raises:
            Refused: if machines of BOSH's are on it.
        """
        if carried := _machines_of_bosh(world, session, found.ref):
            raise Refused(
                f"machines of BOSH's are on {found.values['name']}",
                seen=", ".join(carried[:10]),
                why="a host takes its machines along out of vCenter: they would run on with their disks and addresses, and "
                "lie outside of BOSH's folders, where its account may do nothing, once the host is added again",
                do="have BOSH make them on another host, or move them there (vMotion), then run the same command again",
            )
        state = str(found.values["runtime.connectionState"])
        retreat.disconnect(world, session, found.ref, found.values["parent"], state)
        session.task(found.ref, "Destroy_Task")

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[ClusterHostFacts]:
        """Yields the hosts that bear the site's mark, whether vCenter reaches them or not.

        One that the site file no longer names has no name in the site's DNS either, by which vCenter dials it.
        """
        for facts in super().discover(world, at):
            yield dataclasses.replace(facts, connected=None)

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"into {self.cluster}; its certificate becomes one of vCenter's authority"

    def estimate(self) -> int:
        """Returns about how many seconds adding it takes."""
        return 40


def _pinned(pem: str, api: str) -> dict[str, str]:
    """Returns by what vCenter knows the host: its certificate from API 9.0 on, before that a SHA-1 of it alone.

    Both together are not to be sent (vim25 HostConnectSpec.sslCertificate).
    """
    if versions.reaches(api, _CERTIFICATE_SINCE):
        return {"sslCertificate": pem}
    return {"sslThumbprint": tls.thumbprint(pem)}


def shown(session: Any, name: str) -> str:
    """Returns what a host shows on a connection that was verified, in PEM.

    Raises:
        Unobservable: if it does not answer.
    """
    try:
        connection = session.link.route.connect()
    except OSError as error:
        raise Unobservable(f"{name} does not answer", why=str(error) or type(error).__name__) from error
    try:
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
    finally:
        connection.close()


def _machines_of_bosh(world: Reader, session: Any, host: Any) -> list[str]:
    """Returns the machines on a host that lie in the site's folders, but for stemcells, which the CPI makes anew.

    It calls these `sc-…` (bosh-vsphere-cpi-release, `cloud.rb`).
    """
    folders = {describe(one.ref): one for one in every(session, "Folder")}
    ours = {ref for ref, one in folders.items() if _is_ours(world, session, one)}

    def inside(parent: Any) -> bool:
        while parent is not None and (one := folders.get(describe(parent))) is not None:
            if describe(one.ref) in ours:
                return True
            parent = one.values["parent"]
        return False

    machines = session.objects("VirtualMachine", ("name", "parent", "runtime.host"))
    return sorted(
        str(values["name"])
        for _, values in machines
        if same(values["runtime.host"], host)
        and inside(values["parent"])
        and not str(values["name"]).startswith(_STEMCELL)
    )


def _is_ours(world: Reader, session: Any, found: Found) -> bool:
    mark = attributes.mark_of(session, found.values["customValue"])
    return mark is not None and mark.site == world.site


def _cluster_of(session: Any, found: Found) -> str:
    """Returns the cluster's name in the site file if paver made it, whatever somebody calls it now."""
    for one in every(session, "ClusterComputeResource", cluster.PATHS):
        if same(one.ref, found.values["parent"]):
            mark = attributes.mark_of(session, one.values["customValue"])
            return str(one.values["name"]) if mark is None else key_of(mark.id)
    return ""
