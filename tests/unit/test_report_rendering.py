"""How plans and runs look, as text: whoever changes a line changes it here too."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from paver.driver import Door, ResourceId, Verb
from paver.engine.diff import Change
from paver.engine.plan import Action, Plan
from paver.errors import GoesOn
from paver.report import live, page, words
from paver.report.ending import Ending, ending_text
from paver.report.lines import Lines
from paver.report.plan_text import plan_text
from paver.report.standing_text import standing_text
from paver.report.table import table
from paver.runs import past
from paver.runs.events import Happening, What
from paver.runs.evidence import Evidence
from paver.runs.outcome import Ended
from paver.runs.progress import Progress, late, of
from paver.runs.standing import Standing, absent


def action(resource: str, verb: Verb, phase: str, endpoint: str, **more: object) -> Action:
    values: dict[str, object] = {
        "resource": ResourceId(resource),
        "kind": resource.partition(":")[0],
        "phase": phase,
        "station": "outside" if phase in {"hosts", "jumpbox"} else "jumpbox",
        "endpoint": endpoint,
        "verb": verb,
    }
    return Action(**{**values, **more})  # type: ignore[arg-type]


VCSA = {
    "tool": "vcsa-deploy",
    "argv": ["vcsa-deploy", "install"],
    "effects": ["a VM vcsa on esx-01"],
    "program": None,
    "inputs": "0123456789abcdef",
}

ACTIONS = (
    action("vsphere.port-group:esx-01/bosh", Verb.CREATE, "hosts", "host:esx-01", says="vlan 30 on vSwitch0"),
    action(
        "vsphere.ntp:esx-01",
        Verb.UPDATE,
        "hosts",
        "host:esx-01",
        changes=(Change("servers", [], ["10.20.0.10"], unknown=False),),
    ),
    action("vsphere.dns:esx-01", Verb.KEEP, "hosts", "host:esx-01"),
    action(
        "vsphere.jumpbox:jumpbox",
        Verb.BLOCKED,
        "jumpbox",
        "host:esx-01",
        reason="a foreign thing of the same name stands there",
    ),
    action(
        "vsphere.appliance:vcenter",
        Verb.CREATE,
        "vcenter",
        "host:esx-01",
        says="tiny, on esx-01",
        opaque=VCSA,
        estimate=1320,
        also=("machine:jumpbox",),
    ),
    *(
        action(f"vsphere.role:role-{number}", Verb.CREATE, "inventory", "vcenter", estimate=1)
        for number in range(3)
    ),
    *(
        action(
            f"vsphere.folder:folder-{number}",
            Verb.CREATE,
            "inventory",
            "vcenter",
            planned={"parent": {"unknown": "vsphere.datacenter:north.moid"}},
        )
        for number in range(3)
    ),
    action("s3.bucket:old", Verb.DELETE, "services", "s3", reason="no longer wished for", estimate=1),
)

PLAN = Plan(
    site="lab-north",
    site_digest="0" * 64,
    paver="1.0.0",
    driver="vsphere/1",
    mode="apply",
    phases=("trust", "hosts", "jumpbox", "vcenter", "inventory", "services"),
    actions=ACTIONS,
)

SHOWN = """\

 hosts      esx-01  + port group bosh    vlan 30 on vSwitch0
            esx-01  ~ ntp
                      servers: [] → ["10.20.0.10"]

 jumpbox    esx-01  ! jumpbox jumpbox
                      blocked: a foreign thing of the same name stands there
                      id       vsphere.jumpbox:jumpbox

 vcenter    esx-01  + appliance vcenter  tiny, on esx-01   opaque: vcsa-deploy  ≈ 22 min

 inventory          + 6 resources        3 roles, 3 folders  (3 not known yet)  ≈ 3 s

 services           - S3 bucket old      no longer wished for

 8 to create · 1 to change · 1 to delete · 1 blocked · 1 kept · 3 values known later      about 22 min
 1 step opaque (vcsa-deploy): what they do by themselves shows `paver plan --opaque`
 touches esx-01, jumpbox, vcenter, s3; nothing else is written to
 from here: hosts; on the jumpbox, handed over: vcenter, inventory, services
