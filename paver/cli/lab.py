"""`paver lab`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paver.cli import opening, out, parsers
from paver.errors import BadInput, PaverError, Refused

if TYPE_CHECKING:
    from paver.lab.raising import Lab

EXAMPLES = """\
examples:
  paver lab up                      raise the demo's datacentre: bare hosts, nothing else, no way out
  paver lab shell                   a shell inside of it; `paver lab shell -- paver plan` runs one command
  paver lab status                  every lab that is up
  paver lab rehearse -s site.yml    raise your own site's hosts, pave it in the lab, see that nothing is left to do
  paver lab down                    `--all` takes down every lab that is up
  paver lab conformance             the suites that hold drivers and stand-ins (from the source tree)
  paver lab conformance --driver NAME    hold a driver, yours too, to the suite (docs/howto/driver.md)

Without --dir it is the lab that is up: the one of `paver lab up`, of `make demo`, or of a rehearsal; `status` has all of
them. Inside, PAVER_SITE names its site file, names are asked of the site's DNS, and govc, bosh, mc and crane are in PATH.

What is simulated, and what that means, stands in docs/explanation/what-is-simulated.md.
"""

SUITES = ("conformance", "sim/standins", "sim/test_refusals.py")
"""What holds drivers, stand-ins, and the simulator to what real hosts refuse."""


MOST_HOSTS = 64
"""What the demo's network has room for beside all else, and a machine can bear."""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the subcommands."""
    verbs = parser.add_subparsers(dest="lab_verb", metavar="DO", required=True)
    up = _sub(verbs, "up", "raise the demo's datacentre, and write its site file")
    up.add_argument(
        "--hosts",
        type=parsers.number(1, MOST_HOSTS),
        default=2,
        metavar="N",
        help=f"bare hosts, at most {MOST_HOSTS} (default: %(default)s)",
    )
    up.add_argument(
        "--phase", action="append", default=[], metavar="PHASE", help="build only what these phases need"
    )
    down = _sub(verbs, "down", "take it down, with all that runs in it")
    down.add_argument("--all", action="store_true", help="every lab that is up in its default place")
    status = _sub(verbs, "status", "what is up")
    status.add_argument(
        "--json", action="store_true", help="print it as JSON: a list of labs, and with --dir that one alone"
    )
    shell = _sub(verbs, "shell", "a shell, or a command, inside of it")
    shell.add_argument("command", nargs=argparse.REMAINDER, help="after --, the command (default: $SHELL)")
    rehearse = _sub(verbs, "rehearse", "pave your own site in the lab")
    opening.add_site_file(rehearse)
    rehearse.add_argument("--keep", action="store_true", help="leave the lab up afterwards")
    rehearse.add_argument(
        "--phase", action="append", default=[], metavar="PHASE", help="only this phase (repeatable)"
    )
    conformance = _sub(verbs, "conformance", "run the suites that hold drivers and stand-ins")
    conformance.add_argument(
        "--driver", metavar="NAME", help="lead the wish that this driver's package offers through its life"
    )
    conformance.add_argument("arguments", nargs="*", help="after --, for pytest: paver's own suites")


_PLACES = {
    "up": "the lab's folder (default: $XDG_STATE_HOME/paver/lab)",
    "status": "the lab's folder (default: all that are up in their default places)",
    "rehearse": "a folder for lab and site (default: $XDG_STATE_HOME/paver/rehearsal-<site>)",
}


