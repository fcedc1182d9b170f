"""The lab's BOSH director, as far as the official CLI 7.4.0 and paver speak to it. Started by the `director` job.

API: bosh's src/bosh-director/lib/bosh/director/api/controllers, and the CLI's `director` package. Callers
bear UAA's tokens. Whatever takes time is a task; what is listed comes from one document on the persistent disk. Tasks of
deployments alone keep the caller's context id: deployments_controller.rb hands it on, all others drop it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paver.lab.standins import director_views, service
from paver.lab.standins.director_deploy import Deployer
from paver.lab.standins.director_library import Library
from paver.lab.standins.director_machines import Cpi
from paver.lab.standins.director_network import Address
from paver.lab.standins.director_settings import Configs
from paver.lab.standins.director_state import State
from paver.lab.standins.director_tasks import Task, TaskError, Tasks
from paver.lab.standins.director_variables import ConfigServer
from paver.lab.standins.director_views import Views
from paver.lab.standins.director_vms import Options
from paver.lab.standins.httpd import Exchange, Handler, Refusal, Reply, Route
from paver.lab.standins.tokens import Verifier

_ADMIN = frozenset({"bosh.admin"})
_READ = _ADMIN | {"bosh.read"}
_UPLOAD_RELEASE = _ADMIN | {"bosh.releases.upload"}
_UPLOAD_STEMCELL = _ADMIN | {"bosh.stemcells.upload"}


@dataclass
class Director:
    """The API."""

    state: State
    tasks: Tasks
    library: Library
    deployer: Deployer
    views: Views
    configs: Configs
    verifier: Verifier

    def routes(self) -> list[Route]:
        """Every path, with the scopes that it wants."""
        read, admin = self._wanting(_READ), self._wanting(_ADMIN)
        views, configs, library = self.views, self.configs, self.library
        return [
            Route("GET", "/info", self.info),
            Route("GET", "/tasks", read(views.list_tasks)),
            Route("GET", "/tasks/([0-9]+)", read(views.task)),
            Route("GET", "/tasks/([0-9]+)/output", read(views.task_output)),
            Route("GET", "/releases", read(lambda _: Reply(200, library.releases()))),
            Route("POST", "/releases", self._wanting(_UPLOAD_RELEASE)(self.upload_release)),
            Route("GET", "/releases/([^/]+)", read(self.release)),
            Route("DELETE", "/releases/([^/]+)", admin(self.delete_release)),
            Route("POST", "/packages/matches(?:_compiled)?", read(lambda _: Reply(200, []))),
            Route("GET", "/stemcells", read(lambda _: Reply(200, library.stemcells()))),
            Route("POST", "/stemcells", self._wanting(_UPLOAD_STEMCELL)(self.upload_stemcell)),
            Route("POST", "/stemcell_uploads", self._wanting(_READ | _UPLOAD_STEMCELL)(self.stemcell_needed)),
            Route("DELETE", "/stemcells/([^/]+)/([^/]+)", admin(self.delete_stemcell)),
            *configs.routes(read, admin),
            Route("GET", "/deployments", read(views.list_deployments)),
            Route("POST", "/deployments", admin(self.deploy)),
            Route("GET", "/deployments/([^/]+)", read(views.deployment)),
            Route("DELETE", "/deployments/([^/]+)", admin(self.delete_deployment)),
            Route("POST", "/deployments/([^/]+)/diff", read(views.diff)),
            Route("GET", "/deployments/([^/]+)/(vms|instances)", read(self.instances)),
            Route("GET", "/deployments/([^/]+)/variables", read(views.variables)),
            Route("GET", "/deployments/([^/]+)/errands", read(views.errands)),
            Route("GET", "/locks", read(views.locks)),
            Route("GET", "/events", read(views.events)),
            Route("GET", "/disks", read(lambda _: Reply(200, self.state.data["orphaned_disks"]))),
            Route("DELETE", "/disks/([^/]+)", admin(self.delete_disk)),
            Route("GET", "/orphaned_vms", read(lambda _: Reply(200, []))),
            Route("GET", "/networks", read(lambda _: Reply(200, []))),
            Route("GET", "/cleanup/dryrun", read(self.clean_up_dry)),
            Route("POST", "/cleanup", admin(self.clean_up)),
        ]

    def info(self, exchange: Exchange) -> Reply:
        """Says who this is; `user` only to who is logged in."""
        user = None
        if exchange.headers.get("authorization"):
            user = str(director_views.user_of(self.verifier.authorise(exchange, _READ)))
        return Reply(200, self.views.info(user))

    def upload_release(self, exchange: Exchange) -> Reply:
        """Starts taking a release in."""
        path, fix = self._received(exchange), exchange.query.get("fix") == "true"
        return self._task(
            exchange, "create release", lambda task: self.library.add_release(task, path, fix=fix)
        )

    def release(self, exchange: Exchange, name: str) -> Reply:
        """One release's jobs and packages."""
        version = exchange.query.get("version", "")
        found = self.library.release(name, version)
        if found is None:
            raise Refusal(
                404, {"code": 30006, "description": f"Release version '{name}/{version}' doesn't exist"}
            )
        return Reply(200, found)

    def delete_release(self, exchange: Exchange, name: str) -> Reply:
        """Starts deleting a release or one version of it."""
        version = exchange.query.get("version")
        if not self.library.has_release(name):
            raise Refusal(404, {"code": 30005, "description": f"Release '{name}' doesn't exist"})
        return self._task(
            exchange, f"delete release: {name}", lambda task: self.library.delete_release(task, name, version)
        )

    def upload_stemcell(self, exchange: Exchange) -> Reply:
        """Starts taking a stemcell in."""
        path, fix = self._received(exchange), exchange.query.get("fix") == "true"
        return self._task(
            exchange, "create stemcell", lambda task: self.library.add_stemcell(task, path, fix=fix)
        )

    def stemcell_needed(self, exchange: Exchange) -> Reply:
        """Whether a stemcell isn't here yet."""
        # A question, whatever its verb.
        exchange.write = False
        wish = exchange.json()["stemcell"]
        known = [(s["name"], s["version"]) for s in self.state.data["stemcells"]]
        return Reply(200, {"needed": (wish["name"], str(wish["version"])) not in known})

    def delete_stemcell(self, exchange: Exchange, name: str, version: str) -> Reply:
        """Starts deleting a stemcell."""
        return self._task(
            exchange,
            f"delete stemcell: {name}/{version}",
            lambda task: self.library.delete_stemcell(task, name, version),
        )

    def deploy(self, exchange: Exchange) -> Reply:
        """Starts converging on a manifest."""
        text = exchange.body().decode()
        if not exchange.headers.get("content-type", "").startswith("text/yaml"):
            raise Refusal(415, {"code": 440001, "description": "Content-Type has to be text/yaml"})
        query = exchange.query
        options = Options(*(query.get(name) == "true" for name in ("recreate", "fix", "dry_run")))
        name = director_views.manifest_of(text).get("name")
        if not name:
            raise Refusal(400, {"code": 40001, "description": "Deployment manifest must have a 'name' key"})
        name = str(name)
        try:
            self.deployer.begin(name)
        except TaskError as error:
            raise Refusal(400, {"code": error.code, "description": str(error)}) from error
        return self._task(
            exchange,
            "create deployment",
            lambda task: self.deployer.deploy(task, text, options),
            name,
            exchange.headers.get("x-bosh-context-id", ""),
        )

    def delete_deployment(self, exchange: Exchange, name: str) -> Reply:
        """Starts deleting a deployment."""
        self.views.known(name)
        return self._task(
            exchange,
            f"delete deployment {name}",
            lambda task: self.deployer.delete(task, name),
            name,
            exchange.headers.get("x-bosh-context-id", ""),
        )

    def instances(self, exchange: Exchange, name: str, kind: str) -> Reply:
        """The VMs or instances: at once in short, as a task with `format=full`."""
        self.views.known(name)
        if exchange.query.get("format") != "full":
            return Reply(200, self.views.short_instances(name, only_vms=kind == "vms"))

        def action(task: Task) -> str:
            return self.views.full_instances(task, name, only_vms=kind == "vms")

        return self._task(exchange, f"retrieve {'vm' if kind == 'vms' else 'instance'}-stats", action)

    def delete_disk(self, exchange: Exchange, disk: str) -> Reply:
        """Starts deleting an orphaned disk."""
        return self._task(exchange, f"delete disk {disk}", lambda task: self.library.delete_disk(task, disk))

    def clean_up(self, exchange: Exchange) -> Reply:
        """Starts a clean-up."""
        config = (exchange.json() or {}).get("config") or {}
        everything, keep = bool(config.get("remove_all")), bool(config.get("keep_orphaned_disks"))
        return self._task(
            exchange,
            "clean up all" if everything else "clean up",
            lambda task: self.library.clean_up(task, everything=everything, keep_disks=keep),
        )

    def clean_up_dry(self, exchange: Exchange) -> Reply:
        """What a clean-up would delete."""
        spare = self.library.unused(everything=exchange.query.get("remove_all") == "true")
        return Reply(
            200,
            {
                "releases": [{"name": name, "versions": [version]} for name, version in spare["releases"]],
                "stemcells": [
                    s for s in self.library.stemcells() if (s["name"], s["version"]) in spare["stemcells"]
                ],
                "compiled_packages": [],
                "orphaned_disks": self.state.data["orphaned_disks"],
                "orphaned_vms": [],
                "exported_releases": [],
                "dns_blobs": [],
            },
        )

    def _wanting(self, scopes: frozenset[str]) -> Callable[[Handler], Handler]:
        def wrap(handler: Handler) -> Handler:
            def guarded(exchange: Exchange, *arguments: str) -> Reply:
                self.verifier.authorise(exchange, scopes)
                return handler(exchange, *arguments)

            return guarded

        return wrap

    def _task(
        self,
        exchange: Exchange,
        description: str,
        action: Callable[[Task], str],
        deployment: str = "",
        context: str = "",
    ) -> Reply:
        identity = self.tasks.begin(description, exchange.user, action, deployment, context)
        return Reply(302, None, {"location": f"/tasks/{identity}"})

    def _received(self, exchange: Exchange) -> Path:
        if exchange.headers.get("content-type") != "application/x-compressed":
            raise Refusal(
                400,
                {
                    "code": 30001,
                    "description": "The lab's director takes uploads only: it has no way out to fetch a location",
                },
            )
        descriptor, name = tempfile.mkstemp(dir=self.state.folder, prefix="upload-")
        with os.fdopen(descriptor, "wb") as file:
            for chunk in exchange.chunks():
                file.write(chunk)
        return Path(name)


def _routes(setting: service.Setting) -> list[Route]:
    config = setting.config
    folder = setting.store("director")
    for leftover in folder.glob("upload-*"):
        leftover.unlink()
    state = State.open(folder)
    jobs = Path(os.environ.get("BOSH_JOBS_DIR", setting.root / "jobs"))
    cpi = Cpi(jobs / config["cpi_job"] / "bin" / "cpi", state.data["uuid"])
    config_server = ConfigServer(config["credhub_url"], config["credhub_ca"], config["credhub_uaa"])
    tasks = Tasks(state)
    agents, own = (config["agent_env"], config["agent_ca"]), (Address(setting.address),)
    deployer = Deployer(state, cpi, config_server, config["name"], *agents, own)
    views = Views(state, tasks, config["name"], config["cpi_job"], config["uaa_url"])
    director = Director(
        state,
        tasks,
        Library(state, cpi),
        deployer,
        views,
        Configs(state),
        Verifier.from_pem(config["uaa_public_key"]),
    )
    return director.routes()


if __name__ == "__main__":
    sys.exit(service.run("director", _routes))
