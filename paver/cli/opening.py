"""What most verbs begin with: the site file, its driver, the sealed store's key, and a session.

Nothing heavy is imported before it is used: a verb that only reads the site file loads no session.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from paver.cli import out

if TYPE_CHECKING:
    from paver.driver import Driver
    from paver.engine.plan import Plan
    from paver.runs.folder import SiteFolder
    from paver.runs.session import Session
    from paver.sealed.keys import KeySource
    from paver.sitefile.site import Site
    from paver.transport.context import Station

DEFAULT_SITE = "site.yml"
STATIONS = ("outside", "jumpbox")


def add_site(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name site and key."""
    add_site_file(parser)
    parser.add_argument(
        "--key",
        metavar="SOURCE",
        help="what opens the sealed store, if not what the site file says: file:<path>, passphrase (asked for) or "
        "passphrase-file:<path>; a path is relative to the site file's folder",
    )
    parser.add_argument(
        "--sealed",
        type=Path,
        metavar="FILE",
        help="the sealed store's file, if not what the site file says",
    )


def add_site_file(parser: argparse.ArgumentParser) -> None:
    """Adds the option that names the site."""
    parser.add_argument(
        "-s",
        "--site",
        type=Path,
        metavar="FILE",
        default=None,
        help="the site file (default: $PAVER_SITE, or site.yml)",
    )


