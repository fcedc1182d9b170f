"""Looks for secrets where none may be: in files, in what was printed, in arguments and environments of processes.

It knows what redactor and sessions of paver do not tell it: the values themselves, in the forms in which tools write
them. It shows their names only.
"""

from __future__ import annotations

import base64
import collections
import json
import os
import re
import subprocess
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from paver.lab.standins import libyaml
from paver.sealed import keys, store

SHORTEST = 12
"""Shorter pieces of a secret would be found anywhere."""
ELLIPTIC_LINES = 3
"""Lines of a P-256 key in PKCS #8: 26 bytes of names and lengths, 32 of the secret, 70 with the public point."""
LARGEST = 512 << 20
"""Bytes of a file that is looked into."""
CREDENTIALS = "bucc-creds"
# Looks after which a process that is not in the lab's network is taken for a stranger.
SETTLED = 20
# Whole documents: their secrets are entries of their own, or leaves of the credentials.
DOCUMENTS = frozenset({CREDENTIALS, "bucc-vars", "bucc-state"})
PUBLIC = frozenset({"ca", "certificate", "public_key", "public_key_fingerprint", "username"})

LISTED = (
    # BUCC's own state and credentials: its CLI knows no other way.
    r"/root/var/lib/paver/bucc/lab-north/state/(creds\.yml|state\.json)$",
    # The director's VM and the services' VMs: what BOSH and its agent render there.
    r"/machines/[^/]+/(settings\.json$|vcap/jobs/)",
    # The object store's disk: MinIO has no key server here that would encrypt its accounts.
    r"/BOSH_Disks/[^/]+/minio-server/\.minio\.sys/config/iam/users/",
)
"""Places of SECURITY.md's table that are files of the lab's machines."""
THEIR_OWN = (
    # A real host and a real vCenter know their own passwords as well, in a form that this lab does not imitate.
    r"/lab/run/(config|esx)\.json$",
    r"/machines/[^/]+/(guest-credentials|vcenter)\.json$",
)
"""What the lab's servers were raised with."""
TRASH = r"/BOSH_Disks/[^/]+/minio-server/\.minio\.sys/tmp/\.trash/"
"""Of SECURITY.md's table too: what MinIO replaced of its accounts, until it empties that, in some minutes."""


def secrets(sealed: Path, key: Path) -> dict[str, str]:
    """Returns every secret value of a sealed store by name, those that BUCC made for itself among them."""
    reader = store.unlock(sealed, keys.KeyFile(key))
    found: dict[str, str] = {}
    for number, (name, value) in enumerate(reader.all_values()):
        text = value.reveal()
        if name == CREDENTIALS:
            found |= dict(_leaves(name, libyaml.loads(text)))
        elif name not in DOCUMENTS and "BEGIN CERTIFICATE" not in text and text:
            found[f"{name} #{number}"] = text
    return found


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in PUBLIC:
                yield from _leaves(f"{path}/{key}", item)
    elif isinstance(value, str) and len(value) >= SHORTEST and "BEGIN CERTIFICATE" not in value:
        yield path, value


