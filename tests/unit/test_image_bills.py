"""Bills for others' tools: what they say of packages, licences and modules, and that they are made up of nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from paver.errors import BadInput
from paver.image import go_program, licences, published, sbom
from tests.support import small_image
from tests.support.small_image import GRAIN


def documents(folder: Path) -> dict[str, Any]:
    made = small_image.image(folder, b"\x01" * GRAIN)
    return {
        what: json.loads(published.beside(made.ova, what).read_text())
        for what in ("cdx", "spdx", "provenance")
    }


def test_cyclonedx_names_each_package_by_its_url_digest_and_licence(tmp_path: Path) -> None:
    document = documents(tmp_path / "a")["cdx"]
    found = {each["name"]: each for each in document["components"]}
    assert found["bash"]["purl"] == "pkg:deb/debian/bash@5.2.37-2%2Bb10?arch=amd64&distro=trixie"
    assert found["libstdc++6"]["purl"] == "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19?arch=amd64&distro=trixie"
    assert found["some_thing"]["purl"] == "pkg:pypi/some-thing@2.0"
    assert found["bash"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    # The folder of the second in usr/share/doc is a link to the first one's.
    for name in ("bash", "libstdc++6"):
        assert found[name]["licenses"] == [{"expression": "GPL-3.0-or-later AND (MIT OR BSD-3-Clause)"}]
    assert found["odd"]["licenses"] == [{"license": {"name": "do-as-you-like"}}]
    assert found["tool"]["version"] == "v1.2.3"
    assert [each["name"] for each in found["tool"]["components"]] == ["github.com/one/tool", "paver.lab/tool"]
    references = [each["bom-ref"] for each in document["components"]]
    assert document["dependencies"] == [{"dependsOn": sorted(references), "ref": "paver-jumpbox"}]


def test_spdx_relates_the_image_to_its_packages_and_programs_to_their_modules(tmp_path: Path) -> None:
    document = documents(tmp_path / "a")["spdx"]
    names = {each["SPDXID"]: each["name"] for each in document["packages"]}
    assert len(names) == len(document["packages"]) == 8
    related = {
        (
            names.get(each["spdxElementId"], "the document"),
            each["relationshipType"],
            names[each["relatedSpdxElement"]],
        )
        for each in document["relationships"]
    }
    assert ("the document", "DESCRIBES", "paver-jumpbox") in related
    assert ("paver-jumpbox", "CONTAINS", "libstdc++6") in related
    assert ("tool", "STATIC_LINK", "github.com/one/tool") in related
    declared = {each["name"]: each for each in document["packages"]}
    # Its JSON schema writes with an underscore what the specification's text writes with a hyphen.
    assert declared["paver-jumpbox"]["primaryPackagePurpose"] == "OPERATING_SYSTEM"
    assert declared["some_thing"]["licenseDeclared"] == "MIT"
    assert declared["odd"]["licenseDeclared"] == "NOASSERTION"
    assert "do-as-you-like" in declared["odd"]["licenseComments"]
    assert document["creationInfo"]["created"] == "2025-11-27T00:00:00Z"


def test_provenance_names_what_was_made_and_all_that_went_in(tmp_path: Path) -> None:
    document = documents(tmp_path / "a")["provenance"]
    assert [each["name"] for each in document["subject"]] == [
        "paver-jumpbox-1.0.ova",
        "paver-jumpbox-1.0/paver-jumpbox-disk1.vmdk",
        "paver-jumpbox-1.0/paver-jumpbox.mf",
        "paver-jumpbox-1.0/paver-jumpbox.ovf",
    ]
    definition = document["predicate"]["buildDefinition"]
    used = definition["resolvedDependencies"]
    assert [each["name"] for each in used] == [
        "ova/debs.lock",
        "bash",
        "libstdc++6",
        "odd",
        "tool",
        "some_thing",
    ]
    assert all(len(each["digest"]["sha256"]) == 64 for each in used)
    assert definition["externalParameters"]["capacity"] == 64 * GRAIN


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("GPL-2+",), "GPL-2.0-or-later"),
        (("LGPL-2.1", "Expat"), "LGPL-2.1-only AND MIT"),
        (("GPL-1+ or Artistic",), "GPL-1.0-or-later OR Artistic-1.0-Perl"),
        (("GPL-1+ or Artistic", "ISC"), "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND ISC"),
        (("Apache-2.0 OR BSD-3-Clause",), "Apache-2.0 OR BSD-3-Clause"),
        (("Expat", "GPL-2+ with Autoconf exception"), ""),
        (("GPL-2+ or Artistic, and Expat",), ""),
        (("Expat and GPL-2 or ISC",), ""),
        (("GFDL-1.3+",), ""),
        ((), ""),
    ],
)
def test_only_licences_that_are_plain_become_an_expression(words: tuple[str, ...], expected: str) -> None:
    assert licences.expression(words) == expected


def test_a_module_that_stands_in_for_another_is_the_one_that_is_named(tmp_path: Path) -> None:
    text = "path\tx/y/cmd\nmod\tx/y\tv1.0.0\th1:a=\ndep\ta/b\tv1.0.0\th1:b=\n=>\tc/d\tv2.0.0\th1:c=\n"
    (tmp_path / "tool").write_bytes(small_image.go_program(text))
    found = go_program.read(tmp_path / "tool")
    assert found.version == "v1.0.0"
    assert [each.path for each in found.modules] == ["c/d", "x/y"]


@pytest.mark.parametrize(
    "data", [b"#!/bin/sh\n", b"\xff Go buildinf:\x08\x02", b"\xff Go buildinf:\x08\x00" + bytes(64)]
)
def test_a_program_that_does_not_say_how_it_was_built_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tool").write_bytes(data)
    with pytest.raises(BadInput):
        go_program.read(tmp_path / "tool")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"bomFormat": "CycloneDX"}',
        b'{"spdxVersion": "SPDX-2.3", "packages": [{}]}',
        b"[" * 9999,
    ],
)
def test_what_is_no_bill_of_an_image_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        sbom.items(data, "x.json")
