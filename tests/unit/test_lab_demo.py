"""What the demo runs where the machine refuses user namespaces."""

from __future__ import annotations

import pytest

from paver.errors import BadInput
from paver.lab import demo


def test_without_namespaces_the_phases_that_need_no_jumpbox_are_run() -> None:
    assert demo.possible(()) == ("hosts",)
    assert demo.possible(("jumpbox", "hosts")) == ("hosts",)


def test_without_namespaces_a_phase_that_needs_the_jumpbox_is_refused_before_anything_is_raised() -> None:
    with pytest.raises(BadInput, match="jumpbox cannot run where user namespaces are refused"):
        demo.possible(("jumpbox",))
