"""The switch that paver's own path to a host leads over, changed on simulated ESXi hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.driver import MARK_KEY, Mark, resource_id
from paver.drivers.vsphere import marks
from paver.drivers.vsphere.host import own_path, reading, switches
from paver.errors import PaverError, Refused, Unobservable
from paver.lab import control
from paver.transport.vsphere import AnswerLostError, new
from tests.support import vsim_wishes as wishes
from tests.support.vsphere_lab import Hosts, Run, hosts, pending, site_of

pytestmark = pytest.mark.lab

SWITCH = "vsphere.default-switch:esx-01"
CARDS = [
    {"device": "vmnic0", "up": True},
    {"device": "vmnic1", "up": True},
    {"device": "vmnic2", "up": False},
    {"device": "vmnic3", "up": True, "elsewhere": True},
]
BOTH, FIRST, SECOND = ["vmnic0", "vmnic1"], ["vmnic0"], ["vmnic1"]


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Hosts]:
    with hosts(tmp_path, "esx-01", "esx-02", uplinks=CARDS) as running:
        yield running


@pytest.fixture
def run(there: Hosts, tmp_path: Path) -> Run:
    """Returns a run on the first host alone, which stands as wished, vSwitch0 on vmnic0."""

    def first(one: Any) -> bool:
        return bool(one.phase == "hosts" and one.at.name == "host:esx-01")

    made = Run(site_of(there, tmp_path), there, tmp_path, first)
    made.fine()
    return made


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has what does not come be given up after a second."""
    monkeypatch.setattr(own_path, "WITHIN", 1.0)


def wish(run: Run, there: Hosts, uplinks: str) -> None:
    run.site = site_of(there, run.site.folder, uplinks=uplinks)


def switch(there: Hosts) -> Any:
    return there.inventory("esx-01")["switches"]["vSwitch0"]["uplinks"]


def failed(outcome: Any) -> BaseException:
    [(id_, error)] = outcome.failed
    assert id_ == SWITCH
    assert isinstance(error, BaseException)
    return error


def order_of(group: str, active: list[str]) -> Any:
    """Returns an act that gives a port group its own order of uplinks."""

    def act(session: Any) -> None:
        spec = reading.named(session, reading.PORT_GROUPS, group, field="spec.name").spec
        order = new("HostNicOrderPolicy", activeNic=active)
        spec.policy = new("HostNetworkPolicy", nicTeaming=new("HostNicTeamingPolicy", nicOrder=order))
        session.call(reading.manager(session, "networkSystem"), "UpdatePortGroup", pgName=group, portgrp=spec)

    return act


def test_the_path_goes_over_to_another_uplink_by_both_and_a_new_login_after_each_step(
    run: Run, there: Hosts
) -> None:
    since = len(there.trace("esx-01"))
    wish(run, there, "[vmnic1]")
    run.fine()
    met = [call["method"] for call in there.trace("esx-01")[since:]]
    asked = {"UpdateVirtualSwitch", "Login", "QueryNetworkHint"}
    assert [one for one in met if one in asked][-5:] == [
        "UpdateVirtualSwitch",
        "Login",
        "QueryNetworkHint",
        "UpdateVirtualSwitch",
        "Login",
    ]
    assert switch(there) == SECOND
    assert pending(run.plan()) == {}


