"""What the real services take that the foundation writes to: the names, the calls, and what they do not forget."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from paver.driver import BadInput, Endpoint, Mark, PaverError, Refused, ResourceId, Secret, resource_id
from paver.drivers.vsphere import DRIVER
from paver.drivers.vsphere.host.datastore import called
from paver.engine.diff import changes
from paver.foundation import manifests, paving, places, record
from paver.foundation.bucc import operations
from paver.foundation.concourse.team import Team
from paver.foundation.credhub import entry
from paver.foundation.credhub.entry import CredhubEntry, EntryFacts
from paver.foundation.director.deployment import Deployment, DeploymentFacts
from paver.foundation.object_store.bucket import Bucket
from paver.foundation.object_store.user import StoreUser
from paver.lab.standins import credhub_rules, stub_releases
from paver.sitefile import Site
from paver.sitefile.load import loads
from paver.sitefile.services import ExternalRegistry, Registry
from paver.transport.s3_errors import S3Error
from tests.support.vsphere_lab import text_of

PINS = ["sha256:" + ":".join([f"{number:02x}"] * 32) for number in (1, 2)]
AT: Endpoint[Any, Any] = Endpoint("there")
SOME, BUCKET = resource_id("some.kind", "key"), resource_id(Bucket.kind, "state")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    text = text_of(PINS)
    return loads(text, {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)


@dataclasses.dataclass
class Answer:
    body: Any
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    text: str = ""

    def json(self) -> Any:
        return self.body


class Anything:
    """A session of any service: answers GET from a table, and keeps what it is asked to do."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers or {})
        self.did: list[tuple[str, str, Any]] = []

    def get(self, path: str, **_: Any) -> Answer:
        return Answer(self.answers.get(path, []))

    def answer(self, path: str, **_: Any) -> Answer:
        return self.get(path)

    def find(self, path: str, **_: Any) -> Answer | None:
        return Answer({}) if path.startswith("/deployments/") else None

    def put(self, path: str, *, json: Any, **_: Any) -> Answer:
        self.did.append(("PUT", path, json))
        return Answer(None)

    def post(self, path: str, *, json: Any, **_: Any) -> Answer:
        self.did.append(("POST", path, json))
        return Answer(None)

    def delete(self, path: str, *, params: Any = None, **_: Any) -> Answer:
        self.did.append(("DELETE", path, params))
        return Answer(None, 404)

    def admin_call(self, name: str, target: str, *arguments: Any, **named: Any) -> None:
        del target, arguments
        self.did.append(("ADMIN", name, named.get("user")))

    def buckets(self, **_: Any) -> tuple[str, ...]:
        return ()

    def call(self, name: str, **_: Any) -> Any:
        raise S3Error("object store", name, "NotImplemented", 501, "A header you provided implies …")

    def create_bucket(self, name: str, **_: Any) -> None:
        self.call("create_bucket", Bucket=name)

    def mkdir(self, *_: Any) -> None:
        return None

    def write_file(self, *_: Any) -> None:
        return None

    def remove(self, path: str) -> None:
        self.did.append(("REMOVE", path, None))


class Store(Anything):
    """A store with buckets and their tags, and a jumpbox with files; `dies_after` ends a run behind a call."""

    def __init__(self, dies_after: str = "") -> None:
        super().__init__()
        self.tags: dict[str, list[dict[str, str]]] = {}
        self.files: dict[str, bytes] = {}
        self.dies_after = dies_after

    def buckets(self, **_: Any) -> tuple[str, ...]:
        return tuple(self.tags)

    def create_bucket(self, name: str, **_: Any) -> None:
        if name in self.tags:
            raise S3Error("object store", "create_bucket", "BucketAlreadyExists", 409, "it is there")
        self.tags[name] = []
        if self.dies_after == "create_bucket":
            raise KeyboardInterrupt

    def call(self, name: str, **given: Any) -> Any:
        if name == "put_bucket_tagging":
            self.tags[given["Bucket"]] = given["Tagging"]["TagSet"]

    def answer(self, path: str, **given: Any) -> Any:
        return {"TagSet": self.tags[given["Bucket"]]} if path == "get_bucket_tagging" else {}

    def read_file(self, path: str) -> bytes | None:
        return self.files.get(path)

    def write_file(self, *given: Any) -> None:
        self.files[given[0]] = given[1]

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def listdir(self, path: str) -> list[str]:
        return [name.removeprefix(f"{path}/") for name in self.files if name.startswith(f"{path}/")]


