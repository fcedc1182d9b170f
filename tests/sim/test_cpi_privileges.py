"""What the lab's CPI may do by the roles that paver makes, and what it is refused without them."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.drivers.vsphere.inventory import privileges
from paver.drivers.vsphere.inventory.entity import every
from paver.lab.standins import cpi, cpi_calls, cpi_stemcells, cpi_vcenter, stemcell_image
from paver.lab.standins.soap import SoapStubAdapter, vim
from tests.support.vcenter_lab import ADDRESS, CPI, InventoryRun, vcenter, with_pool
from tests.support.vsphere_lab import ADDRESS as HOSTS
from tests.support.vsphere_lab import hosts, site_of

pytestmark = pytest.mark.lab

PASSWORD = "Paver-Cpi-1!"
ACCOUNT = "bosh-cpi@vsphere.local"
DOCS = Path(__file__).parents[2] / "docs/explanation/what-is-simulated.md"
ALL = frozenset[str]().union(*privileges.SCOPES.values())
NETWORKS = {"default": {"ip": "10.30.0.99", "cloud_properties": {"name": "VM Network"}}}


class Bosh:
    """BOSH's account, its roles, and the CPI that acts by them.

    Attributes:
        refused: the privileges for want of which a call was refused since somebody looked, those too that the CPI gets over.
    """

    def __init__(self, run: InventoryRun, image: Path) -> None:
        self.run = run
        self.image = image
        self.refused: set[str] = set()
        datacenter = {
            "name": "north",
            "vm_folder": "BOSH_VMs",
            "template_folder": "BOSH_Templates",
            "disk_path": "BOSH_Disks",
            "datastore_pattern": r"\Adatastore1\z",
            "clusters": [{"compute": {"resource_pool": "bosh"}}],
        }
        vcenter = {
            "host": f"{ADDRESS}:{run.vcenter.port}",
            "user": ACCOUNT,
            "password": PASSWORD,
            "datacenters": [datacenter],
        }
        self.properties = {"vcenters": [vcenter], "agent": {}}

    def may(self, wanted: frozenset[str]) -> None:
        """Leaves the roles these privileges of theirs."""
        with self.run.administrator() as session:
            manager = session.content.authorizationManager
            for one in session.value(manager, "roleList"):
                scope = one.name.removeprefix("paver-north-")
                if scope in privileges.SCOPES:
                    session.call(
                        manager,
                        "UpdateAuthorizationRole",
                        roleId=one.roleId,
                        newName=one.name,
                        privIds=sorted(privileges.SCOPES[scope] & wanted),
                    )

    def ask(self, method: str, *arguments: Any) -> dict[str, Any]:
        """Has the CPI answer a call as the director makes it."""
        request = {"method": method, "arguments": arguments, "context": {"director_uuid": "the-director"}}
        return cpi.answer(request, self.properties)

    def does(self, method: str, *arguments: Any) -> Any:
        """Has the CPI carry out a call, and returns its result."""
        answer = self.ask(method, *arguments)
        assert answer["error"] is None, answer["error"]["message"]
        return answer["result"]

    def stemcell(self) -> str:
        """Makes a stemcell."""
        return str(self.does("create_stemcell", str(self.image), {}))

    def machine(self, stemcell: str) -> str:
        """Makes a VM of it."""
        sizes = {"cpu": 1, "ram": 512, "disk": 1024}
        return str(self.does("create_vm", "agent", stemcell, sizes, NETWORKS, [], {})[0])

    def machines(self) -> set[str]:
        """The names of all machines, but for the cluster's own agents: those come and go by themselves."""
        with self.run.administrator() as session:
            names = {str(one.values["name"]) for one in every(session, "VirtualMachine")}
        return {name for name in names if not name.startswith("vCLS")}

    @contextlib.contextmanager
    def seen(self, cid: str, folder: str) -> Iterator[Any]:
        """Gives a machine as the CPI sees it, in the director's folder of one of BOSH's."""
        with cpi_vcenter.connected(self.properties, "the-director") as cloud:
            found = cloud.find_vm(cid)
            assert found is not None
            assert (found.parent.parent.name, found.parent.name) == (folder, "the-director")
            yield found


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InventoryRun]:
    folder = tmp_path_factory.mktemp("standing")
    with hosts(folder, "esx-01", "esx-02") as running, vcenter(folder, running) as started:
        run = InventoryRun(with_pool(site_of(running, folder)), started, folder)
        run.secrets[CPI] = PASSWORD
        run.fine()
        yield run


