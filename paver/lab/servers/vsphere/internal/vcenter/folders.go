package vcenter

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// folder answers for Folder.
type folder struct {
	*simulator.Folder
	v *VCenter
}

// CreateDatacenter makes an empty datacenter; the simulator takes a second
// one of the same name, and puts a network into each.
func (f *folder) CreateDatacenter(ctx *simulator.Context, req *types.CreateDatacenter) soap.HasFault {
	if e := f.v.child(ctx, f.Self, req.Name); e != nil && f.v.refuse.Refuse("datacenter-duplicate") {
		return &methods.CreateDatacenterBody{Fault_: simulator.Fault("", &types.DuplicateName{Name: req.Name, Object: e.Reference()})}
	}
	if req.Name == "" {
		return &methods.CreateDatacenterBody{Fault_: simulator.Fault("", &types.InvalidName{Name: req.Name})}
	}
	body := f.Folder.CreateDatacenter(ctx, req)
	made, ok := body.(*methods.CreateDatacenterBody)
	if !ok || made.Res == nil {
		return body
	}
	dc, ok := f.v.reg.Get(made.Res.Returnval).(*simulator.Datacenter)
	if !ok {
		return body
	}
	for _, e := range f.v.children(ctx, dc.NetworkFolder) {
		f.v.drop(ctx, e)
	}
	ctx.WithLock(dc, func() { dc.Network = nil })
	// The simulator tells standing views of these folders before the datacenter knows them, so that no view takes them in.
	for _, ref := range []types.ManagedObjectReference{dc.VmFolder, dc.HostFolder, dc.DatastoreFolder, dc.NetworkFolder} {
		f.v.reg.Put(f.v.reg.Get(ref))
	}
	return body
}

// CreateClusterEx makes a cluster that keeps all of its specification.
func (f *folder) CreateClusterEx(ctx *simulator.Context, req *types.CreateClusterEx) soap.HasFault {
	body := new(methods.CreateClusterExBody)
	if !slices.Contains(f.ChildType, "ComputeResource") {
		body.Fault_ = simulator.Fault("", new(types.NotSupported))
		return body
	}
	if e := f.v.child(ctx, f.Self, req.Name); e != nil && f.v.refuse.Refuse("cluster-duplicate") {
		body.Fault_ = simulator.Fault("", &types.DuplicateName{Name: req.Name, Object: e.Reference()})
		return body
	}
	cluster := f.v.newCluster(ctx, req.Name, req.Spec)
	f.v.put(ctx, f.Self, cluster)
	body.Res = &types.CreateClusterExResponse{Returnval: cluster.Self}
	return body
}

// CreateVMTask makes a machine on one of the pool's hosts.
func (f *folder) CreateVMTask(ctx *simulator.Context, req *types.CreateVM_Task) soap.HasFault {
	return &methods.CreateVM_TaskBody{Res: &types.CreateVM_TaskResponse{Returnval: f.v.task(ctx, f.Self, "createVm",
		func() (types.AnyType, types.BaseMethodFault) { return f.v.createMachine(f.Self, req) })}}
}

// RenameTask gives a folder another name.
func (f *folder) RenameTask(ctx *simulator.Context, req *types.Rename_Task) soap.HasFault {
	return &methods.Rename_TaskBody{Res: &types.Rename_TaskResponse{Returnval: f.v.rename(ctx, f.Folder, req.NewName)}}
}

// MoveIntoFolderTask moves machines and folders.
func (f *folder) MoveIntoFolderTask(ctx *simulator.Context, req *types.MoveIntoFolder_Task) soap.HasFault {
	return &methods.MoveIntoFolder_TaskBody{Res: &types.MoveIntoFolder_TaskResponse{Returnval: f.v.task(ctx, f.Self, "moveIntoFolder",
		func() (types.AnyType, types.BaseMethodFault) {
			for _, ref := range req.List {
				vm, ok := f.v.reg.Get(ref).(*simulator.VirtualMachine)
				if !ok {
					return nil, new(types.NotSupported)
				}
				if fault := f.v.checkName(f.Self, vm.Name); fault != nil {
					return nil, fault
				}
				pool := types.ManagedObjectReference{}
				if vm.ResourcePool != nil {
					pool = *vm.ResourcePool
				}
				f.v.move(ref, f.Self, pool)
			}
			return nil, nil
		})}}
}

// AddStandaloneHostTask takes a host in that belongs to no cluster.
func (f *folder) AddStandaloneHostTask(ctx *simulator.Context, req *types.AddStandaloneHost_Task) soap.HasFault {
	return &methods.AddStandaloneHost_TaskBody{Res: &types.AddStandaloneHost_TaskResponse{
		Returnval: f.v.adding(ctx, f.Self, "addStandaloneHost", req.Spec),
	}}
}

// DestroyTask removes a folder with all in it.
func (f *folder) DestroyTask(ctx *simulator.Context, _ *types.Destroy_Task) soap.HasFault {
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: f.v.task(ctx, f.Self, "destroy",
		func() (types.AnyType, types.BaseMethodFault) { return nil, f.v.destroyFolder(f.Folder) })}}
}

