"""Real TLS servers on loopback: the right certificate connects, every other one is refused with the reason."""

import contextlib
import datetime as dt
import hashlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from paver.errors import BadInput, Unobservable
from paver.transport import tls

NOW = dt.datetime.now(dt.UTC)
ADDRESSES = ["127.0.0.1", "127.0.0.2"]


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def issue(
    name: str,
    *,
    addresses: tuple[str, ...] = (),
    by: Issued | None = None,
    authority: bool = False,
    begin: int = -1,
    end: int = 30,
) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.DNSName(name), *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + dt.timedelta(days=begin))
        .not_valid_after(NOW + dt.timedelta(days=end))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(by.key if by else key, hashes.SHA256())
    )
    return Issued(certificate, key)


Serve = Callable[..., int]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a TLS server for an issued certificate on an address and returns its port."""
    with contextlib.ExitStack() as stack:

        def start(issued: Issued, address: str) -> int:
            file = tmp_path / f"{issued.certificate.serial_number}.pem"
            secret = issued.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            file.write_bytes(issued.pem.encode() + secret)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            listener = stack.enter_context(socket.create_server((address, 0)))
            thread = threading.Thread(target=accept, args=(listener, context))
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return int(listener.getsockname()[1])

        yield start


def accept(listener: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            # A client that refuses our certificate ends the handshake; the next one may not.
            with (
                connection,
                contextlib.suppress(OSError),
                context.wrap_socket(connection, server_side=True) as tls,
            ):
                tls.recv(1)


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_pinned_certificate_connects_whatever_its_name(serve: Serve, address: str) -> None:
    host = issue("localhost.localdomain")
    port = serve(host, address)
    seen = tls.fetch_certificate(address, port, timeout=30)
    assert seen == host.pem
    assert tls.handshake(address, port, tls.pinned_context(seen), timeout=30) == host.pem


@pytest.mark.parametrize("address", ADDRESSES)
def test_another_certificate_of_the_same_name_is_refused_also_on_localhost(
    serve: Serve, address: str
) -> None:
    right, wrong = issue("esx-01", addresses=(address,)), issue("esx-01", addresses=(address,))
    port = serve(wrong, address)
    with pytest.raises(tls.TrustError, match="esx-01 shows another certificate") as caught:
        tls.handshake(address, port, tls.pinned_context(right.pem), name="esx-01")
    assert tls.fingerprint(wrong.pem) in caught.value.seen
    assert f"expected {tls.fingerprint(right.pem)}" in caught.value.seen


def test_a_context_that_connected_once_still_refuses_the_wrong_server(serve: Serve) -> None:
    right, wrong = issue("esx-01"), issue("esx-02")
    context = tls.pinned_context(right.pem)
    tls.handshake("127.0.0.1", serve(right, "127.0.0.1"), context)
    with pytest.raises(tls.TrustError):
        tls.handshake("127.0.0.1", serve(wrong, "127.0.0.1"), context)
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_pin_holds_for_a_certificate_that_a_ca_issued_and_not_for_its_siblings(serve: Serve) -> None:
    root = issue("VMCA", authority=True)
    host, sibling = issue("esx-01", by=root), issue("esx-01", by=root)
    context = tls.pinned_context(host.pem)
    tls.handshake("127.0.0.2", serve(host, "127.0.0.2"), context)
    with pytest.raises(tls.TrustError, match="another certificate"):
        tls.handshake("127.0.0.2", serve(sibling, "127.0.0.2"), context)


def test_an_expired_pinned_certificate_says_that_it_has_expired(serve: Serve) -> None:
    host = issue("esx-01", begin=-30, end=-1)
    with pytest.raises(tls.TrustError, match="has expired") as caught:
        tls.handshake("127.0.0.1", serve(host, "127.0.0.1"), tls.pinned_context(host.pem))
    assert f"until {NOW - dt.timedelta(days=1):%Y-%m-%d}" in caught.value.seen


def test_a_certificate_of_the_future_says_that_a_clock_is_wrong(serve: Serve) -> None:
    host = issue("esx-01", begin=5)
    with pytest.raises(tls.TrustError, match="not valid yet"):
        tls.handshake("127.0.0.1", serve(host, "127.0.0.1"), tls.pinned_context(host.pem))


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_certificate_of_a_known_root_connects_by_its_name_and_by_its_address(
    serve: Serve, address: str
) -> None:
    root = issue("paver root", authority=True)
    port = serve(issue("director.north.example", addresses=(address,), by=root), address)
    context = tls.ca_context(root.pem + issue("another root", authority=True).pem)
    assert tls.handshake(address, port, context)
    assert tls.handshake(address, port, context, server_name="director.north.example")


def test_a_certificate_for_another_name_says_which_names_it_bears(serve: Serve) -> None:
    root = issue("VMCA", authority=True)
    port = serve(issue("vcsa.north.example", by=root), "127.0.0.1")
    context = tls.ca_context(root.pem)
    for asked in (None, "other.north.example"):
        with pytest.raises(tls.TrustError, match="for another name") as caught:
            tls.handshake("127.0.0.1", port, context, name="vCenter", server_name=asked)
        assert "for vcsa.north.example, until" in caught.value.seen


def test_a_certificate_of_an_unknown_root_is_refused_with_its_issuer(serve: Serve) -> None:
    port = serve(issue("s3", addresses=("127.0.0.1",), by=issue("foreign CA", authority=True)), "127.0.0.1")
    with pytest.raises(tls.TrustError, match="not issued by a root that is trusted") as caught:
        tls.handshake("127.0.0.1", port, tls.ca_context(issue("paver root", authority=True).pem))
    assert "issued by CN=foreign CA" in caught.value.seen


def test_a_root_of_the_same_name_with_another_key_is_refused(serve: Serve) -> None:
    port = serve(issue("s3", addresses=("127.0.0.1",), by=issue("root", authority=True)), "127.0.0.1")
    with pytest.raises(tls.TrustError):
        tls.handshake("127.0.0.1", port, tls.ca_context(issue("root", authority=True).pem))


def test_without_roots_nobody_is_trusted() -> None:
    for nothing in ("", "\n", "not a certificate"):
        with pytest.raises(tls.TrustError, match="no root is known"):
            tls.ca_context(nothing)


def talk_http(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")


def test_what_does_not_answer_or_speaks_no_tls_is_unobservable_and_not_untrusted() -> None:
    context = tls.pinned_context(issue("esx-01").pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        talker = threading.Thread(target=talk_http, args=(listener,))
        talker.start()
        with pytest.raises(Unobservable, match="esx-01"):
            tls.handshake("127.0.0.1", port, context, name="esx-01", timeout=5)
        talker.join()
    with pytest.raises(Unobservable, match="esx-01"):
        tls.handshake("127.0.0.1", port, context, name="esx-01", timeout=5)
    with pytest.raises(OSError, match=r"refused"):
        tls.fetch_certificate("127.0.0.1", port, timeout=5)


def test_fingerprints_are_written_as_consoles_show_them() -> None:
    host = issue("esx-01")
    der = host.certificate.public_bytes(serialization.Encoding.DER)
    sha1, sha256 = hashlib.sha1(der).hexdigest(), hashlib.sha256(der).hexdigest()  # noqa: S324
    assert tls.fingerprint(host.pem).replace(":", "") == "sha256" + sha256
    assert tls.thumbprint(host.pem).replace(":", "") == sha1.upper()
    assert tls.fingerprint(host.pem)[:13] == f"sha256:{sha256[:2]}:{sha256[2:4]}:"
    for printed in (
        tls.fingerprint(host.pem),
        tls.thumbprint(host.pem),
        sha256.upper(),
        sha1,
        f" SHA256:{sha256} ",
    ):
        tls.check_thumbprint(host.pem, printed, "esx-01")
        with pytest.raises(tls.TrustError, match="esx-01"):
            tls.check_thumbprint(issue("esx-01").pem, printed, "esx-01")


@pytest.mark.parametrize("printed", ["", "sha256:", "aa:bb", "z" * 64, "md5:" + "a" * 32])
def test_what_is_no_fingerprint_never_matches(printed: str) -> None:
    with pytest.raises(BadInput):
        tls.matches(issue("esx-01").pem, printed)


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "x",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        issue("a").pem + issue("b").pem,
    ],
)
def test_what_is_not_one_certificate_is_never_pinned(pem: str) -> None:
    with pytest.raises(BadInput):
        tls.pinned_context(pem)