"""


def test_a_plan_names_all_that_it_touches_and_all_that_is_lost_with_what_it_takes_away() -> None:
    hosts = [f"esx-{number:02}" for number in range(40)]
    machines = tuple(f"machine-{number:02}" for number in range(40))
    acts = [action("vsphere.folder:vms", Verb.DELETE, "inventory", "vcenter", lost=machines)]
    acts += [action(f"vsphere.folder:empty-{n}", Verb.DELETE, "inventory", "vcenter") for n in range(9)]
    acts += [action(f"vsphere.ntp:{host}", Verb.UPDATE, "hosts", f"host:{host}") for host in hosts]
    text = "\n".join(plan_text(dataclasses.replace(PLAN, actions=tuple(acts))))
    assert f"touches vcenter, {', '.join(hosts)}; nothing else is written to" in text
    assert f"lost with it: {', '.join(machines)}" in text


def test_of_many_things_some_are_named_whole_and_every_kind_is_counted() -> None:
    kinds = [f"bosh.{kind}" for kind in "abcdefghijklmnopqrst"]
    acts = [action(f"s3.bucket:backups-of-{n}", Verb.CREATE, "services", "s3") for n in range(7)]
    acts += [action(f"{kind}:x", Verb.CREATE, "jumpbox", "bosh") for kind in kinds]
    text = "\n".join(plan_text(dataclasses.replace(PLAN, actions=tuple(acts))))
    assert "+ 7 S3 buckets  backups-of-0, backups-of-1, backups-of-2 and 4 more\n" in text
    assert ", ".join(f"1 {words.kind(kind)}" for kind in kinds) in text


def test_a_plan_is_read_by_phase_host_and_thing() -> None:
    heading, *rest = plan_text(PLAN, read="read 12 resources in 1.9 s, wrote nothing")
    assert heading == (
        f"site lab-north · plan {PLAN.digest[:12]} · paver 1.0.0 · driver vsphere/1"
        " · read 12 resources in 1.9 s, wrote nothing"
    )
    assert "\n".join(rest) + "\n" == SHOWN


def test_a_plan_in_colour_is_the_same_text() -> None:
    import re  # noqa: PLC0415 - here alone

    coloured = "\n".join(plan_text(PLAN, colour=True))
    assert "\x1b[32m+\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == "\n".join(plan_text(PLAN))


def test_nothing_is_folded_where_ids_are_asked_for() -> None:
    shown = "\n".join(plan_text(PLAN, ids=True))
    for one in PLAN.pending:
        assert f" {one.resource}" in shown


def test_what_a_tool_will_do_by_itself_is_told_on_request() -> None:
    shown = "\n".join(plan_text(PLAN, opaque=True))
    assert "runs    vcsa-deploy install" in shown
    assert "brings  a VM vcsa on esx-01" in shown
    assert "program not pinned: it is what stands on the machine" in shown
    assert "inputs  sha256 0123456789abcdef" in shown


def test_a_destroy_is_shown_from_its_end() -> None:
    gone = tuple(
        dataclasses.replace(one, verb=Verb.DELETE, changes=(), opaque=None)
        for one in (ACTIONS[0], ACTIONS[4])
    )
    shown = "\n".join(plan_text(dataclasses.replace(PLAN, mode="destroy", actions=gone)))
    assert shown.index("appliance vcenter") < shown.index("port group bosh")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_a_plan_fits_a_terminal_and_loses_no_word(width: int) -> None:
    lines = list(plan_text(PLAN, width=width, read="read 12 resources in 1.9 s, wrote nothing"))
    assert max(map(len, lines)) <= width
    whole = plan_text(PLAN, read="read 12 resources in 1.9 s, wrote nothing")
    assert sorted(" ".join(lines).split()) == sorted(" ".join(whole).split())


NARROW = """\
 hosts
   + esx-01  port group bosh
       vlan 30 on vSwitch0
   ~ esx-01  ntp
       servers: [] → ["10.20.0.10"]

 jumpbox
   ! esx-01  jumpbox jumpbox
       blocked: a foreign thing of the
         same name stands there
       id       vsphere.jumpbox:jumpbox

 vcenter
   + esx-01  appliance vcenter  ≈ 22 min
       tiny, on esx-01   opaque:
         vcsa-deploy
