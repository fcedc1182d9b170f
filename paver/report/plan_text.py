"""A plan as text: the same on a terminal and in a file, in colour on a terminal only."""

from __future__ import annotations

from collections.abc import Iterator

from paver.engine.diff import Change
from paver.engine.plan import Action, Plan
from paver.engine.resource import Verb
from paver.signing import canonical
from paver.signing.canonical import Json

SIGNS = {
    Verb.CREATE: "+",
    Verb.UPDATE: "~",
    Verb.REPLACE: "±",
    Verb.DELETE: "-",
    Verb.ADOPT: "=",
    Verb.BLOCKED: "!",
    Verb.KEEP: " ",
}
COLOURS = {"+": "32", "~": "33", "±": "35", "-": "31", "=": "36", "!": "1;31"}


def plan_text(plan: Plan, *, colour: bool = False, opaque: bool = False) -> Iterator[str]:
    """Yields the lines of a plan.

    Args:
        plan: what to show.
        colour: for a terminal.
        opaque: show what the tools that act by themselves are told, and what they will bring about.
    """
    yield f"site {plan.site} · plan {plan.digest[:12]} · paver {plan.paver} · driver {plan.driver}"
    if plan.offline:
        yield "made offline: nothing was read, it cannot be applied"
    pending = {action.resource for action in plan.pending}
    width = max((len(phase) for phase in plan.phases), default=0)
    for phase in plan.phases:
        shown = [a for a in plan.actions if a.phase == phase and a.resource in pending]
        if shown:
            yield ""
        for number, action in enumerate(shown):
            label = phase if number == 0 else ""
            yield from _action(action, label.ljust(width), colour=colour, opaque=opaque)
    yield ""
    yield from _sums(plan)


def _action(action: Action, label: str, *, colour: bool, opaque: bool) -> Iterator[str]:
    sign = SIGNS[action.verb]
    said = " ".join(
        part
        for part in (
            action.says,
            "" if action.verb is Verb.BLOCKED else action.reason,
            _time(action.estimate),
        )
        if part
    )
    if action.opaque is not None:
        said += f"  opaque: {action.opaque['tool']}"
    if action.implied:
        said += "  (goes with what it is in)"
    shown = f"\x1b[{COLOURS[sign]}m{sign}\x1b[0m" if colour and sign in COLOURS else sign
    yield f" {label}  {shown} {action.resource:<44} {said}".rstrip()
    if action.verb in {Verb.UPDATE, Verb.REPLACE, Verb.ADOPT}:
        for change in action.changes:
            yield f" {'':{len(label)}}      {_change(change)}"
    if action.verb is Verb.BLOCKED:
        yield f" {'':{len(label)}}      blocked: {action.reason}"
    if action.verb in {Verb.DELETE, Verb.REPLACE} and action.lost:
        yield f" {'':{len(label)}}      lost with it: {', '.join(action.lost)}"
    if opaque and action.opaque is not None:
        argv, effects = action.opaque["argv"], action.opaque["effects"]
        yield f" {'':{len(label)}}      runs   {' '.join(map(str, argv if isinstance(argv, list) else []))}"
        for effect in effects if isinstance(effects, list) else []:
            yield f" {'':{len(label)}}      brings {effect}"


def _change(change: Change) -> str:
    after = "known later" if change.unknown else _short(change.after)
    return f"{change.field}: {_short(change.before)} → {after}"


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else canonical.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}…"


def _sums(plan: Plan) -> Iterator[str]:
    counts = {verb: sum(1 for a in plan.actions if a.verb is verb) for verb in Verb}
    unknown = sum(1 for a in plan.actions for value in a.planned.values() if _unknown(value))
    if not plan.pending:
        yield f"nothing to do: {counts[Verb.KEEP]} resources are as they are wished"
        return
    total = sum(action.estimate for action in plan.actions)
    yield (
        f" {counts[Verb.CREATE]} to create · {counts[Verb.UPDATE]} to change · {counts[Verb.REPLACE]} to replace"
        f" · {counts[Verb.DELETE]} to delete · {counts[Verb.ADOPT]} to adopt · {counts[Verb.BLOCKED]} blocked"
        f" · {counts[Verb.KEEP]} kept · {unknown} unknown      about {_time(total).removeprefix('≈ ') or '1 s'}"
    )
    opaque = sum(1 for a in plan.actions if a.opaque is not None)
    if opaque:
        yield f" {opaque} opaque steps act on their own: see `paver plan --opaque`"


def _unknown(value: Json) -> bool:
    return isinstance(value, dict) and "unknown" in value


def _time(seconds: int) -> str:
    if seconds < 2:
        return ""
    return f"≈ {seconds} s" if seconds < 120 else f"≈ {seconds // 60} min"
