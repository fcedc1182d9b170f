"""Holds a run to its plan: this, and nothing else, stands in its journals. Needs Python alone, and no paver.

    python3 check_run.py RUN [--plan APPROVED] [--head LINES:SHA256]

RUN is the run's folder. It ends with 0 if all holds and all is done, with 2 if all holds and something of the plan is not
done, with 1 at the first thing that does not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE, THERE = "journal.jsonl", "journal-jumpbox.jsonl"
HAND_OFF = {"file:mkdir", "file:remove", "file:write", "job:start"}
ENDS = {"done", "skipped"}


def check(*, holds: bool, what: str) -> None:
    """Ends the program if something does not hold."""
    if not holds:
        sys.exit(f"does not hold: {what}")


def lines(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields a name for each line, the chain's head after it, and what it says."""
    head = "0" * 64
    check(holds=path.read_bytes().endswith(b"\n"), what=f"{path.name}: its last line is not whole")
    for number, raw in enumerate(path.read_bytes().splitlines(), start=1):
        at, said = f"{path.name}, line {number}", json.loads(raw)
        check(holds=said["prev"] == head, what=f"{at} does not follow the line before it")
        head = hashlib.sha256(raw).hexdigest()
        yield at, f"{number}:{head}", said


def journal(path: Path, plan: dict[str, Any], digest: str) -> tuple[str, set[str], int, list[str]]:
    """Returns a journal's head, the resources whose actions ended well, how many writes, and heads that it names."""
    actions = {action["id"]: action for action in plan["actions"]}
    begun: set[str] = set()
    ended: set[str] = set()
    head, writes, named, last = "", 0, [], ""
    for at, now, said in lines(path):
        event, id_ = said["event"], said.get("action", "")
        action, head, last = actions.get(id_), now, event
        if now.startswith("1:"):
            check(holds=event == "opened" and said["plan"] == digest, what=f"{at} opens another plan's run")
            check(holds=said["site"] == plan["site"]["name"], what=f"{at} is another site's")
        if event == "handed-off":
            check(holds=said["plan"] == digest, what=f"{at} hands over another plan")
        if event == "returned":
            named.append(said["head"])
        if not id_:
            continue
        if id_ == f"hand-off {digest}":
            check(holds=said["call"] in HAND_OFF, what=f"{at}: {said['call']} is no part of a hand-off")
            check(holds=said["endpoint"] == "machine:jumpbox", what=f"{at} hands over to another machine")
            continue
        if action is None:
            sys.exit(f"does not hold: {at}: its action is not in the plan")
        if event == "begun":
            check(holds=said["verb"] == action["verb"], what=f"{at}: planned as {action['verb']}")
            begun.add(id_)
        if event == "call":
            writes += 1
            check(holds=id_ in begun, what=f"{at}: a write before its action began, or after its end")
            check(holds=said["call"] in action["calls"], what=f"{at}: {said['call']} is not in the plan")
            places = {action["endpoint"], *action["also"]}
            check(holds=said["endpoint"] in places, what=f"{at}: {said['endpoint']} is not in the plan")
        if event in ENDS:
            check(holds=said["resource"] == action["resource"], what=f"{at}: another thing than planned")
            begun.discard(id_)
            ended.add(action["resource"])
    if last != "closed":
        print(f"{path.name} has no end: the run was stopped or killed, or lines are cut off")
    return head, ended, writes, named


def main() -> int:
    """Checks the run that the command line names."""
    parser = argparse.ArgumentParser(description="holds a run to its plan")
    parser.add_argument("run", type=Path)
    parser.add_argument("--plan", type=Path, help="the plan as it was approved")
    parser.add_argument("--head", help="as it was shipped: lines:sha256")
    given = parser.parse_args()
    data = (given.run / "plan.json").read_bytes()
    if given.plan is not None:
        approved = given.plan.read_bytes()
        check(holds=approved.rstrip(b"\n") == data.rstrip(b"\n"), what="another plan than the approved one")
    plan, digest = json.loads(data), hashlib.sha256(data.rstrip(b"\n")).hexdigest()
    head, ended, writes, named = journal(given.run / HERE, plan, digest)
    if given.head is not None:
        check(holds=given.head == head, what=f"the head: {HERE} ends with {head}")
    if (given.run / THERE).exists():
        other, there, more, _ = journal(given.run / THERE, plan, digest)
        check(holds=other in named, what=f"{THERE} is not the one that {HERE} tells of")
        ended, writes = ended | there, writes + more
    elif named:
        check(holds=False, what=f"{HERE} tells of a journal of the jumpbox, which is not here")
    planned = {action["resource"] for action in plan["actions"] if action["verb"] not in {"keep", "blocked"}}
    left = sorted(planned - ended)
    print(f"plan {digest}")
    print(f"head {head}")
    print(f"{writes} writes, each of the plan's; {len(planned - set(left))} of {len(planned)} actions done")
    print(*(f"not done: {one}" for one in left), sep="\n", end="\n" if left else "")
    return 2 if left else 0


if __name__ == "__main__":
    sys.exit(main())
