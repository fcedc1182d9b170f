"""DNS and time on a real jumpbox: dnsmasq and chrony over SSH, then over there, by the command that users run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Endpoint, Mark, ResourceId
from paver.lab import control, plan, site, system
from paver.lab.room.jumpbox import CHRONY
from paver.machine.site_services import ask, clock, dns
from tests.support.raised import Raised, held

pytestmark = pytest.mark.lab

PHASES = ("trust", "hosts", "jumpbox", "site-services")
CONFIGURATION = Path("etc/dnsmasq.d/paver.conf")
UNIT = Path(__file__).parents[2] / "ova/base/etc/systemd/system/dnsmasq.service"
LATE = """
ip link set lo up
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
unshare -U --map-user=1002 --map-group=1002 --keep-caps "$@" --pid-file= 2>log &
until grep -q 'started, version' log || ! kill -0 $!; do sleep 0.05; done
ip addr add 10.20.0.10/32 dev lo
while kill -0 $!; do
    "$PYTHON" -I "$ASK" names 10.20.0.10 vcsa.north.example >said
    grep -q 10.20.0.20 said && exit 0
done
cat log
exit 1
"""
"""Starts a name server, gives its machine the address, and asks there: as a boot may go. The server ends with it."""


@pytest.fixture(scope="module")
def there(
    tmp_path_factory: pytest.TempPathFactory, programs: dict[str, Path], tools: dict[str, Path]
) -> Iterator[Raised]:
    """A lab of its own, and in `site` below its folder the demo's site, paved up to the site's services."""
    folder = tmp_path_factory.mktemp("services")
    wanted = plan.demo(site.passwords(folder / "site", "north"))
    with held(wanted, folder / "lab", programs=programs, tools=tools) as lab:
        site.write(lab, folder / "site")
        raised = Raised(lab)
        paver(raised, "apply", "--yes")
        yield raised


def paver(raised: Raised, verb: str, *arguments: str, code: int = 0, phases: tuple[str, ...] = PHASES) -> str:
    """Runs paver in the lab and returns what it prints."""
    folder = raised.lab.folder.parent / "site"
    chosen = [word for phase in phases for word in ("--phase", phase)]
    argv = [sys.executable, "-m", "paver", verb, "--site", str(folder / "site.yml"), *chosen, *arguments]
    ran = raised.run(argv, check=False, env={"PYTHONPATH": system.python_path()}, timeout=600)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout


def asked(raised: Raised, *arguments: str) -> dict[str, Any]:
    """Asks servers inside of the lab."""
    ran = raised.run([sys.executable, "-I", ask.__file__, *arguments])
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def root(raised: Raised) -> Path:
    """Returns the jumpbox's own files."""
    (machine,) = (raised.lab.folder / "machines").glob(f"*/root/{CONFIGURATION.parent}")
    return machine.parent.parent


def inventory(raised: Raised, host: str) -> Any:
    return control.call(raised.lab.folder / "run/esx.control.sock", "GET", f"/inventory?server={host}")


