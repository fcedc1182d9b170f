"""The programs that make the disk, taken out of the image's own tar: the same ones on every machine that builds.

They run by the image's own loader and libraries, without a chroot, as whoever builds.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from paver.errors import PaverError

_WANTED = (
    "usr/bin/mcopy",
    "usr/bin/mmd",
    "usr/bin/mtools",
    "usr/bin/grub-",
    "usr/sbin/",
    "usr/lib/grub/",
    "usr/lib64/",
)
_LIBRARIES = "usr/lib/x86_64-linux-gnu/"
_LOADER = Path("usr/lib64/ld-linux-x86-64.so.2")


class Tools:
    """The image's programs, unpacked into `folder`.

    Args:
        folder: an empty folder.
        root: the image's tar.
        epoch: seconds since 1970, the date that the programs shall believe.
    """

    def __init__(self, folder: Path, root: Path, epoch: int) -> None:
        self.folder = folder
        self._epoch = epoch
        with tarfile.open(root) as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(folder, members=_chosen(archive))  # noqa: S202 - the filter above

    def run(self, program: str, *argv: str, given: Mapping[str, str] | None = None, stdin: str = "") -> str:
        """Runs `program`, a path in the image, and returns what it printed.

        Raises:
            PaverError: it failed.
        """
        folder = self.folder
        loader = folder / _LOADER
        command: Sequence[str] = [
            str(loader if loader.exists() else folder / _LIBRARIES / _LOADER.name),
            "--library-path",
            str(folder / _LIBRARIES),
            str(folder / program),
            *argv,
        ]
        environment = {
            "LC_ALL": "C.UTF-8",
            "PATH": f"{folder / 'usr/bin'}:{folder / 'usr/sbin'}",
            "SOURCE_DATE_EPOCH": str(self._epoch),
            "TZ": "UTC",
            **(given or {}),
        }
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            input=stdin,
            errors="replace",
        )
        if done.returncode:
            raise PaverError(
                f"{os.path.basename(program)} of the image failed",  # noqa: PTH119
                seen=(done.stderr or done.stdout).strip()[-1500:],
                why=f"it ended with {done.returncode}",
            )
        return done.stdout


def _chosen(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        name = member.name.removeprefix("./")
        library = name.startswith(_LIBRARIES) and (".so" in name) and name.count("/") == _LIBRARIES.count("/")
        plain = member.isfile() or member.islnk() or (member.issym() and not member.linkname.startswith("/"))
        if plain and (library or name.startswith(_WANTED)):
            yield member
