"""What BOSH's CPI may do in vCenter, by scope.

Source: bosh-vsphere-cpi-release, docs/required_vcenter_privileges.md; for the metadata of VMs, which that page
leaves out and the CPI only warns of, vim25 CustomFieldsManager.SetField. `System.*` comes with every role and is
named nowhere. For each object vCenter takes the nearest permission alone: where the datacenter's is hidden by a
nearer one, what is still needed there must be repeated. What nothing in the lab asks for stands in
docs/explanation/what-is-simulated.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

SYSTEM = "System."
"""What every role has, whether it is asked for or not."""


def _all(prefix: str, names: str) -> Iterator[str]:
    yield from (f"{prefix}.{name}" for name in names.split())


_MACHINE: Mapping[str, str] = {
    "Config": "AddExistingDisk AddNewDisk AddRemoveDevice AdvancedConfig CPUCount Resource ManagedBy "
    "ChangeTracking DiskLease MksControl DiskExtend Memory EditDevice RawDevice ReloadFromPath RemoveDisk "
    "Rename ResetGuestInfo Annotation Settings SwapPlacement Unlock UpgradeVirtualHardware",
    "Interact": "AnswerQuestion SetCDMedia DeviceConnection PowerOff PowerOn Reset Suspend ToolsInstall",
    "Inventory": "CreateFromExisting Create Move Delete",
    "Provisioning": "DiskRandomAccess DiskRandomRead GetVmFiles PutVmFiles CloneTemplate Clone Customize "
    "DeployTemplate MarkAsTemplate MarkAsVM ModifyCustSpecs PromoteDisks ReadCustSpecs",
    "State": "CreateSnapshot RemoveSnapshot RenameSnapshot RevertToSnapshot",
}

ROOT = frozenset(
    {
        "Global.ManageCustomFields",
        "Extension.Register",
        "InventoryService.Tagging.AttachTag",
        "StorageProfile.View",
    }
)
"""On vCenter itself, not inherited."""

DATACENTER = frozenset({"Datastore.FileManagement", "Network.Assign"})
"""On the datacenter and all in it."""

FOLDER = frozenset(
    {
        *_all("Datastore", "AllocateSpace Browse DeleteFile UpdateVirtualMachineFiles"),
        *_all("Folder", "Create Delete Move Rename"),
        # The CPI's attribute for DRS rules is written by who may edit tags: its policy says so.
        *_all("InventoryService.Tagging", "CreateTag DeleteTag EditTag"),
        *_all("Resource", "AssignVMToPool ColdMigrate HotMigrate"),
        *_all("VApp", "Import ApplicationConfig"),
        *(one for group, names in _MACHINE.items() for one in _all(f"VirtualMachine.{group}", names)),
    }
)
"""On BOSH's folders, its resource pool and its datastores."""

SCOPES: Mapping[str, frozenset[str]] = {
    "cpi-root": ROOT,
    "cpi-datacenter": DATACENTER,
    # On a datastore it hides the datacenter's, and files are still to be managed there; on VMs it writes metadata.
    "cpi-folder": FOLDER | {"Datastore.FileManagement", "Global.SetCustomField"},
}
"""The roles, by the key in their names."""
