"""The demo's site in a lab of its own: `paver` runs inside of it, and the lab itself tells what that did."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from paver.lab import control, plan, raising, site, system
from paver.lab.standins import tarballs
from paver.sealed import keys, store
from tests.support.raised import Raised, held
from tests.support.ran import Ran
from tests.support.waiting import until
from tests.support.warm import Warm

NAME = "lab-north"
HOSTS = ("esx-01", "esx-02")
JUMPBOX = "10.20.0.10"
NFS = "10.20.0.9"
# Tools that `paver env` knows.
EXPORTED = frozenset({"bosh", "mc", "govc"})
PATIENCE = 560.0
"""Seconds for a run, ten times as many as the longest one takes on 2 cores."""
LIMIT = 1200
"""Seconds for a test that has several runs: of one that hangs the output is seen before, whatever ran until then."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One call that a server of the lab has answered."""

    server: str
    method: str
    target: str
    write: bool
    fault: str | None
    client: str
    kind: str


class Trace:
    """What the lab's servers were asked, from a moment on.

    Attributes:
        folder: the lab's traces.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._begun = {path.name: path.stat().st_size for path in folder.glob("*.jsonl")}

    def calls(self) -> list[Call]:
        """Returns all calls since this trace was made, server by server."""
        found = []
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._begun.get(path.name, 0))
                lines = file.read().split(b"\n")
            # The last one is being written, or empty.
            for line in lines[:-1]:
                raw = json.loads(line)
                found.append(Call(**{each.name: raw[each.name] for each in dataclasses.fields(Call)}))
        return found

    def writes(self) -> list[Call]:
        """Returns the calls that change something."""
        return [call for call in self.calls() if call.write]


def verbs(plan: Any) -> dict[str, str]:
    """Returns the verbs that a plan has for resources that are not as they are wished. `paver verify` ends with 0 where it has none."""
    return {each["resource"]: each["verb"] for each in plan["actions"] if each["verb"] != "keep"}


@dataclasses.dataclass(frozen=True)
class Place:
    """A raised lab, and the demo's site in a folder beside it.

    Attributes:
        raised: the lab.
        folder: of the site file.
        demo: the site's files.
        warm: where `paver` is forked.
        told: what every command of `paver` printed, but for those that were asked for secrets.
    """

    raised: Raised
    folder: Path
    demo: site.Demo
    warm: Warm
    told: list[str] = dataclasses.field(default_factory=list)

    @property
    def lab(self) -> raising.Lab:
        """The lab."""
        return self.raised.lab

    @property
    def site(self) -> Path:
        """The site file."""
        return self.demo.site

    @property
    def sealed(self) -> Path:
        """The sealed store."""
        return self.folder / f"{NAME}.sealed"

    @property
    def runs(self) -> list[Path]:
        """The folders of this station's runs, the newest last."""
        return sorted((self.folder / ".paver" / NAME / "runs").glob("*"))

    def argv(self, *argv: str, file: Path | None = None) -> list[str]:
        """Returns the command that runs `paver` inside of the lab, on this site (or the site file `file`)."""
        paver = [sys.executable, "-m", "paver", *argv, "--site", str(file or self.site)]
        return self.lab.argv(paver, self.folder)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Returns the environment for commands inside of the lab."""
        return {**self.lab.environment(), "PYTHONPATH": system.python_path(), **(more or {})}

    def paver(
        self,
        *argv: str,
        code: int | None = 0,
        file: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = PATIENCE,
        given: str = "",
    ) -> Ran:
        """Runs `paver` on this site, with `given` on its standard input; it has to end with `code` (None: anyhow).

        Where `env` is given, be it empty, its process is started: /proc shows its arguments and that.
        """
        if env is None:
            words = (*argv, "--site", str(file or self.site))
            done = self.warm.run(words, self.folder, self.environment(), given, timeout)
        else:
            done = subprocess.run(
                self.argv(*argv, file=file),
                env=self.environment(env),
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
                input=given,
            )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        if argv[0] != "env":
            self.told.append(ran.told)
        assert code is None or ran.code == code, f"paver {argv} ended with {ran.code}:\n{ran.told[-6000:]}"
        return ran

    def start(self, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Starts `paver` on this site and does not wait for it."""
        return subprocess.Popen(
            self.argv(*argv),
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def pending(self, *argv: str) -> dict[str, str]:
        """Returns the verbs that a plan has for resources that are not as they are wished."""
        ran = self.paver("plan", "--json", *argv, code=None)
        assert ran.code in {0, 2}, ran.told
        found = verbs(ran.json)
        assert bool(found) == (ran.code == 2)
        return found

    def run(
        self,
        *argv: str,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> Ran:
        """Runs a command inside of the lab."""
        done = self.raised.run(argv, check=check, env=self.environment(env), input=stdin)
        return Ran(done.returncode, done.stdout, done.stderr)

    def reveal(self, name: str) -> str:
        """Returns a secret of the sealed store."""
        return store.unlock(self.sealed, keys.KeyFile(self.folder / "site.key")).secret(name).reveal()

    def bundle(self, folder: Path) -> Path:
        """Has a bundle for support made in `folder`, and returns the folder that it was unpacked into."""
        packed, unpacked = folder / "bundle.tar.gz", folder / "bundle"
        self.paver("logs", "--out", str(packed))
        with tarfile.open(packed) as archive:
            tarballs.unpack(archive, unpacked)
        return unpacked

    def public(self, name: str) -> str:
        """Returns the certificate that the sealed store shows without its key."""
        return str(store.open_index(self.sealed).entries[name].public["pem"])

    def tool(self, *argv: str, check: bool = True, stdin: str | None = None) -> Ran:
        """Runs a tool of the user's, with what `paver env` exports for it, where the jumpbox is asked for names."""
        exported: dict[str, str] = {}
        if argv[0] in EXPORTED:
            exported = self.paver("env", argv[0], "--json").json["variables"]
        resolver = self.folder / "resolv.conf"
        resolver.write_text(f"nameserver {JUMPBOX}\n")
        inside = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
        return self.run(
            *("unshare", "-m", "sh", "-c", inside, "sh", str(resolver), *argv),
            check=check,
            env={**exported, "HOME": str(self.folder)},
            stdin=stdin,
        )

    def trace(self) -> Trace:
        """Returns the lab's trace from now on."""
        return Trace(self.lab.folder / "trace")

    def control(self, method: str, target: str, body: Any = None) -> Any:
        """Asks the simulator of the hosts."""
        return control.call(self.lab.folder / "run" / "esx.control.sock", method, target, body)

    def vcenter(self, method: str, target: str, body: Any = None) -> Any:
        """Asks the simulator of vCenter."""
        return control.call(self.lab.folder / "run" / "vcenter.control.sock", method, target, body)

    @contextmanager
    def fault(self, host: str, method: str, **how: Any) -> Iterator[None]:
        """Has calls of a host go wrong for a while: see the simulator's `Rule`."""
        self.control("POST", "/fault", {"server": host, "method": method, **how})
        try:
            yield
        finally:
            self.control("DELETE", "/faults")

    @contextmanager
    def dark(self, host: str) -> Iterator[None]:
        """Switches a host off for a while."""
        control.call(self.lab.room, "POST", f"/hosts/{host}/power", {"state": "off"})
        try:
            yield
        finally:
            control.call(self.lab.room, "POST", f"/hosts/{host}/power", {"state": "on"})

    @contextmanager
    def unplugged(self, address: str) -> Iterator[None]:
        """Pulls the cable of a machine for a while; what runs on it goes on."""
        self.run("ip", "addr", "del", f"{address}/32", "dev", "lo")
        try:
            yield
        finally:
            self.run("ip", "addr", "replace", f"{address}/32", "dev", "lo")

    def variant(self, name: str, old: str = "", new: str = "") -> Place:
        """Returns the same site in a folder of its own, with `old` replaced in its file; its runs are its own."""
        folder = self.folder.with_name(name)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns(".paver"))
        demo = site.Demo(folder / self.site.name, folder / self.demo.operator_key.name)
        text = demo.site.read_text()
        assert old in text
        demo.site.write_text(text.replace(old, new))
        return dataclasses.replace(self, folder=folder, demo=demo, told=[])

    def keep(self, name: str, value: str) -> None:
        """Puts a secret into the sealed store, as its user would."""
        with store.writer(self.sealed, keys.KeyFile(self.folder / "site.key"), "test") as writer:
            writer.put(name, value, made_by="test")

    def inventory(self) -> dict[str, Any]:
        """Returns all state of the hosts that a client can change, and their datastores' files."""
        return {name: self.control("GET", f"/inventory?server={name}") for name in HOSTS}

    def went_off(self, *names: str) -> None:
        """Waits until nothing runs any more on machines that were switched off: their host tells the room later than its client."""
        until(
            lambda: {self.machines()[name]["state"] for name in names} == {"off"},
            f"{', '.join(names)} went off",
        )

    def machines(self) -> dict[str, dict[str, Any]]:
        """Returns what the room knows of the machines that are there, by name."""
        found: list[dict[str, Any]] = control.call(self.lab.room, "GET", "/machines")
        # The lab forgets a moment later than its host that a machine went: its successor has the same name.
        return {machine["name"]: machine for machine in sorted(found, key=_lives)}

    def jumpbox(self) -> Path:
        """Returns the root of the jumpbox's own files."""
        machine = next(one for one in self.machines().values() if one["kind"] == "jumpbox")
        return self.lab.folder / "machines" / str(machine["uuid"]) / "root"

    @contextmanager
    def over_there(self, module: str, *words: str) -> Iterator[None]:
        """Has the jumpbox run a module of ours, with `words` before its arguments, where it would run `paver`."""
        shim = self.jumpbox() / "usr/local/bin/paver"
        own = shim.read_text()
        assert "-m paver " in own
        _program(shim, own.replace("-m paver ", f"-m {module} {shlex.join(words)} "))
        try:
            yield
        finally:
            _program(shim, own)

    def govc(self, host: str, *argv: str, check: bool = True) -> Ran:
        """Runs govc at a host, with its certificate pinned by thumbprint in a file of known hosts."""
        wanted = next(each for each in self.lab.plan.hosts if each.name == host)
        env = {
            "GOVC_URL": f"https://root@{wanted.address}/sdk",
            "GOVC_PASSWORD": wanted.password,
            "GOVC_TLS_KNOWN_HOSTS": str(self._known_hosts(wanted.address)),
        }
        return self.run("govc", *argv, check=check, env=env)

    def _known_hosts(self, address: str) -> Path:
        """The certificate as it is now: vCenter gives a host a new one."""
        path = self.folder / f"govc-{address}"
        shown = self.run("govc", "about.cert", "-k", "-thumbprint", "-u", f"https://{address}", check=False)
        path.write_text(shown.out)
        return path


def _lives(machine: dict[str, Any]) -> bool:
    return bool(machine["state"] == "on")


def _program(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.chmod(0o755)
    draft.replace(path)


def _written(lab: raising.Lab, folder: Path, warm: Warm) -> Place:
    demo = site.write(lab, folder)
    return Place(Raised(lab), folder, demo, warm)


def digest(folder: Path) -> dict[str, str]:
    """Returns path, rights and SHA-256 of every file below `folder`."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = ""
        found[str(path.relative_to(folder))] = f"{status.st_mode:o} {content}"
    return found


@contextmanager
def place(
    folder: Path,
    programs: Mapping[str, Path],
    tools: Mapping[str, Path],
    *,
    stays: bool = False,
    capacity: int | None = None,
    nfs: bool = False,
) -> Iterator[Place]:
    """Raises the demo's lab in `folder` and writes its site; unless it `stays`, the lab goes with this process.

    Args:
        folder: for both.
        programs: the lab's servers.
        tools: the system's.
        stays: whether the lab outlives this process.
        capacity: of each host's datastore, in bytes.
        nfs: whether the site has an NFS server.
    """
    if raising.find(folder / "lab") is None:
        # A new lab is a new world: what was sealed and journalled for an earlier one is not of it.
        shutil.rmtree(folder / "site", ignore_errors=True)
    wanted = plan.demo(site.passwords(folder / "site", NAME))
    if capacity is not None:
        stores = (plan.Datastore("datastore1", capacity),)
        hosts = tuple(dataclasses.replace(host, datastores=stores) for host in wanted.hosts)
        wanted = dataclasses.replace(wanted, hosts=hosts)
    if nfs:
        wanted = dataclasses.replace(wanted, nfs=(NFS,))
    if stays:
        lab = raising.up(wanted, folder / "lab", programs=programs, tools=tools)
        with closing(Warm(lab)) as warm:
            yield _written(lab, folder / "site", warm)
        return
    with (
        held(wanted, folder / "lab", programs=programs, tools=tools) as lab,
        closing(Warm(lab)) as warm,
    ):
        yield _written(lab, folder / "site", warm)


def edited(place: Place, old: str, new: str) -> Path:
    """Returns a copy of the site file beside it, with `old` replaced."""
    text = place.site.read_text()
    assert old in text
    path = place.folder / "edited.yml"
    path.write_text(text.replace(old, new))
    return path


def lines(told: str, *words: str) -> Sequence[str]:
    """Returns the lines that have all of `words`."""
    return [line for line in told.splitlines() if all(word in line for word in words)]
