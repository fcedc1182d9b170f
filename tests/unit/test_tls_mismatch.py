"""What is said where a server shows another certificate than the one that was expected."""

from __future__ import annotations

import ssl

from cryptography.hazmat.primitives import serialization

from paver.lab import pki
from paver.transport import tls

PEM = serialization.Encoding.PEM
SEEN = "sha256:57:db"


def test_another_certificate_than_the_pinned_one_is_told_as_such() -> None:
    error = tls.mismatch("pear", expected="sha256:9f:3c", seen=SEEN)
    assert error.what == "pear shows another certificate than the one that is pinned"
    assert error.exit_code == 4


def test_a_sealed_store_that_is_behind_is_told_among_the_causes_with_where_the_newest_is_and_the_console_first() -> (
    None
):
    error = tls.mismatch("pear", expected="sha256:9f:3c", seen=SEEN)
    assert "the sealed store here is behind" in error.why
    assert error.do.startswith("compare it with the fingerprint on the server's own console")
    assert "/var/lib/paver/sites/<site>/site.sealed on the jumpbox" in error.do


def test_a_pin_of_zeros_is_told_as_the_placeholder_that_it_is() -> None:
    error = tls.mismatch("pear", expected="sha256:" + ":".join(["00"] * 32), seen=SEEN)
    assert error.what == "pear is not pinned yet: its fingerprint in the site file is a placeholder"
    assert "paver preflight --show-pins" in "\n".join(error.lines())
    assert SEEN in "\n".join(error.lines())
    assert error.exit_code == 4


def test_a_server_that_is_pinned_and_shows_a_certificate_of_no_known_root_is_told_by_its_fingerprints() -> (
    None
):
    """A host that vCenter had, installed anew: to trust another root would be the wrong advice."""
    root = pki.vmca("vsphere.local", "vcenter").certificate.public_bytes(PEM).decode()
    error = ssl.SSLCertVerificationError("refused")
    error.verify_code, error.verify_message = 18, "self-signed certificate"
    unpinned = (f"sha256:{'aa:' * 31}aa", f"sha256:{'bb:' * 31}bb")
    told = tls.explain(error, "esx-01", context=tls.ca_context(root, unpinned=unpinned))
    assert "another certificate than the one that is pinned" in told.what
    assert told.seen.split("\nexpected ") == [unpinned[1], unpinned[0]]
    assert "console" in told.do
    assert "extra_roots" in tls.explain(error, "s3", context=tls.ca_context(root)).do
