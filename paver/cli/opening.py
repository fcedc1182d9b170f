"""What most verbs begin with: the site file, its driver, the sealed store's key, and a session."""

from __future__ import annotations

import argparse
import getpass
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paver.driver import Driver
from paver.errors import BadInput
from paver.runs.compose import drivers
from paver.runs.folder import SiteFolder, state_folder
from paver.runs.session import Session, driver_of
from paver.sealed import keys
from paver.sitefile.load import load
from paver.sitefile.site import Site
from paver.transport.context import Station

DEFAULT_SITE = "site.yml"


def add_site(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name site and key."""
    parser.add_argument(
        "-s",
        "--site",
        type=Path,
        default=Path(os.environ.get("PAVER_SITE", DEFAULT_SITE)),
        help="the site file (default: $PAVER_SITE, or site.yml)",
    )
    parser.add_argument("--key", help="what opens the sealed store, if not what the site file says")
    parser.add_argument("--sealed", type=Path, help="the sealed store's file, if not what the site file says")


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


def site_of(arguments: argparse.Namespace) -> tuple[Site, Driver]:
    """Returns the site that the command names, and its driver."""
    installed = drivers()
    site = load(arguments.site, installed)
    for warning in site.warnings:
        sys.stderr.write(f"{warning}\n")
    return site, driver_of(site.driver, installed)


def key_of(site: Site, option: str | None) -> keys.KeySource | None:
    """Returns what opens the sealed store; None where a key file is not at hand (an auditor plans without)."""
    reference = option or site.secrets.key
    if reference.startswith("passphrase-file:"):
        path = Path(reference.removeprefix("passphrase-file:"))
        return keys.Passphrase(lambda: path.read_text(encoding="utf-8").rstrip("\n"))
    if reference in {"passphrase", "prompt"}:
        if not sys.stdin.isatty():
            return keys.key_source("prompt")
        return keys.Passphrase(lambda: getpass.getpass("passphrase of the sealed store: "))
    source = keys.key_source(reference, base=site.folder)
    if isinstance(source, keys.KeyFile) and not source.path.exists():
        if option is not None:
            raise BadInput(f"there is no key file {source.path}", do="name another one with --key")
        return None
    return source


def session_of(
    arguments: argparse.Namespace, site: Site, driver: Driver, key: keys.KeySource | None, who: str
) -> Session:
    """Returns the site's world, to be closed by the caller."""
    station: Station = "jumpbox" if getattr(arguments, "station", "outside") == "jumpbox" else "outside"
    return Session(site, driver, station=station, key=key, who=who, sealed=arguments.sealed)


def folder_of(site: Site) -> SiteFolder:
    """Returns the folder of the site's runs."""
    return SiteFolder(state_folder(site.folder, os.environ), site.name)


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Yields an event that the first interrupt sets; a second one leaves at once."""
    stop = threading.Event()

    def first(number: int, _: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()
        sys.stderr.write(
            "\nstopping: nothing new is started, short actions end, jobs go on by themselves"
            " (once more leaves at once)\n"
        )

    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
