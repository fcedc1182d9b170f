"""Holds a run to its plan: this, and nothing else, stands in its journals. Needs Python alone, and no paver.

    python3 check_run.py RUN [--plan APPROVED] [--head LINES:SHA256]

RUN is the run's folder. It ends with 0 if all holds and all is done, with 2 if all holds and something of the plan is not
done or the journal has no end, with 1 at the first thing that does not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

HERE, THERE = "journal.jsonl", "journal-jumpbox.jsonl"
ENDS_AFTER = {
    "done": {"begun"},
    "skipped": {"new"},
    "drift": {"new"},
    "failed": {"new", "begun"},
    "interrupted": {"new", "begun"},
}
Said = dict[str, Any]


def check(holds: object, what: str) -> None:
    """Ends the program if something does not hold."""
    if not holds:
        sys.exit(f"does not hold: {what}")


def canonical(value: object) -> bytes:
    """Returns JSON as paver writes it: one way for each value, so that nothing hides in another."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def lines(path: Path) -> Iterator[tuple[str, str, Said]]:
    """Yields a name for each line, the chain's head after it, and what it says."""
    head, data = "0" * 64, path.read_bytes()
    check(data.endswith(b"\n"), f"{path.name}: its last line is not whole")
    for number, raw in enumerate(data[:-1].split(b"\n"), start=1):
        at, said = f"{path.name}, line {number}", json.loads(raw)
        check(canonical(said) == raw, f"{at} is not as paver writes it")
        check(said["prev"] == head, f"{at} does not follow the line before it")
        head = hashlib.sha256(raw).hexdigest()
        yield at, f"{number}:{head}", said


class Plan:
    """What was approved."""

    def __init__(self, data: bytes) -> None:
        said = json.loads(data)
        check(canonical(said) == data, "the plan is not as paver writes it")
        self.digest = hashlib.sha256(data).hexdigest()
        self.site: str = said["site"]["name"]
        self.actions: dict[str, Said] = {
            action["id"]: action for action in said["actions"] if action["verb"] not in {"keep", "blocked"}
        }
        self.resources = {action["resource"] for action in self.actions.values()}