"""


def test_where_columns_have_no_room_a_plan_says_each_below_the_other() -> None:
    shown = "\n".join(plan_text(PLAN, width=40))
    assert NARROW in shown
    assert "\x1b[33m~\x1b[0m esx-01  ntp" in "\n".join(plan_text(PLAN, width=40, colour=True))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def happening(what: str, number: int, **more: object) -> Happening:
    one = ACTIONS[number]
    values: dict[str, object] = {
        "what": what,
        "resource": one.resource,
        "kind": one.kind,
        "phase": one.phase,
        "verb": one.verb.value,
        "says": one.says,
        "estimate": one.estimate,
    }
    return Happening(**{**values, **more})  # type: ignore[arg-type]


@pytest.fixture
def running() -> tuple[Progress, Clock]:
    clock = Clock()
    progress = of(PLAN, clock)
    progress(happening("begun", 0))
    progress(happening("done", 0, millis=400))
    progress(happening("begun", 1))
    progress(happening("begun", 4))
    clock.now = 2.0
    progress(
        happening("doing", 4, text="Uploading disk-1.vmdk", done=212_000_000, total=612_000_000, unit="B")
    )
    clock.now = 4.0
    progress(
        happening("doing", 4, text="Uploading disk-1.vmdk", done=412_000_000, total=612_000_000, unit="B")
    )
    return progress, clock


FRAME = """\
 ▸ hosts      ━━━━━━━━━━━━────────────  1/2
   ~ ntp esx-01  4.0 s
 ▸ vcenter    ━━━━━━━━━━━━━━━━────────  0/1
   + appliance vcenter  Uploading disk-1.vmdk  412/612 MB  100 MB/s  2.0 s left
 · inventory  ────────────────────────  0/6  ≈ 3 s
 · services   ────────────────────────  0/1
 4.0 s · about ≈ 22 min left · Ctrl-C stops; run again to go on"""


def test_a_run_shows_a_line_a_phase_and_what_each_action_does_now(running: tuple[Progress, Clock]) -> None:
    shown = live.text(live.frame(running[0].state(), 100, 40))
    assert shown == FRAME.replace("about ≈ 22 min left", "about 22 min left")


def test_done_actions_fold_away_and_failures_stay(running: tuple[Progress, Clock]) -> None:
    progress, _ = running
    progress(happening("done", 1, millis=100))
    progress(happening("failed", 4, text="the installer ended with 15", millis=4000))
    shown = live.text(live.frame(progress.state(), 100, 40))
    assert " ✓ hosts" in shown
    assert "ntp" not in shown
    assert " ✗ vcenter" in shown
    assert "   ✗ vsphere.appliance:vcenter  the installer ended with 15" in shown


def test_an_interrupt_says_what_it_waits_for(running: tuple[Progress, Clock]) -> None:
    shown = live.text(live.frame(running[0].state(), 120, 40, stopping=True))
    assert "stopping (Ctrl-C again leaves at once), waits for ntp esx-01, appliance vcenter" in shown
    first, *waits = running[0].stopping()
    assert "nothing new is started" in first
    assert waits == [
        "  waits for vsphere.ntp:esx-01",
        "  waits for vsphere.appliance:vcenter: Uploading disk-1.vmdk",
    ]


def test_ctrl_c_is_said_to_do_what_it_does_where_the_run_is_watched_or_goes_on_on_the_jumpbox(
    running: tuple[Progress, Clock],
) -> None:
    progress, _ = running

    def feet(seat: live.Seat) -> list[str]:
        frames = (live.frame(progress.state(), 120, 40, stopping=stop, seat=seat) for stop in (False, True))
        return [frame[-1].plain.split("left · ")[1] for frame in frames]

    watching = ["Ctrl-C ends the watching, never the run", "the watching ends; the run goes on"]
    assert feet("watches") == watching
    progress(Happening(what="handed-off", resource="jumpbox", station="jumpbox"))
    assert feet("watches") == [f"on the jumpbox · {told}" for told in watching]
    assert feet("acts") == [
        "on the jumpbox · Ctrl-C ends the following; the run there goes on",
        "on the jumpbox · the following ends; the run there goes on",
    ]
    assert progress.stopping() == [
        "the following ends; the run on the jumpbox goes on (once more leaves at once)"
    ]
    progress(Happening(what="returned", resource="jumpbox", station="jumpbox"))
    assert feet("acts")[0] == "Ctrl-C stops; run again to go on"


@given(width=st.integers(12, 200), height=st.integers(3, 60), busy=st.integers(0, 80))
def test_a_frame_fits_into_any_terminal(width: int, height: int, busy: int) -> None:
    progress = Progress(("hosts", "services"), {"hosts": 90, "services": 3})
    for number in range(busy):
        event = Happening(
            what="doing",
            resource=f"vsphere.port-group:esx-{number:02d}/a-rather-long-name",
            phase="hosts",
            verb="create",
            text="waiting for something that takes its time",
            done=number,
            total=100,
            unit="%",
        )
        progress(event)
    lines = live.frame(progress.state(), width, height)
    assert all(line.cell_len <= width for line in lines)
    assert len(lines) <= max(height, 4)
    if busy > len(lines):
        assert any("more in work" in line.plain or "…" in line.plain for line in lines)


def test_a_resized_terminal_gets_frames_of_its_size(running: tuple[Progress, Clock]) -> None:
    wide, narrow = (live.text(live.frame(running[0].state(), width, 40)) for width in (100, 40))
    assert "━" in wide
    assert "━" not in narrow
    assert max(map(len, narrow.splitlines())) <= 40


NARROW_FRAME = """\
 ▸ hosts      1/2
   ~ ntp esx-01  4.0 s
 ▸ vcenter    0/1
   + appliance vcenter  412/612 MB
 · inventory  0/6  ≈ 3 s
 · services   0/1
 4.0 s · about 22 min left · stopping
 (Ctrl-C again leaves at once), waits
 for ntp esx-01, appliance vcenter"""


def test_at_40_columns_a_run_shows_whole_amounts_and_how_to_stop(running: tuple[Progress, Clock]) -> None:
    state = running[0].state()
    assert live.text(live.frame(state, 40, 19, stopping=True)) == NARROW_FRAME
    assert live.text(live.frame(state, 40, 19)).endswith("Ctrl-C\n stops; run again to go on")


def test_what_a_follower_reads_at_once_is_no_rate() -> None:
    clock = Clock()
    progress = Progress(clock=clock, ago=60.0)
    for done in (100_000_000, 400_000_000, 800_000_000):
        progress(happening("doing", 4, done=done, total=900_000_000, unit="B"))
    (work,) = progress.state().working
    assert work.rate == 0
    clock.now = 2.0
    progress(happening("doing", 4, done=850_000_000, total=900_000_000, unit="B"))
    (work,) = progress.state().working
    assert work.rate == 25_000_000
    assert progress.state().seconds == 62


def test_of_a_run_on_the_jumpbox_no_other_action_is_waited_for_and_what_was_done_is_done() -> None:
    there = [dataclasses.replace(one, station="jumpbox") for one in ACTIONS[5:8]]
    outside = dataclasses.replace(ACTIONS[4], station="outside")
    plan = dataclasses.replace(PLAN, actions=(*ACTIONS[:2], outside, *there))
    done = {one.resource for one in (*ACTIONS[:2], there[0])}
    progress = of(plan, Clock(), station="jumpbox", done=done)
    for what, number in (("begun", 6), ("done", 6), ("begun", 7)):
        progress(happening(what, number))
    assert (
        live.text(live.frame(progress.state(), 100, 40, seat="watches"))
        == """\
 ✓ hosts      ━━━━━━━━━━━━━━━━━━━━━━━━  2/2
 ▸ inventory  ━━━━━━━━━━━━━━━━────────  2/3
   + role role-2
 0.0 s · Ctrl-C ends the watching, never the run"""
    )


def test_whoever_follows_later_sees_how_long_a_phase_took_and_an_action_is_in_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, clock = 1_800_000_000, Clock()
    clock.now = 500.0
    told = SimpleNamespace(time=lambda: float(now), monotonic=clock)
    monkeypatch.setattr("paver.runs.progress.time", told)
    progress = of(PLAN, clock, ago=60.0, moment=late)
    for what, number, ago in (
        ("begun", 0, 50),
        ("done", 0, 40),
        ("begun", 1, 39),
        ("done", 1, 20),
        ("begun", 4, 20),
    ):
        progress(happening(what, number, at=now - ago))
    hosts, vcenter = (phase for phase in progress.state().phases if phase.done or phase.working)
    assert hosts.seconds == 30
    assert vcenter.working[0].seconds == 20


def test_what_an_action_waits_for_before_it_begins_is_shown_with_its_time() -> None:
    clock = Clock()
    progress = of(PLAN, clock)
    progress(happening("doing", 4, text="vcenter: AddHost_Task of esx-01, which was begun before, goes on"))
    clock.now = 300.0
    (waiting,) = progress.state().working
    assert waiting.seconds == 300
    progress(happening("begun", 4))
    clock.now = 301.0
    (working,) = progress.state().working
    assert working.seconds == 1


def test_a_run_that_is_told_again_shows_the_waiting_before_an_action_began(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(
        '{"event": "opened", "time": "2026-10-01T12:00:00.000000+00:00"}\n'
        '{"event": "begun", "resource": "vsphere.role:a", "time": "2026-10-01T12:05:00.400000+00:00"}\n'
    )
    clock = past.Clock(tmp_path)
    noon = clock()
    role = dataclasses.replace(happening("doing", 0), resource="vsphere.role:a")
    assert clock.moment(dataclasses.replace(role, at=int(noon) + 2)) == noon + 2
    assert clock.moment(dataclasses.replace(role, at=int(noon) + 300)) == noon + 300.4
    assert clock.moment(dataclasses.replace(role, at=int(noon) + 301)) == noon + 301


def test_a_terminal_is_left_with_the_last_frame() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=90, height=20)
    clock = Clock()
    progress = of(dataclasses.replace(PLAN, actions=ACTIONS[:1]), clock)
    with live.Live(progress, console, lambda: False) as view:
        view(happening("begun", 0))
        view(happening("done", 0, millis=400))
    last = Text.from_ansi(screen.getvalue()).plain
    assert "✓ hosts" in last
    assert "1/1" in last


def test_off_a_terminal_every_event_is_one_line() -> None:
    told: list[str] = []
    lines = Lines(told.append)
    for what, number, more in (
        ("begun", 0, {}),
        ("doing", 0, {"text": "adding"}),
        ("doing", 0, {"text": "adding", "done": 3}),
        ("done", 0, {"millis": 1500}),
        ("failed", 1, {"text": "no"}),
    ):
        lines(happening(what, number, **more))
    between: tuple[tuple[What, str], ...] = (
        ("handed-off", ""),
        ("unheard", "jumpbox: nothing was heard for 30 s"),
        ("heard", ""),
        ("returned", ""),
    )
    for word, text in between:
        lines(Happening(what=word, resource="jumpbox", station="jumpbox", text=text))
    assert [line[9:] for line in told] == [
        "… create vsphere.port-group:esx-01/bosh  vlan 30 on vSwitch0",
        "  vsphere.port-group:esx-01/bosh: adding",
        "✓ create vsphere.port-group:esx-01/bosh  1.5 s",
        "✗ update vsphere.ntp:esx-01  no",
        "→ the run goes on on the jumpbox",
        "! jumpbox: nothing was heard for 30 s: connecting anew, the run there goes on",
        "← the jumpbox is heard again",
        "← back from the jumpbox",
    ]


def test_a_run_that_is_not_heard_says_so_until_it_is_heard_again() -> None:
    seen = of(PLAN)
    shown = []
    for what in ("handed-off", "unheard", "heard"):
        seen(Happening(what=what, resource="jumpbox", station="jumpbox"))
        shown.append(live.text(live.frame(seen.state(), 120, 40)))
    words = "on the jumpbox · connecting anew: the jumpbox is not heard, the run there goes on · Ctrl-C ends"
    assert [words in " ".join(frame.split()) for frame in shown] == [False, True, False]
    assert all("on the jumpbox" in frame for frame in shown)


def ending(**more: object) -> Ending:
    done = frozenset(one.resource for one in ACTIONS[:2])
    ended = Ended(done=done, acted=done, failed=(), left=(), head="12:abcdef")
    values: dict[str, object] = {
        "plan": PLAN,
        "ended": ended,
        "folder": Path("/run"),
        "seconds": 75.0,
        "evidence": Evidence(heads={"journal.jsonl": "12:abcdef"}, writes={}, by_action={}),
        "page": Path("/run/report.html"),
        "tools": ("bosh", "credhub", "fly", "mc", "govc"),
    }
    return Ending(**{**values, **more})  # type: ignore[arg-type]


ENDED = """\
lab-north: done in 75 s
  made      1 created, 1 changed
  report    /run/report.html
  journal   /run/journal.jsonl
  its head  12:abcdef
  next      paver status          how it stands, the ways in, the passwords
            eval "$(paver env)"   bosh, credhub, fly, mc, govc
            paver verify          prove it all again"""


def test_a_run_ends_with_what_was_made_and_what_to_do_next() -> None:
    assert "\n".join(ending_text(ending())) == ENDED


def test_a_destroy_ends_with_what_is_kept_and_a_part_of_one_with_how_the_rest_is_shown() -> None:
    whole = "\n".join(ending_text(ending(plan=dataclasses.replace(PLAN, mode="destroy"))))
    assert "  kept      the journals and the sealed store\n" in whole
    assert "paver secrets list" in whole
    part = dataclasses.replace(PLAN, mode="destroy", selection=("services",))
    assert list(ending_text(ending(plan=part)))[-1].split()[:4] == ["next", "paver", "plan", "--destroy"]


WAYS_IN = (
    Door(name="esx-01", at="https://10.20.0.11/ui", user="root", secret="esx-root", last_resort=True),
    Door(name="vCenter", at="https://vcsa", user="root", secret="vcenter-root", endpoint="vcenter"),
    Door(name="object store", at="https://objects", user="admin", secret="objects", endpoint="s3"),
)


def standing(plan: Plan | None, providers: dict[str, ResourceId]) -> Standing:
    return Standing(
        site="lab-north",
        holder=None,
        last=None,
        plan=plan,
        error="",
        holdings=(),
        store="lab-north.sealed",
        doors=WAYS_IN,
        now=dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC),
        absent=frozenset() if plan is None else absent(plan, providers),
    )


def test_the_ways_in_of_a_site_are_those_to_what_its_plan_does_not_have_to_create_first() -> None:
    # The appliance has still to be created, the port group has not: it is changed.
    half = standing(PLAN, {"vcenter": ACTIONS[4].resource, "s3": ACTIONS[1].resource})
    assert [door.name for door in half.status().doors] == ["esx-01", "object store"]
    shown = "\n".join(standing_text(half))
    assert "no way in to what is not there: vCenter" in shown
    assert "vcenter-root" not in shown
    assert "not paved" not in shown


def test_a_site_of_which_nothing_can_be_entered_is_told_not_to_be_paved() -> None:
    bare = standing(PLAN, {"vcenter": ACTIONS[4].resource, "s3": ACTIONS[0].resource})
    shown = "\n".join(standing_text(bare))
    assert "now       not paved: 11 changes pending" in shown
    assert "no way in to what is not there: vCenter, object store" in shown
    assert [door.name for door in bare.status().doors] == ["esx-01"]


def test_where_the_site_was_not_asked_every_way_in_is_shown() -> None:
    shown = "\n".join(standing_text(standing(None, {"vcenter": ACTIONS[4].resource})))
    assert "vcenter-root" in shown
    assert "not there" not in shown


def test_a_run_that_did_not_do_all_says_what_is_left() -> None:
    left = Ended(done=frozenset(), acted=frozenset(), failed=(), left=(ACTIONS[0].resource,), head="3:00")
    shown = "\n".join(ending_text(ending(ended=left)))
    assert "not all done in 75 s" in shown
    assert "left      1 action, the first vsphere.port-group:esx-01/bosh" in shown
    assert "next" not in shown


def test_the_first_of_what_is_left_is_the_plans_next() -> None:
    left = (ACTIONS[-1].resource, ACTIONS[0].resource)
    shown = "\n".join(
        ending_text(
            ending(ended=Ended(done=frozenset(), acted=frozenset(), failed=(), left=left, head="3:00"))
        )
    )
    assert f"left      2 actions, the first {ACTIONS[0].resource}" in shown


def test_a_run_that_goes_on_elsewhere_is_not_told_as_one_that_failed() -> None:
    stopped = GoesOn("stopped following; the run on the jumpbox goes on")
    ended = Ended(
        done=frozenset(),
        acted=frozenset(),
        failed=(),
        left=(ACTIONS[0].resource,),
        head="3:00",
        error=stopped,
    )
    shown = "\n".join(ending_text(ending(ended=ended)))
    assert "goes on on the jumpbox; it was followed for 75 s" in shown
    assert "not all done" not in shown
    assert "made" not in shown
    assert "left" not in shown


def test_what_was_found_done_is_not_told_as_made() -> None:
    done = frozenset(one.resource for one in ACTIONS[:2])
    found = Ended(done=done, acted=frozenset({ACTIONS[0].resource}), failed=(), left=(), head="3:00")
    assert "  made      1 created  (1 found done already)" in ending_text(ending(ended=found))
    nothing = dataclasses.replace(found, acted=frozenset())
    assert "  made      nothing  (2 found done already)" in ending_text(ending(ended=nothing))


def test_an_end_says_how_much_was_made_at_which_station() -> None:
    done = frozenset({ACTIONS[0].resource, ACTIONS[4].resource})
    ended = Ended(done=done, acted=done, failed=(), left=(), head="3:00")
    both = Evidence(heads={"journal.jsonl": "3:00", "journal-jumpbox.jsonl": "9:11"}, writes={}, by_action={})
    shown = list(ending_text(ending(ended=ended, evidence=both)))
    assert "  made      2 created  (1 from here, 1 on the jumpbox)" in shown


def the_page(**more: object) -> str:
    now = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
    return page.page(ending(**more), [], [], now=now, who="alice on desk", approval="by --yes")


def test_the_page_says_who_did_what_when_by_which_writes_and_what_changed() -> None:
    proven = Evidence(
        heads={"journal.jsonl": "12:abcdef", "journal-jumpbox.jsonl": "7:fedcba"},
        writes={"host:esx-01": {"AddPortGroup": 1, "folder:PUT": 2}},
        by_action={ACTIONS[0].id: 3},
    )
    shown = the_page(evidence=proven)
    for told in (
        "2026-11-23 11:58:45 UTC to 2026-11-23 12:00:00 UTC",
        "alice on desk",
        "by --yes",
        "1 created, 1 changed in 75 s, by 3 writes",
        PLAN.digest,
        '<a href="journal-jumpbox.jsonl">journal-jumpbox.jsonl</a>, head <code>7:fedcba</code>',
        "vsphere.port-group:esx-01/bosh",
        "servers: [] → [&#34;10.20.0.10&#34;]",
        "<code>folder:PUT</code> × 2",
        "tail -n 1 journal-jumpbox.jsonl",
    ):
        assert told in shown, told


def test_the_page_shows_what_a_tool_was_told_and_might_do() -> None:
    done = frozenset({ACTIONS[4].resource})
    ended = Ended(done=done, acted=done, failed=(), left=(), head="3:00")
    shown = the_page(ended=ended)
    assert "<code>vcsa-deploy install</code>" in shown
    assert "a VM vcsa on esx-01" in shown


def test_the_page_says_what_failed_what_is_left_and_which_journal_does_not_hold() -> None:
    ended = Ended(
        done=frozenset(),
        acted=frozenset(),
        failed=(("a.b:c", "no room"),),
        left=(ACTIONS[0].resource,),
        head="",
    )
    broken = Evidence(heads={}, writes={}, by_action={}, broken="journal.jsonl: the last line is not whole")
    shown = the_page(ended=ended, evidence=broken)
    assert "lab-north: not all done" in shown
    assert "1 failed" in shown
    assert "no room" in shown
    assert "not begun" in shown
    assert "the last line is not whole" in shown


def test_the_page_escapes_what_it_shows_and_loads_nothing() -> None:
    door = Door(
        name="<b>host</b>", at="https://10.20.0.11/ui", user="root", secret="esx-root", last_resort=True
    )
    shown = page.page(
        ending(),
        [happening("done", 0, millis=400, station="outside")],
        [door],
        now=dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC),
        who="alice on desk",
        approval="by --yes",
    )
    assert "&lt;b&gt;host&lt;/b&gt;" in shown
    assert "(when all else is down)" in shown
    assert "<b>host</b>" not in shown
    assert "paver secrets show esx-root" in shown
    assert "2026-11-23 12:00:00 UTC" in shown
    assert "src=" not in shown
    assert "default-src 'none'" in shown


def test_a_table_is_as_wide_as_its_content_and_leaves_empty_columns_out() -> None:
    shown = list(table(("name", "none", "what"), [("a", "", "long thing"), ("longer", "", "x")]))
    assert shown == ["name    what", "a       long thing", "longer  x"]


PORT = (
    "jumpbox",
    "10.20.0.10",
    "esx-01",
    "10.20.0.11",
    "443",
    "tcp",
    "the vSphere API, and all that is uploaded",
)
PORTS = {
    40: """\
