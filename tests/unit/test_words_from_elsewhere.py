"""Names, logs and events that others wrote: shown as text, never obeyed by a terminal, never believed as they are."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from paver.cli import out
from paver.engine.executor import Event
from paver.engine.plan import Action
from paver.engine.resource import Verb
from paver.engine.values import ResourceId
from paver.errors import PaverError
from paver.report.lines import Lines
from paver.runs.events import PREFIX, Happening, breaks, happening, parse

HOSTILE = "db\x1b[2J\x1b[8m\x9b1A\u202egnp\rall is well"
FORGED = "\n 20:59:59 ✓ create\u2028bosh.deployment:minio"
SAID = "20:59:59 ✓ create bosh.deployment:minio"
SHOWN = "db\ufffd[2J\ufffd[8m\ufffd1A\ufffdgnp\ufffdall is well"


def test_an_error_shows_what_it_saw_without_commands_to_the_terminal() -> None:
    error = PaverError(f"a foreign VM {HOSTILE}", seen=f"first\tline\n{HOSTILE.replace(chr(13), '')}")
    told = "\n".join(error.lines())
    assert SHOWN in told
    assert "first\tline" in told
    assert not set(told) & set("\x1b\x9b\r\u202e")


def test_what_went_wrong_is_one_line_whatever_a_server_said() -> None:
    assert PaverError(f"the director refuses: no{FORGED}").lines() == [
        f"error: the director refuses: no {SAID}"
    ]


def test_a_terminal_gets_pavers_own_colours_and_no_other_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    out.line(f"\x1b[31m-\x1b[0m {HOSTILE}")
    assert capsys.readouterr().out == f"\x1b[31m-\x1b[0m {SHOWN}\n"


def test_what_goes_into_a_pipe_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    out.line(HOSTILE)
    assert capsys.readouterr().out == f"{HOSTILE}\n"


def test_an_event_of_the_other_station_holds_text_that_can_be_shown() -> None:
    event = Happening(what="doing", resource="vsphere.appliance:vcenter", text=HOSTILE)
    for moment in (-1, 2**40):
        assert parse(dataclasses.replace(event, at=moment).line()) is None, "no clock shows that"
    heard = parse(event.line())
    assert heard is not None
    assert heard.text == SHOWN


def event(text: str, resource: str = "bosh.deployment:minio", says: str = "") -> Event:
    """An event of this station's own executor, in a server's words."""
    action = Action(
        resource=ResourceId(resource),
        kind="bosh.deployment",
        phase="Object store",
        station="outside",
        endpoint="director",
        verb=Verb.DELETE,
        says=says,
    )
    return Event("doing", action, text)


def test_an_event_of_this_station_holds_text_that_can_be_shown() -> None:
    told = happening(event(HOSTILE, says=HOSTILE), "outside")
    assert (told.text, told.says) == (SHOWN, SHOWN)


def test_no_line_of_a_runs_log_is_forged_by_what_a_server_says() -> None:
    here = happening(event(f"task 7{FORGED}", says=f"minio{FORGED}"), "outside")
    there = parse(dataclasses.replace(here, text=f"task 7{FORGED}").line())
    broken: list[Happening] = []
    breaks(broken.append, "jumpbox")(f"hung up{FORGED}")
    assert (here.text, here.says) == (f"task 7 {SAID}", f"minio {SAID}")
    assert there == here
    assert [one.text for one in broken] == [f"hung up {SAID}"]


def test_a_run_writes_one_line_an_event_also_where_others_wrote_a_marks_id() -> None:
    lines: list[str] = []
    Lines(lines.append)(happening(event("", resource=f"bosh.deployment:db{FORGED}"), "outside"))
    assert [len(line.splitlines()) for line in lines] == [1]


@pytest.mark.parametrize(
    "told",
    [
        '{"resource":"a","what":"exploded"}',
        '{"resource":"a"}',
        '{"what":"done"}',
        '{"done":"many","resource":"a","what":"doing"}',
        '{"done":true,"resource":"a","what":"doing"}',
        '{"resource":["a"],"what":"done"}',
        '{"more":1,"resource":"a","what":"done"}',
        "[]",
        "{",
    ],
)
def test_what_is_no_event_is_taken_for_a_line_of_the_log(told: str) -> None:
    assert parse(PREFIX + '{"resource":"a","what":"done"}') is not None
    assert parse(PREFIX + told) is None
