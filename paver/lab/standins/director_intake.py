"""Taking a release in: listed from the beginning, whole only at the end.

bosh, jobs/update_release.rb: the version is found or made before its packages and jobs, and `update_completed` is set last.
`GET /releases` does not show it. The next upload of that version, whatever it asks for, mends what was not completed
(`@fix`): of what is there already, everything is taken anew.
"""

from __future__ import annotations

from typing import Any

from paver.lab.standins.director_state import State
from paver.lab.standins.director_tarballs import Blob, ReadRelease
from paver.lab.standins.director_tasks import Task, TaskError


def take_in(state: State, task: Task, release: ReadRelease, *, fix: bool) -> None:
    """Adds a release's packages, then its jobs; what is there already is left as it is, unless it is to be mended.

    Raises:
        TaskError: if a known version is another one.
        BlobstoreError: if there is no room; what was taken in until then stays.
    """
    entry, half = _begun(state, release)
    for kind, blobs in (("packages", release.packages), ("jobs", release.jobs)):
        for position, blob in enumerate(blobs, start=1):
            part = f"{blob.entry['name']}/{blob.entry['fingerprint']}"
            with task.step(f"Creating new {kind}", part, position, len(blobs)):
                _add(state, entry, kind, blob, again=fix or half)
    label = f"{release.name}/{release.version}"
    with task.step("Release has been created", label), state.changing():
        entry["complete"] = True


def _begun(state: State, release: ReadRelease) -> tuple[dict[str, Any], bool]:
    """Returns the version's entry, made if need be, and whether an earlier upload left it half."""
    with state.changing() as data:
        versions = data["releases"].setdefault(release.name, {})
        if release.version not in versions:
            versions[release.version] = {
                "name": release.name,
                "version": release.version,
                "commit_hash": release.commit_hash,
                "uncommitted": release.uncommitted,
                "complete": False,
                "jobs": {},
                "packages": {},
            }
            return versions[release.version], False
        entry: dict[str, Any] = versions[release.version]
        if (entry["commit_hash"], entry["uncommitted"]) != (release.commit_hash, release.uncommitted):
            raise TaskError(
                30014,
                f"release '{release.name}/{release.version}' has already been uploaded with commit_hash as "
                f"'{entry['commit_hash']}' and uncommitted_changes as '{release.uncommitted}'",
            )
        half, entry["complete"] = not entry["complete"], False
        return entry, half


def _add(state: State, entry: dict[str, Any], kind: str, blob: Blob, *, again: bool) -> None:
    name, fingerprint = blob.entry["name"], blob.entry["fingerprint"]
    known = entry[kind].get(name)
    if known is not None and known["fingerprint"] != fingerprint:
        raise TaskError(
            30012 if kind == "packages" else 30013,
            f"{kind[:-1]} '{name}' had different fingerprint in previously uploaded release "
            f"'{entry['name']}/{entry['version']}'",
        )
    if known is not None and not again:
        return
    part = {"fingerprint": fingerprint, "sha1": blob.entry["sha1"], "blob": state.put_blob(blob.content)}
    if kind == "packages":
        part["stemcell"] = blob.entry.get("stemcell", "")
        part["dependencies"] = list(blob.entry.get("dependencies") or [])
    else:
        part["spec"] = dict(blob.spec)
    with state.changing():
        entry[kind][name] = part
