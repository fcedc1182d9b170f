"""The documents that `--json` prints, and a run's event lines: their formats, their schemas, the page that describes them.

`python -m paver.cli.documents > docs/reference/json.md` writes that page.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from paver.report.document_schema import Schema


class Document(NamedTuple):
    """A document.

    Attributes:
        printed_by: the commands that print it.
        made_of: its dataclass, `module:class`: named only, since all of them together load much.
        named: whether it bears its format's name itself.
    """

    printed_by: tuple[str, ...]
    made_of: str
    named: bool = True


DOCUMENTS = {
    "validate": Document(("paver validate --json",), "paver.sitefile.diagnostic:Validated"),
    "secrets": Document(("paver secrets list --json",), "paver.runs.holdings:Secrets"),
    "ports": Document(("paver ports --json",), "paver.runs.offers:Matrix"),
    "preflight": Document(("paver preflight --json",), "paver.runs.looking:Preflight"),
    "plan": Document(("paver plan --json",), "paver.engine.plan:Written"),
    "outcome": Document(
        (
            "paver apply --json",
            "paver destroy --json",
        ),
        "paver.runs.outcome:RunOutcome",
    ),
    "event": Document(
        ("paver apply --progress events", "paver follow --progress events"),
        "paver.runs.events:Happening",
        named=False,
    ),
    "status": Document(("paver status --json",), "paver.runs.standing:Status"),
    "verify": Document(("paver verify --json",), "paver.runs.verify:Verified"),
    "env": Document(("paver env --json",), "paver.runs.exports:Environment"),
    "labs": Document(("paver lab status --json",), "paver.lab.standing:Labs"),
    "lab": Document(("paver lab status --json --dir FOLDER",), "paver.lab.standing:Standing"),
    "image-verify": Document(("paver image verify FILE --json",), "paver.image.verify:Whole"),
    "image-diff": Document(("paver image diff OLD NEW --json",), "paver.image.diff:Difference"),
    "image-proof": Document(("paver image prove FILE --json",), "paver.image.prove.report:Report"),
    "drivers": Document(("paver drivers --json",), "paver.runs.installed:Drivers"),
    "version": Document(("paver version --json",), "paver.runs.versions:Versions"),
    "error": Document((), "paver.report.failure:Failure"),
}


CONTRACT = "contract"
"""Its schema is a file, since the contract is made from what the site's services are, by the same keys on any IaaS."""


def contract_schema() -> str:
    """Returns the contract's JSON Schema as it is published."""
    from importlib import resources  # noqa: PLC0415 - only here

    file = resources.files("paver.foundation.handover").joinpath("contract.schema.json")
    return file.read_text(encoding="utf-8")


def schema(name: str) -> Schema:
    """Returns the JSON Schema of the document `name`."""
    from paver.report import document_schema  # noqa: PLC0415 - the names alone are light

    if name == CONTRACT:
        contract: Schema = json.loads(contract_schema())
        return contract
    found = DOCUMENTS[name]
    module, _, kind = found.made_of.partition(":")
    loaded = importlib.import_module(module)
    return document_schema.schema(f"paver.{name}/1", getattr(loaded, kind), named=found.named)


_HEAD = """\
# What `--json` prints

Made from the data that paver prints by `python -m paver.cli.documents`; a test holds the two equal, and others hold what
each command prints to its schema.

Every command that reads something takes `--json`: standard output is one JSON document then (that of `paver plan` on one line, as
a plan file has it, the others indented), and what is told to people meanwhile goes to standard error. Its key `schema` names
its format: that of `paver.status/1` is what `paver schema --of status` prints, a JSON Schema (2020-12).

```
paver status --json > status.json
paver schema --of status > status.schema.json
check-jsonschema --schemafile status.schema.json status.json
```

`paver follow` has no document, since it tells a run while it goes on. With `--progress events` it, `paver apply` and `destroy`
print a line an event: `paver-event `, then JSON; where a run is handed over, the jumpbox's follow the event `handed-off`. Of a
run that is over, `events.jsonl` in its folder has them.

```
paver apply --yes --progress events | sed -n 's/^paver-event //p' | jq -r '[.what, .resource] | @tsv'
```

## What may be relied upon
As long as the number behind the format's name stays the same:

- No key goes away, and none gets another type or another meaning. Every key is always there; what is not known is `null` or
  empty.
- Keys may be added: let pass what you do not know, as the schemas do. A list of words (*one of …*) may get another word,
  which only a later paver's schema names.
- Words for people may read otherwise in any version: `says`, `seen`, `why`, `do`, `what` of an error, `message`, `advice`,
  `text`, `error`, `note`. Decide by exit codes, verbs, states, grades, ids.
- No document holds a secret's value but that of `paver env`, whose purpose that is.
- [Exit codes](exit-codes.md) are the same with `--json` and without.

A key that goes away, or means something else, makes it `/2`. [The contract](contract.md) has rules of its own, and
`paver contract` prints it as JSON without an option; `paver schema` alone prints the schema of [the site file](site-file.md).
[Formats](formats.md) lists the files that outlive a run.
"""


def page() -> str:
    """Returns the page that describes all documents."""
    return "\n".join([_HEAD, *(f"{section(name)}\n" for name in DOCUMENTS)])


def section(name: str) -> str:
    """Returns a document's part of the page."""
    return "\n".join(_section(name))


def _section(name: str) -> Iterator[str]:
    from paver.report import document_page  # noqa: PLC0415 - as above

    found = schema(name)
    printed = " and ".join(f"`{command}`" for command in _printed_by(name))
    yield f"## `{found['title']}`"
    said = found.get("description", "")
    yield " ".join(filter(None, (said, f"Printed by {printed}." if printed else "")))
    yield ""
    yield from document_page.table(found)


def _printed_by(name: str) -> tuple[str, ...]:
    return ("paver contract",) if name == CONTRACT else DOCUMENTS[name].printed_by


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
