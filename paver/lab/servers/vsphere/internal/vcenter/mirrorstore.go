package vcenter

import (
	"fmt"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/esx"
)

// mirrorDatastores: a folder that several hosts have is one shared datastore;
// a second one of the same name gets a number, here and on the host itself.
func (v *VCenter) mirrorDatastores(ctx *simulator.Context, l *link, dc *simulator.Datacenter, datastores []mo.Datastore, facts esx.HostFacts) {
	present := map[types.ManagedObjectReference]bool{}
	for _, d := range datastores {
		path := facts.Datastores[d.Summary.Name].Path
		v.mu.Lock()
		ref, known := v.stores[path]
		v.mu.Unlock()
		ours, ok := v.reg.Get(ref).(*simulator.Datastore)
		if !known || !ok {
			ours = v.newDatastore(ctx, dc, d, path)
		}
		ctx.WithLock(ours, func() {
			ours.Summary.FreeSpace, ours.Summary.Capacity = d.Summary.FreeSpace, d.Summary.Capacity
			if info, ok := d.Info.(*types.VmfsDatastoreInfo); ok {
				next := *info
				next.Name, next.Url = ours.Name, path
				ours.Info = &next
			}
			mounts := make([]types.DatastoreHostMount, 0, len(ours.Host)+1)
			for _, m := range ours.Host {
				if m.Key != l.ref {
					mounts = append(mounts, m)
				}
			}
			for _, m := range d.Host {
				m.Key = l.ref
				mounts = append(mounts, m)
			}
			ours.Host = mounts
		})
		present[ours.Self] = true
		theirs := d.Summary.Name
		if theirs != ours.Name {
			// A host that is at work keeps its name until the next look.
			renaming := map[string]string{"server": l.server, "name": theirs, "to": ours.Name}
			if err := v.hosts.Call("/datastore", renaming, nil); err == nil {
				theirs = ours.Name
			}
		}
		l.mu.Lock()
		l.maps.put(ours.Self, d.Self)
		l.maps.put(ours.Browser, d.Browser)
		l.maps.storeHost[ours.Name] = theirs
		l.maps.storeUs[d.Summary.Name] = ours.Name
		l.mu.Unlock()
	}
	for _, e := range v.children(ctx, dc.DatastoreFolder) {
		if d, ok := e.(*simulator.Datastore); ok && !present[d.Self] {
			v.unmount(ctx, d, l)
		}
	}
}

// unmount takes a host off a datastore.
func (v *VCenter) unmount(ctx *simulator.Context, d *simulator.Datastore, l *link) {
	ctx.WithLock(d, func() {
		mounts := make([]types.DatastoreHostMount, 0, len(d.Host))
		for _, m := range d.Host {
			if m.Key != l.ref {
				mounts = append(mounts, m)
			}
		}
		d.Host = mounts
	})
}

func (v *VCenter) newDatastore(ctx *simulator.Context, dc *simulator.Datacenter, d mo.Datastore, path string) *simulator.Datastore {
	ours := &simulator.Datastore{}
	ours.Name = d.Summary.Name
	for n := 1; v.child(ctx, dc.DatastoreFolder, ours.Name) != nil; n++ {
		ours.Name = fmt.Sprintf("%s (%d)", d.Summary.Name, n)
	}
	v.reg.NewEntity(ours)
	ours.Summary = d.Summary
	ours.Summary.Datastore, ours.Summary.Name, ours.Summary.Url = &ours.Self, ours.Name, path
	ours.Info = d.Info
	ours.Capability = d.Capability
	files := &simulator.HostDatastoreBrowser{}
	files.Datastore = []types.ManagedObjectReference{ours.Self}
	ours.Browser = v.reg.Put(files).Reference()
	v.put(ctx, dc.DatastoreFolder, ours)
	ctx.WithLock(dc, func() { dc.Datastore = with(dc.Datastore, ours.Self) })
	v.mu.Lock()
	v.stores[path] = ours.Self
	v.mu.Unlock()
	return ours
}

