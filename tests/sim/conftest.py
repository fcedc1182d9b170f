"""Labs for the tests: raised in namespaces of their own, gone with the test process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from paver.lab import build, plan, system
from paver.lab.qemu import programs as qemus
from tests.support.lab_jumpbox import Jumpbox
from tests.support.raised import Raised, held

TUN = Path("/dev/net/tun")


def _cables() -> bool:
    """Tells whether this machine lets anybody have a tap: a lab without one boots no real disk."""
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except OSError:
        return False
    return True


collect_ignore = [] if _cables() else ["test_lab_pc.py"]


def pytest_report_header() -> str:
    """Says what cannot run here, so that nobody takes it for proven."""
    return f"not run, {TUN} cannot be opened: {', '.join(collect_ignore)}" if collect_ignore else ""


PASSWORDS = {"esx-01": "Paver-Lab-1!", "esx-02": "Paver-Lab-2!"}


@pytest.fixture(scope="session")
def tools() -> dict[str, Path]:
    """The system's programs, unpacked into the cache where the machine lacks them."""
    return dict(system.provide(system.survey()))


@pytest.fixture(scope="session")
def qemu() -> None:
    """QEMU, unpacked into the cache where the machine lacks it."""
    qemus.provide(lambda _: None)


@pytest.fixture(scope="session")
def programs() -> dict[str, Path]:
    """The simulator and its client, built if need be."""
    return dict(build.build(["vsim", "govc"]))


@pytest.fixture(scope="session")
def lab(
    tmp_path_factory: pytest.TempPathFactory, programs: dict[str, Path], tools: dict[str, Path]
) -> Iterator[Raised]:
    """The demo's lab: two bare hosts, DNS and time left to the jumpbox."""
    yield from _raised(tmp_path_factory.mktemp("lab"), plan.demo(PASSWORDS), programs, tools)


@pytest.fixture
def site_lab(tmp_path: Path, programs: dict[str, Path], tools: dict[str, Path]) -> Iterator[Raised]:
    """A lab without hosts, whose site has DNS and time servers of its own."""
    bare = plan.demo(PASSWORDS)
    records = (("vcsa.north.example", "10.20.0.20"), ("time.north.example", "10.20.0.3"))
    wanted = replace(bare, hosts=(), dns=("10.20.0.2",), ntp=("10.20.0.3",), records=records)
    yield from _raised(tmp_path, wanted, programs, tools)


@pytest.fixture(scope="session")
def empty_lab(tmp_path_factory: pytest.TempPathFactory, tools: dict[str, Path]) -> Iterator[Raised]:
    """A lab without hosts, for machines whose power events the test sends itself."""
    yield from _raised(tmp_path_factory.mktemp("lab"), replace(plan.demo(PASSWORDS), hosts=()), {}, tools)


@pytest.fixture(scope="session")
def jumpbox_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The private key of who logs in to the lab's jumpbox."""
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture
def jumpbox(empty_lab: Raised, jumpbox_key: Path) -> Iterator[Jumpbox]:
    """A jumpbox that is off, in a lab without hosts."""
    machine = Jumpbox(empty_lab, jumpbox_key)
    yield machine
    machine.off("destroyed")


def _raised(
    folder: Path, wanted: plan.Plan, programs: dict[str, Path], tools: dict[str, Path]
) -> Iterator[Raised]:
    with held(wanted, folder, programs=programs, tools=tools) as lab:
        yield Raised(lab)
