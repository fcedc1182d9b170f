"""Runs that die at one of their writes, and what they write to: stand-ins without a socket, behind paver's own sessions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlencode

from paver.driver import Endpoint, Gate, Ground, Paved, Resource
from paver.engine.plan import Plan
from paver.engine.planner import Request
from paver.runs.workbench import Engine
from paver.transport.http import Answer, HttpError, HttpReader, HttpWriter
from paver.transport.kept import Kept
from tests.support.standin import Api

T = TypeVar("T")
URL = "https://10.30.0.10"


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it but the test."""


@dataclasses.dataclass
class Moment:
    """When a run dies: at its write number `at`, counted from 0, before it leaves or after it was done."""

    at: int | None = None
    after: bool = False
    passed: int = 0

    def arm(self, at: int | None, *, after: bool) -> None:
        """Counts anew."""
        self.at, self.after, self.passed = at, after, 0

    def write(self, act: Callable[[], T]) -> T:
        """Lets a write pass, or dies."""
        due, self.passed = self.passed == self.at, self.passed + 1
        if due and not self.after:
            raise Killed
        done = act()
        if due:
            raise Killed
        return done


@dataclasses.dataclass
class Line:
    """What stands in for `transport.http.Line`: a stand-in's API without a socket."""

    name: str
    api: Api
    moment: Moment
    kept: Kept = dataclasses.field(default_factory=Kept)

    def read(self, method: str, path: str, **options: Any) -> Answer:
        return self.ask(method, path, **options)

    def ask(
        self,
        method: str,
        path: str,
        *,
        expect: tuple[int, ...] = (),
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        body: Callable[[], Iterable[bytes]] | None = None,
        **_: Any,
    ) -> Answer:
        raw = b"".join(body()) if body is not None else content
        asked = f"{path}{'&' if '?' in path else '?'}{urlencode(params)}" if params else path
        given = {name.lower().replace("-", "_"): value for name, value in (headers or {}).items()}

        def send() -> Answer:
            return self._sent(method, asked, json if raw is None else raw, given, expect)

        return send() if method in {"GET", "HEAD"} else self.moment.write(send)

    def _sent(
        self, method: str, path: str, content: Any, headers: Mapping[str, str], expect: tuple[int, ...]
    ) -> Answer:
        reply = self.api.call(method, path, content, **headers)
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        if reply.status >= 300 and reply.status not in expect:
            raise HttpError(self.name, method, f"{URL}{path}", reply.status, data.decode())
        return Answer(reply.status, {k.lower(): v for k, v in reply.headers.items()}, data, f"{URL}{path}")

    def close(self) -> None:
        return None


@dataclasses.dataclass(frozen=True)
class Connection:
    """An endpoint that is connected already: `faces` give its reading and its writing one."""

    faces: tuple[Callable[[], Any], Callable[[Gate], Any]]
    kept: Kept = dataclasses.field(default_factory=Kept)

    def connect(self, context: Any) -> Connection:
        del context
        return self

    def reader(self) -> Any:
        return self.faces[0]()

    def writer(self, gate: Gate) -> Any:
        return self.faces[1](gate)

    def forget(self) -> None:
        self.kept.forget()

    def close(self) -> None:
        return None


def http(name: str, api: Api, moment: Moment) -> Connection:
    """Returns a stand-in's API behind paver's own sessions."""
    line: Any = Line(name, api, moment)
    return Connection((lambda: HttpReader(line), lambda gate: HttpWriter(line, gate)), line.kept)


@dataclasses.dataclass
class Files:
    """A jumpbox's files in memory, as far as records and documents need one. A folder that is empty is none; files go one by one."""

    moment: Moment
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    gate: Gate | None = None

    def connection(self) -> Connection:
        return Connection((lambda: self, lambda gate: dataclasses.replace(self, gate=gate)))

    def read_file(self, path: str) -> bytes | None:
        return self.files.get(path)

    def listdir(self, path: str) -> list[str] | None:
        inside = {
            name[len(path) + 1 :].partition("/")[0] for name in self.files if name.startswith(f"{path}/")
        }
        return sorted(inside) or None

    def exists(self, path: str) -> bool:
        return path in self.files or self.listdir(path) is not None

    def mkdir(self, path: str, *_: Any) -> None:
        assert PurePosixPath(path).is_absolute()
        self._passes("file:mkdir", path)

    def write_file(self, path: str, data: bytes, *_: Any) -> None:
        self._passes("file:write", path)
        self.moment.write(lambda: self.files.update({path: data}))

    def remove(self, path: str, *, recursive: bool = False) -> None:
        self._passes("file:remove", path)
        for name in sorted(self.files, reverse=True):
            if name == path or (recursive and name.startswith(f"{path}/")):
                self.moment.write(partial(self.files.pop, name))

    def _passes(self, call: str, path: str) -> None:
        assert self.gate is not None, "a plan is made with sessions that cannot write"
        self.gate(call, path)


@dataclasses.dataclass
class Site:
    """The real planner and executor on `kinds` at their places."""

    folder: Path
    connectors: Mapping[str, Connection]
    kinds: tuple[tuple[type[Resource[Any]], Endpoint[Any, Any]], ...]
    moment: Moment

    def paved(self, *wishes: Resource[Any]) -> Paved:
        """Returns the wish as a driver gives it."""
        return Paved(
            phases=("services",),
            outside=frozenset({"services"}),
            resources=wishes,
            connectors=self.connectors,
            grounds=tuple(
                Ground(kind, at, "services", also=tuple(map(Endpoint, self.connectors.keys() - {at.name})))
                for kind, at in self.kinds
            ),
        )

    def plan(self, *wishes: Resource[Any], mode: str = "apply") -> Plan:
        """Plans; what is protected may go."""
        return self._engine().plan(self.paved(*wishes), Request(mode=mode, allow=("*",)))

    def act(self, planned: Plan, *wishes: Resource[Any]) -> bool:
        """Carries a plan out; returns whether it came to its end, or died as it was told to. Raises any other fault."""
        outcome = self._engine().act(self.paved(*wishes), planned)
        for _, error in outcome.failed:
            if not isinstance(error, Killed):
                raise error
        return not outcome.failed

    def whole(self, *wishes: Resource[Any], mode: str = "apply") -> None:
        """Plans and carries out, undisturbed."""
        self.moment.arm(None, after=False)
        assert self.act(self.plan(*wishes, mode=mode), *wishes)

    def _engine(self) -> Engine:
        return Engine(self.folder)