def test_names_are_served_from_an_address_that_the_machine_gets_after_the_daemon_has_started(
    tmp_path: Path, tools: dict[str, Path]
) -> None:
    wish = dns.SiteDns(
        id=ResourceId("site.dns:zone"),
        phase="site-services",
        at=Endpoint("machine"),
        zone="north.example",
        listens="10.20.0.10",
        records=(("vcsa.north.example", "10.20.0.20"),),
    )
    (tmp_path / "paver.conf").write_text(wish.text(Mark("north", wish.id, "a1", complete=True)))
    started = re.search(r"^ExecStart=(.+)$", UNIT.read_text(), re.MULTILINE)
    assert started is not None
    argv = [word.replace("/etc/dnsmasq.d", str(tmp_path)) for word in shlex.split(started[1])]
    ran = subprocess.run(
        [tools["unshare"], "-rnpf", "--kill-child", "sh", "-c", LATE, "sh", tools["dnsmasq"], *argv[1:]],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": sys.executable, "ASK": ask.__file__},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_machine_is_known_forward_and_backward_before_it_exists(there: Raised) -> None:
    found = asked(there, "names", "10.20.0.10", "vcsa.north.example", "10.20.0.20", "director.north.example")
    assert found == {
        "vcsa.north.example": ["10.20.0.20"],
        "10.20.0.20": ["vcsa.north.example"],
        "director.north.example": ["10.30.0.10"],
    }


def test_what_the_zone_does_not_have_does_not_exist(there: Raised) -> None:
    assert asked(there, "names", "10.20.0.10", "nobody.north.example") == {"nobody.north.example": []}


def test_the_jumpbox_tells_the_time(there: Raised) -> None:
    said = asked(there, "time", "10.20.0.10")["10.20.0.10"]
    assert said["stratum"] == 10
    assert abs(said["offset_ms"]) < 1000


def test_hosts_ask_the_jumpbox(there: Raised) -> None:
    for host in ("esx-01", "esx-02"):
        found = inventory(there, host)
        assert found["dns"]["servers"] == ["10.20.0.10"]
        assert found["ntp"]["servers"] == ["10.20.0.10"]
        assert found["services"]["ntpd"] == {"policy": "on", "running": True}


def test_the_same_command_again_changes_nothing(there: Raised) -> None:
    assert "nothing to do" in paver(there, "plan")


def test_a_record_that_someone_changes_is_named_and_repaired(there: Raised) -> None:
    file = root(there) / CONFIGURATION
    file.write_text(
        file.read_text().replace("vcsa.north.example,10.20.0.20", "vcsa.north.example,10.20.0.99")
    )
    assert "records" in paver(there, "plan", code=2)
    paver(there, "apply", "--yes")
    assert asked(there, "names", "10.20.0.10", "vcsa.north.example") == {"vcsa.north.example": ["10.20.0.20"]}
    assert "nothing to do" in paver(there, "plan")


def test_another_key_is_let_in_without_a_new_machine(there: Raised) -> None:
    folder = there.lab.folder.parent / "site"
    key = folder / "second"
    there.run(
        [str(there.lab.tools["ssh-keygen"]), "-q", "-t", "ed25519", "-N", "", "-C", "second", "-f", str(key)]
    )
    file = folder / "site.yml"
    public = key.with_suffix(".pub").read_text().strip()
    file.write_text(file.read_text().replace("ssh_keys: [", f'ssh_keys: ["{public}", '))
    assert "keys" in paver(there, "plan", code=2)
    paver(there, "apply", "--yes")
    (allowed,) = (there.lab.folder / "machines").glob("*/root/home/paver/.ssh/authorized_keys")
    assert public in allowed.read_text().splitlines()
    assert allowed.stat().st_mode & 0o777 == 0o600
    assert "nothing to do" in paver(there, "plan")


def test_services_are_taken_away_and_hosts_put_back_alone(there: Raised) -> None:
    """Runs last: what is below the services stays as it is."""
    paver(there, "destroy", "--yes", phases=("site-services",))
    assert not (root(there) / CONFIGURATION).exists()
    assert (root(there) / "etc/chrony/chrony.conf").read_text() == CHRONY
    assert asked(there, "names", "10.20.0.10", "vcsa.north.example") == {"vcsa.north.example": None}
    assert inventory(there, "esx-01")["dns"]["servers"] == []
    assert inventory(there, "esx-01")["services"]["ntpd"] == {"policy": "off", "running": False}
    paver(there, "apply", "--yes")
    assert "nothing to do" in paver(there, "plan")


def test_the_jumpboxs_clock_follows_the_sites_time_servers_as_long_as_the_site_stands(
    tmp_path: Path, programs: dict[str, Path], tools: dict[str, Path]
) -> None:
    wanted = replace(plan.demo(site.passwords(tmp_path / "site", "north")), ntp=("10.20.0.54",))
    with held(wanted, tmp_path / "lab", programs=programs, tools=tools) as lab:
        site.write(lab, tmp_path / "site")
        raised = Raised(lab)
        paver(raised, "apply", "--yes")
        file = root(raised) / clock.FILE.lstrip("/")
        assert file.read_text().endswith("\nserver 10.20.0.54 iburst\n")
        assert "nothing to do" in paver(raised, "plan")
        file.write_text(file.read_text().replace("10.20.0.54", "10.20.0.99"))
        assert "10.20.0.99" in paver(raised, "plan", code=2)
        paver(raised, "apply", "--yes")
        assert "nothing to do" in paver(raised, "plan")
        paver(raised, "destroy", "--yes", phases=("site-services",))
        assert not file.exists()
