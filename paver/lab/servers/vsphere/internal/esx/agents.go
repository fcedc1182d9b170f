package esx

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/control"
	"paver.lab/vsphere/internal/ovfspec"
)

// embeddedGuest is what an agent in a host's memory says that it is.
const embeddedGuest = string(types.VirtualMachineGuestOsIdentifierCrxSys1Guest)

// agentRoutes is the host's side of vSphere Cluster Services: a vCenter tells
// it which agents it is to carry. Nobody asks for them over the host's API, so
// they are in no trace.
func (f *Fleet) agentRoutes() {
	control.Handle(f.control, "POST /agent", func(_ *http.Request, r struct {
		Server   string `json:"server"`
		Name     string `json:"name"`
		Embedded bool   `json:"embedded"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		if r.Embedded {
			h.embedAgent(r.Name)
			return nil, nil
		}
		return nil, h.deployAgent(r.Name)
	})
	control.Handle(f.control, "POST /agent/gone", func(_ *http.Request, r struct {
		Server string `json:"server"`
		Name   string `json:"name"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		return nil, h.dropAgent(r.Name)
	})
}

// agentsHere are the agents that the host carries, by name.
func (h *Host) agentsHere() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := []string{}
	for name, ref := range h.agents {
		if h.reg.Get(ref) != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// isAgent says whether a machine was put here by a vCenter for itself.
func (h *Host) isAgent(ref types.ManagedObjectReference) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.agents {
		if r == ref {
			return true
		}
	}
	return false
}

// isEmbedded says whether an object is an agent that has no files: whatever
// acts on a machine's files has nothing to act on.
func (h *Host) isEmbedded(ref types.ManagedObjectReference) bool {
	machine, ok := h.reg.Get(ref).(*simulator.VirtualMachine)
	return ok && machine.Config != nil && machine.Config.GuestId == embeddedGuest
}

// embedAgent has an agent in the host's memory: it runs as soon as it is
// there, and lies on no datastore.
func (h *Host) embedAgent(name string) {
	path := "[] /var/run/crx/infra/" + name + "/" + name + ".vmx"
	host := h.host()
	machine := &simulator.VirtualMachine{}
	machine.Name = name
	machine.ResourcePool = &types.ManagedObjectReference{Type: "ResourcePool", Value: "ha-root-pool"}
	machine.Config = &types.VirtualMachineConfigInfo{
		Name: name, GuestId: embeddedGuest, GuestFullName: "VMware Photon CRX (64-bit)",
		Version: fmt.Sprintf("vmx-%d", ovfspec.NewestHardware(h.config.Version)),
		Uuid:    uuid.NewString(), InstanceUuid: uuid.NewString(), Files: types.VirtualMachineFileInfo{VmPathName: path},
		Hardware: types.VirtualHardware{NumCPU: 1, NumCoresPerSocket: 1, MemoryMB: 160},
	}
	machine.Guest = &types.GuestInfo{
		ToolsStatus: types.VirtualMachineToolsStatusToolsNotInstalled, GuestState: string(types.VirtualMachineGuestStateRunning),
		ToolsRunningStatus: string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning),
	}
	machine.Runtime = types.VirtualMachineRuntimeInfo{
		Host: &host.Self, ConnectionState: types.VirtualMachineConnectionStateConnected, PowerState: types.VirtualMachinePowerStatePoweredOn,
	}
	h.reg.NewEntity(machine)
	machine.Summary = types.VirtualMachineSummary{
		Vm: &machine.Self, Runtime: machine.Runtime, OverallStatus: types.ManagedEntityStatusGreen,
		Config: types.VirtualMachineConfigSummary{
			Name: name, VmPathName: path, GuestId: embeddedGuest, NumCpu: 1, MemorySizeMB: 160,
			Uuid: machine.Config.Uuid, InstanceUuid: machine.Config.InstanceUuid,
		},
		QuickStats: types.VirtualMachineQuickStats{GuestHeartbeatStatus: types.ManagedEntityStatusGray},
	}
	h.noteAgent(name, machine.Self)
	folder, _ := h.reg.Get(h.datacenter().VmFolder).(*simulator.Folder)
	h.reg.PutEntity(folder, machine)
	ctx := h.front.NewContext()
	for _, list := range h.listsOf(machine) {
		h.reg.AppendReference(ctx, list.of, list.refs, machine.Self)
	}
	h.changed()
}

