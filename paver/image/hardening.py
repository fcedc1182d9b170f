"""What lynis finds in the image, held against the findings that were looked at: each of those has a reason.

lynis writes its report as `key[]=test|text|details|solution|` lines (`lynis-report.dat`, version 1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from paver.errors import BadInput

FILE = Path("ova") / "hardening.yml"
_GRADES = ("warning", "suggestion")


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """One line of the report.

    Attributes:
        test: lynis' name of the test, `SSH-7408`.
        grade: `warning` or `suggestion`.
        text: what it says.
        details: what it says it of, or nothing.
    """

    test: str
    grade: str
    text: str
    details: str = ""

    def __str__(self) -> str:
        return f"{self.test}: {self.text}{f' ({self.details})' if self.details else ''}"


@dataclasses.dataclass(frozen=True)
class Report:
    """What lynis found.

    Attributes:
        index: its hardening index, 0 to 100.
        version: lynis'.
        findings: warnings and suggestions, sorted.
    """

    index: int
    version: str
    findings: tuple[Finding, ...]


def loads(text: str) -> Report:
    """Returns what stands in a `lynis-report.dat`.

    Raises:
        BadInput: it is none, or was cut before its end.
    """
    values: dict[str, str] = {}
    findings = []
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        grade = name.removesuffix("[]")
        if equals and grade in _GRADES:
            parts = [*(part.strip() for part in value.split("|")), "", ""]
            findings.append(Finding(parts[0], grade, parts[1], "" if parts[2] == "-" else parts[2]))
        elif equals:
            values[name] = value.strip()
    try:
        # Written last: a run that was cut has none.
        index = int(values["hardening_index"])
    except (KeyError, ValueError):
        raise BadInput(
            "this is no whole report of lynis",
            why="it has no hardening_index, which lynis writes at its end",
            do="run `lynis audit system --quick` to its end as root, and take /var/log/lynis-report.dat",
        ) from None
    return Report(index, values.get("lynis_version", "?"), tuple(sorted(set(findings))))


@dataclasses.dataclass(frozen=True)
class Reasons:
    """What stands in `ova/hardening.yml`: why findings stand, by `TEST` or `TEST details`; why tests are not run, by `TEST`."""

    accepted: Mapping[str, str]
    skipped: Mapping[str, str]


def reasons(text: str) -> Reasons:
    """Returns the reasons in `ova/hardening.yml`.

    Raises:
        BadInput: it is not what it should be, or something has no reason.
    """
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"{FILE} can't be read", why=" ".join(str(error).split())) from error
    parts = {"accepted", "skipped"}
    if (
        not isinstance(found, dict)
        or found.get("paver.hardening") != 1
        or set(found) != {"paver.hardening", *parts}
    ):
        raise BadInput(
            f"{FILE} is not of the form paver.hardening: 1, accepted: {{TEST: reason}}, skipped: {{TEST: reason}}"
        )
    for part in sorted(parts):
        if not isinstance(found[part], dict):
            raise BadInput(f"{FILE}: {part} is no mapping")
        for test, reason in found[part].items():
            if not isinstance(reason, str) or len(reason.split()) < 3:
                raise BadInput(f"{FILE}: {test} has no reason", do="say in a sentence why")
    return Reasons(*({str(test): reason for test, reason in found[part].items()} for part in sorted(parts)))


def table(report: Report, accepted: Mapping[str, str]) -> Sequence[tuple[Finding, str]]:
    """Returns each finding with its reason, or nothing where it has none; one without details explains all of its test."""
    rows = []
    for finding in report.findings:
        why = accepted.get(f"{finding.test} {finding.details}") or accepted.get(finding.test) or ""
        rows.append((finding, why))
    return rows


def stale(report: Report, accepted: Mapping[str, str]) -> Sequence[str]:
    """Returns what reasons are given for and is not found any more."""
    found = {name for each in report.findings for name in (each.test, f"{each.test} {each.details}")}
    return sorted(set(accepted) - found)