from     from address  to
         to address  port  protocol  why
jumpbox  10.20.0.10    esx-01
         10.20.0.11  443  tcp
         the vSphere API, and all that
         is uploaded""",
    80: """\
from     from address  to      to address  port  protocol  why
jumpbox  10.20.0.10    esx-01  10.20.0.11  443   tcp
         the vSphere API, and all that is uploaded""",
    120: """\
from     from address  to      to address  port  protocol  why
jumpbox  10.20.0.10    esx-01  10.20.0.11  443   tcp       the vSphere API, and all that is uploaded""",
}


@pytest.mark.parametrize("width", PORTS)
def test_what_has_no_room_in_a_row_stands_below_and_breaks_at_words_only(width: int) -> None:
    headings = ("from", "from address", "to", "to address", "port", "protocol", "why")
    assert "\n".join(table(headings, [PORT], width=width)) == PORTS[width]


def test_a_first_column_that_takes_the_room_away_is_not_kept_free_below() -> None:
    door = ("  object-store", "https://objects.north.example:9000", "paver-admin", "object-store-root")
    assert list(table(("  to", "at", "as", "secret"), [door], width=40))[1] == (
        "  object-store\n    https://objects.north.example:9000\n    paver-admin  object-store-root"
    )


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (9.9, "9.9 s"),
        (119, "119 s"),
        (125, "2 min 05 s"),
        (1320, "22 min"),
        (7300, "2 h 01 min"),
    ],
)
def test_a_span_is_as_short_as_it_is_true(seconds: float, shown: str) -> None:
    assert words.span(seconds) == shown


@pytest.mark.parametrize(
    ("done", "total", "unit", "shown"),
    [
        (412_000_000, 612_000_000, "B", "412/612 MB"),
        (500_000, 2_500_000_000, "B", "0.0/2.5 GB"),
        (61, 100, "%", "61 %"),
        (3, 8, "", "3/8"),
        (0, 0, "", ""),
        (999, 0, "B", "999 B"),
    ],
)
def test_an_amount_has_the_unit_of_the_whole(done: int, total: int, unit: str, shown: str) -> None:
    assert words.part(done, total, unit) == shown


DOORS = [
    ("esx-01", "https://10.20.0.11/ui", "root", "esx-root", "last resort"),
    ("vCenter", "https://vcsa.north.example", "administrator@vsphere.local", "vcenter-administrator", ""),
]


def test_a_row_without_the_room_goes_on_below_with_no_cell_broken() -> None:
    lines = list(table(("to", "at", "as", "secret", ""), DOORS, width=60))
    assert lines == [
        "to       at                          as\n         secret",
        "esx-01   https://10.20.0.11/ui       root\n         esx-root  last resort",
        "vCenter  https://vcsa.north.example\n         administrator@vsphere.local  vcenter-administrator",
    ]


def test_a_table_with_the_room_is_the_one_of_a_pipe() -> None:
    headings = ("to", "at", "as", "secret", "")
    assert list(table(headings, DOORS, width=200)) == list(table(headings, DOORS))
    assert {line.count("\n") for line in table(headings, DOORS)} == {0}