class Journal:
    """One journal, line by line: what the next one may say follows from those before it.

    state: how far each action came, by its id: begun, or how it ended.
    done, failed: resources. maybe: those that were done at the other station, if only its journal tells.
    handed: what was done when the run was handed over, as long as it has not returned.
    there: it was handed over. over: it has its end. returned: how often it came back.
    """

    def __init__(self, path: Path, plan: Plan, done: Collection[str] = ()) -> None:
        self.path, self.plan, self.done = path, plan, set(done)
        self.opening: Said = {}
        self.state: dict[str, str] = {}
        self.failed: set[str] = set()
        self.maybe: set[str] = set()
        self.handed: set[str] | None = None
        self.there = self.over = False
        self.writes, self.returned, self.head = 0, 0, ""
        may: dict[str, Callable[[str, Said], None]] = {
            "opened": self.opens,
            "retry": lambda *_: None,
            "begun": self.begins,
            "call": self.calls,
            "done": self.ends,
            "skipped": self.ends,
            "failed": self.ends,
            "drift": self.ends,
            "interrupted": self.stops,
            "handed-off": self.hands_off,
            "returned": self.returns,
            "closed": self.closes,
        }
        for at, self.head, said in lines(path):
            check(said["event"] in may, f"{at}: {said['event']} is no event of a journal")
            first = said["event"] == "opened"
            check(first is not bool(self.opening), f"{at}: line 1 opens it, and no other")
            check(not self.over, f"{at} stands after the end")
            may[said["event"]](at, said)

    def opens(self, at: str, said: Said) -> None:
        check(said["schema"] == "paver.journal/1", f"{at} is another format's")
        check(said["plan"] == self.plan.digest, f"{at} opens another plan's run")
        check(said["site"] == self.plan.site, f"{at} is another site's")
        self.opening = said
        self.there = said["approval"].startswith("handed over by ")
        if self.there and self.path.name == HERE:
            elsewhere = (one for one in self.plan.actions.values() if one["station"] == "outside")
            self.maybe = {one["resource"] for one in elsewhere}

    def action(self, at: str, said: Said) -> Said:
        found = self.plan.actions.get(said["action"])
        if found is None:
            sys.exit(f"does not hold: {at}: its action is not in the plan")
        resource, station = found["resource"], self.opening["station"]
        check(said.get("resource", resource) == resource, f"{at}: another thing than planned")
        mine = found["station"] == station or not (self.there or station == "outside")
        check(mine, f"{at}: planned for the other station")
        early = (set(found["needs"]) & self.plan.resources) - self.done - self.maybe
        check(not early, f"{at}: {min(early, default='')} was to be done before")
        return found

    def begins(self, at: str, said: Said) -> None:
        action = self.action(at, said)
        check(said["action"] not in self.state, f"{at}: it was begun or ended before")
        check(not action["implied"], f"{at}: it goes along, by no act of its own")
        check(said["verb"] == action["verb"], f"{at}: planned as {action['verb']}")
        as_planned = said["found"] == action["before"] or said["converges"] or not action["asked"]
        check(as_planned, f"{at}: it found something else than the plan")
        tool, told = action["opaque"], said.get("opaque")
        check(
            (tool is None) is (told is None), f"{at}: a tool acts by itself where none is planned to, or none"
        )
        for name, value in (told or {}).items():
            known = isinstance(value, str) and isinstance(tool[name], str)
            check(not known or value == tool[name], f"{at}: its tool's {name} is not the planned one")
        self.state[said["action"]] = "begun"

    def calls(self, at: str, said: Said) -> None:
        call, place = said["call"], said["endpoint"]
        if said["action"] == f"hand-off {self.plan.digest}":
            check(self.handed is not None, f"{at}: nothing is being handed over")
            check(place == "machine:jumpbox", f"{at} hands over to another machine")
            self.sends(at, call, said["target"].partition(": ")[2])
            return
        action = self.action(at, said)
        begun = self.state.get(said["action"]) == "begun"
        check(begun, f"{at}: a write before its action began, or after its end")
        check(call in action["calls"], f"{at}: {call} is not in the plan")
        check(place in {action["endpoint"], *action["also"]}, f"{at}: {place} is not in the plan")
        self.writes += 1

    def ends(self, at: str, said: Said) -> None:
        action, event = self.action(at, said), said["event"]
        before = self.state.get(said["action"], "new")
        after = ENDS_AFTER[event]
        if action["implied"]:
            check(event == "done", f"{at}: it goes along, by no act of its own")
            after = {"new"}
        check(before in after, f"{at}: {event}, and it was {before}")
        self.state[said["action"]] = event
        (self.done if event in {"done", "skipped"} else self.failed).add(action["resource"])

    def hands_off(self, at: str, said: Said) -> None:
        check(self.opening["station"] == "outside", f"{at}: the jumpbox hands nothing over")
        check(self.handed is None, f"{at}: it was handed over before")
        check(said["plan"] == self.plan.digest, f"{at} hands over another plan")
        check(set(said["done"]) == self.done, f"{at}: it tells of other things done than this journal")
        self.handed = set(self.done)

    def sends(self, at: str, call: str, target: str) -> None:
        base = f"/var/lib/paver/sites/{self.plan.site}"
        own = f"{base}/handoff/{self.plan.digest}"
        if call == "job:start":
            started = (
                f"apply-{self.plan.site}: paver apply {own}/plan.json --site {base}/site.yml --station jumpbox "
                f"--handed-off {own} --sealed {base}/site.sealed --key file:{{scratch}}/key --yes --progress events "
                f"--begun-by={self.opening['by']}"
            )
            target = target.replace(" --key passphrase-file:", " --key file:")
            rest = target[len(started) :]
            check(target.startswith(started), f"{at}: another job than the plan's")
            check(re.fullmatch(r"( --allow=\S+)*", rest), f"{at}: the job is told more: {rest}")
            return
        check(call in {"file:mkdir", "file:write", "file:remove"}, f"{at}: {call} is no part of a hand-off")
        inside = f"{target}/".startswith(f"{base}/") and not target.startswith(f"{base}/.paver")
        check(inside and ".." not in target.split("/"), f"{at}: {target} is not for it to write")
        removed = call == "file:remove"
        check(not removed or target == f"{own}/outcome.json", f"{at}: {target} is not for it to remove")

    def returns(self, at: str, said: Said) -> None:
        check(self.handed is not None, f"{at}: nothing was handed over")
        self.returned += 1
        # What was handed over again in the same run has a journal of its own.
        name = THERE if self.returned == 1 else THERE.replace(".", f"-{self.returned}.")
        path = self.path.with_name(name)
        check(path.exists(), f"{at} tells of a journal of the jumpbox, which is not here")
        other = Journal(path, self.plan, self.handed or ())
        check(other.head == said["head"], f"{name} is not the one that {HERE} tells of")
        check(other.there, f"{name} is of a run that nobody handed over")
        check(other.over, f"{name} has no end")
        self.done |= other.done
        self.failed |= other.failed
        self.writes += other.writes
        self.handed = None

    def stops(self, at: str, said: Said) -> None:
        (self.ends if "action" in said else self.closes)(at, said)

    def closes(self, at: str, said: Said) -> None:
        failed, done = set(said["failed"]), said["done"]
        # Where the journal could not be written, an end may be missing that this line tells of.
        begun = {self.plan.actions[id_]["resource"] for id_, state in self.state.items() if state == "begun"}
        told = self.failed | begun <= failed <= self.plan.resources - self.done
        check(told, f"{at}: it tells of other failures than the lines before it")
        # One that could not hear of the other station to its end says why.
        waits = self.handed is not None and not said.get("error")
        check(not waits, f"{at}: the other station's journal did not return before")
        least, most = len(self.done), len(self.done | self.maybe)
        check(least <= done <= most, f"{at}: {done} done, and the lines before it tell of {least}")
        left = len(self.plan.resources) - done - len(failed)
        check(said["left"] == left, f"{at}: {said['left']} left, and the lines before it leave {left}")
        self.over = True


