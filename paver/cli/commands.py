"""The commands: what `paver --help` shows. Nothing is imported for it; a command's module is, when it is used."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """One command: its group in the help, and what it does in a line."""

    group: str
    summary: str


COMMANDS = {
    "init": Command("Start", "write a commented site file that validates"),
    "validate": Command("Start", "check a site file without asking anybody"),
    "schema": Command("Start", "JSON Schema of the site file, and of what --json prints"),
    "secrets": Command("Start", "put secrets into the sealed store, list them, remove them"),
    "ports": Command("Start", "address and port matrix for the firewall team"),
    "preflight": Command("Start", "look at every host and name all that stands in the way"),
    "plan": Command("Pave", "show what would happen; writes nothing"),
    "apply": Command("Pave", "carry out a plan, or plan and confirm"),
    "destroy": Command("Pave", "take away what paver made, in the right order"),
    "status": Command("Watch", "how the site stands, who runs, what expires"),
    "follow": Command("Watch", "watch a run that is under way, here or on the jumpbox"),
    "verify": Command("Watch", "prove again that all is as it was made; reads only"),
    "contract": Command("Use", "print the contract between paving and what is deployed on top"),
    "env": Command("Use", "shell exports for bosh, credhub, fly, mc and the IaaS's own tools"),
    "logs": Command("Use", "a redacted bundle for support"),
    "lab": Command("Lab", "simulators of a datacentre: raise it, enter it, rehearse a site"),
    "image": Command("Image", "build, verify, prove and compare the jumpbox's image"),
    "drivers": Command("About", "the installed drivers and the kinds that they make"),
    "completion": Command("About", "shell completion for bash, zsh, fish or tcsh"),
    "version": Command("About", "print the version"),
}

HEAD = """\
usage: paver COMMAND [OPTIONS]

From bare hosts to a platform that can be automated: planned, approved, proven.

"""

TAIL = """
A first time:
  paver init site.yml             then fill it in
  paver validate                  what is wrong with it
  paver secrets init              a key, and an empty store for what is secret
  paver secrets set esx-root      for each such secret that exists already
  paver preflight                 what stands in the way
  paver plan --out site.plan      what would happen; nothing is written
  paver apply site.plan           exactly that

`paver COMMAND --help` has the options and examples of each.
Exit codes: 0 done, 1 failed, 2 changes pending or drift, 3 bad input,
4 refused, 5 partly done, 130 stopped.
"""


def overview() -> str:
    """Returns the text of `paver --help`."""
    lines = [HEAD]
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        lines.append(f"{group}:\n")
        lines += [
            f"  {name:<12} {command.summary}\n"
            for name, command in COMMANDS.items()
            if command.group == group
        ]
    return "".join(lines) + TAIL
