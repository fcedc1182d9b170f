"""What a director shows: itself, tasks, deployments, instances, variables, differences. Nothing here changes anything."""

from __future__ import annotations

import difflib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paver.lab.standins import director_configs, libyaml
from paver.lab.standins.client import Failed
from paver.lab.standins.director_machines import Door
from paver.lab.standins.director_state import State
from paver.lab.standins.director_tasks import Task, TaskError, Tasks
from paver.lab.standins.httpd import Exchange, Refusal, Reply

VERSION = "283.1.6 (00000000)"
_SHORT = ("create ", "delete release", "delete stemcell", "delete deployment")
"""How the tasks begin that are listed without `verbose=2` (bosh, api/controllers/tasks_controller.rb, by type)."""
_REDACTED = "<redacted>"


@dataclass
class Views:
    """Reads the state's document, and asks agents how they are."""

    state: State
    tasks: Tasks
    name: str
    cpi: str
    uaa_url: str

    def info(self, user: str | None) -> dict[str, Any]:
        """The director's own description."""
        return {
            "name": self.name,
            "uuid": self.state.data["uuid"],
            "version": VERSION,
            "user": user,
            "cpi": self.cpi,
            "stemcell_os": "ubuntu-noble",
            "stemcell_version": "1.484",
            "user_authentication": {"type": "uaa", "options": {"url": self.uaa_url, "urls": [self.uaa_url]}},
            "features": {
                "local_dns": {"status": True, "extras": {"domain_name": "bosh"}},
                "snapshots": {"status": False},
                "config_server": {"status": True, "extras": {"urls": []}},
            },
        }

    def list_tasks(self, exchange: Exchange) -> Reply:
        """Tasks, newest first, by state, deployment, context and number."""
        query = exchange.query
        states = set(query["state"].split(",")) if query.get("state") else None
        found = [
            task
            for task in self.tasks.all()
            if (states is None or task["state"] in states)
            and query.get("deployment", task["deployment"]) == task["deployment"]
            and query.get("context_id", task["context_id"]) == task["context_id"]
            and (query.get("verbose") == "2" or task["description"].startswith(_SHORT))
        ]
        return Reply(200, found[: int(query["limit"])] if query.get("limit") else found)

    def task(self, _exchange: Exchange, identity: str) -> Reply:
        """One task."""
        return Reply(200, self._task(identity))

    def task_output(self, exchange: Exchange, identity: str) -> Reply:
        """An output of a task, from the byte on that the Range header names."""
        self._task(identity)
        data = self.tasks.output(int(identity), exchange.query.get("type", "event"))
        match = re.fullmatch(r"bytes=(\d+)-", exchange.headers.get("range", ""))
        if match is None:
            return Reply(200 if data else 204, data, {"content-type": "text/plain"})
        first = int(match.group(1))
        if first >= len(data):
            return Reply(416, b"", {"content-range": f"bytes */{len(data)}"})
        span = f"bytes {first}-{len(data) - 1}/{len(data)}"
        return Reply(206, data[first:], {"content-type": "text/plain", "content-range": span})

    def list_deployments(self, _exchange: Exchange) -> Reply:
        """The deployments with what they use."""
        with self.state.lock:
            found = [self._shown(name) for name in sorted(self.state.data["deployments"])]
        return Reply(200, found)

    def deployment(self, _exchange: Exchange, name: str) -> Reply:
        """One deployment's manifest."""
        return Reply(200, {**self._shown(name), "manifest": self.known(name)["manifest"]})

    def variables(self, _exchange: Exchange, name: str) -> Reply:
        """Names and ids of the variables that a deployment uses."""
        return Reply(
            200, [{"id": identity, "name": full} for identity, full in self.known(name)["variables"]]
        )

    def errands(self, _exchange: Exchange, name: str) -> Reply:
        """The groups that run once."""
        manifest = libyaml.loads(self.known(name)["manifest"] or "{}")
        groups = [g for g in manifest.get("instance_groups", []) if g.get("lifecycle") == "errand"]
        return Reply(200, [{"name": group["name"]} for group in groups])

    def locks(self, _exchange: Exchange) -> Reply:
        """What is being worked on."""
        timeout = str(time.time() + 60)
        found = [
            {"type": "deployment", "resource": [name], "timeout": timeout, "task_id": str(task)}
            for name, task in dict(self.tasks.locked).items()
        ]
        return Reply(200, found)

    def events(self, _exchange: Exchange) -> Reply:
        """What happened: the tasks, as events."""
        found = [
            {
                "id": str(task["id"]),
                "timestamp": task["timestamp"],
                "user": task["user"],
                "action": task["description"],
                "object_type": "task",
                "task": str(task["id"]),
                "deployment": task["deployment"] or "",
                "error": task["result"] if task["state"] == "error" else "",
            }
            for task in self.tasks.all()
        ]
        return Reply(200, found)

    def diff(self, exchange: Exchange, name: str) -> Reply:
        """What a manifest would change, with property values hidden unless `redact=false`."""
        exchange.write = False
        wish = manifest_of(exchange.body().decode())
        with self.state.lock:
            known = self.state.data["deployments"].get(name)
        before = libyaml.loads(known["manifest"] or "{}") if known else {}
        if exchange.query.get("redact") != "false":
            before, wish = _redact(before), _redact(wish)
        texts = ["" if not content else libyaml.dumps(content) for content in (before, wish)]
        configs = {
            kind: [int(c["id"]) for c in self.state.current_configs(kind)] for kind in ("cloud", "runtime")
        }
        context = {"cloud_config_ids": configs["cloud"], "runtime_config_ids": configs["runtime"]}
        return Reply(200, {"context": context, "diff": difference(*texts)})

    def short_instances(self, name: str, *, only_vms: bool) -> list[dict[str, Any]]:
        """The instances as far as the director knows them by itself."""
        return [
            {
                "agent_id": instance["agent"],
                "cid": instance["vm"],
                "job": instance["group"],
                "index": instance["index"],
                "id": instance["id"],
                "az": instance["az"],
                "ips": [instance["ip"]],
                "vm_created_at": instance["created"],
                "expects_vm": True,
            }
            for instance in self.known(name)["instances"]
            if instance["vm"] or not only_vms
        ]

    def full_instances(self, task: Task, name: str, *, only_vms: bool) -> str:
        """Asks every agent; one line of JSON per instance becomes the task's result."""
        for instance in list(self.known(name)["instances"]):
            if instance["vm"] or not only_vms:
                task.write("result", json.dumps(self._full(name, instance)) + "\n")
        return ""

    def known(self, name: str) -> dict[str, Any]:
        """A deployment's entry; 404 if there's none."""
        with self.state.lock:
            found = self.state.data["deployments"].get(name)
        if found is None:
            raise Refusal(404, {"code": 70000, "description": f"Deployment '{name}' doesn't exist"})
        entry: dict[str, Any] = found
        return entry

    def _full(self, name: str, instance: Mapping[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = {
            "job_state": None if not instance["vm"] else "unresponsive agent",
            "processes": [],
        }
        if instance["door"] and instance["vm"]:
            try:
                state = Door(**instance["door"]).call("get_state")
            except (OSError, Failed, TaskError):
                state["processes"] = []
        return {
            "vm_cid": instance["vm"],
            "vm_created_at": instance["created"],
            "active": True,
            "agent_id": instance["agent"],
            "ips": [instance["ip"]],
            "dns": [],
            "job_name": instance["group"],
            "index": instance["index"],
            "id": instance["id"],
            "job_state": state["job_state"],
            "state": "started",
            "bootstrap": instance["index"] == 0,
            "az": instance["az"],
            "vm_type": instance["vm_type"],
            "disk_cid": instance["disk"],
            "disk_cids": [instance["disk"]] if instance["disk"] else [],
            "deployment_name": name,
            "resurrection_paused": False,
            "ignore": False,
            "stemcell": {**instance["stemcell"], "api_version": 3},
            "cloud_properties": {},
            "vitals": {},
            "processes": [{"name": p["name"], "state": p["state"]} for p in state["processes"]],
        }

    def _shown(self, name: str) -> dict[str, Any]:
        entry = self.known(name)
        cloud = self.state.current_configs("cloud")
        return {
            "name": name,
            "releases": entry["releases"],
            "stemcells": entry["stemcells"],
            "teams": [],
            "cloud_config": "latest" if cloud else "none",
        }

    def _task(self, identity: str) -> dict[str, Any]:
        found = self.tasks.get(int(identity))
        if found is None:
            raise Refusal(404, {"code": 10001, "description": f"Task '{identity}' not found"})
        return found


def user_of(claims: Mapping[str, Any]) -> str:
    """Returns the name by which the director knows a caller."""
    return str(claims.get("user_name") or claims.get("client_id"))


def manifest_of(text: str) -> dict[str, Any]:
    """Returns the manifest that was sent; refuses at once what is none, before there is a task."""
    try:
        return director_configs.manifest(text)
    except TaskError as error:
        raise Refusal(400, {"code": error.code, "description": str(error)}) from error


def difference(before: str, after: str) -> list[list[str | None]]:
    """Returns changed lines as the CLI prints them: [line, "added" or "removed"]; none if nothing changes."""
    if before == after:
        return []
    marks = {"+ ": "added", "- ": "removed", "  ": None}
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [[line[2:], marks[line[:2]]] for line in lines if line[:2] in marks]


def _redact(content: Any, *, inside: bool = False) -> Any:
    if isinstance(content, Mapping):
        return {
            key: _redact(value, inside=inside or key in ("properties", "env"))
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [_redact(value, inside=inside) for value in content]
    return _REDACTED if inside and not (isinstance(content, str) and content.startswith("((")) else content