def main() -> int:
    """Checks the run that the command line names."""
    parser = argparse.ArgumentParser(description="holds a run to its plan")
    parser.add_argument("run", type=Path)
    parser.add_argument("--plan", type=Path, help="the plan as it was approved")
    parser.add_argument("--head", help="as it was shipped: lines:sha256")
    given = parser.parse_args()
    try:
        data = (given.run / "plan.json").read_bytes().rstrip(b"\n")
        approved = data if given.plan is None else given.plan.read_bytes().rstrip(b"\n")
        check(approved == data, "another plan than the approved one")
        plan = Plan(data)
        journal = Journal(given.run / HERE, plan)
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        sys.exit(f"does not hold: what is there is not as paver writes it: {type(error).__name__} {error}")
    check(given.head in {None, journal.head}, f"the head: {HERE} ends with {journal.head}")
    if not journal.over:
        print(f"{HERE} has no end: the run was stopped or killed, or lines are cut off")
    others = sorted((path.name for path in given.run.glob(THERE.replace(".", "*."))), key=len)
    for name in others[journal.returned :]:
        # It may have come back just before the run ended by an error.
        check(not journal.over or journal.handed is not None, f"{name} is not the one that {HERE} tells of")
        print(f"{name} is not looked at: {HERE} ends before it tells of it")
    left, all_ = sorted(plan.resources - journal.done), len(plan.resources)
    print(f"plan {plan.digest}")
    print(f"head {journal.head}")
    print(f"{journal.writes} writes, each of the plan's; {all_ - len(left)} of {all_} actions done")
    print(*(f"not done: {one}" for one in left), sep="\n", end="\n" if left else "")
    return 0 if journal.over and not left else 2


if __name__ == "__main__":
    sys.exit(main())
