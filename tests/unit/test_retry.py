"""What is tried again: only what changes nothing, for a bounded time, and told each time."""

import errno
import socket
import ssl
from dataclasses import dataclass, field

import httpx
import pytest
import urllib3
from botocore.exceptions import EndpointConnectionError, ProxyConnectionError

from paver.errors import Unobservable
from paver.transport import retry
from paver.transport.http import HttpError
from paver.transport.retry import Retry
from paver.transport.tls import TrustError
from paver.transport.vsphere.faults import VsphereFault


@dataclass
class Server:
    """Fails with each of `errors` in turn, then answers; time passes only by waiting."""

    errors: list[BaseException]
    asked: int = 0
    now: float = 0.0
    told: list[Retry] = field(default_factory=list)

    def answer(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def reading(self, *, seconds: float = 20.0) -> str:
        return retry.reading(
            self.answer,
            endpoint="esx-01",
            doing="read HostSystem",
            tell=self.told.append,
            seconds=seconds,
            sleep=self.sleep,
            clock=lambda: self.now,
        )


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def within(error: Exception, context: BaseException, *, told: bool = True) -> Exception:
    """As one that is raised while another is handled, and does not say so, or says `from None`."""
    error.__context__ = context
    error.__suppress_context__ = not told
    return error


PASSING = [
    ConnectionRefusedError(111, "Connection refused"),
    ConnectionResetError(104, "Connection reset by peer"),
    BrokenPipeError(32, "Broken pipe"),
    TimeoutError("timed out"),
    ssl.SSLEOFError(8, "EOF occurred"),
    socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    HttpError("director", "GET", "https://10.30.0.10/info", 503, "busy"),
    httpx.RemoteProtocolError("Server disconnected"),
    httpx.ReadTimeout("timed out"),
    caused(Unobservable("esx-01 does not answer"), ConnectionResetError(104, "Connection reset by peer")),
    caused(
        Unobservable("s3 does not answer"), caused(httpx.ConnectError("x"), ConnectionRefusedError(111, "x"))
    ),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    caused(
        Unobservable("s3 does not answer"),
        within(
            EndpointConnectionError(endpoint_url="https://s3.example", error="x"),
            ConnectionResetError(104, "x"),
        ),
    ),
    caused(
        Unobservable("s3 does not answer"),
        urllib3.exceptions.ProxyError("x", OSError("Tunnel connection failed: 502 Bad Gateway")),
    ),
    caused(
        Unobservable("s3 does not answer"),
        within(
            ProxyConnectionError(proxy_url="http://127.0.0.1:1", error="x"),
            urllib3.exceptions.ProxyError("x", OSError("Tunnel connection failed: 502 Bad Gateway")),
        ),
    ),
]
LASTING = [
    TrustError("esx-01 shows another certificate"),
    ssl.SSLCertVerificationError(1, "certificate verify failed"),
    caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "certificate verify failed")),
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    HttpError("director", "GET", "https://10.30.0.10/info", 401, ""),
    HttpError("director", "GET", "https://10.30.0.10/info", 404, ""),
    HttpError("director", "GET", "https://10.30.0.10/info", 500, ""),
    VsphereFault("NotAuthenticated", {}, ("NotAuthenticated",), "RetrieveProperties", "esx-01"),
    Unobservable("esx-01 refuses the login"),
    FileNotFoundError(2, "No such file"),
    OSError(errno.ENETUNREACH, "Network is unreachable"),
    OSError("Tunnel connection failed: 403 Forbidden"),
    within(ValueError("x"), ConnectionResetError(104, "x"), told=False),
    ValueError("x"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_a_read_goes_on_after_what_passes(error: BaseException) -> None:
    server = Server([error, error])
    assert server.reading() == "answer"
    assert server.asked == 3
    assert [told.attempt for told in server.told] == [1, 2]


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_a_read_ends_at_once_at_what_does_not_get_better(error: BaseException) -> None:
    server = Server([error])
    with pytest.raises(type(error)) as caught:
        server.reading()
    assert caught.value is error
    assert (server.asked, server.told, server.now) == (1, [], 0.0)


def test_repeating_ends_in_time_with_the_last_error() -> None:
    server = Server([ConnectionRefusedError(111, str(number)) for number in range(1000)])
    with pytest.raises(ConnectionRefusedError) as caught:
        server.reading(seconds=10)
    assert server.now <= 10
    assert caught.value.strerror == str(server.asked - 1)
    assert 3 <= server.asked <= 12


def test_waits_grow_and_stay_below_their_bound() -> None:
    server = Server([ConnectionRefusedError(111, "x") for _ in range(8)])
    server.reading(seconds=60)
    waits = [told.wait for told in server.told]
    assert waits[0] <= 0.5
    assert 4.0 <= waits[-1] <= max(waits) <= 4.25


def test_each_repetition_is_told_before_it_is_waited_for() -> None:
    server = Server([HttpError("s3", "GET", "https://10.30.0.11/x", 503, "body with hunter2")])
    server.reading()
    (told,) = server.told
    assert (told.endpoint, told.doing, told.attempt) == ("esx-01", "read HostSystem", 1)
    assert told.error.startswith("s3: GET https://10.30.0.11/x was answered with 503")
    assert "hunter2" not in told.error
    assert told.wait == round(server.now, 3)


def test_what_foreign_errors_say_is_not_told_since_it_may_hold_secrets() -> None:
    server = Server([TimeoutError("https://root:hunter2@10.20.0.11")])
    server.reading()
    assert server.told[0].error == "TimeoutError"


def test_ctrl_c_is_never_repeated() -> None:
    with pytest.raises(KeyboardInterrupt):
        Server([KeyboardInterrupt()]).reading()
