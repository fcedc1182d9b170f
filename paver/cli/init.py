"""`paver init`."""

from __future__ import annotations

import argparse
from pathlib import Path

from paver.cli import out

EXAMPLES = """\
examples:
  paver init site.yml --name lab-north  a commented file, that must not exist yet;
                                        fill it in, then `paver validate`
  paver init > site.yml                 the same, to standard output
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("file", nargs="?", type=Path, help="where to write it (default: standard output)")
    parser.add_argument("--name", default="lab-north", help="the site's name (default: %(default)s)")
    parser.add_argument("--driver", default="vsphere", help="the IaaS (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Prints or writes a site file to start from."""
    from paver.runs import compose  # noqa: PLC0415 - `--help` does without it
    from paver.runs.session import driver_of  # noqa: PLC0415
    from paver.sitefile import init  # noqa: PLC0415

    driver = driver_of(arguments.driver, compose.drivers())
    text = init.init_text(driver, _name(arguments.name))
    if arguments.file is None or arguments.file == Path("-"):
        out.line(text.rstrip("\n"))
        return 0
    _write(arguments.file, text)
    out.line(f"{arguments.file} is written")
    out.line(f"  next  fill it in, then `paver validate -s {arguments.file}`")
    return 0


def _name(name: str) -> str:
    from paver.errors import BadInput  # noqa: PLC0415
    from paver.sitefile import values  # noqa: PLC0415

    if not values.is_label(name):
        raise BadInput(
            f"{name!r} is not a site's name", why="lower-case letters, digits and hyphens", do="--name"
        )
    return name


def _write(path: Path, text: str) -> None:
    from paver.errors import Refused, unwritten  # noqa: PLC0415

    made = False
    try:
        with path.open("x", encoding="utf-8") as file:
            made = True
            file.write(text)
    except FileExistsError:
        raise Refused(
            f"{path} is there already",
            why="a site file is never overwritten",
            do="name another file, or move it away",
        ) from None
    except OSError as error:
        if made:
            path.unlink()
        raise unwritten(
            error, f"{path} can't be written", do="name a file in another folder, one that is there"
        ) from error
