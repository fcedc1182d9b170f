"""`paver-bootstrap`: paves the site from the jumpbox itself, once.

validate → preflight → plan → asks → apply. Killed, or after a failure, the same command goes on: every step is paver's
own and begins by looking at what is there. After a success it says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import fcntl
import hashlib
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from paver.appliance import datadisk, ended, guestinfo, render, site
from paver.appliance.guestinfo import Guestinfo
from paver.appliance.machine import Run, run
from paver.errors import PaverError, Refused, of_disk

DONE = "var/lib/paver/bootstrap.done"
LOCK = "run/paver-bootstrap.lock"
SCHEMA = "paver.bootstrap/1"
CHANGES, LOOK = 2, 2
"""paver's exit codes for changes pending, and for what somebody should look at."""

_COMMAND = "sudo paver-bootstrap"
_EPILOG = f"""\
It looks for the site at /{site.PLACE}, on a CD-ROM with paver/{site.FILE}, and in guestinfo.paver.site.
Killed, cut off or failed, the same command goes on.

exit codes: those of the step that ended it; 0 the site stands, 3 there is no site, 4 it was not confirmed
"""


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """One run.

    Attributes:
        root: where the file system begins.
        run: runs a command of the system's and returns what it printed.
        paver: runs paver with these arguments on this terminal, and returns its exit code.
        confirm: asks, and returns what was typed; None where nobody is there to ask.
        say: shows a line.
        owner: user and group that the site belongs to.
    """

    root: Path
    run: Run
    paver: Callable[[Sequence[str]], int]
    confirm: Callable[[str], str] | None
    say: Callable[[str], None]
    owner: tuple[int, int] | None = None

    def carry_out(self) -> int:
        """Does all of it; returns the process's exit code.

        Raises:
            BadInput: there is no site.
            Refused: another one is at it, or the data disk with the state is not there.
        """
        lock = self.root / LOCK
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(
                    "paver-bootstrap runs already",
                    do="look at it where it was started; `paver follow` shows its run",
                ) from None
            return self._steps()

    def _steps(self) -> int:
        datadisk.ready(self.root, self.run)
        info = Guestinfo(self.root, self.run)
        if info.there() and ended.read(self.root) is not None:
            guestinfo.clean(info)
        where = site.bring(self.root, self.run, self.owner)
        file = self.root / site.PLACE / site.FILE
        self.say(f"paver-bootstrap: the site of {where}")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        before = self._done()
        if before == digest:
            return self._end(0, f"This site was paved, and {site.FILE} is the same since.", (*_NEXT, _AGAIN))
        if before:
            self.say(f"It was paved once, and {site.FILE} is another one since: this goes on with it.")
        common = ("--site", str(file))
        here = (*common, "--station", "jumpbox")
        code = self._step("validate", common)
        if code:
            return self._end(code, "Nothing was changed.", [f"mend {file}, then: {_COMMAND}"])
        code = self._step("preflight", here)
        if code not in {0, LOOK}:
            return self._end(code, "Nothing was changed.", [f"mend what stands in the way, then: {_COMMAND}"])
        plan = file.with_name("site.plan")
        code = self._step("plan", (*here, "--out", str(plan)))
        if code not in {0, CHANGES}:
            return self._end(code, "Nothing was changed.", [f"mend what it says, then: {_COMMAND}"])
        if code == CHANGES:
            if not self._confirmed():
                return self._end(Refused.exit_code, "Nothing was changed.", [f"carry it out: {_COMMAND}"])
            code = self._step("apply", (str(plan), *here, "--yes"))
            if code:
                return self._end(
                    code,
                    "Not all of it is done; what is done stands.",
                    ["paver status          how it stands", f"{_COMMAND}  goes on"],
                )
        self._note(digest)
        return self._end(0, "The site stands.", _NEXT)

    def _step(self, verb: str, arguments: Sequence[str]) -> int:
        self.say("")
        self.say(f"--- paver {verb}")
        return self.paver([verb, *arguments])

    def _confirmed(self) -> bool:
        if self.confirm is None:
            self.say("Nobody is here to confirm the plan: `--yes` does.")
            return False
        return self.confirm('\nCarry this plan out? "yes":').strip().lower() == "yes"

    def _end(self, code: int, what: str, then: Sequence[str]) -> int:
        self.say("")
        self.say(what)
        for number, line in enumerate(then):
            self.say(f"  {'next' if number == 0 else '    '}  {line}")
        return code

    def _done(self) -> str:
        """Returns the digest of the site file that was paved, nothing if none was."""
        try:
            found = json.loads((self.root / DONE).read_text())
            return str(found["site"]) if found["schema"] == SCHEMA else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _note(self, digest: str) -> None:
        at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        text = json.dumps({"schema": SCHEMA, "site": digest, "at": at}, indent=1, sort_keys=True) + "\n"
        ended.put(self.root / DONE, text, 0o644)


_NEXT = (
    "paver status          how it stands, the ways in, the passwords",
    'eval "$(paver env)"   bosh, credhub, fly, mc, govc',
    "paver verify          prove it all again",
)
_AGAIN = "paver apply           repairs it, and paves it anew after a destroy"


def main(argv: Sequence[str] | None = None, root: Path = Path("/"), run: Run = run) -> int:
    """Runs it; returns the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="paver-bootstrap",
        description="Paves the site from the jumpbox itself, once.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before the plan is carried out")
    yes = parser.parse_args(argv).yes
    try:
        if os.geteuid():
            raise Refused("only root may begin this", do=_COMMAND)
        entry = pwd.getpwnam(render.USER)
        owner = entry.pw_uid, entry.pw_gid
        _own_key(root, owner)
        bootstrap = Bootstrap(root, run, _as(entry), (lambda _: "yes") if yes else _asks(), _say, owner)
        return bootstrap.carry_out()
    except (PaverError, OSError) as error:
        known = error if isinstance(error, PaverError) else of_disk(error)
        if known is None:
            raise
        sys.stderr.write("\n".join([*known.lines(), ""]))
        return known.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(f"\nstopped; what is done stands\n  next  {_COMMAND}  goes on\n")
        return 130


KEY = "etc/paver/site.key"
"""What opens the sealed store, unless the site says otherwise."""


def _own_key(root: Path, owner: tuple[int, int]) -> None:
    """Gives the key to the account that paves: it was put there by root, who may read it anyway."""
    key = root / KEY
    if key.is_file() and not key.is_symlink() and key.stat().st_uid == os.geteuid():
        os.chown(key, *owner)


def _as(entry: pwd.struct_passwd) -> Callable[[Sequence[str]], int]:
    """Returns what runs paver as the account whose jobs and files the jumpbox has, wherever a run is led from."""

    def does(arguments: Sequence[str]) -> int:
        kept = {name: value for name, value in os.environ.items() if name in {"TERM", "LANG", "LC_ALL", "TZ"}}
        done = subprocess.run(
            ["/usr/local/bin/paver", *arguments],
            check=False,
            cwd=entry.pw_dir,
            env={
                **kept,
                "HOME": entry.pw_dir,
                "USER": entry.pw_name,
                "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            },
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=os.getgrouplist(entry.pw_name, entry.pw_gid),
        )
        return done.returncode if done.returncode >= 0 else 128 - done.returncode

    return does


def _asks() -> Callable[[str], str] | None:
    return _asked if sys.stdin.isatty() else None


def _asked(question: str) -> str:
    try:
        return input(f"{question} ")
    except EOFError:
        # Ctrl-D, or the connection is gone: that is no yes.
        return ""


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
