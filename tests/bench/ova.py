"""An OVA into a simulated host, verified and read back, against `govc import.ova -m`."""

from __future__ import annotations

import contextlib
import hashlib
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from paver.lab import build
from tests.bench import ova_file
from tests.bench.measure import Ground, Row
from tests.bench.process import Command, alternate, python, run
from tests.support import vsphere_lab

SIZES = (200, 2000)
LINE = 100_000_000
"""Bytes a second of the relay: a gigabit line."""
FLAT = 1.1
"""How much more memory an OVA of ten times the size may take."""
_HERE = Path(__file__).parent


def measure(ground: Ground) -> Iterator[Row]:
    """Yields the time of each size with and without the relay, and how the memory of large and small compare."""
    peaks: dict[int, float] = {}
    with vsphere_lab.hosts(ground.folder, "esx-01") as there, _relay(there.ports["esx-01"]) as slow:
        for megabytes in SIZES:
            ova = ground.folder / f"{megabytes}.ova"
            ground.say(f"making an OVA of {megabytes} MB")
            ova_file.make(ova, megabytes)
            alone = digested(ova)
            rounds = max(3, ground.rounds * SIZES[0] // megabytes)
            for port, line, goal in (
                (slow, "behind 100 MB/s", 1.05),
                (there.ports["esx-01"], "without a relay", 1.3),
            ):
                row, peak = _deployed(
                    ground, there, ova, port, rounds, f"OVA of {megabytes} MB, {line}", goal
                )
                peaks[megabytes] = max(peaks.get(megabytes, 0.0), peak)
                yield row
                yield floor(row, alone)
            ova.unlink()
    small, large = (peaks[size] for size in SIZES)
    yield Row("memory for 2000 MB", large, small, "the same for 200 MB", large / small, FLAT, unit="MiB")


def digested(file: Path) -> float:
    """Returns the seconds that its SHA-1 takes on one core with nothing beside it, the median of three."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        with file.open("rb") as stream:
            hashlib.file_digest(stream, "sha1")
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def floor(row: Row, alone: float) -> Row:
    """Returns what nobody gets below who verifies before the first byte: the digest alone, then what the peer takes."""
    assert row.peer is not None
    least = alone + row.peer
    return Row(
        f"its floor: SHA-1 alone {alone:.2f} s, then the peer",
        least,
        row.peer,
        row.against,
        least / row.peer,
        None,
    )


def _deployed(
    ground: Ground, there: vsphere_lab.Hosts, ova: Path, port: int, rounds: int, what: str, goal: float
) -> tuple[Row, float]:
    ground.say(what)
    govc = str(build.build(["govc"])["govc"])
    password, peak = ground.folder / "password", ground.folder / "peak"
    password.write_text(vsphere_lab.PASSWORD)
    script = (_HERE / "deploy_ova.py", ova, vsphere_lab.ADDRESS, port, there.pins["esx-01"], password, peak)
    ours = Command(python(*map(str, script)))
    environment = govc_environment(ground.folder, port)
    theirs = Command((govc, "import.ova", "-m", str(ova)), environment)
    gone = Command((govc, "vm.destroy", "bench"), environment)
    found = alternate(ours, theirs, rounds, after=lambda: run(gone))
    row = Row(what, found.median, found.peer, "govc import.ova -m", found.ratio, goal, runs=rounds)
    return row, float(peak.read_text())


def govc_environment(folder: Path, port: int) -> dict[str, str]:
    """Returns how govc reaches the host, its certificate verified."""
    return {
        "GOVC_URL": f"https://{vsphere_lab.ADDRESS}:{port}",
        "GOVC_USERNAME": "root",
        "GOVC_PASSWORD": vsphere_lab.PASSWORD,
        "GOVC_TLS_CA_CERTS": str(folder / "esx-01.crt"),
        "GOVC_PERSIST_SESSION": "false",
        "HOME": str(folder),
    }


@contextlib.contextmanager
def _relay(port: int) -> Iterator[int]:
    argv = python(str(_HERE / "relay.py"), f"{vsphere_lab.ADDRESS}:{port}", str(LINE))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()
