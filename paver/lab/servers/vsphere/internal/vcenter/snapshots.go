package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// snapshotsOf are the snapshots of a host's machines, by the host's references.
func snapshotsOf(machines []mo.VirtualMachine) []types.ManagedObjectReference {
	var refs []types.ManagedObjectReference
	var walk func([]types.VirtualMachineSnapshotTree)
	walk = func(list []types.VirtualMachineSnapshotTree) {
		for _, s := range list {
			refs = append(refs, s.Snapshot)
			walk(s.ChildSnapshotList)
		}
	}
	for _, m := range machines {
		if m.Snapshot != nil {
			walk(m.Snapshot.RootSnapshotList)
		}
	}
	return refs
}

// knowSnapshots gives each snapshot of a host a reference of ours, before their
// machines are shown, which refer to them; it forgets those that are gone.
func (v *VCenter) knowSnapshots(ctx *simulator.Context, l *link, s *state) {
	present := map[types.ManagedObjectReference]bool{}
	for _, there := range s.snapshots {
		l.mu.Lock()
		ours, known := l.maps.toUs[there.Self]
		l.mu.Unlock()
		if !known {
			ours = v.reg.Put(new(simulator.VirtualMachineSnapshot)).Reference()
			l.mu.Lock()
			l.maps.put(ours, there.Self)
			l.mu.Unlock()
		}
		present[ours] = true
	}
	unread := map[types.ManagedObjectReference]bool{}
	for _, m := range s.host.Vm {
		unread[m] = true
	}
	for _, m := range s.machines {
		delete(unread, m.Self)
	}
	v.forgetSnapshots(ctx, l, present, unread)
}

// showSnapshots shows what the host knows of its snapshots.
func (v *VCenter) showSnapshots(ctx *simulator.Context, l *link, snapshots []mo.VirtualMachineSnapshot) {
	for i := range snapshots {
		l.translate(&snapshots[i], false)
		if s, ok := v.reg.Get(snapshots[i].Self).(*simulator.VirtualMachineSnapshot); ok {
			ctx.WithLock(s, func() { s.VirtualMachineSnapshot = snapshots[i] })
		}
	}
}

// forgetSnapshots takes a host's snapshots out, but for those that are there, and those of machines that were not
// read, as they have not changed.
func (v *VCenter) forgetSnapshots(ctx *simulator.Context, l *link, present, unread map[types.ManagedObjectReference]bool) {
	gone := map[types.ManagedObjectReference]types.ManagedObjectReference{}
	l.mu.Lock()
	for ours, theirs := range l.maps.toHost {
		if ours.Type == "VirtualMachineSnapshot" && !present[ours] {
			gone[ours] = theirs
		}
	}
	l.mu.Unlock()
	for ours, theirs := range gone {
		var of types.ManagedObjectReference
		if s, ok := v.reg.Get(ours).(*simulator.VirtualMachineSnapshot); ok {
			ctx.WithLock(s, func() { of = s.Vm })
		}
		l.mu.Lock()
		keep := unread[l.maps.toHost[of]]
		if !keep {
			delete(l.maps.toHost, ours)
			delete(l.maps.toUs, theirs)
		}
		l.mu.Unlock()
		if !keep {
			v.reg.Remove(ctx, ours)
		}
	}
}