@dataclasses.dataclass
class World:
    there: Anything
    acting: ResourceId = SOME
    site: str = "north"

    def session(self, at: Any) -> Anything:
        del at
        return self.there

    writing = session

    def mark(self, *, complete: bool) -> Mark:
        return Mark(self.site, self.acting, "a" * 64, complete)

    def version(self, secret: Secret) -> str:
        return f"version of {secret.name}"

    def reveal(self, secret: Secret) -> str:
        return secret.name


def test_what_stands_behind_the_jumpbox_is_reached_through_it(site: Site) -> None:
    found: Mapping[str, Any] = paving.pave(site, DRIVER.pave(site)).connectors
    assert {name: connector.via for name, connector in found.items()} == dict.fromkeys(
        ("director", "credhub", "concourse", "s3", "registry"), record.jumpbox().name
    )


def test_a_driver_that_calls_the_jumpbox_something_else_is_told_so(site: Site) -> None:
    under = dataclasses.replace(DRIVER.pave(site), jumpbox=Endpoint("machine:bastion"))
    with pytest.raises(BadInput, match="machine:bastion, not machine:jumpbox"):
        paving.pave(site, under)


def test_a_driver_that_carries_no_whole_site_is_named_and_told_where_it_can_be_tried(site: Site) -> None:
    with pytest.raises(BadInput, match="the driver vsphere carries no whole site") as told:
        paving.pave(site, dataclasses.replace(DRIVER.pave(site), jumpbox=None))
    assert "paver lab conformance --driver vsphere" in told.value.do


def test_roots_of_the_users_own_go_to_the_directors_vms_and_hold_an_external_registry(
    site: Site, tmp_path: Path
) -> None:
    pem = {
        name: f"-----BEGIN CERTIFICATE-----\nMII{name}\n-----END CERTIFICATE-----\n"
        for name in ("one", "two", "own")
    }
    for name, text in pem.items():
        (tmp_path / f"{name}.pem").write_text(f"# Größte Wurzel {name}\n{text}", encoding="utf-8")
    external = ExternalRegistry(endpoint="https://registry.example")
    site = dataclasses.replace(
        site,
        trust=site.trust.model_copy(update={"extra_roots": ("one.pem", "two.pem")}),
        services=site.services.model_copy(update={"registry": Registry(external=external)}),
    )
    paved = paving.pave(site, DRIVER.pave(site))
    (bucc,) = (one for one in paved.resources if one.id == places.DIRECTOR_ID)
    assert bucc.wish()["variables"]["extra_ca_certs"] == pem["one"] + pem["two"]
    (trusted,) = yaml.safe_load(bucc.wish()["operators"][operations.TRUSTED])
    assert trusted["path"] == "/instance_groups/name=bosh/properties/director/trusted_certs?"
    assert "((extra_ca_certs))" in trusted["value"]
    assert places.connectors(site, "via")["registry"].roots == (pem["one"], pem["two"])  # type: ignore[attr-defined]
    own = Registry(external=external.model_copy(update={"ca": "own.pem"}))
    site = dataclasses.replace(site, services=site.services.model_copy(update={"registry": own}))
    assert places.connectors(site, "via")["registry"].roots == (pem["own"],)  # type: ignore[attr-defined]


def test_the_directors_persistent_disk_has_the_size_that_the_site_file_says(site: Site) -> None:
    vm = site.bucc.vm.model_copy(update={"persistent_disk_gb": 128})
    bucc = site.bucc.model_copy(update={"vm": vm})
    wished = {
        one.id: one for one in paving.pave(dataclasses.replace(site, bucc=bucc), DRIVER.pave(site)).resources
    }
    (wanted,) = yaml.safe_load(wished[places.DIRECTOR_ID].wish()["operators"][operations.DISK])
    assert (wanted["path"], wanted["value"]) == ("/disk_pools/name=disks/disk_size", 131072)


