"""`paver env`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from paver.cli import opening, out, parsers

if TYPE_CHECKING:
    from paver.driver import Door
    from paver.runs.exports import Exports
    from paver.sitefile.site import Site
    from paver.trust.vault import Vault

EXAMPLES = """\
examples:
  eval "$(paver env)"            all tools reach the site from this shell
  eval "$(paver env bosh)"       one tool only
  eval "$(paver env --socks 1080)"   through `ssh -N -D 1080` to the jumpbox, from outside
  paver env                      on a terminal: the same without secrets (--show prints them)

exit codes: 0 at least one tool can be used, 1 the sealed store has no password for any yet; the last line for a shell is `false` then, so that
eval fails too
"""

_FAILS = "false"
"""The last line for a shell where paver fails, since `eval` hears no other exit code."""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "tool",
        nargs="*",
        metavar="TOOL",
        help="bosh, credhub, fly, mc, or one of the IaaS, as govc (default: all)",
    )
    opening.add_site(parser)
    parser.add_argument("--show", action="store_true", help="print secrets on a terminal, too")
    parser.add_argument(
        "--socks", type=parsers.number(1, 65535), metavar="PORT", help="go through a SOCKS proxy on this port"
    )
    parser.add_argument("--json", action="store_true", help="print the variables as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the variables; what a shell makes of them fails where this does."""
    code = 1
    try:
        code = _print(arguments)
    finally:
        if code != 0 and _for_a_shell(arguments):
            out.line(_FAILS)
    return code


def _for_a_shell(arguments: argparse.Namespace) -> bool:
    return not arguments.json and not sys.stdout.isatty()


def _print(arguments: argparse.Namespace) -> int:
    from paver.errors import BadInput  # noqa: PLC0415 - `--help` does without it
    from paver.runs.exports import Environment, exports  # noqa: PLC0415
    from paver.runs.offers import doors, tools  # noqa: PLC0415
    from paver.trust.vault import Vault  # noqa: PLC0415

    site, driver = opening.site_of(arguments, warn=False)
    known = tools(site, driver)
    for tool in arguments.tool:
        if tool not in known:
            raise BadInput(f"paver knows no tool {tool}", do=f"one of {', '.join(known)}")
    shown = arguments.show or not sys.stdout.isatty()
    key = opening.needed_key(site, arguments.key, "to print secrets") if shown else None
    state = opening.folder_of(site)
    path, memory = opening.sealed_of(arguments, site)
    vault = Vault(path, key, "paver env", memory, named=site.secrets.key)
    folder = state.path / "env"
    ways = doors(site, driver)
    found = exports(
        ways,
        vault.index(),
        vault.reveal if shown else None,
        folder,
        frozenset(arguments.tool),
    )
    more = dict(_more(arguments, site, ways, found, vault, folder))
    if arguments.json:
        values = {one.name: one.value for one in found.variables}
        out.document("paver.env/1", Environment(variables={**values, **more}, missing=found.missing))
    else:
        notes = [f"{tool}: {why}" for tool, why in found.missing.items()]
        if notes and vault.index() is None:
            notes = [f"site {site.name} has no sealed store yet"]
        out.lines(_shell(found, more))
        out.lines(f"# {note}" for note in notes)
        for note in notes if _for_a_shell(arguments) else ():
            out.note(f"warning: {note}")
    return 0 if found.variables else 1


def _more(
    arguments: argparse.Namespace,
    site: Site,
    ways: Iterable[Door],
    found: Exports,
    vault: Vault,
    folder: Path,
) -> Iterator[tuple[str, str]]:
    """Yields what depends on this machine: proxies, and the folder in which mc looks for roots."""
    from paver.driver import Root, ToolDoor  # noqa: PLC0415
    from paver.foundation import places  # noqa: PLC0415
    from paver.runs.exports import pem_file, root_file  # noqa: PLC0415

    tools = {one.tool for one in found.variables}
    if arguments.socks is not None:
        for name in sorted({way.proxy for way in ways if isinstance(way, ToolDoor) and way.tool in tools}):
            yield name, f"socks5://127.0.0.1:{arguments.socks}"
    if "mc" not in tools:
        return
    roots, pem = folder / "mc" / "certs" / "CAs" / "site.pem", places.store_ca(site)
    if site.services.object_store.external is None:
        root_file(roots, vault.index(), Root((places.root().name,)))
    elif pem:
        pem_file(roots, pem)
    else:
        return
    yield "MC_CONFIG_DIR", str(folder / "mc")


def _shell(found: Exports, more: dict[str, str]) -> Iterator[str]:
    before = ""
    for one in found.variables:
        if one.tool != before:
            yield f"# {one.tool}"
            before = one.tool
        if one.value is None:
            yield f'# {one.name} holds a secret: `paver env --show`, or eval "$(paver env)"'
        else:
            yield f"export {one.name}={shlex.quote(one.value)}"
    for name, value in more.items():
        yield f"export {name}={shlex.quote(value)}"
