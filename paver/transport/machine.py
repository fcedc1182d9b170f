"""A Linux machine: files, probes, services and commands, on this machine or over SSH with the same faces.

Commands run through a `Shell`, files are read by `files_reader`: the same here and there, so that what was tried on one
holds on the other.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from paver.errors import PaverError, Refused, Unobservable
from paver.transport import bounds, probes, ssh, transfer
from paver.transport.context import Gate, Progress, SecretRef, Wire
from paver.transport.files import DirectFiles, Files, FileStat, ServedFiles
from paver.transport.shell import CommandError, Input, LocalShell, Output, Ran, Shell, with_env
from paver.transport.tunnel import Far

__all__ = [
    "CommandError",
    "FileStat",
    "MachineConnection",
    "MachineConnector",
    "MachineReader",
    "MachineWriter",
    "Ran",
]

MOST_FILE_BYTES = 64 * 1024 * 1024
"""What is read whole: a journal of a thousand actions has 1 MB, BUCC's credentials 100 kB."""

_UPLOAD = 6 * 3600.0
"""Seconds that an upload may take: 13 GB at 5 MB/s are 45 minutes."""

_WRITE = (
    'set -eu; umask 077; t=$(mktemp "$1.XXXXXX"); trap \'rm -f "$t"\' EXIT; trap "exit 1" HUP INT TERM; trap "" PIPE; cat >"$t"; '
    '[ "$(stat -c %s "$t")" = "$4" ] || { echo "cut short" >&2; exit 65; }; '
    'chmod "$2" "$t"; [ -z "$3" ] || chown "$3" "$t"; sync "$t"; mv -fT "$t" "$1"; trap - EXIT'
)
"""Writes $4 bytes to $1 as mode $2, owner $3: whole or not at all, also if the connection breaks in between."""

_HELD, _ANOTHER = 66, 67
_REPLACE = (
    'set -eu; umask 077; exec 9>>"$5"; [ -z "$3" ] || chown "$3" "$5"; '
    f'flock -n 9 || exit {_HELD}; was=$(sha256sum <"$1" 2>/dev/null || :); [ "${{was%% *}}" = "$6" ] || exit {_ANOTHER}; '
    f"{_WRITE}"
)
"""The same, holding the lock $5, if what stands at $1 has the digest $6 (none: if nothing does)."""
_NOT_REPLACED = {_HELD: "somebody is writing it", _ANOTHER: "somebody has written it since it was read"}


@dataclasses.dataclass(frozen=True)
class Host:
    """What both faces share.

    Attributes:
        name: what the user calls the machine.
        shell: runs commands there.
        root: what stands before a command that needs root.
        python: the interpreter there that reads files and runs jobs.
        jobs: the folder of jobs.
        scratch: a folder on tmpfs for files with secrets.
        timeout: seconds a command may take.
        files: reads files there.
    """

    name: str
    shell: Shell
    root: tuple[str, ...]
    python: str
    jobs: str
    scratch: str
    timeout: float
    files: Files


