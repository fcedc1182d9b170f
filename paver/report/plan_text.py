"""A plan as text: the same on a terminal and in a file; on a terminal in colour, and wrapped by column."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from paver.engine.plan import Action, Plan
from paver.engine.resource import Verb
from paver.engine.values import kind_of
from paver.report import difference, words
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
COUNTED = (
    (Verb.CREATE, "to create"),
    (Verb.UPDATE, "to change"),
    (Verb.REPLACE, "to replace"),
    (Verb.DELETE, "to delete"),
    (Verb.ADOPT, "to adopt"),
    (Verb.BLOCKED, "blocked"),
)
FOLDED = frozenset({Verb.CREATE, Verb.DELETE})
FOLD_FROM = 5
"""So many like lines in a row become one."""
WIDEST_NAME = 34
WIDEST_SAYING = 48
NARROWEST_SAYING = 30
"""On a terminal with less room for it than that, it has a line of its own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """How a plan is shown.

    Attributes:
        colour: for a terminal.
        opaque: show what the tools that act by themselves are told, and what they will bring about.
        every: fold nothing.
        ids: show resources by their ids, as --only and --allow take them.
        width: of the terminal; None: lines are as long as they are.
    """

    colour: bool = False
    opaque: bool = False
    every: bool = False
    ids: bool = False
    width: int | None = None


@dataclasses.dataclass(frozen=True)
class _Line:
    """A line of the plan's table, before its columns are as wide as they must be."""

    phase: str
    place: str
    sign: str
    name: str
    says: str
    time: str = ""
    more: tuple[str, ...] = ()


def plan_text(
    plan: Plan,
    *,
    colour: bool = False,
    opaque: bool = False,
    every: bool = False,
    ids: bool = False,
    width: int | None = None,
    read: str = "",
) -> Iterator[str]:
    """Yields the lines of a plan.

    Args:
        plan: what to show.
        colour: for a terminal.
        opaque: show what the tools that act by themselves are told, and what they will bring about.
        every: fold nothing.
        ids: show resources by their ids, as --only and --allow take them.
        width: of the terminal; None: lines are as long as they are.
        read: how the reading went, for the heading.
    """
    look = Look(colour=colour, opaque=opaque, every=every, ids=ids, width=width)
    heading = [
        f"site {plan.site}",
        f"plan {plan.digest[:12]}",
        f"paver {plan.paver}",
        f"driver {plan.driver}",
    ]
    yield from words.wrapped(" · ".join([*heading, read] if read else heading), width, "  ")
    if plan.offline:
        yield "made offline: nothing was read, it cannot be applied"
    if plan.selection:
        part = f"a part of the site only: {', '.join(plan.selection)}; what is no longer wished for is left alone"
        yield from words.wrapped(part, width, "  ")
    pending = {action.resource for action in plan.pending}
    found = []
    order = plan.phases if plan.mode == "apply" else tuple(reversed(plan.phases))
    for phase in order:
        shown = [action for action in plan.actions if action.phase == phase and action.resource in pending]
        found += list(_phase(phase, shown, look))
    yield ""
    if not found:
        kept = sum(1 for action in plan.actions if action.verb is Verb.KEEP)
        yield f"nothing to do: {words.plural(kept, 'resource')} as wished"
        return
    yield from _table(found, look)
    yield ""
    for line in _sums(plan):
        yield from words.wrapped(line, width, "   ")


def _phase(phase: str, actions: list[Action], look: Look) -> Iterator[_Line]:
    groups: dict[tuple[str, Verb, int], list[Action]] = {}
    for number, action in enumerate(actions):
        alone = look.every or look.ids or action.verb not in FOLDED
        # What acts by itself, and what takes something away that no plan made, is never one of many.
        alone = alone or action.opaque is not None or bool(action.lost)
        # What a setting goes back to is told of each.
        alone = alone or (action.verb is Verb.DELETE and bool(action.changes))
        groups.setdefault((action.endpoint, action.verb, number + 1 if alone else 0), []).append(action)
    label = phase
    for group in groups.values():
        lines = [_folded(group)] if len(group) >= FOLD_FROM else [_single(action, look) for action in group]
        for line in lines:
            yield dataclasses.replace(line, phase=label)
            label = ""


