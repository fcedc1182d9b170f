"""How an image was built, as an in-toto statement with SLSA's provenance (v1): out of what, by what, as what. Pure.

It has no time and no number of a run in it: who builds the same gets the same statement. It is signed with all else
that is published, by the signature over the sums.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from paver.errors import BadInput
from paver.image import sbom
from paver.image.bill import Bill

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD = "urn:paver:image-build:1"
BUILDER = "urn:paver:image-builder"


def statement(
    subjects: Mapping[str, str],
    bill: Bill,
    details: sbom.Details,
    *,
    inputs: Mapping[str, str],
    parameters: Mapping[str, str | int],
) -> bytes:
    """Returns the statement.

    Args:
        subjects: SHA-256 by the name of each file that was made.
        bill: what went into it.
        details: what is known beside.
        inputs: SHA-256 of what else decided what comes out, by name: content, lock, sources.
        parameters: what the build was told.
    """
    materials = [{"digest": {"sha256": digest}, "name": name} for name, digest in sorted(inputs.items())]
    for item in bill.items:
        url = sbom.purl(item, details) or f"urn:paver:program:{item.name}"
        materials.append({"digest": {"sha256": item.sha256}, "name": item.name, "uri": url})
    document = {
        "_type": STATEMENT,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": dict(parameters),
                "internalParameters": {"sourceDateEpoch": details.epoch},
                "resolvedDependencies": materials,
            },
            "runDetails": {"builder": {"id": BUILDER, "version": {"paver": bill.version}}},
        },
        "predicateType": PREDICATE,
        "subject": [
            {"digest": {"sha256": digest}, "name": name} for name, digest in sorted(subjects.items())
        ],
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def subjects(data: bytes, name: str) -> dict[str, str]:
    """Returns SHA-256 by name of the files that the statement `data` is about; `name` stands for it in errors.

    Raises:
        BadInput: it is no statement of how something was built.
    """
    return _read(data, name, lambda document: _digests(document["subject"]))


def inputs(data: bytes, name: str) -> dict[str, str]:
    """Returns SHA-256 by name of what decided what came out without being a part of it: content, locks, sources.

    Raises:
        BadInput: it is no statement of how something was built.
    """

    def found(document: Any) -> dict[str, str]:
        all_ = document["predicate"]["buildDefinition"]["resolvedDependencies"]
        return _digests([each for each in all_ if "uri" not in each])

    return _read(data, name, found)


def _digests(rows: Any) -> dict[str, str]:
    return {str(each["name"]): str(each["digest"]["sha256"]) for each in rows}


def _read(data: bytes, name: str, found: Callable[[Any], dict[str, str]]) -> dict[str, str]:
    try:
        document: Any = json.loads(data)
        if document["_type"] != STATEMENT or document["predicateType"] != PREDICATE:
            raise BadInput(
                f"{name} is no provenance", seen=f"{document['_type']}, {document['predicateType']}"
            )
        return found(document)
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise BadInput(f"{name} is no provenance", seen=f"{type(error).__name__}: {error}"[:200]) from error
