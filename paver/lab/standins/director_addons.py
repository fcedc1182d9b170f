"""What runtime configs add to a deployment: jobs on the groups that they include, and the releases of these alone.

Source: bosh 283.1.6, director/addon, director/runtime_config.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paver.lab.standins import director_configs
from paver.lab.standins.director_configs import RuntimeConfig
from paver.lab.standins.director_properties import prop
from paver.lab.standins.director_tasks import TaskError
from paver.lab.standins.director_wish import Group, JobWish, Known


@dataclass(frozen=True)
class Added:
    """What the runtime configs add: their releases that apply, and jobs by group."""

    releases: Mapping[str, str]
    jobs: tuple[tuple[JobWish, ...], ...]


def added(
    deployment: str,
    groups: Sequence[Group],
    known: Known,
    releases: Mapping[str, str],
    aliases: Mapping[str, Mapping[str, Any]],
) -> Added:
    """Returns what applies to a deployment's groups; whether a release is there is asked only of what does."""
    used: dict[str, str] = {}
    jobs: list[list[JobWish]] = [[] for _ in groups]
    for config in known.runtime:
        for addon in config.addons:
            fitting = [
                number
                for number, group in enumerate(groups)
                if _included(addon, _system(aliases[group.stemcell], known), deployment)
            ]
            for job in addon.get("jobs") or [] if fitting else []:
                made = _job(job, addon, config, known, releases)
                used[made.release] = made.version
                for number in fitting:
                    jobs[number].append(made)
    return Added(used, tuple(map(tuple, jobs)))


def _job(
    job: Mapping[str, Any],
    addon: Mapping[str, Any],
    config: RuntimeConfig,
    known: Known,
    releases: Mapping[str, str],
) -> JobWish:
    name, release = str(job["name"]), str(job["release"])
    version = config.releases[release]
    if releases.get(release, version) != version:
        raise TaskError(
            530003,
            f"Runtime manifest specifies release '{release}' with version as '{version}'. This conflicts with version '{releases[release]}' specified in the deployment manifest.",
        )
    if name not in director_configs.release_spec(known.releases, release, version)["jobs"]:
        raise TaskError(190011, f"Can't find job '{name}'")
    own = prop(job, "properties", dict, default=prop(addon, "properties", dict, default={}))
    return JobWish(name, release, version, own)


def _included(addon: Mapping[str, Any], system: str | None, deployment: str) -> bool:
    def fits(rule: Mapping[str, Any]) -> bool:
        systems = [entry.get("os") for entry in rule.get("stemcell") or []]
        return (not systems or system in systems) and (
            not rule.get("deployments") or deployment in rule["deployments"]
        )

    exclude = addon.get("exclude")
    return fits(addon.get("include") or {}) and not (exclude and fits(exclude))


def _system(entry: Mapping[str, Any], known: Known) -> str | None:
    """The operating system of a manifest's stemcell, where only its name is given by what was uploaded."""
    named = (one["os"] for one in known.stemcells if one["name"] == entry.get("name"))
    return entry.get("os") or next(named, None)
