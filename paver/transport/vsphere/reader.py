"""The reading face of an ESXi host or a vCenter."""

from __future__ import annotations

import dataclasses
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from paver.errors import PaverError, Unobservable
from paver.transport import retry, tls
from paver.transport.context import Station, Wire
from paver.transport.dial import Route
from paver.transport.vsphere import faults, folder, soap_gate, soap_types
from paver.transport.vsphere.snapshot import Found, Snapshot, Wants, collect, tasks_filter

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Link:
    """One logged-in session, shared by both faces.

    Attributes:
        name: what the user calls the endpoint.
        address: what was dialled.
        route: TLS to it, for files beside SOAP.
        session: the cookie.
        stub: the reading stub.
        content: the service content, bound to the reading stub.
        snapshot: what was read.
        context: the run's.
        redial: connects as this session did, beside it, and hangs up.
    """

    name: str
    address: str
    route: Route
    session: soap_gate.Session
    stub: Any
    content: Any
    snapshot: Snapshot
    context: Wire
    redial: Callable[[], None]


class VsphereReader:
    """Reads; whatever would write raises `Refused` before a byte leaves."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def link(self) -> Link:
        """The session behind this face; for uploads beside SOAP."""
        return self._link

    @property
    def name(self) -> str:
        """What the user calls the endpoint."""
        return self._link.name

    @property
    def address(self) -> str:
        """What was dialled."""
        return self._link.address

    @property
    def station(self) -> Station:
        """Where paver runs."""
        return self._link.context.station

    def reached_anew(self, seconds: float) -> None:
        """Dials, verifies and logs in once more, repeated for `seconds`; what stood before is hung up.

        Raises:
            Unobservable: if that did not succeed.
        """
        link = self._link
        retry.reading(
            link.redial,
            endpoint=link.name,
            doing="reach it anew",
            tell=link.context.on_retry,
            seconds=seconds,
        )
        link.stub.DropConnections()
        link.snapshot.forget_all()

    @property
    def content(self) -> Any:
        """The service content: `about` and the managers' references."""
        return self._link.content

    def ref(self, type_name: str, moid: str) -> Any:
        """Returns a reference by WSDL type name and managed object id, as facts keep them."""
        return soap_types.ref(type_name, moid, self._link.stub)

    def snapshot(self, wants: Wants) -> None:
        """Says what will be read, so that one call fetches all of it: paths by WSDL type name."""
        self._link.snapshot.expect(wants)

    def objects(self, type_name: str, paths: Sequence[str] = ("name",), root: Any = None) -> list[Found]:
        """Returns all inventory objects of a type (below `root`): reference, and values by path (unset: None).

        Kept until the next write or `forget`.
        """
        found: list[Found] = self._guard(
            "read " + type_name, lambda: self._link.snapshot.objects(type_name, paths, root)
        )
        return found

    def one(self, type_name: str, paths: Sequence[str] = ("name",)) -> Found | None:
        """Returns the one object of a type, None if there is none.

        Raises:
            PaverError: if there are several.
        """
        found = self.objects(type_name, tuple(paths))
        if len(found) > 1:
            raise PaverError(
                f"{self.name} has {len(found)} objects of type {type_name}",
                do="rename all but one",
                seen=", ".join(soap_types.describe(item[0]) for item in found[:10]),
            )
        return found[0] if found else None

    def values(self, managed: Any, *paths: str, fresh: bool = False) -> dict[str, Any]:
        """Returns paths of one object, also of managers that no inventory lists; unset ones are None.

        Args:
            managed: the reference.
            paths: leaf paths, as in `config.portgroup`.
            fresh: asks the server even if the answer is kept.
        """
        bound = soap_types.rebound(managed, self._link.stub)
        found: dict[str, Any] = self._guard(
            f"read {soap_types.describe(managed)}",
            lambda: self._link.snapshot.values(bound, paths, fresh=fresh),
        )
        return found

    def value(self, managed: Any, path: str, *, fresh: bool = False) -> Any:
        """Returns one path of one object, None if it is unset."""
        return self.values(managed, path, fresh=fresh)[path]

    def each(self, *wants: tuple[Any, str]) -> list[Any]:
        """Returns a path of each of several objects, what is not kept in one call; None for what is unset."""
        bound = [(soap_types.rebound(managed, self._link.stub), (path,)) for managed, path in wants]
        found = self._guard(
            "read " + ", ".join(soap_types.describe(managed) for managed, _ in bound),
            lambda: self._link.snapshot.several(bound),
        )
        return [values[path] for values, (_, path) in zip(found, wants, strict=True)]

    def lasting(self, name: str, ask: Callable[[], T], *, until: frozenset[str], anew: bool = False) -> T:
        """Returns what `ask` returns; asked once a session, after each of the calls `until` by this session, and `anew`.

        For what is dear to read, and what nobody relies on for a thing that may change behind paver's back: `forget` keeps it.
        """
        return self._link.snapshot.lasting(name, ask, until=until, anew=anew)

    def wait(
        self,
        managed: Any,
        paths: Sequence[str],
        until: Callable[[Mapping[str, Any]], bool],
        *,
        timeout: float,
        doing: str = "",
        on_look: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Reads `paths` anew until `until` holds for them, and returns them.

        Raises:
            PaverError: when `timeout` seconds have passed; says what was seen last.
        """
        end = time.monotonic() + timeout
        pause = 0.01
        while True:
            seen = self.values(managed, *paths, fresh=True)
            if on_look is not None:
                on_look(seen)
            if until(seen):
                return seen
            if time.monotonic() + pause > end:
                raise PaverError(
                    f"{self.name}: {doing or 'what was waited for'} did not come within {timeout:.0f} s",
                    seen=", ".join(f"{key}: {value}" for key, value in seen.items()),
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    def query(self, managed: Any, method: str, **arguments: Any) -> Any:
        """Calls a method that reads (`FindByInventoryPath`, `CreateImportSpec`, …), by WSDL name; it has to stand in `soap_gate.READS`.

        A reading method that is a task is waited for; its result is returned.

        Raises:
            Refused: if the method is not known to read.
        """
        if method not in soap_gate.READS:
            soap_gate.refuse(method, soap_types.describe(managed))
        bound = soap_types.rebound(managed, self._link.stub)
        result = self._guard(method, lambda: soap_types.method(bound, method)(**arguments))
        return self._finished(result, method) if method.endswith("_Task") else result

    def answer(self, managed: Any, method: str, **arguments: Any) -> Any:
        """Calls a method as `query` does; its answer is kept until the next write or `forget`.

        Not until files or custom attributes are written: they have to be nothing to it.
        """
        question = soap_types.describe(managed), method, repr(sorted(arguments.items()))
        return self._link.snapshot.answer(question, lambda: self.query(managed, method, **arguments))

    def datastore_get(self, datastore: str, path: str, *, fresh: bool = False) -> bytes | None:
        """Returns the bytes of a host's `[datastore] path`, None if it is not there.

        Kept until the next write or `forget`; with `fresh` the host is asked whatever was kept.
        """
        link, datacenter = self._link, folder.ESX_DATACENTER

        def get() -> bytes | None:
            return folder.get(link.route, link.stub.lent, link.session.cookie, datastore, path, datacenter)

        def ask() -> bytes | None:
            return self._file(get)

        return ask() if fresh else link.snapshot.file((datastore, path, datacenter), ask)

    def datastore_size(self, datastore: str, path: str) -> int | None:
        """Returns the size of a host's `[datastore] path` in bytes, None if it is not there."""
        link, datacenter = self._link, folder.ESX_DATACENTER
        return self._file(
            lambda: folder.head(link.route, link.stub.lent, link.session.cookie, datastore, path, datacenter)
        )

    def _file(self, ask: Callable[[], T]) -> T:
        """Returns what is asked of a file, in a new session where the present one has ended."""
        used = self._link.session.cookie
        try:
            return ask()
        except folder.SignedOutError:
            self._link.stub.renew(used)
            return ask()

    def datastore_stream(self, datastore: str, path: str) -> Iterator[bytes]:
        """Yields the bytes of a host's `[datastore] path`, piece by piece."""
        link, datacenter = self._link, folder.ESX_DATACENTER
        return folder.stream(link.route, link.session.cookie, datastore, path, datacenter)

    def recent_tasks(self) -> list[Found]:
        """Returns the tasks that the server lists as recent, as they are now: all that have not ended, and some that have.

        Of each its entity's name, its own, who asked for it and its state; what may not be read of one is left out.
        """
        found: list[Found] = self._guard("read the recent tasks", self._recent)
        return found

    def _recent(self) -> list[Found]:
        content = self._link.content
        return collect(content.propertyCollector, [tasks_filter(content.taskManager)], strict=False)

    def forget(self) -> None:
        """Drops what was read; the next reading asks the server."""
        self._link.snapshot.forget()

    def _finished(
        self, task: Any, call: str, target: str = "", on_progress: Callable[[int], None] | None = None
    ) -> Any:
        """Waits for a task by leaf paths and returns its result."""
        bound = soap_types.rebound(task, self._link.stub)
        # Most tasks of a plan, as to look into a folder, take a host some milliseconds.
        pause = 0.005
        while True:
            seen = self.values(bound, "info.state", "info.error", "info.progress", "info.result", fresh=True)
            if seen["info.state"] == "success":
                if on_progress is not None:
                    on_progress(100)
                return seen["info.result"]
            if seen["info.state"] == "error":
                raise faults.translate(seen["info.error"], call, target or self.name)
            if on_progress is not None and seen["info.progress"] is not None:
                on_progress(int(seen["info.progress"]))
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    def _guard(self, doing: str, act: Callable[[], Any]) -> Any:
        """Runs a reading act; a connection that stays lost is `Unobservable`, a fault tells its class."""
        return self._link.context.repeated(self.name, doing, lambda: self._once(doing, act))

    def _once(self, doing: str, act: Callable[[], Any]) -> Any:
        from pyVmomi import vmodl  # noqa: PLC0415

        try:
            return act()
        except (vmodl.MethodFault, vmodl.RuntimeFault) as fault:
            raise faults.translate(fault, doing, self.name) from None
        except ssl.SSLCertVerificationError as error:
            raise tls.explain(error, self.name, context=self._link.route.trust.context) from error
        except soap_gate.LOST as error:
            raise Unobservable(
                f"{self.name} ({self._link.address}) stopped answering: {doing}",
                why=str(error) or type(error).__name__,
                do="check that it is up and reachable, then run the same command again",
            ) from error
