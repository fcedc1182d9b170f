"""The jumpbox: a real OpenSSH server, configured from the VM's guestinfo alone.

It runs as a user of its own in a nested user namespace, since a lab has one user id only: whatever drops
privileges would fail. Files under the machine's `root/` are what the machine sees (see `guest`) and survive a
power cycle; first-boot data is acted upon once per instance id, the network at every boot, as cloud-init does.
"""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from paver.lab import system
from paver.lab.room import cloudinit, machine, world

UID = 1002
_SHIMS = Path(__file__).parent / "shims"
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_HOST_KEY = "etc/ssh/ssh_host_ed25519_key"


class Jumpbox:
    """See `world.System`."""

    kind = "jumpbox"
    waits = True

    def __init__(self, place: world.World, event: world.Event, monitor: world.Monitor) -> None:
        self._world = place
        self._event = event
        self._console = monitor.say
        self._folder = place.folder(event.uuid)
        self._root = self._folder / "root"
        self._process: machine.Process | None = None
        self._seed = cloudinit.Seed("", "localhost")

    def wake(self) -> tuple[world.Wanted, ...]:
        """Does what cloud-init does before the network is up."""
        if not self._world.isolated:
            self._console("no boot: a jumpbox with a file system of its own needs user namespaces")
            return ()
        guestinfo = {
            key: value for key, value in self._event.extra_config.items() if key.startswith("guestinfo.")
        }
        self._seed = cloudinit.seed(guestinfo, self._event.macs)
        for line in (*self._seed.warnings, *self._seed.ignored):
            self._console(f"cloud-init: {line}")
        _base(self._root, self._seed)
        _programs(self._root, self._world)
        seen = self._root / "var/lib/cloud/instance-id"
        if not seen.exists() or seen.read_text() != self._seed.instance:
            _first_boot(self._root, self._seed, self._console)
            seen.parent.mkdir(parents=True, exist_ok=True)
            seen.write_text(self._seed.instance)
            self._console(f"cloud-init: first boot of instance {self._seed.instance}")
        _host_key(self._root, self._world.tools["ssh-keygen"])
        return tuple(
            world.Wanted(card.mac, address.split("/")[0])
            for card in self._seed.cards
            for address in card.addresses
        )

    def launch(self, up: tuple[str, ...]) -> world.Guest:
        """Starts sshd on the addresses that are up, and the services that were enabled before."""
        if not self._world.isolated:
            return world.Guest(None, {})
        root = self._root
        published = base64.b64encode((root / f"{_HOST_KEY}.pub").read_bytes()).decode()
        config = root / "etc/ssh/sshd_config"
        config.write_text(sshd_config(up, self._world.tools["sshd"]))
        nested = ["unshare", "-U", f"--map-user={UID}", f"--map-group={UID}"]
        environment = {
            "PATH": f"{_PATH}:{os.environ.get('PATH', '')}",
            "HOME": "/home/paver",
            "LANG": "C.UTF-8",
        }
        logs = root / "var/lib/paver-lab/log"
        services = []
        if up:
            argv = [*nested, str(self._world.tools["sshd"]), "-D", "-e", "-f", "/etc/ssh/sshd_config"]
            services.append(machine.Service(tuple(argv), environment, logs / "sshd.log", once=False))
        for enabled in sorted((root / "var/lib/paver-lab/enabled").iterdir()):
            argv = [*nested, "/usr/local/bin/systemctl", "start", enabled.name]
            services.append(
                machine.Service(tuple(argv), environment, logs / f"{enabled.name}.log", once=True)
            )
        self._process = machine.start(
            self._world,
            folder=self._folder,
            hostname=self._seed.hostname,
            addresses=up,
            folders=(
                f"/run/user/{UID}",
                "/run/services",
                "/run/chrony",
                "/run/paver",
            ),
            services=services,
        )
        guestinfo = {"guestinfo.paver.host-keys": published}
        if up:
            guestinfo["guestinfo.local-ipv4"] = up[0]
            listens = machine.await_port(up[0], 22)
            self._console(f"sshd {'listens' if listens else 'does not listen'} on {up[0]} port 22")
        return world.Guest(up[0] if up else None, guestinfo)

    def halt(self) -> None:
        """Cuts the power."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def about(self) -> dict[str, Any]:
        """Returns nothing beyond the general."""
        return {}


def sshd_config(addresses: Iterable[str], sshd: Path) -> str:
    """Returns the server's configuration: keys only, on `addresses` only, SFTP and forwarding allowed."""
    # One line: of several SetEnv lines sshd takes the first.
    environment = {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": f"/run/user/{UID}",
        "TMPDIR": "/home/paver/.tmp",
    }
    lines = [
        *(f"ListenAddress {address}" for address in addresses),
        f"HostKey /{_HOST_KEY}",
        "UsePAM no",
        "PidFile none",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin no",
        "AllowTcpForwarding yes",
        "AllowAgentForwarding no",
        "X11Forwarding no",
        "PrintMotd no",
        "UseDNS no",
        "MaxStartups 100",
        "MaxSessions 100",
        "LogLevel VERBOSE",
        "AcceptEnv LC_*",
        "Subsystem sftp internal-sftp",
        "SetEnv " + " ".join(f"{name}={value}" for name, value in environment.items()),
    ]
    # OpenSSH 9.8 and later split the server up and look for its parts at a fixed place.
    parts = sshd.parent.parent / "root/usr/lib/openssh"
    for option, part in (("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")):
        if (parts / part).exists():
            lines.append(f"{option} {parts / part}")
    return "\n".join(lines) + "\n"


