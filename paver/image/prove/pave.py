"""The pave from within: the lab's host deploys the image, QEMU boots it there, and its own script paves the rest.

From outside the main job goes as far as it has to: until the machine is there, has BUCC's artefact, and knows names and
time. Then the site is copied onto it, as an operator does, and `paver-bootstrap` paves what is left. All of it happens in the lab's network namespace, which has loopback and the machine's own cable, and no other way: what
the machine sends anywhere else is counted there, and answered by nobody.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from paver.errors import PaverError
from paver.image.prove.report import Line, Section
from paver.image.stages import Tell
from paver.lab import plan, providing, raising, site
from paver.lab.qemu.console import Console

NAME = "pave"
HOW = "deployed by the main job onto a host of the lab, booted there by BIOS; its paver-bootstrap paves vCenter to handover"
STANDS_IN = (
    "hosts, vCenter, its installer, the director and Concourse are the lab's; guestinfo by a vmware-rpctool of ours on"
    " the unpacked disk"
)
GROUP, NETWORK = "pave", "network"
SECONDS = 7200.0
OUTSIDE = ("trust", "hosts", "jumpbox", "site-services")
"""What is paved from outside; of it, site-services already by the machine, handed over."""

SCRIPT = "sudo /usr/local/sbin/paver-bootstrap"
_DONE = "/var/lib/paver/bootstrap.done"
_OVER = re.compile(r"\((\d+) from here, (\d+) on the jumpbox\)")
_MADE = re.compile(r"^ +made +(\d+) created\b.*$", re.MULTILINE)


def prove(image: Path, folder: Path, tell: Tell) -> Section:
    """Paves a lab with the OVA `image` as its jumpbox, in the folder `folder`.

    Raises:
        PaverError: the lab does not come up.
    """
    programs, tools = providing.provide(None, lambda text: tell(f"{NAME} lab: {text}"))
    passwords = dict.fromkeys(("esx-01", "esx-02"), site.password())
    began = time.monotonic()
    tell(f"{NAME} lab: raising it")
    lab = raising.up(plan.demo(passwords), folder / "lab", programs=programs, tools=tools, isolated=True)
    try:
        made = site.write(lab, folder / "site", image.absolute())
        tell(f"{NAME} apply: until the machine is there, see {folder / 'apply.log'}")
        phases = [word for phase in OUTSIDE for word in ("--phase", phase)]
        code, said = _paver(lab, folder / "apply.log", "apply", "--site", str(made.site), "--yes", *phases)
        seconds = {"apply": round(time.monotonic() - began)}
        lines = _machine(lab)
        if code == 0:
            machine = _Over(lab, made, folder)
            machine.copy_in()
            tell(f"{NAME} paver-bootstrap: paving the rest, see {folder / 'bootstrap.log'}")
            lines += bootstrapped(machine.run)
            seconds["paver-bootstrap"] = round(time.monotonic() - began)
            machine.fetch_store()
            tell(f"{NAME} verify: proving it again, from outside")
            verified, words = _paver(lab, folder / "verify.log", "verify", "--site", str(made.site))
            seconds["verify"] = round(time.monotonic() - began)
            lines.append(Line(GROUP, "paver verify holds, from outside", verified == 0, _last(words)))
        lines += _network(lab)
    finally:
        shown = consoles(lab.folder, folder)
        raising.down(folder / "lab")
    lines = [*applied(code, said, shown), *lines]
    return Section(name=NAME, how=HOW, stands_in=STANDS_IN, seconds=seconds, lines=tuple(lines))


def _paver(lab: raising.Lab, log: Path, *argv: str) -> tuple[int, str]:
    return _ran(lab, log, f"paver {argv[0]}", [sys.executable, "-m", "paver", *argv])


def _ran(lab: raising.Lab, log: Path, what: str, argv: Sequence[str]) -> tuple[int, str]:
    """Runs a command in the lab; returns its exit code, and what it said, which stays in `log`."""
    with log.open("wb") as sink:
        try:
            done = subprocess.run(
                lab.argv(argv, lab.folder),
                env=lab.environment(),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            said = log.read_text(errors="replace")
            raise PaverError(
                f"{what} did not end within {SECONDS / 3600:.0f} hours", seen=_last(said)
            ) from error
    return done.returncode, log.read_text(errors="replace")


class _Over:
    """The machine, as an operator at the lab's desk reaches it: by OpenSSH, with the key that the site names.

    Its host key is taken at the first sight: nobody else is in the lab's network.
    """

    def __init__(self, lab: raising.Lab, made: site.Demo, folder: Path) -> None:
        self._lab, self._made, self._folder = lab, made, folder
        known = folder / "known_hosts"
        self._options = [
            "-q",
            "-i",
            str(made.operator_key),
            "-o",
            "BatchMode=yes",
            "-o",
            f"UserKnownHostsFile={known}",
        ]
        self._options += ["-o", "StrictHostKeyChecking=accept-new", "-o", "ServerAliveInterval=60"]
        self._options += ["-o", "ServerAliveCountMax=30"]
        address = yaml.safe_load(made.site.read_text())["jumpbox"]["address"]
        self._at = f"paver@{address}"

    def run(self, name: str, command: str) -> tuple[int, str]:
        """Runs a command; what it says stays in the log `name`."""
        return _ran(
            self._lab, self._folder / f"{name}.log", command, ["ssh", *self._options, self._at, command]
        )

    def copy_in(self) -> None:
        """Copies the site to where the script looks for it: site file, sealed store, and the key that opens it."""
        carried = self._folder / "carried"
        carried.mkdir()
        for path in (self._made.site, self._store, self._made.site.with_name("site.key")):
            shutil.copy2(path, carried)
        self._copy("copy-in", "-r", str(carried), f"{self._at}:/var/lib/paver/site")

    def fetch_store(self) -> None:
        """Brings the sealed store back: what was made over there has its passwords in it."""
        self._copy("fetch", f"{self._at}:/var/lib/paver/site/{self._store.name}", str(self._store))

    @property
    def _store(self) -> Path:
        return self._made.site.with_name(f"{self._lab.plan.name}.sealed")

    def _copy(self, name: str, *argv: str) -> None:
        code, said = _ran(self._lab, self._folder / f"{name}.log", "scp", ["scp", *self._options, *argv])
        if code:
            raise PaverError(f"scp ended with {code}", seen=_last(said))


def consoles(lab: Path, folder: Path) -> str:
    """Copies what the machines of the lab in the folder `lab` have said into `folder`, since it goes with the lab.

    Of each the lab's own words of it; of one that QEMU runs its serial console and QEMU's words too.

    Returns:
        the last lines of each.
    """
    last = []
    for pattern in ("machines/*/console.log", "run/*/console.log", "run/*/qemu.log"):
        for log in sorted(lab.glob(pattern)):
            kept = folder / f"{log.parent.name}.{log.name}"
            try:
                shutil.copyfile(log, kept)
                shown = Console(kept).last()
            except OSError as error:
                last.append(f"{kept.name} could not be kept: {error}")
                continue
            if shown:
                last.append(f"{kept.name}:\n{shown}")
    return "\n".join(last)


def applied(code: int, said: str, shown: str) -> list[Line]:
    """Returns what holds of an `apply` that ended with `code` and said `said`, when the machines had said `shown`."""
    found = _OVER.search(said)
    there = int(found[2]) if found else 0
    seen = f"exit code {code}" if code == 0 else f"{_last(said)}\n{shown}".strip()
    return [
        Line(GROUP, "paver apply ended with 0", code == 0, seen),
        Line(
            GROUP,
            "what was handed over the machine itself did",
            there > 0,
            found[0] if found else "nothing of it is known",
        ),
    ]


def bootstrapped(run: Callable[[str, str], tuple[int, str]]) -> list[Line]:
    """Runs the script to its end, looks at its mark, and runs it again where all is done.

    Args:
        run: runs a command on the machine under a name; returns its exit code and what it said.
    """
    code, said = run("bootstrap", f"{SCRIPT} --yes")
    made = _MADE.search(said)
    lines = [
        Line(
            GROUP,
            "paver-bootstrap ended with 0",
            code == 0,
            f"exit code {code}" if code == 0 else _last(said),
        ),
        Line(GROUP, "it made what was left", made is not None, made[0].strip() if made else _last(said)),
        Line(
            GROUP,
            "it says that the site stands, and what next",
            "The site stands.\n  next  paver status" in said,
            _last(said),
        ),
    ]
    marked, mark = run("mark", f"cat {_DONE}")
    lines.append(
        Line(
            GROUP, "it marks itself done", marked == 0 and "paver.bootstrap/1" in mark, " ".join(mark.split())
        )
    )
    code, said = run("again", SCRIPT)
    ended = code == 0 and "This site was paved" in said and "--- paver" not in said
    lines.append(Line(GROUP, "run again it finds all done, and asks nothing", ended, _last(said)))
    return lines


def _machine(lab: raising.Lab) -> list[Line]:
    kinds = {each["name"]: each["kind"] for each in lab.status()["machines"]}
    found = kinds.get("paver-jumpbox", "not there")
    return [Line(GROUP, "the jumpbox is the image, in QEMU", found == "pc", f"kind {found}")]


def _network(lab: raising.Lab) -> list[Line]:
    """What the lab's namespace says of itself: its cards, its routes, what it passed on and what it threw away."""

    def inside(*argv: str) -> str:
        return subprocess.run(
            lab.argv(argv, lab.folder), env=lab.environment(), capture_output=True, text=True, check=True
        ).stdout

    links = sorted(each["ifname"] for each in json.loads(inside("ip", "-j", "link")))
    cables = [name for name in links if name != "lo"]
    routes = [line.strip() for line in inside("ip", "route").splitlines()]
    away = [
        line
        for line in routes
        if not any(f"dev {name}" in line for name in cables) or line.startswith("default")
    ]
    forwards = inside("cat", "/proc/sys/net/ipv4/ip_forward").strip()
    counted = counters(inside("cat", "/proc/net/snmp"))
    return [
        Line(NETWORK, "loopback and the machine's cable, no other card", len(cables) == 1, ", ".join(links)),
        Line(NETWORK, "no route leads anywhere else", not away, ", ".join(away or routes)),
        Line(
            NETWORK,
            "no packet was passed on",
            forwards == "0" and counted["ForwDatagrams"] == 0,
            f"forwarding {forwards}, {counted['ForwDatagrams']} passed on of {counted['InReceives']} received,"
            f" {counted['InAddrErrors']} for addresses outside of the lab thrown away",
        ),
    ]


def counters(snmp: str) -> dict[str, int]:
    """Returns the kernel's IP counters out of /proc/net/snmp."""
    names, values = (line.split()[1:] for line in snmp.splitlines() if line.startswith("Ip:"))
    return {name: int(value) for name, value in zip(names, values, strict=True)}


def _last(text: str) -> str:
    return "\n".join(line for line in text.strip().splitlines()[-8:] if line.strip())
