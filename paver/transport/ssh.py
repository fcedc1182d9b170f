"""SSH with a host key that was known before: no first use is ever trusted.

The host key comes over another verified channel (the pinned ESXi connection), so a key that is not listed is an
error, never a question.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paver.errors import BadInput, Refused, Unobservable
from paver.transport import dial, ending, lean
from paver.transport.shell import Input, Output, Process, Ran, kept, last, late, quoted

if TYPE_CHECKING:
    import paramiko

_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
_ENDING = 15.0
_SOURCE = Path(ending.__file__)
_CHANNELS = 7
"""OpenSSH's default allows ten sessions a connection (sshd_config(5), MaxSessions): one is the program's that reads files,
two stay free to end what was given up."""

UNACKNOWLEDGED = 60.0
"""Seconds until the kernel gives up a connection over which nothing is acknowledged (tcp(7), TCP_USER_TIMEOUT).

By itself it takes 13 to 30 minutes. The other side's kernel acknowledges, however busy its programs are: a machine that is
only slow keeps its connection, and one that is frozen for a moment, as for its snapshot, does too."""

_SAYS = 15
"""Seconds between two words of ours over a connection that nobody uses: where nothing is sent, nothing is missed."""

_ANSWERED = 60.0
"""Seconds until sshd has answered that a command may begin."""

# A command that ends before our end of input is sent gets its channel closed by the server; paramiko may then send that
# end after its own close, for which OpenSSH breaks off the whole connection. So a command without input has none to wait
# for, and one with input reads on to its end (but not through what is left of a long transfer that failed).
_WITHOUT_INPUT = " </dev/null"
_WITH_INPUT = "; code=$?; head -c 1048576 >/dev/null; exit $code"


# paramiko has no class of its own for these (auth_handler.py, wait_for_response).
_HUNG_UP = ("Authentication timeout", "Authentication failed: transport shut down")
_ELSEWHERE = (
    "of a machine that paver made from another station, the sealed store there has it: copy that store here, or name the "
    "copy with --sealed"
)


class HostKeyError(Refused):
    """The machine showed another host key than the one that is known."""


def quiet() -> None:
    """Keeps paramiko's log off the terminal: what matters of it is raised, and said in words of ours."""
    log = logging.getLogger("paramiko")
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def private_key(text: str) -> paramiko.PKey:
    """Returns a private key from its PEM or OpenSSH text.

    Raises:
        BadInput: if it is none, or has a passphrase.
    """
    lean.load("paramiko")
    import paramiko  # noqa: PLC0415

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with contextlib.suppress(paramiko.SSHException, ValueError):
            return kind.from_private_key(io.StringIO(text))
    raise BadInput(
        "the SSH key is no private key that can be used", do="give an OpenSSH key without passphrase"
    )


def _transport(*arguments: Any, **options: Any) -> paramiko.Transport:
    import paramiko  # noqa: PLC0415

    transport = paramiko.Transport(*arguments, **options)
    known = transport.get_security_options().ciphers
    transport.get_security_options().ciphers = tuple(cipher for cipher in _CIPHERS if cipher in known)
    return transport


