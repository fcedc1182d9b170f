"""OVAs of ours, judged by a client that others wrote."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from paver.lab import build
from paver.ovf.model import Product, Property
from paver.ovf.write import make_ova

pytestmark = pytest.mark.lab


def test_govc_reads_networks_and_properties_of_our_ova(tmp_path: Path) -> None:
    govc = build.build(["govc"])["govc"]
    make_ova(
        tmp_path / "box.ova",
        name="box",
        disk=b"boots",
        networks=["mgmt", "bosh & <more>"],
        properties=[
            Property(key="guestinfo.name", value='a "name"', label="Name", description="What it's called")
        ],
        product=Product(name="paver", vendor="iaas-paver", version="1.4.0"),
    )
    argv = [str(govc), "import.spec", str(tmp_path / "box.ova")]
    # It wants to be given a server, which it does not ask.
    server = {"GOVC_URL": "https://nobody@127.0.0.9:1"}
    ended = subprocess.run(argv, env=server, check=True, capture_output=True, text=True, timeout=60)
    found = json.loads(ended.stdout)
    assert [each["Name"] for each in found["NetworkMapping"]] == ["mgmt", "bosh & <more>"]
    assert found["PropertyMapping"] == [{"Key": "guestinfo.name", "Value": 'a "name"'}]
