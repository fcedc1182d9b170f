"""When a host is told of its time servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from paver.drivers.vsphere import DRIVER
from paver.sitefile.load import loads
from tests.support.vsphere_lab import text_of


@pytest.mark.parametrize(
    ("dns", "ntp", "phase", "waits"),
    [
        ("[10.20.0.53]", "[10.20.0.54]", "hosts", set()),
        ("[10.20.0.53]", "[10.20.0.54, ntp.corp.example]", "hosts", {"vsphere.dns:esx-01"}),
        ("jumpbox", "[10.20.0.54]", "hosts", set()),
        ("jumpbox", "[ntp.corp.example]", "site-services", {"vsphere.dns:esx-01"}),
        ("jumpbox", "jumpbox", "site-services", {"site.ntp:jumpbox"}),
    ],
)
def test_a_host_is_told_of_time_servers_by_name_once_it_can_look_them_up(
    tmp_path: Path, dns: str, ntp: str, phase: str, waits: set[str]
) -> None:
    pins = ["sha256:" + ":".join([f"{number:02x}"] * 32) for number in (1, 2)]
    site = loads(text_of(pins, dns=dns, ntp=ntp), {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)
    paved = DRIVER.pave(site)
    (told,) = [one for one in paved.resources if one.id == "vsphere.ntp:esx-01"]
    assert told.phase == phase
    assert {one for one in told.after if one.partition(":")[0] in {"vsphere.dns", "site.ntp"}} == waits
    assert {ground.phase for ground in paved.grounds if ground.kind.kind == "vsphere.ntp"} == {phase}
