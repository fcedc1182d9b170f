"""paver's own SSH to the lab's jumpbox, from inside of the lab, with less patience.

    python -m tests.support.at_jumpbox follow|run KEY HOST_KEY STOP SILENCE

`follow` follows a job that counts on, and prints what it hears, as a line of JSON each; it stops once the file STOP is there.
`run` runs a command that says nothing, and prints what it fails with. SILENCE is how many seconds of it count as a break: of
the job itself for `follow`, of the other side's kernel for `run`. The other limit stays long, so that it is never the one that
notices.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from paver.errors import Unobservable
from paver.transport import job, ssh
from paver.transport.context import Wire
from paver.transport.machine import MachineConnector, MachineWriter
from tests.support.lab_jumpbox import ADDRESS

COUNTS = 'i=0; while :; do i=$((i+1)); echo "$i"; sleep 0.2; done'


@dataclasses.dataclass(frozen=True)
class Named:
    """A secret's name."""

    name: str


def _say(what: str, text: str) -> None:
    sys.stdout.write(json.dumps([what, text]) + "\n")
    sys.stdout.flush()


def _follow(machine: MachineWriter, stop: Path) -> None:
    def on_break(why: str) -> None:
        _say("broken" if why else "heard", why)

    running = job.start_or_attach(machine, "counts", ["sh", "-c", COUNTS])
    end = running.follow(lambda line: _say("line", line), stop=stop.exists, on_break=on_break)
    _say("end", end.state)


def _run(machine: MachineWriter) -> None:
    _say("runs", "")
    try:
        machine.run(["sleep", "3600"], timeout=3600)
    except Unobservable as error:
        _say("failed", error.what)


def main() -> None:
    """Does what the first argument says."""
    verb, key, host_key, stop, silence = sys.argv[1:]
    if verb == "follow":
        job.SILENCE = float(silence)
    else:
        ssh.UNACKNOWLEDGED = float(silence)
    job.BEAT, ssh._SAYS = 0.2, 1
    connector = MachineConnector(name="jumpbox", address=ADDRESS, key=Named("key"), host_keys=(host_key,))
    text = Path(key).read_text()
    machine = connector.connect(Wire(reveal=lambda _: text)).writer(lambda *_, **__: None)
    if verb == "follow":
        _follow(machine, Path(stop))
    else:
        _run(machine)


if __name__ == "__main__":
    main()