def connect(
    name: str,
    address: str,
    port: int,
    user: str,
    key: str | None,
    host_keys: Sequence[str],
    *,
    proxy: dial.Proxy | None = None,
    timeout: float = 15.0,
) -> paramiko.SSHClient:
    """Returns a connection to a machine that proved one of `host_keys`.

    Args:
        name: what the user calls the machine.
        address: what is dialled.
        port: its port.
        user: the account.
        key: the private key's text; None takes the agent's keys.
        host_keys: public keys as in `ssh-ed25519 AAAA…`.
        proxy: a CONNECT proxy in between.
        timeout: seconds until the login is done.

    Raises:
        Unobservable: if nothing answers or the login is refused.
        HostKeyError: if the host key is another one.
    """
    lean.load("paramiko")
    import paramiko  # noqa: PLC0415

    if not host_keys:
        raise HostKeyError(
            f"{name}: its SSH host key is not known",
            why="paver never trusts a key on first sight",
            do="let the phase that makes the machine run first, or give its public host key",
        )
    quiet()
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    label = address if port == 22 else f"[{address}]:{port}"
    for line in host_keys:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{label} {line.strip()}")
        if entry is None or entry.key is None:
            raise BadInput(f"{name}: not a public host key: {line[:40]}…")
        client.get_host_keys().add(label, entry.key.get_name(), entry.key)
    try:
        sock = dial.tcp(address, port, proxy, timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNACKNOWLEDGED * 1000))
        client.connect(
            address,
            port,
            username=user,
            pkey=private_key(key) if key is not None else None,
            allow_agent=key is None,
            look_for_keys=False,
            sock=sock,
            timeout=timeout,
            banner_timeout=timeout,
            auth_timeout=timeout,
            transport_factory=_transport,
        )
    except paramiko.BadHostKeyException as error:
        client.close()
        raise HostKeyError(
            f"{name} ({address}) shows another SSH host key than the one that is known",
            seen=f"{error.key.get_name()} {error.key.get_base64()[:32]}…",
            why="the machine was rebuilt, or somebody stands in between",
            do="do not go on before you know which; a rebuilt jumpbox publishes its new key through its host",
        ) from None
    except paramiko.AuthenticationException as error:
        client.close()
        if str(error).startswith(_HUNG_UP):
            raise Unobservable(
                f"{name} ({address}:{port}) hung up before it said whether {user} may log in",
                why=str(error),
                do="see whether its sshd was restarted or is overloaded, then run the same command again",
            ) from error
        raise Unobservable(
            f"{name} ({address}) refuses the SSH login of {user}",
            why=str(error),
            do="check that the key belongs to the account" + (f"; {_ELSEWHERE}" if key is not None else ""),
        ) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        client.close()
        if "not found in known_hosts" in str(error):
            raise HostKeyError(
                f"{name} ({address}) shows an SSH host key of a kind that is not known", seen=str(error)
            ) from None
        raise Unobservable(
            f"{name} ({address}:{port}) does not answer by SSH",
            why=str(error) or type(error).__name__,
            do="check that it is powered on and that port 22 is open from here (`paver ports`)",
        ) from error
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(_SAYS)
    return client


