"""HTTP sessions against a small HTTPS server, and S3 sessions against the real MinIO."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gzip
import http.server
import itertools
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from paver.driver import Endpoint, Mark, Secret, resource_id
from paver.engine.diff import changes
from paver.errors import Refused, Unobservable, Unreachable
from paver.foundation import record
from paver.foundation.handover.proofs import KEY, ObjectStoreProof, ProofFacts
from paver.foundation.object_store.bucket import Bucket
from paver.foundation.object_store.user import StoreUser, StoreUserFacts
from paver.lab import build, pki
from paver.transport import http_auth, tls
from paver.transport.context import Timeouts, Wire
from paver.transport.http import (
    Basic,
    ClientCredentials,
    HttpConnection,
    HttpConnector,
    HttpError,
    HttpWriter,
    PasswordGrant,
)
from paver.transport.http_auth import Auth, Bearer
from paver.transport.logins import LoginError
from paver.transport.retry import Retry
from paver.transport.s3 import S3Connector, S3Writer
from paver.transport.s3_errors import S3Error
from paver.transport.tunnel import ConnectProxy
from tests.support.killing import Connection as Faces
from tests.support.killing import Files, Moment
from tests.support.killing import Site as Room
from tests.support.ports import free_port
from tests.support.waiting import until

pytestmark = pytest.mark.lab

ADDRESS = "127.0.0.41"


@dataclasses.dataclass(frozen=True)
class Named:
    name: str


class Gate:
    """Lets everything pass and remembers it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, call: str, target: str = "", detail: object = None) -> None:
        del target, detail
        self.calls.append(call)


def pem(pair: pki.Pair) -> str:
    return pair.certificate.public_bytes(serialization.Encoding.PEM).decode()


