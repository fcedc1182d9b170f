"""An image as the build publishes it, of a few kilobytes: disk, packages, a wheel and a Go program made up for it.

Its root file system is `small_root.ext4.gz`, which `small_root.sh` makes.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import gzip
import io
import struct
import tarfile
import uuid
import zipfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import NameOID

from paver.image import publish
from paver.image.lock import Deb, Lock
from paver.ovf import vmdk_layout

GRAIN = vmdk_layout.GRAIN
AT = 8 * GRAIN
"""Where on the disk of an image stands what a test wants there: behind the root file system."""

EPOCH = 1_764_201_600
DEBS = (
    Deb(name="bash", version="5.2.37-2+b10", architecture="amd64", sha256="a" * 64, size=1),
    Deb(name="libstdc++6", version="1:14.2.0-19", architecture="amd64", sha256="b" * 64, size=2),
    Deb(name="odd", version="1.0~rc1", architecture="all", sha256="c" * 64, size=3),
)
COPYRIGHTS = {
    "bash": "Format: https://…/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-3+\n\nFiles: x\nLicense: Expat or BSD-3-clause\n",
    "odd": "Format: https://…/copyright-format/1.0/\n\nFiles: *\nLicense: do-as-you-like\n",
}
MODULES = "path\tgithub.com/one/tool/cmd/tool\nmod\tpaver.lab/tool\t(devel)\t\ndep\tgithub.com/one/tool\tv1.2.3\th1:abc=\n"


@functools.cache
def root() -> bytes:
    """Returns the first `AT` bytes of a disk: a GPT with one partition, in which the root file system is."""
    system = gzip.decompress((Path(__file__).parent / "small_root.ext4.gz").read_bytes())
    kind = uuid.UUID("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709").bytes_le
    first, last = GRAIN // 512, (GRAIN + len(system)) // 512 - 1
    header = b"EFI PART" + bytes(64) + struct.pack("<QII", 2, 4, 128)
    rows = bytes(128) + kind + bytes(16) + struct.pack("<QQ", first, last)
    start = (bytes(512) + header.ljust(512, b"\0") + rows).ljust(GRAIN, b"\0")
    return (start + system).ljust(AT, b"\0")


@dataclasses.dataclass(frozen=True)
class Image:
    """An OVA with what lies beside it, and the key that signed it."""

    ova: Path
    key: str


def go_program(modules: str = MODULES) -> bytes:
    """Returns bytes that say what a Go program's linker wrote into it, the way it writes it."""
    text = b"<" * 16 + modules.encode() + b">" * 16
    return bytes(64) + b"\xff Go buildinf:\x08\x02" + bytes(16) + _varint(b"go1.26.8") + _varint(text)


def wheel(name: str, version: str, licence: str) -> bytes:
    """Returns a wheel with nothing but its metadata."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        text = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: {licence}\n"
        archive.writestr(zipfile.ZipInfo(f"{name}-{version}.dist-info/METADATA"), text)
    return held.getvalue()


def parts(folder: Path, disk: bytes, *, modules: str = MODULES) -> publish.Parts:
    """Returns the parts of an image, in `folder`."""
    for name in ("wheels", "programs"):
        (folder / name).mkdir(parents=True)
    (folder / "disk.raw").write_bytes(root() + disk)
    (folder / "wheels" / "some_thing-2.0-py3-none-any.whl").write_bytes(wheel("some_thing", "2.0", "MIT"))
    (folder / "programs" / "tool").write_bytes(go_program(modules))
    with tarfile.open(folder / "root.tar", "w") as archive:
        for name, text in COPYRIGHTS.items():
            info = tarfile.TarInfo(f"./usr/share/doc/{name}/copyright")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("./usr/share/doc/libstdc++6")
        link.type, link.linkname = tarfile.SYMTYPE, "bash"
        archive.addfile(link)
    return publish.Parts(
        disk=folder / "disk.raw",
        root=folder / "root.tar",
        wheels=folder / "wheels",
        programs=folder / "programs",
        lock=Lock(suite="trixie", content="0" * 64, epoch=EPOCH, debs=DEBS),
        inputs={"ova/debs.lock": "d" * 64},
    )


def image(
    folder: Path, disk: bytes, *, version: str = "1.0", modules: str = MODULES, certify: Path | None = None
) -> Image:
    """Publishes an image with `disk` behind its root file system in `folder`, signed by a key of its own."""
    folder.mkdir()
    made = parts(folder / "parts", disk, modules=modules)
    secret = ed25519.Ed25519PrivateKey.generate()
    key = folder / "key"
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    public = secret.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    machine = publish.Machine(capacity=64 * GRAIN, memory_mb=512, cpus=1)
    done = publish.publish(folder / "out", version, machine, made, sign=key, certify=certify)
    return Image(done.files["ova"], public.decode())


def publisher(folder: Path, name: str = "Publisher") -> tuple[Path, Path]:
    """Returns a file with an RSA key and its certificate, and one with the certificate alone."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both, alone = folder / f"{name}.pem", folder / f"{name}.crt"
    both.write_bytes(secret + certificate)
    alone.write_bytes(certificate)
    return both, alone


def _varint(data: bytes) -> bytes:
    size, out = len(data), b""
    while size > 127:
        out += bytes([size & 127 | 128])
        size >>= 7
    return out + bytes([size]) + data
