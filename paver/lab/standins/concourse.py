"""The lab's Concourse: login, teams, pipelines, workers; it stores pipelines and runs none. Started by the `web` job.

API: concourse's atc/routes.go. Tokens come from its own issuer, as fly gets them by password.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paver.lab.standins import concourse_config, libyaml, service
from paver.lab.standins.httpd import Exchange, Refusal, Reply, Route

_VERSION = "8.0.1"
_WORKER_VERSION = "2.5"
_VALIDITY = 86400
_HEADER = "x-concourse-config-version"


@dataclass
class Concourse:
    """Teams and pipelines on the persistent disk; tokens in memory, as long as the process lives."""

    config: Mapping[str, Any]
    worker: Mapping[str, Any] | None
    file: Path
    teams: dict[str, dict[str, Any]]
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def routes(self) -> list[Route]:
        """The API."""
        pipeline = "/api/v1/teams/([^/]+)/pipelines/([^/]+)"
        return [
            Route("GET", "/api/v1/info", self.info),
            Route("GET", "/api/v1/info/creds", self.creds),
            Route("POST", "/sky/issuer/token", self.login),
            Route("GET", "/api/v1/user", self.user),
            Route("GET", "/api/v1/workers", self.workers),
            Route("GET", "/api/v1/teams", self.list_teams),
            Route("GET", "/api/v1/teams/([^/]+)", self.get_team),
            Route("PUT", "/api/v1/teams/([^/]+)", self.set_team),
            Route("DELETE", "/api/v1/teams/([^/]+)", self.delete_team),
            Route("GET", "/api/v1/pipelines", self.all_pipelines),
            Route("GET", "/api/v1/teams/([^/]+)/pipelines", self.list_pipelines),
            Route("GET", pipeline, self.get_pipeline),
            Route("DELETE", pipeline, self.delete_pipeline),
            Route("GET", pipeline + "/config", self.get_config),
            Route("PUT", pipeline + "/config", self.set_config),
            Route("PUT", pipeline + "/(pause|unpause|expose|hide)", self.switch),
            Route("GET", pipeline + "/jobs", self.jobs),
        ]

    def info(self, _exchange: Exchange) -> Reply:
        """Says which version this is; needs no token."""
        return Reply(
            200,
            {
                "version": _VERSION,
                "worker_version": _WORKER_VERSION,
                "external_url": self.config["external_url"],
                "cluster_name": "",
                "feature_flags": {"global_resources": False},
            },
        )

    def creds(self, exchange: Exchange) -> Reply:
        """Which secret store pipelines read from."""
        self._main(exchange)
        store = self.config["credhub"]
        return Reply(
            200,
            {
                "credhub": {
                    "url": store["url"],
                    "client_id": store["client"],
                    "health": {"method": "GET /health"},
                }
            },
        )

    def login(self, exchange: Exchange) -> Reply:
        """Gives a token for a local user's password."""
        form = exchange.form()
        if form.get("grant_type") != "password":
            raise Refusal(400, {"error": "unsupported_grant_type"})
        users = dict(entry.split(":", 1) for entry in self.config["users"])
        name = form.get("username", "")
        if name not in users or not hmac.compare_digest(
            users[name].encode(), form.get("password", "").encode()
        ):
            raise Refusal(
                401, {"error": "access_denied", "error_description": "Invalid username or password"}
            )
        exchange.user = name
        token = secrets.token_urlsafe(24)
        self.tokens[token] = (name, time.time() + _VALIDITY)
        return Reply(200, {"access_token": token, "token_type": "bearer", "expires_in": _VALIDITY - 1})

    def user(self, exchange: Exchange) -> Reply:
        """Who is logged in, and where as what."""
        name = self._user(exchange)
        teams = {team: ["owner"] for team in self.teams if name in self._members(team)}
        return Reply(
            200,
            {
                "sub": name,
                "name": name,
                "user_name": name,
                "is_admin": "main" in teams,
                "is_system": False,
                "teams": teams,
                "connector": "local",
            },
        )

    def workers(self, exchange: Exchange) -> Reply:
        """The worker of the same VM, running only if the two jobs' keys fit together."""
        self._user(exchange)
        if self.worker is None:
            return Reply(200, [])
        known = self.worker["key"].split()[:2] in [
            line.split()[:2] for line in self.config["authorized_keys"].splitlines()
        ]
        trusted = self.worker["host_key"].split()[:2] == self.config["host_key"].split()[:2]
        state = "running" if known and trusted else "stalled"
        worker = {
            "name": "bosh-worker",
            "addr": "127.0.0.1:7777",
            "state": state,
            "platform": "linux",
            "version": _WORKER_VERSION,
            "active_containers": 0,
            "active_volumes": 0,
            "active_tasks": 0,
            "tags": [],
            "team": "",
            "start_time": int(time.time()),
            "ephemeral": bool(self.worker["ephemeral"]),
            "resource_types": [
                {"type": name, "image": "", "version": "1.0", "privileged": False}
                for name in ("git", "registry-image", "s3", "semver", "time", "mock")
            ],
        }
        return Reply(200, [worker])

    def list_teams(self, exchange: Exchange) -> Reply:
        """The teams that the caller may see."""
        name = self._user(exchange)
        admin = name in self._members("main")
        return Reply(
            200, [self._team(team) for team in sorted(self.teams) if admin or name in self._members(team)]
        )

    def get_team(self, exchange: Exchange, team: str) -> Reply:
        """One team."""
        self._authorise(exchange, team)
        return Reply(200, {"team": self._team(team)} if exchange.query.get("wrapped") else self._team(team))

    def set_team(self, exchange: Exchange, team: str) -> Reply:
        """Makes or changes a team; only main's owners make one."""
        name = self._user(exchange)
        if name not in self._members("main") and (team not in self.teams or name not in self._members(team)):
            raise Refusal(403, "forbidden")
        wish = exchange.json()
        auth = (wish or {}).get("auth") or {}
        if not any((role.get("users") or role.get("groups")) for role in auth.values()):
            raise Refusal(400, {"errors": ["auth config must not be empty"]})
        with self.lock:
            created = team not in self.teams
            entry = self.teams.setdefault(team, {"id": len(self.teams) + 1, "auth": {}, "pipelines": {}})
            entry["auth"] = auth
            self._save()
        return Reply(201 if created else 200, {"team": self._team(team)})

    def delete_team(self, exchange: Exchange, team: str) -> Reply:
        """Deletes a team with its pipelines; never main."""
        self._main(exchange)
        if team == "main":
            raise Refusal(403, "forbidden")
        self._authorise(exchange, team)
        with self.lock:
            del self.teams[team]
            self._save()
        return Reply(204)

    def all_pipelines(self, exchange: Exchange) -> Reply:
        """The pipelines of the caller's teams."""
        name = self._user(exchange)
        admin = name in self._members("main")
        found = [
            self._pipeline(team, pipeline)
            for team in sorted(self.teams)
            if admin or name in self._members(team)
            for pipeline in self.teams[team]["pipelines"]
        ]
        return Reply(200, found)

    def list_pipelines(self, exchange: Exchange, team: str) -> Reply:
        """A team's pipelines."""
        self._authorise(exchange, team)
        return Reply(200, [self._pipeline(team, name) for name in self.teams[team]["pipelines"]])

    def get_pipeline(self, exchange: Exchange, team: str, name: str) -> Reply:
        """One pipeline."""
        self._known(exchange, team, name)
        return Reply(200, self._pipeline(team, name))

    def delete_pipeline(self, exchange: Exchange, team: str, name: str) -> Reply:
        """Deletes a pipeline."""
        self._known(exchange, team, name)
        with self.lock:
            del self.teams[team]["pipelines"][name]
            self._save()
        return Reply(204)

    def get_config(self, exchange: Exchange, team: str, name: str) -> Reply:
        """A pipeline's config, with its version in a header."""
        known = self._known(exchange, team, name)
        return Reply(200, {"config": known["config"]}, {_HEADER: str(known["version"])})

    def set_config(self, exchange: Exchange, team: str, name: str) -> Reply:
        """Stores a config if the version that the caller has seen is still the current one."""
        self._authorise(exchange, team)
        document = libyaml.loads(exchange.body())
        errors = _errors(document)
        if errors:
            raise Refusal(400, {"errors": errors})
        seen = exchange.headers.get(_HEADER)
        with self.lock:
            pipelines = self.teams[team]["pipelines"]
            known = pipelines.get(name)
            if known is not None and seen != str(known["version"]):
                raise Refusal(
                    500 if seen is None else 409, "comparison with existing config failed during save"
                )
            pipelines[name] = {
                "id": known["id"] if known else sum(len(t["pipelines"]) for t in self.teams.values()) + 1,
                # One sequence counts the configs of all pipelines.
                "version": 1
                + max(
                    (p["version"] for t in self.teams.values() for p in t["pipelines"].values()), default=0
                ),
                "config": concourse_config.kept(document),
                "paused": known["paused"] if known else True,
                "public": known["public"] if known else False,
                "updated": int(time.time()),
            }
            self._save()
        return Reply(200 if known else 201, {"warnings": []} if known else {})

    def switch(self, exchange: Exchange, team: str, name: str, verb: str) -> Reply:
        """Pauses, unpauses, shows or hides a pipeline."""
        known = self._known(exchange, team, name)
        with self.lock:
            known["paused" if "pause" in verb else "public"] = verb in ("pause", "expose")
            self._save()
        return Reply(200)

    def jobs(self, exchange: Exchange, team: str, name: str) -> Reply:
        """A pipeline's jobs; none has ever run."""
        known = self._known(exchange, team, name)
        found = [
            {
                "id": number,
                "name": job["name"],
                "team_name": team,
                "pipeline_name": name,
                "next_build": None,
                "finished_build": None,
            }
            for number, job in enumerate(known["config"].get("jobs") or [], start=1)
        ]
        return Reply(200, found)

    def _user(self, exchange: Exchange) -> str:
        kind, _, token = exchange.headers.get("authorization", "").partition(" ")
        name, expires = self.tokens.get(token.strip(), ("", 0.0))
        if kind.lower() != "bearer" or expires <= time.time():
            raise Refusal(401, "not authorized")
        exchange.user = name
        return name

    def _main(self, exchange: Exchange) -> None:
        if self._user(exchange) not in self._members("main"):
            raise Refusal(403, "forbidden")

    def _authorise(self, exchange: Exchange, team: str) -> None:
        name = self._user(exchange)
        if team not in self.teams:
            raise Refusal(404, "")
        if name not in self._members(team) and name not in self._members("main"):
            raise Refusal(403, "forbidden")

    def _known(self, exchange: Exchange, team: str, name: str) -> dict[str, Any]:
        self._authorise(exchange, team)
        if name not in self.teams[team]["pipelines"]:
            raise Refusal(404, "")
        known: dict[str, Any] = self.teams[team]["pipelines"][name]
        return known

    def _members(self, team: str) -> set[str]:
        roles = self.teams[team]["auth"].values()
        return {user.removeprefix("local:") for role in roles for user in role.get("users") or []}

    def _team(self, team: str) -> dict[str, Any]:
        return {"id": self.teams[team]["id"], "name": team, "auth": self.teams[team]["auth"]}

    def _pipeline(self, team: str, name: str) -> dict[str, Any]:
        known = self.teams[team]["pipelines"][name]
        return {
            "id": known["id"],
            "name": name,
            "team_name": team,
            "paused": known["paused"],
            "public": known["public"],
            "archived": False,
            "last_updated": known["updated"],
        }

    def _save(self) -> None:
        service.save(self.file, self.teams)


