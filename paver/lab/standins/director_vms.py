"""One instance made what it is to be: VM, disk, packages, rendered jobs, in that order."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from paver.lab.standins import director_instances, director_machines
from paver.lab.standins.client import Failed
from paver.lab.standins.director_instances import Instances, label
from paver.lab.standins.director_machines import Cpi, Door
from paver.lab.standins.director_render import Rendered
from paver.lab.standins.director_state import State
from paver.lab.standins.director_tasks import Task, TaskError
from paver.lab.standins.director_wish import InstanceWish

_START_SECONDS = 30.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Options:
    """What a deploy was asked to do beside the manifest."""

    recreate: bool = False
    fix: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Place:
    """Where an instance's step stands among those of its deploy."""

    position: int
    total: int


@dataclass
class Vms:
    """Makes, changes and deletes the VMs of one deployment."""

    state: State
    cpi: Cpi
    instances: Instances
    director: str
    agent_env: Mapping[str, Any]
    agent_ca: Mapping[str, str]

    def converge(
        self, task: Task, wanted: InstanceWish, rendered: Rendered, options: Options, place: Place
    ) -> None:
        """Brings one instance to its wish; does nothing to one that is there already."""
        instance = self.instances.find(wanted) or self.instances.make(wanted)
        shape = _digest(
            [wanted.stemcell["cid"], wanted.cloud_properties, director_instances.network(wanted), wanted.env]
        )
        packages = {name: entry["fingerprint"] for name, entry in self._packages(wanted).items()}
        content = _digest([rendered.digest, packages])
        reshape = instance["shape"] != shape or not instance["vm"] or options.recreate
        if instance["vm"] and not _answers(instance, self.agent_ca["certificate"]):
            if not options.fix:
                raise TaskError(
                    450002,
                    f"Timed out sending 'get_state' to instance: '{label(instance)}', agent-id: '{instance['agent']}'",
                )
            reshape = True
        done = (instance["content"], instance["disk_size"]) == (content, wanted.disk)
        if done and instance["ready"] and not reshape:
            return
        if reshape:
            self._delete_vm(task, instance)
            with task.step("Creating missing vms", label(instance), place.position, place.total):
                self._create_vm(task, wanted, instance, shape)
        canary = " (canary)" if wanted.index == 0 else ""
        stage = f"Updating instance {wanted.group}"
        with task.step(stage, label(instance) + canary, place.position, place.total):
            door = Door(**instance["door"])
            self.instances.update(instance, ready=False)
            if not reshape:
                _stop(instance)
            self._disk(task, wanted, instance, door, fresh=reshape)
            self._apply(wanted, instance, door, rendered)
            self.instances.update(instance, content=content, ready=True)

    def delete(self, task: Task, instance: dict[str, Any]) -> None:
        """Deletes the VM, orphans the disk, forgets the instance."""
        self._delete_vm(task, instance)
        if instance["disk"]:
            self.instances.orphan(instance, instance["disk"])
        self.instances.remove(instance)

    def _create_vm(self, task: Task, wanted: InstanceWish, instance: dict[str, Any], shape: str) -> None:
        pair = director_machines.server_pair(self.agent_ca, str(wanted.address))
        password = secrets.token_urlsafe(18)
        bosh = {
            **self.agent_env,
            "mbus": {"cert": pair, "urls": [f"https://director:{password}@0.0.0.0:6868"]},
            "group": f"{self.director}-{self.instances.deployment}-{wanted.group}",
            **(wanted.env.get("bosh") or {}),
        }
        agent = str(uuid.uuid4())
        networks = {wanted.network: director_instances.network(wanted)}
        cid, _ = self.cpi.call(
            task,
            "create_vm",
            agent,
            wanted.stemcell["cid"],
            dict(wanted.cloud_properties),
            networks,
            [instance["disk"]] if instance["disk"] else [],
            {**wanted.env, "bosh": bosh},
        )
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        door = {"url": f"https://director:{password}@{wanted.address}:6868", "ca": pair["ca"]}
        self.instances.update(
            instance, vm=cid, agent=agent, door=door, shape=shape, ip=str(wanted.address), created=now
        )
        metadata = {
            "director": self.director,
            "deployment": self.instances.deployment,
            "job": wanted.group,
            "index": str(wanted.index),
            "id": instance["id"],
            "instance_group": wanted.group,
            "name": f"{wanted.group}/{instance['id']}",
            "created_at": now,
        }
        self.cpi.call(task, "set_vm_metadata", cid, metadata)
        try:
            Door(**door).wait()
        except TaskError:
            # Nothing that never answered is kept.
            self.cpi.call(task, "delete_vm", cid)
            self.instances.update(instance, vm=None)
            raise

    def _disk(
        self, task: Task, wanted: InstanceWish, instance: dict[str, Any], door: Door, *, fresh: bool
    ) -> None:
        old, new = instance["disk"], None
        if old and fresh:
            door.call("add_persistent_disk", old, self.cpi.call(task, "attach_disk", instance["vm"], old))
            door.call("mount_disk", old)
        if wanted.disk == instance["disk_size"]:
            return
        if wanted.disk:
            new = self.cpi.call(
                task, "create_disk", wanted.disk, dict(wanted.disk_properties), instance["vm"]
            )
            door.call("add_persistent_disk", new, self.cpi.call(task, "attach_disk", instance["vm"], new))
            if old:
                door.call("migrate_disk", old, new)
            door.call("mount_disk", new)
        if old:
            if not wanted.disk:
                door.call("unmount_disk", old)
            door.call("remove_persistent_disk", old)
            self.cpi.call(task, "detach_disk", instance["vm"], old)
            self.instances.orphan(instance, old)
        self.instances.update(instance, disk=new, disk_size=wanted.disk)

    def _apply(
        self, wanted: InstanceWish, instance: Mapping[str, Any], door: Door, rendered: Rendered
    ) -> None:
        packages = {}
        for name, entry in self._packages(wanted).items():
            blob = door.put_blob(self.state.blob(entry["blob"]))
            if not entry["stemcell"]:
                made = door.call(
                    "compile_package", blob["blobstore_id"], blob["sha1"], name, entry["fingerprint"], {}
                )
                blob = made["result"]
            packages[name] = {"name": name, "version": entry["fingerprint"], **blob}
        spec = {
            "deployment": self.instances.deployment,
            "name": wanted.group,
            "id": instance["id"],
            "index": wanted.index,
            "az": wanted.az,
            "job": {"name": wanted.group, "templates": [{"name": job.name} for job in wanted.jobs]},
            "packages": packages,
            "networks": {wanted.network: director_instances.network(wanted)},
            "persistent_disk": wanted.disk,
            "rendered_templates_archive": door.put_blob(rendered.archive),
        }
        door.call("apply", spec)
        door.call("run_script", "pre-start", {})
        door.call("start")
        _wait_until_running(instance, door)
        door.call("run_script", "post-start", {})

    def _packages(self, wanted: InstanceWish) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        target = f"{wanted.stemcell['os']}/{wanted.stemcell['version']}"
        for job in wanted.jobs:
            release = self.state.data["releases"][job.release][job.version]
            queue = list(release["jobs"][job.name]["spec"].get("packages") or [])
            while queue:
                name = queue.pop()
                entry = release["packages"][name]
                if entry["stemcell"] and _line(entry["stemcell"]) != _line(target):
                    raise TaskError(
                        60001,
                        f"Can't use release '{job.release}/{job.version}'. It references packages without source code "
                        f"and are not compiled against stemcell '{target}':\n - '{name}/{entry['fingerprint']}'",
                    )
                found[name] = entry
                queue += [dependency for dependency in entry["dependencies"] if dependency not in found]
        return found

    def _delete_vm(self, task: Task, instance: dict[str, Any]) -> None:
        if not instance["vm"]:
            return
        if _answers(instance, self.agent_ca["certificate"]):
            _stop(instance)
        if self.cpi.call(task, "has_vm", instance["vm"]):
            self.cpi.call(task, "delete_vm", instance["vm"])
        self.instances.update(instance, vm=None)


