"""Sessions with vCenter's single sign-on: the accounts of its own domain.

pyVmomi has no binding for this API. What is here is what accounts need: finding, making, describing and
deleting them, setting their password, and whether a login is admitted.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import http.client
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from paver.errors import PaverError, Unobservable
from paver.transport import tls
from paver.transport.context import Gate, SecretRef, Wire
from paver.transport.dial import HttpsConnection, Route, Trust
from paver.transport.logins import refused_by_sso
from paver.transport.vsphere import sso_soap
from paver.transport.vsphere.sso_soap import Reference

_INSTANCE = Reference("SsoAdminServiceInstance", "SsoAdminServiceInstance")
_LOST = (OSError, http.client.HTTPException)
_MOST = 10000
_EXPIRED = frozenset({"SsoFaultNotAuthenticated", "NotAuthenticated"})
_REFUSED_LOGIN = frozenset({"FailedAuthentication", "SsoFaultInvalidCredentials", "InvalidLogin"})


class SsoFault(PaverError):
    """A call that single sign-on refused; `fault` is its class, as in `SsoAdminFaultPasswordPolicyViolation`."""

    def __init__(self, name: str, call: str, fault: sso_soap.Fault) -> None:
        why = "the domain's password policy does not take it" if "PasswordPolicy" in fault.name else ""
        super().__init__(f"{name}: {call} failed with {fault.name}", why=why, seen=fault.text)
        self.fault = fault.name


@dataclasses.dataclass(frozen=True)
class SsoUser:
    """An account of the domain."""

    name: str
    description: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class SsoConnector:
    """How single sign-on of a vCenter is reached.

    Attributes:
        name: what the user calls it; errors name it so.
        address: what is dialled, vCenter's name.
        domain: the domain of its own accounts.
        user: an administrator, `administrator@<domain>`.
        password: a reference into the sealed store.
        roots: PEM texts or names of anchors that its certificate must lead to.
        server_name: the name that its certificate must bear, if it is not `address`.
        via: the machine that it lies behind, seen from outside.
        port: HTTPS.
    """

    name: str
    address: str
    domain: str
    user: str
    password: SecretRef
    roots: tuple[str, ...]
    server_name: str | None = None
    via: str | None = None
    port: int = 443

    def connect(self, context: Wire) -> SsoConnection:
        """Logs in and returns the connection.

        Raises:
            Unobservable: if nothing answers, or the login is refused.
            TrustError: if the certificate is not the right one.
        """
        trust = Trust(tls.ca_context(context.pem(self.roots)), self.server_name)
        route = Route(
            address=self.address,
            port=self.port,
            trust=trust,
            proxy=context.route(self.via),
            connect_timeout=context.timeouts.connect,
            timeout=context.timeouts.answer,
        )
        line = Line(self, context, route)
        line.log_in()
        return SsoConnection(line)


class Line:
    """One logged-in session, shared by both faces; one call at a time."""

    def __init__(self, settings: SsoConnector, context: Wire, route: Route) -> None:
        self.settings = settings
        self._context = context
        self._route = route
        self._lock = threading.RLock()
        self._cookie = ""
        self._managers: Mapping[str, Reference] = {}

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.settings.name

    def log_in(self) -> None:
        """Asks for a token and logs in with it."""
        with self._lock:
            self._cookie = ""
            token = self._own_token()
            content = sso_soap.child(self._ask("SsoAdminServiceInstance", _INSTANCE, {}), "returnval")
            names = (
                "sessionManager",
                "principalDiscoveryService",
                "principalManagementService",
                "passwordPolicyService",
            )
            self._managers = {name: sso_soap.reference(content, name) for name in names}
            request = sso_soap.login(self._managers["sessionManager"], token, _now())
            self._checked("Login", self._post(self._admin, request, sso_soap.ADMIN))

    def _own_token(self) -> str:
        settings, password = self.settings, self._context.reveal(self.settings.password)

        def ask() -> str:
            token = self.token(settings.user, password)
            if token is None:
                raise refused_by_sso(
                    f"{self.name} ({settings.address})", settings.user, settings.password.name
                )
            return token

        # vCenter itself asks the same accounts.
        return self._context.logins.once(f"{settings.address}:{settings.port}", settings.user, password, ask)

    def log_out(self) -> None:
        """Logs out; a server that is gone already is fine."""
        with self._lock:
            if self._managers:
                request = sso_soap.call(self._managers["sessionManager"], "Logout", {})
                self._post(self._admin, request, sso_soap.ADMIN)
                self._managers = {}

    def token(self, user: str, password: str) -> str | None:
        """Returns a token for an account, None if its login is refused."""
        path = f"/sts/STSService/{self.settings.domain}"
        answer = self._post(path, sso_soap.issue(user, password, _now()), sso_soap.ISSUE)
        fault = sso_soap.fault_in(answer)
        if fault is not None and fault.name in _REFUSED_LOGIN:
            return None
        if fault is not None:
            raise SsoFault(self.name, "Issue", fault)
        return sso_soap.token_in(answer)

    def call(self, manager: str, method: str, arguments: Mapping[str, Any]) -> Any:
        """Calls a method of a manager and returns the answer's element; logs in again where that is asked for."""
        with self._lock:
            try:
                return self._ask(method, self._managers[manager], arguments)
            except SsoFault as fault:
                if fault.fault not in _EXPIRED:
                    raise
            self.log_in()
            return self._ask(method, self._managers[manager], arguments)

    @property
    def _admin(self) -> str:
        return f"/sso-adminserver/sdk/{self.settings.domain}"

    def _ask(self, method: str, managed: Reference, arguments: Mapping[str, Any]) -> Any:
        answer = self._post(self._admin, sso_soap.call(managed, method, arguments), sso_soap.ADMIN)
        self._checked(method, answer)
        return sso_soap.result(answer)

    def _checked(self, method: str, answer: str) -> None:
        fault = sso_soap.fault_in(answer)
        if fault is not None:
            raise SsoFault(self.name, method, fault)

    def _post(self, path: str, request: str, action: str) -> str:
        connection: HttpsConnection = self._route.https()
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        if self._cookie:
            headers["Cookie"] = self._cookie
        try:
            connection.request("POST", path, body=request.encode(), headers=headers)
            response = connection.getresponse()
            cookies = response.msg.get_all("Set-Cookie") or []
            answer = response.read().decode("utf-8", "replace")
        except ssl.SSLCertVerificationError as error:
            raise tls.explain(error, self.name, context=self._route.trust.context) from error
        except _LOST as error:
            raise Unobservable(
                f"{self.name} ({self.settings.address}) does not answer",
                why=str(error) or type(error).__name__,
                do="check that vCenter's services run and that the port is open from here (`paver ports`)",
            ) from error
        finally:
            connection.close()
        if cookies and path == self._admin:
            self._cookie = "; ".join(one.partition(";")[0] for one in cookies)
        if response.status not in (200, 500):
            raise Unobservable(
                f"{self.name} ({self.settings.address}) answered {path} with {response.status}",
                why="vCenter's services may still be starting",
                do="wait some minutes, then run the same command again",
            )
        return answer