func (v *VCenter) destroyFolder(f *simulator.Folder) types.BaseMethodFault {
	// The folders that a datacenter is born with go with it only.
	if f.Parent == nil || f.Parent.Type == "Datacenter" {
		return new(types.NotSupported)
	}
	for _, e := range v.children(v.front.NewContext(), f.Self) {
		if fault := v.destroy(e); fault != nil {
			return fault
		}
	}
	v.drop(v.front.NewContext(), f)
	return nil
}

// destroy removes one entity, whatever it is.
func (v *VCenter) destroy(e mo.Entity) types.BaseMethodFault {
	switch o := e.(type) {
	case *simulator.Folder:
		return v.destroyFolder(o)
	case *simulator.VirtualMachine:
		l := v.linkOfVM(o.Self)
		if l == nil {
			return &types.ManagedObjectNotFound{Obj: o.Self}
		}
		_, fault := relayTask(v, l, methods.Destroy_Task, &types.Destroy_Task{This: o.Self})
		if fault == nil {
			v.sync()
		}
		return fault
	case *simulator.ClusterComputeResource:
		return v.destroyCluster(o)
	case *mo.ComputeResource:
		return v.destroyStandalone(o)
	case *simulator.Datacenter:
		return v.destroyDatacenter(o)
	}
	return new(types.NotSupported)
}

// rename gives an entity that is ours alone another name.
func (v *VCenter) rename(ctx *simulator.Context, e mo.Entity, name string) types.ManagedObjectReference {
	return v.task(ctx, e.Reference(), "rename", func() (types.AnyType, types.BaseMethodFault) {
		fresh := v.front.NewContext()
		parent := e.Entity().Parent
		if name == "" || parent == nil {
			return nil, &types.InvalidName{Name: name}
		}
		if other := v.child(fresh, *parent, name); other != nil && other.Reference() != e.Reference() {
			return nil, &types.DuplicateName{Name: name, Object: other.Reference()}
		}
		fresh.WithLock(e, func() { fresh.Update(e, []types.PropertyChange{{Name: "name", Val: name}}) })
		return nil, nil
	})
}

// datacenter answers for Datacenter.
type datacenter struct {
	*simulator.Datacenter
	v *VCenter
}

// RenameTask gives a datacenter another name.
func (d *datacenter) RenameTask(ctx *simulator.Context, req *types.Rename_Task) soap.HasFault {
	return &methods.Rename_TaskBody{Res: &types.Rename_TaskResponse{Returnval: d.v.rename(ctx, d.Datacenter, req.NewName)}}
}

// DestroyTask removes a datacenter that has no hosts and machines left.
func (d *datacenter) DestroyTask(ctx *simulator.Context, _ *types.Destroy_Task) soap.HasFault {
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: d.v.task(ctx, d.Self, "destroy",
		func() (types.AnyType, types.BaseMethodFault) { return nil, d.v.destroyDatacenter(d.Datacenter) })}}
}

// PowerOnMultiVMTask powers machines on, each on its host.
func (d *datacenter) PowerOnMultiVMTask(ctx *simulator.Context, req *types.PowerOnMultiVM_Task) soap.HasFault {
	result := &types.ClusterPowerOnVmResult{}
	for _, ref := range req.Vm {
		l := d.v.linkOfVM(ref)
		sub := d.v.task(d.v.front.NewContext(), ref, "powerOn", func() (types.AnyType, types.BaseMethodFault) {
			if l == nil {
				return nil, &types.ManagedObjectNotFound{Obj: ref}
			}
			return d.v.powerOn(l, &types.PowerOnVM_Task{This: ref})
		})
		result.Attempted = append(result.Attempted, types.ClusterAttemptedVmInfo{Vm: ref, Task: &sub})
	}
	return &methods.PowerOnMultiVM_TaskBody{Res: &types.PowerOnMultiVM_TaskResponse{Returnval: d.v.task(ctx, d.Self, "powerOnMultiVM",
		func() (types.AnyType, types.BaseMethodFault) { return *result, nil })}}
}

// dropAll takes what lies in a folder and below it out of the inventory.
func (v *VCenter) dropAll(ctx *simulator.Context, folder types.ManagedObjectReference) {
	for _, e := range v.children(ctx, folder) {
		v.dropAll(ctx, e.Reference())
		v.drop(ctx, e)
	}
}

func (v *VCenter) destroyDatacenter(dc *simulator.Datacenter) types.BaseMethodFault {
	ctx := v.front.NewContext()
	if (len(v.children(ctx, dc.HostFolder)) > 0 || v.inhabited(ctx, dc.VmFolder)) && v.refuse.Refuse("datacenter-in-use") {
		return &types.ResourceInUse{Type: "Datacenter", Name: dc.Name}
	}
	for _, f := range []types.ManagedObjectReference{dc.HostFolder, dc.VmFolder, dc.DatastoreFolder, dc.NetworkFolder} {
		v.dropAll(ctx, f)
		v.reg.Remove(ctx, f)
	}
	v.drop(ctx, dc)
	return nil
}
