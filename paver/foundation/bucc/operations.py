"""Paver's own ops files for `bosh create-env`, each with its reason.

They are written into BUCC's `operators/`; BUCC sorts all ops by name, its flags' too. These come after those that make what they
change, and before the flags; the site's own come last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paver.foundation import yaml_text
from paver.sitefile.models import DirectorVm

TIME = "50-paver-ntp.yml"
TRUSTED = "50-paver-trusted-certs.yml"
DISK = "50-paver-persistent-disk.yml"


def common(vm: DirectorVm) -> Mapping[str, bytes]:
    """Returns the ops for any IaaS: time of the site instead of the Internet's, its roots for every VM, `vm`'s disk.

    CPUs, memory and the ephemeral disk are variables of BUCC's for the CPI; for the disk that is kept it has none.
    """
    return {
        TIME: _ops(
            ("/instance_groups/name=bosh/properties/agent/env/bosh/ntp?", "((internal_ntp))"),
            ("/resource_pools/name=vms/env/bosh/ntp?", "((internal_ntp))"),
            ("/cloud_provider/properties/ntp?", "((internal_ntp))"),
        ),
        TRUSTED: _ops(
            # One text of several certificates: the director hands it to every VM as it is.
            (
                "/instance_groups/name=bosh/properties/director/trusted_certs?",
                "((trusted_ca_cert))\n((extra_ca_certs))",
            )
        ),
        # In MiB, as in bosh-deployment's bosh.yml.
        DISK: _ops(("/disk_pools/name=disks/disk_size", vm.persistent_disk_gb * 1024)),
    }


def _ops(*replacements: tuple[str, Any]) -> bytes:
    documents = [{"type": "replace", "path": path, "value": value} for path, value in replacements]
    return yaml_text.dumps(documents, sort_keys=False).encode()
