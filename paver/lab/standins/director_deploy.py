"""Making a deployment what its manifest says: VMs, disks, packages, rendered jobs, in that order."""

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

from paver.lab.standins import (
    director_configs,
    director_machines,
    director_manifest,
    director_network,
    director_render,
)
from paver.lab.standins.director_machines import Cpi, Door
from paver.lab.standins.director_manifest import InstanceWish, JobWish, Known, Wish
from paver.lab.standins.director_network import Address
from paver.lab.standins.director_render import JobInput, Rendered
from paver.lab.standins.director_state import State
from paver.lab.standins.director_tasks import Task, TaskError
from paver.lab.standins.director_variables import ConfigServer, Value

_START_SECONDS = 30.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Options:
    """What a deploy was asked to do beside the manifest."""

    recreate: bool = False
    dry_run: bool = False


@dataclass
class Deployer:
    """Carries out deploys and deletes."""

    state: State
    cpi: Cpi
    config_server: ConfigServer
    name: str
    agent_env: Mapping[str, Any]
    agent_ca: Mapping[str, str]

    def deploy(self, task: Task, text: str, options: Options) -> str:
        """Converges on a manifest; returns the task's short result."""
        with task.step("Preparing deployment", "Preparing deployment"):
            manifest = director_configs.load(text, "manifest")
            deployment = str(director_network.required(manifest, "name", "manifest"))
            runtime = [
                director_configs.load(c["content"], "runtime config")
                for c in self.state.current_configs("runtime")
            ]
            values = self._values(manifest, runtime, deployment)
            plain = {name: value.value for name, value in values.items()}
            wish = director_manifest.plan(
                director_manifest.interpolate(manifest, plain),
                self._known(deployment, [director_manifest.interpolate(config, plain) for config in runtime]),
            )
        with task.step("Preparing deployment", "Rendering templates"):
            rendered = {
                (wanted.group, wanted.index): self._render(wanted, deployment) for wanted in wish.instances
            }
        if options.dry_run:
            return f"/deployments/{deployment}"
        self._remember(deployment, text, wish, values)
        self._remove_unwanted(task, deployment, wish)
        running = [wanted for wanted in wish.instances if not wanted.errand]
        for position, wanted in enumerate(running, start=1):
            self._converge(
                task,
                deployment,
                wanted,
                rendered[wanted.group, wanted.index],
                options,
                position,
                len(running),
            )
        return f"/deployments/{deployment}"

    def delete(self, task: Task, deployment: str) -> str:
        """Deletes the VMs, orphans the disks, forgets the deployment."""
        with self.state.lock:
            known = self.state.data["deployments"].get(deployment)
        if known is None:
            raise TaskError(70000, f"Deployment '{deployment}' doesn't exist")
        instances = list(known["instances"])
        for position, instance in enumerate(instances, start=1):
            with task.step("Deleting instances", _label(instance), position, len(instances)):
                self._delete_instance(task, deployment, instance)
        with (
            task.step("Removing deployment artifacts", "Destroying deployment"),
            self.state.changing() as data,
        ):
            del data["deployments"][deployment]
        return f"/deployments/{deployment}"

    def _values(
        self, manifest: Mapping[str, Any], runtime: list[dict[str, Any]], deployment: str
    ) -> dict[str, Value]:
        declared = [
            *(manifest.get("variables") or []),
            *(wish for c in runtime for wish in c.get("variables") or []),
        ]
        body = {key: value for key, value in manifest.items() if key != "variables"}
        addons = [{key: value for key, value in config.items() if key != "variables"} for config in runtime]
        names = director_manifest.variables_in([body, *addons])
        if not names and not declared:
            return {}
        return self.config_server.resolve(names, declared, self.name, deployment)

    def _known(self, deployment: str, runtime: list[Mapping[str, Any]]) -> Known:
        documents = [
            director_configs.load(c["content"], "cloud config") for c in self.state.current_configs("cloud")
        ]
        merged: dict[str, Any] = {}
        for document in documents:
            for key, value in document.items():
                merged[key] = merged[key] + value if isinstance(merged.get(key), list) else value
        if not merged:
            raise TaskError(440010, "Deployment manifest needs a cloud config, and there is none")
        taken: dict[Address, str] = {}
        kept: dict[tuple[str, int], Address] = {}
        with self.state.lock:
            for name, known in self.state.data["deployments"].items():
                for instance in known["instances"]:
                    address = Address(instance["ip"])
                    if name == deployment:
                        kept[instance["group"], instance["index"]] = address
                    else:
                        taken[address] = f"instance '{_label(instance)}' from deployment '{name}'"
            data = self.state.data
            return Known(
                data["releases"],
                tuple(data["stemcells"]),
                director_configs.cloud_config(merged),
                tuple(runtime),
                taken,
                kept,
            )

    def _render(self, wanted: InstanceWish, deployment: str) -> Rendered:
        instance = self._instance(deployment, wanted)
        spec = {
            "name": wanted.group,
            "index": wanted.index,
            "id": instance["id"] if instance else "",
            "az": wanted.az,
            "bootstrap": wanted.index == 0,
            "deployment": deployment,
            "ip": str(wanted.address),
            "address": str(wanted.address),
            "networks": {wanted.network: _network(wanted)},
            "persistent_disk": wanted.disk,
        }
        jobs = [
            JobInput(job.name, self.state.blob(spec_of["blob"]), spec_of["spec"], job.properties)
            for job in wanted.jobs
            for spec_of in [self.state.data["releases"][job.release][job.version]["jobs"][job.name]]
        ]
        return director_render.render(jobs, spec)

    def _remember(self, deployment: str, text: str, wish: Wish, values: Mapping[str, Value]) -> None:
        with self.state.changing() as data:
            known = data["deployments"].setdefault(deployment, {"instances": []})
            known |= {
                "manifest": text,
                "releases": [{"name": name, "version": version} for name, version in wish.releases],
                "stemcells": [{"name": s["name"], "version": s["version"]} for s in wish.stemcells],
                "variables": sorted({(v.identity, v.name) for v in values.values()}),
            }

    def _remove_unwanted(self, task: Task, deployment: str, wish: Wish) -> None:
        wanted = {(one.group, one.index) for one in wish.instances if not one.errand}
        unwanted = [
            instance
            for instance in self.state.data["deployments"][deployment]["instances"]
            if (instance["group"], instance["index"]) not in wanted
        ]
        for position, instance in enumerate(unwanted, start=1):
            with task.step("Deleting unneeded instances", _label(instance), position, len(unwanted)):
                self._delete_instance(task, deployment, instance)

    def _converge(
        self,
        task: Task,
        deployment: str,
        wanted: InstanceWish,
        rendered: Rendered,
        options: Options,
        position: int,
        total: int,
    ) -> None:
        instance = self._instance(deployment, wanted)
        shape = _digest([wanted.stemcell["cid"], wanted.cloud_properties, _network(wanted), wanted.env])
        packages = {name: entry["fingerprint"] for name, entry in self._packages(wanted).items()}
        content = _digest([rendered.digest, packages])
        if instance and instance.get("vm") and not self.cpi.call(task, "has_vm", instance["vm"]):
            self._update(deployment, instance["id"], vm=None)
            instance["vm"] = None
        reshape = instance is None or instance["shape"] != shape or not instance["vm"] or options.recreate
        if (
            not reshape
            and instance
            and (instance["content"], instance["disk_size"]) == (content, wanted.disk)
            and instance["ready"]
        ):
            return
        if instance is None:
            instance = self._new_instance(deployment, wanted)
        if reshape:
            if instance["vm"]:
                self._stop(instance)
                self.cpi.call(task, "delete_vm", instance["vm"])
                self._update(deployment, instance["id"], vm=None)
            with task.step("Creating missing vms", _label(instance), position, total):
                self._create_vm(task, deployment, wanted, instance, shape)
        canary = " (canary)" if wanted.index == 0 else ""
        with task.step(f"Updating instance {wanted.group}", _label(instance) + canary, position, total):
            door = Door(**instance["door"])
            self._update(deployment, instance["id"], ready=False)
            if not reshape:
                self._stop(instance)
            self._disks(task, deployment, wanted, instance, door, fresh=reshape)
            self._apply(deployment, wanted, instance, door, rendered)
            self._update(deployment, instance["id"], content=content, disk_size=wanted.disk, ready=True)

    def _create_vm(
        self, task: Task, deployment: str, wanted: InstanceWish, instance: dict[str, Any], shape: str
    ) -> None:
        pair = director_machines.server_pair(self.agent_ca, str(wanted.address))
        password = secrets.token_urlsafe(18)
        bosh = {
            **self.agent_env,
            "mbus": {"cert": pair, "urls": [f"https://director:{password}@0.0.0.0:6868"]},
            "group": f"{self.name}-{deployment}-{wanted.group}",
        }
        agent = str(uuid.uuid4())
        networks = {wanted.network: _network(wanted)}
        env = {**wanted.env, "bosh": {**bosh, **(wanted.env.get("bosh") or {})}}
        cid, _ = self.cpi.call(
            task, "create_vm", agent, wanted.stemcell["cid"], dict(wanted.cloud_properties), networks, [], env
        )
        door = {"url": f"https://director:{password}@{wanted.address}:6868", "ca": pair["ca"]}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        changes = {
            "vm": cid,
            "agent": agent,
            "door": door,
            "shape": shape,
            "ip": str(wanted.address),
            "created": now,
        }
        self._update(deployment, instance["id"], **changes)
        instance |= changes
        metadata = {
            "director": self.name,
            "deployment": deployment,
            "job": wanted.group,
            "index": str(wanted.index),
            "id": instance["id"],
            "instance_group": wanted.group,
            "name": _label(instance),
            "created_at": now,
        }
        self.cpi.call(task, "set_vm_metadata", cid, metadata)
        Door(**door).wait()

    def _disks(
        self,
        task: Task,
        deployment: str,
        wanted: InstanceWish,
        instance: dict[str, Any],
        door: Door,
        *,
        fresh: bool,
    ) -> None:
        old = instance["disk"]
        if old and fresh:
            hint = self.cpi.call(task, "attach_disk", instance["vm"], old)
            door.call("add_persistent_disk", old, hint)
            door.call("mount_disk", old)
        if wanted.disk == instance["disk_size"]:
            return
        new = None
        if wanted.disk:
            new = self.cpi.call(
                task, "create_disk", wanted.disk, dict(wanted.disk_properties), instance["vm"]
            )
            hint = self.cpi.call(task, "attach_disk", instance["vm"], new)
            door.call("add_persistent_disk", new, hint)
            if old:
                door.call("migrate_disk", old, new)
            door.call("mount_disk", new)
        if old:
            door.call("remove_persistent_disk", old)
            self.cpi.call(task, "detach_disk", instance["vm"], old)
            self._orphan(deployment, instance, old)
        self._update(deployment, instance["id"], disk=new, disk_size=wanted.disk)
        instance |= {"disk": new, "disk_size": wanted.disk}

    def _apply(
        self, deployment: str, wanted: InstanceWish, instance: dict[str, Any], door: Door, rendered: Rendered
    ) -> None:
        packages = {}
        for name, entry in self._packages(wanted).items():
            blob = door.put_blob(self.state.blob(entry["blob"]))
            if not entry["compiled"]:
                made = door.call(
                    "compile_package", blob["blobstore_id"], blob["sha1"], name, entry["fingerprint"], {}
                )
                blob = made["result"]
            packages[name] = {"name": name, "version": entry["fingerprint"], **blob}
        spec = {
            "deployment": deployment,
            "name": wanted.group,
            "id": instance["id"],
            "index": wanted.index,
            "az": wanted.az,
            "job": {"name": wanted.group, "templates": [{"name": job.name} for job in wanted.jobs]},
            "packages": packages,
            "networks": {wanted.network: _network(wanted)},
            "persistent_disk": wanted.disk,
            "rendered_templates_archive": door.put_blob(rendered.archive),
        }
        door.call("apply", spec)
        door.call("run_script", "pre-start", {})
        door.call("start")
        self._wait_until_running(instance, door)
        door.call("run_script", "post-start", {})

    @staticmethod
    def _wait_until_running(instance: Mapping[str, Any], door: Door) -> None:
        limit = time.monotonic() + _START_SECONDS
        while (state := door.call("get_state"))["job_state"] != "running":
            if time.monotonic() > limit or state["job_state"] == "failing":
                failing = ", ".join(p["name"] for p in state["processes"] if p["state"] != "running")
                raise TaskError(
                    400007,
                    f"'{_label(instance)}' is not running after update. Review logs for failed jobs: {failing}",
                )
            time.sleep(_POLL_SECONDS)

    def _packages(self, wanted: InstanceWish) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        target = f"{wanted.stemcell['os']}/{wanted.stemcell['version']}"
        for job in wanted.jobs:
            packages = self.state.data["releases"][job.release][job.version]["packages"]
            queue = list(self._job(job)["spec"].get("packages") or [])
            while queue:
                name = queue.pop()
                entry = packages[name]
                if entry["stemcell"] and entry["stemcell"] != target:
                    raise TaskError(
                        60001,
                        f"Can't use release '{job.release}/{job.version}'. It references packages without source code and are not compiled against stemcell '{target}':\n - '{name}/{entry['fingerprint']}'",
                    )
                found[name] = {**entry, "compiled": bool(entry["stemcell"])}
                queue += [dependency for dependency in entry["dependencies"] if dependency not in found]
        return found

    def _job(self, job: JobWish) -> Mapping[str, Any]:
        entry: Mapping[str, Any] = self.state.data["releases"][job.release][job.version]["jobs"][job.name]
        return entry

    def _stop(self, instance: Mapping[str, Any]) -> None:
        door = Door(**instance["door"])
        try:
            door.call("ping")
        except OSError:
            # A dead machine has nothing to stop; what follows deletes or repairs it.
            return
        for script in ("pre-stop", "post-stop"):
            if script == "post-stop":
                door.call("drain", "shutdown", {})
                door.call("stop")
            door.call("run_script", script, {})

    def _delete_instance(self, task: Task, deployment: str, instance: dict[str, Any]) -> None:
        if instance["vm"]:
            self._stop(instance)
            if self.cpi.call(task, "has_vm", instance["vm"]):
                self.cpi.call(task, "delete_vm", instance["vm"])
        if instance["disk"]:
            self._orphan(deployment, instance, instance["disk"])
        with self.state.changing() as data:
            known = data["deployments"][deployment]
            known["instances"] = [other for other in known["instances"] if other["id"] != instance["id"]]

    def _orphan(self, deployment: str, instance: Mapping[str, Any], disk: str) -> None:
        with self.state.changing() as data:
            data["orphaned_disks"].append(
                {
                    "disk_cid": disk,
                    "size": instance["disk_size"],
                    "deployment_name": deployment,
                    "instance_name": _label(instance),
                    "az": instance["az"],
                    "orphaned_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
                }
            )

    def _instance(self, deployment: str, wanted: InstanceWish) -> dict[str, Any] | None:
        with self.state.lock:
            for instance in self.state.data["deployments"].get(deployment, {}).get("instances", []):
                if (instance["group"], instance["index"]) == (wanted.group, wanted.index):
                    return dict(instance)
        return None

    def _new_instance(self, deployment: str, wanted: InstanceWish) -> dict[str, Any]:
        instance: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "group": wanted.group,
            "index": wanted.index,
            "az": wanted.az,
            "vm_type": wanted.vm_type,
            "ip": str(wanted.address),
            "stemcell": {"name": wanted.stemcell["name"], "version": wanted.stemcell["version"]},
            "vm": None,
            "agent": None,
            "door": None,
            "created": "",
            "disk": None,
            "disk_size": 0,
            "shape": "",
            "content": "",
            "ready": False,
        }
        with self.state.changing() as data:
            data["deployments"][deployment]["instances"].append(instance)
        return dict(instance)

    def _update(self, deployment: str, identity: str, **changes: Any) -> None:
        with self.state.changing() as data:
            for instance in data["deployments"][deployment]["instances"]:
                if instance["id"] == identity:
                    instance.update(changes)


def _network(wanted: InstanceWish) -> dict[str, Any]:
    return {
        "type": "manual",
        "ip": str(wanted.address),
        "netmask": str(wanted.subnet.network.netmask),
        "gateway": str(wanted.subnet.gateway),
        "dns": list(wanted.subnet.dns),
        "default": ["dns", "gateway"],
        "cloud_properties": dict(wanted.subnet.cloud_properties),
    }


def _label(instance: Mapping[str, Any]) -> str:
    return f"{instance['group']}/{instance['id']} ({instance['index']})"


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
