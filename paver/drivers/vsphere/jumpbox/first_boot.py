"""How the jumpbox is told of its first boot by vSphere: guestinfo, as cloud-init's DataSourceVMware reads it. Pure."""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import zlib
from collections.abc import Mapping

from paver.driver import BadInput
from paver.machine import first_boot
from paver.machine.first_boot import FirstBoot

LARGEST = 60_000
"""Bytes that one value may have; the VMX takes about 64 KiB."""

METADATA = "guestinfo.metadata"
USERDATA = "guestinfo.userdata"
_ENCODING = "gzip+base64"


def mac_of(site: str, machine: str) -> str:
    """Returns the address of a machine's card: always the same, in the range that VMware leaves for manual ones.

    A card is told by its MAC address, since its name depends on the slot that the host chooses.
    """
    number = int.from_bytes(hashlib.sha256(f"paver/{site}/{machine}".encode()).digest()[:3], "big") & 0x3FFFFF
    digits = f"{number:06x}"
    return f"00:50:56:{digits[:2]}:{digits[2:4]}:{digits[4:]}"


def guestinfo(wish: FirstBoot) -> dict[str, str]:
    """Returns the VM's extraConfig.

    Raises:
        BadInput: if it does not fit.
    """
    found: dict[str, str] = {}
    for key, text in ((METADATA, first_boot.metadata(wish)), (USERDATA, first_boot.userdata(wish))):
        value = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
        if len(value) > LARGEST:
            raise BadInput(
                f"the first-boot data of {wish.hostname} does not fit into {key}",
                seen=f"{len(value)} bytes, {LARGEST} at most",
                do="give fewer keys under jumpbox.ssh_keys",
            )
        found |= {key: value, f"{key}.encoding": _ENCODING}
    return found


def read(extra: Mapping[str, str]) -> FirstBoot | None:
    """Returns what stands in a VM's extraConfig; None where it was not written by paver."""
    try:
        return first_boot.read(decoded(extra[METADATA]), decoded(extra[USERDATA]))
    except (KeyError, ValueError, TypeError, OSError, EOFError, zlib.error):
        return None


def decoded(value: str) -> str:
    """Returns a value of `guestinfo` as text.

    Raises:
        ValueError: it is not gzip in base64, or not text.
        OSError: likewise.
    """
    try:
        return gzip.decompress(base64.b64decode(value, validate=True)).decode()
    except binascii.Error as error:
        raise ValueError(str(error)) from error