@pytest.fixture
def bosh(standing: InventoryRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bosh:
    image = tmp_path / "image"
    image.write_bytes(stemcell_image.image("ubuntu-jammy", "1.1"))
    made = Bosh(standing, image)

    class Heard(SoapStubAdapter):  # type: ignore[misc]
        def InvokeMethod(self, *call: Any) -> Any:  # noqa: N802 - pyVmomi's name
            try:
                return super().InvokeMethod(*call)
            except vim.fault.NoPermission as error:
                made.refused.add(error.privilegeId)
                raise

    asked = socket.getaddrinfo

    def found(host: Any, *rest: Any, **more: Any) -> Any:
        return asked(HOSTS if str(host).endswith(".north.example") else host, *rest, **more)

    monkeypatch.setattr(cpi_vcenter, "SoapStubAdapter", Heard)
    monkeypatch.setattr(socket, "getaddrinfo", found)
    made.may(ALL)
    return made


def asked_for_by_nothing() -> set[str]:
    """What the documentation says of it."""
    text = DOCS.read_text(encoding="utf-8")
    section = text.partition("## What BOSH's roles hold that nothing in the lab asks for\n")[2].partition(
        "\n## "
    )[0]
    found = set()
    for group, names in re.findall(r"^\| `([\w.]+)` \| (.+?) \|", section, re.MULTILINE):
        found |= {f"{group}.{name}" for name in re.findall(r"`(\w+)`", names)}
    return found


def test_boshs_roles_suffice_for_the_cpi_and_what_they_hold_beyond_is_told(bosh: Bosh) -> None:
    granted: frozenset[str] = frozenset()
    bosh.may(granted)

    def until_allowed(act: Callable[[], Any]) -> Any:
        """Does something over and over, each time with what it was refused for before."""
        nonlocal granted
        while True:
            bosh.refused.clear()
            try:
                result = act()
            except AssertionError:
                assert bosh.refused, "it fails, but not for want of a privilege"
            else:
                if not bosh.refused:
                    return result
            assert bosh.refused <= ALL - granted
            granted |= bosh.refused
            bosh.may(granted)

    stemcell = until_allowed(bosh.stemcell)
    vm = until_allowed(lambda: bosh.machine(stemcell))
    disk = until_allowed(lambda: bosh.does("create_disk", 64, {}, vm))
    until_allowed(lambda: bosh.does("attach_disk", vm, disk))
    until_allowed(lambda: bosh.does("set_vm_metadata", vm, {"deployment": "services"}))
    until_allowed(lambda: bosh.does("reboot_vm", vm))
    until_allowed(lambda: bosh.does("detach_disk", vm, disk))
    until_allowed(lambda: bosh.does("delete_vm", vm))
    until_allowed(lambda: bosh.does("delete_disk", disk))
    until_allowed(lambda: bosh.does("delete_stemcell", stemcell))
    assert ALL - granted == asked_for_by_nothing()


def test_every_call_of_the_cpi_is_made_here() -> None:
    made = set(re.findall(r'does\("(\w+)"', Path(__file__).read_text(encoding="utf-8")))
    assert set(cpi_calls.CALLS) - made == {"has_vm", "has_disk", "get_disks"}, "those that only read"


@pytest.mark.parametrize(
    "privilege",
    ["VApp.Import", "VirtualMachine.Config.AddRemoveDevice", "VirtualMachine.State.CreateSnapshot"],
)
def test_a_role_without_what_a_stemcell_takes_has_none_made(bosh: Bosh, privilege: str) -> None:
    bosh.may(ALL - {privilege})
    answer = bosh.ask("create_stemcell", str(bosh.image), {})
    assert answer["error"]["message"] == (
        f"Permission to perform this operation was denied. NoPermission: {privilege}"
    )


@pytest.mark.parametrize(
    "privilege",
    [
        "VirtualMachine.Provisioning.Clone",
        "VirtualMachine.Inventory.CreateFromExisting",
        "VirtualMachine.Config.AddNewDisk",
        "VirtualMachine.Config.UpgradeVirtualHardware",
        "Network.Assign",
        "Resource.AssignVMToPool",
        "VirtualMachine.Interact.PowerOn",
    ],
)
def test_a_role_without_what_a_vm_takes_has_none_made(bosh: Bosh, privilege: str) -> None:
    stemcell = bosh.stemcell()
    before = bosh.machines()
    bosh.may(ALL - {privilege})
    answer = bosh.ask("create_vm", "agent", stemcell, {"cpu": 1, "ram": 512, "disk": 64}, NETWORKS, [], {})
    assert answer["error"]["message"] == (
        f"Permission to perform this operation was denied. NoPermission: {privilege}"
    )
    assert bosh.machines() == before


def test_a_vm_is_a_linked_clone_of_the_snapshot_of_a_stemcell_that_is_no_template(bosh: Bosh) -> None:
    made = bosh.stemcell()
    with bosh.seen(made, "BOSH_Templates") as stemcell:
        assert [one.name for one in stemcell.snapshot.rootSnapshotList] == ["initial"]
        assert not stemcell.config.template
    with bosh.seen(bosh.machine(made), "BOSH_VMs") as vm:
        disks = [one for one in vm.config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk)]
        assert [disk.backing.parent is not None for disk in disks] == [True, False]


def test_a_role_that_may_register_no_extension_leaves_boshs_machines_without_an_owner(bosh: Bosh) -> None:
    with bosh.run.administrator() as session:
        manager = session.content.extensionManager
        if session.call(manager, "FindExtension", extensionKey=cpi_stemcells.EXTENSION) is not None:
            session.call(manager, "UnregisterExtension", extensionKey=cpi_stemcells.EXTENSION)
    bosh.may(ALL - {"Extension.Register"})
    with bosh.seen(bosh.stemcell(), "BOSH_Templates") as stemcell:
        assert stemcell.config.managedBy is None
    bosh.may(ALL)
    with bosh.seen(bosh.stemcell(), "BOSH_Templates") as stemcell:
        assert stemcell.config.managedBy.type == "cpi-managed-resource"
