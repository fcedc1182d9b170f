"""The argument parsers, one a verb, and the whole of them for completion and reference."""

from __future__ import annotations

import argparse
import importlib
from types import ModuleType
from typing import Any

from paver.cli.verbs import VERBS


def module_of(name: str) -> ModuleType:
    """Returns the module of a verb."""
    return importlib.import_module(f"paver.cli.{name}")


def of(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """Returns a verb's parser."""
    parser = argparse.ArgumentParser(prog=f"paver {name}", **_form(name, module))
    module.add(parser)
    return parser


def whole() -> argparse.ArgumentParser:
    """Returns one parser of all verbs; it loads every verb's module."""
    parser = argparse.ArgumentParser(prog="paver", description="From bare hosts to a platform.")
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, verb in VERBS.items():
        module = module_of(name)
        module.add(verbs.add_parser(name, help=verb.summary, **_form(name, module)))
    return parser


def _form(name: str, module: ModuleType) -> dict[str, Any]:
    return {
        "description": VERBS[name].summary,
        "epilog": module.EXAMPLES,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }
