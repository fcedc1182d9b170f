"""What the stemcell and the releases that go to the director say of themselves, in `stemcell.MF` and `release.MF`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from paver.driver import BadInput

UPLOADED = ("bosh-dns", "minio", "docker-registry")
"""The releases that paver uploads to the director."""
_READING = 120.0
_OLD_NGINX = frozenset(
    {
        "54b1763048cce7bf0b87bc9a449e01452bc8025376122b7d7159c59b62626376",
        "d416a346de08db82db9a17db625da546ab20fece",
        "ee8aa5431e12bd480b56831d2b3a3c71fbc74ac0",
    }
)
"""The fingerprints of all that docker-registry-boshrelease ever had as its package nginx (.final_builds/packages/nginx)."""
_OLD_COMPILERS = frozenset({"ubuntu-trusty", "ubuntu-xenial"})


def told(data: bytes) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yields of what goes to the director file, its own manifest's name, and what the artefact's says that stands there."""
    manifest = json.loads(data)
    stemcell, releases = manifest["stemcell"], manifest["releases"]
    known = {"name": stemcell["name"], "version": stemcell["version"], "operating_system": stemcell["os"]}
    yield str(stemcell["file"]), "stemcell.MF", known
    for name in UPLOADED:
        if (release := releases.get(name, {})).get("file"):
            version = str(release.get("version", ""))
            yield str(release["file"]), "release.MF", {"name": name, "version": version}


def agreed(machine: Any, path: PurePosixPath, member: str, known: Mapping[str, str]) -> dict[str, Any]:
    """Returns a tarball's own manifest, which is what the artefact's calls it: a director knows it by its own words alone.

    Raises:
        BadInput: it is something else.
    """
    argv = ["tar", "--extract", "--gzip", "--to-stdout", "--occurrence=1", "--wildcards"]
    ran = machine.run([*argv, "--file", str(path), f"*{member}"], timeout=_READING, check=False)
    found: Any = None
    try:
        # Whatever looks like a number: versions are text.
        found = yaml.load(ran.out, Loader=yaml.BaseLoader)  # noqa: S506 (it makes text, lists and maps only)
        says = {key: str(found[key]) for key in known}
    except (yaml.YAMLError, KeyError, TypeError):
        says = {}
    if says != known or not isinstance(found, dict):
        raise BadInput(
            f"{path.name} in BUCC's artefact is not what its manifest says",
            seen=f"manifest.json: {_words(known)}\n{member}: {_words(says) or 'not to be read'}",
            why="the director would know it by other words, and it would be looked for in vain",
            do="correct manifest.json; docs/reference/bucc-artefact.md says what is in one",
        )
    return found


def compiles(release: Mapping[str, Any], system: str, deploys: Collection[str]) -> None:
    """Does nothing if a release can be compiled on a stemcell, as far as that is known beforehand.

    The public docker-registry, up to its last version 3.5.2, brings nginx 1.10.1 or an older one, which is compiled with
    `-Werror`: gcc from 7 on says "this statement may fall through" (src/core/ngx_murmurhash.c, until nginx 1.13.1), and
    libxcrypt has no `current_salt` (src/os/unix/ngx_user.c, until 1.15.0).

    Args:
        release: its release.MF; what is compiled already stands there as `compiled_packages`.
        system: the stemcell's operating system, as `ubuntu-noble`.
        deploys: the releases that the site deploys.

    Raises:
        BadInput: it cannot.
    """
    packages = release.get("packages") or []
    old = any(isinstance(one, dict) and one.get("fingerprint") in _OLD_NGINX for one in packages)
    if not old or release["name"] not in deploys or system in _OLD_COMPILERS:
        return
    raise BadInput(
        f"the release {release['name']}/{release['version']} in BUCC's artefact cannot be compiled on its stemcell",
        seen=f"release.MF has packages, not compiled_packages; the stemcell is {system}",
        why="its nginx, 1.10.1 or older, is none that the compiler and the libcrypt of ubuntu-bionic and later take",
        do="make that release anew with an nginx from 1.15.0 on, under a version of your own; "
        "docs/reference/bucc-artefact.md says how",
    )


def _words(known: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in known.items())
