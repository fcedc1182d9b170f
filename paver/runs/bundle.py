"""A bundle for support: what runs left behind, without a secret.

Journals, plans, events, logs and the site file, each line gone through with every value that the sealed store has
ever held and still keeps, in every form in which tools write them. The store, its key and what `paver env` wrote
are never in it.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from paver.errors import unwritten
from paver.runs.folder import RUN_FILES, SiteFolder, journals
from paver.sealed.redact import Redactor

LATEST = 5
MOST_BYTES = 64 * 1024 * 1024
"""Of one file; of a longer one the end is taken."""


@dataclasses.dataclass(frozen=True)
class Content:
    """A file of the bundle, redacted."""

    name: str
    text: str


def contents(
    state: SiteFolder, site_text: str, facts: Mapping[str, Any], redactor: Redactor, *, runs: int = LATEST
) -> Iterator[Content]:
    """Yields the bundle's files.

    Args:
        state: the site's runs.
        site_text: the site file.
        facts: versions and how the site stands, as JSON.
        redactor: knows every secret.
        runs: how many runs, the newest ones.
    """
    yield Content("about.json", redactor.redact(json.dumps(facts, indent=2, sort_keys=True) + "\n"))
    yield Content("site.yml", redactor.redact(site_text))
    for folder in state.runs()[-runs:] if runs else ():
        for name in dict.fromkeys((*RUN_FILES, *journals(folder))):
            text = _tail(folder / name)
            if text is not None:
                yield Content(f"runs/{folder.name}/{name}", redactor.redact(text))


def _tail(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return None


def write(path: Path, folder: str, files: Iterable[Content]) -> list[str]:
    """Writes the bundle (0600) and returns the names in it; the same content gives the same bytes.

    Raises:
        BadInput: if it can't be written there, or is there already.
        PaverError: the disk is full.
    """
    names = []
    made = False
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        made = True
        with (
            os.fdopen(descriptor, "wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w") as archive,
        ):
            for file in files:
                data = file.text.encode("utf-8")
                member = tarfile.TarInfo(f"{folder}/{file.name}")
                member.size, member.mode = len(data), 0o600
                archive.addfile(member, io.BytesIO(data))
                names.append(file.name)
    except OSError as error:
        if made:
            path.unlink()
        raise unwritten(
            error, f"the bundle can't be written to {path}", do="name another file with --out"
        ) from error
    return names
