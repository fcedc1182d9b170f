"""A site whose object store and registry were there before it, and that loses what it has: a host's disks, then the host.

Store and registry are declared in the site file, used, proven, and left there. The host burns down with the jumpbox on it:
what stands elsewhere stays, and the site goes on without it. One site for both, through one life.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bcrypt
import pytest

from paver.lab import build, control, pki, programs, system
from tests.support.place import LIMIT, Place, place
from tests.support.ran import refused
from tests.support.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(LIMIT)]

ON_ESX_02 = ("  image: jumpbox.ova\n  on: esx-01\n", "  image: jumpbox.ova\n  on: esx-02\n")
NEEDED = ("trust", "hosts", "jumpbox", "site-services")
BEHIND = ("vcenter", "inventory")
DISKS = "vsphere.disk-folder:north/datastore1/BOSH_Disks"
STORE, REGISTRY = "10.20.0.50", "10.20.0.51"
USER, KEY, ROBOT, PASSWORD = "corp", "corp-key-8c1f", "robot", "Robot-Password-1"
SERVICES = f"""\
services:
  object_store:
    external: {{endpoint: "https://{STORE}:9000", login: {{user: {USER}, password: secret:corp-s3}}, ca: store.pem}}
    buckets: {{bundles: {{versioned: true}}}}
  registry:
    external: {{endpoint: "https://{REGISTRY}:5000", login: {{user: {ROBOT}, password: secret:robot}}, ca: registry.pem}}
"""
CONFIG = f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{inmemory: {{}}}}
auth: {{htpasswd: {{realm: corp, path: HTPASSWD}}}}
http: {{addr: "{REGISTRY}:5000", secret: corp, tls: {{certificate: CERTIFICATE, key: PRIVATE}}}}
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A lab with a store and a registry of somebody else's, and a site that declares both.

    Its vCenter stands, empty; the jumpbox is on the second host, and vCenter on the first.
    """
    tools = dict(system.provide(system.survey()))
    built = dict(build.build(programs.required(None)))
    folder = tmp_path_factory.mktemp("external")
    with place(folder, built, tools) as made, ExitStack() as served:
        text = made.site.read_text()
        assert ON_ESX_02[0] in text
        before, _, after = text.replace(*ON_ESX_02).partition("services:\n")
        made.site.write_text(f"{before}{SERVICES}secrets: {after.partition('secrets: ')[2]}")
        made.keep("corp-s3", KEY)
        made.keep("robot", PASSWORD)
        for name, address in (("store", STORE), ("registry", REGISTRY)):
            certificate, _ = pki.host(name, address).write(folder / name, "public")
            (made.folder / f"{name}.pem").write_bytes(certificate.read_bytes())
            made.run("ip", "addr", "replace", f"{address}/32", "dev", "lo")
        served.enter_context(serving(made, store(made, folder / "store")))
        made.paver("apply", "--yes", *_phases(*NEEDED, "vcenter"))
        yield made


def store(there: Place, folder: Path) -> list[str]:
    (folder / "public.key").replace(folder / "private.key")
    login = [f"MINIO_ROOT_USER={USER}", f"MINIO_ROOT_PASSWORD={KEY}"]
    minio = [str(there.lab.programs["minio"]), "server", "--quiet", "--address", f"{STORE}:9000"]
    return ["env", *login, *minio, "--certs-dir", str(folder), str(folder / "data")]


def registry(there: Place, folder: Path, password: str) -> list[str]:
    entry = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"{ROBOT}:{entry}\n")
    text = CONFIG.replace("HTPASSWD", str(folder / "htpasswd"))
    text = text.replace("CERTIFICATE", str(folder / "public.crt")).replace(
        "PRIVATE", str(folder / "public.key")
    )
    (folder / "registry.yml").write_text(text)
    serve = [str(there.lab.programs["registry"]), "serve", str(folder / "registry.yml")]
    return ["env", "OTEL_TRACES_EXPORTER=none", *serve]


@contextmanager
def serving(there: Place, argv: list[str]) -> Iterator[None]:
    """Runs a server in the lab for a while, from when it answers until it does no more."""
    place_of = f"https://{STORE}:9000/" if "server" in argv else f"https://{REGISTRY}:5000/v2/"
    ask: Callable[[], bool] = lambda: not there.run("curl", "-sk", place_of, check=False).code  # noqa: E731
    # nsenter starts it and waits: ended alone, it would leave the server behind, in the way of the next one.
    ends_with_it = ["setpriv", "--pdeathsig", "TERM", "--", *argv]
    process = subprocess.Popen(
        there.lab.argv(ends_with_it, there.folder), env=there.environment(), stdin=subprocess.DEVNULL
    )
    try:
        until(ask, f"{place_of} answers")
        yield
    finally:
        process.terminate()
        process.wait()
        until(lambda: not ask(), f"{place_of} answers no more")


def test_a_vcenter_that_is_off_is_switched_on_by_its_phase_alone(there: Place) -> None:
    """As after a power cut; the whole plan cannot be made while nothing of it answers.

    The first of all: the lab's vCenter forgets what it had, and there is nothing in it yet.
    """
    there.govc("esx-01", "vm.power", "-off", "-force", "vcsa")
    there.went_off("vcsa")
    there.govc("esx-01", "host.autostart.remove", "vcsa")
    refused(there.paver("plan", code=None), 1, "vcsa", "does not answer", "--phase, --only")
    assert there.pending("--phase", "vcenter") == {"vsphere.appliance:vcenter": "update"}
    there.paver("apply", "--yes", "--phase", "vcenter")
    host = there.inventory()["esx-01"]
    assert host["virtual_machines"]["vcsa"]["power"] == "poweredOn"
    assert [entry["order"] for entry in host["autostart"]["machines"]] == [-1]


