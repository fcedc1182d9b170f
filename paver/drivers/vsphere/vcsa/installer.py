"""The vendor's installer, unpacked on the jumpbox from its ISO.

The ISO is a file on the jumpbox, or is brought there: from a datastore of the host that vCenter is to stand on, over the
host's pinned session, or from an NFS server, in user space. What was brought whole stays until it is unpacked. xorriso drops the executable bits, and vcsa-deploy starts programs all over
the tree (ovftool lies beside the appliance's OVA), so they are given back to every file; a tree is complete once its
marker lies in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from paver.driver import (
    BadInput,
    Check,
    Endpoint,
    Facts,
    Mark,
    PaverError,
    Reader,
    Resource,
    Unobservable,
    Verb,
    Writer,
)
from paver.drivers.vsphere.endpoints import MACHINE
from paver.machine.brought import arriving
from paver.signing import canonical
from paver.transport import nfs, nfs_url

TREES = PurePosixPath("/var/lib/paver/installers")
MARKER = "paver.json"
PROGRAM = "vcsa-cli-installer/lin64/vcsa-deploy"
OVFTOOL = "vcsa/ovftool/lin64/ovftool"
"""What vcsa-deploy starts to make the VM: its log in vmware/photon#764 has the whole command line."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstallerFacts(Facts):
    """The tree as it lies on the jumpbox; size in bytes and digest are those of the ISO."""

    source: str
    size: int
    program: str
    sha256: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Installer(Resource[InstallerFacts]):
    """The unpacked installer.

    Attributes:
        source: where the ISO is: a path on the jumpbox, `[datastore] path` on `host`, or `nfs://server/path`.
        sha256: its digest; None takes any.
        host: the host whose datastore is meant.
    """

    kind = "vsphere.installer"
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        Verb.CREATE: frozenset(
            {
                "file:mkdir",
                "file:write",
                "file:remove",
                "nfs:copy",
                "run:dd",
                "run:xorriso",
                "run:chmod",
                "run:mv",
            }
        ),
        Verb.DELETE: frozenset({"file:remove"}),
    }
    replaces = frozenset({"source", "sha256"})
    unmanaged = frozenset({"host"})
    dies_with_parent = True

    source: str
    sha256: str | None = None
    host: Endpoint[Any, Any]

    def says(self) -> str:
        """Returns what a plan shows."""
        known = f"sha256 {self.sha256[:12]}…" if self.sha256 else "unverified: the site file has no sha256"
        return f"unpack {str(self.source).rpartition('/')[2]}, {known}"

    def estimate(self) -> int:
        """Returns about how many seconds 10 GB take."""
        return 120

    def read(self, world: Reader) -> InstallerFacts | None:
        """Returns the tree of this very ISO."""
        return _facts(world, str(_tree(self.source)))

    def create(self, world: Writer) -> None:
        """Unpacks into a draft, which gets its name once it is whole."""
        machine = world.writing(MACHINE)
        tree = _tree(self.source)
        draft, iso = str(tree.with_name(f".{tree.name}")), str(tree.with_name(f".{tree.name}.iso"))
        if machine.exists(draft):
            # Its folders came with the ISO's rights, by which nobody but root may take anything out of them.
            machine.run(["chmod", "-R", "u+rwX", draft])
        for old in (draft, str(tree)):
            machine.remove(old, recursive=True)
        machine.mkdir(str(TREES), 0o755, "paver:paver")
        brought = not self.source.startswith("/")
        if brought:
            digest = self._brought(world, iso)
        else:
            iso = self.source
            if not machine.exists(iso):
                raise BadInput(
                    f"the installer's ISO is not at {iso} on the jumpbox",
                    do="copy it there, or name another place in iaas.vcenter.installer",
                )
            digest = _digest(world, iso)
        if self.sha256 is not None and digest != self.sha256:
            if brought:
                machine.remove(iso)
            raise BadInput(
                f"{self.source} is not the ISO that the site file names",
                seen=f"sha256 {digest}, wanted {self.sha256}",
                why="it is another version, was cut short, or somebody exchanged it; nothing of it was run",
                do="put the vendor's ISO there, or correct iaas.vcenter.installer.sha256",
            )
        status = machine.stat(iso)
        size = status.size if status is not None else 0
        machine.mkdir(draft, 0o755, "paver:paver")
        world.report("unpacking the ISO")
        machine.run(["xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", draft], timeout=3600)
        if brought:
            machine.remove(iso)
        machine.run(["chmod", "-R", "u+w,a+rx", draft])
        mark = world.mark(complete=True).document()
        marker = json.dumps({"mark": mark, "sha256": digest, "size": size, "source": self.source}).encode()
        machine.write_file(f"{draft}/{MARKER}", marker, 0o644)
        machine.run(["mv", "--no-target-directory", draft, str(tree)])

    def _brought(self, world: Writer, iso: str) -> str:
        """Brings the ISO from elsewhere, unless an earlier run did; returns its digest."""
        machine = world.writing(MACHINE)
        if self.sha256 is not None and machine.exists(iso) and _digest(world, iso) == self.sha256:
            return self.sha256
        machine.remove(iso)
        remote = nfs_url.of(self.source)
        if remote is not None:
            step = arriving.progress(world, f"reading {remote.name} from {remote.server}")
            return nfs.copy(machine, remote, iso, times=2, on_progress=step).sha256
        seen = hashlib.sha256()
        try:
            machine.run(
                ["dd", f"of={iso}", "bs=1M", "status=none"],
                input=self._pieces(world, seen, *_on_datastore(self.source)),
                timeout=3 * 3600,
            )
        except Exception:
            # Half an ISO takes room and is good for nothing.
            machine.remove(iso)
            raise
        return seen.hexdigest()

    def _pieces(self, world: Writer, seen: Any, datastore: str, path: str) -> Iterator[bytes]:
        host = world.session(self.host)
        total = host.datastore_size(datastore, path)
        if total is None:
            raise BadInput(
                f"the installer's ISO is not at {self.source}",
                why=f"{host.name} has no such file there",
                do="upload it with the host's own client, or name another place in iaas.vcenter.installer",
            )
        done, step = 0, arriving.progress(world, f"reading {path.rpartition('/')[2]} from {host.name}")
        for piece in host.datastore_stream(datastore, path):
            seen.update(piece)
            yield piece
            done += len(piece)
            step(done, total)

    def checks(self, world: Reader, facts: InstallerFacts) -> Iterable[Check]:
        """Yields that vcsa-deploy and its ovftool are there, and can be run."""
        for name in (PROGRAM, OVFTOOL):
            path = f"{facts.address['tree']}/{name}"
            found = world.session(MACHINE).stat(path)
            runs = found is not None and found.mode & 0o111 == 0o111
            yield Check(f"the ISO has {name.rpartition('/')[2]}, and it can be run", runs, path)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[InstallerFacts]:
        """Yields every unpacked tree that bears the site's mark."""
        for name in world.session(at).listdir(str(TREES)) or ():
            found = None if name.startswith(".") else _facts(world, str(TREES / name))
            if found is not None and found.mark is not None:
                yield found

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: InstallerFacts) -> None:
        """Removes the tree, and what may have been brought for another one."""
        tree = PurePosixPath(facts.address["tree"])
        for path in (tree, tree.with_name(f".{tree.name}.iso")):
            world.writing(at).remove(str(path), recursive=True)


