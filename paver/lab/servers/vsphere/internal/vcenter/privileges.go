package vcenter

import (
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/front"
)

// need is a privilege that a call needs on an entity.
type need struct {
	entity    types.ManagedObjectReference
	privilege string
}

// onTarget are methods that need one privilege on the object they are called on.
var onTarget = map[string]string{
	"VirtualMachine.PowerOnVM_Task":                          "VirtualMachine.Interact.PowerOn",
	"VirtualMachine.PowerOffVM_Task":                         "VirtualMachine.Interact.PowerOff",
	"VirtualMachine.ShutdownGuest":                           "VirtualMachine.Interact.PowerOff",
	"VirtualMachine.ResetVM_Task":                            "VirtualMachine.Interact.Reset",
	"VirtualMachine.RebootGuest":                             "VirtualMachine.Interact.Reset",
	"VirtualMachine.SuspendVM_Task":                          "VirtualMachine.Interact.Suspend",
	"VirtualMachine.Destroy_Task":                            "VirtualMachine.Inventory.Delete",
	"VirtualMachine.UnregisterVM":                            "VirtualMachine.Inventory.Unregister",
	"VirtualMachine.Rename_Task":                             "VirtualMachine.Config.Rename",
	"VirtualMachine.MarkAsTemplate":                          "VirtualMachine.Provisioning.MarkAsTemplate",
	"VirtualMachine.MarkAsVirtualMachine":                    "VirtualMachine.Provisioning.MarkAsVM",
	"VirtualMachine.SetCustomValue":                          "Global.SetCustomField",
	"VirtualMachine.CreateSnapshot_Task":                     "VirtualMachine.State.CreateSnapshot",
	"VirtualMachine.UpgradeVM_Task":                          "VirtualMachine.Config.UpgradeVirtualHardware",
	"Folder.CreateFolder":                                    "Folder.Create",
	"Folder.Destroy_Task":                                    "Folder.Delete",
	"Folder.Rename_Task":                                     "Folder.Rename",
	"Folder.MoveIntoFolder_Task":                             "Folder.Move",
	"Folder.CreateDatacenter":                                "Datacenter.Create",
	"Folder.CreateClusterEx":                                 "Host.Inventory.CreateCluster",
	"Folder.AddStandaloneHost_Task":                          "Host.Inventory.AddStandaloneHost",
	"Datacenter.Destroy_Task":                                "Datacenter.Delete",
	"Datacenter.Rename_Task":                                 "Datacenter.Rename",
	"ClusterComputeResource.AddHost_Task":                    "Host.Inventory.AddHostToCluster",
	"ClusterComputeResource.ReconfigureComputeResource_Task": "Host.Inventory.EditCluster",
	"ClusterComputeResource.Destroy_Task":                    "Host.Inventory.DeleteCluster",
	"ClusterComputeResource.Rename_Task":                     "Host.Inventory.RenameCluster",
	"ResourcePool.CreateResourcePool":                        "Resource.CreatePool",
	"ResourcePool.Destroy_Task":                              "Resource.DeletePool",
	"ResourcePool.Rename_Task":                               "Resource.RenamePool",
	"ResourcePool.UpdateConfig":                              "Resource.EditPool",
}

// free are writes that any session may make: they act on what is its own.
var free = map[string]bool{
	"HttpNfcLeaseComplete": true, "HttpNfcLeaseAbort": true, "HttpNfcLeaseSetManifestChecksumType": true,
	"CreateTask": true, "SetTaskState": true, "SetTaskDescription": true, "UpdateProgress": true,
}

// permit checks a call against the account's permissions.
func (v *VCenter) permit(ctx *simulator.Context, m *simulator.Method) types.BaseMethodFault {
	user := ctx.Session.UserName
	if v.sso.isAdmin(user) || !v.refuse.Refuse("no-permission") {
		return nil
	}
	for _, n := range v.needs(m) {
		if !v.authz.may(user, n.entity, n.privilege) {
			entity := n.entity
			return &types.NoPermission{Object: &entity, PrivilegeId: n.privilege}
		}
	}
	return nil
}

