"""Whether the NFS server that has vCenter's installer gives it: asked from the jumpbox, or from here as far as that tells."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator

from paver.driver import BadInput, Finding, Grade, PaverError, Refused
from paver.drivers.vsphere import endpoints, settings
from paver.sitefile.site import Site
from paver.transport import nfs, nfs_url
from paver.transport.context import Wire
from paver.transport.machine import MachineConnector

CHECK = "installer"
_GB = 10**9


def installer(site: Site, wire: Wire) -> Iterator[Finding]:
    """Yields whether the ISO is there, and how large it is; nothing where the site names none on an NFS server."""
    iso = settings.of(site).vcenter.installer.iso
    remote = nfs_url.of(iso) if iso is not None else None
    if remote is None:
        return
    on_jumpbox = wire.station == "jumpbox"
    if not on_jumpbox and shutil.which("nfs-ls") is None:
        # Whether this machine reaches it is of no matter: it is the jumpbox that reads it.
        yield Finding(
            subject=remote.server,
            check=CHECK,
            seen="not asked from here: `paver preflight` on the jumpbox does",
        )
        return
    try:
        size = _size(site, wire, remote)
    except PaverError as error:
        yield Finding(
            subject=remote.server,
            check=CHECK,
            grade=_grade(error) if on_jumpbox else Grade.WARNING,
            seen=error.what,
            wanted=remote.path,
            why=error.why if on_jumpbox else "asked from here; what counts is the jumpbox, which reads it",
            do=error.do,
        )
        return
    yield Finding(subject=remote.server, check=CHECK, seen=f"{remote.path}, {size / _GB:.1f} GB")


def _size(site: Site, wire: Wire, remote: nfs_url.Remote) -> int:
    connector = endpoints.connectors(site)[endpoints.MACHINE.name]
    if not isinstance(connector, MachineConnector):
        raise TypeError("the jumpbox is reached in an unknown way")
    if wire.station != "jumpbox":
        connector = dataclasses.replace(connector, name="this machine", station=wire.station, sudo=False)
    connection = connector.connect(wire)
    try:
        return nfs.size(connection.reader(), remote)
    finally:
        connection.close()


def _grade(error: PaverError) -> Grade:
    if isinstance(error, BadInput):
        return Grade.INPUT
    return Grade.REFUSED if isinstance(error, Refused) else Grade.UNREACHABLE