def _folded(group: list[Action]) -> _Line:
    first = group[0]
    kinds: dict[str, list[str]] = {}
    for action in group:
        kinds.setdefault(kind_of(action.resource), []).append(action.resource)
    if len(kinds) == 1:
        (kind,) = kinds
        name = words.plural(len(group), words.kind(kind))
        says = _some([_key(action) for action in group], WIDEST_SAYING + 12)
    else:
        name = f"{len(group)} resources"
        says = ", ".join(words.plural(len(ids), words.kind(kind)) for kind, ids in kinds.items())
    unknown = sum(1 for action in group if _unknowns(action))
    return _Line(
        "",
        words.place(first.resource, first.endpoint),
        SIGNS[first.verb],
        name,
        says + (f"  ({unknown} not known yet)" if unknown else ""),
        words.expected(sum(action.estimate for action in group)),
    )


def _key(action: Action) -> str:
    return words.thing(action.resource, action.endpoint).removeprefix(
        f"{words.kind(kind_of(action.resource))} "
    )


def _single(action: Action, look: Look) -> _Line:
    said = [action.says]
    if action.verb is not Verb.BLOCKED:
        said.append(action.reason)
    if action.opaque is not None:
        said.append(f"opaque: {action.opaque['tool']}")
    if action.implied:
        said.append("goes with what it is in")
    return _Line(
        "",
        "" if look.ids else words.place(action.resource, action.endpoint),
        SIGNS[action.verb],
        action.resource if look.ids else words.thing(action.resource, action.endpoint),
        "   ".join(part for part in said if part),
        words.expected(action.estimate),
        tuple(_more(action, look)),
    )


def _more(action: Action, look: Look) -> Iterator[str]:
    if action.verb not in {Verb.CREATE, Verb.BLOCKED}:
        for change in action.changes:
            yield from difference.lines(change, every=look.every)
    if action.verb is Verb.BLOCKED:
        yield f"blocked: {action.reason}"
        yield f"id       {action.resource}"
    if action.verb in {Verb.DELETE, Verb.REPLACE} and action.lost:
        yield f"lost with it: {', '.join(action.lost)}"
    if look.opaque and action.opaque is not None:
        argv, effects = action.opaque["argv"], action.opaque["effects"]
        yield f"runs    {' '.join(map(str, argv if isinstance(argv, list) else []))}"
        for effect in effects if isinstance(effects, list) else []:
            yield f"brings  {effect}"
        for name, digest in words.digests(action.opaque).items():
            yield f"{name:<7} {digest}"


def _some(names: list[str], width: int) -> str:
    """Returns as many of the names as have room, at least one, and how many more there are."""
    shown = ", ".join(names)
    fewer = len(names)
    while len(shown) > width and fewer > 1:
        fewer -= 1
        shown = f"{', '.join(names[:fewer])} and {len(names) - fewer} more"
    return shown


def _table(lines: list[_Line], look: Look) -> Iterator[str]:
    phase = max(len(line.phase) for line in lines)
    place = max(len(line.place) for line in lines)
    widest = 200 if look.ids else WIDEST_NAME
    name = min(widest, max(len(line.name) for line in lines))
    says = min(WIDEST_SAYING, max(len(line.says) for line in lines))
    before = phase + 5 + (place + 2 if place else 0)
    room, time = None, max(len(line.time) for line in lines)
    if look.width is not None and look.width < before + name + time + 2:
        yield from _narrow(lines, look.width, colour=look.colour)
        return
    below = look.width is not None and look.width - before - name - time - 4 < NARROWEST_SAYING
    if look.width is not None and not below:
        room = look.width - before - name - 2
        says = min(says, room - time - 2)
    for line in lines:
        if line.phase and line is not lines[0]:
            yield ""
        left = f" {line.phase.ljust(phase)}  " + (f"{line.place.ljust(place)}  " if place else "")
        sign = _sign(line, colour=look.colour)
        if look.colour and line.sign in COLOURS:
            left = left.replace(line.phase, f"\x1b[1m{line.phase}\x1b[0m", 1) if line.phase else left
        if below:
            yield f"{left}{sign} {line.name.ljust(name)}  {line.time}".rstrip()
        else:
            first, *others = list(words.wrapped(line.says, says if room and line.time else room, "")) or [""]
            yield f"{left}{sign} {line.name.ljust(name)}  {first.ljust(says)}  {line.time}".rstrip()
            yield from (f"{' ' * (before + name + 2)}{other}" for other in others)
        for more in (line.says, *line.more) if below and line.says else line.more:
            yield from words.wrapped(f"{' ' * before}{more}", look.width, " " * (before + 2))


