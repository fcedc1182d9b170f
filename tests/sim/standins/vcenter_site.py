"""Run inside of a lab: gives its vCenter a datacenter, a cluster for each host, and the hosts their port group."""

from __future__ import annotations

import json
import ssl
import sys
from typing import Any

from paver.lab.standins.soap import SoapStubAdapter, vim


def connect(host: str, user: str, password: str) -> Any:
    """The service's content, on a session of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    stub = SoapStubAdapter(host, 443, path="/sdk", version="vim.version.v7_0", sslContext=context)
    content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
    content.sessionManager.Login(user, password, None)
    return content


def wait(task: Any) -> Any:
    """A task's result."""
    while task.info.state not in ("success", "error"):
        continue
    if task.info.state == "error":
        raise task.info.error
    return task.info.result


def main(hosts: dict[str, dict[str, str]], vcenter: dict[str, str]) -> None:
    """Does it, for hosts by their cluster and the vCenter: address, user, password; of hosts also name and thumbprint."""
    content = connect(vcenter["address"], vcenter["user"], vcenter["password"])
    datacenter = content.rootFolder.CreateDatacenter("north")
    for name, esx in hosts.items():
        host = connect(esx["address"], esx["user"], esx["password"])
        compute = host.rootFolder.childEntity[0].hostFolder.childEntity[0].host[0]
        group = vim.host.PortGroup.Specification(
            name="bosh", vlanId=30, vswitchName="vSwitch0", policy=vim.host.NetworkPolicy()
        )
        compute.configManager.networkSystem.AddPortGroup(group)
        cluster = datacenter.hostFolder.CreateClusterEx(name, vim.cluster.ConfigSpecEx())
        spec = vim.host.ConnectSpec(
            hostName=esx["name"],
            userName=esx["user"],
            password=esx["password"],
            sslThumbprint=esx["thumbprint"],
            force=True,
        )
        wait(cluster.AddHost_Task(spec, True, None, None))
    sys.stdout.write(json.dumps({"networks": [network.name for network in datacenter.network]}))


if __name__ == "__main__":
    main(*map(json.loads, sys.argv[1:]))
