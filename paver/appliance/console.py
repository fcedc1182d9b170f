"""`paver-console`: the form on a console, for a first boot that was given nothing.

It can be opened again from there until somebody has logged in over SSH; after that by `sudo paver-console` alone, so
that whoever gets to the console of a machine in use does not get into the machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
import os
import sys
from collections.abc import Sequence

import paver
from paver.appliance import dialogue, ended, render
from paver.appliance.answers import Answers, fingerprint
from paver.appliance.machine import Machine
from paver.appliance.terminal import ChangedElsewhere, Terminal
from paver.errors import PaverError, Refused

LOCK = "run/paver-console.lock"
PROBLEMS = "run/paver-firstboot.problems"
ISSUE = "run/issue.d/paver.issue"

PARTLY = "Not all of it is done; the form does all of it again."

_INTRO = (
    "Nothing told this machine its address, so it asks. Nothing is changed before you",
    'say "yes". Enter takes what stands in [brackets], "-" stands for none, Ctrl-C',
    "begins again. The keyboard is a US one.",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the form; returns the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="paver-console", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--on-console", action="store_true", help=argparse.SUPPRESS)
    on_console = parser.parse_args(argv).on_console
    os.umask(0o022)
    machine = Machine()
    if os.geteuid():
        sys.stderr.write("error: only root may change the machine\n  do    sudo paver-console\n")
        return Refused.exit_code
    while True:
        form = Form(machine, on_console=on_console)
        try:
            return form.show()
        except KeyboardInterrupt:
            sys.stdout.write("\n" if on_console and form.left != PARTLY else f"\n{form.left}\n")
            if not on_console:
                return 130
        except EOFError:
            # On a console: its line was cut, and the unit starts anew.
            return 75 if on_console else 130
        except ChangedElsewhere:
            sys.stdout.write("\n\nThe other console was faster.\n")
            sys.stdout.flush()


@dataclasses.dataclass
class Form:
    """The form on one console.

    Attributes:
        machine: that it is about.
        on_console: whoever stands before it has not logged in.
        source: descriptor that is read.
        sink: descriptor that is written to.
        left: what is said of the machine to whoever stops the form.
    """

    machine: Machine
    on_console: bool
    source: int = 0
    sink: int = 1
    left: str = "Nothing was changed."
    _last: dialogue.Draft | None = None

    def show(self) -> int:
        """Shows form and result until it is left."""
        self._before = ended.read(self.machine.root)
        terminal = Terminal(self.source, self.sink, self._changed)
        terminal.say("", f"paver jumpbox {paver.__version__} - first boot", "=" * 40)
        if self.on_console and self._before is not None:
            if self._closed():
                return self._leave(terminal)
            self._standing(terminal, self._before)
            word = terminal.ask('\nEnter opens the form again, "login" gives a login prompt:')
            if self._closed():
                return self._leave(terminal)
            if word.strip().lower() == "login":
                return 0
        terminal.say(*_INTRO, *self._problems(), "")
        draft = self._last or dialogue.draft_of(self._before.answers if self._before else {})
        cards = self.machine.cards()
        if not cards:
            terminal.ask("This machine has no network card. Give it one; Enter looks again:")
            return self.show()
        answers = dialogue.fill_in(terminal, cards, draft)
        applied = self._apply(terminal, answers)
        if self.on_console:
            return self.show()
        return 0 if applied else PaverError.exit_code

    def _apply(self, terminal: Terminal, answers: Answers) -> bool:
        lock = self.machine.root / LOCK
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if self._changed():
                raise ChangedElsewhere
            self.left = PARTLY
            try:
                self.machine.apply(answers, lambda text: terminal.say(f"  ... {text}"))
                terminal.say("  ... looking whether it answers")
                looked = self.machine.settled(answers)
            except PaverError as error:
                self._last = dialogue.again(answers)
                terminal.say("", *error.lines(), PARTLY, "")
                return False
            found = ended.Ended(
                way="console",
                machine=ended.machine_id(self.machine.root),
                address=str(answers.address.ip),
                prefix=answers.address.network.prefixlen,
                fingerprint=own_fingerprint(self.machine),
                answers=dialogue.kept(answers),
            )
            ended.write(self.machine.root, found)
            self.left = "It is done."
        (self.machine.root / PROBLEMS).unlink(missing_ok=True)
        write_issue(self.machine, found, ())
        terminal.say(
            "", "Done." if all(well for well, _ in looked) else "Done, and something does not answer:"
        )
        terminal.say(
            *(
                f"  {'ok' if well else '!!'}  {words if well else f'not so: {words}'}"
                for well, words in looked
            )
        )
        if not self.on_console:
            self._standing(terminal, found)
        return True

    def _standing(self, terminal: Terminal, found: ended.Ended) -> None:
        terminal.say(
            "",
            f"This machine is {found.answers.get('name', '')} at {found.address}/{found.prefix}.".replace(
                "is  at", "is at"
            ),
            f"  its host key  ED25519 {found.fingerprint}",
            f"  log in        ssh {render.USER}@{found.address}   (compare the fingerprint)",
            "  then          sudo paver-bootstrap",
        )

    def _leave(self, terminal: Terminal) -> int:
        terminal.say(
            "This form is closed: somebody has logged in over SSH. `sudo paver-console` opens it again."
        )
        return 0

    def _closed(self) -> bool:
        before = ended.read(self.machine.root)
        if before is None:
            return False
        if not before.closed and self.machine.logged_in():
            before = dataclasses.replace(before, closed=True)
            ended.write(self.machine.root, before)
        return before.closed

    def _changed(self) -> bool:
        return ended.read(self.machine.root) != self._before

    def _problems(self) -> list[str]:
        try:
            return [f"!! {line}" for line in (self.machine.root / PROBLEMS).read_text().splitlines()]
        except OSError:
            return []


def own_fingerprint(machine: Machine) -> str | None:
    """Returns by what the machine is known, None before it has a key."""
    key = machine.host_key()
    return fingerprint(key) if key else None


def write_issue(machine: Machine, found: ended.Ended | None, said: Sequence[str]) -> None:
    """Writes what the console shows above its login."""
    text = render.issue(
        name=paver.__version__,
        address=f"{found.address}/{found.prefix}" if found and found.address else None,
        fingerprint=own_fingerprint(machine),
        way=ended.WAYS[found.way] if found else "not yet",
        said=said,
    )
    ended.put(machine.root / ISSUE, text, 0o644)


if __name__ == "__main__":
    sys.exit(main())
