"""The key that signs an image where the builder names none: this account's own, made at the first build.

It says that an image came from where others came from that it signed. Who receives one gets the public line from whoever
built it, by another way than the image.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from paver import own_files
from paver.errors import unwritten
from paver.lab import cache
from paver.signing import ssh
from paver.trust import ssh_keys

NAME = "image-key"


def place() -> Path:
    """Returns where it lies; its public line is beside it, as `….pub`."""
    return cache.base("XDG_CONFIG_HOME", ".config") / "paver" / NAME


def provided() -> Path:
    """Returns the key's file, which is made if there is none (mode 0600, in a folder of 0700 if that is new).

    Raises:
        PaverError: it can't be written.
    """
    path = place()
    try:
        own_files.folder(path.parent)
        if not path.exists():
            _make(path)
        public = path.with_name(f"{path.name}.pub")
        if not public.exists():
            public.write_text(ssh.public(path.read_text()) + "\n")
    except OSError as error:
        raise unwritten(
            error, f"no key to sign images with could be made at {path}", do="name one by --sign KEY"
        ) from error
    return path


def _make(path: Path) -> None:
    """Puts a whole key there, unless somebody else just did: theirs stays."""
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(ssh_keys.new_key_pair().private_key.reveal())
            file.flush()
            os.fsync(handle)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()