CHRONY = "sourcedir /etc/chrony/sources.d\ndriftfile /var/lib/chrony/chrony.drift\nmakestep 1 3\n"
"""Of the image's own configuration of chrony what matters here: its servers are in files of others."""


def _base(root: Path, seed: cloudinit.Seed) -> None:
    for folder in (
        "etc/dnsmasq.d",
        "etc/chrony",
        "etc/paver",
        "etc/ssh",
        "home/paver/.tmp",
        "usr/local/bin",
        "var/lib/chrony",
        "var/lib/paver",
        "var/lib/paver-lab/log",
        "var/lib/paver-lab/enabled",
        "var/lib/cloud",
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
    users = dict.fromkeys(("paver", *(user.name for user in seed.users)))
    shells = {user.name: user.shell for user in seed.users}
    passwd = [f"{name}:x:{UID}:{UID}:{name}:/home/{name}:{shells.get(name, '/bin/bash')}" for name in users]
    resolvers = list(dict.fromkeys(server for card in seed.cards for server in card.nameservers))
    search = list(dict.fromkeys(domain for card in seed.cards for domain in card.search))
    texts = {
        "passwd": [
            "root:x:0:0:root:/root:/bin/bash",
            *passwd,
            "nobody:x:65534:65534:nobody:/nonexistent:/bin/false",
        ],
        "group": ["root:x:0:", *(f"{name}:x:{UID}:" for name in users), "nogroup:x:65534:"],
        "hostname": [seed.hostname],
        "hosts": ["127.0.0.1 localhost", f"127.0.1.1 {seed.hostname}"],
        "resolv.conf": [
            *([f"search {' '.join(search)}"] if search else []),
            *(f"nameserver {server}" for server in resolvers),
            "options timeout:2 attempts:1",
        ],
        "nsswitch.conf": ["passwd: files", "group: files", "hosts: files dns"],
        # Debian's own resets PATH, which would hide the machine's programs from a login shell.
        "profile": [f"export PATH={_PATH}"],
    }
    for name, lines in texts.items():
        (root / "etc" / name).write_text("".join(f"{line}\n" for line in lines))
    if not (time := root / "etc/chrony/chrony.conf").exists():
        time.write_text(CHRONY)


def _programs(root: Path, place: world.World) -> None:
    folder = root / "usr/local/bin"
    found = {name: path for name, path in place.programs.items() if name != "vsim"}
    # What the host has lies on PATH already; what was unpacked for the lab does not.
    found |= {name: path for name, path in place.tools.items() if not path.is_relative_to("/usr")}
    for name, path in found.items():
        _replace_link(folder / name, path)
    # Copied, since an installer of wheels may drop the right to execute.
    for name in ("systemctl", "sudo"):
        _program(folder / name, (_SHIMS / name).read_text())
    library = shlex.quote(system.python_path())
    _program(
        folder / "paver",
        "#!/bin/sh\n"
        "# The jumpbox's paver is the one that raised the lab: the file system is shared.\n"
        f'PYTHONPATH={library}${{PYTHONPATH:+:$PYTHONPATH}} exec {shlex.quote(sys.executable)} -m paver "$@"\n',
    )


def _program(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def _replace_link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _first_boot(root: Path, seed: cloudinit.Seed, console: Callable[[str], None]) -> None:
    for user in seed.users:
        keys = root / "home" / user.name / ".ssh"
        keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        (keys / "authorized_keys").write_text("".join(f"{key}\n" for key in user.keys))
        (keys / "authorized_keys").chmod(0o600)
        console(f"cloud-init: user {user.name} with {len(user.keys)} key(s)")
    allowed = [user.name for user in seed.users if user.sudo]
    (root / "var/lib/paver-lab/sudoers").write_text("".join(f"{name}\n" for name in allowed))
    for file in seed.files:
        _write(root, file, console)
    if seed.host_key is not None:
        private, public = seed.host_key
        _secret(root / _HOST_KEY, private.encode() if private.endswith("\n") else f"{private}\n".encode())
        (root / f"{_HOST_KEY}.pub").write_text(f"{public.strip()}\n")


def _write(root: Path, file: cloudinit.File, console: Callable[[str], None]) -> None:
    inside = Path(os.path.normpath("/" + file.path.lstrip("/"))).relative_to("/")
    if not any(inside.is_relative_to(own) for own in machine.OWN):
        console(f"cloud-init: {file.path} is outside of the folders that are the machine's own: not written")
        return
    target = root / inside
    target.parent.mkdir(parents=True, exist_ok=True)
    content = (target.read_bytes() if file.append and target.exists() else b"") + file.content
    target.unlink(missing_ok=True)
    _secret(target, content)
    target.chmod(file.mode)


def _secret(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as sink:
        sink.write(content)


def _host_key(root: Path, keygen: Path) -> None:
    key = root / _HOST_KEY
    if not key.exists():
        argv: list[str] = [str(keygen), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
        environment: Mapping[str, str] = os.environ
        subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL, env=dict(environment))
