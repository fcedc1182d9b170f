"""Accounts and their passwords: the administrator's, BOSH's, root's."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import Facts, PaverError, Unobservable
from paver.drivers.vsphere.inventory.account import Account, AccountFacts
from paver.drivers.vsphere.inventory.cluster_host import ClusterHost
from paver.drivers.vsphere.vcsa import expiry
from paver.engine.plan import Plan
from paver.transport.vsphere import LoginError
from tests.support.inventory import (
    entity,
    not_permitted,
)
from tests.support.vcenter_lab import CPI, InventoryRun, VCenter, vcenter
from tests.support.vsphere_lab import World, hosts, pending, site_of

pytestmark = pytest.mark.lab


def _another_of_the_name(session: Any) -> None:
    """Renames the role of BOSH's folders, and makes another one in its stead."""
    manager = session.content.authorizationManager
    [role] = [one for one in session.value(manager, "roleList") if one.name == "paver-north-cpi-folder"]
    privileges = [one for one in role.privilege if not one.startswith("System.")]
    more = {"roleId": role.roleId, "newName": "theirs", "privIds": ["Authorization.ModifyRoles"]}
    session.call(manager, "UpdateAuthorizationRole", **more)
    session.call(manager, "AddAuthorizationRole", name="paver-north-cpi-folder", privIds=privileges)


def test_an_account_gets_the_role_that_has_its_name_when_it_gets_it_and_not_when_that_was_planned(
    run: InventoryRun, there: VCenter
) -> None:
    run.fine()
    with run.administrator() as session:
        not_permitted(session)

    def planned(world: World) -> Plan:
        plan = run.plan_in(world)
        assert pending(plan) == {"vsphere.permission:north/vm/BOSH_VMs": "create"}
        with run.administrator() as session:
            _another_of_the_name(session)
        return plan

    outcome = run._carry(planned)
    assert not outcome.failed
    assert outcome.acted == {"vsphere.permission:north/vm/BOSH_VMs"}
    with run.administrator() as session:
        manager = session.content.authorizationManager
        names = {one.roleId: one.name for one in session.value(manager, "roleList")}
        folder = entity(session, "Folder", "BOSH_VMs")
        granted = session.query(manager, "RetrieveEntityPermissions", entity=folder, inherited=False)
    assert [names[one.roleId] for one in granted] == ["paver-north-cpi-folder"]
    assert there.writes().count("SetEntityPermissions") == 8


def test_a_new_password_is_set_and_the_old_one_no_longer_logs_in(run: InventoryRun) -> None:
    run.secrets[CPI] = "Paver-Cpi-1!"
    run.fine()
    run.versions[CPI] = "another version"
    run.secrets[CPI] = "Paver-Cpi-2!"
    assert pending(run.plan()) == {"vsphere.account:cpi": "update"}
    run.fine()
    assert pending(run.plan()) == {}
    with run.account("bosh-cpi@vsphere.local", "Paver-Cpi-2!"):
        pass
    with (
        pytest.raises(PaverError, match="refuses the login of bosh-cpi"),
        run.account("bosh-cpi@vsphere.local", "Paver-Cpi-1!"),
    ):
        pass


def test_a_wrong_password_of_the_administrator_is_sent_once_though_two_endpoints_log_in_with_it(
    run: InventoryRun,
) -> None:
    run.fine()
    before = len(run.vcenter.trace())
    run.secrets["vcenter-administrator"] = "Not-The-Right-1!"
    with run.world() as world:
        for endpoint in ("vcenter-appliance", "vcenter", "vcenter-sso") * 2:
            with pytest.raises(LoginError, match="refuses the login of administrator@") as told:
                world.connections.get(endpoint).reader().get(expiry.ROOT)
    tried = [line["method"] for line in run.vcenter.trace()[before:]]
    logins = ("Login", "RequestSecurityToken", "POST /api/session")
    assert sum(tried.count(method) for method in logins) == 1
    assert "five wrong ones within three minutes lock it for five minutes" in told.value.why
    assert "another administrator unlocks it" in told.value.do


def test_the_appliance_tells_how_long_roots_password_holds_and_is_left_without_a_session(
    run: InventoryRun,
) -> None:
    with run.world() as world:
        session = world.connections.get("vcenter-appliance").reader()
        root = session.get(expiry.ROOT).json()
        assert expiry.check("vcsa", "vcenter-root", root, dt.datetime.now(dt.UTC)).seen.endswith("89 days")
    calls = [line["method"] for line in run.vcenter.trace() if line["kind"] == "http"]
    assert calls == ["POST /api/session", f"GET {expiry.ROOT}", "DELETE /api/session"]


def test_a_vcenter_that_is_too_old_for_the_appliances_api_is_told_to_be_that(tmp_path: Path) -> None:
    with hosts(tmp_path, "esx-01", "esx-02") as running, vcenter(tmp_path, running, "7.0.1") as older:
        run = InventoryRun(site_of(running, tmp_path), older, tmp_path)
        with run.world() as world, pytest.raises(Unobservable, match="/api/session is not there") as told:
            world.connections.get("vcenter-appliance").reader().get(expiry.ROOT)
    assert "from 7.0 U2" in told.value.why
    assert "upgrade it to 7.0 U2" in told.value.do


def test_a_password_that_is_reset_leaves_an_account_otherwise_as_it_is(run: InventoryRun) -> None:
    run.fine()
    with run.sso() as accounts:
        before = accounts.user("bosh-cpi")
        for number in range(8):
            accounts.set_password("bosh-cpi", f"Paver-Cpi-{number}!")
            assert accounts.user("bosh-cpi") == before


def test_a_deleted_account_is_made_again(run: InventoryRun) -> None:
    run.fine()
    with run.sso() as accounts:
        accounts.delete("bosh-cpi")
    assert pending(run.plan()) == {"vsphere.account:cpi": "create"}
    run.fine()
    assert pending(run.plan()) == {}


def test_vcenter_tells_until_when_boshs_password_holds(run: InventoryRun) -> None:
    run.fine()
    with run.sso() as session:
        assert session.password_days() == 90
        (wish,) = (one for one in run.paved().resources if isinstance(one, Account))
        found = session.user(wish.user)
        world: Any = SimpleNamespace(session=lambda _: session)
        (check,) = wish.checks(world, AccountFacts())
    today = json.loads(found.description)["since"]
    assert check.ok
    assert check.seen.endswith(f"(90 days from {today})")


def test_facts_that_are_read_hold_no_password(run: InventoryRun) -> None:
    run.secrets[CPI] = "Paver-Cpi-1!"
    run.fine()
    with run.world() as world:
        run.plan_in(world)
        seen: list[Facts | None] = [world.board.facts(resource.id) for resource in world.paved.resources]
    assert "Paver-Cpi-1!" not in repr(seen)
    assert any(isinstance(resource, ClusterHost) for resource in run.paved().resources)
