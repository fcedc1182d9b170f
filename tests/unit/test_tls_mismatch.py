"""What is said where a server shows another certificate than the one that was expected."""

from __future__ import annotations

from paver.transport import tls

SEEN = "sha256:57:db"


def test_another_certificate_than_the_pinned_one_is_told_as_such() -> None:
    error = tls.mismatch("pear", expected="sha256:9f:3c", seen=SEEN)
    assert error.what == "pear shows another certificate than the one that is pinned"
    assert error.exit_code == 4


def test_a_pin_of_zeros_is_told_as_the_placeholder_that_it_is() -> None:
    error = tls.mismatch("pear", expected="sha256:" + ":".join(["00"] * 32), seen=SEEN)
    assert error.what == "pear is not pinned yet: its fingerprint in the site file is a placeholder"
    assert "paver preflight --show-pins" in "\n".join(error.lines())
    assert SEEN in "\n".join(error.lines())
    assert error.exit_code == 4
