"""Raises a lab, finds the one that is up, takes it down: the API behind `paver lab` and the tests.

    plan = paver.lab.plan.demo({"esx-01": "…", "esx-02": "…"})
    lab = raising.up(plan, folder, programs=build.build(...), tools=system.provide(...))
    subprocess.run(lab.argv(["govc", "about"], cwd=folder), env=lab.environment())
    raising.down(folder)

A lab is raised bare: what an earlier one left in its folder (hosts' datastores, machines, traces) goes away at
the next `up`, because the simulators' inventory ended with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paver.errors import BadInput, PaverError, Refused
from paver.lab import cache, control, namespace, pki, system
from paver.lab import plan as plans

_UP_SECONDS = 60.0
_DOWN_SECONDS = 10.0
_SITE = "site"
_OWN = ("run", "hosts", "machines", "certificates", "trace", "tmp")
# These are hidden inside of the lab, so nothing of the lab may lie there.
_HIDDEN = (Path("/run"), Path("/dev/shm"), Path("/proc"), Path("/var/run"))  # noqa: S108 - compared, not used
# Settings that lead a client out of the lab, or to the user's own things.
_FOREIGN = ("PROXY", "GOVC_", "BOSH_", "CREDHUB_", "AWS_", "MC_", "SSH_AUTH_SOCK", "DBUS_", "XDG_RUNTIME_DIR")


@dataclass(frozen=True)
class Lab:
    """A lab that is up.

    `fingerprints` are the host certificates' SHA-256 by host name, as a site file has them. `isolated` is
    False where this machine refuses namespaces: then the plan's addresses are on loopback, reachable by any
    process of this machine, and there is no airgap.
    """

    folder: Path
    plan: plans.Plan = field(repr=False)
    init: namespace.Init
    isolated: bool
    fingerprints: Mapping[str, str]
    programs: Mapping[str, Path] = field(repr=False)
    tools: Mapping[str, Path] = field(repr=False)

    @property
    def room(self) -> Path:
        """Returns the socket of the room."""
        return self.folder / "run" / "room.sock"

    def argv(self, argv: Sequence[str], cwd: Path | None = None) -> list[str]:
        """Returns the command that runs `argv` inside of the lab."""
        if not self.isolated:
            return list(argv)
        return namespace.enter_argv(self.init, argv, cwd or Path.cwd())

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Returns `base` (this process's environment) as a command inside of the lab should have it.

        The lab's own programs and this very paver come first in PATH; `PAVER_SITE` names the lab's site file.
        """
        source = os.environ if base is None else base
        kept = {
            key: value for key, value in source.items() if not any(word in key.upper() for word in _FOREIGN)
        }
        places = [str(path.parent) for path in (*self.programs.values(), *self.tools.values())]
        places.append(str(Path(sys.executable).parent))
        path = os.pathsep.join(dict.fromkeys([*places, *system.search_path().split(os.pathsep)]))
        named = {} if self.site is None else {"PAVER_SITE": str(self.site)}
        own = {"PATH": path, "TMPDIR": str(self.folder / "tmp"), "PAVER_LAB": str(self.folder)}
        return {**kept, **named, **own}

    @property
    def site(self) -> Path | None:
        """Returns the site file that was written for this lab, if one was."""
        note = self.folder / "run" / _SITE
        return Path(note.read_text(encoding="utf-8")) if note.exists() else None

    def name_site(self, file: Path) -> None:
        """Notes the site file that was written for this lab: what runs inside is about that site."""
        (self.folder / "run" / _SITE).write_text(str(file.absolute()), encoding="utf-8")

    def status(self) -> dict[str, Any]:
        """Returns hosts and machines as the room sees them.

        Raises:
            control.ControlError: the room does not answer.
        """
        found: dict[str, Any] = control.call(self.room, "GET", "/status")
        return found


