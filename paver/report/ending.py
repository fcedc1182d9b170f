"""What stands at the end of a run: what was made, how long it took, where things are, what to do next."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from paver.engine.plan import WRITES, Action, Plan
from paver.errors import GoesOn
from paver.report import words
from paver.runs.evidence import Evidence
from paver.runs.outcome import Ended

DONE = {
    "create": "created",
    "update": "changed",
    "replace": "replaced",
    "delete": "deleted",
    "adopt": "adopted",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ending:
    """One run at its end.

    Attributes:
        plan: what was promised.
        ended: how it ended.
        folder: of the run.
        seconds: how long it took.
        evidence: what the journals prove.
        page: the HTML report, if one was written.
        tools: programs that `paver env` leads to the site.
    """

    plan: Plan
    ended: Ended
    folder: Path
    seconds: float
    evidence: Evidence
    page: Path | None = None
    tools: tuple[str, ...] = ()

    @property
    def done(self) -> tuple[Action, ...]:
        """The actions that are done."""
        return tuple(
            action
            for action in self.plan.actions
            if action.verb in WRITES and action.resource in self.ended.done
        )

    @property
    def changed(self) -> tuple[Action, ...]:
        """Of the actions that are done, those that changed something: the others were found done."""
        return tuple(one for one in self.done if one.implied or one.resource in self.ended.acted)

    @property
    def whole(self) -> bool:
        """True if all of the plan is done."""
        return not self.ended.failed and not self.ended.left and self.ended.error is None

    def made(self) -> str:
        """Returns what was made, in numbers: `61 created, 4 changed`."""
        counts = {verb: sum(1 for action in self.changed if action.verb.value == verb) for verb in DONE}
        return ", ".join(f"{number} {DONE[verb]}" for verb, number in counts.items() if number) or "nothing"


def _split(ending: Ending) -> str:
    """Returns where it was made, and what was not made, since it was found done."""
    changed, parts = ending.changed, []
    here = sum(1 for action in changed if action.station == "outside")
    if len(ending.evidence.heads) > 1 and changed:
        parts += [f"{here} from here", f"{len(changed) - here} on the jumpbox"]
    if len(ending.done) > len(changed):
        parts.append(f"{len(ending.done) - len(changed)} found done already")
    return f"  ({', '.join(parts)})" if parts else ""


def ending_text(ending: Ending) -> Iterator[str]:
    """Yields the lines that end a run."""
    ended, plan = ending.ended, ending.plan
    goes_on = isinstance(ended.error, GoesOn)
    if goes_on:
        yield f"{plan.site}: goes on on the jumpbox; it was followed for {words.span(ending.seconds)}"
    else:
        how = "done" if ending.whole else "not all done"
        yield f"{plan.site}: {how} in {words.span(ending.seconds)}"
        yield f"  made      {ending.made()}{_split(ending)}"
    if ending.page is not None:
        yield f"  report    {ending.page}"
    yield f"  journal   {ending.folder / 'journal.jsonl'}"
    yield f"  its head  {ended.head}"
    if not ending.whole:
        if ended.left and not goes_on:
            first = next((one.resource for one in plan.actions if one.resource in ended.left), ended.left[0])
            yield f"  left      {words.plural(len(ended.left), 'action')}, the first {first}"
        return
    if plan.mode == "destroy" and plan.selection:
        yield "  next      paver plan --destroy  what is left of the whole site"
        return
    if plan.mode == "destroy":
        yield "  kept      the journals and the sealed store"
        yield "  next      paver secrets list    what is in the store still"
        yield "            paver status          what it would take to pave the site anew"
        return
    if plan.selection:
        yield "  next      paver plan            what is left of the whole site"
        yield "            paver status          how it stands, the ways in, the passwords"
        return
    if any(a.kind == "contract.document" for a in plan.actions):
        yield "  contract  `paver contract` prints it"
    yield "  next      paver status          how it stands, the ways in, the passwords"
    yield f'            eval "$(paver env)"   {", ".join(ending.tools)}'.rstrip()
    yield "            paver verify          prove it all again"
