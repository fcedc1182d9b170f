"""Deploying an OVF: a lease, the disks over HTTPS, and a comparison of what arrived with what was sent.

The rules are those of the vendor's own clients (govmomi `nfc/lease.go`, `lease_updater.go`): `*` in a device's
address stands for the host that was dialled; a lease dies after 300 s unless progress is told, also an unchanged
one; a lease that is not completed must be aborted, or the import stays stuck.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from paver.errors import BadInput, PaverError
from paver.transport import tls
from paver.transport.context import Progress
from paver.transport.dial import Route
from paver.transport.stream import Hashing, Readable, send_stream
from paver.transport.vsphere import faults, soap_types
from paver.transport.vsphere.reader import VsphereReader
from paver.transport.vsphere.writer import VsphereWriter

CALLS = frozenset({"ImportVApp", "nfc:POST", "nfc:PUT", "HttpNfcLeaseComplete", "HttpNfcLeaseAbort"})
"""What a kind that deploys an OVF declares."""

_NO_MANIFEST = ("NotSupported", "InvalidState")

TELL = 2.0
"""Seconds between two tellings of progress, as govmomi does it."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A file that the descriptor refers to.

    Attributes:
        open: opens it for reading, once; who opened it closes it.
        size: its size in bytes.
        sha1: its digest in hex, if whoever verified it knows it: what arrives is held to it then, and nothing is
            digested a second time.
    """

    open: Callable[[], Readable]
    size: int
    sha1: str | None = None


def import_spec(
    reader: VsphereReader,
    ovf: str,
    pool: Any,
    datastore: Any,
    *,
    name: str,
    networks: Mapping[str, Any],
) -> Any:
    """Returns what vSphere makes of a descriptor (`OvfCreateImportSpecResult`), its disks thin; reads only.

    Args:
        reader: the session.
        ovf: the descriptor's text.
        pool: the resource pool it goes to.
        datastore: the datastore.
        name: the VM's name.
        networks: by the descriptor's network name, the network's reference.

    Raises:
        BadInput: if vSphere finds errors in it.
    """
    new = soap_types.new
    params = new(
        "OvfCreateImportSpecParams",
        locale="",
        deploymentOption="",
        entityName=name,
        diskProvisioning="thin",
        networkMapping=[
            new("OvfNetworkMapping", name=key, network=network) for key, network in networks.items()
        ],
    )
    result = reader.query(
        reader.content.ovfManager,
        "CreateImportSpec",
        ovfDescriptor=ovf,
        resourcePool=pool,
        datastore=datastore,
        cisp=params,
    )
    if result.error:
        told = [_fault_text(fault) for fault in result.error]
        raise BadInput(
            f"{reader.name} cannot deploy {name} from its descriptor",
            seen="\n".join(told),
            why="; ".join(_ADVICE[word] for word in _ADVICE if any(word in line for line in told)),
            do="check the descriptor's networks, hardware version and deployment option",
        )
    return result


_ADVICE = {
    "OvfUnsupportedHardwareFamily": "the hardware version is newer than the host, or from another product's export",
    "OvfNetworkMappingNotSupported": "a network of the descriptor is mapped to none of the host",
    "OvfNoHostNic": "a network of the descriptor is mapped to none of the host",
}


def _fault_text(localized: Any) -> str:
    fault = getattr(localized, "fault", localized)
    translated = faults.translate(fault, "CreateImportSpec", "")
    fields = ", ".join(f"{key} {value}" for key, value in sorted(translated.fields.items()))
    return translated.fault + (f" ({fields})" if fields else "")


def import_vapp(
    writer: VsphereWriter,
    pool: Any,
    folder: Any,
    host: Any,
    spec: Any,
    sources: Mapping[str, Source],
    on_progress: Progress | None = None,
    on_untold: Callable[[str], None] | None = None,
) -> Any:
    """Deploys what `import_spec` returned and returns the VM's reference.

    Args:
        writer: the session; its gate must let `CALLS` pass.
        pool: the resource pool.
        folder: the VM folder; None on a bare host takes its only one.
        host: the host, where a cluster offers several.
        spec: the result of `import_spec`; its `importSpec.configSpec.extraConfig` may carry the mark.
        sources: by the descriptor's file name, the files.
        on_progress: is told bytes sent and bytes in all.
        on_untold: is told why what arrived could not be compared with what was sent, if it could not.

    Raises:
        BadInput: if a file that the descriptor refers to is not given.
        VsphereFault: if vSphere refuses.
        PaverError: if an upload breaks or arrives changed; the lease is aborted then.
    """
    lacking = sorted({item.path for item in spec.fileItem or ()} - set(sources))
    if lacking:
        raise BadInput(f"the descriptor refers to {', '.join(lacking)}, which is not there")
    lease = writer.call(pool, "ImportVApp", spec=spec.importSpec, folder=folder, host=host)
    try:
        info = _ready(writer, lease)
        plan = _match(spec.fileItem or (), info.deviceUrl)
        total = sum(sources[item.path].size for item, _ in plan)
        sent = {}
        with _kept_alive(writer, lease) as alive:
            done = 0
            for item, url in plan:
                source = sources[item.path]

                tell = functools.partial(_tell, alive, on_progress, done, total)
                sent[url.key] = (_send(writer, item, url, source, tell), source.size, bool(url.disk))
                done += source.size
        untold = _compare(writer, lease, sent)
        if untold and on_untold is not None:
            on_untold(untold)
        writer.call(lease, "HttpNfcLeaseComplete")
    except BaseException:
        # Also for Ctrl-C: an import that is neither completed nor aborted stays stuck on the host.
        with contextlib.suppress(PaverError):
            writer.call(lease, "HttpNfcLeaseAbort")
        raise
    return info.entity


def _tell(
    alive: _Alive, on_progress: Progress | None, before: int, in_all: int, done: int, total: int
) -> None:
    del total
    alive.check()
    alive.percent = (before + done) * 99 // max(in_all, 1)
    if on_progress is not None:
        on_progress(before + done, in_all)


def _ready(writer: VsphereWriter, lease: Any) -> Any:
    seen = writer.wait(
        lease,
        ("state", "error"),
        lambda now: now["state"] in ("ready", "error") or now["error"] is not None,
        timeout=300,
        doing="the lease for the upload",
    )
    if seen["state"] != "ready":
        raise faults.translate(seen["error"], "ImportVApp", writer.name)
    return writer.value(lease, "info", fresh=True)


def _match(items: Any, urls: Any) -> list[tuple[Any, Any]]:
    by_key = {url.importKey: url for url in urls}
    lacking = [item.path for item in items if item.deviceId not in by_key]
    if lacking:
        raise PaverError(f"the lease has no place for {', '.join(lacking)}", seen=", ".join(sorted(by_key)))
    return [(item, by_key[item.deviceId]) for item in items]


def _send(writer: VsphereWriter, item: Any, url: Any, source: Source, on_progress: Progress) -> str:
    parts = urllib.parse.urlsplit(url.url)
    route = upload_route(writer.link.route, parts.hostname or "*", parts.port or 443, url.sslThumbprint or "")
    method = "PUT" if item.create else "POST"
    headers = {"Content-Type": "application/x-vnd.vmware-streamVmdk"}
    if route is writer.link.route:
        # Whoever else it goes to knows the lease's own address, and has no business with this session.
        headers["Cookie"] = writer.link.session.cookie
    if item.create:
        # A file that is no disk (an ISO): the host makes it anew.
        headers["Overwrite"] = "t"
        headers["Content-Type"] = "application/octet-stream"
    writer.admit(f"nfc:{method}", item.path, bytes=source.size)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    with contextlib.ExitStack() as ended:
        hashing = None if source.sha1 else ended.enter_context(contextlib.closing(Hashing("sha1")))
        data = source.open()
        status, reason = send_stream(
            route, method, path, headers, data, source.size, hashing=hashing, on_progress=on_progress
        )
    if status not in (200, 201, 204):
        raise PaverError(
            f"{writer.name} did not take {item.path}: {status} {reason}",
            why="proxy variables or a proxy in between answer so" if status in (502, 503) else "",
            do="run the same command again: the upload starts anew",
        )
    return hashing.hexdigest() if hashing is not None else str(source.sha1)


def upload_route(dialled: Route, host: str, port: int, thumbprint: str) -> Route:
    """Returns where a device's address leads: `*` is the host that was dialled, port included.

    Through vCenter it is the ESXi host's own name; its certificate must be the one whose thumbprint vCenter, whom
    we trust, tells with the lease.
    """
    if host in ("*", dialled.address, dialled.trust.server_name):
        return dialled
    if not thumbprint:
        raise PaverError(
            f"the upload goes to {host}, and nothing tells which certificate it has",
            why="vCenter gave no thumbprint with the lease",
        )
    pem = tls.fetch_certificate(host, port, proxy=dialled.proxy, timeout=dialled.connect_timeout)
    tls.check_thumbprint(pem, thumbprint, host)
    return dialled.to(host, port, tls.pinned_context(pem))


class _Alive:
    """Tells the lease's progress in a thread of its own; what goes wrong there is raised by `check`."""

    def __init__(self, writer: VsphereWriter, lease: Any) -> None:
        self.percent = 0
        self._writer = writer
        self._lease = lease
        self._stop = threading.Event()
        self._error: PaverError | None = None
        self._thread = threading.Thread(target=self._run, name="nfc-lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while not self._stop.wait(TELL):
            try:
                self._writer.call(self._lease, "HttpNfcLeaseProgress", percent=min(self.percent, 99))
            except PaverError as error:
                # One lost telling is no harm; a fault means that the lease is gone.
                if isinstance(error, faults.VsphereFault):
                    self._error = error
                    return


@contextlib.contextmanager
def _kept_alive(writer: VsphereWriter, lease: Any) -> Iterator[_Alive]:
    with _Alive(writer, lease) as alive:
        yield alive
    alive.check()


def _compare(writer: VsphereWriter, lease: Any, sent: Mapping[str, tuple[str, int, bool]]) -> str:
    """Returns why what arrived could not be compared, empty if it was.

    The API's own text calls the manifest that of a download: a host that tells none of an upload breaks no promise.
    """
    try:
        told = writer.query(lease, "HttpNfcLeaseGetManifest") or ()
    except faults.VsphereFault as fault:
        if not any(fault.is_a(name) for name in _NO_MANIFEST):
            raise
        return f"{writer.name} does not tell what arrived: {fault.fault}"
    entries = {entry.key: entry for entry in told}
    untold = []
    for key, (digest, size, disk) in sent.items():
        entry = entries.get(key)
        if entry is None or not entry.sha1:
            if disk:
                untold.append(key)
        elif entry.sha1.lower() != digest:
            raise PaverError(
                f"{writer.name} got {key} changed on the way",
                seen=f"sha1 {entry.sha1}, {entry.size} bytes; wished {digest}, {size} bytes",
                do="run the same command again: the upload starts anew",
            )
    return f"{writer.name} does not tell what arrived of {', '.join(untold)}" if untold else ""
