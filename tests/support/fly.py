"""What `fly` asks of Concourse, for a lab without fly: `python fly.py pause-pipeline|set-pipeline TEAM PIPELINE`.

It takes what `paver env fly` exports, and the public name and secret that fly itself has.
"""

from __future__ import annotations

import os
import ssl
import sys

import httpx

FLY = ("fly", "Zmx5")
SCOPE = "openid profile email federated:id groups"
CONFIG = "jobs: [{name: theirs, plan: [{task: it, config: {platform: linux, run: {path: 'true'}}}]}]"


def main(verb: str, team: str, pipeline: str) -> None:
    """Pauses the pipeline, or makes it."""
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
        path = f"/api/v1/teams/{team}/pipelines/{pipeline}"
        if verb == "pause-pipeline":
            answer = concourse.put(f"{path}/pause", headers=bearer)
        else:
            headers = {**bearer, "Content-Type": "application/x-yaml"}
            answer = concourse.put(f"{path}/config", headers=headers, content=CONFIG)
        answer.raise_for_status()


if __name__ == "__main__":
    main(*sys.argv[1:])
