"""`bucc up` in the lab: the official CLI's create-env, the lab's CPI on the simulated vCenter, the agent."""

from __future__ import annotations

import pytest

from tests.sim.standins.conftest import Site

pytestmark = pytest.mark.lab


def test_bucc_up(site: Site) -> None:
    done = site.bucc("up", "--cpi", "vsphere", "--dns", check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    print(site.bosh("env").stdout)
