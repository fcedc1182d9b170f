"""Where the lab's CPI puts what it makes, as the real one does."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from paver.lab.standins.cpi_vcenter import Cloud

DIRECTOR = "b9f1f3a2-5d0c-4c43-6a2e-0d1c7c0f5a11"


@pytest.mark.parametrize(
    ("clusters", "path"),
    [
        (["compute"], "BOSH_VMs"),
        ([{"compute": {"resource_pool": None}}], "BOSH_VMs"),
        ([{"compute": {"resource_pool": "bosh"}}], f"BOSH_VMs/{DIRECTOR}"),
        (["edge", {"compute": {"resource_pool": "bosh"}}], f"BOSH_VMs/{DIRECTOR}"),
    ],
)
def test_with_a_resource_pool_each_director_has_a_folder_of_its_own(clusters: list[Any], path: str) -> None:
    settings = {"vm_folder": "BOSH_VMs", "clusters": clusters}
    cloud = Cloud(None, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "vcsa", {}, settings, DIRECTOR)
    assert cloud.folder_path("vm_folder") == path
