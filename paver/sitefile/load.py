"""From a site file to a `Site`: YAML, `like`, models, cross checks, the driver's checks; all findings at once."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from paver.errors import BadInput, nearest
from paver.sitefile import check, decode, like, parse, refusals, tree
from paver.sitefile.diagnostic import Diagnostic, Severity, SiteErrors
from paver.sitefile.document import Document
from paver.sitefile.site import Site
from paver.sitefile.source import Source

IAAS: tree.Path = ("iaas",)
M = TypeVar("M", bound=BaseModel)


class _Nothing(BaseModel):
    """The settings of an IaaS that are not right."""


class SettingsProvider(Protocol):
    """What loading needs of a driver."""

    @property
    def name(self) -> str:
        """What stands under `iaas.driver`."""
        ...

    @property
    def settings(self) -> type[BaseModel]:
        """The model of everything else under `iaas`."""
        ...

    def check(self, site: Site) -> Iterable[Diagnostic]:
        """Yields what is wrong with the site in the eyes of this IaaS."""
        ...


def load(path: pathlib.Path | str, drivers: Mapping[str, SettingsProvider]) -> Site:
    """Returns the site of a site file.

    Args:
        path: the file; messages name it as it is given here.
        drivers: the installed drivers by name.

    Raises:
        SiteErrors: the file says something wrong; all findings, with positions.
        BadInput: the file can't be read.
    """
    file = pathlib.Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(decode.MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(
            f"the site file {path} can't be read",
            why=error.strerror or type(error).__name__,
            do="name it with --site or PAVER_SITE, or let `paver init` write one",
        ) from None
    return loads(data, drivers, file=str(path), folder=file.absolute().parent)


def loads(
    data: bytes | str, drivers: Mapping[str, SettingsProvider], *, file: str, folder: pathlib.Path
) -> Site:
    """Returns the site of a site file's content; `load` without the reading.

    Args:
        data: the content.
        drivers: the installed drivers by name.
        file: the file's name for messages.
        folder: where its relative paths start.

    Raises:
        SiteErrors: the content says something wrong; all findings, with positions.
    """
    source = parse.parse(data, file)
    root = source.root
    if not isinstance(root, tree.MapNode):
        raise SiteErrors(
            [source.at((), "a site file is a map", "`paver init` writes a site file to start from.")]
        )
    driver, found = _driver(source, root, drivers)
    source, wrong, lacking = like.expand(source, (), Document)
    found += wrong
    if driver is not None:
        source, wrong, below = like.expand(source, IAAS, driver.settings)
        found += wrong
        lacking += below
    document = _validated(Document, _below(source, ()), source, (), found)
    settings: BaseModel | None = None
    if driver is not None:
        content = {key: value for key, value in _below(source, IAAS).items() if key != "driver"}
        settings = _validated(driver.settings, content, source, IAAS, found)
    found = _without_consequences(found, lacking)
    # Sections that are right by themselves are compared even where those of the driver are not; never those that
    # are wrong, or lack what they take over: what follows from one error is no other.
    if document is None or driver is None or any(one.path.split(".")[0] != "iaas" for one in found):
        raise SiteErrors(_once(found))
    site = _site(document, driver, settings, source, folder)
    if settings is None or found:
        raise SiteErrors(_once([*found, *check.check(site)]))
    return _checked(site, driver)


def _site(
    document: Document,
    driver: SettingsProvider,
    settings: BaseModel | None,
    source: Source,
    folder: pathlib.Path,
) -> Site:
    """Returns the site, with nothing of its IaaS where that is not right."""
    return Site(
        name=document.name,
        driver=driver.name,
        iaas=_Nothing() if settings is None else settings,
        networks=document.networks,
        site_services=document.site_services,
        jumpbox=document.jumpbox,
        bucc=document.bucc,
        services=document.services,
        trust=document.trust,
        secrets=document.secrets,
        moved=document.moved,
        adopt=document.adopt,
        source=source,
        folder=folder,
    )


def _checked(site: Site, driver: SettingsProvider) -> Site:
    found = [*check.check(site), *driver.check(site)]
    if any(finding.severity is Severity.ERROR for finding in found):
        raise SiteErrors(_once(found), whole=True)
    object.__setattr__(site, "warnings", tuple(sorted(_once(found), key=Diagnostic.order)))
    return site


def _driver(
    source: Source, root: tree.MapNode, drivers: Mapping[str, SettingsProvider]
) -> tuple[SettingsProvider | None, list[Diagnostic]]:
    iaas = root.entries.get("iaas")
    if not isinstance(iaas, tree.MapNode):
        return None, []  # the document's own model says so
    path = (*IAAS, "driver")
    installed = f"Installed: {', '.join(sorted(drivers))}." if drivers else "No driver is installed."
    if "driver" not in iaas.entries:
        return None, [source.at(path, refusals.MISSING, f"The driver of the IaaS. {installed}", key=True)]
    node = iaas.entries["driver"]
    name = node.value if isinstance(node, tree.ScalarNode) else None
    if isinstance(name, str) and name in drivers:
        return drivers[name], []
    near = nearest(str(name), drivers)
    advice = f"Did you mean {near}? " if near else ""
    return None, [source.at(path, "there is no such driver", advice + installed)]


def _below(source: Source, path: tree.Path) -> dict[str, Any]:
    node = tree.find(source.root, path)[0] if source.root else None
    content = tree.plain(node) if node else None
    return content if isinstance(content, dict) else {}


def _validated(
    model: type[M], content: dict[str, Any], source: Source, path: tree.Path, found: list[Diagnostic]
) -> M | None:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found += refusals.diagnostics(error, source, model, path)
        return None


def _without_consequences(found: list[Diagnostic], lacking: list[str]) -> list[Diagnostic]:
    """Drops what is missing only because a `like` couldn't be resolved: in its entry, and in those that are like it."""
    broken = tuple(f"{entry}." for entry in lacking)
    return [one for one in found if not (one.message == refusals.MISSING and one.path.startswith(broken))]


def _once(found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Yields each finding once: what `like` took over is wrong in one place, however often it is used."""
    seen: set[tuple[int, int, str]] = set()
    for finding in found:
        key = (finding.line, finding.column, finding.message)
        if key not in seen:
            seen.add(key)
            yield finding