def test_a_sites_own_operations_come_after_all_others_of_bucc_its_flags_its_artefact_and_paver(
    site: Site, tmp_path: Path
) -> None:
    own = ("b.yml", "a.yml")
    for name in own:
        (tmp_path / name).write_text("- {type: remove, path: /a}\n")
    bucc = site.bucc.model_copy(update={"operators": own})
    paved = paving.pave(dataclasses.replace(site, bucc=bucc), DRIVER.pave(site))
    (wished,) = (one for one in paved.resources if one.id == places.DIRECTOR_ID)
    tree = Path(stub_releases.__file__).parent / "bucc" / "ops"
    theirs = [file.name for file in tree.rglob("*.yml")] + [
        "9-offline.yml",
        "9x-stemcell-offfline-stemcell.yml",
    ]
    # As `bucc up` sorts them: by the file's name alone.
    applied = sorted([*theirs, *wished.wish()["operators"]])
    assert [name.rpartition("-")[2] for name in applied[-2:]] == list(own)
    assert "resource-pool.yml" in applied


def test_every_root_of_the_site_is_trusted_by_boshs_machines(site: Site) -> None:
    (wanted,) = yaml.safe_load(operations.common(site.bucc.vm)[operations.TRUSTED])
    assert wanted["path"].endswith("/director/trusted_certs?")
    assert wanted["value"].split() == ["((trusted_ca_cert))", "((extra_ca_certs))"]


def test_the_artefact_is_held_to_what_the_site_deploys_of_it(site: Site) -> None:
    external = Registry(external=ExternalRegistry(endpoint="https://registry.example"))
    with_external = dataclasses.replace(
        site, services=site.services.model_copy(update={"registry": external})
    )
    for each, deploys in ((site, {"minio", "docker-registry"}), (with_external, {"minio"})):
        resources = {one.id: one for one in paving.pave(each, DRIVER.pave(each)).resources}
        assert resources[places.ARTEFACT].wish()["deploys"] == deploys
        assert {f"bosh.release:{name}" for name in deploys} <= resources.keys()


def test_the_registrys_properties_are_those_of_its_release(site: Site) -> None:
    (group,) = manifests.registry(site, places.ARTEFACT)["instance_groups"]
    jobs = {job["name"]: job["properties"]["docker"] for job in group["jobs"]}
    assert jobs["registry"]["registry"]["storage_delete"] is True
    assert set(jobs["proxy"]["proxy"]) == {"backend", "auth_basic", "ssl"}


@pytest.mark.parametrize(
    ("port", "url", "told"),
    [
        (443, "https://registry.north.example", (None, None)),
        (5443, "https://registry.north.example:5443", (5443, "https://registry.north.example:5443")),
    ],
)
def test_a_registry_on_a_port_of_its_own_listens_there_and_sends_its_clients_there(
    site: Site, port: int, url: str, told: tuple[int | None, str | None]
) -> None:
    registry = site.services.registry.model_copy(update={"port": port})
    site = dataclasses.replace(site, services=site.services.model_copy(update={"registry": registry}))
    (group,) = manifests.registry(site, places.ARTEFACT)["instance_groups"]
    jobs = {job["name"]: job["properties"]["docker"] for job in group["jobs"]}
    assert places.registry_url(site) == url
    assert (jobs["proxy"]["proxy"].get("port"), jobs["registry"]["registry"].get("endpoint")) == told


def test_packages_are_compiled_in_the_directors_own_zone(site: Site) -> None:
    whole = DRIVER.pave(site)
    cloud = manifests.cloud_config(site, whole)
    zones = {network["name"]: network["subnets"][0]["az"] for network in cloud["networks"]}
    assert zones[cloud["compilation"]["network"]] == cloud["compilation"]["az"] == site.bucc.az


def test_a_team_keeps_the_groups_and_roles_that_others_gave_it() -> None:
    auth = {
        "owner": {"users": ["local:old"], "groups": ["oauth:concourse.main"]},
        "viewer": {"users": [], "groups": ["oauth:auditors"]},
    }
    concourse = Anything({"/api/v1/teams": [{"name": "main", "auth": auth}]})
    team = Team(
        id=resource_id("concourse.team", "main"),
        phase="services",
        at=AT,
        name="main",
        owners=frozenset({"local:admin"}),
    )
    team.create(World(concourse))  # type: ignore[arg-type]
    put = next(body for verb, path, body in concourse.did if path == "/api/v1/teams/main" and verb == "PUT")
    assert put["auth"] == {
        "owner": {"users": ["local:admin"], "groups": ["oauth:concourse.main"]},
        "viewer": auth["viewer"],
    }


def test_a_user_gets_its_policy_by_a_call_that_old_servers_know_too() -> None:
    store = Anything()
    user = StoreUser(
        id=resource_id("s3.user", "ci"),
        phase="services",
        at=AT,
        name="ci",
        read_=frozenset({"bundles"}),
        write=frozenset(),
        secret=Secret("object-store-ci"),
    )
    user.create(World(store))  # type: ignore[arg-type]
    assert [name for verb, name, _ in store.did if verb == "ADMIN"] == [
        "policy_add",
        "user_add",
        "policy_set",
        "policy_add",
    ]


