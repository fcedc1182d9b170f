"""What a driver's part of a wish may say, and how the parts become one."""

from __future__ import annotations

import dataclasses

import pytest

from paver.driver import Endpoint, Paved, ResourceId
from paver.engine.paved import merge


def test_the_parts_phases_are_those_of_the_whole_in_its_order() -> None:
    assert merge(("trust", "a", "b", "up"), Paved(), Paved(phases=("a", "b"))).phases == (
        "trust",
        "a",
        "b",
        "up",
    )
    for wrong in (("b", "a"), ("a", "elsewhere")):
        with pytest.raises(ValueError, match="a part has the phases"):
            merge(("trust", "a", "b", "up"), Paved(), Paved(phases=wrong))


def test_no_part_says_what_was_renamed_in_the_site_file() -> None:
    part = Paved(moved={ResourceId("x:old"): ResourceId("x:new")})
    with pytest.raises(ValueError, match="a part renames x:old"):
        merge((), Paved(), part)


def test_parts_name_one_jumpbox() -> None:
    jumpbox = Endpoint[object, object]("machine:jumpbox")
    part = Paved(jumpbox=jumpbox)
    assert merge((), part, Paved(), part).jumpbox == jumpbox
    with pytest.raises(ValueError, match="two jumpboxes"):
        merge((), part, Paved(jumpbox=dataclasses.replace(jumpbox, slots=2)))