def add_station(parser: argparse.ArgumentParser) -> None:
    """Adds the option that says where this runs."""
    parser.add_argument(
        "--station",
        choices=STATIONS,
        default=None,
        help="where this runs (default: $PAVER_STATION, or outside); on the jumpbox nothing is handed over",
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Adds the options that select a part of the site."""
    parser.add_argument(
        "--phase", action="append", default=[], metavar="PHASE", help="only this phase (repeatable)"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only resources whose id matches (repeatable)",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PATTERN",
        help="protected resources that may be replaced or deleted (repeatable)",
    )


def warn_of_allow(arguments: argparse.Namespace, plan: Plan) -> None:
    """Warns of each --allow that names nothing in the plan: one that is misspelt allows nothing."""
    if not arguments.allow or not plan.actions:
        return
    from paver.engine.leave import allowed  # noqa: PLC0415
    from paver.errors import nearest  # noqa: PLC0415

    names = {id_ for action in plan.actions for id_ in (action.resource, *action.lost)}
    for pattern in arguments.allow:
        if not any(allowed(name, (pattern,)) for name in names):
            near = nearest(pattern, sorted(names))
            hint = f"; did you mean {near}?" if near else ""
            out.note(f"warning: --allow {pattern}: no action of this plan is named so{hint}")


def site_path(arguments: argparse.Namespace) -> Path:
    """Returns the site file that the command names."""
    return arguments.site or Path(os.environ.get("PAVER_SITE", DEFAULT_SITE))


def site_of(arguments: argparse.Namespace, *, warn: bool = True, whole: bool = False) -> tuple[Site, Driver]:
    """Returns the site that the command names, and its driver.

    Args:
        arguments: of the command.
        warn: print warnings to standard error.
        whole: print them with their lines of the file and what would be right.
    """
    from paver.runs import compose  # noqa: PLC0415
    from paver.sitefile.load import load  # noqa: PLC0415

    installed = compose.drivers()
    site = load(site_path(arguments), installed)
    for warning in site.warnings if warn else ():
        told = warning.lines(out.width(sys.stderr)) if whole else warning.lines()[:1]
        sys.stderr.write("\n".join([*told, ""]))
    return site, installed[site.driver]


def key_of(site: Site, option: str | None) -> KeySource | None:
    """Returns what opens the sealed store; None where a key file is not at hand (an auditor plans without)."""
    from paver.errors import BadInput  # noqa: PLC0415
    from paver.sealed import keys  # noqa: PLC0415

    reference = option or site.secrets.key
    ask = _once("passphrase of the sealed store: ") if sys.stdin.isatty() else None
    source = keys.key_source(reference, ask=ask, base=site.folder)
    if isinstance(source, keys.KeyFile) and not source.path.exists():
        if option is not None:
            raise BadInput(f"there is no key file {source.path}", do="name another one with --key")
        return None
    return source


def _once(prompt: str) -> Callable[[], str]:
    """Returns what asks for a passphrase the first time it is called, and remembers it for this process."""
    given: list[str] = []
    turn = threading.Lock()

    def ask() -> str:
        with turn:
            if not given:
                given.append(hidden(prompt))
            return given[0]

    return ask


def hidden(prompt: str) -> str:
    """Asks for a value that is not shown.

    Raises:
        Refused: if there is no terminal, or the input ended without one.
    """
    import getpass  # noqa: PLC0415
    import warnings  # noqa: PLC0415

    from paver.errors import Refused  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except EOFError:
        raise _unanswered() from None
    except getpass.GetPassWarning:
        raise Refused(
            f"nobody is there to be asked for the {prompt.removesuffix(': ')}",
            why="there is no terminal on which it would not be shown",
            do="--key passphrase-file:<path> takes a passphrase out of a file",
        ) from None


def answer(prompt: str) -> str:
    """Asks whoever sits at the terminal, also where standard output goes into a file.

    Raises:
        Refused: if the input ended without an answer.
    """
    sys.stdout.flush()
    sys.stderr.write(prompt)
    sys.stderr.flush()
    try:
        return input().strip()
    except EOFError:
        raise _unanswered() from None


def _unanswered() -> Exception:
    from paver.errors import Refused  # noqa: PLC0415 - only where nobody answers

    sys.stderr.write("\n")
    return Refused("not confirmed", why="the input ended without an answer")


def given(arguments: argparse.Namespace, *names: str) -> str:
    """Returns these options as they were given, to be used again."""
    found = ""
    for name in names:
        value = getattr(arguments, name)
        for one in value if isinstance(value, list) else [value]:
            found += "" if one is None else f" --{name} {shlex.quote(str(one))}"
    return found


def needed_key(site: Site, option: str | None, why: str) -> KeySource:
    """Returns what opens the sealed store.

    Raises:
        BadInput: if it is not at hand; `why` says what it is needed for.
    """
    from paver.sealed import keys  # noqa: PLC0415

    key = key_of(site, option)
    if key is None:
        raise keys.missing(why, named=site.secrets.key, sealed=site.sealed_file)
    return key


def station_of(arguments: argparse.Namespace) -> Station:
    """Returns where this runs.

    Raises:
        BadInput: if the environment names no station.
    """
    named = getattr(arguments, "station", None) or os.environ.get("PAVER_STATION") or "outside"
    if named not in STATIONS:
        from paver.errors import BadInput  # noqa: PLC0415

        raise BadInput(
            f"PAVER_STATION: {named!r} is no station", do=f"one of {', '.join(STATIONS)}, or leave it unset"
        )
    return "jumpbox" if named == "jumpbox" else "outside"


def session_of(
    arguments: argparse.Namespace, site: Site, driver: Driver, key: KeySource | None, who: str
) -> Session:
    """Returns the site's world, to be closed by the caller."""
    from paver.runs import wayback  # noqa: PLC0415

    session = _session(arguments, site, driver, key, who)
    try:
        wayback.fetch(session, folder_of(site).path)
    except BaseException:
        session.close()
        raise
    return session


def settle(arguments: argparse.Namespace, site: Site, driver: Driver, key: KeySource, who: str) -> None:
    """Sees to it that what is written into the sealed store next follows what a run on the jumpbox sealed there.

    Raises:
        Refused: if a run that was handed over may go on there.
    """
    from paver.runs.folder import HANDED  # noqa: PLC0415

    folder = folder_of(site).path
    if not (folder / HANDED).exists():
        return
    from paver.runs import wayback  # noqa: PLC0415 - it brings all that a run needs

    with _session(arguments, site, driver, key, who) as session:
        wayback.settle(session, folder)


def _session(
    arguments: argparse.Namespace, site: Site, driver: Driver, key: KeySource | None, who: str
) -> Session:
    from paver.runs.session import Session  # noqa: PLC0415

    path, memory = sealed_of(arguments, site)
    return Session(site, driver, station=station_of(arguments), key=key, who=who, sealed=path, seen=memory)


def folder_of(site: Site) -> SiteFolder:
    """Returns the folder of the site's runs."""
    from paver.runs.folder import SiteFolder, state_folder  # noqa: PLC0415

    return SiteFolder(state_folder(site.folder, os.environ), site.name)


def sealed_of(arguments: argparse.Namespace, site: Site) -> tuple[Path, Path]:
    """Returns the sealed store's file, and where it is remembered which store was seen there.

    A copy that --sealed names is held to what is known of the site's own; a store that `init` made there is not.
    """
    folder, path = folder_of(site), arguments.sealed or site.sealed_file
    aside = folder.seen_aside(path)
    return path, aside if aside.exists() else folder.sealed_seen


@contextmanager
def locked(arguments: argparse.Namespace, site: Site, who: str) -> Iterator[None]:
    """Holds the site's lock; on the jumpbox also that of what was handed over to it, wherever this site file lies.

    Raises:
        Refused: if another run holds one of them.
    """
    from paver.machine.jumpbox import SITES  # noqa: PLC0415
    from paver.runs.folder import SiteFolder, state_folder  # noqa: PLC0415

    here = folder_of(site)
    there = SiteFolder(state_folder(Path(SITES) / site.name, {}), site.name)
    with here.locked(who):
        if station_of(arguments) != "jumpbox" or there.path == here.path or not _may_lock(there, Path(SITES)):
            yield
            return
        # As a hand-off makes it, so that others find the contract: what the lock makes is for this account alone.
        Path(SITES).mkdir(exist_ok=True)
        with there.locked(who):
            yield


def _may_lock(there: SiteFolder, sites: Path) -> bool:
    """Tells whether the lock of what is handed over can be taken: also before the first hand-off, which may come meanwhile.

    Its folder is made by the account that what is handed over runs as, and by no other: that one could not use it then.
    """
    above = sites.parent
    return there.path.exists() or (above.is_dir() and above.stat().st_uid == os.geteuid())


@contextmanager
def stopping(told: Callable[[], Iterable[str]] | None) -> Iterator[threading.Event]:
    """Yields an event that the first interrupt sets; a second one leaves at once.

    Args:
        told: returns the lines that tell what the first interrupt does; None where a live view tells it, or what is
            said at the end.
    """
    stop = threading.Event()

    def first(number: int, _: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()
        if told is not None:
            sys.stderr.write("".join(f"\n{line}" for line in told()) + "\n")

    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
