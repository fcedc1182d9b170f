"""What the lab's director checks of configs and manifests when they come, and what only when the two meet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from paver.lab.standins.director_state import State
from tests.support.director import director, ended
from tests.support.standin import Api
from tests.unit.test_standin_manifest import CLOUD, MANIFEST, RELEASES, STEMCELLS, changed, first, subnet

WRONG = changed(CLOUD, subnet(static=["10.31.0.11"]))


@pytest.fixture
def bosh(tmp_path: Path) -> tuple[Api, State]:
    api, state = director(tmp_path / "director")
    with state.changing() as data:
        data["releases"] |= json.loads(json.dumps(RELEASES))
        data["stemcells"] += STEMCELLS
    return api, state


def upload(api: Api, kind: str, content: Any, name: str = "default") -> Any:
    return api.ok("POST", "/configs", {"type": kind, "name": name, "content": yaml.safe_dump(content)})


def deploy(api: Api, manifest: Any = MANIFEST) -> dict[str, Any]:
    reply = api.call("POST", "/deployments", yaml.safe_dump(manifest), content_type="text/yaml")
    assert reply.status == 302, reply.body
    return ended(api, reply.headers["location"])


def test_any_yaml_hash_is_taken_as_a_config_and_read_when_a_manifest_meets_it(
    bosh: tuple[Api, State],
) -> None:
    api, _ = bosh
    for kind, content in (("cloud", WRONG), ("runtime", {"addons": "none"}), ("anything", {"a": {}})):
        assert upload(api, kind, content)["type"] == kind
    assert api.call("POST", "/cloud_configs", yaml.safe_dump({"azs": 1})).status == 201
    upload(api, "cloud", WRONG)
    task = deploy(api)
    assert (task["state"], task["result"]) == (
        "error",
        "Static IP '10.31.0.11/32' is out of network 'bosh' range",
    )
    upload(api, "cloud", CLOUD)
    assert (
        deploy(api)["result"] == "Property 'addons' value (\"none\") did not match the required type 'Array'"
    )
    upload(api, "runtime", {"releases": [{"name": "absent", "version": 3}]})
    assert deploy(api)["state"] == "done"


def test_a_deployment_without_a_cloud_config_fails_for_want_of_networks(bosh: tuple[Api, State]) -> None:
    api, _ = bosh
    assert deploy(api)["result"] == "Required property 'networks' was not specified in object ({})"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "Invalid JSON request body: "),
        ([], "JSON object expected"),
        ({"name": "default", "content": "{}"}, "'type' is required"),
        ({"type": "cloud", "content": "{}"}, "'name' is required"),
        ({"type": 1, "name": "default", "content": "{}"}, "'type' must be a string"),
        ({"type": "cloud", "name": "default"}, "Config must be valid YAML: "),
        ({"type": "cloud", "name": "default", "content": "a: ["}, "Config must be valid YAML: "),
        ({"type": "cloud", "name": "default", "content": "- a"}, "YAML hash expected"),
        ({"type": "runtime", "name": "default", "content": ""}, "YAML hash expected"),
    ],
)
def test_what_is_no_config_is_refused_at_its_upload(bosh: tuple[Api, State], body: Any, words: str) -> None:
    api, state = bosh
    assert words in api.refused(400, "POST", "/configs", body)
    assert state.data["configs"] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Manifest should not be empty"),
        ("a: [", "Incorrect YAML structure of the uploaded manifest: "),
        ("- a", "Manifest should be a hash"),
        ("instance_groups: []", "Deployment manifest must have a 'name' key"),
    ],
)
def test_what_is_no_manifest_is_refused_before_there_is_a_task(
    bosh: tuple[Api, State], text: str, words: str
) -> None:
    api, state = bosh
    assert words in api.refused(400, "POST", "/deployments", text, content_type="text/yaml")
    assert (state.data["tasks"], state.data["deployments"]) == ([], {})


def test_a_deployment_whose_name_another_one_has_in_the_dns_is_refused(bosh: tuple[Api, State]) -> None:
    api, _ = bosh
    upload(api, "cloud", CLOUD)
    deploy(api)
    other = yaml.safe_dump(MANIFEST | {"name": "Minio"})
    words = api.refused(400, "POST", "/deployments", other, content_type="text/yaml")
    assert "Invalid deployment name 'Minio', canonical name already taken ('minio')" in words


def test_a_deployment_that_was_refused_is_there_without_a_manifest_and_can_be_deleted(
    bosh: tuple[Api, State],
) -> None:
    api, _ = bosh
    upload(api, "cloud", WRONG)
    deploy(api)
    assert [one["name"] for one in api.ok("GET", "/deployments")] == ["minio"]
    assert api.ok("GET", "/deployments/minio")["manifest"] is None
    assert api.ok("GET", "/deployments/minio/errands") == []
    ended(api, api.call("DELETE", "/deployments/minio").headers["location"])
    assert api.ok("GET", "/deployments") == []


def test_a_deploy_that_fails_leaves_the_manifest_of_the_one_before(bosh: tuple[Api, State]) -> None:
    api, _ = bosh
    upload(api, "cloud", CLOUD)
    deploy(api)
    assert deploy(api, changed(MANIFEST, first("releases", version="9")))["state"] == "error"
    assert yaml.safe_load(api.ok("GET", "/deployments/minio")["manifest"]) == MANIFEST


def test_a_runtime_config_is_kept_with_its_versions_as_text(bosh: tuple[Api, State]) -> None:
    api, _ = bosh
    kept = upload(api, "runtime", {"releases": [{"name": "dns", "version": 1.4}], "addons": []})["content"]
    assert kept.startswith("---\n")
    assert yaml.safe_load(kept) == {"releases": [{"name": "dns", "version": "1.4"}], "addons": []}
    assert upload(api, "cloud", CLOUD)["content"] == yaml.safe_dump(CLOUD)


def test_a_secret_is_not_shown_in_what_a_director_refuses(
    bosh: tuple[Api, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    from paver.lab.standins.director_variables import ConfigServer, Value  # noqa: PLC0415 - only here

    def known(*_: Any) -> dict[str, Value]:
        return {"key": Value("/key", "1", "geheim"), "os": Value("/os", "2", "ubuntu-xenial")}

    monkeypatch.setattr(ConfigServer, "resolve", known)
    api, _ = bosh
    upload(api, "cloud", CLOUD)
    manifest = changed(MANIFEST, first("stemcells", os="((os))"))
    manifest["instance_groups"][0]["jobs"][0]["properties"] = {"key": "((key))"}
    assert "for OS 'ubuntu-xenial' doesn't exist" in deploy(api, manifest)["result"]
    del manifest["update"]
    told = deploy(api, manifest)["result"]
    assert "((key))" in told
    assert "geheim" not in told