class Patterns:
    """All forms of some secrets, ready to be looked for.

    Args:
        values: by name.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._names: dict[bytes, str] = {}
        for name, value in values.items():
            for piece in _pieces(value):
                for form in _forms(piece):
                    self._names.setdefault(form, name)

    def __len__(self) -> int:
        return len(self._names)

    def files(
        self, *roots: Path, newer: Path | None = None, without: Iterable[str] = ()
    ) -> dict[str, set[str]]:
        """Returns which secrets stand in files below `roots`: names by path.

        Args:
            roots: files or folders.
            newer: only files that were changed after this one.
            without: regular expressions of paths that are not looked into.
        """
        hidden = re.compile("|".join(without) or r"(?!)")
        paths = [path for path in _below(roots, newer) if not hidden.search(str(path))]
        found: dict[str, set[str]] = collections.defaultdict(set)
        if not paths:
            return {}
        done = subprocess.run(
            ["xargs", "-0", "grep", "--binary-files=text", "-HZoF", "-f", self._file(), "--"],
            input=b"\0".join(os.fsencode(path) for path in paths),
            capture_output=True,
            check=False,
            env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
            pass_fds=(self._descriptor,),
        )
        os.close(self._descriptor)
        # 123: some grep found nothing, or a file went meanwhile.
        assert done.returncode in {0, 123}, done.stderr
        for line in done.stdout.split(b"\n"):
            path, _, form = line.partition(b"\0")
            if form:
                found[os.fsdecode(path)].add(self._names[form])
        return dict(found)

    def text(self, data: bytes) -> set[str]:
        """Returns the names of the secrets that stand in `data`."""
        return {name for form, name in self._names.items() if form in data}

    def _file(self) -> str:
        # In memory only: the patterns are the secrets.
        self._descriptor = os.memfd_create("patterns")
        with os.fdopen(os.dup(self._descriptor), "wb") as file:
            file.write(b"\n".join(self._names) + b"\n")
        return f"/proc/self/fd/{self._descriptor}"


def _pieces(value: str) -> Iterator[bytes]:
    """Yields a value, or of a key in PEM the lines that nothing else has: not those with its public part."""
    if "\n" not in value.strip():
        yield value.strip().encode()
        return
    lines = [line for line in value.splitlines() if line and not line.startswith("-----")]
    # An elliptic key of three lines begins with what is secret, and ends with its public part; others the other way.
    for line in lines[:2] if len(lines) == ELLIPTIC_LINES else lines[max(1, len(lines) // 3) :]:
        if len(line) >= 2 * SHORTEST:
            yield line.encode()


def _forms(piece: bytes) -> Iterator[bytes]:
    text = piece.decode()
    yield piece
    yield json.dumps(text)[1:-1].encode()
    yield urllib.parse.quote(text, safe="").encode()
    yield urllib.parse.quote_plus(text).encode()
    yield text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode()
    for skipped in range(3):
        # What the piece alone decides of a base64 text in which it begins anywhere.
        encoded = base64.b64encode(bytes(skipped) + piece).rstrip(b"=")
        inner = encoded[(skipped * 8 + 5) // 6 : (skipped + len(piece)) * 8 // 6]
        if len(inner) >= SHORTEST:
            yield inner
            yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def matching(found: Mapping[str, set[str]], path: str) -> dict[str, set[str]]:
    """Returns what was found in files whose path matches a regular expression."""
    return {name: names for name, names in found.items() if re.search(path, name)}


def _below(roots: Iterable[Path], newer: Path | None) -> list[Path]:
    # find is quicker than Python by far where a home has a hundred thousand files. What is larger is a disk, whose one
    # line of gigabytes grep would take into memory.
    since = [] if newer is None else ["-newer", str(newer)]
    argv = [
        "find",
        *map(str, roots),
        "-xdev",
        "-name",
        ".cache",
        "-prune",
        "-o",
        "-type",
        "f",
        "-size",
        f"-{LARGEST >> 20}M",
        *since,
        "-print0",
    ]
    done = subprocess.run(
        argv, capture_output=True, check=False
    )  # what went meanwhile, or is not ours, is left out
    return [Path(os.fsdecode(path)) for path in done.stdout.split(b"\0") if path]


class Sampler:
    """Keeps what stands in arguments and environments of the lab's processes while it is entered.

    Attributes:
        arguments: every command line that was seen.
        environments: every environment that was seen, by the command line that it belongs to.

    Args:
        init: the lab's first process, seen from here.
        pause: seconds between two looks.
    """

    def __init__(self, init: int, pause: float = 0.1) -> None:
        self.arguments: set[bytes] = set()
        self.environments: dict[bytes, bytes] = {}
        self._namespace = _namespace(init)
        self._ended = threading.Event()
        self._pause = pause
        self._thread = threading.Thread(target=self._sample, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        outside: dict[str, int] = {}
        while not self._ended.wait(self._pause):
            now = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
            outside = {name: outside[name] for name in now if name in outside}
            for name in now:
                # What has been elsewhere for a while stays there; before, it may be on its way in.
                if outside.get(name, 0) > SETTLED:
                    continue
                if _namespace(name) != self._namespace:
                    outside[name] = outside.get(name, 0) + 1
                    continue
                arguments = _read(f"/proc/{name}/cmdline")
                environment = _read(f"/proc/{name}/environ")
                if arguments:
                    self.arguments.add(arguments)
                    # It may have become another program between the two: that one's are not this one's.
                    if _read(f"/proc/{name}/cmdline") == arguments:
                        self.environments[arguments] = environment


def _namespace(pid: int | str) -> int:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return 0


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
