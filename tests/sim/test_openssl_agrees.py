"""openssl and ssh-keygen are the judges of the certificates and keys that paver makes."""

import datetime as dt
import subprocess
from pathlib import Path

import pytest

from paver.sealed.secret import SecretValue
from paver.trust import authority, ssh_keys

NOW = dt.datetime.now(dt.UTC)


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def written(path: Path, text: str | SecretValue) -> str:
    path.touch(mode=0o600)
    path.write_text(text.reveal() if isinstance(text, SecretValue) else text)
    return str(path)


@pytest.mark.parametrize("algorithm", ["rsa", "rsa-4096", "ec"])
def test_openssl_verifies_the_chain_by_the_strictest_rules(tmp_path: Path, algorithm: str) -> None:
    root = authority.new_authority("lab-north root", now=NOW, days=3650, algorithm=algorithm)
    made = authority.issue(
        root,
        common_name="director",
        dns=["director.north.example"],
        ip=["10.30.0.10"],
        now=NOW,
        days=365,
        algorithm="ec",
    )
    roots, leaf = (
        written(tmp_path / "root.pem", root.certificate),
        written(tmp_path / "leaf.pem", made.certificate),
    )
    for purpose in ("sslserver", "sslclient"):
        run("openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", roots, leaf)
    run("openssl", "verify", "-x509_strict", "-CAfile", roots, "-verify_ip", "10.30.0.10", leaf)
    run(
        "openssl",
        "verify",
        "-x509_strict",
        "-CAfile",
        roots,
        "-verify_hostname",
        "director.north.example",
        leaf,
    )
    shown = run("openssl", "x509", "-in", leaf, "-noout", "-fingerprint", "-sha256", "-enddate")
    assert made.statement.fingerprint.removeprefix("sha256:").upper() in shown
    assert f"{made.statement.not_after:%b %e %H:%M:%S %Y} GMT" in shown


def test_openssl_reads_the_rsa_key_as_pkcs_1_and_finds_it_sound(tmp_path: Path) -> None:
    root = authority.new_authority("root", now=NOW, days=10)
    key = written(tmp_path / "root.key", root.private_key)
    assert "RSA key ok" in run("openssl", "rsa", "-in", key, "-check", "-noout")
    again = run("openssl", "rsa", "-in", key, "-traditional")
    assert again == root.private_key.reveal()
    certificate = written(tmp_path / "root.pem", root.certificate)
    assert run("openssl", "rsa", "-in", key, "-pubout") == run(
        "openssl", "x509", "-in", certificate, "-pubkey", "-noout"
    )


@pytest.mark.parametrize("algorithm", ssh_keys.ALGORITHMS)
def test_ssh_keygen_reads_the_pair(tmp_path: Path, algorithm: str) -> None:
    pair = ssh_keys.new_key_pair(algorithm, comment="paver@lab-north")
    key = written(tmp_path / "id", pair.private_key)
    assert run("ssh-keygen", "-y", "-f", key).split()[:2] == pair.public_key.split()[:2]
    line = written(tmp_path / "line.pub", pair.public_key + "\n")
    assert pair.fingerprint in run("ssh-keygen", "-l", "-f", line)
