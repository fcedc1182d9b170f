"""What the demo runs where the machine refuses user namespaces."""

from __future__ import annotations

import pytest

from paver.errors import BadInput
from paver.lab import demo, providing, raising


def test_without_namespaces_the_phases_that_need_no_jumpbox_are_run() -> None:
    assert demo.possible(()) == ("hosts",)
    assert demo.possible(("jumpbox", "hosts")) == ("hosts",)


def test_without_namespaces_a_phase_that_needs_the_jumpbox_is_refused_before_anything_is_raised() -> None:
    with pytest.raises(BadInput, match="jumpbox cannot run where user namespaces are refused"):
        demo.possible(("jumpbox",))


@pytest.mark.parametrize("more", [(), ("--only-build",)])
def test_a_phase_that_is_misspelt_is_told_before_anything_is_built_or_raised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    def touched(*_: object, **__: object) -> None:
        raise AssertionError("something is built, or a lab that is up is taken down")

    monkeypatch.setattr(providing, "provide", touched)
    monkeypatch.setattr(raising, "down", touched)
    assert demo.main(["--phases", "trust,host", *more]) == 3
    shown = capsys.readouterr().err
    assert "there is no phase host\n" in shown
    assert "did you mean hosts?" in shown


def test_a_demo_that_is_stopped_while_it_builds_says_so_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(providing, "provide", stop)
    assert demo.main(["--only-build"]) == 130
    assert (
        capsys.readouterr().err
        == "\nstopped; the same command begins anew, and what was built by then is built\n"
    )
