"""The lab's director, asked without a socket as its administrator. No VM is made: instances are noted as if they were."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from paver.lab.standins import tokens
from paver.lab.standins.director import Director
from paver.lab.standins.director_deploy import Deployer
from paver.lab.standins.director_instances import Instances
from paver.lab.standins.director_library import Library
from paver.lab.standins.director_render import Rendered
from paver.lab.standins.director_settings import Configs
from paver.lab.standins.director_state import State
from paver.lab.standins.director_tasks import Tasks
from paver.lab.standins.director_variables import ConfigServer
from paver.lab.standins.director_views import Views
from paver.lab.standins.director_vms import Vms
from paver.lab.standins.director_wish import InstanceWish
from paver.lab.standins.tokens import Verifier
from tests.support.standin import Api
from tests.support.waiting import until

URL = "https://10.30.0.10"


class NoCpi:
    """Stands for the vSphere CPI where only the director matters: it says what one that has done it says."""

    def call(self, task: Any, method: str, *arguments: Any) -> Any:
        del task, arguments
        return "sc-1" if method == "create_stemcell" else None


class NoVms(Vms):
    """Notes instances and makes no VM for them."""

    def converge(self, task: Any, wanted: InstanceWish, *_: Any) -> None:
        del task
        if self.instances.find(wanted) is None:
            self.instances.make(wanted)


class NoVmsDeployer(Deployer):
    """A director's deployer that reads and plans; it has no Ruby to render with, and nobody to make a VM."""

    def _render(self, wanted: InstanceWish, deployment: str) -> Rendered:
        del wanted, deployment
        return Rendered(b"", "")

    def _vms(self, deployment: str) -> Vms:
        return NoVms(self.state, self.cpi, Instances(self.state, deployment), self.name, {}, {})


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def director(folder: Path, cpi: NoCpi | None = None) -> tuple[Api, State]:
    """Returns the director, and what it remembers."""
    cpi = cpi or NoCpi()
    key = _key()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    folder.mkdir(parents=True)
    state = State.open(folder)
    tasks, nobody = Tasks(state), ConfigServer("", "", {})
    made = Director(
        state,
        tasks,
        Library(state, cpi),  # type: ignore[arg-type]
        NoVmsDeployer(state, cpi, nobody, "north", {}, {}),  # type: ignore[arg-type]
        Views(state, tasks, "north", "vsphere_cpi", URL),
        Configs(state),
        Verifier.from_pem(public.decode()),
    )
    claims = {"client_id": "admin", "scope": ["bosh.admin"], "exp": 2**40}
    return Api(made.routes(), f"bearer {tokens.sign(claims, key, 'key-1')}"), state


def ended(api: Api, location: str) -> dict[str, Any]:
    """Returns the task at a place once it has come to its end."""

    def task() -> dict[str, Any] | None:
        now: dict[str, Any] = api.ok("GET", location)
        return None if now["state"] in {"queued", "processing"} else now

    task_at_its_end: dict[str, Any] = until(task, f"{location} comes to its end")
    return task_at_its_end