def _sub(verbs: Any, name: str, what: str) -> argparse.ArgumentParser:
    parser = parsers.below(verbs, "paver lab", name, what, EXAMPLES)
    if name != "conformance":
        parser.add_argument(
            "--dir",
            type=Path,
            metavar="FOLDER",
            help=_PLACES.get(name, "the lab's folder (default: the one that is up)"),
        )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Runs the subcommand."""
    verb: str = arguments.lab_verb
    return {
        "up": _up,
        "down": _down,
        "status": _status,
        "shell": _shell,
        "rehearse": _rehearse,
        "conformance": _conformance,
    }[verb](arguments)


def _folder(arguments: argparse.Namespace) -> Path:
    from paver.lab import raising  # noqa: PLC0415 - `--help` does without it

    folder: Path | None = arguments.dir
    if folder is not None:
        # A demo's and a rehearsal's folder has the lab in it, beside the site.
        inner = folder.absolute() / "lab"
        return inner if (inner / "run").is_dir() else folder.absolute()
    there = raising.standing()
    if len(there) > 1:
        raise BadInput(
            f"{len(there)} labs are up",
            seen="\n".join(map(str, there)),
            do=f"name one of them: --dir {there[0]}",
        )
    return there[0] if there else raising.default_folder()


def _up(arguments: argparse.Namespace) -> int:
    from paver.lab import namespace, plan, programs, providing, raising, site  # noqa: PLC0415

    programs.check(arguments.phase)
    folder = arguments.dir.absolute() if arguments.dir is not None else raising.default_folder()
    site_folder = folder.parent / f"{folder.name}-site"
    there = raising.find(folder)
    if there is not None:
        out.line(f"it is up already in {folder}")
        return 0
    built, tools = providing.provide(arguments.phase or None, out.note)
    # A new lab is a new world: what an earlier one's site sealed and journalled is not of it.
    shutil.rmtree(site_folder, ignore_errors=True)
    wanted = plan.demo(site.passwords(site_folder, "lab-north", arguments.hosts), hosts=arguments.hosts)
    lab = raising.up(wanted, folder, programs=built, tools=tools)
    with raising.or_down(lab):
        demo = site.write(lab, site_folder)
    out.line(f"the lab is up in {folder}: {', '.join(host.name for host in lab.plan.hosts)}")
    if not lab.isolated:
        out.lines(raising.without_namespaces(namespace.refusal() or ""))
    named = "" if raising.standing() == (lab.folder,) else f" --dir {folder}"
    out.line(f"  site  {demo.site}, which PAVER_SITE names inside of it")
    out.line(f"  next  paver lab shell{named} -- paver apply")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    from paver.lab import raising  # noqa: PLC0415

    if arguments.all:
        there = raising.standing()
        for folder in there:
            raising.down(folder)
            out.line(f"the lab in {folder} is down")
        if not there:
            out.line("no lab is up")
        return 0
    folder = _folder(arguments)
    down = raising.down(folder)
    if not down and os.environ.get("PAVER_LAB"):
        raise _none(folder)
    out.line(f"the lab in {folder} is down" if down else f"no lab is up in {folder}")
    return 0


def _there(arguments: argparse.Namespace) -> Lab:
    from paver.lab import raising  # noqa: PLC0415

    folder = _folder(arguments)
    lab = raising.find(folder)
    if lab is None:
        raise _none(folder)
    return lab


def _none(folder: Path) -> PaverError:
    inside = os.environ.get("PAVER_LAB")
    if inside:
        return PaverError(
            f"this shell is inside of the lab in {inside}",
            why="from in there no lab is seen",
            do="`exit` leaves it; `paver lab` is for outside",
        )
    return PaverError(f"no lab is up in {folder}", do="`paver lab up` raises one; --dir names another")


def _status(arguments: argparse.Namespace) -> int:
    from paver.lab import raising, standing  # noqa: PLC0415 - `--help` does without it

    there = raising.standing() if arguments.dir is None else ()
    labs = [lab for folder in there if (lab := raising.find(folder)) is not None] or [_there(arguments)]
    told = [(lab, lab.status()) for lab in labs]
    if not arguments.json:
        for lab, status in told:
            out.lines(_told(lab, status))
        return 0
    found = tuple(standing.of(lab.folder, status, isolated=lab.isolated) for lab, status in told)
    if arguments.dir is None:
        out.document("paver.labs/1", standing.Labs(labs=found))
    else:
        out.document("paver.lab/1", found[0])
    return 0


def _told(lab: Lab, status: Mapping[str, Any]) -> Iterator[str]:
    from paver.report import words  # noqa: PLC0415 - only for people

    yield f"the lab is up in {lab.folder}{'' if lab.isolated else ', on loopback addresses'}"
    for group, things in sorted(status.items()):
        for thing in things if isinstance(things, list) else []:
            if isinstance(thing, dict):
                told = "  ".join(
                    f"{name} {value}" for name, value in thing.items() if isinstance(value, str | int)
                )
                line = f"  {group.removesuffix('s'):<8} {told}"
                yield from words.wrapped(line, out.width(), " " * 4)


def _shell(arguments: argparse.Namespace) -> int:
    lab = _there(arguments)
    command = [word for number, word in enumerate(arguments.command) if number or word != "--"]
    argv = _asking(lab, command or [os.environ.get("SHELL", "/bin/sh")])
    from paver.lab import foreground  # noqa: PLC0415 - `--help` does without it

    if not command and sys.stdin.isatty():
        from paver.report import words  # noqa: PLC0415 - only for people

        for text in (
            f"inside the lab in {lab.folder}; `exit` leaves it, and it stays up",
            f"  next  paver status, paver plan, paver --help{_named(lab)}",
        ):
            for line in words.around_commands(text, out.width(sys.stderr), " " * 8):
                out.note(line)
    return foreground.run(lab, argv, cwd=Path.cwd())


def _named(lab: Lab) -> str:
    return "" if lab.site is None else "; PAVER_SITE names the site file"


def _asking(lab: Lab, argv: list[str]) -> list[str]:
    """Returns the command so that it asks the site's DNS for names, as a desk at the site does."""
    from paver.runs import compose  # noqa: PLC0415
    from paver.sitefile.load import load  # noqa: PLC0415

    if not lab.isolated or lab.site is None:
        return argv
    try:
        servers = load(lab.site, compose.drivers()).dns
    except BadInput:
        # A site file that is just being edited: paver itself will say what is wrong with it.
        return argv
    file = lab.folder / "run" / "desk.resolv.conf"
    text = "".join(f"nameserver {server}\n" for server in servers)
    file.write_text(f"{text}options timeout:2 attempts:1\n", encoding="utf-8")
    inside = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    return ["unshare", "-m", "sh", "-c", inside, "sh", str(file), *argv]


