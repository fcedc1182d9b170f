package esx

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/front"
	"paver.lab/vsphere/internal/room"
	"paver.lab/vsphere/internal/store"
)

// vm answers for VirtualMachine.
type vm struct {
	*simulator.VirtualMachine
	host *Host
}

// refuseOnBareHost refuses what only a vCenter can do, and what acts on an
// agent that has no files: the simulator would end with it.
func (h *Host) refuseOnBareHost(_ *simulator.Context, m *simulator.Method) types.BaseMethodFault {
	if !front.Reading(m.Name) && h.isEmbedded(m.This) {
		return new(types.NotSupported)
	}
	switch m.Name {
	case "CloneVM_Task", "InstantClone_Task", "RelocateVM_Task", "MigrateVM_Task", "CustomizeVM_Task", "CreateVApp":
		if h.refuse.Refuse("bare-clone") {
			return new(types.NotSupported)
		}
	}
	return nil
}

// await waits for a task that belongs to the work of another one.
func await(ctx *simulator.Context, ref types.ManagedObjectReference) (types.AnyType, types.BaseMethodFault) {
	task, ok := ctx.Map.Get(ref).(*simulator.Task)
	if !ok {
		return nil, &types.ManagedObjectNotFound{Obj: ref}
	}
	task.Wait()
	if task.Info.Error != nil {
		return nil, task.Info.Error.Fault
	}
	return task.Info.Result, nil
}

// on reports whether the machine runs.
func (v *vm) on() bool { return v.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn }

// PowerOnVMTask refuses while the machine's disks are still being uploaded.
func (v *vm) PowerOnVMTask(ctx *simulator.Context, req *types.PowerOnVM_Task) soap.HasFault {
	if v.host.importing(v.Self) && v.host.refuse.Refuse("power-on-importing") {
		return &methods.PowerOnVM_TaskBody{Fault_: simulator.Fault("", &types.TaskInProgress{
			Task: types.ManagedObjectReference{Type: "Task", Value: "haTask-" + v.Self.Value + "-import"},
		})}
	}
	if !v.on() && !v.swaps() && v.host.refuse.Refuse("swap-room") {
		return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{
			Returnval: failed(ctx, &types.GenericVmConfigFault{Reason: "Failed to extend swap file: no space left on device."}, v.Self, "powerOn"),
		}}
	}
	return v.VirtualMachine.PowerOnVMTask(ctx, req)
}

// swaps reports whether the datastore has room for the swap file that a machine
// is started with: as large as the memory that is not reserved for it.
func (v *vm) swaps() bool {
	var p object.DatastorePath
	if v.Config == nil || !p.FromString(v.Config.Files.VmPathName) {
		return true
	}
	need := int64(v.Config.Hardware.MemoryMB) << 20
	if a := v.Config.MemoryAllocation; a != nil && a.Reservation != nil {
		need -= *a.Reservation << 20
	}
	free, known := v.host.free(p.Datastore)
	return !known || need <= free
}

// ReconfigVMTask checks what the simulator takes without a look.
func (v *vm) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	fault := v.host.checkConfig(ctx, &req.Spec)
	if fault == nil && v.on() && (req.Spec.NumCPUs != 0 && req.Spec.NumCPUs != v.Config.Hardware.NumCPU ||
		req.Spec.MemoryMB != 0 && req.Spec.MemoryMB != int64(v.Config.Hardware.MemoryMB)) && v.host.refuse.Refuse("resize-powered-on") {
		fault = &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOff, ExistingState: v.Runtime.PowerState,
		}
	}
	if fault == nil {
		fault = v.host.checkNewDisks(ctx, &req.Spec)
	}
	if fault != nil {
		task := simulator.CreateTask(v.VirtualMachine, "reconfigVm", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
			return nil, fault
		})
		return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: task.Run(ctx)}}
	}
	giveAddresses(&req.Spec)
	return v.VirtualMachine.ReconfigVMTask(ctx, req)
}

// DestroyTask removes the machine with its files before the task ends; the
// simulator leaves some of that for later.
func (v *vm) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	task := simulator.CreateTask(v.VirtualMachine, "destroy", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return nil, v.destroy(ctx)
	})
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: task.Run(ctx)}}
}

func (v *vm) destroy(ctx *simulator.Context) types.BaseMethodFault {
	if v.on() {
		return &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOff, ExistingState: v.Runtime.PowerState,
		}
	}
	if removed, ok := v.RemoveAllSnapshotsTask(ctx, &types.RemoveAllSnapshots_Task{This: v.Self}).(*methods.RemoveAllSnapshots_TaskBody); ok {
		if _, fault := await(ctx, removed.Res.Returnval); fault != nil {
			return fault
		}
	}
	disks := v.host.disksOf(v.VirtualMachine)
	home, ok := v.host.file(v.Config.Files.VmPathName)
	// Whoever sees that it is gone is to find its files gone too. From here on nothing is refused.
	for _, d := range disks {
		_ = os.Remove(d.File)
		if descriptor, known := v.host.file(d.Path); known {
			_ = os.Remove(descriptor)
		}
	}
	if ok {
		_ = os.RemoveAll(filepath.Dir(home))
	}
	body := v.UnregisterVM(ctx, &types.UnregisterVM{This: v.Self})
	if f := body.Fault(); f != nil {
		fault, _ := f.VimFault().(types.BaseMethodFault)
		return fault
	}
	return nil
}

// file is where a datastore path lies on the disk of this machine.
func (h *Host) file(path string) (string, bool) {
	var p object.DatastorePath
	if !p.FromString(path) {
		return "", false
	}
	for _, d := range h.datastores() {
		if d.Name == p.Datastore {
			return store.Path(d.Path, p.Path), true
		}
	}
	return "", false
}