// refList is a list in which an object names machines.
type refList struct {
	of   mo.Reference
	refs *[]types.ManagedObjectReference
}

// listsOf are the lists that name a machine of the host.
func (h *Host) listsOf(machine *simulator.VirtualMachine) []refList {
	host := h.host()
	lists := []refList{{host, &host.Vm}}
	if pool, ok := h.reg.Get(*machine.ResourcePool).(*simulator.ResourcePool); ok {
		lists = append(lists, refList{pool, &pool.Vm})
	}
	if folder, ok := h.reg.Get(*machine.Parent).(*simulator.Folder); ok {
		lists = append(lists, refList{folder, &folder.ChildEntity})
	}
	return lists
}

// deployAgent makes an agent with a disk of its own, on the first datastore.
func (h *Host) deployAgent(name string) error {
	ctx := h.front.NewContext()
	folder, _ := h.reg.Get(h.datacenter().VmFolder).(*simulator.Folder)
	add := func(device types.BaseVirtualDevice, files types.VirtualDeviceConfigSpecFileOperation) types.BaseVirtualDeviceConfigSpec {
		return &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, FileOperation: files, Device: device}
	}
	controller := &types.ParaVirtualSCSIController{}
	controller.Key, controller.SharedBus = -1, types.VirtualSCSISharingNoSharing
	disk := &types.VirtualDisk{CapacityInKB: 2 << 20}
	disk.Key, disk.ControllerKey, disk.UnitNumber = -2, -1, types.NewInt32(0)
	disk.Backing = &types.VirtualDiskFlatVer2BackingInfo{
		DiskMode: string(types.VirtualDiskModePersistent), ThinProvisioned: types.NewBool(true),
	}
	result, fault := h.createVM(ctx, folder, &types.CreateVM_Task{
		This: folder.Self,
		Pool: types.ManagedObjectReference{Type: "ResourcePool", Value: "ha-root-pool"},
		Config: types.VirtualMachineConfigSpec{
			Name: name, GuestId: string(types.VirtualMachineGuestOsIdentifierVmwarePhoton64Guest), NumCPUs: 1, MemoryMB: 128,
			Files: &types.VirtualMachineFileInfo{VmPathName: "[" + h.datastores()[0].Name + "]"},
			DeviceChange: []types.BaseVirtualDeviceConfigSpec{
				add(controller, ""), add(disk, types.VirtualDeviceConfigSpecFileOperationCreate),
			},
		},
	})
	ref, ok := result.(types.ManagedObjectReference)
	machine, found := h.reg.Get(ref).(*simulator.VirtualMachine)
	if fault != nil || !ok || !found {
		return control.NotFound("%s has no room for an agent: %T", h.Name, fault)
	}
	h.noteAgent(name, ref)
	body, _ := machine.PowerOnVMTask(ctx, &types.PowerOnVM_Task{This: ref}).(*methods.PowerOnVM_TaskBody)
	if _, fault := await(ctx, body.Res.Returnval); fault != nil {
		return control.NotFound("%s does not start its agent: %T", h.Name, fault)
	}
	return nil
}

// dropAgent takes an agent away with all that it has here.
func (h *Host) dropAgent(name string) error {
	h.mu.Lock()
	ref := h.agents[name]
	h.mu.Unlock()
	machine, ok := h.reg.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return control.NotFound("%s carries no agent %s", h.Name, name)
	}
	ctx := h.front.NewContext()
	if !h.isEmbedded(ref) {
		if machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			body, _ := machine.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: ref}).(*methods.PowerOffVM_TaskBody)
			_, _ = await(ctx, body.Res.Returnval)
		}
		if fault := (&vm{VirtualMachine: machine, host: h}).destroy(ctx); fault != nil {
			return control.NotFound("%s keeps its agent: %T", h.Name, fault)
		}
	} else {
		for _, list := range h.listsOf(machine) {
			h.reg.RemoveReference(ctx, list.of, list.refs, ref)
		}
		h.reg.Remove(ctx, ref)
	}
	h.mu.Lock()
	delete(h.agents, name)
	h.mu.Unlock()
	h.changed()
	return nil
}

func (h *Host) noteAgent(name string, ref types.ManagedObjectReference) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.agents[name] = ref
}
