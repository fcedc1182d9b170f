"""What holds for every test: a skipped one is a failure, hypothesis draws the same examples, a lab is raised once."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

import paver

# How fast examples come says how busy the machine is.
settings.register_profile(
    "paver", database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
# The same examples each time: what was tested is what is released. `PAVER_TESTS_RANDOM=1` looks for others.
settings.register_profile("random", settings.get_profile("paver"), derandomize=False)
settings.load_profile("random" if os.environ.get("PAVER_TESTS_RANDOM") else "paver")

ONE_LIFE = "tests/e2e/"
OWN_LABS = frozenset(
    f"{ONE_LIFE}test_{name}.py" for name in ("faults_on_bare_hosts", "lost_and_external", "rotation")
)
"""Beside it: these take as long together, and what one process does after another keeps one processor busy."""


class ByLab(LoadScopeScheduling):  # type: ignore[misc]
    """Sends the tests of a file to one worker, and all that lead one site through its life, in their order.

    By path: the groups of `--dist loadgroup` stand in `Item._nodeid`, which pytest 9.2 has no more, so that xdist
    3.8 tears them apart and says nothing.
    """

    def _split_scope(self, nodeid: str) -> str:
        return ONE_LIFE if is_of_the_life(nodeid) else nodeid.partition("::")[0]


def is_of_the_life(nodeid: str) -> bool:
    """Returns whether a test is one of those that lead one site through its life."""
    file = nodeid.partition("::")[0]
    return file.startswith(ONE_LIFE) and file not in OWN_LABS


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByLab:
    """In the order of collection: the life, which takes longest, was put to its beginning."""
    config.option.loadscopereorder = False
    return ByLab(config, log)


def pytest_configure(config: pytest.Config) -> None:
    # In a second tree with the environment of the first, the first one's code would be tested, and nobody would know.
    assert paver.__path__ == [str(config.rootpath / "paver")], f"this would test {paver.__path__}"
    for file in OWN_LABS:
        assert (config.rootpath / file).is_file(), f"{file} is gone: its lab would have no worker of its own"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the life first, so that its worker has run nothing else before it."""
    items.sort(key=lambda item: not is_of_the_life(item.nodeid))


def pytest_collection_finish() -> None:
    """Modules, their types and 5,000 tests live to the end: looking through them for garbage took 8 s of a core."""
    gc.freeze()
    gc.set_threshold(50_000)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lets the life, which takes longest and can't be shared out, go before all else that wants the processors."""
    if "PYTEST_XDIST_WORKER" in os.environ and not is_of_the_life(item.nodeid) and os.nice(0) == 0:
        os.nice(5)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
