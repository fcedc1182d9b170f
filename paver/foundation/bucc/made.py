"""The secrets that BUCC makes for itself, out of its credentials: they stand in the sealed store as one text. Pure.

`creds.yml` is a vars-store of the bosh CLI: by the variable's name a text, which is a password, or what a key, a
certificate or an account has. Names of variables tell nothing (`uaa_clients_director_to_credhub` is a password), names
of what they have do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from paver.foundation import yaml_text

PUBLIC = frozenset({"ca", "certificate", "public_key", "public_key_fingerprint", "username"})
_PUBLIC_PEM = ("-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----")


def secrets(creds: str) -> list[str]:
    """Returns the passwords and private keys in the text of `creds.yml`; none if it is not what BUCC writes."""
    try:
        found = yaml_text.loads(creds)
    except yaml.YAMLError:
        return []
    return [*_within(found)]


def _within(found: Any) -> Iterator[str]:
    if isinstance(found, Mapping):
        for variable in found.values():
            parts = variable if isinstance(variable, Mapping) else {"": variable}
            yield from (
                text
                for name, text in parts.items()
                if name not in PUBLIC and isinstance(text, str) and not text.lstrip().startswith(_PUBLIC_PEM)
            )
