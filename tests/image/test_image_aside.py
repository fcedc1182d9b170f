"""What is begun beside a build."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from paver.errors import PaverError
from paver.image import aside


def test_a_build_that_fails_ends_what_was_begun_beside_it() -> None:
    started, ended = threading.Event(), threading.Event()

    def work(wanted: Callable[[], None]) -> None:
        started.set()
        try:
            while not ended.wait(0.001):
                wanted()
        finally:
            ended.set()

    def build() -> None:
        with aside.begun(work):
            started.wait()
            raise PaverError("a stage failed")

    with pytest.raises(PaverError, match="a stage failed"):
        build()
    assert ended.is_set()


def test_what_was_begun_beside_brings_its_result_or_its_error() -> None:
    def broken(_: object) -> None:
        raise PaverError("does not build")

    with aside.begun(lambda _: 1) as well, aside.begun(broken) as ill:
        assert well.result() == 1
        with pytest.raises(PaverError, match="does not build"):
            ill.result()
