"""A site whose object store and registry were there before it: declared in the site file, used, proven, and left there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bcrypt
import pytest

from paver.lab import build, pki, programs, system
from tests.support.place import Place, place
from tests.support.raised import until

pytestmark = pytest.mark.lab

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
    """A lab with a store and a registry of somebody else's, and a site that declares both."""
    tools = dict(system.provide(system.survey()))
    built = dict(build.build(programs.required(None)))
    folder = tmp_path_factory.mktemp("external")
    with place(folder, built, tools) as made, ExitStack() as served:
        text = made.site.read_text()
        before, _, after = text.partition("services:\n")
        made.site.write_text(f"{before}{SERVICES}secrets: {after.partition('secrets: ')[2]}")
        made.keep("corp-s3", KEY)
        made.keep("robot", PASSWORD)
        for name, address in (("store", STORE), ("registry", REGISTRY)):
            certificate, _ = pki.host(name, address).write(folder / name, "public")
            (made.folder / f"{name}.pem").write_bytes(certificate.read_bytes())
            made.run("ip", "addr", "replace", f"{address}/32", "dev", "lo")
        served.enter_context(serving(made, store(made, folder / "store")))
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
    """Runs a server in the lab for a while, from when it answers."""
    place_of = f"https://{STORE}:9000/" if "server" in argv else f"https://{REGISTRY}:5000/v2/"
    ask: Callable[[], bool] = lambda: not there.run("curl", "-sk", place_of, check=False).code  # noqa: E731
    process = subprocess.Popen(
        there.lab.argv(argv, there.folder), env=there.environment(), stdin=subprocess.DEVNULL
    )
    try:
        until(ask, f"{place_of} answers")
        yield
    finally:
        process.terminate()
        process.wait()


def test_what_is_declared_external_is_used_proven_told_and_left_there(there: Place) -> None:
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
        assert there.pending() == {}
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
        there.tool("mc", "mb", "site/of-others")
        there.paver("destroy", "--allow", "*", "--yes")
    left = [json.loads(line)["key"] for line in ls(there).splitlines()]
    assert left == ["of-others/"]


def ls(there: Place) -> str:
    """Asks the store by itself: the site's ways in are gone."""
    host = f"https://{USER}:{KEY}@{STORE}:9000"
    argv = ("mc", "--insecure", "--json", "ls", "corp")
    return there.run(*argv, env={"MC_HOST_corp": host, "HOME": str(there.folder)}).out
