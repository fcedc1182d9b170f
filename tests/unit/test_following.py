"""Following a job over a line that breaks, also without a word; by commands that say what a test has them say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from paver.errors import Unobservable
from paver.transport import job, listening, ssh
from paver.transport.listening import Listening
from paver.transport.ssh import SshShell

ENDED = b'={"state":"ended","code":0}\n'
NOTHING = None
Say = Callable[[bytes], None]
Said = Iterator[bytes | None]


class Far:
    """A machine whose line is hung up on.

    What each attempt says is the next of `attempts`: a piece a look, or nothing. No thread says it and no time passes, so
    that following it comes to the same on a machine that is busy.
    """

    def __init__(self, *attempts: Callable[[], Said]) -> None:
        self.hung_up = threading.Event()
        self.offsets: list[int] = []
        self._attempts = iter(attempts)
        self.machine: Any = SimpleNamespace(
            name="jumpbox", host=SimpleNamespace(shell=SimpleNamespace(close=self.hung_up.set))
        )

    def asked(self, _: object, verb: str, __: str, offset: str, beat: str, *, on_output: Say) -> None:
        del on_output
        assert (verb, float(beat)) == ("follow", job.BEAT)
        self.offsets.append(int(offset))

    def listening(self, run: Callable[[Say], object]) -> Any:
        run(lambda _: None)
        said = next(self._attempts)()

        def piece(_: float) -> bytes:
            found = next(said, b"")
            if found is NOTHING:
                raise TimeoutError
            return found

        return SimpleNamespace(piece=piece, leave=lambda: None)


class Talking(Far):
    """One that says by itself what the only attempt says, in a thread as it really is."""

    def __init__(self, says: Callable[[Say], object]) -> None:
        super().__init__()
        self._says = says

    def asked(self, _: object, verb: str, job_id: str, offset: str, beat: str, *, on_output: Say) -> None:
        super().asked(_, verb, job_id, offset, beat, on_output=on_output)
        self._says(on_output)

    listening = Listening


def broken() -> Said:
    raise Unobservable("the line broke")
    yield


def ends() -> Said:
    yield ENDED


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_LOOK", 0.01)
    monkeypatch.setattr(job, "_LOOKS", 1)
    monkeypatch.setattr(job, "SILENCE", 0.1)


def followed(
    monkeypatch: pytest.MonkeyPatch,
    far: Far,
    stop: Callable[[], bool] = lambda: False,
    patience: float = 10,
) -> tuple[job.JobState, list[str], list[str]]:
    """Returns how the job stood at the end, its lines, and what was told of the line."""
    lines: list[str] = []
    told: list[str] = []
    monkeypatch.setattr(job, "_asked", far.asked)
    monkeypatch.setattr(job, "Listening", far.listening)
    following = job._Following(far.machine, "apply", lines.append, stop, told.append)
    return following.run(patience), lines, told


def test_a_line_that_says_nothing_is_hung_up_on_and_the_log_goes_on_where_it_fell_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def falls_silent() -> Said:
        yield b"8\none\ntwo\n"
        while not far.hung_up.is_set():
            yield NOTHING
        # What comes late, as of a machine that stood still for a while, is not heard a second time.
        yield b"6\nthree\n"

    def goes_on() -> Said:
        yield b"6\nthree\n" + ENDED

    far = Far(falls_silent, goes_on)
    end, lines, told = followed(monkeypatch, far)
    assert end.ok
    assert lines == ["one", "two", "three"]
    assert far.offsets == [0, 8]
    assert told == ["jumpbox: nothing was heard of job apply for 0 s", ""]


def test_whoever_stops_is_heard_while_the_line_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "SILENCE", 3600)
    looks = iter([False] * 5)
    silent = threading.Event()
    far = Talking(lambda _: silent.wait(60))
    end, _, told = followed(monkeypatch, far, lambda: next(looks, True))
    silent.set()
    assert end.state == "running"
    assert told == []


def test_whoever_stops_is_heard_while_the_machine_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_dialled() -> Said:
        while True:
            yield NOTHING

    looks = iter([False] * 7)
    end, _, told = followed(monkeypatch, Far(broken, is_dialled), lambda: next(looks, True))
    assert end.state == "running"
    assert told == ["the line broke"]


def test_a_job_that_says_nothing_for_long_is_followed_on_after_a_break_of_the_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its machine says every few seconds that the line stands; only how long that was not heard counts."""

    def beats() -> Said:
        for _ in range(8):
            yield from [NOTHING] * 5
            yield b"0\n"
        yield from broken()

    end, _, told = followed(monkeypatch, Far(beats, broken, ends), patience=0.09)
    assert end.ok
    assert told == ["the line broke", ""]


def test_a_machine_that_stays_away_is_given_up_when_the_patience_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    far = Far(*[broken] * 100)
    with pytest.raises(Unobservable, match="the line broke"):
        followed(monkeypatch, far, patience=0.055)
    assert len(far.offsets) == 7, "six rests of 0.01 s between them are the first that are more"


def test_a_line_on_which_something_else_answers_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    far = Far(*[lambda: iter([b"You have new mail.\n"])] * 100)
    far.machine.host.python = "python3"
    with pytest.raises(Unobservable, match="something else answered"):
        followed(monkeypatch, far, patience=0.05)


def test_a_command_that_is_more_talkative_than_its_listener_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def talks(say: Say) -> None:
        for number in range(5000):
            say(b"5\n%04d\n" % number)
        say(ENDED)

    monkeypatch.setattr(job, "SILENCE", 3600)
    end, lines, _ = followed(monkeypatch, Talking(talks))
    assert end.ok
    assert lines == [f"{number:04d}" for number in range(5000)]


def test_a_command_that_nobody_listens_to_any_more_ends_at_its_next_word() -> None:
    left, ended = threading.Event(), threading.Event()

    def talks(say: Say) -> None:
        assert left.wait(60)
        try:
            say(b"late")
        except listening._Left:
            ended.set()
            raise

    line = Listening(talks)
    line.leave()
    left.set()
    assert ended.wait(60)
    with pytest.raises(TimeoutError):
        line.piece(0.01)


class Client:
    """A connection that stands."""

    def __init__(self) -> None:
        self.closed = False

    def get_transport(self) -> Any:
        return None if self.closed else SimpleNamespace(is_active=lambda: True)

    def close(self) -> None:
        self.closed = True


def test_whoever_hangs_up_does_not_wait_for_a_machine_that_is_being_dialled() -> None:
    dialling, answers = threading.Event(), threading.Event()
    made = [Client(), Client()]
    late = iter(made)

    def dialled() -> Client:
        dialling.set()
        assert answers.wait(60)
        return next(late)

    shell = SshShell("jumpbox", dialled)
    failed: list[BaseException] = []

    def use() -> None:
        try:
            _ = shell.client
        except ConnectionAbortedError as error:
            failed.append(error)

    user = threading.Thread(target=use, daemon=True)
    user.start()
    assert dialling.wait(60)
    shell.close()
    answers.set()
    user.join(60)
    assert [str(error) for error in failed] == ["jumpbox was hung up on while it was dialled"]
    assert made[0].closed
    assert shell.client is made[1]  # type: ignore[comparison-overlap]


def test_a_command_that_the_server_never_begins_is_given_up() -> None:
    closed = threading.Event()

    def begun(_: str) -> None:
        assert closed.wait(60)
        raise EOFError

    channel: Any = SimpleNamespace(exec_command=begun, close=closed.set)
    with pytest.raises(EOFError):
        ssh._begin(channel, "true", 0.01)
