"""The jumpbox's image: the file that the site file names, known by its manifest.

On the jumpbox itself the file is not at hand, nor is it needed: there the image is the one that the jumpbox was
made from, and says so on its VM.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from typing import Any

from paver.driver import MARK_KEY, BadInput, Endpoint, Facts, Mark, PaverError, Reader, Resource, Writer
from paver.drivers.vsphere import marks
from paver.drivers.vsphere.endpoints import FILES, JUMPBOX
from paver.ovf.ova import Ova

KEY = "paver.image"
"""Where the VM says which image it was made from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFacts(Facts):
    """The image; `digest` is the SHA-256 of its manifest, which names the digest of everything in it."""

    digest: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image(Resource[ImageFacts]):
    """An image that is to be at hand; a setting without anything to set.

    Attributes:
        path: as the site file has it.
        host: where the jumpbox stands, if it does.
    """

    kind = "vsphere.image"
    setting = True
    unmanaged = frozenset({"path", "host"})

    path: str
    host: Endpoint[Any, Any]

    def read(self, world: Reader) -> ImageFacts | None:
        """Returns the image.

        Raises:
            BadInput: if it is not here, and no jumpbox was made from it; or if it is no image.
        """
        files = world.session(FILES)
        if files.exists(self.path):
            return ImageFacts(digest=digest(files.path(self.path)))
        for _, values in world.session(self.host).objects("VirtualMachine", ("config.extraConfig",)):
            extra = marks.values(values["config.extraConfig"])
            mark = Mark.loads(extra.get(MARK_KEY))
            if mark is not None and mark.names(world.site, JUMPBOX) and KEY in extra:
                return ImageFacts(digest=extra[KEY])
        raise BadInput(
            f"the jumpbox's image {self.path} is not here",
            seen=f"looked for {files.path(self.path)}",
            do="put it there, or name another one under jumpbox.image",
        )

    def create(self, world: Writer) -> None:
        """Is never called: what is not there is refused while planning."""
        del world
        raise PaverError(f"{self.id}: paver makes no image here")


def digest(path: pathlib.Path) -> str:
    """Returns the SHA-256 of an image's manifest; the content is held to the manifest before it is sent.

    Raises:
        BadInput: if it is no OVA with a manifest.
    """
    with Ova(path) as ova:
        names = [member.name for member in ova.members if member.name.lower().endswith(".mf")]
        if len(names) != 1:
            raise BadInput(
                f"{path.name} holds {len(names)} manifests; an OVA has one",
                why="without a manifest nothing tells a whole OVA from a damaged one",
                do="export it with a manifest",
            )
        return hashlib.sha256(ova.member(names[0]).read()).hexdigest()
