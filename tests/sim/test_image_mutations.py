"""Images that somebody changed: verified or refused, in a process of its own that may not grow."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_mutated_image_is_whole_or_refused_in_little_memory_and_touches_nothing() -> None:
    # 10⁵ are `python -m tests.image.mutations`, which is not for every run of the tests.
    argv = [sys.executable, "-m", "tests.image.mutations", "--count", "2500", "--seed", "7"]
    ended = subprocess.run(argv, cwd=ROOT, check=False, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    found = re.match(r"2500 mutations, seed 7: (\d+) whole, (\d+) refused in (\d+) ways", ended.stdout)
    assert found is not None
    whole, refused, ways = map(int, found.groups())
    # Mutations that all broke the same digest would prove nothing of what reads behind it.
    assert whole > 10
    assert refused > 2000
    assert ways > 40