def _narrow(lines: list[_Line], width: int, *, colour: bool) -> Iterator[str]:
    """Yields the lines where columns have no room beside each other: each phase, thing and saying below the other."""
    for line in lines:
        if line.phase:
            yield from [""] if line is not lines[0] else []
            yield f" \x1b[1m{line.phase}\x1b[0m" if colour else f" {line.phase}"
        # A blank that does not break keeps a number and its unit together.
        named = "  ".join(part for part in (line.place, line.name, line.time.replace(" ", "\xa0")) if part)
        wrapped = words.wrapped(f"   {line.sign} {named}", width, " " * 5)
        first, *others = (one.replace("\xa0", " ") for one in wrapped)
        yield first.replace(line.sign, _sign(line, colour=colour), 1)
        yield from others
        for more in (line.says, *line.more):
            yield from words.wrapped(f"{' ' * 7}{more}", width, " " * 9) if more else ()


def _sign(line: _Line, *, colour: bool) -> str:
    return f"\x1b[{COLOURS[line.sign]}m{line.sign}\x1b[0m" if colour and line.sign in COLOURS else line.sign


def _sums(plan: Plan) -> Iterator[str]:
    counts = {verb: sum(1 for a in plan.actions if a.verb is verb) for verb in Verb}
    unknown = sum(_unknowns(action) for action in plan.actions)
    parts = [f"{counts[verb]} {what}" for verb, what in COUNTED if counts[verb]]
    parts.append(f"{counts[Verb.KEEP]} kept")
    if unknown:
        parts.append(f"{words.plural(unknown, 'value')} known later")
    total = sum(action.estimate for action in plan.actions)
    yield f" {' · '.join(parts)}      about {words.expected(total).removeprefix('≈ ') or '1 s'}"
    opaque = [str(a.opaque["tool"]) for a in plan.actions if a.opaque is not None]
    if opaque:
        tools = ", ".join(dict.fromkeys(opaque))
        yield f" {words.plural(len(opaque), 'step')} opaque ({tools}): what they do by themselves shows `paver plan --opaque`"
    yield from _where(plan)


def _where(plan: Plan) -> Iterator[str]:
    """Yields what the plan touches, and from where: what nobody should have to ask."""
    acts = [action for action in plan.pending if action.verb is not Verb.BLOCKED]
    touched = dict.fromkeys(
        name for action in acts for name in (action.endpoint, *action.also) if name not in {"store", "files"}
    )
    if touched:
        yield f" touches {', '.join(_place(name) for name in touched)}; nothing else is written to"
    by_station: dict[str, list[str]] = {}
    for action in acts:
        phases = by_station.setdefault(action.station, [])
        if action.phase not in phases:
            phases.append(action.phase)
    if len(by_station) > 1:
        yield " " + "; ".join(f"{_station(name)}: {', '.join(names)}" for name, names in by_station.items())


def _station(name: str) -> str:
    return "from here" if name == "outside" else "on the jumpbox, handed over"


def _place(endpoint: str) -> str:
    return endpoint.partition(":")[2] or endpoint


def _unknowns(action: Action) -> int:
    return sum(1 for value in action.planned.values() if _unknown(value))


def _unknown(value: Json) -> bool:
    return isinstance(value, dict) and "unknown" in value
