"""`python -m paver.lab.room --config FILE --ready FD [--hold FD] [--open]`: the lab's first process.

`--open` is for machines that allow no namespaces: the room runs as an ordinary process on loopback addresses.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from paver.errors import PaverError
from paver.lab.room import init, world


def main() -> int:
    """Starts the lab and stays until it is told to end."""
    parser = argparse.ArgumentParser(prog="paver.lab.room", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="what to raise (JSON, holds passwords)")
    parser.add_argument("--ready", type=int, required=True, help="socket to say on that the lab is up")
    parser.add_argument("--hold", type=int, help="pipe; the lab ends when its other end closes")
    parser.add_argument("--open", action="store_true", help="no namespaces")
    options = parser.parse_args()
    ready = socket.socket(fileno=options.ready)
    config: Path = options.config
    raw = json.loads(config.read_text())
    lab = Path(raw["lab"])

    def room() -> int:
        return run(
            world.load(config, lab / "run" if options.open else init.SHORT_RUN, isolated=not options.open),
            ready,
        )

    try:
        if options.open:
            ready.send(b'{"born": true}')
            if options.hold is not None:
                init.watch(options.hold)
            return room()
        return init.main(lab, raw["plan"]["dns"], ready, options.hold, room)
    except Exception as error:
        ready.send(_told(error))
        raise


def run(place: world.World, ready: socket.socket) -> int:
    """Starts the hosts' simulator and the socket, says so, and waits for SIGTERM."""
    # Imported after the fork, so that the first process stays small.
    from paver.lab.room import hosts, server, supervisor, systems  # noqa: PLC0415

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        machines = supervisor.Supervisor(place, systems.SYSTEMS)
        listening = server.Server(place.run / "room.sock", machines)
        threading.Thread(target=listening.serve_forever, name="room", daemon=True).start()
        running = hosts.start(place)
    except Exception as error:
        ready.send(_told(error))
        raise
    ready.send(b'{"up": true}')
    ready.close()
    for process in running:
        # The datacentre without its hosts is none: the lab ends with them, and `paver lab status` says so.
        threading.Thread(target=_ends, args=(process.popen, ended), name="vsim", daemon=True).start()
    ended.wait()
    machines.halt()
    for process in running:
        process.kill()
    return 0


def _told(error: Exception) -> bytes:
    if isinstance(error, PaverError):
        said = {"error": f"{error.what}\n{error.why}".strip(), "seen": error.seen}
    else:
        said = {"error": f"{type(error).__name__}: {error}", "seen": ""}
    return json.dumps(said).encode()


def _ends(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    process.wait()
    ended.set()


if __name__ == "__main__":
    sys.exit(main())
