"""The appliance's first boot as the installer sees it: what it is told, and how long until vCenter answers."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import ssl
import time
from collections.abc import Iterator
from typing import Any

from paver.lab import vcsa
from paver.lab.standins import vcsa_esxi
from paver.lab.standins.vcsa_template import SIZES, Template

_PACKAGES = "Install required RPMs for the appliance"
SCRIPTS = "Run firstboot scripts"
"""The task in which the appliance's services start."""
_LIMIT_SECONDS = 30.0
_TICK_SECONDS = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A line of the deployment's progress; `state` is RUNNING, SUCCEEDED or FAILED."""

    task: str
    percent: int
    message: str
    state: str = "RUNNING"


def machine(template: Template, *, broken: bool = False) -> vcsa_esxi.Machine:
    """Returns the VM to make for `template`; a `broken` one lacks what its first boot needs."""
    cpus, memory = SIZES[template.option.partition("-")[0]]
    return vcsa_esxi.Machine(
        name=template.name,
        cpus=cpus,
        memory_mb=memory * 1024,
        thin=template.thin,
        settings=properties(template) | ({"guestinfo.cis.vmdir.password": ""} if broken else {}),
    )


def properties(template: Template) -> dict[str, str]:
    """Returns the properties of the appliance's OVF, by the names that VMware gave them."""
    return {
        f"guestinfo.cis.{key}": value
        for key, value in {
            "appliance.net.addr.family": "ipv4",
            "appliance.net.mode": "static",
            "appliance.net.addr": template.address,
            "appliance.net.prefix": str(template.prefix),
            "appliance.net.gateway": template.gateway,
            "appliance.net.dns.servers": ",".join(template.dns),
            "appliance.net.pnid": template.system_name,
            "appliance.root.passwd": template.root_password,
            "appliance.ssh.enabled": str(template.ssh).title(),
            "appliance.ntp.servers": ",".join(template.ntp),
            "appliance.time.tools-sync": str(not template.ntp).title(),
            "deployment.node.type": "embedded",
            "deployment.option": template.option,
            "deployment.autoconfig": "True",
            "vmdir.domain-name": template.sso_domain,
            "vmdir.username": "administrator",
            "vmdir.password": template.sso_password,
            "ceip_enabled": str(template.ceip).title(),
        }.items()
    }


def watch(host: vcsa_esxi.Host, vm: Any, template: Template) -> Iterator[Step]:
    """Yields progress until vCenter answers at its address, which is the last one, or fails."""
    yield Step(task=_PACKAGES, percent=5, message="Setting up storage")
    yield Step(task=_PACKAGES, percent=89, message="Installed vsphere-ui.rpm")
    yield Step(task=_PACKAGES, percent=100, message="Task has completed successfully.", state="SUCCEEDED")
    end = time.monotonic() + _LIMIT_SECONDS
    told = 0
    while not _answers(template.address):
        service = vcsa.SERVICES[min(told, len(vcsa.SERVICES) - 1)]
        percent = min(2 + told * 90 // len(vcsa.SERVICES), 92)
        if told < len(vcsa.SERVICES):
            yield Step(task=SCRIPTS, percent=percent, message=f"Starting {service}...")
            told += 1
        if host.guestinfo(vm, vcsa.STATE) == "failed" or not _is_whole(host, vm):
            yield Step(task=SCRIPTS, percent=percent, message=f"Failed to start {service}.", state="FAILED")
            return
        if time.monotonic() > end:
            yield Step(
                task=SCRIPTS,
                percent=percent,
                message=f"{template.address} does not answer on port 443.",
                state="FAILED",
            )
            return
        time.sleep(_TICK_SECONDS)
    for index, service in enumerate(vcsa.SERVICES[told:], start=told):
        yield Step(
            task=SCRIPTS, percent=2 + index * 90 // len(vcsa.SERVICES), message=f"Starting {service}..."
        )
    yield Step(task=SCRIPTS, percent=100, message="Task has completed successfully.", state="SUCCEEDED")


def _is_whole(host: vcsa_esxi.Host, vm: Any) -> bool:
    """Tells whether the appliance was given the password without which it can't make its directory."""
    return bool(host.guestinfo(vm, "guestinfo.cis.vmdir.password"))


def _answers(address: str) -> bool:
    """Tells whether a vCenter serves its API at `address`.

    Its certificate is not looked at: it's made in first boot, and nothing is sent that must be kept.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, 443, context=context, timeout=2)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/sdk/vimServiceVersions.xml")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
