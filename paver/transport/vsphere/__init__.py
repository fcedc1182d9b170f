"""Sessions with ESXi hosts and vCenter: their faces, what they read and may call, leases, and single sign-on.

All that transport knows of vSphere is in here, so that one name keeps it out of the rooms that know no IaaS.
"""

from __future__ import annotations

from paver.transport.logins import LoginError, NoAccessError
from paver.transport.tls import TrustError
from paver.transport.vsphere.connector import VsphereConnection, VsphereConnector
from paver.transport.vsphere.faults import VsphereFault
from paver.transport.vsphere.reader import VsphereReader
from paver.transport.vsphere.soap_types import describe, new, ref, type_of
from paver.transport.vsphere.writer import AnswerLostError, VsphereWriter

__all__ = [
    "AnswerLostError",
    "LoginError",
    "NoAccessError",
    "TrustError",
    "VsphereConnection",
    "VsphereConnector",
    "VsphereFault",
    "VsphereReader",
    "VsphereWriter",
    "describe",
    "new",
    "ref",
    "type_of",
]
