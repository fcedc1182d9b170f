"""What `fly destroy-pipeline` asks of Concourse, for a lab without fly: `python fly.py TEAM PIPELINE`.

It takes what `paver env fly` exports, and the public name and secret that fly itself has.
"""

from __future__ import annotations

import os
import ssl
import sys

import httpx

FLY = ("fly", "Zmx5")
SCOPE = "openid profile email federated:id groups"


def main(team: str, pipeline: str) -> None:
    """Takes the pipeline away."""
    context = ssl.create_default_context(cafile=os.environ["CONCOURSE_CA_CERT"])
    with httpx.Client(base_url=os.environ["CONCOURSE_URL"], verify=context, trust_env=False) as concourse:
        form = {
            "grant_type": "password",
            "username": os.environ["CONCOURSE_USER"],
            "password": os.environ["CONCOURSE_PASSWORD"],
            "scope": SCOPE,
        }
        token = concourse.post("/sky/issuer/token", auth=FLY, data=form).raise_for_status().json()
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        concourse.delete(f"/api/v1/teams/{team}/pipelines/{pipeline}", headers=bearer).raise_for_status()


if __name__ == "__main__":
    main(*sys.argv[1:])
