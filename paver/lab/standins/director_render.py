"""Rendering jobs for one instance: properties merged with the spec's defaults, templates by the VM's Ruby."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paver.lab.standins import director_tarballs
from paver.lab.standins.director_tasks import TaskError

_SCRIPT = Path(__file__).parent / "render.rb"


@dataclass(frozen=True)
class JobInput:
    """A job to render: its tarball, its spec and the properties that are meant for it."""

    name: str
    tarball: bytes
    spec: Mapping[str, Any]
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Rendered:
    """The rendered jobs as the agent takes them. `digest` is of the content, so that equal renderings compare equal."""

    archive: bytes
    digest: str


def render(jobs: Iterable[JobInput], spec: Mapping[str, Any]) -> Rendered:
    """Renders the jobs of one instance; `spec` is what templates see as `spec`.

    Raises:
        TaskError: a template fails, in the director's words, all failures at once.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        out.mkdir()
        wanted = []
        for job in jobs:
            folder = Path(scratch) / "in" / job.name
            director_tarballs.unpack_job(job.tarball, folder)
            templates = {
                f"templates/{source}": target for source, target in (job.spec.get("templates") or {}).items()
            }
            wanted.append(
                {
                    "folder": str(folder),
                    "out": str(out / job.name),
                    "templates": {**templates, "monit": "monit"},
                    "properties": with_defaults(job.spec.get("properties") or {}, job.properties),
                    "spec": {**spec, "job": job.name},
                }
            )
        done = subprocess.run(
            ["ruby", "--disable-gems", str(_SCRIPT)],
            input=json.dumps(wanted),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise TaskError(100, f"Rendering templates: ruby exited {done.returncode}: {done.stderr[-500:]}")
        failed = json.loads(done.stdout)
        if failed:
            raise TaskError(100, _words(str(spec["name"]), failed))
        return _packed(out)


def with_defaults(specs: Mapping[str, Mapping[str, Any] | None], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns only what the job's spec names: the given value, else the default, else nothing."""
    merged: dict[str, Any] = {}
    for name, spec in specs.items():
        value: Any = given
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None:
            value = (spec or {}).get("default")
        if value is None:
            continue
        *parents, last = name.split(".")
        here = merged
        for key in parents:
            here = here.setdefault(key, {})
        here[last] = value
    return merged


def _words(group: str, failed: Iterable[Mapping[str, Any]]) -> str:
    lines = ["Unable to render instance groups for deployment. Errors are:"]
    lines.append(f"  - Unable to render jobs for instance group '{group}'. Errors are:")
    for job in failed:
        lines.append(f"    - Unable to render templates for job '{job['job']}'. Errors are:")
        lines += [f"      - {error}" for error in job["errors"]]
    return "\n".join(lines)


def _packed(folder: Path) -> Rendered:
    digest = hashlib.sha256()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                content = path.read_bytes()
                digest.update(f"{name}\0{len(content)}\0".encode() + content)
                tar.add(path, arcname=name)
    return Rendered(raw.getvalue(), digest.hexdigest())
