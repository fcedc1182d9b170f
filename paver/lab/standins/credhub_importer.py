"""Puts the director's own credentials where pipelines of team main find them, after each start of the VM.

The `credhub-importer` job's post-start script runs this; it speaks to CredHub as its user, by password.
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
from pathlib import Path

from paver.lab.standins.client import Client, Failed


def main() -> int:
    """Imports every entry; ends with 1 and a line if CredHub or UAA refuses."""
    parser = argparse.ArgumentParser(prog="credhub-importer")
    parser.add_argument("--config", type=Path, required=True)
    config = json.loads(parser.parse_args().config.read_text(encoding="utf-8"))
    context = ssl.create_default_context(cadata=config["ca"])
    try:
        anonymous = Client(config["server"], context)
        uaa = Client(anonymous.get("/info")["auth-server"]["url"], context)
        token = uaa.form(
            "/oauth/token",
            ("credhub_cli", ""),
            {"grant_type": "password", "username": config["username"], "password": config["password"]},
        )["access_token"]
        credhub = Client(config["server"], context, f"bearer {token}")
        for entry in config["entries"]:
            wish = {"name": "/" + entry["name"].lstrip("/"), "type": entry["type"], "value": entry["value"]}
            credhub.call("PUT", "/api/v1/data", wish)
    except (Failed, OSError) as error:
        sys.stderr.write(f"importing credentials: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
