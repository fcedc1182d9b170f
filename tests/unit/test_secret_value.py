"""A secret's value shows itself nowhere but through `reveal()`."""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from paver.sealed.secret import SecretValue

SECRET = SecretValue("hunter2!")


@pytest.mark.parametrize(
    "shown",
    [repr(SECRET), str(SECRET), f"{SECRET}", f"{SECRET:>20}", f"{SECRET!r}", f"{[SECRET]}", "%s" % SECRET],  # noqa: UP031
)
def test_no_way_of_printing_shows_it(shown: str) -> None:
    assert "hunter2" not in shown
    assert "<secret>" in shown


def _through_json(value: object) -> object:
    return json.dumps({"value": value})


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy, _through_json, vars, hash])
def test_no_way_of_copying_takes_it(way: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError):
        way(SECRET)


def test_reveal_gives_it() -> None:
    assert SECRET.reveal() == "hunter2!"


def test_equal_values_compare_equal_and_text_does_not() -> None:
    assert SecretValue("a") == SecretValue("a")
    assert SecretValue("a") != SecretValue("b")
    assert SecretValue("a") != "a"