def without_namespaces(reason: str) -> list[str]:
    """Returns what it means that this machine refuses user namespaces, a line each, for the user to read."""
    return [
        f"this machine refuses user namespaces ({reason}): the lab stands on loopback addresses instead",
        "  every process of this machine can reach it, and it can reach the Internet: nothing is proven about airgaps",
        "  addresses are 127.x.y.z instead of 10.x.y.z, in the site file as well",
        "  the jumpbox does not boot, so only the phases trust and hosts can be run",
        "  do, on Debian: sysctl -w kernel.unprivileged_userns_clone=1",
        "  do, on Ubuntu: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        "  do, in Docker: docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined",
    ]


def _require_ports(plan: plans.Plan) -> None:
    for host in plan.hosts[:1]:
        with socket.socket() as probe:
            try:
                probe.bind((host.address, 443))
            except PermissionError as error:
                why = "without namespaces of its own it needs the right to use ports below 1024"
                do = "run it as root, or sysctl -w net.ipv4.ip_unprivileged_port_start=0"
                raise PaverError(
                    f"the lab can't listen on {host.address} port 443", why=why, do=do
                ) from error


def default_folder() -> Path:
    """Returns the lab's folder below `$XDG_STATE_HOME` (`~/.local/state` where that is not set)."""
    return cache.base("XDG_STATE_HOME", ".local/state") / "paver" / "lab"


def standing() -> tuple[Path, ...]:
    """Returns the folders of the labs that are up where this user's are raised by default: own, demo's, rehearsals'."""
    base = default_folder().parent
    states = (path for pattern in ("*/run/lab.json", "*/lab/run/lab.json") for path in base.glob(pattern))
    return tuple(sorted(folder for path in states if _running(folder := path.parents[1]) is not None))


def up(
    plan: plans.Plan,
    folder: Path,
    *,
    programs: Mapping[str, Path],
    tools: Mapping[str, Path],
    hold: int | None = None,
    isolated: bool | None = None,
) -> Lab:
    """Raises a lab of `plan` in `folder` and returns once all its hosts answer.

    Where that very lab is up already, it is returned as it is. Two calls at once raise one lab.

    Args:
        plan: what to raise.
        folder: the lab's; made if need be, for its owner alone.
        programs: by name, from `build.build`; vsim at least.
        tools: by name, from `system.provide`.
        hold: reading end of a pipe; the lab ends when the writing end closes.
        isolated: False raises it on loopback addresses; None: where namespaces are refused.

    Raises:
        Refused: a lab of another plan is up in that folder.
        PaverError: the lab does not come up.
    """
    folder = folder.absolute()
    if any(folder.is_relative_to(hidden) for hidden in _HIDDEN):
        why = "inside of the lab these folders are hidden, with all the sockets of this machine in them"
        raise BadInput(f"a lab can't lie in {folder}", why=why, do="give it a folder elsewhere")
    try:
        _mkdir(folder)
        with _locked(folder):
            there = find(folder)
            if there is None:
                if isolated is None:
                    isolated = namespace.refusal() is None
                wanted = plan if isolated else plan.on_loopback()
                return _raise(wanted, folder, programs, tools, hold, isolated=isolated)
    except OSError as error:
        # A full disk, a folder that is not ours: nothing of the lab runs yet, or it was ended.
        raise PaverError(f"the lab can't be raised in {folder}", why=str(error)) from error
    if there.plan not in (plan, plan.on_loopback()):
        why = "it was raised from another plan"
        raise Refused(
            f"another lab is up in {folder}", why=why, do="take it down with `paver lab down`, then again"
        )
    return there


@contextlib.contextmanager
def or_down(lab: Lab) -> Iterator[None]:
    """Takes the lab down again if what comes right after it fails: one without its site is of no use to anybody."""
    try:
        yield
    except BaseException:
        down(lab.folder)
        raise


