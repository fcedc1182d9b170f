"""Something that takes long and needs nothing of the others, begun beside them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Ended(Exception):
    """Whoever wanted it has left without it."""


@contextlib.contextmanager
def begun(work: Callable[[Callable[[], None]], T]) -> Iterator[concurrent.futures.Future[T]]:
    """Yields the future of `work`, which is given a function to call now and then: it raises `Ended` once nobody waits.

    Whoever leaves early waits for that, so that no process of it is left.
    """
    over = threading.Event()

    def wanted() -> None:
        if over.is_set():
            raise Ended

    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="aside") as pool:
        try:
            yield pool.submit(work, wanted)
        finally:
            over.set()