// needs says what a call needs. A write that stands in no table needs what
// only administrators have.
func (v *VCenter) needs(m *simulator.Method) []need {
	root := v.rootFolder()
	if p, ok := onTarget[m.This.Type+"."+m.Name]; ok {
		return []need{{m.This, p}}
	}
	switch req := m.Body.(type) {
	case *types.SearchDatastore_Task:
		return v.onStore(nil, req.DatastorePath, "Datastore.Browse")
	case *types.SearchDatastoreSubFolders_Task:
		return v.onStore(nil, req.DatastorePath, "Datastore.Browse")
	case *types.ReconfigVM_Task:
		return v.reconfigureNeeds(m.This, &req.Spec)
	case *types.CloneVM_Task:
		return v.cloneNeeds(m.This, req)
	case *types.CreateVM_Task:
		needs := []need{{m.This, "VirtualMachine.Inventory.Create"}, {req.Pool, "Resource.AssignVMToPool"}}
		if req.Config.Files != nil {
			needs = append(needs, v.onStore(nil, req.Config.Files.VmPathName, "Datastore.AllocateSpace")...)
		}
		return append(needs, v.deviceNeeds(m.This, &req.Config, false)...)
	case *types.ImportVApp:
		needs := []need{{m.This, "VApp.Import"}, {m.This, "Resource.AssignVMToPool"}}
		if req.Folder != nil {
			needs = append(needs, need{*req.Folder, "VApp.Import"})
		}
		return needs
	case *types.MakeDirectory:
		return v.onStore(req.Datacenter, req.Name, "Datastore.FileManagement")
	case *types.DeleteDatastoreFile_Task:
		return v.onStore(req.Datacenter, req.Name, "Datastore.FileManagement")
	case *types.MoveDatastoreFile_Task:
		return v.onStore(req.SourceDatacenter, req.SourceName, "Datastore.FileManagement")
	case *types.CopyDatastoreFile_Task:
		return v.onStore(req.SourceDatacenter, req.SourceName, "Datastore.FileManagement")
	case *types.CreateVirtualDisk_Task:
		return v.onStore(req.Datacenter, req.Name, "Datastore.FileManagement")
	case *types.DeleteVirtualDisk_Task:
		return v.onStore(req.Datacenter, req.Name, "Datastore.FileManagement")
	case *types.SetField:
		return []need{{req.Entity, v.fieldNeeds(req.Key)}}
	case *types.AddCustomFieldDef, *types.RemoveCustomFieldDef, *types.RenameCustomFieldDef:
		return []need{{root, "Global.ManageCustomFields"}}
	case *types.RegisterExtension:
		return []need{{root, "Extension.Register"}}
	case *types.UnregisterExtension:
		return []need{{root, "Extension.Unregister"}}
	case *types.UpdateExtension:
		return []need{{root, "Extension.Update"}}
	case *types.AddAuthorizationRole, *types.UpdateAuthorizationRole, *types.RemoveAuthorizationRole:
		return []need{{root, "Authorization.ModifyRoles"}}
	case *types.SetEntityPermissions:
		return []need{{req.Entity, "Authorization.ModifyPermissions"}}
	case *types.RemoveEntityPermission:
		return []need{{req.Entity, "Authorization.ModifyPermissions"}}
	case *types.PowerOnMultiVM_Task:
		needs := []need{}
		for _, vm := range req.Vm {
			needs = append(needs, need{vm, "VirtualMachine.Interact.PowerOn"})
		}
		return needs
	case *types.InitiateFileTransferFromGuest:
		return []need{{req.Vm, "VirtualMachine.GuestOperations.Query"}}
	case *types.InitiateFileTransferToGuest:
		return []need{{req.Vm, "VirtualMachine.GuestOperations.Modify"}}
	}
	if front.Reading(m.Name) || free[m.Name] {
		return nil
	}
	return []need{{root, "System.Administrator"}}
}

func (v *VCenter) rootFolder() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "Folder", Value: "group-d1"}
}

// fieldNeeds is the privilege that writing an attribute takes: the one that
// its policy names, if whoever made it gave it one.
func (v *VCenter) fieldNeeds(key int32) string {
	manager, privilege := v.reg.CustomFieldsManager(), "Global.SetCustomField"
	v.front.NewContext().WithLock(manager, func() {
		for _, field := range manager.Field {
			if p := field.FieldInstancePrivileges; field.Key == key && p != nil {
				privilege = p.UpdatePrivilege
			}
		}
	})
	return privilege
}

// onStore is a privilege on the datastore that a path names.
func (v *VCenter) onStore(_ *types.ManagedObjectReference, path, privilege string) []need {
	var p object.DatastorePath
	if !p.FromString(path) {
		return nil // the call itself will say what is wrong with the path
	}
	for _, e := range v.reg.All("Datastore") {
		if ds, ok := e.(*simulator.Datastore); ok && ds.Name == p.Datastore {
			return []need{{ds.Self, privilege}}
		}
	}
	return nil
}

