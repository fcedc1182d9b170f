"""What may start, for any plan: needs are met, slots are kept, everything ends, nothing starts after a drain."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from paver.engine.plan import Action
from paver.engine.resource import Verb
from paver.engine.scheduler import BULK_SLOTS, Scheduler
from paver.engine.values import ResourceId


@st.composite
def plans(draw: st.DrawFn) -> list[Action]:
    count = draw(st.integers(0, 12))
    made = []
    for number in range(count):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        made.append(
            Action(
                resource=ResourceId(f"k:{number}"),
                kind="k",
                phase="p",
                station="outside",
                endpoint=draw(st.sampled_from("abc")),
                also=tuple(draw(st.sets(st.sampled_from("abc"), max_size=1))),
                verb=Verb.CREATE,
                needs=tuple(ResourceId(f"k:{need}") for need in sorted(needs)),
                lane=draw(st.sampled_from(["config", "bulk"])),
            )
        )
    return made


def scheduled(
    actions: list[Action], slots: Mapping[str, int] | None = None, between: Iterable[Action] = ()
) -> Scheduler:
    """A scheduler of `actions`, in a plan that has those `between` as well."""
    return Scheduler(actions, {action.resource: action.needs for action in [*actions, *between]}, slots)


@given(plans(), st.randoms(use_true_random=False), st.dictionaries(st.sampled_from("abc"), st.integers(1, 3)))
def test_everything_is_done_once_in_order_and_within_the_slots(
    actions: list[Action], random: random.Random, slots: dict[str, int]
) -> None:
    scheduler = scheduled(actions, slots)
    running: dict[ResourceId, Action] = {}
    done: list[ResourceId] = []
    while True:
        ready = scheduler.ready()
        assert ready == sorted(ready, key=actions.index)
        for action in ready:
            assert set(action.needs) <= set(done)
            running[action.resource] = action
        for lane in ("config", "bulk"):
            for endpoint in "abc":
                at = [a for a in running.values() if a.lane == lane and endpoint in {a.endpoint, *a.also}]
                assert len(at) <= (BULK_SLOTS if lane == "bulk" else slots.get(endpoint, 1))
        if not running:
            break
        id_ = random.choice(sorted(running))
        del running[id_]
        scheduler.finished(id_, ok=True)
        done.append(id_)
    assert sorted(done) == sorted(a.resource for a in actions)
    assert len(set(done)) == len(done)


@given(plans(), st.integers(0, 11))
def test_what_needs_a_failed_action_never_starts(actions: list[Action], number: int) -> None:
    scheduler = scheduled(actions)
    started = set()
    while ready := scheduler.ready():
        for action in ready:
            started.add(action.resource)
            scheduler.finished(action.resource, ok=action.resource != f"k:{number}")
    for action in actions:
        if f"k:{number}" in action.needs:
            assert action.resource not in started


@given(plans(), st.sets(st.integers(0, 11)), st.randoms(use_true_random=False))
def test_what_needs_a_kept_thing_waits_for_all_that_this_one_needs(
    actions: list[Action], kept: set[int], random: random.Random
) -> None:
    by_id = {action.resource: action for action in actions}
    between = [by_id[id_] for number in kept if (id_ := ResourceId(f"k:{number}")) in by_id]
    todo = [action for action in actions if action not in between]

    def before(id_: ResourceId) -> set[ResourceId]:
        return {one for need in by_id[id_].needs for one in (need, *before(need))}

    scheduler = scheduled(todo, between=between)
    running: list[Action] = []
    while True:
        running += scheduler.ready()
        if not running:
            break
        for action in running:
            waited = before(action.resource) - {one.resource for one in between}
            assert waited <= scheduler.done
        ended = running.pop(random.randrange(len(running)))
        scheduler.finished(ended.resource, ok=True)
    assert scheduler.done == {action.resource for action in todo}


@given(plans())
def test_after_a_drain_nothing_starts(actions: list[Action]) -> None:
    scheduler = scheduled(actions)
    scheduler.drain()
    assert scheduler.ready() == []
    assert len(scheduler.left) == len(actions)