class SshShell:
    """Runs commands over one SSH connection, which is opened on first use and again after it broke.

    Args:
        name: what the user calls the machine.
        dialled: opens the connection.
    """

    local = False

    def __init__(self, name: str, dialled: Any) -> None:
        self._name = name
        self._dialled = dialled
        self._client: paramiko.SSHClient | None = None
        self._hung_up = 0
        self._lock = threading.Lock()
        self._dialling = threading.Lock()
        self._free = threading.BoundedSemaphore(_CHANNELS)

    @property
    def client(self) -> paramiko.SSHClient:
        """The connection.

        Raises:
            ConnectionAbortedError: if somebody hung up while it was dialled.
        """
        # Whoever hangs up does not wait for a machine that does not answer.
        with self._dialling:
            with self._lock:
                known, before = self._client, self._hung_up
            if known is not None:
                transport = known.get_transport()
                if transport is not None and transport.is_active():
                    return known
                known.close()
            client: paramiko.SSHClient = self._dialled()
            with self._lock:
                if self._hung_up == before:
                    self._client = client
                    return client
            client.close()
            raise ConnectionAbortedError(f"{self._name} was hung up on while it was dialled")

    def run(
        self, argv: Sequence[str], *, stdin: Input = b"", timeout: float, on_output: Output | None = None
    ) -> Ran:
        """Runs `argv`; see `Shell.run`."""
        lean.load("paramiko")
        import paramiko  # noqa: PLC0415

        with self._free:
            try:
                mark = secrets.token_hex(16)
                command = f"echo {mark} $$; {quoted(argv)}{_WITH_INPUT if stdin else _WITHOUT_INPUT}"
                channel = self._begun(argv, command, timeout)
                try:
                    return self._attend(channel, mark, argv, stdin, timeout, on_output)
                finally:
                    channel.close()
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise Unobservable(
                    f"{self._name}: the SSH connection broke while {argv[0].rpartition('/')[2]} ran",
                    why=str(error) or type(error).__name__,
                    do="run the same command again: paver looks first what was done",
                ) from error

    def _attend(
        self,
        channel: paramiko.Channel,
        mark: str,
        argv: Sequence[str],
        stdin: Input,
        timeout: float,
        on_output: Output | None,
    ) -> Ran:
        out, err = bytearray(), bytearray()
        end = time.monotonic() + timeout
        broken: list[BaseException] = []
        feeding = threading.Thread(target=_feed, args=(channel, stdin, broken), daemon=True)
        errors = threading.Thread(target=_drain_errors, args=(channel, last(err)), daemon=True)
        if stdin:
            feeding.start()
        errors.start()
        take = _Answer(mark, on_output or kept(out, self._name, argv))
        try:
            while True:
                channel.settimeout(max(end - time.monotonic(), 0.01))
                piece = channel.recv(65536)
                if not piece:
                    break
                take(piece)
            if not broken and not channel.status_event.wait(max(end - time.monotonic(), 0.01)):
                raise TimeoutError  # noqa: TRY301
        except TimeoutError:
            self._end(channel, take.shell)
            raise late(self._name, argv, timeout) from None
        except BaseException:
            self._end(channel, take.shell)
            raise
        if broken:
            raise broken[0]
        code = channel.recv_exit_status()
        errors.join(5)
        if code == -1:
            raise EOFError("it ended without an exit code")
        return Ran(tuple(argv), code, bytes(out), bytes(err))

    def _end(self, channel: paramiko.Channel, shell: str) -> None:
        """Ends what a shell over there began: it would hear nothing of a channel that is closed until it writes."""
        transport = channel.get_transport()
        channel.close()
        # Where this cannot be done the command ends when it writes, as one that nobody may end.
        with contextlib.suppress(Exception):
            if shell and transport.is_active():
                other = transport.open_session(timeout=_ENDING)
                other.settimeout(_ENDING)
                _begin(other, f"python3 -I - {shell}", _ENDING)
                other.sendall(_SOURCE.read_bytes())
                other.shutdown_write()
                other.recv(1)
                other.close()

    def _begun(self, argv: Sequence[str], command: str, timeout: float) -> paramiko.Channel:
        """Returns the channel of `command`, begun for `argv`.

        Raises:
            Unobservable: it is not begun in its time, at most `_ANSWERED`; whether the connection stands nobody knows then.
            EOFError, OSError, paramiko.SSHException: the connection broke.
        """
        import paramiko  # noqa: PLC0415

        transport = self.client.get_transport()
        if transport is None:
            raise EOFError("the connection is gone")
        within, began = min(timeout, _ANSWERED), time.monotonic()
        try:
            channel = transport.open_session(timeout=within)
            try:
                channel.settimeout(timeout)
                _begin(channel, command, within)
            except BaseException:
                channel.close()
                raise
        except (paramiko.SSHException, OSError, EOFError) as error:
            if time.monotonic() - began < within:
                raise
            raise Unobservable(
                f"{self._name} did not begin {argv[0].rpartition('/')[2]} within {within:.0f} s",
                why="it is busy, or not there any more",
                do="look how the machine is, then run the same command again: paver looks first what was done",
            ) from error
        return channel

    def start(self, argv: Sequence[str], *, timeout: float) -> Process:
        """Starts `argv` to talk with it; see `Starter.start`."""
        lean.load("paramiko")
        import paramiko  # noqa: PLC0415

        mark = secrets.token_hex(16)
        try:
            channel = self._begun(argv, f"echo {mark} $$; exec {quoted(argv)}", timeout)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise Unobservable(
                f"{self._name}: the SSH connection broke as {argv[0].rpartition('/')[2]} began",
                why=str(error) or type(error).__name__,
                do="run the same command again",
            ) from error
        return _RemoteProcess(channel, mark, self._end)

    def reach(self, host: str, port: int) -> Any:
        """Returns a connection from the machine to `host`, as a channel.

        Raises:
            OSError: if the machine cannot reach it.
        """
        import paramiko  # noqa: PLC0415

        transport = self.client.get_transport()
        if transport is None:
            raise ConnectionError(f"{self._name} hung up")
        try:
            return transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=15)
        except paramiko.SSHException as error:
            raise ConnectionRefusedError(
                f"{host}:{port} cannot be reached from {self._name}: {error}"
            ) from error

    def close(self) -> None:
        """Hangs up; who uses it again dials anew."""
        with self._lock:
            known, self._client = self._client, None
            self._hung_up += 1
        if known is not None:
            known.close()


