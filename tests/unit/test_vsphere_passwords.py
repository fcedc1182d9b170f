"""Passwords that vCenter would refuse are refused before its installer runs, and never repeated."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.drivers.vsphere import passwords


def test_a_good_password_has_no_faults() -> None:
    assert passwords.faults("Correct-Horse9") == ()


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("Ab1!xyz", "it must have 8 to 20 characters"),
        ("Ab1!" + "xy" * 9, "it must have 8 to 20 characters"),
        ("correct-horse9", "it lacks an upper-case letter"),
        ("CORRECT-HORSE9", "it lacks a lower-case letter"),
        ("Correct-Horse", "it lacks a digit"),
        ("CorrectHorse9", "it lacks one of !#$%&+-=?@^_|"),
        ("Correct Horse-9", "it holds a space or one of * { } [ ] ( ) / \\ ' \" ` ~ , ; : . < >"),
        ("Correct-Horse9999", "it holds a character more than 3 times in a row"),
        ("Correct-Hörse9", "it holds a character that isn't visible ASCII"),
    ],
)
def test_each_rule_is_named(password: str, fault: str) -> None:
    assert passwords.faults(password) == (fault,)


@pytest.mark.parametrize("forbidden", sorted("*{}[]()/\\'\"`~,;:.<> "))
def test_no_character_that_the_installer_stumbles_over_is_taken(forbidden: str) -> None:
    assert passwords.faults(f"Correct-Horse9{forbidden}")


def test_every_visible_character_is_either_taken_or_forbidden() -> None:
    taken = {c for c in string.printable.strip() if not passwords.faults(f"Correct-Horse9{c}")}
    assert taken == set(string.ascii_letters + string.digits + passwords.SPECIALS)


@given(st.text(alphabet=st.characters(min_codepoint=256), min_size=1))
def test_faults_never_repeat_the_password(password: str) -> None:
    assert not set(password) & set("".join(passwords.faults(password)))
