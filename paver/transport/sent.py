"""Runs a program of paver's own on a machine, once and to its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paver.errors import Unobservable
from paver.transport.machine import MachineReader
from paver.transport.shell import Output, Ran
from paver.transport.source_text import NOT_ITS_ANSWER, as_source, instead


def run(
    machine: MachineReader,
    program: Path,
    words: Sequence[str],
    *,
    timeout: float,
    root: bool = False,
    stdin: bytes = b"",
    on_output: Output | None = None,
) -> Ran:
    """Runs a module of paver's on a machine, with its Python, and returns what came of it.

    Args:
        machine: where it runs.
        program: the module's file; it needs nothing but the standard library.
        words: its arguments.
        timeout: seconds that it may take.
        root: it runs as root.
        stdin: what it reads after its own source.
        on_output: is told what it prints, as it comes.
    """
    host = machine.host
    begin, source = as_source(program)
    return host.shell.run(
        [*(host.root if root else ()), host.python, *begin, *words],
        stdin=source + stdin,
        timeout=timeout,
        on_output=on_output,
    )


def not_its_answer(machine: MachineReader, what: str, answer: bytes) -> Unobservable:
    """Returns the error of an answer that no program of paver's gives; `what` says what was asked."""
    return Unobservable(
        f"{machine.name}: {what}, and something else answered",
        seen=answer[:200].decode("utf-8", "replace").strip(),
        why=NOT_ITS_ANSWER,
        do=instead(machine.host.python),
    )
