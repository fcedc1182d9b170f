"""guestinfo: what the hypervisor tells this machine, and what the machine tells it. By open-vm-tools' own program."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from pathlib import Path

from paver.appliance import handed
from paver.errors import PaverError
from paver.signing import public_line

METADATA, USERDATA, VENDORDATA = "metadata", "userdata", "vendordata"
HOST_KEYS = public_line.PUBLISHED.removeprefix("guestinfo.")
"""Where the machine's public host keys are published."""

SITE, SEALED = "paver.site", "paver.sealed"
"""A site file and its sealed store, as `paver-bootstrap` takes them."""

_OF_METADATA = frozenset({"instance-id", "local-hostname", "network"})
_OF_USERDATA = frozenset({"hostname", "fqdn", "users", "disable_root", "ssh_pwauth"})
_OF_A_USER = frozenset({"name", "gecos", "shell", "sudo", "lock_passwd", "ssh_authorized_keys"})
"""All that paver writes; see `paver.machine.first_boot`."""

CLEARED = "---"
"""What stands in a value that was used, as cloud-init leaves it."""

LARGEST = 8 * 2**20
_GZIP, _BASE64 = ("gzip+base64", "gz+b64"), ("base64", "b64")


class Guestinfo:
    """The values of this machine.

    Args:
        root: where its file system begins.
        run: runs a command.
    """

    def __init__(self, root: Path, run: Callable[..., str]) -> None:
        self._root, self._run = root, run

    def there(self) -> bool:
        """Tells whether the hypervisor is one that has guestinfo."""
        try:
            return (self._root / "sys/class/dmi/id/sys_vendor").read_text().startswith("VMware")
        except OSError:
            return False

    def get(self, key: str) -> str:
        """Returns the value of `guestinfo.KEY` as it is stored; nothing where there is none."""
        try:
            found = self._run("vmware-rpctool", f"info-get guestinfo.{key}").removesuffix("\n")
        except PaverError:
            # `No value found`, exit code 1.
            return ""
        return "" if found.strip() in {"", CLEARED} else found

    def text(self, key: str) -> str:
        """Returns the value of `guestinfo.KEY` decoded as `guestinfo.KEY.encoding` says.

        Raises:
            PaverError: it is not what that says.
        """
        value = self.get(key)
        return decode(key, value, self.get(f"{key}.encoding")) if value else ""

    def put(self, key: str, value: str) -> None:
        """Sets `guestinfo.KEY`.

        Raises:
            PaverError: the hypervisor refuses.
        """
        self._run("vmware-rpctool", f"info-set guestinfo.{key} {value}")

    def clear(self, key: str) -> None:
        """Takes what was used out of the VM's settings, where anybody who may read the VM could read it."""
        if self.get(key):
            self.put(key, CLEARED)
            self.put(f"{key}.encoding", " ")


def decode(key: str, value: str, encoding: str) -> str:
    """Returns a value as text.

    Raises:
        PaverError: it is not what its encoding says, or not text.
    """
    encoding = encoding.strip()
    if not encoding:
        return value
    try:
        if encoding not in (*_GZIP, *_BASE64):
            raise PaverError(
                f"guestinfo.{key}.encoding: {encoding} is no encoding",
                do="gzip+base64, base64, or leave it out",
            )
        raw = base64.b64decode(value, validate=True)
        if encoding in _GZIP:
            inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            raw = inflate.decompress(raw, LARGEST)
            if not inflate.eof:
                raise PaverError(f"guestinfo.{key}: it is cut, or larger than {LARGEST >> 20} MiB")
        return raw.decode()
    except (ValueError, zlib.error) as error:
        raise PaverError(f"guestinfo.{key}: it is not {encoding}", why=str(error)) from error


def wrong(info: Guestinfo) -> list[str]:
    """Returns what is wrong with the first-boot data, each by its key; cloud-init would pass over it in silence."""
    said = []
    for key in (METADATA, USERDATA):
        try:
            found = info.text(key)
            if key == METADATA or found.startswith("#cloud-config"):
                if found:
                    handed.mapping(found, f"guestinfo.{key}")
            elif found and not found.startswith("#"):
                said.append(f"guestinfo.{key}: its first line is not #cloud-config")
        except PaverError as error:
            said.append(f"{error.what}{f': {error.why}' if error.why else ''}")
    return said


def of_paver(info: Guestinfo) -> bool:
    """Tells whether paver itself wrote the first-boot data: no secret is in that, and it is what paver compares with.

    Told by the whole of it: what has anything more in it was changed by somebody, and may hold a password.
    """
    try:
        metadata = handed.mapping(info.text(METADATA), METADATA)
        userdata = handed.mapping(info.text(USERDATA), USERDATA)
    except PaverError:
        return False
    users = userdata.get("users")
    return (
        str(metadata.get("instance-id", "")).startswith("paver-")
        and metadata.keys() <= _OF_METADATA
        and userdata.keys() <= _OF_USERDATA
        and isinstance(users, list)
        and all(isinstance(user, dict) and user.keys() <= _OF_A_USER for user in users)
    )


def clean(info: Guestinfo) -> None:
    """Takes the first-boot data of others out of the VM's settings; paver's own stays.

    Raises:
        PaverError: the hypervisor refuses.
    """
    if info.get(USERDATA) and not of_paver(info):
        info.clear(USERDATA)
    info.clear(VENDORDATA)
