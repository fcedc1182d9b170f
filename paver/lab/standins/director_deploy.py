"""Deploying a manifest: variables, plan, rendering, and only then the first VM that is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paver.lab.standins import (
    director_configs,
    director_instances,
    director_interpolation,
    director_manifest,
    director_network,
    director_render,
)
from paver.lab.standins.director_instances import Instances
from paver.lab.standins.director_machines import Cpi
from paver.lab.standins.director_manifest import InstanceWish, Known, Wish
from paver.lab.standins.director_network import Address
from paver.lab.standins.director_render import JobInput, Rendered
from paver.lab.standins.director_state import State
from paver.lab.standins.director_tasks import Task, TaskError
from paver.lab.standins.director_variables import ConfigServer, Value
from paver.lab.standins.director_vms import Options, Place, Vms


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
                director_configs.load(config["content"], "runtime config")
                for config in self.state.current_configs("runtime")
            ]
            values = self._values(manifest, runtime, deployment)
            plain = {name: value.value for name, value in values.items()}
            wish = director_manifest.plan(
                director_interpolation.interpolate(manifest, plain),
                self._known(
                    deployment, [director_interpolation.interpolate(config, plain) for config in runtime]
                ),
            )
        with task.step("Preparing deployment", "Rendering templates"):
            rendered = [
                (wanted, self._render(wanted, deployment)) for wanted in wish.instances if not wanted.errand
            ]
        if options.dry_run:
            return f"/deployments/{deployment}"
        self._remember(deployment, text, wish, values)
        vms = self._vms(deployment)
        self._remove_unwanted(task, vms, wish)
        for position, (wanted, jobs) in enumerate(rendered, start=1):
            vms.converge(task, wanted, jobs, options, Place(position, len(rendered)))
        return f"/deployments/{deployment}"

    def delete(self, task: Task, deployment: str) -> str:
        """Deletes the VMs, orphans the disks, forgets the deployment."""
        vms = self._vms(deployment)
        instances = vms.instances.all()
        for position, instance in enumerate(instances, start=1):
            with task.step(
                "Deleting instances", director_instances.label(instance), position, len(instances)
            ):
                vms.delete(task, instance)
        with (
            task.step("Removing deployment artifacts", "Destroying deployment"),
            self.state.changing() as data,
        ):
            data["deployments"].pop(deployment, None)
        return f"/deployments/{deployment}"

    def _vms(self, deployment: str) -> Vms:
        return Vms(
            self.state, self.cpi, Instances(self.state, deployment), self.name, self.agent_env, self.agent_ca
        )

    def _values(
        self, manifest: Mapping[str, Any], runtime: list[dict[str, Any]], deployment: str
    ) -> dict[str, Value]:
        documents = [manifest, *runtime]
        declared = [wish for document in documents for wish in document.get("variables") or []]
        bodies = [{key: value for key, value in each.items() if key != "variables"} for each in documents]
        names = director_interpolation.variables_in(bodies)
        if not names and not declared:
            return {}
        return self.config_server.resolve(names, declared, self.name, deployment)

    def _known(self, deployment: str, runtime: list[Mapping[str, Any]]) -> Known:
        merged: dict[str, Any] = {}
        for config in self.state.current_configs("cloud"):
            for key, value in director_configs.load(config["content"], "cloud config").items():
                merged[key] = merged[key] + value if isinstance(merged.get(key), list) else value
        if not merged:
            raise TaskError(440010, "Deployment manifest needs a cloud config, and there is none")
        taken: dict[Address, str] = {}
        kept: dict[tuple[str, int], Address] = {}
        with self.state.lock:
            data = self.state.data
            for name, known in data["deployments"].items():
                for instance in known["instances"]:
                    address = Address(instance["ip"])
                    if name == deployment:
                        kept[instance["group"], instance["index"]] = address
                    else:
                        label = director_instances.label(instance)
                        taken[address] = f"instance '{label}' from deployment '{name}'"
            cloud = director_configs.cloud_config(merged)
            return Known(data["releases"], tuple(data["stemcells"]), cloud, tuple(runtime), taken, kept)

    def _render(self, wanted: InstanceWish, deployment: str) -> Rendered:
        spec = {
            "name": wanted.group,
            "index": wanted.index,
            "id": f"{deployment}-{wanted.group}-{wanted.index}",
            "az": wanted.az,
            "bootstrap": wanted.index == 0,
            "deployment": deployment,
            "ip": str(wanted.address),
            "address": str(wanted.address),
            "networks": {wanted.network: director_instances.network(wanted)},
            "persistent_disk": wanted.disk,
        }
        jobs = []
        for job in wanted.jobs:
            entry = self.state.data["releases"][job.release][job.version]["jobs"][job.name]
            jobs.append(JobInput(job.name, self.state.blob(entry["blob"]), entry["spec"], job.properties))
        return director_render.render(jobs, spec)

    def _remember(self, deployment: str, text: str, wish: Wish, values: Mapping[str, Value]) -> None:
        with self.state.changing() as data:
            known = data["deployments"].setdefault(deployment, {"instances": []})
            known |= {
                "manifest": text,
                "releases": [{"name": name, "version": version} for name, version in wish.releases],
                "stemcells": [{"name": s["name"], "version": s["version"]} for s in wish.stemcells],
                "variables": sorted({(value.identity, value.name) for value in values.values()}),
            }

    @staticmethod
    def _remove_unwanted(task: Task, vms: Vms, wish: Wish) -> None:
        wanted = {(one.group, one.index) for one in wish.instances if not one.errand}
        unwanted = [one for one in vms.instances.all() if (one["group"], one["index"]) not in wanted]
        for position, instance in enumerate(unwanted, start=1):
            label = director_instances.label(instance)
            with task.step("Deleting unneeded instances", label, position, len(unwanted)):
                vms.delete(task, instance)
