"""OVF descriptors that paver writes, held to DMTF's own schema (DSP8023) by xmllint.

    python -m tests.image.ovf_schema FOLDER [OVA…]

DMTF asks programs not to fetch its schemas, so they are no part of this tree, and nobody fetches them here: FOLDER has to have
DSP8023's, and those that it imports (`common.xsd`, `CIM_VirtualSystemSettingData.xsd`,
`CIM_ResourceAllocationSettingData.xsd`, W3C's `xml.xsd`), under any names. Without an OVA a small image's descriptor is
held to them. One whose elements are not in order is held to them as well, and has to be refused.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.sax import saxutils

from paver.ovf.ova import Ova
from tests.support import small_image, tools

_CIM = "http://schemas.dmtf.org/wbem/wscim/1"
NAMESPACES = (
    "http://www.w3.org/XML/1998/namespace",
    f"{_CIM}/common",
    f"{_CIM}/cim-schema/2/CIM_VirtualSystemSettingData",
    f"{_CIM}/cim-schema/2/CIM_ResourceAllocationSettingData",
    "http://schemas.dmtf.org/ovf/envelope/1",
)
"""In an order in which each is known before it is used."""
_TARGET = re.compile(rb"""targetNamespace\s*=\s*["']([^"']+)["']""")
_FIRST, _SECOND = (
    b"<rasd:AddressOnParent>0</rasd:AddressOnParent>",
    b"<rasd:ElementName>Hard disk 1</rasd:ElementName>",
)


def main() -> int:
    """Holds them to it, and returns the exit code."""
    folder, *files = (Path(word) for word in sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="paver-schema-") as scratch:
        within = Path(scratch)
        schema = within / "all.xsd"
        schema.write_text(_all(folder.absolute()))
        ovas = files or [small_image.image(within / "image", b"content" * 9000).ova]
        wrong = [str(ova) for ova in ovas if not _valid(schema, _descriptor(ova), within, ova.name)]
        good = _descriptor(ovas[0])
        disordered = re.sub(
            re.escape(_FIRST) + rb"(\s*)" + re.escape(_SECOND), _SECOND + rb"\1" + _FIRST, good
        )
        if disordered == good or _valid(schema, disordered, within, "one whose elements are not in order"):
            wrong.append("the schema itself, which takes what is not in order")
    sys.stdout.write(f"not as the schema wants: {', '.join(wrong)}\n" if wrong else "as the schema wants\n")
    return bool(wrong)


def _all(folder: Path) -> str:
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.xsd")):
        if target := _TARGET.search(path.read_bytes()):
            found.setdefault(target[1].decode(), path)
    missing = [name for name in NAMESPACES if name not in found]
    if missing:
        raise SystemExit(f"{folder} has no schema of {', '.join(missing)}")
    imports = "".join(
        f"<xs:import namespace={saxutils.quoteattr(name)} schemaLocation={saxutils.quoteattr(found[name].as_uri())}/>"
        for name in NAMESPACES
    )
    return f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'


def _descriptor(ova: Path) -> bytes:
    with Ova(ova) as opened:
        return opened.member(opened.members[0].name).read()


def _valid(schema: Path, descriptor: bytes, within: Path, name: str) -> bool:
    file = within / "descriptor.ovf"
    file.write_bytes(descriptor)
    program = str(tools.program("xmllint", "libxml2-utils"))
    done = subprocess.run(
        [program, "--nonet", "--noout", "--schema", str(schema), str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    # 3 and 4 are what it ends with where a document is not as its schema wants; anything else is no answer.
    if done.returncode not in {0, 3, 4}:
        raise SystemExit(f"xmllint ended with {done.returncode}: {done.stderr.strip()[:1000]}")
    sys.stdout.write(f"{name}: {done.stderr.strip().splitlines()[-1].rpartition('/')[2]}\n")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