def test_a_run_that_is_killed_between_the_two_steps_goes_on_and_destroy_leads_the_path_back(
    run: Run, there: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    wish(run, there, "[vmnic1]")
    with monkeypatch.context() as dying:
        dying.setattr(own_path.Carrier, "heard", killed)
        assert isinstance(failed(run.apply()), KeyboardInterrupt)
    assert switch(there) == BOTH
    run.fine()
    assert switch(there) == SECOND
    run.fine("destroy")
    assert switch(there) == FIRST


def test_other_uplinks_leave_a_switch_its_beacon_and_its_link_discovery(run: Run, there: Hosts) -> None:
    with run.someone_else("esx-01") as session:
        spec = switches.current_spec(session, "vSwitch0")
        spec.bridge.beacon.interval = 3
        spec.bridge.linkDiscoveryProtocolConfig.operation = "both"
        system = reading.manager(session, "networkSystem")
        session.call(system, "UpdateVirtualSwitch", vswitchName="vSwitch0", spec=spec)

    def bridge() -> Any:
        return there.inventory("esx-01")["switches"]["vSwitch0"]["bridge"]

    kept = bridge()
    assert kept == {"beacon": 3, "discovery": "both cdp"}
    wish(run, there, "[vmnic1]")
    run.fine()
    assert (switch(there), bridge()) == (SECOND, kept)
    run.fine("destroy")
    assert (switch(there), bridge()) == (FIRST, kept)


def test_the_plan_says_that_the_switch_comes_last_and_why(run: Run, there: Hosts) -> None:
    wish(run, there, "[vmnic0, vmnic1]")
    [action] = run.plan().pending
    assert action.resource == SWITCH
    assert action.reason == (
        "last, since paver reaches esx-01 over it; each step is confirmed by a new connection, or put back"
    )
    groups = {"vsphere.port-group:esx-01/bosh", "vsphere.port-group:esx-01/mgmt"}
    assert groups <= set(action.needs)


def test_a_change_that_leaves_the_path_no_uplink_with_a_link_is_refused_while_planning(
    run: Run, there: Hosts
) -> None:
    wish(run, there, "[vmnic2]")
    with pytest.raises(Refused, match="would cut the path to the host"):
        run.plan()
    assert switch(there) == FIRST


def test_a_link_that_went_after_the_plan_is_noticed_before_the_switch_is_touched(
    run: Run, there: Hosts
) -> None:
    wish(run, there, "[vmnic1]")
    assert pending(run.plan()) == {SWITCH: "update"}
    there.ask("/uplink", server="esx-01", device="vmnic1", up=False)
    with (
        run.someone_else("esx-01") as session,
        pytest.raises(Refused, match="vSwitch0 with vmnic1 would cut the path"),
    ):
        own_path.change(session, "vSwitch0", {"uplinks": ("vmnic1",)})
    assert "UpdateVirtualSwitch" not in {call["method"] for call in there.trace("esx-01")}


def test_an_uplink_of_a_port_group_with_an_order_of_its_own_is_not_taken_away(run: Run, there: Hosts) -> None:
    with run.someone_else("esx-01") as session:
        order_of("Management Network", FIRST)(session)
    wish(run, there, "[vmnic1]")
    with pytest.raises(Refused) as refused:
        run.plan()
    assert "let Management Network follow the switch's order of uplinks" in refused.value.do


@pytest.mark.usefixtures("soon")
def test_an_uplink_on_which_the_host_does_not_hear_its_own_network_never_carries_the_path(
    run: Run, there: Hosts
) -> None:
    wish(run, there, "[vmnic3]")
    error = failed(run.apply())
    assert isinstance(error, Refused)
    assert error.seen == "the host does not hear its own network on vmnic3"
    assert switch(there) == FIRST
    wish(run, there, "[vmnic0]")
    run.fine()
    assert pending(run.plan()) == {}


@pytest.mark.usefixtures("soon")
def test_a_change_after_which_no_new_connection_is_had_is_put_back(run: Run, there: Hosts) -> None:
    wish(run, there, "[vmnic0, vmnic1]")
    planned = run.plan()
    there.ask("/fault", server="esx-01", method="Login", drop=True, after=1, times=-1)
    error = failed(run.act(planned))
    assert "vSwitch0 was put back" in str(error)
    assert switch(there) == FIRST
    control.call(there.control, "DELETE", "/faults")
    run.fine()
    assert switch(there) == BOTH


def test_another_vlan_for_the_port_group_of_the_jumpbox_that_paver_runs_on_is_refused_while_planning(
    run: Run,
) -> None:
    mark = Mark("north", resource_id("vsphere.jumpbox", "jumpbox"), "", complete=True)
    config = wishes.machine_spec("jumpbox", network="bosh")
    config.extraConfig = marks.options({MARK_KEY: mark.dumps()})
    with run.someone_else("esx-01") as session:
        [[_, around]] = session.objects("Datacenter", ("vmFolder",))
        [[pool, _]] = session.objects("ResourcePool")
        session.task(around["vmFolder"], "CreateVM_Task", config=config, pool=pool)
        system = reading.manager(session, "networkSystem")
        session.call(system, "UpdatePortGroup", pgName="bosh", portgrp=wishes.group("bosh", 99))
    assert pending(run.plan())["vsphere.port-group:esx-01/bosh"] == "update"
    run.station = "jumpbox"
    with pytest.raises(
        Refused, match="the VLAN of bosh stays 99, not 30: the jumpbox that paver runs on is reached"
    ):
        run.plan()


def test_an_mtu_below_that_of_the_kernel_interface_is_refused(run: Run) -> None:
    with (
        run.someone_else("esx-01") as session,
        pytest.raises(Refused, match="would swallow frames of vmk0"),
    ):
        own_path.change(session, "vSwitch0", {"mtu": 1400})


def test_an_uplink_does_not_go_from_the_switch_that_is_changed_last_to_one_that_is_made_before(
    run: Run, there: Hosts
) -> None:
    wish(run, there, "[vmnic0, vmnic1]")
    run.fine()
    wish(run, there, "[vmnic0]}, vSwitch1: {uplinks: [vmnic1]")
    with pytest.raises(Refused, match="vmnic1 cannot go from vSwitch0 to vSwitch1 in one run"):
        run.plan()
    wish(run, there, "[vmnic0]}, vSwitch1: {uplinks: []")
    run.fine()
    wish(run, there, "[vmnic0]}, vSwitch1: {uplinks: [vmnic1]")
    run.fine()
    assert pending(run.plan()) == {}


def test_a_simulated_host_undoes_nothing_and_is_gone_until_its_uplink_has_a_link(
    run: Run, there: Hosts
) -> None:
    with run.someone_else("esx-01") as session:
        spec = switches.spec({"uplinks": ["vmnic2"]}, switches.current_spec(session, "vSwitch0"))
        system = reading.manager(session, "networkSystem")
        with pytest.raises(AnswerLostError):
            session.call(system, "UpdateVirtualSwitch", vswitchName="vSwitch0", spec=spec)
        with pytest.raises(Unobservable):
            session.reached_anew(0.1)
        there.ask("/uplink", server="esx-01", device="vmnic2", up=True)
        session.reached_anew(5)
    assert switch(there) == ["vmnic2"]


def test_what_cannot_be_put_back_is_told_with_the_way_to_do_it_at_the_console(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_path, "WITHIN", 0.5)
    monkeypatch.setattr(own_path.Carrier, "heard", lambda *_: True)
    with run.someone_else("esx-01") as session, pytest.raises(PaverError) as error:
        own_path.change(session, "vSwitch0", {"uplinks": ("vmnic3",)})
    assert "is not reached any more" in error.value.what
    assert "at its console: F2" in error.value.do
