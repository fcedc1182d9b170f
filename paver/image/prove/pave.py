"""The pave from within: the lab's host deploys the image, QEMU boots it there, and what it holds paves the rest.

All of it happens in the lab's network namespace, which has loopback and the machine's own cable, and no other way: what
the machine sends anywhere else is counted there, and answered by nobody.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from paver.errors import PaverError
from paver.image.prove.report import Line, Section
from paver.image.stages import Tell
from paver.lab import plan, providing, raising, site

NAME = "pave"
HOW = "deployed by the main job onto a host of the lab, booted there by BIOS; what it holds paves vCenter to handover"
STANDS_IN = (
    "hosts, vCenter, its installer, the director and Concourse are the lab's; guestinfo by a vmware-rpctool of ours on"
    " the unpacked disk"
)
GROUP, NETWORK = "pave", "network"
SECONDS = 7200.0
_MADE = re.compile(r"\((\d+) from here, (\d+) on the jumpbox\)")


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
        tell(f"{NAME} apply: paving, see {folder / 'apply.log'}")
        code, said = _paver(lab, folder / "apply.log", "apply", "--site", str(made.site), "--yes")
        seconds = {"apply": round(time.monotonic() - began)}
        lines = [*_paved(code, said), *_machine(lab)]
        if code == 0:
            tell(f"{NAME} verify: proving it again")
            verified, words = _paver(lab, folder / "verify.log", "verify", "--site", str(made.site))
            lines.append(Line(GROUP, "paver verify holds", verified == 0, _last(words)))
        lines += _network(lab)
    finally:
        raising.down(folder / "lab")
    return Section(name=NAME, how=HOW, stands_in=STANDS_IN, seconds=seconds, lines=tuple(lines))


def _paver(lab: raising.Lab, log: Path, *argv: str) -> tuple[int, str]:
    with log.open("wb") as sink:
        try:
            done = subprocess.run(
                lab.argv([sys.executable, "-m", "paver", *argv], lab.folder),
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
                f"paver {argv[0]} did not end within {SECONDS / 3600:.0f} hours", seen=_last(said)
            ) from error
    return done.returncode, log.read_text(errors="replace")


def _paved(code: int, said: str) -> list[Line]:
    found = _MADE.search(said)
    there = int(found[2]) if found else 0
    return [
        Line(GROUP, "paver apply ended with 0", code == 0, f"exit code {code}" if code == 0 else _last(said)),
        Line(
            GROUP,
            "the machine itself did its part",
            there > 0,
            found[0] if found else "nothing of it is known",
        ),
    ]


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
