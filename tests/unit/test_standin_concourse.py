"""The lab's Concourse: who may do what, and what it refuses in pipelines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from paver.lab.standins.concourse import Concourse
from tests.support.standin import Api

CONFIG: dict[str, Any] = {
    "external_url": "https://10.30.0.10",
    "users": ["admin:secret", "dev:other"],
    "credhub": {"url": "https://10.30.0.10:8844/api/", "client": "concourse_to_credhub"},
    "authorized_keys": "ssh-rsa AAAAworker\n",
    "host_key": "ssh-rsa AAAAhost",
}
WORKER = {"key": "ssh-rsa AAAAworker", "host_key": "ssh-rsa AAAAhost", "ephemeral": True}
PIPELINE = {
    "resources": [{"name": "image", "type": "registry-image", "source": {}}],
    "jobs": [{"name": "smoke", "plan": [{"get": "image"}]}],
}
CONFIG_PATH = "/api/v1/teams/platform/pipelines/smoke/config"


def concourse(folder: Path, worker: dict[str, Any] | None = None) -> Concourse:
    main = {"id": 1, "auth": {"owner": {"users": ["local:admin"]}}, "pipelines": {}}
    return Concourse(CONFIG, worker, folder / "teams.json", {"main": main})


@pytest.fixture
def api(tmp_path: Path) -> Api:
    found = Api(concourse(tmp_path, WORKER).routes())
    found.authorization = login(found, "admin", "secret")
    return found


def login(api: Api, name: str, password: str) -> str:
    wish = (("grant_type", "password"), ("username", name), ("password", password), ("scope", "openid"))
    return f"bearer {api.ok('POST', '/sky/issuer/token', wish)['access_token']}"


def test_a_team_is_made_by_mains_owner_and_used_by_its_own(api: Api) -> None:
    assert (
        api.call("PUT", "/api/v1/teams/platform", {"auth": {"owner": {"users": ["local:dev"]}}}).status == 201
    )
    assert (
        api.call("PUT", "/api/v1/teams/platform", {"auth": {"owner": {"users": ["local:dev"]}}}).status == 200
    )
    api.authorization = login(api, "dev", "other")
    assert [team["name"] for team in api.ok("GET", "/api/v1/teams")] == ["platform"]
    api.refused(403, "PUT", "/api/v1/teams/mine", {"auth": {"owner": {"users": ["local:dev"]}}})
    api.refused(403, "GET", "/api/v1/teams/main/pipelines")


def test_a_pipeline_is_stored_paused_and_changed_only_by_who_saw_it_last(api: Api) -> None:
    api.ok("PUT", "/api/v1/teams/platform", {"auth": {"owner": {"users": ["local:admin"]}}})
    assert api.call("PUT", CONFIG_PATH, json.dumps(PIPELINE)).status == 201
    [listed] = api.ok("GET", "/api/v1/teams/platform/pipelines")
    assert (listed["name"], listed["paused"]) == ("smoke", True)
    shown = api.call("GET", CONFIG_PATH)
    assert shown.body["config"] == {
        "resources": [{"name": "image", "type": "registry-image", "source": {}}],
        "jobs": [{"name": "smoke", "plan": [{"get": "image"}]}],
    }
    version = shown.headers["x-concourse-config-version"]
    api.refused(409, "PUT", CONFIG_PATH, json.dumps(PIPELINE), x_concourse_config_version="7")
    api.ok("PUT", CONFIG_PATH, json.dumps(PIPELINE), x_concourse_config_version=version)
    api.ok("PUT", "/api/v1/teams/platform/pipelines/smoke/unpause")
    assert api.ok("GET", "/api/v1/teams/platform/pipelines/smoke")["paused"] is False
    api.ok("DELETE", "/api/v1/teams/platform/pipelines/smoke")
    assert api.ok("GET", "/api/v1/pipelines") == []


def test_a_pipeline_is_shown_as_concourse_keeps_it_and_not_as_it_was_written(api: Api) -> None:
    written = """
shared: &shared {trigger: false, params: {}}
resources:
- {name: night, type: time}
jobs:
- name: all
  serial: false
  public: true
  plan:
  - in_parallel:
    - {get: night, <<: *shared}
    - try: {task: deep, config: {platform: linux, params: {DEEP: null}, run: {path: sh, dir: ""}}}
  - in_parallel: {limit: 0, steps: [{put: night, params: {count: 3}}]}
  - task: run
    params: {COUNT: 3, FLAG: true, LIST: [1, 2], TEXT: "3"}
    config: {platform: linux, caches: [], run: {path: sh, args: []}}
    ensure: {do: [{get: night, trigger: true}]}
"""
    api.ok("PUT", "/api/v1/teams/main/pipelines/all/config", written)
    assert api.ok("GET", "/api/v1/teams/main/pipelines/all/config")["config"] == {
        "resources": [{"name": "night", "type": "time", "source": None}],
        "jobs": [
            {
                "name": "all",
                "public": True,
                "plan": [
                    {
                        "in_parallel": {
                            "steps": [
                                {"get": "night"},
                                {
                                    "try": {
                                        "task": "deep",
                                        "config": {
                                            "platform": "linux",
                                            "params": {"DEEP": ""},
                                            "run": {"path": "sh"},
                                        },
                                    }
                                },
                            ]
                        }
                    },
                    {"in_parallel": {"steps": [{"put": "night", "params": {"count": 3}}]}},
                    {
                        "task": "run",
                        "params": {"COUNT": "3", "FLAG": "true", "LIST": "[1,2]", "TEXT": "3"},
                        "config": {"platform": "linux", "run": {"path": "sh"}},
                        "ensure": {"do": [{"get": "night", "trigger": True}]},
                    },
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[]", "not a mapping"),
        ('{"job": []}', "at least one job"),
        ('{"jobs": [{"name": "a", "plan": [], "serail": true}]}', "unknown field(s): serail"),
        ('{"jobs": []}', "at least one job"),
        ('{"jobs": [{"name": "a", "plan": [{"get": "none"}]}]}', "unknown resource 'none'"),
        ('{"jobs": [{"name": "a"}]}', "needs a name and a plan"),
    ],
)
def test_a_pipeline_is_refused(api: Api, config: str, words: str) -> None:
    assert words in api.refused(400, "PUT", "/api/v1/teams/main/pipelines/x/config", config)


def test_a_wrong_password_and_no_token_are_refused(api: Api) -> None:
    wish = (("grant_type", "password"), ("username", "admin"), ("password", "wrong"))
    api.refused(401, "POST", "/sky/issuer/token", wish)
    api.authorization = ""
    api.refused(401, "GET", "/api/v1/teams")
    assert api.ok("GET", "/api/v1/info")["version"]


def test_a_team_nobody_may_enter_and_the_end_of_main_are_refused(api: Api) -> None:
    assert "must not be empty" in api.refused(
        400, "PUT", "/api/v1/teams/x", {"auth": {"owner": {"users": []}}}
    )
    api.refused(403, "DELETE", "/api/v1/teams/main")


@pytest.mark.parametrize(
    ("changes", "state"),
    [({}, "running"), ({"key": "ssh-rsa BBBB"}, "stalled"), ({"host_key": "ssh-rsa BBBB"}, "stalled")],
)
def test_a_worker_runs_only_if_its_keys_fit(tmp_path: Path, changes: dict[str, str], state: str) -> None:
    api = Api(concourse(tmp_path, {**WORKER, **changes}).routes())
    api.authorization = login(api, "admin", "secret")
    assert [worker["state"] for worker in api.ok("GET", "/api/v1/workers")] == [state]
