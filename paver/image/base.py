"""The base: Debian from the pool and a tree of files, as one tar that is the same wherever it is made."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import tempfile
import urllib.parse
import uuid
from collections.abc import Callable
from pathlib import Path

from paver.image import mmdebstrap
from paver.image import pool as pools
from paver.image.content import Content
from paver.image.lock import Lock

FILES = Path("ova") / "base"
_NAMESPACE = uuid.UUID("6f1d3a54-6c0d-5f0b-9c7e-7c9f6f1a2b01")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Identity:
    """What names the image's file systems: the same for the same lock, so that two builds are the same.

    Attributes:
        root: UUID of the root file system.
        esp: serial number of the EFI system partition.
        disk: GUID of the disk.
    """

    root: str
    esp: int
    disk: str


def identity(lock: Lock) -> Identity:
    """Returns what names the file systems of an image of `lock`."""
    disk = uuid.uuid5(_NAMESPACE, f"disk {lock.content} {lock.epoch}")
    root = uuid.uuid5(disk, "root")
    return Identity(root=str(root), esp=root.int & 0xFFFFFFFF, disk=str(disk))


def fstab(names: Identity) -> str:
    """Returns the image's fstab."""
    serial = f"{names.esp:08X}"
    return (
        f"UUID={names.root} / ext4 errors=remount-ro 0 1\n"
        f"UUID={serial[:4]}-{serial[4:]} /boot/efi vfat umask=0077,nofail 0 2\n"
    )


def grub_menu(names: Identity) -> str:
    """Returns grub's menu: one entry, which shows on the screen and on the first serial port."""
    return (
        "serial --unit=0 --speed=115200\n"
        "terminal_input console serial\n"
        "terminal_output console serial\n"
        "set timeout=2\n"
        "menuentry 'paver jumpbox' {\n"
        f"  linux /vmlinuz root=UUID={names.root} ro console=ttyS0,115200n8 console=tty0 net.ifnames=1\n"
        "  initrd /initrd.img\n"
        "}\n"
    )


def build(
    *,
    content: Content,
    lock: Lock,
    pool: Path,
    files: Path,
    target: Path,
    tell: Callable[[str], None],
) -> None:
    """Makes the tar `target`.

    Args:
        content: what the image holds.
        lock: the exact packages.
        pool: the folder that has them.
        files: a tree that is laid over the packages.
        target: the tar; there only once it is whole.
        tell: told what is being done.

    Raises:
        PaverError: mmdebstrap is not there, or failed.
    """
    names = identity(lock)
    with tempfile.TemporaryDirectory(prefix=".base-", dir=target.parent) as scratch:
        repository, ours = Path(scratch) / "repository", Path(scratch) / "ours"
        pools.lay_out(pool, lock, repository)
        shutil.copytree(files, ours)
        for name, text in {"etc/fstab": fstab(names), "boot/grub/grub.cfg": grub_menu(names)}.items():
            (ours / name).parent.mkdir(parents=True, exist_ok=True)
            (ours / name).write_text(text)
        plain(Path(scratch))
        draft = Path(scratch) / "root.tar"
        argv = [
            "--mode=unshare",
            "--variant=custom",
            "--format=tar",
            f"--architectures={content.architecture}",
            "--aptopt=APT::Install-Recommends false",
            # Nobody needs a half-unpacked base after a crash: it is made anew.
            "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt=path-exclude={glob}" for glob in content.without),
            *(f"--dpkgopt=path-include={glob}" for glob in content.kept),
            f"--include={','.join(sorted(deb.name for deb in lock.debs))}",
            f"--customize-hook=sync-in {shlex.quote(str(ours))} /",
            *(f'--customize-hook=chroot "$1" sh -euc {shlex.quote(line)}' for line in _FINISH),
            lock.suite,
            str(draft),
            f"deb [trusted=yes] copy://{urllib.parse.quote(str(repository))} ./",
        ]
        mmdebstrap.run(argv, what="the base", epoch=lock.epoch, scratch=Path(scratch), tell=tell)
        draft.replace(target)


BYTECODE = (
    "PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 python3 -m compileall -q --invalidation-mode unchecked-hash"
)
"""Compiles Python below the folders named after it, the same each time: no date is in it. Emulated, or where nobody may
write it later, a start would spend most of its time on that."""

_FINISH = (
    # The account of every first boot: it has no password, and who may log in is what the machine is told.
    "useradd --uid 1000 --user-group --create-home --shell /bin/bash --comment paver paver",
    "systemctl preset-all --preset-mode=full >/dev/null 2>&1",
    "update-initramfs -u -k all >/dev/null",
    # Made anew at the first boot, each machine its own.
    "rm -f /etc/ssh/ssh_host_* /var/lib/systemd/random-seed /etc/hostname /var/lib/dbus/machine-id",
    ": >/etc/machine-id",
    # What the making leaves behind: lists, caches, logs with the time of day in them.
    "rm -rf /etc/apt/sources.list /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache",
    "rm -f /var/log/*.log /var/log/apt/* /etc/*- /var/lib/dpkg/*-old; find / -xdev -name __pycache__ -prune -exec rm -rf {} +",
    f"{BYTECODE} /usr/lib/python3*",
    "ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf",
)


def plain(tree: Path) -> None:
    """Gives a tree that is handed in the modes of an image: whoever builds may have any umask."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
