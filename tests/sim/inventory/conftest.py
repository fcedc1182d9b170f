"""A vCenter with two hosts, and a run of phase `inventory` there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.vcenter_lab import InventoryRun, VCenter, vcenter, with_pool
from tests.support.vsphere_lab import hosts, site_of


@pytest.fixture
def there(tmp_path: Path) -> Iterator[VCenter]:
    with hosts(tmp_path, "esx-01", "esx-02") as running, vcenter(tmp_path, running) as started:
        yield started


@pytest.fixture
def run(there: VCenter, tmp_path: Path) -> InventoryRun:
    return InventoryRun(with_pool(site_of(there.hosts, tmp_path)), there, tmp_path)