func (v *VCenter) reconfigureNeeds(vm types.ManagedObjectReference, spec *types.VirtualMachineConfigSpec) []need {
	var needs []need
	add := func(wanted bool, privilege string) {
		if wanted {
			needs = append(needs, need{vm, privilege})
		}
	}
	add(len(spec.ExtraConfig) > 0, "VirtualMachine.Config.AdvancedConfig")
	add(spec.NumCPUs != 0 || spec.NumCoresPerSocket != 0, "VirtualMachine.Config.CPUCount")
	add(spec.MemoryMB != 0, "VirtualMachine.Config.Memory")
	add(spec.Name != "", "VirtualMachine.Config.Rename")
	add(spec.Annotation != "", "VirtualMachine.Config.Annotation")
	add(spec.CpuAllocation != nil || spec.MemoryAllocation != nil, "VirtualMachine.Config.Resource")
	add(spec.ManagedBy != nil, "VirtualMachine.Config.ManagedBy")
	add(spec.VAppConfig != nil, "VApp.ApplicationConfig")
	add(spec.Flags != nil || spec.BootOptions != nil || spec.Tools != nil, "VirtualMachine.Config.Settings")
	return append(needs, v.deviceNeeds(vm, spec, true)...)
}

// deviceNeeds: disks and cards, and the networks that cards are put on.
func (v *VCenter) deviceNeeds(on types.ManagedObjectReference, spec *types.VirtualMachineConfigSpec, existing bool) []need {
	var needs []need
	for _, c := range spec.DeviceChange {
		change := c.GetVirtualDeviceConfigSpec()
		if change.Device == nil {
			continue
		}
		_, disk := change.Device.(*types.VirtualDisk)
		privilege := "VirtualMachine.Config.AddRemoveDevice"
		switch {
		case change.Operation == types.VirtualDeviceConfigSpecOperationEdit:
			privilege = "VirtualMachine.Config.EditDevice"
		case disk && change.Operation == types.VirtualDeviceConfigSpecOperationRemove:
			privilege = "VirtualMachine.Config.RemoveDisk"
		case disk && change.FileOperation == "":
			privilege = "VirtualMachine.Config.AddExistingDisk"
		case disk:
			privilege = "VirtualMachine.Config.AddNewDisk"
		}
		if existing || disk {
			needs = append(needs, need{on, privilege})
		}
		needs = append(needs, v.networkNeeds(on, change)...)
	}
	return needs
}

func (v *VCenter) networkNeeds(on types.ManagedObjectReference, change *types.VirtualDeviceConfigSpec) []need {
	backing, ok := change.Device.GetVirtualDevice().Backing.(*types.VirtualEthernetCardNetworkBackingInfo)
	dc := v.datacenterOf(on)
	if !ok || dc == nil || change.Operation == types.VirtualDeviceConfigSpecOperationRemove {
		return nil
	}
	if e := v.child(v.front.NewContext(), dc.NetworkFolder, backing.DeviceName); e != nil {
		return []need{{e.Reference(), "Network.Assign"}}
	}
	return nil
}

func (v *VCenter) cloneNeeds(vm types.ManagedObjectReference, req *types.CloneVM_Task) []need {
	privilege := "VirtualMachine.Provisioning.Clone"
	if req.Spec.Template {
		privilege = "VirtualMachine.Provisioning.CreateTemplateFromVM"
	}
	if source, ok := v.reg.Get(vm).(*simulator.VirtualMachine); ok && source.Config.Template {
		privilege = "VirtualMachine.Provisioning.DeployTemplate"
		if req.Spec.Template {
			privilege = "VirtualMachine.Provisioning.CloneTemplate"
		}
	}
	needs := []need{{vm, privilege}, {req.Folder, "VirtualMachine.Inventory.CreateFromExisting"}}
	if p := req.Spec.Location.Pool; p != nil {
		needs = append(needs, need{*p, "Resource.AssignVMToPool"})
	}
	if d := req.Spec.Location.Datastore; d != nil {
		needs = append(needs, need{*d, "Datastore.AllocateSpace"})
	}
	if req.Spec.Config != nil {
		needs = append(needs, v.reconfigureNeeds(req.Folder, req.Spec.Config)...)
	}
	return needs
}
