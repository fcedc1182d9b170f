"""How long an evaluation lasts, as a host or a vCenter tells it, and when that is told as something to do."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import Grade
from paver.drivers.vsphere import evaluation, preflight
from paver.drivers.vsphere.host.licence import FREE

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "now", lambda: NOW)


class Session:
    """A session of a server that has `licences` (key, edition) and whose evaluation ends in `days`."""

    def __init__(self, days: float | None, *licences: tuple[str, str]) -> None:
        self.content = SimpleNamespace(
            licenseManager="manager", about=SimpleNamespace(instanceUuid="of-vcenter")
        )
        end = (
            []
            if days is None
            else [SimpleNamespace(key="expirationDate", value=NOW + dt.timedelta(days=days))]
        )
        hours = SimpleNamespace(key="expirationHours", value=0)
        self._told: dict[str, Any] = {
            "evaluation": SimpleNamespace(properties=[hours, *end]),
            "licenses": [SimpleNamespace(licenseKey=k, name=e, editionKey=e) for k, e in licences],
            "licenseAssignmentManager": None,
        }

    def assign(self, *keys: str) -> Session:
        self._told["licenseAssignmentManager"] = "assigner"
        self._assigned = [SimpleNamespace(assignedLicense=SimpleNamespace(licenseKey=key)) for key in keys]
        return self

    def query(self, managed: str, method: str, entityId: str) -> Any:  # noqa: N803 - as the API names it
        assert (managed, method, entityId) == ("assigner", "QueryAssignedLicenses", "of-vcenter")
        return self._assigned

    def value(self, managed: str, path: str) -> Any:
        assert managed == "manager"
        return self._told[path]


@pytest.mark.parametrize(
    ("days", "holds", "seen"),
    [
        (60, True, "until 2027-01-28, 60 days"),
        (15, True, "until 2026-12-14, 15 days"),
        (14, False, "until 2026-12-13, 14 days; assign one"),
        (0.5, False, "until 2026-11-30, 0 days; assign one"),
        (-1, False, "ended on 2026-11-28; assign one"),
        (None, True, "when it ends is not told"),
    ],
)
def test_the_proof_fails_in_the_last_two_weeks_of_an_evaluation(
    days: float | None, *, holds: bool, seen: str
) -> None:
    check = evaluation.check("esx-01", evaluation.until(Session(days)), "assign one")
    assert (check.ok, check.seen) == (holds, seen)


@pytest.mark.parametrize(
    ("days", "grade"), [(60, Grade.OK), (14, Grade.WARNING), (-1, Grade.REFUSED), (None, Grade.OK)]
)
def test_preflight_tells_how_long_a_host_goes_on_without_a_licence(days: float | None, grade: Grade) -> None:
    session = Session(days, (evaluation.KEY, "eval"))
    host: Any = SimpleNamespace(licence=None)
    found = preflight._licence("esx-01", host, session)
    assert found.grade is grade
    assert ("iaas.hosts.esx-01.licence" in (found.do or "")) is (grade is not Grade.OK)
    assert ("days" in found.seen or "ended on" in found.seen) is (days is not None)


@pytest.mark.parametrize("licence", [SimpleNamespace(name="esx"), None])
def test_an_evaluation_that_a_licence_takes_the_place_of_is_none_to_look_after(licence: Any) -> None:
    key = evaluation.KEY if licence else "STD00-STD00-STD00-STD00-STD00"
    host: Any = SimpleNamespace(licence=licence)
    found = preflight._licence("esx-01", host, Session(-1, (key, "esx.standard")))
    assert found.grade is Grade.OK
    assert "ended" not in found.seen


@pytest.mark.parametrize(
    ("editions", "runs"),
    [
        (["eval"], True),
        (["eval", "esx.enterprisePlus.cpuPackage", FREE], True),
        (["eval", "vc.standard.instance"], False),
        ([], True),
    ],
)
def test_a_vcenter_that_knows_no_licence_of_its_own_kind_runs_its_evaluation(
    editions: list[str], *, runs: bool
) -> None:
    assert evaluation.of_vcenter(Session(60, *((str(n), e) for n, e in enumerate(editions)))) is runs


@pytest.mark.parametrize(
    ("assigned", "runs"), [((evaluation.KEY,), True), ((), True), (("VC000-VC000-VC000-VC000-VC000",), False)]
)
def test_a_licence_that_was_added_to_a_vcenter_is_in_force_once_it_is_assigned(
    assigned: tuple[str, ...], *, runs: bool
) -> None:
    session = Session(60, ("VC000-VC000-VC000-VC000-VC000", "vc.standard.instance"))
    assert evaluation.of_vcenter(session.assign(*assigned)) is runs
