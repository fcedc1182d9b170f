package vcenter

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// machine answers for VirtualMachine: its host does what is asked.
type machine struct {
	*simulator.VirtualMachine
	v *VCenter
	l *link
}

// machineMethods are the methods that are carried to the host, or that need
// none. Any other would change what we show and not what is.
var machineMethods = []string{
	"PowerOnVM_Task", "PowerOffVM_Task", "ResetVM_Task", "SuspendVM_Task", "ShutdownGuest", "RebootGuest", "ReconfigVM_Task",
	"Rename_Task", "Destroy_Task", "UnregisterVM", "MarkAsTemplate", "MarkAsVirtualMachine", "CloneVM_Task", "SetCustomValue",
	"Reload", "RefreshStorageInfo", "CreateSnapshot_Task", "UpgradeVM_Task",
}

func (m *machine) PowerOnVMTask(ctx *simulator.Context, req *types.PowerOnVM_Task) soap.HasFault {
	req.Host = nil
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: m.v.task(ctx, m.Self, "powerOn",
		func() (types.AnyType, types.BaseMethodFault) { return m.v.powerOn(m.l, req) })}}
}

// powerOn powers a machine on, on its host, unless its cluster forbids it.
func (v *VCenter) powerOn(l *link, req *types.PowerOnVM_Task) (types.AnyType, types.BaseMethodFault) {
	if v.lacksFailover(l.ref) && v.refuse.Refuse("ha-admission") {
		return nil, &types.InsufficientFailoverResourcesFault{}
	}
	return relayTask(v, l, methods.PowerOnVM_Task, req)
}

// CreateSnapshotTask takes a snapshot, on the machine's host; the result is our
// reference of it.
func (m *machine) CreateSnapshotTask(ctx *simulator.Context, req *types.CreateSnapshot_Task) soap.HasFault {
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: m.v.task(ctx, m.Self, "createSnapshot",
		func() (types.AnyType, types.BaseMethodFault) {
			result, fault := relayTask(m.v, m.l, methods.CreateSnapshot_Task, req)
			if fault != nil {
				return nil, fault
			}
			m.v.sync()
			return m.l.ours(result), nil
		})}}
}

func (m *machine) UpgradeVMTask(ctx *simulator.Context, req *types.UpgradeVM_Task) soap.HasFault {
	return &methods.UpgradeVM_TaskBody{Res: &types.UpgradeVM_TaskResponse{Returnval: m.v.task(ctx, m.Self, "upgradeVirtualHardware",
		func() (types.AnyType, types.BaseMethodFault) {
			return relayTask(m.v, m.l, methods.UpgradeVM_Task, req)
		})}}
}

func (m *machine) PowerOffVMTask(ctx *simulator.Context, req *types.PowerOffVM_Task) soap.HasFault {
	return &methods.PowerOffVM_TaskBody{Res: &types.PowerOffVM_TaskResponse{Returnval: m.v.task(ctx, m.Self, "powerOff",
		func() (types.AnyType, types.BaseMethodFault) {
			return relayTask(m.v, m.l, methods.PowerOffVM_Task, req)
		})}}
}

func (m *machine) ResetVMTask(ctx *simulator.Context, req *types.ResetVM_Task) soap.HasFault {
	return &methods.ResetVM_TaskBody{Res: &types.ResetVM_TaskResponse{Returnval: m.v.task(ctx, m.Self, "reset",
		func() (types.AnyType, types.BaseMethodFault) { return relayTask(m.v, m.l, methods.ResetVM_Task, req) })}}
}

func (m *machine) SuspendVMTask(ctx *simulator.Context, req *types.SuspendVM_Task) soap.HasFault {
	return &methods.SuspendVM_TaskBody{Res: &types.SuspendVM_TaskResponse{Returnval: m.v.task(ctx, m.Self, "suspend",
		func() (types.AnyType, types.BaseMethodFault) { return relayTask(m.v, m.l, methods.SuspendVM_Task, req) })}}
}

func (m *machine) RenameTask(ctx *simulator.Context, req *types.Rename_Task) soap.HasFault {
	return &methods.Rename_TaskBody{Res: &types.Rename_TaskResponse{Returnval: m.v.task(ctx, m.Self, "rename",
		func() (types.AnyType, types.BaseMethodFault) { return relayTask(m.v, m.l, methods.Rename_Task, req) })}}
}

func (m *machine) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: m.v.task(ctx, m.Self, "reconfigVm",
		func() (types.AnyType, types.BaseMethodFault) {
			req.Spec.VAppConfig = nil
			return relayTask(m.v, m.l, methods.ReconfigVM_Task, req)
		})}}
}

func (m *machine) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: m.v.task(ctx, m.Self, "destroy",
		func() (types.AnyType, types.BaseMethodFault) {
			result, fault := relayTask(m.v, m.l, methods.Destroy_Task, req)
			if fault == nil {
				m.v.sync()
			}
			return result, fault
		})}}
}

