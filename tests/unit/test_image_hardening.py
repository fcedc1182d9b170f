"""lynis' report held against the reasons: a finding without one fails, a reason without a finding is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from paver.errors import BadInput
from paver.image import hardening

REPORT = """\
# Lynis Report
report_version_major=1
lynis_version=3.1.4
warning[]=FIRE-4512|iptables module(s) loaded, but no rules active|-|-|
suggestion[]=SSH-7408|Consider hardening SSH configuration|AllowTcpForwarding (set YES to NO)|-|
suggestion[]=SSH-7408|Consider hardening SSH configuration|MaxSessions (set 100 to 2)|-|
suggestion[]=SSH-7408|Consider hardening SSH configuration|MaxSessions (set 100 to 2)|-|
hardening_index=81
"""
REASONS = {
    "FIRE-4512": "nftables has the rules, lynis asks iptables",
    "SSH-7408 AllowTcpForwarding (set YES to NO)": "the main job goes through this machine",
    "SSH-7408 MaxSessions (set 100 to 2)": "the main job opens many at once",
}


def test_a_report_is_read_with_its_index_and_each_finding_once() -> None:
    found = hardening.loads(REPORT)
    assert (found.index, found.version) == (81, "3.1.4")
    assert [str(one) for one in found.findings] == [
        "FIRE-4512: iptables module(s) loaded, but no rules active",
        "SSH-7408: Consider hardening SSH configuration (AllowTcpForwarding (set YES to NO))",
        "SSH-7408: Consider hardening SSH configuration (MaxSessions (set 100 to 2))",
    ]


def unexplained(accepted: dict[str, str]) -> list[str]:
    return [str(finding) for finding, why in hardening.table(hardening.loads(REPORT), accepted) if not why]


def test_findings_that_all_have_reasons_pass() -> None:
    assert unexplained(REASONS) == []


@pytest.mark.parametrize("name", list(REASONS))
def test_a_finding_without_a_reason_is_told_from_those_that_have_one(name: str) -> None:
    left = {key: reason for key, reason in REASONS.items() if key != name}
    (lacking,) = unexplained(left)
    assert name.partition(" ")[0] in lacking


def test_a_reason_for_a_test_explains_all_of_its_findings_and_is_not_stale() -> None:
    accepted = {"FIRE-4512": "a reason it is", "SSH-7408": "a reason it is"}
    assert unexplained(accepted) == []
    assert hardening.stale(hardening.loads(REPORT), accepted) == []


def test_a_reason_whose_finding_went_away_is_named() -> None:
    old = {**REASONS, "AUTH-9262": "it was there once", "SSH-7408 Port": "it was there once"}
    assert hardening.stale(hardening.loads(REPORT), old) == ["AUTH-9262", "SSH-7408 Port"]


@pytest.mark.parametrize("text", ["", REPORT.replace("hardening_index=81\n", ""), "hardening_index=many\n"])
def test_a_report_that_was_cut_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="no whole report"):
        hardening.loads(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("paver.hardening: 1\naccepted: {A: no}\nskipped: {}\n", "A has no reason"),
        ("paver.hardening: 1\naccepted: {A: }\nskipped: {}\n", "A has no reason"),
        ("paver.hardening: 1\naccepted: {}\nskipped: {B: slow}\n", "B has no reason"),
        ("paver.hardening: 2\naccepted: {}\nskipped: {}\n", "not of the form"),
        ("paver.hardening: 1\naccepted: {}\n", "not of the form"),
        ("paver.hardening: 1\naccepted: {}\nskipped: {}\nmore: 1\n", "not of the form"),
        ("paver.hardening: 1\naccepted: []\nskipped: {}\n", "accepted is no mapping"),
        ("paver.hardening: 1\naccepted: {}\nskipped: []\n", "skipped is no mapping"),
        ("a: [", "can't be read"),
    ],
)
def test_reasons_that_are_none_are_refused(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        hardening.reasons(text)


def test_every_reason_of_this_tree_can_be_read() -> None:
    found = hardening.reasons((Path(__file__).parents[2] / hardening.FILE).read_text())
    assert "SSH-7408 AllowTcpForwarding (set YES to NO)" in found.accepted
    assert "CRYP-7902" in found.skipped
    assert not found.accepted.keys() & found.skipped.keys()