// nicsOf lists a machine's cards; the caller holds the machine's lock.
func nicsOf(machine *simulator.VirtualMachine) []room.NIC {
	nics := []room.NIC{}
	for _, d := range machine.Config.Hardware.Device {
		card, ok := d.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		c := card.GetVirtualEthernetCard()
		nic := room.NIC{Key: c.Key, MAC: c.MacAddress}
		if b, ok := c.Backing.(*types.VirtualEthernetCardNetworkBackingInfo); ok {
			nic.PortGroup = b.DeviceName
		}
		if c.Connectable != nil {
			nic.Connected = c.Connectable.Connected
		}
		nics = append(nics, nic)
	}
	return nics
}

func (h *Host) wiredNICs(machine *simulator.VirtualMachine) []room.NIC {
	nics := nicsOf(machine)
	for i := range nics {
		nics[i] = h.wire(nics[i])
	}
	return nics
}

// flat is the file with a disk's content: the descriptor stands in X.vmdk.
func flat(descriptor string) string { return simulator.VirtualDiskBackingFileName(descriptor) }

// disksOf lists a machine's disks in the order in which it would boot them.
func (h *Host) disksOf(machine *simulator.VirtualMachine) []room.Disk {
	disks := []room.Disk{}
	for _, d := range machine.Config.Hardware.Device {
		disk, ok := d.(*types.VirtualDisk)
		if !ok {
			continue
		}
		backing, ok := disk.Backing.(types.BaseVirtualDeviceFileBackingInfo)
		if !ok {
			continue
		}
		path := backing.GetVirtualDeviceFileBackingInfo().FileName
		file, _ := h.file(path)
		label := ""
		if disk.DeviceInfo != nil {
			label = disk.DeviceInfo.GetDescription().Label
		}
		disks = append(disks, room.Disk{Label: label, Path: path, File: flat(file), Capacity: disk.CapacityInBytes})
	}
	return disks
}

func extraConfigOf(machine *simulator.VirtualMachine) map[string]string {
	extra := map[string]string{}
	for _, o := range machine.Config.ExtraConfig {
		if v := o.GetOptionValue(); v != nil {
			extra[v.Key] = fmt.Sprint(v.Value)
		}
	}
	return extra
}

func nameOf(machine *simulator.VirtualMachine) room.Machine {
	return room.Machine{UUID: machine.Config.Uuid, Name: machine.Name, Moid: machine.Self.Value}
}

// powerChanged tells the supervisor; the simulator holds the machine's lock.
func (h *Host) powerChanged(ctx *simulator.Context, ref types.ManagedObjectReference, state any) {
	machine, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	text := "off"
	if fmt.Sprint(state) == string(types.VirtualMachinePowerStatePoweredOn) {
		text = "on"
	}
	if text == "off" {
		h.guestStopped(ctx, machine)
	}
	h.tellPower(text, machine)
}

func (h *Host) tellPower(state string, machine *simulator.VirtualMachine) {
	if h.isAgent(machine.Self) {
		return // nothing runs behind it
	}
	event := room.Power{
		Server: h.Name, State: state, VM: nameOf(machine), ExtraConfig: extraConfigOf(machine),
		NICs: h.wiredNICs(machine), Disks: h.disksOf(machine), Boot: bootOf(machine),
	}
	h.room.Tell("/power", func() any {
		for i := range event.Disks {
			event.Disks[i].Bytes, event.Disks[i].SHA256 = h.digests.of(event.Disks[i].File)
		}
		return event
	})
}

func (h *Host) vmRemoved(ctx *simulator.Context, ref types.ManagedObjectReference) {
	machine, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok || machine.Config == nil {
		return
	}
	h.forgetAutoStart(ctx, ref)
	h.tellPower("destroyed", machine)
}

// tellWiring tells the supervisor what now stands behind the cards of the
// machines that are on.
func (h *Host) tellWiring(ctx *simulator.Context) {
	if h.room == nil {
		return
	}
	wiring := room.Wiring{Server: h.Name, Machines: []room.Wired{}}
	for _, e := range ctx.Map.All("VirtualMachine") {
		machine, ok := e.(*simulator.VirtualMachine)
		if !ok {
			continue
		}
		ctx.WithLock(machine, func() {
			if machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn && !h.isAgent(machine.Self) {
				wiring.Machines = append(wiring.Machines, room.Wired{VM: nameOf(machine), NICs: h.wiredNICs(machine)})
			}
		})
	}
	h.room.Tell("/wiring", func() any { return wiring })
}

// devicesChanged tells of a running machine whose cards have been changed.
func (h *Host) devicesChanged(ctx *simulator.Context, ref types.ManagedObjectReference) {
	machine, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok || machine.Config == nil || machine.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return
	}
	wiring := room.Wiring{Server: h.Name, Machines: []room.Wired{{VM: nameOf(machine), NICs: h.wiredNICs(machine)}}}
	h.room.Tell("/wiring", func() any { return wiring })
}

// findVM finds a machine by its UUID.
func (h *Host) findVM(ctx *simulator.Context, uuid string) *simulator.VirtualMachine {
	for _, e := range ctx.Map.All("VirtualMachine") {
		machine, ok := e.(*simulator.VirtualMachine)
		if !ok {
			continue
		}
		found := false
		ctx.WithLock(machine, func() { found = machine.Config != nil && strings.EqualFold(machine.Config.Uuid, uuid) })
		if found {
			return machine
		}
	}
	return nil
}

// sortedNames lists the names of what is in the inventory.
func sortedNames[T any](items []T, name func(T) string) []string {
	names := make([]string, 0, len(items))
	for _, i := range items {
		names = append(names, name(i))
	}
	slices.Sort(names)
	return names
}
