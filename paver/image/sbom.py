"""An image's bill in the forms that others' tools read: CycloneDX 1.6 and SPDX 2.3, both JSON. Pure.

Both say what the bill says, and add what is known beside it: licences as the packages themselves write them, and the
modules that each Go program was built from. No time or number is made up: the same image has the same bytes here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
import urllib.parse
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from paver.errors import BadInput
from paver.image import licences
from paver.image.bill import Bill, Item
from paver.image.go_program import Module

NAME = "paver-jumpbox"
_NAMESPACE = uuid.UUID("0b6c9c0f-0b0a-5b1e-8a5c-3f6a0c4d9d11")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Details:
    """What is known beside the bill.

    Attributes:
        suite: Debian's name for the release.
        architectures: of the Debian packages, by name.
        licences: in the packages' own words, by (kind, name) of the item.
        modules: of the Go programs, by name.
        epoch: seconds since 1970, the documents' date.
    """

    suite: str
    architectures: Mapping[str, str]
    licences: Mapping[tuple[str, str], tuple[str, ...]]
    modules: Mapping[str, tuple[Module, ...]]
    epoch: int


def purl(item: Item, details: Details) -> str:
    """Returns the package URL of an item, empty for a program."""
    name, version = _quoted(item.name), _quoted(item.version)
    if item.kind == "deb":
        arch = details.architectures.get(item.name, "")
        return f"pkg:deb/debian/{name}@{version}?arch={arch}&distro={details.suite}"
    if item.kind == "wheel":
        return f"pkg:pypi/{item.name.lower().replace('_', '-')}@{version}"
    return ""


def cyclonedx(bill: Bill, details: Details) -> bytes:
    """Returns the bill as CycloneDX 1.6."""
    components = [_component(item, details) for item in bill.items]
    image = {
        "bom-ref": NAME,
        "hashes": [_sha256(bill.disk_sha256)],
        "name": NAME,
        "type": "operating-system",
        "version": bill.version,
    }
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "components": components,
        "dependencies": [{"dependsOn": sorted(each["bom-ref"] for each in components), "ref": NAME}],
        "metadata": {
            "component": image,
            "timestamp": _date(details),
            "tools": {"components": [{"name": "paver", "type": "application", "version": bill.version}]},
        },
        "serialNumber": f"urn:uuid:{_id(bill)}",
        "specVersion": "1.6",
        "version": 1,
    }
    return _dumps(document)


def spdx(bill: Bill, details: Details) -> bytes:
    """Returns the bill as SPDX 2.3."""
    image = _package(NAME, bill.version, "SPDXRef-image", bill.disk_sha256) | {
        "primaryPackagePurpose": "OPERATING_SYSTEM"
    }
    packages, relations = [image], [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image")]
    linked: dict[Module, str] = {}
    for item in bill.items:
        ref = f"SPDXRef-{item.kind}-{_slug(item.name)}"
        packages.append(_package(item.name, item.version, ref, item.sha256) | _known(item, details))
        relations.append(_relation("SPDXRef-image", "CONTAINS", ref))
        for module in details.modules.get(item.name, ()) if item.kind == "program" else ():
            to = linked.setdefault(module, f"SPDXRef-go-{len(linked) + 1}")
            relations.append(_relation(ref, "STATIC_LINK", to))
    packages += [_package(each.path, each.version, ref) | _go(each) for each, ref in linked.items()]
    document = {
        "SPDXID": "SPDXRef-DOCUMENT",
        "creationInfo": {"created": _date(details), "creators": [f"Tool: paver-{bill.version}"]},
        "dataLicense": "CC0-1.0",
        "documentNamespace": f"https://spdx.org/spdxdocs/{NAME}-{bill.version}-{_id(bill)}",
        "name": f"{NAME}-{bill.version}",
        "packages": packages,
        "relationships": relations,
        "spdxVersion": "SPDX-2.3",
    }
    return _dumps(document)


def items(data: bytes, name: str) -> tuple[str, frozenset[tuple[str, str, str]]]:
    """Returns the disk's SHA-256 and (name, version, SHA-256) of what a bill in one of the two forms lists in it.

    Args:
        data: the document.
        name: stands for it in errors.

    Raises:
        BadInput: it is none of the two, or lists something without these three.
    """
    document = _loads(data, name)
    try:
        if document.get("bomFormat") == "CycloneDX":
            rows = list(document["components"])
            image = document["metadata"]["component"]
            return _one_sha256(image["hashes"], "alg", "SHA-256", "content"), frozenset(
                (
                    str(row["name"]),
                    str(row["version"]),
                    _one_sha256(row["hashes"], "alg", "SHA-256", "content"),
                )
                for row in rows
            )
        if document.get("spdxVersion") == "SPDX-2.3":
            packages = {str(each["SPDXID"]): each for each in document["packages"]}
            held = [
                packages[each["relatedSpdxElement"]]
                for each in document["relationships"]
                if each["relationshipType"] == "CONTAINS"
            ]
            image = packages["SPDXRef-image"]
            return _one_sha256(image["checksums"], "algorithm", "SHA256", "checksumValue"), frozenset(
                (
                    str(row["name"]),
                    str(row["versionInfo"]),
                    _one_sha256(row["checksums"], "algorithm", "SHA256", "checksumValue"),
                )
                for row in held
            )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise BadInput(
            f"{name} lacks what an image's bill has", seen=f"{type(error).__name__}: {error}"
        ) from error
    raise BadInput(f"{name} is neither CycloneDX nor SPDX 2.3")


def _component(item: Item, details: Details) -> dict[str, Any]:
    url = purl(item, details)
    found: dict[str, Any] = {
        "bom-ref": url or f"program/{item.name}",
        "hashes": [_sha256(item.sha256)],
        "name": item.name,
        "type": "application" if item.kind == "program" else "library",
        "version": item.version,
    }
    if url:
        found["purl"] = url
    if named := details.licences.get((item.kind, item.name)):
        found["licenses"] = list(_cyclonedx_licences(named))
    if modules := details.modules.get(item.name, ()) if item.kind == "program" else ():
        found["components"] = [_go_component(item.name, each) for each in modules]
    return found


def _cyclonedx_licences(named: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yields one expression, or else each licence by its id or by the name that the package gives it."""
    if found := licences.expression(named):
        yield {"license": {"id": found}} if " " not in found else {"expression": found}
        return
    for name in named:
        id_ = licences.spdx(name)
        yield {"license": {"id": id_} if id_ else {"name": name}}