class SsoReader:
    """Finds accounts, and what their passwords are held to."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self._line.name

    def user(self, name: str) -> SsoUser | None:
        """Returns an account of the domain, None if there is none."""
        who = {"name": name, "domain": self._line.settings.domain}
        answer = self._line.call("principalDiscoveryService", "FindPersonUser", {"userId": who})
        return next(_users(answer), None)

    def users(self) -> tuple[SsoUser, ...]:
        """Returns all accounts of the domain."""
        arguments = {
            "criteria": {"searchString": "", "domain": self._line.settings.domain},
            "limit": _MOST,
        }
        answer = self._line.call("principalDiscoveryService", "FindPersonUsers", arguments)
        return tuple(sorted(_users(answer), key=lambda one: one.name))

    def password_days(self) -> int | None:
        """Returns for how many days a password of the domain holds, None if it does not expire."""
        answer = self._line.call("passwordPolicyService", "GetLocalPasswordPolicy", {})
        text = sso_soap.text_of(sso_soap.child(answer, "returnval"), "passwordLifetimeDays")
        return int(text) or None if text else None

    def admits(self, name: str, password: str) -> bool:
        """Tells whether an account can log in; a wrong password counts towards its lock."""
        return self._line.token(f"{name}@{self._line.settings.domain}", password) is not None


class SsoWriter(SsoReader):
    """Makes, changes and deletes accounts; every write passes the gate under its method's name."""

    def __init__(self, line: Line, gate: Gate) -> None:
        super().__init__(line)
        self._gate = gate

    def create(self, name: str, password: str, description: str) -> None:
        """Makes an account (call `CreateLocalPersonUser`)."""
        details = _details(name, description)
        self._write(
            "CreateLocalPersonUser", name, {"userName": name, "userDetails": details, "password": password}
        )

    def describe(self, name: str, description: str) -> None:
        """Sets an account's description (call `UpdateLocalPersonUserDetails`)."""
        details = _details(name, description)
        self._write("UpdateLocalPersonUserDetails", name, {"userName": name, "userDetails": details})

    def set_password(self, name: str, password: str) -> None:
        """Sets an account's password (call `ResetLocalPersonUserPassword`)."""
        self._write("ResetLocalPersonUserPassword", name, {"userName": name, "newPassword": password})

    def delete(self, name: str) -> None:
        """Deletes an account (call `DeleteLocalPrincipal`)."""
        self._write("DeleteLocalPrincipal", name, {"principalName": name})

    def _write(self, method: str, name: str, arguments: Mapping[str, Any]) -> None:
        self._gate(method, f"{self.name}: {name}")
        self._line.call("principalManagementService", method, arguments)


class SsoConnection:
    """A logged-in session; thread-safe."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def reader(self) -> SsoReader:
        """Returns the reading face."""
        return SsoReader(self._line)

    def writer(self, gate: Gate) -> SsoWriter:
        """Returns a writing face whose every write passes `gate`."""
        return SsoWriter(self._line, gate)

    def forget(self) -> None:
        """Has nothing to drop: nothing is kept."""

    def close(self) -> None:
        """Logs out."""
        try:
            self._line.log_out()
        except PaverError:
            # A session that cannot be ended ends by itself.
            return


def _details(name: str, description: str) -> dict[str, str]:
    return {"description": description, "firstName": name, "lastName": "paver"}


def _users(answer: Any) -> Iterator[SsoUser]:
    for found in sso_soap.children(answer, "returnval"):
        yield SsoUser(
            name=sso_soap.text_of(found, "id", "name"),
            description=sso_soap.text_of(found, "details", "description"),
        )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
