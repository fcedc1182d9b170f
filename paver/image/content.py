"""What the image holds, as `ova/content.yml` declares it: every package and program with its reason. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import pydantic

from paver.errors import BadInput
from paver.signing import canonical
from paver.sitefile import parse, tree

FORMAT = 1
FILE = Path("ova") / "content.yml"

_NAME = r"^[a-z0-9][a-z0-9+.-]+$"
_GLOB = r"^/[A-Za-z0-9/*._+-]+$"


class _Document(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)

    version: int = pydantic.Field(alias="paver.content")
    suite: str = pydantic.Field(pattern=r"^[a-z]+$")
    architecture: str = pydantic.Field(pattern=r"^(amd64|arm64)$")
    packages: dict[str, dict[str, str]]
    without: list[str] = pydantic.Field(default_factory=list)
    with_: list[str] = pydantic.Field(default_factory=list, alias="with")
    programs: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Content:
    """What the image holds.

    Attributes:
        suite: Debian's name for the release, as `trixie`.
        architecture: Debian's name for the machine, as `amd64`.
        packages: reasons by the names of Debian's packages; what they depend on comes with them.
        without: globs of paths that are not unpacked.
        kept: globs of paths that are unpacked all the same.
        programs: reasons by the names of our own programs.
    """

    suite: str
    architecture: str
    packages: Mapping[str, str]
    without: tuple[str, ...]
    kept: tuple[str, ...]
    programs: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Returns the SHA-256 of all that decides which packages are taken; reasons don't."""
        wanted = {
            "architecture": self.architecture,
            "packages": sorted(self.packages),
            "suite": self.suite,
        }
        return hashlib.sha256(canonical.dumps(wanted)).hexdigest()


def load(file: Path) -> Content:
    """Returns the content that `file` declares.

    Raises:
        BadInput: it can't be read, or says something that is no content.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{file} cannot be read: {error.strerror}",
            why="the image is built from paver's own source tree",
            do="run it there, or name the tree with --source",
        ) from error
    return loads(data, str(file))


def loads(data: bytes, name: str) -> Content:
    """Returns the content that the YAML text `data` declares; `name` stands for it in errors.

    Raises:
        BadInput: as `load`.
    """
    source = parse.parse(data, name)
    try:
        document = _Document.model_validate(tree.plain(source.root) if source.root else None)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{name}: {path}: {first['msg']}") from error
    if document.version != FORMAT:
        raise BadInput(f"{name}: paver.content: {document.version} is not known", do=f"write {FORMAT}")
    packages: dict[str, str] = {}
    for group, members in document.packages.items():
        for package, reason in members.items():
            if package in packages:
                raise BadInput(f"{name}: packages.{group}.{package} is there twice")
            packages[package] = reason
    for what, names in (("packages", packages), ("programs", document.programs)):
        for key, reason in names.items():
            _matches(_NAME, key, f"{name}: {what}: {key} is no name")
            if not reason.strip():
                raise BadInput(f"{name}: {what}: {key} has no reason", do="say what the image needs it for")
    for glob in (*document.without, *document.with_):
        _matches(_GLOB, glob, f"{name}: {glob} is no path of the image")
    return Content(
        suite=document.suite,
        architecture=document.architecture,
        packages=packages,
        without=tuple(document.without),
        kept=tuple(document.with_),
        programs=dict(document.programs),
    )


def _matches(pattern: str, text: str, otherwise: str) -> None:
    if re.fullmatch(pattern, text) is None:
        raise BadInput(otherwise)