@pytest.mark.parametrize("lock", [0, 30])
def test_a_store_without_versions_is_told_as_such(lock: int) -> None:
    bucket = Bucket(
        id=resource_id("s3.bucket", "state"),
        phase="services",
        at=AT,
        name="state",
        versioned=True,
        lock_days=lock,
    )
    with pytest.raises(Refused, match="keeps no versions") as told:
        bucket.create(World(Anything()))  # type: ignore[arg-type]
    assert "NotImplemented" in told.value.seen
    assert isinstance(told.value.__cause__, PaverError)


def _bucket() -> Bucket:
    return Bucket(id=BUCKET, phase="services", at=AT, name="state", versioned=False, lock_days=0)


def test_a_bucket_whose_run_was_killed_before_it_had_its_tags_is_known_again() -> None:
    store = Store(dies_after="create_bucket")
    with pytest.raises(KeyboardInterrupt):
        _bucket().create(World(store, BUCKET))  # type: ignore[arg-type]
    found = _bucket().read(World(store, BUCKET))  # type: ignore[arg-type]
    assert found is not None
    assert found.mark == Mark("north", BUCKET, "a" * 64, complete=False)
    store.dies_after = ""
    _bucket().create(World(store, BUCKET))  # type: ignore[arg-type]
    found = _bucket().read(World(store, BUCKET))  # type: ignore[arg-type]
    assert found is not None
    assert found.mark is not None
    assert found.mark.complete
    assert not store.files, "the intent is gone once the tags are there"


def test_a_bucket_that_somebody_else_made_meanwhile_stays_foreign() -> None:
    class Raced(Store):
        def buckets(self, **_: Any) -> tuple[str, ...]:
            return tuple(self.tags) if self.seen else ()

        seen = False

    store = Raced()
    store.tags["state"] = []
    with pytest.raises(S3Error, match="BucketAlreadyExists"):
        _bucket().create(World(store, BUCKET))  # type: ignore[arg-type]
    store.seen = True
    found = _bucket().read(World(store, BUCKET))  # type: ignore[arg-type]
    assert found is not None
    assert found.mark is None


@pytest.mark.parametrize("gone", ["site", "action", "complete"])
def test_a_bucket_whose_tags_are_no_mark_of_pavers_is_foreign(gone: str) -> None:
    store = Store()
    _bucket().create(World(store))  # type: ignore[arg-type]
    store.tags["state"] = [tag for tag in store.tags["state"] if tag["Key"] != f"paver-{gone}"]
    found = _bucket().read(World(store))  # type: ignore[arg-type]
    assert found is not None
    assert found.mark is None


def _entry(metadata: Any) -> EntryFacts:
    entry = CredhubEntry(
        id=resource_id("some.kind", "key"), phase="services", at=AT, path="/a", type_="value", parts={}
    )
    credhub = Anything({"/api/v1/data": {"data": [{"type": "value", "metadata": metadata}]}})
    found = entry.read(World(credhub))  # type: ignore[arg-type]
    assert found is not None
    return found


def test_an_entry_of_credhub_whose_mark_does_not_say_that_it_is_complete_is_so() -> None:
    first = {"action": "a", "id": "some.kind:key", "parts": {"value": "text"}, "site": "north"}
    found = _entry({"paver": first})
    assert found.mark == Mark("north", resource_id("some.kind", "key"), "a", complete=True)
    assert found.parts == {"value": "text"}


@pytest.mark.parametrize("held", [None, "paver", {}, {"site": "north", "action": "a", "id": 1, "parts": {}}])
def test_an_entry_of_credhub_whose_metadata_are_no_mark_of_pavers_is_foreign(held: Any) -> None:
    assert _entry({"paver": held}).mark is None


