"""Sessions with ESXi hosts and vCenter: `VsphereConnector`, and the faces that it leads to.

Trust is settled before the login leaves: the server's certificate is one of `pins`, or it was issued by one of
`roots` for the name that is dialled. pyVmomi's own pinning is not used: with it a wrong thumbprint connects.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ssl
from collections.abc import Callable
from typing import Any

from paver.errors import Unobservable
from paver.transport import tls
from paver.transport.context import Gate, SecretRef, Wire
from paver.transport.dial import Route, Trust
from paver.transport.logins import LoginError, NoAccessError, refused_by_sso
from paver.transport.vsphere import faults, soap_gate, soap_types, unfinished
from paver.transport.vsphere.reader import Link, VsphereReader
from paver.transport.vsphere.snapshot import Snapshot
from paver.transport.vsphere.trust import trusted_context
from paver.transport.vsphere.writer import VsphereWriter


@dataclasses.dataclass(frozen=True, kw_only=True)
class VsphereConnector:
    """How one host or vCenter is reached.

    Attributes:
        name: what the user calls it, as `esx-01`; errors name it so.
        address: what is dialled, an address or a name.
        user: the account.
        password: its password, a reference into the sealed store.
        pins: SHA-256 fingerprints (`sha256:…`, with or without colons) of certificates that are trusted as they are.
        shown: names of anchors that hold a certificate which the server showed when it was trusted otherwise.
        roots: PEM texts or names of anchors (`vmca`) whose certificates are trusted for `server_name`.
        server_name: the name that a certificate issued by `roots` must bear, if it is not `address`.
        via: the machine that it lies behind, seen from outside.
        port: HTTPS.
        wants: what the first reading fetches in one call: (WSDL type name, leaf paths).
    """

    name: str
    address: str
    user: str
    password: SecretRef
    pins: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    server_name: str | None = None
    via: str | None = None
    port: int = 443
    wants: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def connect(self, context: Wire) -> VsphereConnection:
        """Verifies the server, logs in, and returns the connection.

        Raises:
            Unobservable: if nothing answers, or the login is refused.
            TrustError: if the certificate is none of those that are trusted.
        """
        proxy = context.route(self.via)

        def decide() -> tuple[ssl.SSLContext, str | None]:
            return trusted_context(self, context, proxy)

        route = Route(
            address=self.address,
            port=self.port,
            trust=Trust(*decide(), renew=decide if self.pins else None),
            proxy=proxy,
            connect_timeout=context.timeouts.connect,
            timeout=context.timeouts.answer,
        )
        link = self._log_in(context, route)
        link.snapshot.expect(dict(self.wants))
        return VsphereConnection(link, self.user)

    def _log_in(self, context: Wire, route: Route) -> Link:
        from pyVmomi import vim, vmodl  # noqa: PLC0415

        session = soap_gate.Session()
        failed = contextlib.ExitStack()
        stub = soap_gate.stub(route, soap_types.BASELINE, session)
        failed.callback(stub.DropConnections)
        try:
            content = soap_types.ref("ServiceInstance", "ServiceInstance", stub).RetrieveContent()
            stub.ComputeVersionInfo(soap_types.newest_known(content.about.apiVersion))

            def ask(password: str) -> None:
                try:
                    content.sessionManager.Login(userName=self.user, password=password)
                except vim.fault.InvalidLogin:
                    raise self._refused(is_vcenter) from None
                except vim.fault.NoPermission:
                    raise self._shut_out(is_vcenter) from None

            def login() -> None:
                password = context.reveal(self.password)
                context.logins.once(f"{self.address}:{self.port}", self.user, password, lambda: ask(password))

            is_vcenter = content.about.apiType == "VirtualCenter"
            session.login = login
            login()
            failed.pop_all()
        except (vmodl.MethodFault, vmodl.RuntimeFault) as fault:
            raise faults.translate(fault, "Login", self.name) from None
        except ssl.SSLCertVerificationError as error:
            raise tls.explain(error, f"{self.name} ({self.address})", context=route.trust.context) from error
        except soap_gate.LOST as error:
            raise Unobservable(
                f"{self.name} ({self.address}:{self.port}) does not answer",
                why=str(error) or type(error).__name__,
                do="check that it is powered on and that port 443 is open from here (`paver ports`)",
            ) from error
        finally:
            failed.close()
        return Link(
            name=self.name,
            address=self.address,
            route=route,
            session=session,
            stub=stub,
            content=content,
            snapshot=Snapshot(lambda: content.propertyCollector, _viewer(content)),
            context=context,
            redial=lambda: self.connect(context).close(),
        )

    def _refused(self, is_vcenter: bool) -> LoginError:
        if is_vcenter:
            return refused_by_sso(f"{self.name} ({self.address})", self.user, self.password.name)
        return LoginError(
            f"{self.name} ({self.address}) refuses the login of {self.user}",
            why="user or password is wrong, or the account is locked: five wrong passwords lock it for 15 minutes, and the "
            "right one is refused as well then",
            do=f"check secret:{self.password.name} before you try again, since each wrong try counts: `paver secrets set "
            f"{self.password.name}` takes the one that is set there (a newer one has to be set there first, paver does not "
            "bring it). A locked account opens 15 minutes after the last wrong try, or on "
            f"the host's console, which locks nobody out: `pam_tally2 --user {self.user} --reset`",
        )

    def _shut_out(self, is_vcenter: bool) -> NoAccessError:
        what = f"{self.name} ({self.address}) does not let {self.user} in, though the password is right"
        if is_vcenter:
            return NoAccessError(
                what, why="the account has no permission in this vCenter", do="give it a role there"
            )
        return NoAccessError(
            what,
            why="the host is in lockdown mode, which leaves it to its vCenter and to exception users; or the account has "
            "no role on the host",
            do="turn lockdown mode off in vCenter (the host, Configure, Security Profile) or, unless it is the strict one, "
            f"on the host's console (F2); or make {self.user} an exception user there. Then run the same command again",
        )


def _viewer(content: Any) -> Any:
    def view(root: Any) -> Any:
        return content.viewManager.CreateContainerView(root or content.rootFolder, None, True)

    return view


class VsphereConnection:
    """A logged-in endpoint, as `user`; thread-safe."""

    def __init__(self, link: Link, user: str) -> None:
        self._link = link
        self._user = user

    def reader(self) -> VsphereReader:
        """Returns the reading face."""
        return VsphereReader(self._link)

    def writer(self, gate: Gate) -> VsphereWriter:
        """Returns a writing face whose every write passes `gate`."""
        link = self._link

        def admit(call: str, target: str = "", detail: Any = None) -> None:
            if call not in soap_gate.UPKEEP:
                gate(call, f"{link.name}: {target}", detail)

        stub = soap_gate.stub(link.route, link.stub.version, link.session, admit, lender=link.stub)
        return VsphereWriter(link, stub, gate)

    def settle(self, stopping: Callable[[], bool], tell: Callable[[str], None]) -> None:
        """Waits for the tasks that an earlier run asked for and did not see the end of (`unfinished.settle`)."""
        unfinished.settle(VsphereReader(self._link), self._user, stopping, tell)

    def forget(self) -> None:
        """Drops what was read."""
        self._link.snapshot.forget()

    def close(self) -> None:
        """Logs out and hangs up; a server that is gone already is fine."""
        self._link.session.login = None
        with contextlib.suppress(Exception):
            self._link.content.sessionManager.Logout()
        self._link.stub.DropConnections()
