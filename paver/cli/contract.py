"""`paver contract`."""

from __future__ import annotations

import argparse

from paver.cli import documents, opening, out

EXAMPLES = """\
examples:
  paver contract > contract.json   what is deployed on top may rely on; secrets are references
  paver contract --schema          its JSON Schema
  paver contract --known-hosts >> ~/.ssh/known_hosts     so that ssh knows the jumpbox
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    opening.add_site(parser)
    opening.add_station(parser)
    parser.add_argument(
        "--known-hosts",
        action="store_true",
        help="print the jumpbox's host keys only, as lines of a known_hosts file",
    )
    parser.add_argument("--schema", action="store_true", help="print its JSON Schema; asks nobody")


def run(arguments: argparse.Namespace) -> int:
    """Prints the contract as it stands on the jumpbox."""
    if arguments.schema:
        out.line(documents.contract_schema().rstrip("\n"))
        return 0
    from paver.errors import PaverError  # noqa: PLC0415
    from paver.foundation.handover import contract  # noqa: PLC0415
    from paver.runs import reach  # noqa: PLC0415

    site, driver = opening.site_of(arguments, warn=False)
    key = opening.key_of(site, arguments.key)
    with opening.session_of(arguments, site, driver, key, "paver contract") as session:
        machine = reach.standing_jumpbox(session)
        data = machine.read_file(str(contract.path_of(site.name)))
    if data is None:
        raise PaverError(
            f"{site.name} has no contract yet",
            why="it is made last, once everything that it promises stands",
            do="`paver apply` makes it; `paver plan` shows what comes before",
        )
    document = contract.loads(data)
    if arguments.known_hosts:
        out.lines(contract.known_hosts(document, str(site.jumpbox.address)))
        return 0
    out.line(out.json_text(document))
    return 0