def _tree(source: str) -> PurePosixPath:
    return TREES / hashlib.sha256(source.encode()).hexdigest()[:24]


def _digest(world: Writer, iso: str) -> str:
    world.report("verifying the ISO")
    ran = world.session(MACHINE).probe(["sha256sum", iso], timeout=3600, root=True)
    if not ran.ok:
        # A folder of that name, or a disk that gives back what it holds no more.
        raise PaverError(
            f"the installer's ISO {iso} can't be read on the jumpbox",
            seen=ran.err.decode(errors="replace").strip(),
            do="see that it is a file, whole and readable there; then run the same command again",
        )
    return str(ran.text.split()[0])


def _on_datastore(source: str) -> tuple[str, str]:
    """Returns datastore and path of `[datastore] path`."""
    datastore, _, path = source[1:].partition("]")
    return datastore, path.strip()


def _facts(world: Reader, tree: str) -> InstallerFacts | None:
    data = world.session(MACHINE).read_file(f"{tree}/{MARKER}")
    if data is None:
        return None
    try:
        found = canonical.loads(data)
    except canonical.CanonicalError as error:
        raise _damaged(tree, error.what) from error
    match found:
        case {"mark": dict(mark), "source": str(source), "size": int(size), "sha256": str(sha256)}:
            return InstallerFacts(
                address={"tree": tree},
                mark=Mark.of(mark),
                source=source,
                size=size,
                sha256=sha256,
                program=f"{tree}/{PROGRAM}",
            )
        case _:
            raise _damaged(tree, "its keys are not those of a marker")


def _damaged(tree: str, seen: str) -> PaverError:
    return Unobservable(
        f"{tree}/{MARKER} on the jumpbox is not what paver wrote there",
        seen=seen,
        why="it says which ISO was unpacked there: nothing of it is run without that",
        do=f"remove {tree}: paver unpacks the ISO anew",
    )