func (m *machine) UnregisterVM(req *types.UnregisterVM) soap.HasFault {
	body := new(methods.UnregisterVMBody)
	res, fault := relay(m.v, m.l, methods.UnregisterVM, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (m *machine) ShutdownGuest(req *types.ShutdownGuest) soap.HasFault {
	body := new(methods.ShutdownGuestBody)
	res, fault := relay(m.v, m.l, methods.ShutdownGuest, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (m *machine) RebootGuest(req *types.RebootGuest) soap.HasFault {
	body := new(methods.RebootGuestBody)
	res, fault := relay(m.v, m.l, methods.RebootGuest, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (m *machine) MarkAsTemplate(req *types.MarkAsTemplate) soap.HasFault {
	body := new(methods.MarkAsTemplateBody)
	res, fault := relay(m.v, m.l, methods.MarkAsTemplate, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (m *machine) MarkAsVirtualMachine(req *types.MarkAsVirtualMachine) soap.HasFault {
	body := new(methods.MarkAsVirtualMachineBody)
	req.Host = nil
	root, fault := m.v.rootPool(m.l)
	if fault == nil {
		req.Pool = root
		var res *types.MarkAsVirtualMachineResponse
		res, fault = relay(m.v, m.l, methods.MarkAsVirtualMachine, req)
		body.Res = res
	}
	body.Fault_ = wrap(fault)
	return body
}

// CloneVMTask makes a machine like this one, with disks of its own, or with
// children of a snapshot's.
func (m *machine) CloneVMTask(ctx *simulator.Context, req *types.CloneVM_Task) soap.HasFault {
	return &methods.CloneVM_TaskBody{Res: &types.CloneVM_TaskResponse{Returnval: m.v.task(ctx, m.Self, "clone",
		func() (types.AnyType, types.BaseMethodFault) { return m.v.clone(m.VirtualMachine, req) })}}
}

// RefreshStorageInfo is done with every read.
func (m *machine) RefreshStorageInfo(*simulator.Context, *types.RefreshStorageInfo) soap.HasFault {
	return &methods.RefreshStorageInfoBody{Res: new(types.RefreshStorageInfoResponse)}
}

// rootPool is our root pool over a host: the only one that the host knows.
func (v *VCenter) rootPool(l *link) (types.ManagedObjectReference, types.BaseMethodFault) {
	_, cr := v.computeOf(l.ref)
	if cr == nil {
		return types.ManagedObjectReference{}, &types.ManagedObjectNotFound{Obj: l.ref}
	}
	return *cr.ResourcePool, nil
}

// home chooses the host for a new machine: the one that was named, or one of
// the pool's hosts that has the datastore.
func (v *VCenter) home(pool types.ManagedObjectReference, host *types.ManagedObjectReference, store string) (*link, types.BaseMethodFault) {
	_, cr := v.computeOf(pool)
	if cr == nil {
		return nil, &types.InvalidArgument{InvalidProperty: "pool"}
	}
	var hosts []types.ManagedObjectReference
	ctx := v.front.NewContext()
	ctx.WithLock(cr.Self, func() { hosts = slices.Clone(cr.Host) })
	if host != nil {
		if !slices.Contains(hosts, *host) {
			return nil, &types.InvalidArgument{InvalidProperty: "host"}
		}
		hosts = []types.ManagedObjectReference{*host}
	}
	if len(hosts) == 0 {
		return nil, &types.NoHost{}
	}
	l := v.linkOfStore(store, hosts)
	if l == nil {
		return nil, &types.InvalidDatastore{Name: store}
	}
	if !l.isConnected() {
		return nil, &types.HostNotConnected{}
	}
	return l, nil
}

// settle notes where a machine that a host has just made belongs, and shows
// it; the result is our reference.
func (v *VCenter) settle(l *link, theirs types.ManagedObjectReference, folder, pool types.ManagedObjectReference) (types.ManagedObjectReference, types.BaseMethodFault) {
	// A read that is under way may know of it and not have put it anywhere yet.
	v.syncMu.Lock()
	defer v.syncMu.Unlock()
	if vm := v.machineOf(l, theirs); vm != nil {
		// Somebody else's read was quicker and put it where strangers go.
		v.move(vm.Self, folder, pool)
		if entity, cr := v.computeOf(l.ref); cr != nil {
			v.gather(v.front.NewContext(), entity, cr)
		}
		return vm.Self, nil
	}
	v.mu.Lock()
	v.placements[l.uuid+"/"+theirs.Value] = placement{folder: folder, pool: pool}
	v.mu.Unlock()
	v.bring([]*link{l})
	vm := v.machineOf(l, theirs)
	if vm == nil {
		return types.ManagedObjectReference{}, &types.ManagedObjectNotFound{Obj: theirs}
	}
	return vm.Self, nil
}

// move puts a machine into another folder and pool.
func (v *VCenter) move(ref, folder, pool types.ManagedObjectReference) {
	vm, ok := v.reg.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	ctx := v.front.NewContext()
	if vm.Parent != nil && *vm.Parent != folder {
		if f, ok := v.reg.Get(*vm.Parent).(*simulator.Folder); ok {
			ctx.WithLock(f, func() {
				ctx.Update(f, []types.PropertyChange{{Name: "childEntity", Val: without(f.ChildEntity, ref)}})
			})
		}
		target, ok := v.reg.Get(folder).(*simulator.Folder)
		if !ok {
			return
		}
		ctx.WithLock(vm, func() { vm.Parent = &target.Self })
		ctx.WithLock(target, func() {
			ctx.Update(target, []types.PropertyChange{{Name: "childEntity", Val: with(target.ChildEntity, ref)}})
		})
	}
	ctx.WithLock(vm, func() {
		if vm.ResourcePool != nil {
			p := pool
			vm.ResourcePool = &p
		}
	})
}