def _errors(document: Any) -> list[str]:
    if not isinstance(document, dict):
        return ["malformed config: not a mapping"]
    unknown = concourse_config.unknown(document)
    if unknown:
        return [f"malformed config: unknown field(s): {', '.join(unknown)}"]
    if not document.get("jobs"):
        return ["invalid jobs: jobs: pipeline must contain at least one job"]
    known = {resource.get("name") for resource in document.get("resources") or []}
    errors = []
    for job in document["jobs"]:
        if not job.get("name") or not job.get("plan"):
            errors.append("invalid jobs: a job needs a name and a plan")
            continue
        for position, step in enumerate(job["plan"]):
            for verb in ("get", "put"):
                wanted = step.get("resource") or step.get(verb)
                if verb in step and wanted not in known:
                    errors.append(
                        f"invalid jobs: jobs.{job['name']}.plan.do[{position}].{verb}({step[verb]}): unknown resource '{wanted}'"
                    )
    return errors


def _routes(setting: service.Setting) -> list[Route]:
    file = setting.store("concourse") / "teams.json"
    teams: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    main = teams.setdefault("main", {"id": 1, "auth": {}, "pipelines": {}})
    main["auth"] = {
        "owner": {
            "users": [f"local:{user}" for user in setting.config["main_team"]],
            "groups": [f"oauth:{group}" for group in setting.config["main_groups"]],
        }
    }
    jobs = Path(os.environ.get("BOSH_JOBS_DIR", setting.root / "jobs"))
    worker = jobs / "worker" / "config" / "worker.json"
    seen = json.loads(worker.read_text(encoding="utf-8")) if worker.is_file() else None
    return Concourse(setting.config, seen, file, teams).routes()


if __name__ == "__main__":
    sys.exit(service.run("concourse", _routes))
