"""The lab's vCenter appliance: a first boot that fails where a real one does, then a vCenter with its own CA."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.support.raised import Raised
from tests.support.waiting import until

pytestmark = pytest.mark.lab

MAC = "00:50:56:0a:0b:0c"
NAME = "vcsa.north.example"
ASK = """
import json
from paver.lab.room import resolver
print(json.dumps([resolver.address("vcsa.north.example", ("10.20.0.2",)), resolver.name("10.20.0.20", ("10.20.0.2",)),
    resolver.tells_time("10.20.0.3")]))
"""
CONNECT = """
import json, socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
with socket.create_connection(("10.20.0.20", 443), 30) as plain:
    with context.wrap_socket(plain, server_hostname=sys.argv[2]) as secure:
        print(json.dumps(secure.version()))
"""


def settings(**changes: str) -> dict[str, str]:
    values = {
        "appliance.net.addr": "10.20.0.20",
        "appliance.net.pnid": NAME,
        "appliance.net.dns.servers": "10.20.0.2",
        "appliance.ntp.servers": "10.20.0.3",
        "appliance.root.passwd": "Paver-Root-1!",
        "vmdir.domain-name": "vsphere.local",
        "vmdir.password": "Paver-Sso-1!",
        **{key.replace("_", "."): value for key, value in changes.items()},
    }
    return {f"guestinfo.cis.{key}": value for key, value in values.items()}


def boot(lab: Raised, values: dict[str, str], **changes: Any) -> tuple[str, dict[str, Any]]:
    name = str(uuid.uuid4())
    card = {"mac": MAC, "port_group": "mgmt", "vlan": 20, "uplinks_up": 1, "connected": True, **changes}
    lab.power("on", name, extra_config=values, nics=[card], disks=[{"file": str(lab.bootable("vcsa"))}])

    def ended() -> dict[str, Any] | None:
        told = lab.machine(name).get("progress", {})
        return dict(told) if told.get("state") in {"failed", "succeeded"} else None

    found: dict[str, Any] = until(ended, "first boot has ended")
    return name, found


def test_the_sites_own_servers_give_names_both_ways_and_time(site_lab: Raised) -> None:
    until(lambda: site_lab.python(ASK) == ["10.20.0.20", NAME, True], "DNS and time answer")
    assert site_lab.run(["getent", "hosts", NAME]).stdout.split()[0] == "10.20.0.20"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"appliance_net_pnid": "other.north.example"}, "does not give 10.20.0.20 for other.north.example"),
        ({"appliance_net_dns.servers": "10.20.0.99"}, "10.20.0.99 does not give"),
        ({"appliance_ntp_servers": "10.20.0.99"}, "com.vmware.applmgmt.err_ntp_sync_failed"),
        ({"vmdir_password": ""}, "no SSO password"),
    ],
)
def test_what_kills_a_real_first_boot_kills_this_one(
    site_lab: Raised, changes: dict[str, str], words: str
) -> None:
    name, told = boot(site_lab, settings(**changes))
    assert told["state"] == "failed"
    until(lambda: words in site_lab.console(name), "the console has its words")
    assert json.loads((site_lab.lab.folder / "machines" / name / "progress.json").read_text()) == told


def test_it_serves_its_name_under_its_own_ca_and_nothing_once_it_is_off(site_lab: Raised) -> None:
    until(lambda: site_lab.python(ASK)[2], "time answers")
    name, told = boot(site_lab, settings())
    assert told["state"] == "succeeded", site_lab.console(name)
    folder = site_lab.lab.folder / "machines" / name
    root = folder / "root/var/lib/vmware/vmca/root.cer"
    assert site_lab.python(CONNECT, str(root), NAME).startswith("TLS")
    refused = site_lab.run(["python3", "-c", CONNECT, str(root), "10.20.0.20"], check=False)
    assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr
    assert not [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077 and b"Paver-Sso" in path.read_bytes()
    ]
    site_lab.power("off", name)
    until(lambda: site_lab.machine(name)["state"] == "off", "it is off")
    assert site_lab.run(["pgrep", "-f", "vsim vcenter"], check=False).stdout == ""
    # The second boot is no first boot: same CA.
    before = root.read_bytes()
    site_lab.power(
        "on",
        name,
        extra_config=settings(),
        nics=[{"mac": MAC, "vlan": 20, "uplinks_up": 1}],
        disks=[{"file": str(site_lab.bootable("vcsa"))}],
    )
    until(lambda: site_lab.machine(name).get("progress", {}).get("state") == "succeeded", "it is up again")
    assert root.read_bytes() == before


def test_power_that_goes_in_first_boot_leaves_an_appliance_that_never_comes_up(site_lab: Raised) -> None:
    until(lambda: site_lab.python(ASK)[2], "time answers")
    event = {
        "extra_config": settings(),
        "nics": [{"mac": MAC, "vlan": 20, "uplinks_up": 1}],
        "disks": [{"file": str(site_lab.bootable("vcsa"))}],
    }

    def cut() -> tuple[str, str]:
        """Cuts the power of a new appliance; returns its name, and how its first boot ended."""
        name = str(uuid.uuid4())
        file = site_lab.lab.folder / "machines" / name / "progress.json"

        def ended() -> str | None:
            state = str(json.loads(file.read_text())["state"])
            return state if state in {"failed", "succeeded"} else None

        site_lab.power("on", name, **event)
        until(lambda: site_lab.machine(name).get("progress", {}).get("percent", 0) > 2, "it is under way")
        site_lab.power("off", name)
        until(lambda: site_lab.machine(name)["state"] == "off", "it is off")
        return name, until(ended, "first boot has ended")

    # It lasts half a second: where it was done before its power went, another one's is cut.
    name = next(name for name, state in (cut() for _ in range(20)) if state == "failed")
    assert not (site_lab.lab.folder / "machines" / name / "firstboot.done").exists()
    site_lab.power("on", name, **event)
    until(lambda: "can't be resumed" in site_lab.console(name), "it says so")