def down(folder: Path) -> bool:
    """Takes down the lab in `folder`, with all that runs in it; returns whether there was one.

    Raises:
        PaverError: something of it can't be ended.
    """
    folder = folder.absolute()
    if not folder.exists():
        return False
    with _locked(folder):
        there = _running(folder.absolute())
        if there is not None:
            namespace.stop(there.init, _DOWN_SECONDS)
        _state(folder).unlink(missing_ok=True)
    return there is not None


def find(folder: Path) -> Lab | None:
    """Returns the lab that is up in `folder`, or None; a file that a killed lab left behind is no lab.

    Raises:
        BadInput: a lab is up, but it was raised by a paver that wrote its plan otherwise.
    """
    folder = folder.absolute()
    state = _running(folder)
    if state is None:
        return None
    try:
        config = json.loads((folder / "run" / "config.json").read_text())
        return Lab(
            folder=folder,
            plan=plans.from_json(json.dumps(config["plan"])),
            init=state.init,
            isolated=state.isolated,
            fingerprints=state.fingerprints,
            programs={name: Path(path) for name, path in config["programs"].items()},
            tools={name: Path(path) for name, path in config["tools"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, BadInput) as error:
        what = f"the lab that is up in {folder} can't be read"
        raise BadInput(
            what, why=f"another paver raised it ({error})", do="paver lab down, then again"
        ) from error


@dataclass(frozen=True)
class _State:
    init: namespace.Init
    isolated: bool
    fingerprints: Mapping[str, str]


def _running(folder: Path) -> _State | None:
    try:
        raw = json.loads(_state(folder).read_text())
        state = _State(namespace.Init(**raw["init"]), raw["isolated"], raw["fingerprints"])
    except (OSError, ValueError, KeyError, TypeError):
        # Whatever can't be read was written by a process that was killed while at it.
        return None
    return state if state.init.alive() else None


def _raise(
    plan: plans.Plan,
    folder: Path,
    programs: Mapping[str, Path],
    tools: Mapping[str, Path],
    hold: int | None,
    *,
    isolated: bool,
) -> Lab:
    if not isolated:
        _require_ports(plan)
    for name in _OWN:
        shutil.rmtree(folder / name, ignore_errors=True)
        _mkdir(folder / name)
    fingerprints = {}
    for host in plan.hosts:
        pair = pki.host(host.hostname, host.address)
        pair.write(folder / "certificates", host.name)
        fingerprints[host.name] = pair.fingerprint
    config = folder / "run" / "config.json"
    content = {
        "lab": str(folder),
        "plan": json.loads(plan.to_json()),
        "programs": {name: str(path) for name, path in programs.items()},
        "tools": {name: str(path) for name, path in tools.items()},
    }
    _write(config, content)
    environment = {
        key: value for key, value in os.environ.items() if not any(word in key.upper() for word in _FOREIGN)
    }
    environment |= {
        "PATH": system.search_path(),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": system.python_path(),
        # The room forks after its threads' modules are known; nothing may be compiled into a read-only place.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    argv = [
        sys.executable,
        "-m",
        "paver.lab.room",
        "--config",
        str(config),
        *([] if isolated else ["--open"]),
    ]
    log = folder / "run" / "room.log"
    init = namespace.start(
        argv, environment=environment, log=log, hold=hold, timeout=_UP_SECONDS, isolated=isolated
    )
    state = {"init": init.to_json(), "isolated": isolated, "fingerprints": fingerprints}
    try:
        _write(_state(folder), state)
    except OSError:
        namespace.stop(init, _DOWN_SECONDS)
        raise
    return Lab(folder, plan, init, isolated, fingerprints, dict(programs), dict(tools))


def _state(folder: Path) -> Path:
    return folder / "run" / "lab.json"


def _mkdir(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _write(path: Path, content: Any) -> None:
    draft = path.with_suffix(".part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as sink:
        json.dump(content, sink, indent=1)
    draft.replace(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