def _rehearse(arguments: argparse.Namespace) -> int:
    from paver.lab import namespace, providing, raising  # noqa: PLC0415
    from paver.report import words  # noqa: PLC0415
    from paver.runs import rehearsal  # noqa: PLC0415

    refusal = namespace.refusal()
    if refusal is not None:
        raise Refused(
            "a site can't be rehearsed on this machine",
            why=f"its own addresses need a network namespace: {refusal}",
            do="`make demo` runs on loopback addresses",
        )
    site, driver = opening.site_of(arguments)
    place = raising.default_folder().parent / f"rehearsal-{site.name}"
    folder = place if arguments.dir is None else arguments.dir.absolute()
    missing = rehearsal.refused(site, arguments.phase)
    if missing:
        raise Refused(
            f"{site.name} can't be rehearsed whole",
            seen=missing,
            why="the lab plays what paver makes, and nothing that is there already",
            do="rehearse a part with --phase, or a copy of the site file with `address` instead of `external`",
        )
    # Before a rehearsal that was kept is taken away: all that can be refused.
    rehearsal.check(site, driver, arguments.phase)
    values = rehearsal.secrets_of(site, driver)
    programs, tools = providing.provide(arguments.phase or None, out.note)
    if not rehearsal.clear(folder):
        raise BadInput(
            f"{folder / 'site'} is no rehearsal's folder",
            do="name another folder with --dir, or move it away",
        )
    lab = raising.up(rehearsal.plan_of(site, values), folder / "lab", programs=programs, tools=tools)
    try:
        file = rehearsal.write(site, lab, folder / "site", values)
        out.line(f"{site.name} is rehearsed in {folder}")
        return _pave(lab, file, arguments.phase)
    finally:
        named = "" if raising.standing() == (lab.folder,) else f" --dir {folder}"
        lie = f"plan, journal and report lie in {folder / 'site'}"
        if arguments.keep:
            after = [
                f"  {lie}",
                f"  next  `paver lab shell{named}` enters the lab, `paver lab down{named}` ends it",
            ]
        else:
            raising.down(folder / "lab")
            after = [f"  the lab is down (--keep leaves it up); {lie}"]
        for text in after:
            out.lines(words.around_commands(text, out.width(), " " * 8))


def _pave(lab: Lab, file: Path, phases: list[str]) -> int:
    """Paves, then asks for another plan: a site that is right has nothing left to do."""
    from paver.lab import foreground  # noqa: PLC0415 - `--help` does without it

    selected = [word for phase in phases for word in ("--phase", phase)]
    for verb, more, wanted in (("apply", ["--yes"], "it is paved"), ("plan", [], "nothing is left to do")):
        argv = [sys.executable, "-m", "paver", verb, "--site", str(file), *more, *selected]
        code = foreground.run(lab, argv)
        if code:
            out.line(f"the rehearsal ended at `paver {verb}` with {code}")
            return code
        out.line(f"rehearsed: {wanted}")
    return 0


def _conformance(arguments: argparse.Namespace) -> int:
    if arguments.driver is not None:
        return _held(arguments.driver)
    import paver  # noqa: PLC0415

    tests = Path(paver.__file__).parents[1] / "tests"
    suites = [tests / part for part in SUITES]
    if not all(suite.exists() for suite in suites):
        raise BadInput(
            "the suites are not here",
            why="they are part of paver's source tree, not of the package",
            do="--driver NAME holds a driver of another package",
        )
    argv = [sys.executable, "-m", "pytest", *map(str, suites), *arguments.arguments]
    return subprocess.run(argv, cwd=tests.parent, check=False).returncode


def _held(name: str) -> int:
    """Leads what a driver's package offers through its life, in a folder that is gone afterwards."""
    from paver.runs import compose, conformance, session  # noqa: PLC0415 - `--help` does without it

    driver = session.driver_of(name, compose.drivers())
    with (
        tempfile.TemporaryDirectory(prefix="paver-conformance-") as folder,
        conformance.offered(name)(Path(folder)) as subject,
    ):
        for sentence in conformance.lives(subject):
            out.line(f"{name}: {sentence}")
    out.line(f"{name} {driver.version} conforms")
    return 0