class _RemoteProcess:
    def __init__(
        self, channel: paramiko.Channel, mark: str, end: Callable[[paramiko.Channel, str], None]
    ) -> None:
        self._channel = channel
        self._end = end
        self._came = bytearray()
        self._answer = _Answer(mark, self._came.extend)

    def sendall(self, data: bytes) -> None:
        import paramiko  # noqa: PLC0415

        try:
            self._channel.sendall(data)
        except paramiko.SSHException as error:
            raise ConnectionAbortedError(str(error)) from error

    def recv(self, most: int, until: float) -> bytes:
        while not self._came:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._channel.settimeout(left)
            piece = self._channel.recv(most)
            if not piece:
                break
            self._answer(piece)
        came = bytes(self._came)
        self._came.clear()
        return came

    def close(self) -> str:
        said = self._said()
        self._channel.close()
        return said

    def end(self) -> str:
        said = self._said()
        self._end(self._channel, self._answer.shell)
        return said

    def _said(self) -> str:
        said = bytearray()
        take = last(said)
        with contextlib.suppress(OSError):
            while self._channel.recv_stderr_ready() and (piece := self._channel.recv_stderr(65536)):
                take(piece)
        return said.decode("utf-8", "replace").strip()


class _Answer:
    """Hands on what comes after the line of `mark`: before it stands what the account's shell greets with.

    Attributes:
        shell: the number of that shell's process, which stands in that line; empty before it came.
    """

    def __init__(self, mark: str, take: Output) -> None:
        self._mark = re.compile(rb"%b (\d+)\n" % mark.encode())
        self._most = len(mark) + 12
        self._take = take
        self._before: bytes | None = b""
        self.shell = ""

    def __call__(self, piece: bytes) -> None:
        if self._before is None:
            self._take(piece)
            return
        self._before += piece
        found = self._mark.search(self._before)
        if found is None:
            # As much as may be the beginning of that line.
            self._before = self._before[-self._most :]
            return
        rest, self._before, self.shell = self._before[found.end() :], None, found[1].decode()
        if rest:
            self._take(rest)


def _begin(channel: paramiko.Channel, command: str, seconds: float) -> None:
    """Has the server begin `command`; paramiko itself would wait for its answer without an end."""
    unanswered = threading.Timer(seconds, channel.close)
    unanswered.daemon = True
    unanswered.start()
    try:
        channel.exec_command(command)
    finally:
        unanswered.cancel()


def _feed(channel: paramiko.Channel, stdin: Input, broken: list[BaseException]) -> None:
    with contextlib.suppress(OSError, EOFError):
        try:
            for piece in [stdin] if isinstance(stdin, bytes) else stdin:
                channel.sendall(piece)
            channel.shutdown_write()
        except (OSError, EOFError):
            raise
        except BaseException as error:  # noqa: BLE001 (the source failed: the caller must hear of it)
            broken.append(error)
            channel.close()


def _drain_errors(channel: paramiko.Channel, take: Output) -> None:
    with contextlib.suppress(OSError, EOFError):
        while piece := channel.recv_stderr(65536):
            take(piece)
