"""CredHub's memory: every version of every credential, encrypted on the VM's persistent disk."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from paver.lab.standins import credhub_generate, service


@dataclass
class Store:
    """Credentials by name (with its leading slash), their versions newest first, and permissions by id."""

    file: Path
    cipher: Fernet
    credentials: dict[str, dict[str, Any]] = field(default_factory=dict)
    permissions: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def open(cls, file: Path, passphrase: str) -> Store:
        """Reads what is there; refuses to start with another passphrase, as CredHub does."""
        cipher = Fernet(base64.urlsafe_b64encode(hashlib.sha256(passphrase.encode()).digest()))
        store = cls(file, cipher)
        if file.is_file():
            content = json.loads(file.read_text(encoding="utf-8"))
            try:
                credentials = cipher.decrypt(content["credentials"].encode())
            except InvalidToken as error:
                raise SystemExit(
                    "The encryption key does not fit the data: 'encryption_password' was changed"
                ) from error
            store.credentials = json.loads(credentials)
            store.permissions = content["permissions"]
        return store

    def add(
        self, name: str, kind: str, value: Any, metadata: Any = None, parameters: Any = None
    ) -> dict[str, Any]:
        """Makes a new version the current one and returns it."""
        with self.lock:
            known = self.credentials.setdefault(name, {"id": credhub_generate.identity(), "versions": []})
            version = {
                "id": credhub_generate.identity(),
                "name": name,
                "type": kind,
                "value": value,
                "metadata": metadata,
                "version_created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "parameters": parameters,
            }
            known["versions"].insert(0, version)
            self.save()
            return version

    def versions(self, name: str) -> list[dict[str, Any]]:
        """All versions, newest first; none if there's no such name."""
        with self.lock:
            return list(self.credentials.get(name, {}).get("versions", []))

    def find(self, wanted: Callable[[str], bool]) -> list[dict[str, Any]]:
        """Name and age of the credentials whose name passes, newest first."""
        with self.lock:
            found = [entry["versions"][0] for name, entry in self.credentials.items() if wanted(name)]
        found.sort(key=lambda version: version["version_created_at"], reverse=True)
        return [
            {"name": version["name"], "version_created_at": version["version_created_at"]}
            for version in found
        ]

    def by_id(self, identity: str) -> dict[str, Any] | None:
        """The version of that id."""
        with self.lock:
            for entry in self.credentials.values():
                for version in entry["versions"]:
                    if version["id"] == identity:
                        return dict(version)
        return None

    def delete(self, name: str) -> bool:
        """Forgets a credential with all versions; tells whether it was there."""
        with self.lock:
            gone = self.credentials.pop(name, None)
            if gone is not None:
                self.save()
            return gone is not None

    def save(self) -> None:
        """Writes everything down."""
        secret = self.cipher.encrypt(json.dumps(self.credentials).encode()).decode()
        service.save(self.file, {"credentials": secret, "permissions": self.permissions})