class MachineReader:
    """Reads files and runs probes."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def host(self) -> Host:
        """What this face works on; for jobs."""
        return self._host

    @property
    def name(self) -> str:
        """What the user calls the machine."""
        return self._host.name

    def read_file(self, path: str) -> bytes | None:
        """Returns a file's bytes, None if it is not there.

        Raises:
            Unobservable: if it is there and cannot be read, or is larger than what may be read whole.
        """
        found = self._host.files.read(path, MOST_FILE_BYTES + 1)
        return None if found is None else bounds.within(found, MOST_FILE_BYTES, f"{self.name}: {path}")

    def stat(self, path: str) -> FileStat | None:
        """Returns what stands at `path` (links are not followed), None if nothing does."""
        return self._host.files.stat(path)

    def exists(self, path: str) -> bool:
        """Tells whether anything stands at `path`."""
        return self.stat(path) is not None

    def listdir(self, path: str) -> tuple[str, ...] | None:
        """Returns the sorted names in a directory, none of what is no directory, None if it is not there."""
        return self._host.files.names(path)

    def probe(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 30.0,
        root: bool = False,
    ) -> Ran:
        """Runs a command that only reads, and returns how it ended.

        Args:
            argv: one of the known probes.
            timeout: seconds until it is given up.
            root: whether it needs root.

        Raises:
            Refused: if it is not known to read only.
        """
        if not probes.reads(argv):
            raise Refused(
                f"{' '.join(argv)} on {self.name} was refused: it is not known to read only",
                why="a plan is made with sessions that cannot write",
                do="this is a fault of paver or of a driver: please report it with the command that you ran",
            )
        return self._exec(argv, timeout=timeout, root=root)

    def _exec(
        self,
        argv: Sequence[str],
        *,
        stdin: Input = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        root: bool = False,
        on_output: Output | None = None,
    ) -> Ran:
        full, fed = with_env(argv, env or {}, stdin)
        if root:
            full = [*self._host.root, *full]
        ran = self._host.shell.run(
            full, stdin=fed, timeout=timeout or self._host.timeout, on_output=on_output
        )
        return dataclasses.replace(ran, argv=tuple(argv))


class MachineWriter(MachineReader):
    """Reads and writes; every write passes the gate by a call name as `file:write` or `run:bucc`."""

    def __init__(self, host: Host, gate: Gate) -> None:
        super().__init__(host)
        self._gate = gate

    def admit(self, call: str, target: str, **detail: object) -> None:
        """Passes the gate."""
        self._gate(call, f"{self.name}: {target}", detail or None)

    def write_file(self, path: str, data: bytes, mode: int = 0o600, owner: str = "") -> None:
        """Writes a file, whole or not at all (call `file:write`); it belongs to root unless `owner` says else.

        Raises:
            CommandError: if it could not be written.
        """
        self.admit("file:write", path, bytes=len(data))
        self._must(["sh", "-c", _WRITE, "sh", path, f"{mode:o}", owner, str(len(data))], stdin=data)

    def replace_file(
        self, path: str, data: bytes, mode: int, owner: str, *, was: bytes | None, lock: str
    ) -> None:
        """Writes a file as `write_file` does, if it still is what it `was` (None: if it is not there).

        Holds `lock` meanwhile, which whoever else writes the file holds by flock too.

        Raises:
            Refused: if somebody else holds the lock, or has written since.
            CommandError: if it could not be written.
        """
        self.admit("file:write", path, bytes=len(data))
        digest = "" if was is None else hashlib.sha256(was).hexdigest()
        argv = ["sh", "-c", _REPLACE, "sh", path, f"{mode:o}", owner, str(len(data)), lock, digest]
        try:
            self._must(argv, stdin=data)
        except CommandError as error:
            why = _NOT_REPLACED.get(error.ran.code)
            if why is None:
                raise
            raise Refused(
                f"{self.name}: {path} was not replaced",
                why=why,
                do="wait until what runs there has ended, then run the same command again",
            ) from error

    def mkdir(self, path: str, mode: int = 0o755, owner: str = "") -> None:
        """Makes a directory with its parents (call `file:mkdir`); it may be there already."""
        self.admit("file:mkdir", path)
        # One command does all: each one is a round trip, and a sudo.
        user, _, group = owner.partition(":")
        owned = [*(["-o", user] if user else []), *(["-g", group] if group else [])]
        self._must(["install", "-d", "-m", f"{mode:o}", *owned, "--", path])

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Removes a file, or a directory with all in it (call `file:remove`); absent is fine."""
        self.admit("file:remove", path)
        self._must(["rm", "-rf" if recursive else "-f", "--", path])

    def run(
        self,
        argv: Sequence[str],
        *,
        input: Input = b"",  # noqa: A002 (subprocess's own word for it)
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        root: bool = False,
        check: bool = True,
        on_output: Output | None = None,
    ) -> Ran:
        """Runs a command (call `run:<its name>`) and returns how it ended.

        Args:
            argv: program and arguments; never a secret.
            input: what it reads on standard input.
            env: variables; their values stand in no argv, so they may be secrets.
            timeout: seconds until it is given up.
            root: whether it needs root.
            check: whether another exit code than 0 is an error.
            on_output: is told standard output as it comes.

        Raises:
            CommandError: if it failed and `check` is set.
        """
        self.admit(f"run:{argv[0].rpartition('/')[2]}", " ".join(argv))
        ran = self._exec(argv, stdin=input, env=env, timeout=timeout, root=root, on_output=on_output)
        if check and not ran.ok:
            raise CommandError(self.name, ran)
        return ran

    def service(self, name: str, action: str) -> None:
        """Starts, stops, restarts, reloads, enables or disables a service (call `service:<action>`)."""
        if action not in ("start", "stop", "restart", "reload", "enable", "disable"):
            raise PaverError(f"{action} is nothing that a service can do")
        self.admit(f"service:{action}", name)
        self._must(["systemctl", action, name])

    def upload(
        self,
        source: Path,
        path: str,
        *,
        mode: int = 0o644,
        owner: str = "",
        on_progress: Progress | None = None,
    ) -> None:
        """Copies a local file there (call `file:upload`), whole or not at all, its SHA-256 compared."""
        self.admit("file:upload", path, bytes=source.stat().st_size)

        def must(argv: Sequence[str], *, stdin: Input = b"") -> Ran:
            return self._must(argv, stdin=stdin, timeout=_UPLOAD)

        transfer.upload(must, source, path, mode=mode, owner=owner, on_progress=on_progress)

    def _must(self, argv: Sequence[str], *, stdin: Input = b"", timeout: float | None = None) -> Ran:
        """As root: whatever is written here is the system's."""
        ran = self._exec(argv, stdin=stdin, root=True, timeout=timeout)
        if not ran.ok:
            raise CommandError(self.name, ran)
        return ran


