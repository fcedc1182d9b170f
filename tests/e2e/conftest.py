"""One lab for the whole life of a site: every test names the stage that it needs, and stages only go forward.

A module whose tests lead a site of their own, beside the others', has a `life` of its own.

For whoever writes such tests, `PAVER_TEST_LAB=DIR` keeps lab and stage in DIR from one run of pytest to the next.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.lab import build, programs, raising, system
from tests.support.place import LIMIT, Place, place
from tests.support.scan import Sampler, secrets

STAGES = ("empty", "half", "deeper", "finished", "leaving", "destroyed")
"""In the order in which a site goes through them; each is a fixture. What is leaving stands still, in part."""
PHASES = {
    "half": ("trust", "hosts", "jumpbox"),
    "deeper": ("trust", "hosts", "jumpbox", "site-services", "vcenter", "inventory"),
}


@dataclasses.dataclass
class Life:
    """A site and how far it is.

    Attributes:
        place: the lab and the site.
        start: the hosts' inventory before anything was done.
        stages: those of `STAGES` that it stops at.
        stage: one of them.
        kept: where to remember both, for the next run of the tests.
        values: the secrets that the site had before it was destroyed.
        arguments: command lines of the lab's processes, sampled while it was watched.
        environments: of these.
    """

    place: Place
    start: dict[str, Any]
    stages: tuple[str, ...] = STAGES
    stage: str = "empty"
    kept: Path | None = None
    values: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)
    arguments: set[bytes] = dataclasses.field(default_factory=set)
    environments: dict[bytes, bytes] = dataclasses.field(default_factory=dict)

    def reach(self, stage: str) -> Place:
        """Leads the site to `stage`, if it is not there yet."""
        for each in self.stages[self.stages.index(self.stage) + 1 : self.stages.index(stage) + 1]:
            with self.watched():
                self._go(each)
            self.stage = each
            self.remember()
        assert self.stage == stage, f"the site is {self.stage} already: {stage} is asked for too late"
        return self.place

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Looks at the lab's processes while something runs that only paver's own tools take part in."""
        with Sampler(self.place.lab.init.pid) as sampler:
            yield
        self.arguments |= sampler.arguments
        self.environments |= sampler.environments

    def _go(self, stage: str) -> None:
        if stage == "leaving":
            return
        if stage == "destroyed":
            self.values = secrets(self.place.sealed, self.place.folder / "site.key")
            self.place.paver("destroy", "--allow", "*", "--yes", env={})
            return
        chosen = [word for phase in PHASES.get(stage, ()) for word in ("--phase", phase)]
        self.place.paver("apply", "--yes", *chosen, env={})

    def remember(self) -> None:
        """Writes down how far the site is, if the lab outlives this process."""
        if self.kept is not None:
            self.kept.write_text(json.dumps({"stage": self.stage, "start": self.start}))


@contextlib.contextmanager
def led(
    name: str, tmp_path_factory: pytest.TempPathFactory, stages: tuple[str, ...] = STAGES
) -> Iterator[Life]:
    """Raises the demo's lab, with the demo's site in it, for a life through `stages`."""
    tools = dict(system.provide(system.survey(needs=(*system.NEEDS, *system.NFS))))
    built = dict(build.build([*programs.required(None), "nfsd"]))
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Workers that share it out would each lead a site of their own, and find nothing where others left it.
        (tmp_path_factory.getbasetemp().parent / f"{name}-has-its-worker").touch(exist_ok=False)
    if (named := os.environ.get("PAVER_TEST_LAB")) is None:
        with place(tmp_path_factory.mktemp(name), built, tools, nfs=True) as made:
            yield Life(made, made.inventory(), stages)
        return
    folder = Path(named).absolute() / name
    up = raising.find(folder / "lab")
    folder.mkdir(parents=True, exist_ok=True)
    with place(folder, built, tools, stays=True, nfs=True) as made:
        kept = folder / "life.json"
        known = (
            json.loads(kept.read_text()) if up is not None else {"start": made.inventory(), "stage": "empty"}
        )
        found = Life(made, **known, stages=stages, kept=kept)
        found.remember()
        yield found


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The site that all tests lead through its life, but for a module's that has one of its own."""
    with led("life", tmp_path_factory) as found:
        yield found


@pytest.fixture
def empty(life: Life) -> Place:
    """Two bare hosts."""
    return life.reach("empty")


@pytest.fixture
def half(life: Life) -> Place:
    """The jumpbox stands, and nothing behind it."""
    return life.reach("half")


@pytest.fixture
def deeper(life: Life) -> Place:
    """The inventory of vCenter stands, and no director."""
    return life.reach("deeper")


@pytest.fixture
def finished(life: Life) -> Place:
    """Everything stands."""
    return life.reach("finished")


@pytest.fixture
def leaving(life: Life) -> Place:
    """Everything stands, or stood: nobody after this one needs it whole."""
    return life.reach("leaving")


@pytest.fixture
def destroyed(life: Life) -> Place:
    """Everything has been taken away."""
    return life.reach("destroyed")


def _stage(item: pytest.Item) -> int:
    names = getattr(item, "fixturenames", ())
    return max((STAGES.index(name) for name in names if name in STAGES), default=-1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of a life in the order of their stages, on one worker."""
    mine = [(number, item) for number, item in enumerate(items) if _stage(item) >= 0]
    for _, item in mine:
        # The stage before a test is reached within its own time.
        item.add_marker(pytest.mark.timeout(LIMIT))
    ordered = sorted((item for _, item in mine), key=_stage)
    for (number, _), item in zip(mine, ordered, strict=True):
        items[number] = item