def _answers(instance: Mapping[str, Any], authority: str) -> bool:
    """Tells whether an agent answers that the director's authority for agents, as it is now, vouches for."""
    try:
        Door(**{**instance["door"], "ca": authority}).call("ping")
    except (OSError, Failed, TaskError):
        return False
    return True


def _stop(instance: Mapping[str, Any]) -> None:
    door = Door(**instance["door"])
    door.call("run_script", "pre-stop", {})
    door.call("drain", "shutdown", {})
    door.call("stop")
    door.call("run_script", "post-stop", {})


def _wait_until_running(instance: Mapping[str, Any], door: Door) -> None:
    limit = time.monotonic() + _START_SECONDS
    while (state := door.call("get_state"))["job_state"] != "running":
        if time.monotonic() > limit or state["job_state"] == "failing":
            failing = ", ".join(
                process["name"] for process in state["processes"] if process["state"] != "running"
            )
            raise TaskError(
                400007,
                f"'{label(instance)}' is not running after update. Review logs for failed jobs: {failing}",
            )
        time.sleep(_POLL_SECONDS)


def _line(stemcell: str) -> str:
    """Returns the line of a stemcell, given as os/version: what was compiled for another of it is taken, if it comes without source.

    Source: bosh, deployment_plan/compiled_package_finder.rb, version/stemcell_version.rb.
    """
    system, _, version = stemcell.rpartition("/")
    return f"{system}/{version.partition('.')[0]}"


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
