"""What the site file's `adopt` means for a plan: a foreign thing of the same name may become the site's.

It gets the site's mark and is made as it is wished, in place; where it cannot be, the plan is blocked: what others made is
never deleted to be made anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from paver.engine.diff import Change
from paver.engine.paved import Paved
from paver.engine.resource import Resource, Verb
from paver.engine.values import kind_of
from paver.errors import BadInput


def allowed(paved: Paved, ids: Iterable[str]) -> Paved:
    """Returns the wish with those resources that may take over what stands there already.

    Raises:
        BadInput: if the site has no such resource, or nothing of its kind can become somebody's later.
    """
    wanted = frozenset(ids)
    by_id = {str(resource.id): resource for resource in paved.resources}
    for id_ in sorted(wanted):
        found = by_id.get(id_)
        if found is None:
            alike = sorted(one for one in by_id if kind_of(one) == kind_of(id_))
            raise BadInput(
                f"adopt: this site has no {id_}",
                seen=("it has " + ", ".join(alike[:5])) if alike else "",
                do="correct it: `paver plan --ids` shows the ids, or take the entry out",
            )
        if found.setting or not (found.calls.get(Verb.UPDATE) or found.calls.get(Verb.ADOPT)):
            why = (
                "a setting is set whatever it was, and put back when the site goes"
                if found.setting
                else "there is none that others could have made"
            )
            raise BadInput(f"adopt: {id_}: no {found.kind} is adopted", why=why, do="take the entry out")
    resources = tuple(
        dataclasses.replace(one, adopt=True) if str(one.id) in wanted else one for one in paved.resources
    )
    return dataclasses.replace(paved, resources=resources)


def hindrance(resource: Resource[Any], changed: Iterable[Change]) -> str:
    """Returns why a foreign thing cannot be made what is wished; empty if it can."""
    fields = [one.field for one in changed if one.field in resource.replaces and not one.unknown]
    if not fields:
        return ""
    return f"it cannot be adopted: {', '.join(fields)} cannot change in place"