// mirrorMachines shows a host's machines; it gives those that are gone, which
// leave the inventory when nothing refers to them any more.
func (v *VCenter) mirrorMachines(ctx *simulator.Context, l *link, dc *simulator.Datacenter, cr *mo.ComputeResource, s *state) []mo.Entity {
	present := map[types.ManagedObjectReference]bool{}
	fresh := map[types.ManagedObjectReference]*simulator.VirtualMachine{}
	for _, theirs := range s.host.Vm {
		vm := v.machineOf(l, theirs)
		if vm == nil {
			vm = &simulator.VirtualMachine{}
			v.reg.NewEntity(vm)
			fresh[vm.Self] = vm
			l.mu.Lock()
			l.maps.put(vm.Self, theirs)
			l.mu.Unlock()
		}
		present[vm.Self] = true
	}
	for i := range s.machines {
		theirs := s.machines[i].Self
		if s.machines[i].Config == nil {
			continue
		}
		l.translate(&s.machines[i], false)
		if vm := fresh[s.machines[i].Self]; vm != nil {
			v.newMachine(ctx, l, dc, cr, vm, theirs, s.machines[i])
			continue
		}
		if vm, ok := v.reg.Get(s.machines[i].Self).(*simulator.VirtualMachine); ok {
			v.updateMachine(ctx, cr, vm, &s.machines[i])
		}
	}
	for _, d := range v.reg.All("Datastore") {
		if store, ok := d.(*simulator.Datastore); ok {
			v.usersOf(ctx, store)
		}
	}
	var gone []mo.Entity
	l.mu.Lock()
	defer l.mu.Unlock()
	for ours, theirs := range l.maps.toHost {
		if ours.Type != "VirtualMachine" || present[ours] {
			continue
		}
		delete(l.maps.toHost, ours)
		delete(l.maps.toUs, theirs)
		if e, ok := v.reg.Get(ours).(mo.Entity); ok {
			gone = append(gone, e)
		}
	}
	return gone
}

// usersOf lists the machines on a datastore.
func (v *VCenter) usersOf(ctx *simulator.Context, store *simulator.Datastore) {
	var list []types.ManagedObjectReference
	for _, e := range v.reg.All("VirtualMachine") {
		vm, ok := e.(*simulator.VirtualMachine)
		if !ok {
			continue
		}
		ctx.WithLock(vm, func() {
			for _, d := range vm.Datastore {
				if d == store.Self {
					list = with(list, vm.Self)
				}
			}
		})
	}
	ctx.WithLock(store, func() { store.Vm = list })
}

// newMachine puts a machine where it was asked for, or where those go that
// were there before.
func (v *VCenter) newMachine(ctx *simulator.Context, l *link, dc *simulator.Datacenter, cr *mo.ComputeResource, vm *simulator.VirtualMachine, theirs types.ManagedObjectReference, remote mo.VirtualMachine) {
	place := placement{folder: dc.VmFolder, pool: *cr.ResourcePool}
	key := l.uuid + "/" + theirs.Value
	v.mu.Lock()
	if p, ok := v.placements[key]; ok {
		place = p
		delete(v.placements, key)
	}
	v.mu.Unlock()
	if folder, ok := v.agents.home(remote.Name); ok {
		place.folder = folder
	}
	self := vm.Self
	vm.VirtualMachine = remote
	vm.Self = self
	vm.Parent = nil
	vm.EffectiveRole, vm.RecentTask, vm.Permission = nil, nil, nil
	vm.EnvironmentBrowser = types.ManagedObjectReference{}
	if cr.EnvironmentBrowser != nil {
		vm.EnvironmentBrowser = *cr.EnvironmentBrowser
	}
	vm.Summary.Vm = &vm.Self
	vm.ResourcePool = nil
	if !remote.Config.Template {
		pool := place.pool
		vm.ResourcePool = &pool
	}
	v.put(ctx, place.folder, vm)
}

// updateMachine brings over what the host knows; what only a vCenter knows
// (folder, pool, attributes) stays.
func (v *VCenter) updateMachine(ctx *simulator.Context, cr *mo.ComputeResource, vm *simulator.VirtualMachine, remote *mo.VirtualMachine) {
	ctx.WithLock(vm, func() {
		remote.Summary.CustomValue = vm.CustomValue
		ctx.Update(vm, []types.PropertyChange{
			{Name: "name", Val: remote.Name},
			{Name: "config", Val: remote.Config},
			{Name: "summary", Val: remote.Summary},
			{Name: "runtime", Val: remote.Runtime},
			{Name: "guest", Val: remote.Guest},
		})
		vm.Layout, vm.LayoutEx, vm.Storage = remote.Layout, remote.LayoutEx, remote.Storage
		vm.Datastore, vm.Network = remote.Datastore, remote.Network
		vm.Snapshot, vm.RootSnapshot = remote.Snapshot, remote.RootSnapshot
		switch {
		case remote.Config.Template:
			vm.ResourcePool = nil
		case vm.ResourcePool == nil:
			pool := *cr.ResourcePool
			vm.ResourcePool = &pool
		}
	})
}
