"""`paver` without its start, which is most of what a command takes: `python -m tests.support.warm SOCKET` forks it.

That process has loaded what commands load. Each of them is `paver.__main__` in a process of its own, with a command line,
an environment, a folder and standard files of its own. Only /proc does not show its arguments and its environment.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NoReturn

from paver import __main__ as paver
from paver.lab import raising, system
from paver.report import page
from paver.transport import s3_session

LOADED = (
    *(
        "botocore.session",
        "encodings.idna",
        "httpcore",
        "httpx",
        "idna",
        "jinja2",
        "minio",
        "paramiko",
        "pyVmomi",
        "tarfile",
    ),
    *(
        "paver.runs.newest",
        "paver.runs.offers",
        "paver.runs.progress",
        "paver.report.page",
        "paver.report.plan_text",
    ),
    *(
        "paver.sitefile.load",
        "paver.trust.paving",
        "paver.foundation.paving",
        "paver.foundation.handover.contract",
    ),
    *("paver.foundation.doors", "paver.drivers.vsphere.doors"),
    *(f"paver.drivers.vsphere.{part}" for part in ("check", "pave", "preflight")),
    *(f"paver.cli.{verb}" for verb in ("apply", "contract", "destroy", "entry", "env", "plan", "verify")),
)


class Warm:
    """Where `paver` is forked inside of a lab, from the first time that it is asked for.

    Args:
        lab: the lab.
    """

    def __init__(self, lab: raising.Lab) -> None:
        self._lab = lab
        self._process: subprocess.Popen[bytes] | None = None
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def run(
        self, argv: Sequence[str], folder: Path, environment: Mapping[str, str], given: str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Runs `paver ARGV` in a folder, with `given` on its standard input.

        Raises:
            subprocess.TimeoutExpired: it did not end in `timeout` seconds.
        """
        if self._process is None:
            self._process = self._start()
        with ExitStack() as opened:
            files = [opened.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3)]
            files[0].write(given)
            files[0].seek(0)
            ended, telling = os.pipe()
            opened.callback(os.close, ended)
            asked = json.dumps([argv, str(folder), dict(environment)]).encode()
            socket.send_fds(self._ours, [asked], [*(file.fileno() for file in files), telling])
            os.close(telling)
            if not select.select([ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(["paver", *argv], timeout)
            code = int(os.read(ended, 16))
            return subprocess.CompletedProcess(argv, code, *(_whole(file) for file in files[1:]))

    def _start(self) -> subprocess.Popen[bytes]:
        number = self._theirs.fileno()
        argv = self._lab.argv([sys.executable, "-m", "tests.support.warm", str(number)], self._lab.folder)
        environment = {**self._lab.environment(), "PYTHONPATH": system.python_path()}
        process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, pass_fds=[number])
        self._theirs.close()
        return process

    def close(self) -> None:
        """Ends it."""
        self._theirs.close()
        self._ours.close()
        if self._process is not None:
            self._process.wait()


def _whole(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def main() -> int:
    """Forks until nobody is at the other end any more."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    for module in LOADED:
        importlib.import_module(module)
    s3_session.session().get_service_data(s3_session.SERVICE)
    page._template()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        text, files, _, _ = socket.recv_fds(asked, 1 << 20, 4)
        if not text:
            return 0
        if os.fork() == 0:
            asked.close()
            _lead(files.pop(), files, *json.loads(text))
        for file in files:
            os.close(file)


def _lead(told: int, files: list[int], argv: list[str], folder: str, environment: dict[str, str]) -> NoReturn:
    """Runs `paver` in another process, and tells how that ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(told, str(code).encode())
        os._exit(0)
    os.close(told)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.argv[1:] = argv
    code = paver.main()
    # What a Python tidies at its end is shared with the process that forks: it would be copied first, page by page.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
