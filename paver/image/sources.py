"""What of paver's source tree decides what an image is."""

from __future__ import annotations

from pathlib import Path

from paver.image import ansible, base, content, lock, payload, provision, published, stages

PARTS = ("ova", "packer", "paver", "playbooks")
"""The folders that a build reads; of the files beside them any may be a part of paver's own package."""


def digests(source: Path) -> dict[str, str]:
    """Returns SHA-256 by name of what decides what an image is, as its provenance has them."""
    return {
        lock.FILE.as_posix(): published.digest(source / lock.FILE),
        content.FILE.as_posix(): published.digest(source / content.FILE),
        ansible.LOCK.as_posix(): published.digest(source / ansible.LOCK),
        f"{base.FILES.as_posix()}/": stages.tree(source / base.FILES),
        **{f"{part.as_posix()}/": stages.tree(source / part) for part in provision.PARTS},
        "paver/": payload.digest(source),
    }
