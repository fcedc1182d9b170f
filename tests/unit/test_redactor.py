"""The redactor: no form of a secret stays in a text, whole or in pieces, and the rest of the text does."""

import base64
import html
import itertools
import json
import shlex
import urllib.parse
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.sealed.redact import REDACTED, Redactor
from paver.sealed.secret import SecretValue

SECRET = 'p@ss/w<rd+"ü"=\'x&'
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join(base64.b64encode(bytes([n]) * 48).decode() for n in range(4))
    + "\n-----END PRIVATE KEY-----\n"
)


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        escape(SECRET),
        quoteattr(SECRET + "\"'"),
        html.escape(SECRET),
        shlex.quote(SECRET),
        repr(SECRET),
        urllib.parse.quote(SECRET),
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote_plus(SECRET),
        urllib.parse.urlencode({"password": SECRET}),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
    ],
)
def test_every_way_of_writing_a_secret_is_found(written: str) -> None:
    shown = Redactor([SecretValue(SECRET)]).redact(f"before {written} after")
    assert REDACTED in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    for part in ("p@ss", "w<rd", "ss/w", "w&lt;rd", "cEBzcy93"):
        assert part not in shown


@given(before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_a_secret_inside_of_a_longer_base64_text_is_found(before: bytes, after: bytes) -> None:
    secret = "correct-horse"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = Redactor([secret]).redact(encode(before + secret.encode() + after).decode())
        padded = shown.replace(REDACTED, "")
        assert REDACTED in shown
        assert len(padded) <= len(encode(before + after)) + 4


def test_a_private_key_is_found_whole_line_by_line_and_escaped() -> None:
    redactor = Redactor([PEM])
    assert redactor.redact(f"key: {PEM}") == f"key: {REDACTED}"
    assert base64.b64encode(bytes([1]) * 48).decode() not in redactor.redact(
        "\n".join("    | " + line for line in PEM.splitlines())
    )
    assert redactor.redact(json.dumps({"key": PEM})) == json.dumps({"key": REDACTED})


def test_the_longest_of_several_secrets_is_taken() -> None:
    assert (
        Redactor(["hunter2", "hunter2-longer"]).redact("hunter2-longer hunter2") == f"{REDACTED} {REDACTED}"
    )


def test_text_without_secrets_stays_as_it_is() -> None:
    text = "Uploading disk-1.vmdk 412/612 MB\n" * 3
    assert Redactor([SECRET, PEM]).redact(text) == text
    assert Redactor([]).redact(text) == text
    assert Redactor(["", "short", "\n"]).redact("short\n" + text) == "short\n" + text


def test_the_redactor_does_not_show_what_it_knows() -> None:
    assert "p@ss" not in repr(Redactor([SECRET]))


def test_a_stream_shows_at_once_what_cannot_be_a_secret() -> None:
    stream = Redactor(["hunter2-longer"]).stream()
    assert stream.feed("50 % done\n") == "50 % done\n"
    assert stream.feed("password hun") == "password "
    assert stream.feed("ger\n") == "hunger\n"
    assert stream.feed("hunter2-") == ""
    assert stream.feed("longer, done") == f"{REDACTED}, done"
    assert stream.feed("hunt") == ""
    assert stream.flush() == "hunt"


ALPHABET = st.text("abAB", max_size=60)


@given(
    secrets=st.lists(st.text("abAB", min_size=6, max_size=9), max_size=4),
    text=ALPHABET,
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_a_stream_cut_anywhere_shows_what_the_whole_text_shows(
    secrets: list[str], text: str, cuts: list[int]
) -> None:
    redactor = Redactor(secrets)
    bounds = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[start:end] for start, end in itertools.pairwise(bounds)]
    assert "".join(redactor.lines(pieces)) == redactor.redact(text)


@given(
    secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=20).filter(
        lambda text: text not in REDACTED and text == text.strip()
    ),
    before=ALPHABET,
    after=ALPHABET,
)
def test_no_secret_stays_in_any_text(secret: str, before: str, after: str) -> None:
    shown = Redactor([secret]).redact(before + secret + after)
    assert secret not in shown.replace(REDACTED, "")
