"""Passwords under named policies: made, and checked without showing them.

    vcenter         the intersection of what vCenter's installer, appliance and SSO take: 8 to 20 characters
    generic         for what has no rules of its own; letters and digits only, so that no tool misreads it
    s3              an S3 secret key: 8 to 40 characters (MinIO's bounds), and none that a shell takes for its own
    s3-access-key   an S3 access key: 3 to 20 upper-case letters and digits
    registry        for what the registry's release writes as it is into YAML and nginx's list of passwords

What is made is stricter than what is accepted: no look-alikes (0 O 1 l I), since such a password may be typed from
paper at a console; a letter first, since tools take `-`, `=` and `!` at the beginning for something else; no
character twice in a row, since SSO limits that.
"""

from __future__ import annotations

import itertools
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from paver.errors import BadInput
from paver.sealed.secret import SecretValue

_LOOK_ALIKES = "0O1lI"


def _without_look_alikes(characters: str) -> str:
    return "".join(character for character in characters if character not in _LOOK_ALIKES)


_UPPER = _without_look_alikes(string.ascii_uppercase)
_LOWER = _without_look_alikes(string.ascii_lowercase)
_DIGITS = _without_look_alikes(string.digits)


@dataclass(frozen=True)
class Policy:
    """What a password must be.

    Fields:
        minimum, maximum: its length.
        classes: of each of these at least one, by name; the accepted characters of that class.
        forbidden: characters that it may not have; others must be visible ASCII.
        because: why not, where its user does not say so by itself.
        length: of those that are made.
        made_of: the characters of those that are made, at least one of each group.
        in_a_row: how often the same character may stand in a row; None: as often as it likes.
    """

    minimum: int
    maximum: int
    length: int
    made_of: tuple[str, ...]
    classes: Mapping[str, str]
    forbidden: str = ""
    because: str = ""
    in_a_row: int | None = None


_VCENTER_FORBIDDEN = "*{}[]()/\\'\"`~,;:.<>"
_CLASSES = MappingProxyType(
    {
        "upper-case letter": string.ascii_uppercase,
        "lower-case letter": string.ascii_lowercase,
        "digit": string.digits,
    }
)

POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "vcenter": Policy(
            minimum=8,
            maximum=20,
            length=20,
            # Of the special characters only such as no shell, YAML, XML or URL gives a meaning to in the middle.
            made_of=(_UPPER, _LOWER, _DIGITS, "!+=?^"),
            classes=MappingProxyType(
                {
                    **_CLASSES,
                    "special character": "".join(
                        character for character in string.punctuation if character not in _VCENTER_FORBIDDEN
                    ),
                }
            ),
            forbidden=_VCENTER_FORBIDDEN,
            in_a_row=3,
        ),
        "generic": Policy(
            minimum=12,
            maximum=128,
            length=32,
            made_of=(_UPPER, _LOWER, _DIGITS),
            classes=MappingProxyType({}),
        ),
        "s3": Policy(
            minimum=8,
            maximum=40,
            length=40,
            made_of=(_UPPER, _LOWER, _DIGITS),
            classes=MappingProxyType({}),
            # The release has bash export the root's between double quotes, as it is given: minio/bosh-minio-release,
            # jobs/minio-server/templates/ctl.erb.
            forbidden='"$\\`',
            because="of which the script that starts MinIO on its VM makes another password, or a command",
        ),
        "registry": Policy(
            minimum=12,
            maximum=128,
            length=32,
            made_of=(_UPPER, _LOWER, _DIGITS),
            classes=MappingProxyType({}),
            # The password goes as `admin:{PLAIN}<it>` into a file that nginx reads up to the next colon
            # (ngx_http_auth_basic_module.c), the cookie as `secret: <it>` into YAML:
            # cloudfoundry-community/docker-registry-boshrelease, jobs/proxy/templates/config/auth/registry.erb and
            # jobs/registry/templates/config/registry.conf. Most are of a meaning at the beginning only.
            forbidden=":#\"'&*!|>%@`{}[],",
            because="of which nginx or YAML on the registry's VM makes something else",
        ),
        "s3-access-key": Policy(
            minimum=3,
            maximum=20,
            length=20,
            made_of=(_UPPER, _DIGITS),
            classes=MappingProxyType({}),
            forbidden=string.punctuation + string.ascii_lowercase,
        ),
    }
)


def generate(policy: str) -> SecretValue:
    """Returns a new random password that `policy` accepts.

    Raises:
        BadInput: there is no policy of that name.
    """
    rules = _rules(policy)
    alphabet = "".join(rules.made_of)
    letters = "".join(character for character in alphabet if character.isalpha())
    while True:
        # Drawn as a whole until it fits: so each one that fits is as likely as any other.
        drawn = secrets.choice(letters) + "".join(secrets.choice(alphabet) for _ in range(rules.length - 1))
        whole = all(set(group) & set(drawn) for group in rules.made_of)
        if whole and not any(drawn[at] == drawn[at - 1] for at in range(1, len(drawn))):
            return SecretValue(drawn)


def check(policy: str, value: SecretValue | str) -> list[str]:
    """Returns why `policy` refuses a password; empty if it doesn't. Never shows the password or a part of it.

    Raises:
        BadInput: there is no policy of that name.
    """
    rules = _rules(policy)
    password = value.reveal() if isinstance(value, SecretValue) else value
    reasons = []
    if not rules.minimum <= len(password) <= rules.maximum:
        reasons.append(
            f"it has {len(password)} characters, and {rules.minimum} to {rules.maximum} are allowed"
        )
    if not all("!" <= character <= "~" for character in password):
        reasons.append("it has a space, or a character that is not visible ASCII")
    if set(password) & set(rules.forbidden):
        because = f", {rules.because}" if rules.because else ""
        reasons.append(f"it has one of the characters {' '.join(rules.forbidden)}{because}")
    reasons += [
        f"it has no {name}"
        for name, characters in rules.classes.items()
        if not set(password) & set(characters)
    ]
    if rules.in_a_row and any(len([*same]) > rules.in_a_row for _, same in itertools.groupby(password)):
        reasons.append(f"it has a character more than {rules.in_a_row} times in a row")
    return reasons


def _rules(policy: str) -> Policy:
    if policy not in POLICIES:
        raise BadInput(f"{policy[:40]!r} is no policy for passwords", do=f"one of {', '.join(POLICIES)}")
    return POLICIES[policy]
