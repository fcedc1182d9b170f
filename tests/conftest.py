"""What holds for every test: a skipped one is a failure, and hypothesis keeps no examples on disk."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("paver", database=None, deadline=None)
settings.load_profile("paver")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
