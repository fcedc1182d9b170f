"""Which SOAP methods only read, and the stub that lets nothing else pass.

The check sits in the stub's one door (`InvokeMethod`), before the request is written, so it holds whatever
way a caller takes: helpers, attributes of managed objects, or pyVmomi directly.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import threading
from collections.abc import Callable, Iterator
from typing import Any

from paver.errors import Refused
from paver.transport.context import Gate
from paver.transport.dial import HttpsConnection, Route
from paver.transport.vsphere import soap_types

READS = frozenset(
    {
        # sessions and what is read at their start
        "RetrieveServiceContent",
        "Login",
        "Logout",
        # the property collector and views: they live in the session and end with it
        "RetrievePropertiesEx",
        "ContinueRetrievePropertiesEx",
        "CreateContainerView",
        # answers about things, which change nothing
        "CreateImportSpec",
        "FindByInventoryPath",
        "HttpNfcLeaseGetManifest",
        "QueryAssignedLicenses",
        "QueryDateTime",
        "QueryNetworkHint",
        "QueryOptions",
        "RetrieveEntityPermissions",
        "SearchDatastore_Task",
    }
)
"""WSDL names of methods that leave no trace beyond the session (a search's task ends with its result).

Those that are called, and no more: a new read adds its line.
"""

UPKEEP = frozenset({"HttpNfcLeaseProgress"})
"""Methods of a writing face that only keep alive what an admitted call started."""

_PLUMBING = frozenset({"Login", "Logout", "RetrieveServiceContent"})
_COLLECTS = "RetrievePropertiesEx"
"""Answers whoever is not logged in as well: with no property of what is asked for (privilege System.Anonymous)."""


def refuse(call: str, target: str = "", detail: object = None) -> None:
    """Refuses every write: the gate of a reading face.

    Raises:
        Refused: always.
    """
    del detail
    raise Refused(
        f"{call} on {target or 'the endpoint'} was refused: this session only reads",
        why="a plan is made with sessions that cannot write",
        do="this is a fault of paver or of a driver: please report it with the command that you ran",
    )


class Session:
    """What the reading and the writing stub of one endpoint share: the cookie, and how to log in again."""

    def __init__(self, login: Callable[[], None] | None = None) -> None:
        self.cookie = ""
        self.login = login
        self.lock = threading.RLock()


@functools.cache
def _stub_class() -> Any:
    # pyVmomi takes 0.1 s to import: the class that derives from it is made on first use.
    base = soap_types.vmomi("SoapAdapter").SoapStubAdapter
    expired = soap_types.type_of("NotAuthenticated")

    def hidden(answer: Any) -> bool:
        """Tells whether a property is missing because the session has ended: of a managed object that outlives it, no fault says so.

        A real vCenter's answer lies in govmomi, vim25/mo/fixtures/not_authenticated_fault.xml.
        """
        found = answer.objects if answer is not None else ()
        return any(isinstance(one.fault, expired) for content in found for one in content.missingSet or ())

    class GatedStub(base):  # type: ignore[misc, valid-type]
        """A SOAP stub over a route of ours, with a gate in its one door; `lender` is whose connections it uses."""

        def __init__(self, route: Route, version: str, session: Session, gate: Gate, lender: Any) -> None:
            self._session = session
            self._gate = gate
            self._lender = lender
            # A pooled connection that idled longer than this may be half closed; reconnecting is cheaper.
            self.pool: list[Any] = []
            super().__init__(host=route.address, port=route.port, version=version, connectionPoolTimeout=60)
            self.scheme = lambda **_: HttpsConnection(route)

        @property
        def cookie(self) -> str:
            return self._session.cookie

        @cookie.setter
        def cookie(self, value: str) -> None:
            # The constructor of the second stub clears "its" cookie: the session's must survive that.
            if value:
                self._session.cookie = value

        def GetConnection(self) -> Any:  # noqa: N802 (pyVmomi's name)
            if self._lender is not None:
                return self._lender.GetConnection()
            with self.lock:
                kept: list[Any] = []
                for connection, when in list(self.pool):
                    if connection.stale:
                        connection.close()
                    else:
                        kept.append((connection, when))
                self.pool = kept
            return super().GetConnection()

        def ReturnConnection(self, conn: Any) -> None:  # noqa: N802
            if self._lender is not None:
                self._lender.ReturnConnection(conn)
            else:
                super().ReturnConnection(conn)

        def DropConnections(self) -> None:  # noqa: N802
            if self._lender is not None:
                self._lender.DropConnections()
            else:
                super().DropConnections()

        @contextlib.contextmanager
        def lent(self) -> Iterator[HttpsConnection]:
            """Gives a connection for a request of another kind; one that failed does not come back."""
            connection = self.GetConnection()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self.ReturnConnection(connection)

        def InvokeMethod(self, mo: Any, info: Any, args: Any, outerStub: Any = None) -> Any:  # noqa: N802, N803
            if info.wsdlName not in READS:
                self._gate(info.wsdlName, f"{type(mo).__name__.rpartition('.')[2]}:{mo._moId}")  # noqa: SLF001
            used = self._session.cookie
            try:
                answer = super().InvokeMethod(mo, info, args, outerStub)
            except expired:
                if info.wsdlName in _PLUMBING or self._session.login is None:
                    raise
            else:
                if self._session.login is None or not (info.wsdlName == _COLLECTS and hidden(answer)):
                    return answer
            self.renew(used)
            return super().InvokeMethod(mo, info, args, outerStub)

        def InvokeAccessor(self, mo: Any, info: Any) -> Any:  # noqa: N802
            used = self._session.cookie
            try:
                return super().InvokeAccessor(mo, info)
            except expired:
                if self._session.login is None:
                    raise
                self.renew(used)
            return super().InvokeAccessor(mo, info)

        def renew(self, used: str) -> None:
            """Logs in again where the session with the cookie `used` has ended."""
            # Several threads may meet the expired session at once: only the first logs in again.
            with self._session.lock:
                if self._session.cookie == used and self._session.login is not None:
                    # A login under the old cookie would be one within a session, which is refused.
                    self._session.cookie = ""
                    self._session.login()

    return GatedStub


def stub(route: Route, version: str, session: Session, gate: Gate = refuse, lender: Any = None) -> Any:
    """Returns a SOAP stub that passes reads, and hands everything else to `gate` first.

    Args:
        route: how the server is reached.
        version: of the API, by pyVmomi's id.
        session: its cookie, shared with other stubs.
        gate: is asked before a write leaves.
        lender: another stub of the same server, whose connections this one uses: a handshake takes longer than a call.
    """
    return _stub_class()(route, version, session, gate, lender)


LOST = (OSError, http.client.HTTPException)
"""What a connection that breaks raises."""
