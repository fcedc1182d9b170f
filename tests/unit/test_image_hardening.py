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


def test_findings_that_all_have_reasons_pass() -> None:
    hardening.require(hardening.loads(REPORT), REASONS)


@pytest.mark.parametrize("name", list(REASONS))
def test_a_finding_without_a_reason_fails_and_is_named(name: str) -> None:
    left = {key: reason for key, reason in REASONS.items() if key != name}
    with pytest.raises(BadInput, match="1 things in the image that have no reason") as refused:
        hardening.require(hardening.loads(REPORT), left)
    assert name.partition(" ")[0] in refused.value.seen


def test_a_reason_for_a_test_explains_all_of_its_findings() -> None:
    found = hardening.judge(
        hardening.loads(REPORT), {"FIRE-4512": "a reason it is", "SSH-7408": "a reason it is"}
    )
    assert found == hardening.Judgement((), ())


def test_a_reason_whose_finding_went_away_is_named() -> None:
    found = hardening.judge(hardening.loads(REPORT), {**REASONS, "AUTH-9262": "it was there once"})
    assert found.stale == ("AUTH-9262",)


@pytest.mark.parametrize("text", ["", REPORT.replace("hardening_index=81\n", ""), "hardening_index=many\n"])
def test_a_report_that_was_cut_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="no whole report"):
        hardening.loads(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("paver.hardening: 1\naccepted: {A: no}\n", "A has no reason"),
        ("paver.hardening: 1\naccepted: {A: }\n", "A has no reason"),
        ("paver.hardening: 2\naccepted: {}\n", "not of the form"),
        ("paver.hardening: 1\naccepted: {}\nmore: 1\n", "not of the form"),
        ("paver.hardening: 1\naccepted: []\n", "no mapping"),
        ("a: [", "can't be read"),
    ],
)
def test_reasons_that_are_none_are_refused(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        hardening.reasons(text)


def test_the_table_says_of_each_finding_why_it_stands() -> None:
    rows = hardening.table(hardening.loads(REPORT), {"SSH-7408": "many at once"})
    assert [row[2] for row in rows] == ["no reason", "many at once", "many at once"]


def test_every_reason_of_this_tree_can_be_read() -> None:
    found = hardening.reasons((Path(__file__).parents[2] / hardening.FILE).read_text())
    assert "SSH-7408 AllowTcpForwarding (set YES to NO)" in found