def test_a_bundle_of_roots_fits_into_credhubs_metadata_and_is_known_again() -> None:
    bundle = "-----BEGIN CERTIFICATE-----\n" + "MII\n" * 3000 + "-----END CERTIFICATE-----\n"
    entry = CredhubEntry(
        id=resource_id("some.kind", "key"),
        phase="services",
        at=AT,
        path="/concourse/main/object_store_ca",
        type_="value",
        parts={"value": bundle},
    )
    credhub = Anything()
    entry.create(World(credhub))  # type: ignore[arg-type]
    ((_, path, put),) = credhub.did
    credhub_rules.metadata(put["metadata"])
    assert put["value"] == bundle
    credhub.answers[path] = {"data": [put]}
    found = entry.read(World(credhub))  # type: ignore[arg-type]
    assert found is not None
    other = dataclasses.replace(entry, parts={"value": bundle + bundle})
    assert changes(entry, found, lambda _: None) == ()
    assert [change.field for change in changes(other, found, lambda _: None)] == ["parts"]
    assert other.read(World(credhub)) == found, "what is there is the same, whoever wishes for what"  # type: ignore[arg-type]


OUTSIDE = """  object_store: {external: {endpoint: "https://s3", login: {user: a, password: secret:s3}, ca: own.pem}}
  registry: {external: {endpoint: "https://images", login: {user: a, password: secret:images}, ca: own.pem}}
"""
DEPLOYED = "  object_store: {address: 10.30.0.11}\n  registry: {address: 10.30.0.12}\n"


def test_all_entries_of_a_site_are_found_in_credhub_and_no_secret_of_others_is_asked_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.pem").write_text("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n")
    assert DEPLOYED in text_of(PINS)
    ours = set[str]()
    for services in (DEPLOYED, OUTSIDE):
        text = text_of(PINS).replace(DEPLOYED, services)
        site = loads(text, {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)
        wished = paving.pave(site, DRIVER.pave(site)).resources
        ours |= {one.path for one in wished if isinstance(one, CredhubEntry)}
    assert {path.rpartition("/")[2] for path in ours if path.startswith("/concourse/")} == entry.SHARED
    theirs = {
        "/north/cf/admin_password",
        "/north/object-store/tls/old",
        "/concourse/main/bosh_client_secret",
        "/concourse/main/pipeline/root_ca",
        "/other/registry/password",
        "/dns_api_tls_ca",
    }
    asked: list[str] = []

    class CredHub(Anything):
        def get(self, path: str, **given: Any) -> Answer:
            assert path == entry.PATH
            params: Mapping[str, str] = given["params"]
            if "path" in params:
                there = sorted(name for name in ours | theirs if name.startswith(f"{params['path']}/"))
                return Answer({"credentials": [{"name": name} for name in there]})
            asked.append(params["name"])
            return Answer({"data": [{"type": "password"}]})

    assert [*CredhubEntry.discover(World(CredHub()), AT)] == []  # type: ignore[arg-type]
    assert sorted(asked) == sorted(ours)


def test_a_deployment_follows_what_the_cloud_config_says_of_its_own_vm_and_disk_alone(tmp_path: Path) -> None:
    def deployments(old: str = "", new: str = "") -> dict[str, Any]:
        text = text_of(PINS)
        assert old in text
        site = loads(text.replace(old, new), {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)
        found = paving.pave(site, DRIVER.pave(site)).resources
        return {one.name: dict(one.cloud) for one in found if isinstance(one, Deployment)}

    before = deployments()
    larger = deployments("object_store: {", "object_store: {disk_gb: 120, ")
    assert larger["object-store"] == {**before["object-store"], "disk_size": 122880}
    assert larger["registry"] == before["registry"]
    for other in ("gateway: 10.30.0.2,", "gateway: 10.30.0.1, dns: [10.20.0.99],"):
        assert all(deployments("gateway: 10.30.0.1,", other)[name] != said for name, said in before.items())
    assert deployments("static: [10.30.0.10-10.30.0.30]", "static: [10.30.0.10-10.30.0.40]") == before


def test_a_deployment_is_never_deleted_by_force() -> None:
    director = Anything()
    facts = DeploymentFacts(address={"name": "registry"}, mark=None, manifest={}, versions={}, cloud={})
    Deployment.delete(World(director), AT, facts)  # type: ignore[arg-type]
    assert director.did == [("DELETE", "/deployments/registry", None)]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("datastore1", "datastore1 (1)"), "datastore1"),
        (("datastore1 (1)", "nfs"), "datastore1 (1)"),
        (("datastore1 (1)", "datastore1 (2)"), None),
        (("datastore10", "Datastore1", "datastore1 (a)"), None),
    ],
)
def test_a_datastore_that_vcenter_renamed_is_still_the_one(names: tuple[str, ...], found: str | None) -> None:
    assert called("datastore1", names) == found
