"""BUCC's own program as a job on the jumpbox: one at a time on a site's state, followed to its end."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from paver.driver import Interrupted, PaverError, Writer
from paver.transport import job

TIME_LIMIT = 3 * 3600
STALL_LIMIT = 3600


def job_of(site: str) -> str:
    """Returns the id of a site's job.

    It is one for every action: two `bucc` on one state would make the VM twice, and a later run's action has another
    id than the one that a killed run left at work.
    """
    return f"bucc-{site}"


def await_earlier(world: Writer, machine: Any) -> None:
    """Follows what an earlier run left at work to its end, however that is: the next `bucc` looks at what it left.

    Raises:
        Interrupted: if the user stopped following; the job goes on.
    """
    name = job_of(world.site)
    if job.state(machine, name).state != "running":
        return
    world.report("waiting for the bucc that an earlier run began")
    end = job.attach(machine, name).follow(
        lambda text: world.report(" ".join(text.split())[:100]), stop=world.stopping
    )
    if end.state == "running":
        raise _detached(name)


def _detached(name: str) -> Interrupted:
    return Interrupted(
        f"stopped following the job {name}; it goes on",
        do="the same command waits for it and goes on from there",
    )


def follow(world: Writer, machine: Any, argv: list[str], project: PurePosixPath, variables: str) -> None:
    """Runs BUCC as a job; `vars.yml` is on tmpfs as long as it runs.

    Raises:
        PaverError: if it fails, with the last lines of its log.
        Interrupted: if the user stopped following; the job goes on.
    """
    env = {
        "BUCC_PROJECT_ROOT": str(project),
        "BUCC_STATE_ROOT": str(project / "state"),
        "BUCC_VARS_FILE": "{scratch}/vars.yml",
        "HOME": str(project),
        "BOSH_NON_INTERACTIVE": "true",
        "TERM": "dumb",
    }
    last: list[str] = []

    def line(text: str) -> None:
        shown = " ".join(text.split())
        if shown:
            last.append(shown)
            del last[:-12]
            world.report(shown[:100])

    name = job_of(world.site)
    running = job.start_or_attach(
        machine,
        name,
        argv,
        env,
        cwd=str(project),
        time_limit=TIME_LIMIT,
        stall_limit=STALL_LIMIT,
        scratch={"vars.yml": variables.encode()},
    )
    end = running.follow(line, stop=world.stopping)
    if end.state == "running":
        raise _detached(name)
    if not end.ok:
        raise PaverError(
            f"`bucc {argv[1]}` ended with {end.code if end.state == 'ended' else end.state}",
            seen="\n".join(last),
            why="the last lines of its log are shown above; the CPI's own words are among them",
            do="mend what it says, then run the same command again: create-env goes on where it stopped",
        )
