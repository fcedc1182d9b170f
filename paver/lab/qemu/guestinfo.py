"""guestinfo without a hypervisor that has it: a stand-in for open-vm-tools' own program, and whom it asks.

QEMU has no channel for VMware's remote procedure calls. So the disk gets a `vmware-rpctool` that comes before the
real one in PATH and speaks over the second serial port; here is the other end. Its words are those of the real one:
cloud-init tells a missing value by exactly `No value found` and exit code 1.

    guest  base64("info-get guestinfo.metadata")
    host   0 base64(value), or 1 base64(error)
"""

from __future__ import annotations

import base64
import binascii
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from paver.errors import PaverError
from paver.lab import control

NONE = "No value found"
_OPENS = 20.0
_PORT = "/dev/ttyS1"

RPCTOOL = f"""\
#!/bin/sh
# Stands in for open-vm-tools' program of this name where the hypervisor has no guestinfo: asks over a serial port.
exec 3<>{_PORT} || exit 1
# One at a time. Not by a file: systemd's generators, one of which asks first, see a file system that is read-only.
flock 3 || exit 1
stty -F {_PORT} raw -echo 115200 || exit 1
printf '%s' "$*" | base64 -w0 >&3 && echo >&3
IFS=' ' read -r code answer <&3 || exit 1
case $code in
    0) printf '%s' "$answer" | base64 -d; echo ;;
    *) printf '%s' "$answer" | base64 -d >&2; echo >&2 ;;
esac
exit "$code"
"""

TOOLSD = """\
#!/bin/sh
# As vmware-rpctool beside it; all else does the real one.
case $1 in
    --cmd) shift; exec /usr/local/bin/vmware-rpctool "$@" ;;
esac
exec /usr/bin/vmtoolsd "$@"
"""

FILES: Mapping[str, str] = {
    "/usr/local/bin/vmware-rpctool": RPCTOOL,
    "/usr/local/bin/vmtoolsd": TOOLSD,
}
"""What the disk gets, by path; all of it is executable."""


class Guestinfo:
    """The values of one machine; they outlive its boots.

    Args:
        values: by key, as `guestinfo.metadata`.
        changed: told the values after the machine set one.
    """

    def __init__(
        self, values: Mapping[str, str], changed: Callable[[Mapping[str, str]], None] = lambda _: None
    ) -> None:
        self._values = dict(values)
        self._changed = changed
        self._lock = threading.Lock()

    @property
    def values(self) -> Mapping[str, str]:
        """The values as they are now."""
        with self._lock:
            return dict(self._values)

    def answer(self, command: str) -> tuple[int, str]:
        """Returns the exit code and the output of `vmware-rpctool COMMAND`."""
        verb, _, rest = command.strip().partition(" ")
        key, _, value = rest.partition(" ")
        if verb == "info-get":
            found = self.values.get(key)
            return (1, NONE) if found is None else (0, found)
        if verb == "info-set" and key.startswith("guestinfo."):
            with self._lock:
                self._values[key] = value
            self._changed(self.values)
            return 0, ""
        return 1, "Unknown command"

    def reply(self, line: bytes) -> bytes:
        """Returns what goes back over the serial port after `line`."""
        code, text = self.answer(_decoded(line))
        return f"{code} {base64.b64encode(text.encode()).decode()}\n".encode()

    def serve(self, port: Path, alive: Callable[[], bool]) -> None:
        """Answers the machine whose second serial port is the socket `port`, in a thread, until it is switched off.

        Args:
            port: the socket.
            alive: tells whether the machine is on, or raises why it is not.

        Raises:
            PaverError: the machine went off before it could be heard, or does not open its port.
        """
        line = _opened(port, alive)
        threading.Thread(target=self._serve, args=(line,), name="guestinfo", daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        line.settimeout(None)
        rest = b""
        with line:
            while piece := _received(line):
                *whole, rest = (rest + piece).split(b"\n")
                for each in whole:
                    line.sendall(self.reply(each))


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(65536)
    except ConnectionResetError:
        return b""


def _decoded(line: bytes) -> str:
    try:
        return base64.b64decode(line.strip(), validate=True).decode("utf-8", "replace")
    except binascii.Error:
        # What a serial port says while nobody has set it up.
        return ""


def _opened(port: Path, alive: Callable[[], bool]) -> socket.socket:
    end = time.monotonic() + _OPENS
    while True:
        still = alive()
        try:
            return control.connect(port, _OPENS)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if not still:
                raise PaverError("the machine went off before its serial port could be opened") from error
            if time.monotonic() > end:
                raise PaverError(
                    f"the machine did not open its serial port within {_OPENS:g} s", why=str(error)
                ) from error
            time.sleep(0.02)
