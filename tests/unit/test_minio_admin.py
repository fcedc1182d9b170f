"""What MinIO's administration says of accounts: none is there only where MinIO itself says so."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from minio.error import MinioAdminException

from paver.driver import Endpoint, PaverError, Secret, Unobservable, resource_id
from paver.foundation.object_store.user import StoreUser
from paver.transport import minio_admin
from paver.transport.context import Wire, quiet
from paver.transport.minio_admin import Administration
from paver.transport.retry import Retry
from paver.transport.s3 import S3Connector
from paver.transport.s3_errors import S3Error


class Answer:
    """What a server said; it tells whether the connection went back to the others."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.released, self.closed = status, False, False
        self.read = io.BytesIO(body).read

    def release_conn(self) -> None:
        self.released = True

    def close(self) -> None:
        self.closed = True


class Pool:
    """Connections on which everything is answered alike, once what goes wrong first did."""

    def __init__(self, status: int, body: bytes, first: Iterable[Answer | Exception] = ()) -> None:
        self.answer = Answer(status, body)
        self.first = list(first)
        self.asked: list[str] = []

    def request(self, method: str, url: str, **_: Any) -> Answer:
        assert method == "GET"
        self.asked.append(url)
        now = self.first.pop(0) if self.first else self.answer
        if isinstance(now, Exception):
            raise now
        return now


def administration(
    pool: Any, endpoint: str = "https://s3.north.example:9000", tell: Callable[[Retry], None] = quiet
) -> Administration:
    secret: Any = SimpleNamespace(name="s3")
    connector = S3Connector(
        name="object store", endpoint=endpoint, access_key="paver", secret_key=secret, roots=()
    )
    made = Administration(connector, Wire(reveal=lambda _: "geheimgeheim", on_retry=tell))
    made._pool = pool
    return made


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>log in first</html>"])
def test_an_answer_that_is_not_minios_never_says_that_there_is_no_account(body: bytes) -> None:
    with pytest.raises(Unobservable, match="does not answer as MinIO's administration"):
        administration(Pool(200, body)).look("user_info", "team")


def test_what_minio_refuses_is_told_by_its_own_code() -> None:
    pool = Pool(404, b'{"Code": "XMinioAdminNoSuchUser", "Message": "The specified user does not exist."}')
    with pytest.raises(S3Error) as caught:
        administration(pool).look("user_info", "team")
    assert (caught.value.status, caught.value.code) == (404, "XMinioAdminNoSuchUser")
    assert pool.answer.released


def test_an_account_is_named_in_the_query_as_it_is_and_asked_for_beside_all_buckets() -> None:
    pool = Pool(200, b"{}")
    administration(pool, "https://s3.north.example:9000/below").look("user_info", "a+b/c d=ü")
    assert pool.asked == [
        "https://s3.north.example:9000/minio/admin/v3/user-info?accessKey=a%2Bb%2Fc%20d%3D%C3%BC"
    ]


def test_what_says_too_much_is_given_up_and_its_connection_is_nobodys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(minio_admin, "MOST_BYTES", 64)
    pool = Pool(200, b" " * 65 + b"{}")
    with pytest.raises(Unobservable):
        administration(pool).look("policy_list")
    assert pool.answer.closed
    assert not pool.answer.released


BEGINS = json.dumps({"Code": "XMinioIAMNotInitialized", "Message": "please try again"})


def cut() -> Exception:
    made = urllib3.exceptions.ProtocolError("Connection aborted.")
    made.__context__ = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    return made


@pytest.mark.parametrize("first", [Answer(503, BEGINS.encode()), cut()], ids=["begins", "cut"])
def test_a_store_that_begins_is_asked_again_what_it_has_and_that_is_told(first: Answer | Exception) -> None:
    told: list[Retry] = []
    pool = Pool(200, b'{"team": {}}', [first])
    assert administration(pool, tell=told.append).look("policy_list") == {"team": {}}
    assert [(one.endpoint, one.doing) for one in told] == [("object store", "policy_list")]


class Client:
    """MinIO's own client, on a store that does nothing before it has been asked `refusals` times."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.added: list[str] = []

    def user_add(self, name: str, _: str) -> str:
        if self.refusals:
            raise self.refusals.pop(0)
        self.added.append(name)
        return ""


def writing(client: Client) -> Administration:
    made = administration(object())
    made._client = client
    return made


def test_an_account_that_a_store_did_not_make_since_it_begins_is_made_once_it_has_begun() -> None:
    client = Client(MinioAdminException("503", BEGINS))
    writing(client).act("user_add", "team", "geheim")
    assert client.added == ["team"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (cut(), "does not answer"),
        (MinioAdminException("504", "<html>a proxy's</html>"), "504"),
        (MinioAdminException("503", json.dumps({"Code": "XMinioSiteReplicationIAMError"})), "Replication"),
        (MinioAdminException("403", json.dumps({"Code": "AccessDenied"})), "AccessDenied"),
    ],
    ids=["nothing", "proxy", "replication", "refused"],
)
def test_what_may_have_been_done_is_not_done_again(answer: Exception, says: str) -> None:
    client = Client(answer)
    with pytest.raises(PaverError, match=says):
        writing(client).act("user_add", "team", "geheim")
    assert client.added == []


class Loading:
    """A store that has not read its accounts yet: of each it says that there is none, until policies were asked for."""

    def __init__(self) -> None:
        self.loaded, self.went = False, list[str]()

    def session(self, _: Endpoint[Any, Any]) -> Loading:
        return self

    writing = session

    def mark(self, *, complete: bool) -> Any:
        return SimpleNamespace(document=lambda: {"complete": complete})

    def admin(self, call: str, *arguments: str) -> dict[str, Any]:
        if call == "policy_list":
            self.loaded = True
            return {}
        if not self.loaded or arguments != ("team",):
            raise S3Error("object store", call, "XMinioAdminNoSuchUser", 404, "")
        return {"policyName": "readwrite", "status": "enabled"}

    def admin_call(self, call: str, *_: Any, **__: Any) -> None:
        self.went.append(call)


def test_an_account_that_minio_has_not_loaded_yet_is_not_taken_for_absent() -> None:
    """Its own, without a policy of paver's: it would be written over, or stay where it is to go."""
    user = StoreUser(
        id=resource_id("s3.user", "team"),
        phase="services",
        at=Endpoint("s3"),
        name="team",
        read_=frozenset(),
        write=frozenset({"state"}),
        secret=Secret("team"),
    )
    store: Any = Loading()
    found = user.read(store)
    assert found is not None
    store = Loading()
    StoreUser.delete(store, user.at, found)
    assert store.went == ["user_remove", "policy_remove"]