@dataclasses.dataclass(frozen=True, kw_only=True)
class MachineConnector:
    """How a Linux machine is reached.

    Attributes:
        name: what the user calls it.
        address: what is dialled.
        user: the account.
        key: its private key, a reference into the sealed store; None takes the agent's keys.
        host_keys: its public host keys, as in `ssh-ed25519 AAAA…`, or one text with a line each.
        station: where paver runs when the machine is this very one.
        port: SSH.
        via: the machine that it lies behind, seen from outside.
        sudo: whether the account becomes root by `sudo -n`.
        python: the interpreter there that reads files and runs jobs; it needs the standard library only.
        jobs: the folder of jobs.
        scratch: a folder on tmpfs there that the account may write to.
        on_disk: a file there that says that the machine's state lies on a disk of its own, and where that is mounted.
    """

    name: str
    address: str
    user: str = "paver"
    key: SecretRef | None = None
    host_keys: tuple[str, ...] | str = ()
    station: str = "jumpbox"
    port: int = 22
    via: str | None = None
    sudo: bool = True
    python: str = "python3"
    jobs: str = "/var/lib/paver/jobs"
    scratch: str = "/dev/shm"  # noqa: S108 (tmpfs on every Linux; files there are made 0600 in folders 0700)
    on_disk: tuple[str, str] = ("/etc/paver/data-disk", "/var/lib/paver")

    def connect(self, context: Wire) -> MachineConnection:
        """Returns the connection: local on the machine's own station, by SSH anywhere else.

        Raises:
            Unobservable: if it does not answer, or has lost the disk with its state.
            HostKeyError: if it proves another host key.
        """
        local = context.station == self.station
        becomes_root = () if not self.sudo or self.user == "root" else ("sudo", "-n", "--")
        shell: LocalShell | ssh.SshShell
        if local:
            shell = LocalShell(self.name)
            becomes_root = () if os.geteuid() == 0 else becomes_root
        else:
            shell = ssh.SshShell(self.name, functools.partial(self._dial, context))
            # As any read: cloud-init restarts a fresh machine's sshd once more after the first boot has said who it is.
            context.repeated(self.name, "logging in by SSH", lambda: shell.client)
        python, timeout = sys.executable if local else self.python, context.timeouts.command
        files: Files = DirectFiles(self.name)
        if not local or becomes_root:
            files = ServedFiles(self.name, shell, [*becomes_root, python], timeout)
        host = Host(
            name=self.name,
            shell=shell,
            root=becomes_root,
            python=python,
            jobs=self.jobs,
            scratch=self.scratch,
            timeout=timeout,
            files=files,
        )
        try:
            self._look_for_state(host)
        except BaseException:
            MachineConnection(host).close()
            raise
        return MachineConnection(host)

    def _look_for_state(self, host: Host) -> None:
        """Does nothing if the state is where it was: without its disk all of it would count as absent, and be made anew."""
        said, place = self.on_disk
        if host.files.stat(said) is None:
            return
        if not host.shell.run(["findmnt", "--noheadings", "--mountpoint", place], timeout=host.timeout).ok:
            raise Unobservable(
                f"{self.name}: the data disk that has its state is not mounted",
                seen=f"{said} is there, and no disk on {place}",
                why="what is on that disk would count as absent, and be made a second time on the first one",
                do="attach it again, then switch the machine off and on; its console says why a disk was not mounted. "
                f"To begin without it: sudo rm {said} on that machine",
            )

    def _dial(self, context: Wire) -> Any:
        keys = self.host_keys.splitlines() if isinstance(self.host_keys, str) else self.host_keys
        return ssh.connect(
            self.name,
            self.address,
            self.port,
            self.user,
            context.reveal(self.key) if self.key is not None else None,
            [line for line in keys if line.strip()],
            proxy=context.route(self.via),
            timeout=context.timeouts.connect,
        )


class MachineConnection:
    """A connected machine; thread-safe."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def reader(self) -> MachineReader:
        """Returns the reading face."""
        return MachineReader(self._host)

    def writer(self, gate: Gate) -> MachineWriter:
        """Returns a writing face whose every write passes `gate`."""
        return MachineWriter(self._host, gate)

    def reach(self) -> Callable[[str, int], Far]:
        """Returns what opens TCP connections on the machine's side, for a tunnel."""
        if not isinstance(self._host.shell, ssh.SshShell):
            raise PaverError(f"{self._host.name} is this machine: nothing lies behind it")
        return self._host.shell.reach

    def forget(self) -> None:
        """Has nothing to drop: nothing is kept."""

    def close(self) -> None:
        """Hangs up."""
        self._host.shell.close()
        self._host.files.close()
