"""Plans write nothing, by the lab's own traces and files; and a write that is smuggled in is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import smuggle
from tests.support.place import Place
from tests.support.ran import Ran
from tests.support.watch import Watch

pytestmark = pytest.mark.lab


def test_plans_of_an_empty_site_write_nothing(empty: Place) -> None:
    _plans_write_nothing(empty, 2)


def test_plans_of_a_site_with_a_jumpbox_only_write_nothing(half: Place) -> None:
    _plans_write_nothing(half, 2)


def test_plans_of_a_site_up_to_its_inventory_write_nothing(deeper: Place) -> None:
    _plans_write_nothing(deeper, 2)


def test_plans_of_a_finished_site_write_nothing(finished: Place) -> None:
    _plans_write_nothing(finished, 0)


def _plans_write_nothing(place: Place, code: int) -> None:
    watch = Watch(place)
    place.paver("plan", code=code)
    place.paver("plan", "--destroy", "--allow", "*", code=None)
    place.paver("status", code=None)
    assert watch.changes() == set()


@pytest.mark.parametrize("way", smuggle.WAYS)
def test_a_write_that_is_smuggled_into_a_read_is_refused_before_it_leaves(finished: Place, way: str) -> None:
    watch = Watch(finished)
    ran = _plan_with(finished, way)
    assert ran.code == 4, ran.told
    assert "was refused" in ran.err
    assert "a plan is made with sessions that cannot write" in ran.err
    assert watch.changes() == set()


def test_without_the_sessions_guards_the_lab_sees_every_one_of_them(finished: Place) -> None:
    """The detector detects: so that the tests above would fail if a guard were taken out."""
    watch = Watch(finished)
    try:
        ran = _plan_with(finished, "open,soap,http,ssh,s3")
        changes = watch.changes()
    finally:
        finished.govc("esx-01", "host.portgroup.remove", smuggle.NAME, check=False)
        finished.govc("esx-02", "host.portgroup.remove", smuggle.NAME, check=False)
        (finished.jumpbox() / smuggle.FILE.lstrip("/")).unlink(missing_ok=True)
        finished.tool("mc", "rb", f"site/{smuggle.NAME}", check=False)
        finished.tool("bosh", "-n", "delete-config", "--type", "runtime", "--name", smuggle.NAME, check=False)
    told = "\n".join([ran.told, *sorted(changes)])
    assert any("AddPortGroup" in change for change in changes), told
    assert any("POST /configs" in change for change in changes), told
    assert f"jumpbox{smuggle.FILE}" in changes, told
    assert any(f"minio-server/{smuggle.NAME}" in change for change in changes), told


def _plan_with(place: Place, ways: str) -> Ran:
    argv = [sys.executable, "-m", "tests.support.smuggle", ways, "plan", "--site", str(place.site)]
    done = subprocess.run(
        place.lab.argv(argv, place.folder),
        env=place.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