def test_a_host_that_was_installed_anew_gets_all_of_its_own_back_and_the_jumpbox_that_was_on_it(
    there: Place,
) -> None:
    """Its disks are empty, it shows a certificate of its own, and vCenter still has it."""
    there.paver("apply", "--yes", *_phases(*BEHIND))
    host = next(one for one in there.lab.plan.hosts if one.name == "esx-02")
    pair = pki.host(host.hostname, host.address)
    certificate, key = (path.read_text() for path in pair.write(there.folder, "installed-anew"))
    there.control("POST", "/install", {"server": "esx-02", "certificate": certificate, "key": key})
    refused(
        there.paver("plan", code=None), 4, "esx-02", "another certificate than the one that is pinned", "do"
    )
    text = there.site.read_text()
    assert there.lab.fingerprints["esx-02"] in text
    there.site.write_text(text.replace(there.lab.fingerprints["esx-02"], pair.fingerprint))
    trace = there.trace()
    there.paver("apply", "--yes", *_phases(*NEEDED))
    there.paver("apply", "--yes", *_phases(*BEHIND))
    # What was on its disks shows once vCenter has it again.
    assert there.pending(*_phases(*NEEDED, *BEHIND)) == {DISKS: "update"}
    there.paver("apply", "--yes", *_phases(*BEHIND))
    assert there.pending(*_phases(*NEEDED, *BEHIND)) == {}
    made = {(call.server, call.method) for call in trace.writes() if call.kind == "soap"}
    assert {server for server, method in made if method == "AddPortGroup"} == {"esx-02"}
    assert not {method for _, method in made} & {"CreateDatacenter", "AddHost_Task"}
    assert there.machines()["paver-jumpbox"]["server"] == "esx-02"


def test_a_host_that_is_lost_with_the_jumpbox_on_it_goes_out_of_vcenter_and_another_carries_the_jumpbox(
    there: Place,
) -> None:
    control.call(there.lab.room, "POST", "/hosts/esx-02/power", {"state": "off"})
    refused(there.paver("plan", code=None), 1, "esx-02 (10.20.0.12:443) does not answer", "why", "do")
    _without(there, "esx-02")
    there.paver("apply", "--yes", *_phases(*NEEDED))
    assert there.machines()["paver-jumpbox"]["server"] == "esx-01"
    there.paver("apply", "--yes", *_phases(*BEHIND))
    gone = {id_: verb for id_, verb in there.pending().items() if verb != "create"}
    assert gone == {"vsphere.cluster-host:esx-02": "delete"}
    state = ("object.collect", "-s", "/north/host/compute/esx-02.north.example", "runtime.connectionState")
    assert there.tool("govc", *state).out.strip() == "notResponding"
    trace = there.trace()
    assert "registry" in there.paver("apply", "--yes", code=1).told, "all but the proof of what is not up yet"
    assert there.pending(*_phases(*NEEDED, *BEHIND)) == {}
    assert not [call for call in trace.writes() if call.method in {"CreateDatacenter", "AddHost_Task"}]
    left = there.tool("govc", "find", "/", "-type", "h").out.split()
    assert left == ["/north/host/compute/esx-01.north.example"]


def test_what_is_declared_external_is_used_proven_and_told(there: Place) -> None:
    folder = there.folder.parent / "registry"
    # Of a registry nothing else of a plan would notice that it is down, or refuses the site's account.
    ran = there.paver("apply", "--yes", code=1)
    assert f"error: registry (https://{REGISTRY}:5000) does not answer" in ran.told, ran.told[-2000:]
    with serving(there, registry(there, folder, "another one")):
        ran = there.paver("apply", "--yes", code=1)
        assert "refuses the login of robot" in ran.told
        assert "compare secret:robot with what is set there" in ran.told
    with serving(there, registry(there, folder, PASSWORD)):
        there.paver("apply", "--yes")
        proofs = there.paver("verify", "--json").json["proofs"]
        proven = {one["resource"] for one in proofs if one["state"] == "holds"}
        assert {"proof.object-store:bundles", "proof.registry-login:registry"} <= proven
        contract = there.paver("contract").json
        for name in ("store", "registry"):
            section = contract["object_store" if name == "store" else name]
            assert section["ca"] == (there.folder / f"{name}.pem").read_text()
        assert contract["object_store"]["endpoint"] == f"https://{STORE}:9000"
        assert contract["object_store"]["access_key"] == USER
        assert "bundles/" in there.tool("mc", "ls", "site").out


def test_a_destroyed_site_leaves_what_is_external(there: Place) -> None:
    with serving(there, registry(there, there.folder.parent / "registry", PASSWORD)):
        there.tool("mc", "mb", "site/of-others")
        there.paver("destroy", "--allow", "*", "--yes")
    left = [json.loads(line)["key"] for line in ls(there).splitlines()]
    assert left == ["of-others/"]


def _phases(*names: str) -> list[str]:
    return [word for name in names for word in ("--phase", name)]


def _without(place: Place, host: str) -> None:
    """Takes a host out of the site file, as its user would, and has the other one carry the jumpbox."""
    lines = place.site.read_text().replace(ON_ESX_02[1], ON_ESX_02[0]).splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(f"    {host}:")]
    assert len(kept) == len(lines) - 1
    place.site.write_text("".join(kept).replace(f", {host}]", "]"))


def ls(there: Place) -> str:
    """Asks the store by itself: the site's ways in are gone."""
    host = f"https://{USER}:{KEY}@{STORE}:9000"
    argv = ("mc", "--insecure", "--json", "ls", "corp")
    return there.run(*argv, env={"MC_HOST_corp": host, "HOME": str(there.folder)}).out
