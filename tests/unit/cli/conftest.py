"""Sites that the command line is tried on."""

from __future__ import annotations

from pathlib import Path

import pytest

from paver.drivers.vsphere import DRIVER
from paver.sitefile.init import init_text
from tests.support.command import Command, command


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return command(tmp_path, capsys, monkeypatch)


@pytest.fixture
def whole(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """A site of vSphere's driver with all that stands on it; its hosts are not asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(type(DRIVER), "preflight", lambda *_: ())
    made = Command(tmp_path, capsys, monkeypatch)
    made.site.write_text(init_text(DRIVER, "lab-north").replace("/etc/paver/site.key", "site.key"))
    made.fine("secrets", "init")
    return made
