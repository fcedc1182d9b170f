"""Passwords: what is made is accepted, and what vCenter would refuse is refused with the reason."""

import string

import pytest

from paver.errors import BadInput
from paver.sealed import passwords
from paver.sealed.secret import SecretValue


@pytest.mark.parametrize("policy", passwords.POLICIES)
def test_what_is_made_is_accepted_and_never_the_same(policy: str) -> None:
    made = [passwords.generate(policy).reveal() for _ in range(200)]
    assert len(set(made)) == 200
    for password in made:
        assert passwords.check(policy, password) == []
        assert password[0].isalpha()
        assert len(password) == passwords.POLICIES[policy].length
        assert not set(password) & set("0O1lI")


def test_what_is_made_for_vcenter_suits_the_other_policies_of_its_length() -> None:
    made = passwords.generate("vcenter")
    assert passwords.check("generic", made) == []


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("Aa1!aaa", "7 characters"),
        ("Aa1!" + "ab" * 8 + "a", "21 characters"),
        ("aa1!aaba", "no upper-case letter"),
        ("AA1!AABA", "no lower-case letter"),
        ("Aa!!aaba", "no digit"),
        ("Aa1aabaa", "no special character"),
        ("Aa1! aaba", "space"),
        ("Aa1!aaaa", "more than 3 times in a row"),
        ("Aa1!äaaa", "not visible ASCII"),
        ("Aa1!\naaa", "not visible ASCII"),
    ],
)
def test_vcenter_refuses_it_with_the_reason(password: str, reason: str) -> None:
    (said,) = passwords.check("vcenter", SecretValue(password))
    assert reason in said


@pytest.mark.parametrize("character", "*{}[]()/\\'\"`~,;:.<>")
def test_vcenter_refuses_every_character_of_the_installers_list(character: str) -> None:
    (said,) = passwords.check("vcenter", f"Aa1!aaa{character}")
    assert "one of the characters" in said


@pytest.mark.parametrize("character", "!#$%&+-=?@^_|")
def test_vcenter_takes_the_other_special_characters(character: str) -> None:
    assert passwords.check("vcenter", f"Aa1aaba{character}") == []


def test_for_vcenter_every_visible_character_is_either_taken_or_named_as_forbidden() -> None:
    visible = string.printable.strip()
    refused = {character for character in visible if passwords.check("vcenter", f"Aa1!aaba{character}")}
    assert refused == set(passwords.POLICIES["vcenter"].forbidden)


def test_all_reasons_come_at_once() -> None:
    assert len(passwords.check("vcenter", "")) == 5


@pytest.mark.parametrize("password", ["hunter2", "hunter2 (é)", "hunter2" * 100])
@pytest.mark.parametrize("policy", ["vcenter", "s3-access-key"])
def test_reasons_never_contain_the_password(policy: str, password: str) -> None:
    reasons = passwords.check(policy, password)
    assert reasons
    assert "hunter2" not in "".join(reasons)


@pytest.mark.parametrize(
    ("access_key", "fine"), [("ABCDEFGH23", True), ("abc", False), ("AB", False), ("A/B=C", False)]
)
def test_an_s3_access_key_is_upper_case_letters_and_digits(access_key: str, *, fine: bool) -> None:
    assert (passwords.check("s3-access-key", access_key) == []) is fine


@pytest.mark.parametrize("character", '"$\\`')
def test_an_s3_secret_key_has_nothing_that_the_shell_which_starts_minio_takes_for_its_own(
    character: str,
) -> None:
    (said,) = passwords.check("s3", f"Abcdefg{character}1")
    assert "one of the characters" in said
    assert "the script that starts MinIO" in said


def test_whatever_is_made_without_rules_of_its_own_the_registry_takes() -> None:
    ours, its = passwords.POLICIES["generic"], passwords.POLICIES["registry"]
    assert not set("".join(ours.made_of)) & set(its.forbidden)
    assert its.minimum <= ours.length <= its.maximum


def test_an_unknown_policy_lists_the_known_ones() -> None:
    for call in (lambda: passwords.generate("nt4"), lambda: passwords.check("nt4", "x")):
        with pytest.raises(BadInput) as caught:
            call()
        assert "vcenter" in caught.value.do
