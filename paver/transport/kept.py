"""Answers of a service that are kept until its session is to forget them, or writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Kept:
    """What was answered, by question; for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Any] = {}
        self._age = 0

    def get(self, question: Hashable, ask: Callable[[], T]) -> T:
        """Returns the answer that is kept, or what `ask` returns; nobody may change it."""
        with self._lock:
            age = self._age
            if question in self._answers:
                kept: T = self._answers[question]
                return kept
        found = ask()
        with self._lock:
            # What was asked before somebody wrote is no answer for whoever asks after it.
            if age == self._age:
                self._answers[question] = found
        return found

    def forget(self) -> None:
        """Drops everything."""
        with self._lock:
            self._age += 1
            self._answers.clear()
