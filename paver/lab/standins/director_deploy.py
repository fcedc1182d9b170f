"""Deploying a manifest: variables, plan, rendering, and only then the first VM that is touched."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paver.lab.standins import (
    director_configs,
    director_instances,
    director_interpolation,
    director_manifest,
    director_render,
)
from paver.lab.standins.director_instances import Instances
from paver.lab.standins.director_machines import Cpi
from paver.lab.standins.director_network import Address
from paver.lab.standins.director_properties import canonical, prop
from paver.lab.standins.director_render import JobInput, Rendered
from paver.lab.standins.director_state import State
from paver.lab.standins.director_tasks import Task, TaskError
from paver.lab.standins.director_variables import ConfigServer, Value
from paver.lab.standins.director_vms import Options, Place, Vms
from paver.lab.standins.director_wish import InstanceWish, Known, Wish

_LATER = frozenset({"properties", "env", "cloud_properties"})
"""Whose values come when a VM is made, not while what was written is read."""


@dataclass
class Deployer:
    """Carries out deploys and deletes; `own` are the addresses of the director's VM, which it gives to nobody."""

    state: State
    cpi: Cpi
    config_server: ConfigServer
    name: str
    agent_env: Mapping[str, Any]
    agent_ca: Mapping[str, str]
    own: tuple[Address, ...] = ()

    def begin(self, deployment: str) -> None:
        """Makes a deployment known as soon as it is asked for: one that is refused later is there, without a manifest."""
        with self.state.changing() as data:
            known = data["deployments"]
            if deployment in known:
                return
            name = canonical(deployment)
            if name in map(canonical, known):
                raise TaskError(
                    190009, f"Invalid deployment name '{deployment}', canonical name already taken ('{name}')"
                )
            known[deployment] = {
                "instances": [],
                "manifest": None,
                "releases": [],
                "stemcells": [],
                "variables": [],
            }

    def deploy(self, task: Task, text: str, options: Options) -> str:
        """Converges on a manifest; returns the task's short result."""
        with task.step("Preparing deployment", "Preparing deployment"):
            manifest = director_configs.manifest(text)
            deployment = prop(manifest, "name", str)
            configs = {
                kind: [
                    director_configs.content(config["content"]) for config in self.state.current_configs(kind)
                ]
                for kind in ("cloud", "runtime", "cpi")
            }
            values = self._values([manifest, *configs["runtime"], *configs["cloud"]], deployment)
            plain = {name: value.value for name, value in values.items()}
            named = {
                kind: [director_interpolation.interpolate(one, plain, _LATER) for one in documents]
                for kind, documents in configs.items()
            }
            known = self._known(deployment, named)
            wish = director_manifest.plan(director_interpolation.interpolate(manifest, plain, _LATER), known)
            instances = [_filled(wanted, plain) for wanted in wish.instances]
            self._bind(deployment, wish, values)
        with task.step("Preparing deployment", "Rendering templates"):
            rendered = [
                (wanted, self._render(wanted, deployment)) for wanted in instances if not wanted.errand
            ]
        if options.dry_run:
            return f"/deployments/{deployment}"
        vms = self._vms(deployment)
        self._remove_unwanted(task, vms, wish)
        for position, (wanted, jobs) in enumerate(rendered, start=1):
            vms.converge(task, wanted, jobs, options, Place(position, len(rendered)))
        # Last, as the real one does: a deploy that fails leaves the manifest of the one before it.
        with self.state.changing() as data:
            data["deployments"][deployment]["manifest"] = text
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

    def _values(self, documents: list[dict[str, Any]], deployment: str) -> dict[str, Value]:
        declared = [wish for document in documents for wish in document.get("variables") or []]
        bodies = [{key: value for key, value in each.items() if key != "variables"} for each in documents]
        names = director_interpolation.variables_in(bodies)
        if not names and not declared:
            return {}
        return self.config_server.resolve(names, declared, self.name, deployment)

    def _known(self, deployment: str, configs: Mapping[str, list[dict[str, Any]]]) -> Known:
        cloud = director_configs.cloud_config(director_configs.merged(configs["cloud"]), self.own)
        runtime = tuple(director_configs.runtime_config(document) for document in configs["runtime"])
        cpis = [prop(cpi, "name", str) for document in configs["cpi"] for cpi in prop(document, "cpis", list)]
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
                        label = f"{instance['group']}/{instance['id']}"
                        taken[address] = f"instance '{label}' from deployment '{name}'"
            return Known(
                data["releases"],
                tuple(data["stemcells"]),
                cloud,
                runtime,
                taken,
                kept,
                frozenset(cpis) if configs["cpi"] else None,
            )

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

    def _bind(self, deployment: str, wish: Wish, values: Mapping[str, Value]) -> None:
        """Notes what a deployment uses, also if it comes no further."""
        with self.state.changing() as data:
            data["deployments"][deployment] |= {
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


def _filled(wanted: InstanceWish, values: Mapping[str, Any]) -> InstanceWish:
    """Puts the values in that stay out while a manifest is read."""

    def put_in(content: Any) -> Any:
        return director_interpolation.interpolate(content, values)

    jobs = tuple(dataclasses.replace(job, properties=put_in(job.properties)) for job in wanted.jobs)
    subnet = dataclasses.replace(wanted.subnet, cloud_properties=put_in(wanted.subnet.cloud_properties))
    return dataclasses.replace(
        wanted,
        jobs=jobs,
        subnet=subnet,
        env=put_in(wanted.env),
        cloud_properties=put_in(wanted.cloud_properties),
        disk_properties=put_in(wanted.disk_properties),
    )
