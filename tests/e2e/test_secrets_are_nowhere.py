"""No secret's value stands anywhere but in the places that SECURITY.md lists, nor in any process's arguments."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from pathlib import Path

import pytest

from tests.e2e.conftest import Life
from tests.support import scan
from tests.support.place import Place

CLIENTS = [r"/crane/\.docker/config\.json$"]
"""What the test of crane logged in with: that client's own file, and no part of the site."""
SERVER = rb"(setpriv\0--pdeathsig\0KILL\0--\0)?[^\0]*/minio\0server\0"
"""On its own VM, where BOSH's process manager gives it its own password in its environment, and starts it by `setpriv`."""


@pytest.fixture(scope="module")
def patterns(life: Life) -> scan.Patterns:
    """All forms of all secrets of the finished site."""
    place = life.reach("finished")
    values = scan.secrets(place.sealed, place.folder / "site.key")
    assert {name.partition("/")[0].partition(" ")[0] for name in values} >= {
        "esx-root",
        "vcenter-root",
        "jumpbox",
        "root",
        "bucc-creds",
        "object-store-root",
        "object-store-team-main",
        "registry-admin",
    }
    return scan.Patterns(values)


@pytest.mark.lab
def test_no_secret_stands_in_what_runs_leave_behind_outside(finished: Place, patterns: scan.Patterns) -> None:
    assert patterns.files(finished.folder, without=CLIENTS) == {}


@pytest.mark.lab
def test_no_secret_stands_on_a_machine_outside_of_the_listed_places(
    finished: Place, patterns: scan.Patterns
) -> None:
    found = patterns.files(finished.lab.folder, without=[*scan.LISTED, scan.TRASH, *scan.THEIR_OWN])
    assert found == {}
    # The places are listed because it is so: a list that has grown too long would hide something.
    hidden = patterns.files(finished.lab.folder)
    for place in (*scan.LISTED, *scan.THEIR_OWN):
        assert scan.matching(hidden, place), f"{place} holds no secret any more"
    dropped = set[str]().union(*scan.matching(hidden, scan.TRASH).values())
    assert {name for name in dropped if not name.startswith("object-store-team")} == set()


@pytest.mark.lab
def test_no_secret_stands_in_memory_file_systems_once_the_jobs_have_ended(
    finished: Place, patterns: scan.Patterns
) -> None:
    for folder in ("dev/shm", "run"):
        inside = Path(f"/proc/{finished.lab.init.pid}/root/{folder}")
        assert patterns.files(inside, without=[r"/run/lab/(config|esx)\.json$"]) == {}


@pytest.mark.lab
def test_no_secret_stands_in_temporary_or_personal_folders(
    finished: Place, patterns: scan.Patterns, tmp_path_factory: pytest.TempPathFactory
) -> None:
    began = finished.folder / "operator"  # made when the site was
    roots = [Path("/tmp"), Path.home()]  # noqa: S108 - looked at, not used
    # What other tests write meanwhile is of other sites, and gigabytes.
    tests = tmp_path_factory.getbasetemp().parent
    found = patterns.files(*roots, newer=began, without=[rf"^{finished.lab.folder.parent}/", rf"^{tests}/"])
    assert found == {}


@pytest.mark.lab
def test_no_secret_was_printed(finished: Place, patterns: scan.Patterns) -> None:
    assert finished.told
    assert patterns.text("\n".join(finished.told).encode()) == set()


@pytest.mark.lab
def test_a_bundle_for_support_has_no_secret(finished: Place, patterns: scan.Patterns, tmp_path: Path) -> None:
    bundle = finished.bundle(tmp_path)
    names = {path.name for path in bundle.rglob("*")}
    assert names >= {"journal.jsonl", "journal-jumpbox.jsonl", "plan.json", "events.jsonl", "site.yml"}
    assert patterns.files(bundle) == {}


@pytest.mark.lab
def test_no_secret_stood_in_arguments_or_environments_of_processes(
    life: Life, finished: Place, patterns: scan.Patterns
) -> None:
    del finished
    told = {argv.replace(b"\0", b" ").decode(errors="replace") for argv in life.arguments}
    # Programs that run for seconds: a shorter one may slip through between two samples.
    for program in (r"-m paver apply", r"bosh .*create-env"):
        assert any(re.search(program, argv) for argv in told), (program, sorted(told))
    assert patterns.text(b"\n".join(life.arguments)) == set()
    bad = {argv: names for argv, env in life.environments.items() if (names := patterns.text(env))}
    assert {argv for argv in bad if not re.match(SERVER, argv)} == set(), bad


@pytest.mark.lab
def test_a_destroyed_site_leaves_no_secret_anywhere(life: Life, destroyed: Place) -> None:
    """Nor in the listed places; what the user gave is the user's."""
    given = {name for name in life.values if name.startswith("esx-root")}
    gone = scan.Patterns({name: value for name, value in life.values.items() if name not in given})
    assert gone.files(destroyed.folder, destroyed.lab.folder, without=CLIENTS) == {}


def test_every_form_of_a_secret_is_found(tmp_path: Path) -> None:
    """The scanner scans."""
    value, key = 'Zu<f"7 &ä/+k' * 2, "-----BEGIN KEY-----\n" + "\n".join("0123abcdEF" * 6 for _ in range(6))
    patterns = scan.Patterns({"password": value, "key": key})
    forms = {
        "raw": f"x{value}x",
        "json": json.dumps({"a": value}),
        "url": urllib.parse.quote(value, safe=""),
        "form": urllib.parse.urlencode({"a": value}),
        **{f"base64-{n}": base64.b64encode(b"y" * n + value.encode() + b"z").decode() for n in range(4)},
        "base64url": base64.urlsafe_b64encode(f"user:{value}".encode()).decode(),
    }
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pem").write_text(json.dumps(key))
    (tmp_path / "pem64").write_text(base64.b64encode(key.encode()).decode())
    (tmp_path / "harmless").write_text("nothing at all")
    found = patterns.files(tmp_path)
    assert {Path(path).name for path in found} == {*forms, "pem", "pem64"}
    assert all(patterns.text((tmp_path / name).read_bytes()) == {"password"} for name in forms)
