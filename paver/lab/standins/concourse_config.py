"""What Concourse makes of a pipeline that is put: it keeps its own structures, and shows those.

Source: concourse atc/config.go, job_config.go, steps.go, task.go. Unknown keys at the top are dropped (people keep YAML
anchors there), in resources, jobs and groups refused; explicit defaults vanish (`omitempty`), names that are always there
are shown empty; a list of parallel steps becomes a mapping; what a task gets as environment becomes text. Left as written:
durations, memory limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_SECTIONS = (
    "groups",
    "var_sources",
    "resources",
    "resource_types",
    "prototypes",
    "jobs",
    "display",
    "user_data",
)
_HOOKS = ("on_success", "on_failure", "on_abort", "on_error", "ensure")
_TYPE = "name type source defaults privileged check_every tags params"
_KNOWN: Mapping[str, frozenset[str]] = {
    section: frozenset(keys.split())
    for section, keys in {
        "groups": "name jobs resources",
        "resources": "name old_name public webhook_token type source check_every check_timeout tags version icon "
        "expose_build_created_by",
        "resource_types": _TYPE,
        "prototypes": _TYPE,
        "jobs": "name old_name public disable_manual_trigger disable_reruns serial interruptible serial_groups "
        "max_in_flight tags build_logs_to_retain build_log_retention plan " + " ".join(_HOOKS),
    }.items()
}
_ALWAYS: Mapping[str, Mapping[str, Any]] = {
    "groups": {"name": ""},
    "var_sources": {"name": "", "type": "", "config": None},
    "resources": {"name": "", "type": "", "source": None},
    "resource_types": {"name": "", "type": "", "source": None},
    "prototypes": {"name": "", "type": "", "source": None},
    "jobs": {"name": "", "plan": None},
}


def unknown(document: Mapping[str, Any]) -> list[str]:
    """Returns the keys that Concourse's strict reading refuses."""
    return sorted(
        {
            str(key)
            for section, known in _KNOWN.items()
            for item in document.get(section) or ()
            for key in set(item) - known
        }
    )


def kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a GET shows of a config that was put."""
    found: dict[str, Any] = {}
    for section in _SECTIONS:
        value = document.get(section)
        if section in _ALWAYS and value:
            found[section] = [_item(section, item) for item in value]
        elif value is not None:
            found[section] = _struct(value, {}) if section == "display" else value
    return {section: value for section, value in found.items() if value not in ([], {}, "")}


def _item(section: str, item: Mapping[str, Any]) -> dict[str, Any]:
    inner: dict[str, Callable[[Any], Any]] = {}
    if section == "jobs":
        inner = {"plan": _steps, "build_log_retention": _inner, **dict.fromkeys(_HOOKS, _step)}
    return _struct(item, _ALWAYS[section], inner)


def _struct(
    value: Mapping[str, Any],
    always: Mapping[str, Any],
    inner: Mapping[str, Callable[[Any], Any]] | None = None,
) -> dict[str, Any]:
    """Marshals as Go does: empty fields are left out, but those that `always` stand there."""
    inner = inner or {}
    there = {key: item for key, item in value.items() if item is not None and (item or key in always)}
    return {**always, **{key: inner[key](item) if key in inner else item for key, item in there.items()}}


def _inner(value: Mapping[str, Any]) -> dict[str, Any]:
    return _struct(value, {})


def _steps(value: Any) -> Any:
    return [_step(step) for step in value]


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    inner: dict[str, Callable[[Any], Any]] = dict.fromkeys((*_HOOKS, "try"), _step)
    inner |= {"do": _steps, "in_parallel": _parallel, "config": _task, "container_limits": _inner}
    if "task" in step:
        inner["params"] = _environment
    return _struct(step, {}, inner)


def _parallel(value: Any) -> dict[str, Any]:
    config = {"steps": value} if isinstance(value, list) else value
    return _struct(config, {}, {"steps": _steps})


def _task(config: Mapping[str, Any]) -> dict[str, Any]:
    def image(value: Mapping[str, Any]) -> dict[str, Any]:
        return _struct(value, {"name": "", "type": "", "source": None})

    def named(value: Any) -> Any:
        return [_struct(item, {}) for item in value]

    def run(value: Mapping[str, Any]) -> dict[str, Any]:
        return _struct(value, {"path": ""})

    inner: dict[str, Callable[[Any], Any]] = dict.fromkeys(("inputs", "outputs", "caches"), named)
    inner |= {"image_resource": image, "params": _environment, "run": run, "container_limits": _inner}
    return _struct(config, {}, inner)


def _environment(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in params.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
