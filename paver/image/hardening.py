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


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A report against the reasons.

    Attributes:
        unexplained: findings without a reason.
        stale: reasons for what is not found any more.
    """

    unexplained: tuple[Finding, ...]
    stale: tuple[str, ...]


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


def reasons(text: str) -> Mapping[str, str]:
    """Returns the reasons in `ova/hardening.yml`, by `TEST` or `TEST details`.

    Raises:
        BadInput: it is not what it should be, or a finding has no reason.
    """
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"{FILE} can't be read", why=" ".join(str(error).split())) from error
    if (
        not isinstance(found, dict)
        or found.get("paver.hardening") != 1
        or set(found) != {"paver.hardening", "accepted"}
    ):
        raise BadInput(f"{FILE} is not of the form paver.hardening: 1, accepted: {{TEST: reason}}")
    accepted = found["accepted"]
    if not isinstance(accepted, dict):
        raise BadInput(f"{FILE}: accepted is no mapping")
    for test, reason in accepted.items():
        if not isinstance(reason, str) or len(reason.split()) < 3:
            raise BadInput(f"{FILE}: {test} has no reason", do="say in a sentence why the finding stands")
    return {str(test): reason for test, reason in accepted.items()}


def judge(report: Report, accepted: Mapping[str, str]) -> Judgement:
    """Holds a report to the reasons: one without details explains every finding of its test."""
    used = set()
    unexplained = []
    for finding in report.findings:
        names = [f"{finding.test} {finding.details}", finding.test]
        name = next((name for name in names if name in accepted), None)
        if name is None:
            unexplained.append(finding)
        else:
            used.add(name)
    return Judgement(tuple(unexplained), tuple(sorted(set(accepted) - used)))


def require(report: Report, accepted: Mapping[str, str]) -> None:
    """Does nothing if every finding has a reason.

    Raises:
        BadInput: one has none.
    """
    found = judge(report, accepted)
    if found.unexplained:
        raise BadInput(
            f"lynis {report.version} finds {len(found.unexplained)} things in the image that have no reason",
            seen="\n".join(map(str, found.unexplained)),
            do=f"mend them, or say in {FILE} why they stand",
        )


def table(report: Report, accepted: Mapping[str, str]) -> Sequence[tuple[str, str, str]]:
    """Returns a row for each finding: test, what it says, why it stands."""
    rows = []
    for finding in report.findings:
        why = accepted.get(f"{finding.test} {finding.details}") or accepted.get(finding.test) or "no reason"
        said = f"{finding.text}{f' ({finding.details})' if finding.details else ''}"
        rows.append((finding.test, said, why))
    return rows
