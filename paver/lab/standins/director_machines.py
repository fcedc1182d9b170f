"""The director's hands: the CPI of its own job, and the agents of the VMs that it made."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ipaddress
import json
import os
import ssl
import subprocess
import time
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from paver.lab.standins.client import Client, Failed
from paver.lab.standins.director_tasks import Task, TaskError

_AGENT_SECONDS = 30.0
_POLL_SECONDS = 0.05


class CpiError(TaskError):
    """A call that the CPI refused: its `kind` is the error's type in the protocol, as `Bosh::Clouds::DiskNotFound`."""

    def __init__(self, kind: str, message: str) -> None:
        """Takes what the CPI answered."""
        super().__init__(100, message)
        self.kind = kind


@dataclass(frozen=True)
class Cpi:
    """Calls the CPI job that is rendered on the director's VM."""

    command: Path
    director: str

    def call(self, task: Task, method: str, *arguments: Any) -> Any:
        """Returns a call's result; raises CpiError with the CPI's words."""
        request = {
            "method": method,
            "arguments": list(arguments),
            "context": {
                "director_uuid": self.director,
                "request_id": f"cpi-{uuid.uuid4().hex[:6]}",
                "vm": {"stemcell": {"api_version": 3}},
            },
            "api_version": 2,
        }
        done = subprocess.run(
            [str(self.command)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ),
        )
        try:
            answer = json.loads(done.stdout)
        except ValueError as error:
            raise TaskError(100, f"Invalid CPI response for '{method}': {done.stderr[-500:]}") from error
        # Arguments may hold an agent's credentials: only the method is written down.
        task.write("cpi", f"{method}: {'error' if answer['error'] else 'ok'}\n")
        if answer["error"]:
            kind, message = answer["error"]["type"], answer["error"]["message"]
            raise CpiError(kind, f"CPI error '{kind}' with message '{message}' in '{method}' CPI method")
        return answer["result"]


@dataclass(frozen=True)
class Door:
    """How to reach an agent: its URL with credentials, and the CA of its certificate."""

    url: str
    ca: str

    @property
    def client(self) -> Client:
        """A client for it."""
        parts = urlsplit(self.url)
        token = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        context = ssl.create_default_context(cadata=self.ca)
        return Client(
            f"https://{parts.hostname}:{parts.port}", context, f"Basic {token}", timeout=_AGENT_SECONDS
        )

    def wait(self) -> None:
        """Returns when the agent answers."""
        limit = time.monotonic() + _AGENT_SECONDS
        while True:
            try:
                self.call("ping")
            except (OSError, Failed, TaskError) as error:
                if time.monotonic() > limit:
                    raise TaskError(
                        450002, f"Timed out pinging VM after {int(_AGENT_SECONDS)} seconds: {error}"
                    ) from error
                time.sleep(_POLL_SECONDS)
            else:
                return

    def call(self, method: str, *arguments: Any) -> Any:
        """Returns a method's result, waiting for its task if it has one."""
        answer = self._post(method, *arguments)
        while isinstance(answer, dict) and answer.get("agent_task_id"):
            answer = self._post("get_task", answer["agent_task_id"])
        return answer

    def put_blob(self, content: bytes) -> dict[str, str]:
        """Hands over a blob and returns how the agent is to name it."""
        name = str(uuid.uuid4())
        self.client.send("PUT", f"/blobs/{name[:2]}/{name}", content, "application/octet-stream")
        return {"blobstore_id": name, "sha1": hashlib.sha1(content, usedforsecurity=False).hexdigest()}

    def _post(self, method: str, *arguments: Any) -> Any:
        wish = {"method": method, "arguments": list(arguments), "reply_to": f"director.{uuid.uuid4()}"}
        answer = self.client.call("POST", "/agent", wish)
        if "exception" in answer:
            raise TaskError(450001, f"Action Failed {method}: {answer['exception']['message']}")
        return answer["value"]


def server_pair(authority: Mapping[str, str], address: str) -> dict[str, str]:
    """Returns {ca, certificate, private_key} for an agent at `address`, signed by the director's CA for agents."""
    with warnings.catch_warnings():
        # The CLI's own CAs say "USA" where X.509 wants two letters.
        warnings.simplefilter("ignore", UserWarning)
        issuer = x509.load_pem_x509_certificate(authority["certificate"].encode()).subject
    signer: Any = serialization.load_pem_private_key(authority["private_key"].encode(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "agent.bosh-internal")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
    )
    certificate = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    form = serialization.PrivateFormat.TraditionalOpenSSL
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    return {"ca": authority["certificate"], "certificate": certificate, "private_key": private}