def _go_component(program: str, module: Module) -> dict[str, Any]:
    found: dict[str, Any] = {
        "bom-ref": f"program/{program}/{module.path}",
        "name": module.path,
        "type": "library",
        "version": module.version,
    }
    if module.sum:
        found["purl"] = _go_purl(module)
        found["properties"] = [{"name": "paver:go.sum", "value": module.sum}]
    return found


def _package(name: str, version: str, ref: str, sha256: str = "") -> dict[str, Any]:
    sums = {"checksums": [{"algorithm": "SHA256", "checksumValue": sha256}]} if sha256 else {}
    return {
        "SPDXID": ref,
        "copyrightText": "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "name": name,
        "versionInfo": version,
        **sums,
    }


def _known(item: Item, details: Details) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if url := purl(item, details):
        found["externalRefs"] = [_purl_reference(url)]
    named = details.licences.get((item.kind, item.name), ())
    if declared := licences.expression(named):
        found["licenseDeclared"] = declared
    elif named:
        found["licenseComments"] = f"The package names: {'; '.join(named)}"
    return found


def _go(module: Module) -> dict[str, Any]:
    if not module.sum:
        return {}
    return {"comment": f"go.sum: {module.sum}", "externalRefs": [_purl_reference(_go_purl(module))]}


def _purl_reference(url: str) -> dict[str, str]:
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceLocator": url, "referenceType": "purl"}


def _go_purl(module: Module) -> str:
    return f"pkg:golang/{urllib.parse.quote(module.path.lower(), safe='/')}@{_quoted(module.version)}"


def _relation(of: str, kind: str, to: str) -> dict[str, str]:
    return {"relatedSpdxElement": to, "relationshipType": kind, "spdxElementId": of}


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _one_sha256(rows: Iterable[Mapping[str, Any]], key: str, name: str, value: str) -> str:
    return [str(row[value]) for row in rows if row[key] == name][0]  # noqa: RUF015 - none is an IndexError, as elsewhere


def _id(bill: Bill) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, f"{bill.version} {bill.disk_sha256}")


def _date(details: Details) -> str:
    return dt.datetime.fromtimestamp(details.epoch, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe=":")


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", name.replace("+", "-plus"))


def _dumps(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _loads(data: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not JSON") from error
    if not isinstance(document, dict):
        raise BadInput(f"{name} is no bill of an image")
    return document
