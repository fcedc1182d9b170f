"""The real engine on a wish alone: no site file, no sealed store. For the suite that holds drivers, and for tests."""

from __future__ import annotations

import dataclasses
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from paver.driver import Paved, Secret
from paver.engine.again import Again
from paver.engine.board import Board
from paver.engine.executor import Event, Executor, Hands, Outcome
from paver.engine.journal import Journal
from paver.engine.plan import Action, Plan
from paver.engine.planner import Heading, Request, plan
from paver.engine.world import Connections, ReadingWorld

SITE = "test"


def no_version(secret: Secret) -> None:
    """The sealed store holds nothing."""
    del secret


def no_value(secret: Secret) -> str:
    """Nothing can be revealed."""
    raise LookupError(secret.name)


@dataclasses.dataclass
class Engine:
    """Plans and acts; every act leaves a journal in `folder`."""

    folder: Path
    events: list[Event] = dataclasses.field(default_factory=list)
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)
    board: Board = dataclasses.field(default_factory=Board)
    site: str = SITE
    versions: Callable[[Secret], str | None] = no_version

    def plan(self, paved: Paved, request: Request | None = None) -> Plan:
        """Plans `paved`."""
        self.board = Board()
        connections = Connections(paved.connectors, None, self.board.for_reading, self.board.lacking)
        heading = Heading(site=self.site, site_digest="0" * 64, paver="0", driver="memory/1")
        world = ReadingWorld(self.site, connections, self.versions)
        return plan(paved, heading, request or Request(), world, self.board)

    def act(
        self,
        paved: Paved,
        planned: Plan,
        allow: tuple[str, ...] | None = None,
        mine: Callable[[Action], bool] = lambda _: True,
    ) -> Outcome:
        """Carries out what is `mine` of `planned`, by a command that names what the plan does unless `allow` says else."""
        connections = Connections(paved.connectors, None, self.board.for_reading, self.board.lacking)
        journal = self.folder / f"journal-{secrets.token_hex(4)}.jsonl"
        with Journal(journal) as written:
            hands = Hands(
                connections=connections,
                journal=written,
                versions=self.versions,
                reveal=no_value,
                tell=self.events.append,
                stop=self.stop,
            )
            world = ReadingWorld(self.site, connections, self.versions, moved=paved.moved)
            named = planned.allow if allow is None else allow
            again = Again(planned, paved, self.board, world, allow=named)
            again.demand_all()
            return Executor(again, hands).run(mine)

    def apply(self, paved: Paved, request: Request | None = None) -> Outcome:
        """Plans and carries out."""
        return self.act(paved, self.plan(paved, request))


def pending(planned: Plan) -> dict[str, str]:
    """Returns what a plan would change: resource to verb."""
    return {action.resource: action.verb.value for action in planned.pending}
