"""What the user wants: the site file, from YAML text to a frozen, typed, checked `Site`.

`load.load` reads one; `schema`, `reference` and `init` describe it. Nothing here knows an IaaS: what stands
under `iaas` is the driver's model, and arrives as a parameter.
"""

from __future__ import annotations

from paver.sitefile.addresses import AddressRange
from paver.sitefile.credentials import SecretRef
from paver.sitefile.diagnostic import Diagnostic, Severity, SiteErrors
from paver.sitefile.section import ALIKE, Section
from paver.sitefile.services import Login
from paver.sitefile.site import Machine, Site

__all__ = [
    "ALIKE",
    "AddressRange",
    "Diagnostic",
    "Login",
    "Machine",
    "SecretRef",
    "Section",
    "Severity",
    "Site",
    "SiteErrors",
]
