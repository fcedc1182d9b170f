"""A datastore's files over HTTPS (`/folder`), through the session that SOAP opened.

Only GET and HEAD live here for reading; PUT is for the writing face, which passes the gate before it calls.
Deleting is a SOAP task (`DeleteDatastoreFile_Task`), as the vendor's own clients do it.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ssl
import urllib.parse
from collections.abc import Callable, Iterator

from paver.errors import PaverError, Unobservable
from paver.transport import bounds, tls
from paver.transport.dial import HttpsConnection, Route
from paver.transport.stream import send_stream

ESX_DATACENTER = "ha-datacenter"
_PIECE = 1024 * 1024

MOST_BYTES = 64 * 1024 * 1024
"""What is read whole: a ledger of a host with everything on it has 20 kB. `stream` has no limit."""


class SignedOutError(Unobservable):
    """Nobody is logged in by that cookie: the session may have ended."""


Lent = Callable[[], contextlib.AbstractContextManager[HttpsConnection]]
"""Gives a connection of the session, for one request."""


def url_path(datastore: str, path: str, datacenter: str) -> str:
    """Returns the URL path of a datastore's file."""
    query = urllib.parse.urlencode({"dcPath": datacenter, "dsName": datastore})
    return f"/folder/{urllib.parse.quote(path.strip('/'))}?{query}"


def get(route: Route, lent: Lent, cookie: str, datastore: str, path: str, datacenter: str) -> bytes | None:
    """Returns the file's bytes, None if it is not there.

    Raises:
        Unobservable: if the server gives neither, or the file is larger than what may be read whole.
    """
    response, body = _ask(route, lent, cookie, "GET", url_path(datastore, path, datacenter))
    there = _present(response, datastore, path)
    return bounds.within(body, MOST_BYTES, f"[{datastore}] {path}") if there else None


def head(route: Route, lent: Lent, cookie: str, datastore: str, path: str, datacenter: str) -> int | None:
    """Returns the file's size in bytes, None if it is not there.

    Raises:
        Unobservable: if the server does not tell.
    """
    response, _ = _ask(route, lent, cookie, "HEAD", url_path(datastore, path, datacenter))
    return int(response.getheader("Content-Length") or 0) if _present(response, datastore, path) else None


def put(
    route: Route,
    lent: contextlib.AbstractContextManager[HttpsConnection],
    cookie: str,
    datastore: str,
    path: str,
    datacenter: str,
    data: bytes,
) -> None:
    """Writes a file, whole, over the connection that is `lent` for it.

    Raises:
        PaverError: if the server does not take it.
    """
    status, reason = send_stream(
        route,
        "PUT",
        url_path(datastore, path, datacenter),
        {"Cookie": cookie, "Content-Type": "application/octet-stream", "Overwrite": "t"},
        io.BytesIO(data),
        len(data),
        lent=lent,
    )
    if status not in (200, 201, 204):
        raise PaverError(f"[{datastore}] {path} was not written: {status} {reason}")


def stream(route: Route, cookie: str, datastore: str, path: str, datacenter: str) -> Iterator[bytes]:
    """Yields the file's bytes, piece by piece: an installer's ISO has 8 GB.

    Raises:
        Unobservable: if the server gives neither, or the connection breaks before the end.
    """
    connection = route.https()
    try:
        connection.request("GET", url_path(datastore, path, datacenter), headers={"Cookie": cookie})
        response = connection.getresponse()
        if not _present(response, datastore, path):
            raise Unobservable(f"[{datastore}] {path} is not there")
        wanted, got = int(response.getheader("Content-Length") or 0), 0
        while data := response.read(_PIECE):
            got += len(data)
            yield data
        if got != wanted:
            raise Unobservable(f"[{datastore}] {path} broke off after {got} of {wanted} bytes")
    except ssl.SSLCertVerificationError as error:
        raise tls.explain(error, route.netloc, context=route.trust.context) from error
    except (OSError, http.client.HTTPException) as error:
        raise Unobservable(f"{route.netloc} did not give [{datastore}] {path}", why=str(error)) from error
    finally:
        connection.close()


def _ask(
    route: Route, lent: Lent, cookie: str, method: str, path: str
) -> tuple[http.client.HTTPResponse, bytes]:
    try:
        try:
            return _once(lent, cookie, method, path)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # The server closed a connection that had idled, just as we asked: another one will do.
            return _once(lent, cookie, method, path)
    except ssl.SSLCertVerificationError as error:
        raise tls.explain(error, route.netloc, context=route.trust.context) from error
    except (OSError, http.client.HTTPException) as error:
        raise Unobservable(f"{route.netloc} did not give {path.partition('?')[0]}", why=str(error)) from error


def _once(lent: Lent, cookie: str, method: str, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    with lent() as connection:
        connection.request(method, path, headers={"Cookie": cookie})
        response = connection.getresponse()
        body = response.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            # What is left of it would be taken for the next answer.
            connection.close()
        return response, body


def _present(response: http.client.HTTPResponse, datastore: str, path: str) -> bool:
    if response.status == 404:
        return False
    if response.status != 200:
        error = SignedOutError if response.status == 401 else Unobservable
        raise error(
            f"[{datastore}] {path} cannot be read: {response.status} {response.reason}",
            do="check that the account may browse the datastore (Datastore.Browse)",
        )
    return True
