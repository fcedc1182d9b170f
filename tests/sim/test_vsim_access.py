"""Who the simulated hosts and vCenter let in: accounts that wrong passwords lock, and lockdown mode."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import refused_by_vcenter as acts
from tests.support import vsim
from tests.support import vsim_wishes as wishes
from tests.support.vsim import Site, fault, vim

pytestmark = pytest.mark.lab

ADMINISTRATOR = "administrator@vsphere.local"
FILE = "/folder/x?dcPath=ha-datacenter&dsName=datastore1"


@pytest.fixture
def there() -> Iterator[Site]:
    with vsim.site() as site:
        yield site


@pytest.fixture
def managed() -> Iterator[Site]:
    with vsim.site(vcenter=True) as site:
        yield site


def wrong(act: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        assert fault(act) == "InvalidLogin"


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_a_host_opens_a_locked_account_fifteen_minutes_after_the_last_wrong_password(there: Site) -> None:
    there.steer("/clock", {"still": True})
    wrong(lambda: there.host(password="wrong"), 5)
    there.steer("/clock", {"forward_seconds": 899})
    assert fault(there.host) == "InvalidLogin", "the right one does not open it"
    wrong(lambda: there.host(password="wrong"), 1)
    there.steer("/clock", {"forward_seconds": 899})
    assert fault(there.host) == "InvalidLogin", "a wrong one began the time anew"
    there.steer("/clock", {"forward_seconds": 1})
    assert fault(there.host) is None
    assert "'root' has been locked for 900 seconds after 5 failed" in (there.folder / "log").read_text()


def test_a_login_in_between_makes_a_host_count_from_the_beginning(there: Site) -> None:
    for _ in range(3):
        wrong(lambda: there.host(password="wrong"), 4)
        assert fault(there.host) is None


def test_an_account_that_a_host_does_not_have_is_none_to_lock(there: Site) -> None:
    for _ in range(6):
        assert wishes.request(there.where("esx-01"), "GET", FILE, headers=basic("nobody", "x"))[0] == 401
        wrong(lambda: there._content(*there.where("esx-01"), "nobody", "x"), 1)
    assert fault(there.host) is None


def test_a_wrong_password_beside_soap_counts_once_too(there: Site) -> None:
    where = there.where("esx-01")
    for _ in range(4):
        assert wishes.request(where, "GET", FILE, headers=basic("root", "wrong"))[0] == 401
    assert fault(there.host) is None
    for _ in range(5):
        wishes.request(where, "GET", FILE, headers=basic("root", "wrong"))
    assert fault(there.host) == "InvalidLogin"


def test_a_host_locks_by_its_own_advanced_settings(there: Site) -> None:
    settings = wishes.compute(there.host()).configManager.advancedOption
    failures = vim.option.OptionValue(key="Security.AccountLockFailures", value=2)
    settings.UpdateOptions([failures])
    wrong(lambda: there.host(password="wrong"), 2)
    assert fault(there.host) == "InvalidLogin"
    there.steer("/clock", {"forward_seconds": 900})
    settings.UpdateOptions([vim.option.OptionValue(key="Security.AccountLockFailures", value=0)])
    wrong(lambda: there.host(password="wrong"), 8)
    assert fault(there.host) is None


def test_lockdown_mode_leaves_a_host_to_exception_users_until_it_is_turned_off(there: Site) -> None:
    mode = {"server": "esx-01", "mode": "lockdownNormal"}
    there.steer("/lockdown", mode)
    assert fault(there.host) == "NoPermission"
    wrong(lambda: there.host(password="wrong"), 1)
    assert wishes.request(there.where("esx-01"), "GET", FILE, headers=basic("root", vsim.ROOT))[0] == 401
    there.steer("/lockdown", {**mode, "exceptions": ["root"]})
    assert wishes.compute(there.host()).config.lockdownMode == "lockdownNormal"
    there.steer("/lockdown", {"server": "esx-01", "mode": "lockdownDisabled"})
    assert wishes.compute(there.host()).config.adminDisabled is False


def test_a_vcenter_turns_lockdown_mode_on_and_goes_on_acting_on_the_host(managed: Site) -> None:
    _, host = acts.managed(managed)
    host.EnterLockdownMode()
    assert fault(managed.host) == "NoPermission"
    assert acts.machine(managed).name == "vm-1"
    host.ExitLockdownMode()
    assert fault(managed.host) is None


def test_single_sign_on_counts_wrong_passwords_of_all_ways_in_once(managed: Site) -> None:
    where = (managed.vcenter, vsim.PORT)
    wrong(lambda: managed.center(password="wrong"), 1)
    assert acts.token(managed, ADMINISTRATOR, "wrong") == ""
    for path in ("/api/session", "/rest/com/vmware/cis/session"):
        assert wishes.request(where, "POST", path, headers=basic(ADMINISTRATOR, "wrong"))[0] == 401
    assert fault(managed.center) is None, "four were wrong"
    for path in ("/api/session", "/rest/com/vmware/cis/session"):
        assert wishes.request(where, "POST", path, headers=basic(ADMINISTRATOR, "wrong"))[0] == 401
    wrong(lambda: managed.center("VSPHERE.LOCAL\\Administrator", "wrong"), 2)
    assert acts.token(managed, ADMINISTRATOR, "wrong") == ""
    assert fault(managed.center) == "InvalidLogin"
    assert acts.token(managed, ADMINISTRATOR, vsim.SSO) == ""
    assert wishes.request(where, "POST", "/api/session", headers=basic(ADMINISTRATOR, vsim.SSO))[0] == 401


def test_single_sign_on_opens_an_account_after_five_minutes_and_counts_those_of_three(managed: Site) -> None:
    control = managed.folder / "run" / "vcenter.control.sock"

    def pass_by(seconds: int) -> None:
        managed.steer("/clock", {"forward_seconds": seconds}, at=control)

    managed.steer("/clock", {"still": True}, at=control)
    wrong(lambda: managed.center(password="wrong"), 4)
    pass_by(181)
    wrong(lambda: managed.center(password="wrong"), 4)
    assert fault(managed.center) is None, "no five within three minutes"
    wrong(lambda: managed.center(password="wrong"), 5)
    pass_by(299)
    assert fault(managed.center) == "InvalidLogin"
    pass_by(1)
    assert fault(managed.center) is None