class Api(http.server.BaseHTTPRequestHandler):
    """Answers as told; gives tokens that hold for one request only where that is asked."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, str, bytes]]
    busy: int
    tokens: int

    def _answer(self, status: int, body: bytes = b"{}", location: str = "") -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                self.wfile.write(b"x" * 65536)

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.rfile.closed:
                self.wfile.write(b"x")
                time.sleep(0.05)

    def _packed(self) -> None:
        body = gzip.compress(gzip.compress(bytes(1 << 20)))
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip, gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _handle(self) -> None:
        kind = type(self)
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Transfer-Encoding") == "chunked":
            raise AssertionError("a body of known size must not be chunked")
        body = self.rfile.read(length)
        proof = self.headers.get("Authorization", "")
        kind.seen.append((self.command, self.path, proof, body))
        if self.path == "/oauth/token":
            kind.tokens += 1
            self._answer(200, json.dumps({"access_token": f"t{kind.tokens}", "expires_in": 600}).encode())
        elif self.path == "/refusing":
            told = body + (base64.b64decode(proof[6:]) if proof.startswith("Basic ") else b"")
            right = b"right" in told or proof == "Bearer t"
            self._answer(200 if right else 401, b'{"access_token": "t"}')
        elif self.path == "/expired" and proof == "Bearer t1":
            self._answer(401)
        elif self.path == "/busy" and kind.busy:
            kind.busy -= 1
            self._answer(503)
        elif self.path == "/elsewhere":
            self._answer(302, location=f"https://{ADDRESS}:{self.server.server_port}/stolen")  # type: ignore[attr-defined]
        elif self.path == "/portal":
            self._answer(200, b"<html>please log in, hunter2</html>")
        elif self.path == "/endless":
            self._endless()
        elif self.path == "/drip":
            self._drip()
        elif self.path == "/packed":
            self._packed()
        elif self.path == "/none":
            self._answer(404)
        elif self.path.startswith("/bad"):
            self._answer(400, b'{"error": "no", "client_secret": "hunter2", "x": "y"}')
        else:
            self._answer(200, b'{"ok": true}')

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@dataclasses.dataclass(frozen=True)
class Served:
    port: int
    pair: pki.Pair
    api: type[Api]

    def connector(self, **changes: Any) -> HttpConnector:
        return dataclasses.replace(
            HttpConnector(
                name="director", base_url=f"https://{ADDRESS}:{self.port}", roots=(pem(self.pair),)
            ),
            **changes,
        )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    pair = pki.host("director.north.example", ADDRESS)
    certificate, key = pair.write(tmp_path, "api")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    api = type("OneApi", (Api,), {"seen": [], "busy": 0, "tokens": 0})
    server = http.server.ThreadingHTTPServer((ADDRESS, 0), api)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield Served(server.server_address[1], pair, api)
    server.shutdown()
    server.server_close()


def test_a_reading_face_gets_and_parses(served: Served) -> None:
    connection = served.connector(auth=Basic("admin", Named("p"))).connect(Wire(reveal=lambda _: "pw"))
    reader = connection.reader()
    assert reader.get("/info", params={"a": "b"}).json() == {"ok": True}
    assert reader.find("/none") is None
    assert not hasattr(reader, "post")
    assert served.api.seen[0][:3] == ("GET", "/info?a=b", "Basic YWRtaW46cHc=")
    connection.close()


def test_an_answer_that_drips_is_given_up_after_its_time(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By this clock ten seconds pass from one look to the next: the whole is late, and no single byte has to hurry.
    clock = SimpleNamespace(monotonic=itertools.count(step=10).__next__)
    monkeypatch.setattr(http_auth, "time", clock)
    connection = served.connector().connect(Wire(timeouts=Timeouts(answer=60)))
    with pytest.raises(
        Unobservable, match="director answered GET /drip, and its answer came to no end"
    ) as told:
        connection.reader().get("/drip")
    assert "bytes in 60 s" in told.value.seen
    connection.close()


def test_an_answer_that_unfolds_to_more_than_was_sent_is_refused(served: Served) -> None:
    connection = served.connector().connect(Wire())
    with pytest.raises(Unobservable, match="director answered GET /packed with something packed"):
        connection.reader().get("/packed")
    assert connection.reader().get("/info").json() == {"ok": True}
    connection.close()


def test_an_answer_without_an_end_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_auth, "MOST_BYTES", 1024 * 1024)
    connection = served.connector().connect(Wire())
    with pytest.raises(Unobservable, match="director answered GET /endless with more than 1 MiB"):
        connection.reader().get("/endless")
    assert connection.reader().get("/info").json() == {"ok": True}
    connection.close()


def test_a_page_in_place_of_a_token_is_told_and_not_shown(served: Served) -> None:
    auth = ClientCredentials(f"https://{ADDRESS}:{served.port}/portal", "client", Named("s"))
    connection = served.connector(auth=auth).connect(Wire(reveal=lambda _: "secret"))
    with pytest.raises(Unobservable, match="answered 200, and not with a token") as told:
        connection.reader().get("/info")
    assert "hunter2" not in " ".join(told.value.lines())
    connection.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_line_sends_nothing_to_read_by_a_method_that_may_write(served: Served, method: str) -> None:
    connection = served.connector().connect(Wire())
    with pytest.raises(Refused, match=f"{method} /other on .* was refused"):
        connection.reader()._line.read(method, "/other", json={})
    assert served.api.seen == []
    connection.close()


def test_a_write_passes_the_gate_by_its_template(served: Served) -> None:
    gate = Gate()
    connection = served.connector().connect(Wire())
    writer = connection.writer(gate)
    writer.put("/teams/main?x=1", call="PUT /teams/:team", json={})
    writer.delete("/releases/x")
    assert gate.calls == ["PUT /teams/:team", "DELETE /releases/x"]

    def refuse(call: str, target: str = "", detail: object = None) -> None:
        del target, detail
        raise Refused(call)

    with pytest.raises(Refused):
        connection.writer(refuse).post("/releases")
    with pytest.raises(Refused):
        connection.writer(refuse).upload("/releases", Path(__file__))
    assert len(served.api.seen) == 2
    connection.close()


def test_a_server_that_sends_elsewhere_is_not_followed_there(served: Served) -> None:
    basic = Basic("paver", Named("director"))
    connection = served.connector(auth=basic).connect(Wire(reveal=lambda _: "geheim"))
    with pytest.raises(HttpError, match="302"):
        connection.reader().get("/elsewhere")
    assert [path for _, path, _, _ in served.api.seen] == ["/elsewhere"]
    connection.close()


def test_a_proxy_of_the_environment_hears_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    connection = served.connector().connect(Wire())
    assert connection.reader().get("/info").status == 200
    connection.close()


def test_the_tunnel_leads_nowhere_for_another_users_process(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str, int]] = []

    def reach(host: str, port: int) -> socket.socket:
        taken.append((host, port))
        return direct(host, port)

    monkeypatch.setattr(os, "getuid", lambda: 4711)
    proxy = ConnectProxy(reach)
    try:
        with direct(*proxy.address) as near:
            near.sendall(b"CONNECT vcsa.north.example:443 HTTP/1.1\r\n\r\n")
            assert b"403" in near.recv(4096)
    finally:
        proxy.close()
    assert taken == []


def test_another_servers_certificate_is_refused_and_no_request_leaves(served: Served) -> None:
    stranger = served.connector(roots=(pem(pki.host("x", ADDRESS)),)).connect(Wire())
    with pytest.raises(tls.TrustError):
        stranger.reader().get("/info")
    unnamed = served.connector(server_name="other.example").connect(Wire())
    with pytest.raises(tls.TrustError, match="another name"):
        unnamed.reader().get("/info")
    named = served.connector(server_name="director.north.example").connect(Wire())
    assert named.reader().get("/info").status == 200
    for connection in (stranger, unnamed, named):
        connection.close()
    assert len(served.api.seen) == 1


def test_an_error_tells_status_and_place_and_no_secret(served: Served) -> None:
    connection = served.connector(auth=Basic("admin", Named("p"))).connect(Wire(reveal=lambda _: "hunter3"))
    with pytest.raises(HttpError) as caught:
        connection.reader().get("/bad", params={"token": "hunter4"})
    shown = "\n".join(caught.value.lines())
    assert caught.value.status == 400
    assert caught.value.url == f"https://{ADDRESS}:{served.port}/bad"
    assert "hunter" not in shown
    assert '"x": "y"' in shown
    connection.close()


def test_who_is_refused_is_told_which_secret_was_not_taken(served: Served) -> None:
    connection = served.connector(auth=Bearer(Named("ci-token"))).connect(Wire(reveal=lambda _: "t1"))
    with pytest.raises(HttpError) as caught:
        connection.reader().get("/expired")
    assert caught.value.status == 401
    assert caught.value.do == "compare secret:ci-token with what is set there"
    with pytest.raises(HttpError) as other:
        connection.reader().get("/none")
    assert other.value.do == ""
    connection.close()


def test_a_token_is_kept_and_renewed_once_after_a_401(served: Served) -> None:
    auth = ClientCredentials(f"https://{ADDRESS}:{served.port}/oauth/token", "ci", Named("s"))
    connection = served.connector(auth=auth).connect(Wire(reveal=lambda _: "geheim"))
    reader = connection.reader()
    reader.get("/info")
    assert reader.get("/expired").status == 200
    paths = [(line[1], line[2]) for line in served.api.seen if line[1] != "/oauth/token"]
    assert paths == [("/info", "Bearer t1"), ("/expired", "Bearer t1"), ("/expired", "Bearer t2")]
    connection.close()


@pytest.mark.parametrize("grant", ["client", "user", "basic"])
def test_a_secret_that_is_refused_is_sent_once_a_run_however_many_ask_and_a_newer_one_is_tried(
    served: Served, grant: str
) -> None:
    url = f"https://{ADDRESS}:{served.port}/refusing"
    known: dict[str, Auth] = {
        "client": ClientCredentials(url, "ci", Named("s")),
        "user": PasswordGrant(url, "ci", Named("s"), "fly"),
        "basic": Basic("ci", Named("s")),
    }
    secret = "wrong"
    wire = Wire(reveal=lambda _: secret)
    connections = [served.connector(name=name, auth=known[grant]).connect(wire) for name in ("one", "other")]
    told: list[LoginError] = []

    def ask(connection: HttpConnection) -> None:
        with pytest.raises(LoginError, match="ci") as caught:
            connection.reader().get("/refusing")
        told.append(caught.value)

    threads = [threading.Thread(target=ask, args=(connection,)) for connection in connections * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 6
    assert "secret:s" in told[0].do
    assert len(served.api.seen) == 1
    secret = "right"
    for connection in connections:
        assert connection.reader().get("/refusing").status == 200
        connection.close()


def test_a_busy_server_is_read_again_and_a_write_is_not_repeated(served: Served) -> None:
    told: list[Retry] = []
    connection = served.connector().connect(Wire(on_retry=told.append, timeouts=Timeouts(patience=60)))
    served.api.busy = 1
    assert connection.reader().get("/busy").status == 200
    assert [(one.endpoint, one.doing) for one in told] == [("director", "GET /busy")]
    served.api.busy = 1
    with pytest.raises(HttpError):
        connection.writer(Gate()).post("/busy")
    connection.close()


def test_where_nobody_takes_the_connection_there_is_nobody(served: Served) -> None:
    with socket.socket() as sock:
        sock.bind((ADDRESS, 0))
        dead = served.connector(base_url=f"https://{ADDRESS}:{sock.getsockname()[1]}")
        connection = dead.connect(Wire(timeouts=Timeouts(patience=0)))
        with pytest.raises(Unreachable, match="does not answer"):
            connection.reader().get("/info")
        connection.close()


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 this is no TLS\r\n\r\n", b""])
def test_who_takes_the_connection_is_there_whatever_he_answers(served: Served, said: bytes) -> None:
    with socket.create_server((ADDRESS, 0)) as sock:

        def answer() -> None:
            taken, _ = sock.accept()
            with taken:
                taken.recv(65536)
                taken.sendall(said)

        strange = served.connector(base_url=f"https://{ADDRESS}:{sock.getsockname()[1]}")
        connection = strange.connect(Wire(timeouts=Timeouts(patience=0)))
        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(Unobservable, match="does not answer") as told:
            connection.reader().get("/info")
        answering.join()
        connection.close()
    assert not isinstance(told.value, Unreachable)


def test_a_client_that_the_uaa_does_not_let_in_does_not_make_it_unreachable(served: Served) -> None:
    elsewhere = f"{served.connector().base_url}/none"
    auth = ClientCredentials(elsewhere, "admin", Named("director-admin"))
    connection = served.connector(auth=auth).connect(Wire(reveal=lambda _: "wrong"))
    with pytest.raises(Unobservable, match="gives admin no token: 404") as told:
        connection.reader().get("/info")
    assert not isinstance(told.value, Unreachable)
    connection.close()


def test_a_file_is_streamed_with_its_length_and_progress(served: Served, tmp_path: Path) -> None:
    source = tmp_path / "release.tgz"
    source.write_bytes(os.urandom(1_500_000))
    told: list[int] = []
    connection = served.connector().connect(Wire())
    writer: HttpWriter = connection.writer(Gate())
    writer.upload("/releases", source, on_progress=lambda done, _: told.append(done))
    assert served.api.seen[0][3] == source.read_bytes()
    assert told[-1] == 1_500_000
    connection.close()


def direct(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), 10)


def test_requests_take_the_tunnel_from_outside_and_the_straight_way_on_the_jumpbox(served: Served) -> None:
    taken: list[tuple[str, int]] = []

    def reach(host: str, port: int) -> socket.socket:
        taken.append((host, port))
        return direct(host, port)

    proxy = ConnectProxy(reach)
    try:
        outside = served.connector(via="jumpbox").connect(Wire(proxy=lambda _: proxy.address))
        assert outside.reader().get("/info").status == 200
        inside = served.connector(via="jumpbox").connect(Wire(station="jumpbox"))
        assert inside.reader().get("/info").status == 200
        assert taken == [(ADDRESS, served.port)]
        outside.close()
        inside.close()
    finally:
        proxy.close()


@dataclasses.dataclass(frozen=True)
class Minio:
    port: int
    pair: pki.Pair

    def connector(self, **changes: Any) -> S3Connector:
        return dataclasses.replace(
            S3Connector(
                name="object store",
                endpoint=f"https://{ADDRESS}:{self.port}",
                access_key="paver",
                secret_key=Named("s3"),
                roots=("site",),
            ),
            **changes,
        )

    def wire(self, secret: str = "geheimgeheim", **changes: Any) -> Wire:
        return Wire(reveal=lambda _: secret, anchor=lambda _: pem(self.pair), **changes)


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    binary = build.build(["minio"])["minio"]
    folder = tmp_path_factory.mktemp("minio")
    pair = pki.host("s3.north.example", ADDRESS)
    certificate, key = pair.write(folder / "certs", "x")
    certificate.rename(folder / "certs/public.crt")
    key.rename(folder / "certs/private.key")
    port = free_port(ADDRESS)
    trusting = ssl.create_default_context(cadata=pem(pair))
    # `ready` is said before anything is there; this one waits for the accounts and the buckets, too.
    health = f"https://{ADDRESS}:{port}/minio/health/cluster"

    def ready() -> bool:
        try:
            with urllib.request.urlopen(health, context=trusting, timeout=5) as answer:
                return int(answer.status) == 200
        except OSError:
            return False

    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                binary,
                "server",
                "--quiet",
                "--address",
                f"{ADDRESS}:{port}",
                "--certs-dir",
                folder / "certs",
                folder / "data",
            ],
            env={
                "HOME": str(folder),
                "MINIO_BROWSER": "off",
                "MINIO_ROOT_USER": "paver",
                "MINIO_ROOT_PASSWORD": "geheimgeheim",
            },
            stdout=log,
            stderr=log,
        )
        try:
            until(ready)
            yield Minio(port, pair)
        finally:
            process.terminate()
            process.wait()


def test_buckets_and_objects_are_made_and_read(minio: Minio) -> None:
    gate = Gate()
    connection = minio.connector().connect(minio.wire())
    writer: S3Writer = connection.writer(gate)
    assert "state" not in writer.buckets()
    assert writer.find("head_bucket", Bucket="state") is None
    writer.call("create_bucket", Bucket="state")
    writer.call("put_bucket_versioning", Bucket="state", VersioningConfiguration={"Status": "Enabled"})
    assert writer.query("get_bucket_versioning", Bucket="state")["Status"] == "Enabled"
    content = os.urandom(9_000_000)
    writer.put_object("state", "a/b", content)
    assert writer.read_object("state", "a/b") == content
    assert writer.read_object("state", "a/c") is None
    assert gate.calls == ["s3:create_bucket", "s3:put_bucket_versioning", "s3:put_object"]
    connection.close()


def test_a_store_is_read_by_its_reading_face_and_not_written(minio: Minio) -> None:
    connection = minio.connector().connect(minio.wire())
    reader = connection.reader()
    with pytest.raises(Refused):
        reader.query("create_bucket", Bucket="no")
    with pytest.raises(Refused):
        reader.admin("user_add", "x", "y")
    assert "no" not in reader.buckets()
    connection.close()


def test_users_and_policies_are_made_by_the_administration(minio: Minio) -> None:
    connection = minio.connector().connect(minio.wire())
    gate = Gate()
    writer = connection.writer(gate)
    writer.admin_call("user_add", "concourse", "concourse", "verygeheim")
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}],
    }
    writer.admin_call("policy_add", "rw", "rw", policy=policy)
    writer.admin_call("policy_set", "rw", "rw", user="concourse")
    assert writer.admin("user_info", "concourse")["policyName"] == "rw"
    assert "rw" in writer.admin("policy_list")
    with pytest.raises(S3Error) as caught:
        writer.admin("user_info", "nobody")
    assert caught.value.status == 404
    assert gate.calls == ["minio:user_add", "minio:policy_add", "minio:policy_set"]
    connection.close()


@dataclasses.dataclass
class Site:
    """A writing world with one object store and a jumpbox that keeps nothing."""

    store: S3Writer
    site: str = "north"

    def session(self, _: Endpoint[Any, Any]) -> S3Writer:
        return self.store

    def writing(self, at: Endpoint[Any, Any]) -> Any:
        nothing = SimpleNamespace(remove=lambda _: None, mkdir=lambda *_: None, write_file=lambda *_: None)
        return nothing if at.name == "machine:jumpbox" else self.store

    def mark(self, *, complete: bool) -> Mark:
        return Mark(self.site, resource_id("s3.user", "ci"), "a" * 64, complete)

    def reveal(self, _: Secret) -> str:
        return "verygeheim"

    def version(self, _: Secret) -> str:
        return "v1"


def test_the_proof_leaves_nothing_in_a_bucket_that_is_locked(minio: Minio) -> None:
    connection = minio.connector().connect(minio.wire())
    writer = connection.writer(Gate())
    writer.create_bucket("locked", lock=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    writer.call(
        "put_object_lock_configuration",
        Bucket="locked",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
    )
    at: Endpoint[Any, Any] = Endpoint("machine:jumpbox")
    proof = ObjectStoreProof(
        id=resource_id("proof.object-store", "locked"),
        phase="handover",
        at=at,
        also=(Endpoint("s3"),),
        of={},
        bucket="locked",
    )
    # A run that was killed between putting and taking away left these.
    for body in (b"one", b"two"):
        writer.call("put_object", Bucket="locked", Key=KEY, Body=body)
    writer.call("delete_object", Bucket="locked", Key=KEY)
    proof.prove(Site(writer))  # type: ignore[arg-type]
    left = writer.query("list_object_versions", Bucket="locked")
    assert not {"Versions", "DeleteMarkers"} & set(left)
    connection.close()


def test_a_proof_that_was_only_begun_takes_its_object_away_when_it_goes_and_nothing_else(
    minio: Minio,
) -> None:
    connection = minio.connector().connect(minio.wire())
    writer = connection.writer(Gate())
    writer.create_bucket("proven", lock=False)
    for key in (KEY, f"{KEY}-of-others"):
        writer.call("put_object", Bucket="proven", Key=key, Body=b"x")
    mark = Mark("site", resource_id("proof.object-store", "proven"), "a" * 64, complete=False)
    facts = ProofFacts(mark=mark, of={})
    ObjectStoreProof.delete(Site(writer), Endpoint("machine:jumpbox"), facts)  # type: ignore[arg-type]
    left = writer.query("list_object_versions", Bucket="proven")["Versions"]
    assert [one["Key"] for one in left] == [f"{KEY}-of-others"]
    connection.close()


def test_a_user_reads_a_versioned_bucket_by_its_versions_and_no_other_bucket(minio: Minio) -> None:
    connection = minio.connector().connect(minio.wire())
    writer = connection.writer(Gate())
    for name in ("versioned", "others"):
        writer.create_bucket(name, lock=False)
    enabled = {"Status": "Enabled"}
    writer.call("put_bucket_versioning", Bucket="versioned", VersioningConfiguration=enabled)
    version = writer.call("put_object", Bucket="versioned", Key="a", Body=b"x")["VersionId"]
    user = StoreUser(
        id=resource_id("s3.user", "ci"),
        phase="services",
        at=Endpoint("s3"),
        name="reader",
        read_=frozenset({"versioned"}),
        write=frozenset(),
        secret=Secret("ci"),
    )
    user.create(Site(writer))  # type: ignore[arg-type]
    own = minio.connector(access_key="reader").connect(minio.wire("verygeheim"))
    reader = own.reader()
    assert reader.query("get_bucket_versioning", Bucket="versioned")["Status"] == "Enabled"
    (found,) = reader.query("list_object_versions", Bucket="versioned")["Versions"]
    assert found["VersionId"] == version
    with pytest.raises(S3Error) as refused:
        reader.query("list_object_versions", Bucket="others")
    assert refused.value.status == 403
    with pytest.raises(S3Error):
        own.writer(Gate()).call("put_object", Bucket="versioned", Key="b", Body=b"x")
    own.close()
    connection.close()


@pytest.fixture
def site(minio: Minio) -> Iterator[Any]:
    """A site that writes to the store."""
    connection = minio.connector().connect(minio.wire())
    yield Site(connection.writer(Gate()))
    connection.close()


def store_user(name: str, write: str) -> StoreUser:
    return StoreUser(
        id=resource_id("s3.user", "ci"),
        phase="services",
        at=Endpoint("s3"),
        name=name,
        read_=frozenset({"artefacts"}),
        write=frozenset({write}),
        secret=Secret("ci"),
    )


def test_whose_an_account_is_stands_in_the_store_itself_and_another_of_its_name_stays_foreign(
    site: Any,
) -> None:
    user, theirs = store_user("ours", "state"), store_user("theirs", "state")
    assert user.read(site) is None
    user.create(site)
    mark = Mark("north", resource_id("s3.user", "ci"), "a" * 64, complete=True)
    assert user.read(site) == StoreUserFacts(
        address={"name": "ours"}, mark=mark, read_=user.read_, write=user.write, secret="v1"
    )
    site.store.admin_call("user_add", "theirs", "theirs", "verygeheim")
    foreign = theirs.read(site)
    assert foreign is not None
    assert foreign.mark is None
    (found,) = [one for one in StoreUser.discover(site, user.at) if one.address["name"] in {"ours", "theirs"}]
    assert found == user.read(site)
    StoreUser.delete(site, user.at, found)
    assert user.read(site) is None
    assert theirs.read(site) == foreign
    assert "paver-ours" not in site.store.admin("policy_list")


def test_what_somebody_let_an_account_do_or_took_from_it_is_seen_and_put_back(site: Any) -> None:
    user = store_user("shifted", "state")
    user.create(site)
    wished = user.read(site)
    assert wished is not None
    more = {**site.store.admin("policy_list")["paver-shifted"]}
    everything = {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::bundles/*"]}
    site.store.admin_call(
        "policy_add",
        "paver-shifted",
        "paver-shifted",
        policy={**more, "Statement": [*more["Statement"], everything]},
    )
    found = user.read(site)
    assert found is not None
    assert found.write == {"state", "bundles"}
    user.update(site, found, frozenset({"write"}))
    assert user.read(site) == wished
    site.store.admin_call("policy_set", "readwrite", "readwrite", user="shifted")
    found = user.read(site)
    assert found is not None
    assert not found.write
    assert not found.read_
    user.update(site, found, frozenset({"read_", "write"}))
    assert user.read(site) == wished


def test_an_account_whose_run_was_killed_is_known_again_and_goes_whole(site: Any) -> None:
    user = store_user("begun", "state")
    call, killed_at = site.store.admin_call, ["user_add", "policy_set"]

    def dies(name: str, *arguments: Any, **named: Any) -> Any:
        if name == killed_at[0]:
            raise KeyboardInterrupt
        return call(name, *arguments, **named)

    def killed(act: Callable[[], None]) -> StoreUserFacts:
        site.store.admin_call = dies
        with pytest.raises(KeyboardInterrupt):
            act()
        site.store.admin_call = call
        killed_at.pop(0)
        (found,) = [one for one in StoreUser.discover(site, user.at) if one.address["name"] == "begun"]
        assert found.mark is not None
        assert not found.mark.complete
        assert user.read(site) == found
        return found

    while killed_at:
        killed(lambda: user.create(site))
    user.create(site)
    whole = user.read(site)
    assert whole is not None
    killed_at = ["user_remove", "policy_remove"]
    while killed_at:
        left = killed(lambda: StoreUser.delete(site, user.at, whole))
    with pytest.raises(S3Error, match="XMinioAdminNoSuchUser"):
        site.store.admin("user_info", "begun")
    StoreUser.delete(site, user.at, left)
    assert "paver-begun" not in site.store.admin("policy_list")
    assert user.read(site) is None
    assert not [one for one in StoreUser.discover(site, user.at) if one.address["name"] == "begun"]


@dataclasses.dataclass
class Dying:
    """A writing session whose writes a run dies at."""

    inner: S3Writer
    moment: Moment

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def call(self, name: str, **arguments: Any) -> Any:
        return self.moment.write(lambda: self.inner.call(name, **arguments))

    def create_bucket(self, name: str, *, lock: bool) -> None:
        self.moment.write(lambda: self.inner.create_bucket(name, lock=lock))


@pytest.mark.parametrize("killed", ["made", "gone"])
@pytest.mark.parametrize("wished", [True, False])
@pytest.mark.parametrize("after", [False, True])
def test_wherever_a_run_was_killed_the_next_plan_knows_the_bucket_and_leaves_nothing_of_it(
    minio: Minio, tmp_path: Path, *, after: bool, wished: bool, killed: str
) -> None:
    """Destroyed, or out of the site file: the bucket goes, and the record of the intent to make it."""
    moment = Moment()
    files = Files(moment)
    connection = minio.connector().connect(minio.wire())
    store = Faces((connection.reader, lambda gate: Dying(connection.writer(gate), moment)))
    at, jumpbox = Endpoint[Any, Any]("s3"), record.jumpbox()
    room = Room(tmp_path, {at.name: store, jumpbox.name: files.connection()}, ((Bucket, at),), moment)
    for number in itertools.count():
        bucket = Bucket(
            id=resource_id(Bucket.kind, f"killed-{number}"),
            phase="services",
            at=at,
            also=(jumpbox,),
            name=f"killed-{number}",
            versioned=True,
            lock_days=0,
        )
        wishes, mode = ((bucket,), "destroy") if wished else ((), "apply")
        if killed == "gone":
            # Begun and not ended: the bucket has no tags yet, and the intent to make it stands on the jumpbox.
            moment.arm(1, after=True)
            assert not room.act(room.plan(bucket), bucket)
        moment.arm(number, after=after)
        ended = (
            room.act(room.plan(bucket), bucket)
            if killed == "made"
            else room.act(room.plan(*wishes, mode=mode), *wishes)
        )
        room.whole(*wishes, mode=mode)
        assert bucket.name not in connection.reader().buckets()
        assert not files.files
        if ended:
            break
    assert number > 2
    connection.close()


def test_an_account_that_somebody_took_away_and_whose_policy_stands_is_made_again(site: Any) -> None:
    user = store_user("taken", "state")
    user.create(site)
    wished = user.read(site)
    site.store.admin_call("user_remove", "taken", "taken")
    found = user.read(site)
    assert found is not None
    assert {change.field for change in changes(user, found, site.version)} >= {"read_", "write", "secret"}
    user.update(site, found, frozenset({"secret"}))
    assert user.read(site) == wished
    StoreUser.delete(site, user.at, found)


def test_a_wrong_secret_a_stranger_and_a_dead_store_are_told_apart(minio: Minio) -> None:
    wrong = minio.connector().connect(minio.wire("wrongwrong"))
    with pytest.raises(S3Error) as caught:
        wrong.reader().buckets()
    assert caught.value.code == "SignatureDoesNotMatch"
    stranger = minio.connector(roots=(pem(pki.host("x", ADDRESS)),)).connect(minio.wire())
    with pytest.raises(tls.TrustError):
        stranger.reader().buckets()
    with pytest.raises(tls.TrustError):
        stranger.reader().admin("policy_list")
    dead = minio.connector(endpoint=f"https://{ADDRESS}:1").connect(minio.wire())
    with pytest.raises(Unobservable):
        dead.reader().buckets()
    for connection in (wrong, stranger, dead):
        connection.close()


def test_a_store_is_reached_through_the_tunnel(minio: Minio) -> None:
    taken: list[int] = []

    def reach(host: str, port: int) -> socket.socket:
        taken.append(port)
        return direct(host, port)

    proxy = ConnectProxy(reach)
    try:
        connection = minio.connector(via="jumpbox").connect(minio.wire(proxy=lambda _: proxy.address))
        connection.reader().buckets()
        connection.reader().admin("policy_list")
        assert set(taken) == {minio.port}
        assert len(taken) == 2
        connection.close()
    finally:
        proxy.close()
