package vcenter

import (
	"context"
	"log"
	"slices"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/esx"
)

// state is all that a host has that we show, or what may be different where its
// machines alone have changed: of the host itself only which machines, networks
// and datastores it has, no managers, and no machine that has not changed.
type state struct {
	whole      bool
	host       mo.HostSystem
	networks   []mo.Network
	datastores []mo.Datastore
	machines   []mo.VirtualMachine
	snapshots  []mo.VirtualMachineSnapshot
	network    mo.HostNetworkSystem
	time       mo.HostDateTimeSystem
	services   mo.HostServiceSystem
	firewall   mo.HostFirewallSystem
	autostart  mo.HostAutoStartManager
}

var (
	// listed is what a host's machines change of the host itself.
	listed = []string{"vm", "network", "datastore"}
	// ofNetwork and ofDatastore are what is shown of these, and no more.
	ofNetwork   = []string{"name"}
	ofDatastore = []string{"browser", "capability", "host", "info", "summary"}
)

// sync shows what the hosts have now. A host that has not changed since costs
// nothing: one question on a local socket covers all of them.
func (v *VCenter) sync() {
	links := v.allLinks()
	if len(links) == 0 {
		return
	}
	v.syncMu.Lock()
	defer v.syncMu.Unlock()
	v.bring(links)
}

// bring shows what these hosts have now; the caller holds syncMu.
func (v *VCenter) bring(links []*link) {
	facts, err := v.facts()
	ctx := v.front.NewContext()
	for _, l := range links {
		if !l.isConnected() {
			continue
		}
		f, known := facts[l.server]
		switch {
		case err != nil || !known:
			// Once it is heard of again, all is brought over, also where nothing has changed meanwhile.
			l.seen = 0
			v.showState(ctx, l, types.HostSystemConnectionStateNotResponding)
		case f.Changes.All != l.seen:
			// One that has lost its power says nothing more on the session that
			// we have with it: waiting for that would hold up everybody.
			if there, sure := l.answers(); sure {
				l.hear(there)
			}
			if l.lost {
				v.showState(ctx, l, types.HostSystemConnectionStateNotResponding)
				continue
			}
			fault := v.mirror(ctx, l, f)
			if _, went := fault.(*types.ManagedObjectNotFound); went {
				continue // it responds, and is read again
			}
			if fault != nil {
				log.Printf("%s: %T", l.name, fault)
				l.hangUp()
				v.showState(ctx, l, types.HostSystemConnectionStateNotResponding)
				continue
			}
			l.seen, l.own = f.Changes.All, f.Changes.Own
			v.agents.tend()
		}
		if known && !l.lost {
			v.keepLicence(l, f.Licence)
		}
	}
}

// facts asks the lab about all hosts.
func (v *VCenter) facts() (map[string]esx.HostFacts, error) {
	var list []esx.HostFacts
	if err := v.hosts.Call("/hosts", nil, &list); err != nil {
		return nil, err
	}
	facts := map[string]esx.HostFacts{}
	for _, f := range list {
		facts[f.Server] = f
	}
	return facts, nil
}

// showState shows whether a host is there.
func (v *VCenter) showState(ctx *simulator.Context, l *link, s types.HostSystemConnectionState) {
	h, ok := v.reg.Get(l.ref).(*simulator.HostSystem)
	if !ok {
		return
	}
	ctx.WithLock(h, func() {
		if h.Runtime.ConnectionState == s {
			return
		}
		runtime := h.Runtime
		runtime.ConnectionState = s
		ctx.Update(h, []types.PropertyChange{{Name: "runtime", Val: runtime}})
		h.Summary.Runtime = &h.Runtime
	})
}

// readAttempts is how often a host is read at once that loses something meanwhile.
const readAttempts = 5

// read takes a host's state over its API, whole or what its machines change;
// unchanged tells which of these have not.
func (v *VCenter) read(l *link, whole bool, unchanged func(types.ManagedObjectReference) bool) (*state, types.BaseMethodFault) {
	c, fault := v.open(l)
	if fault != nil {
		return nil, fault
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		s := &state{whole: whole}
		err := retrieve(ctx, c, s, unchanged)
		if err == nil {
			return s, nil
		}
		fault := faultOf(err)
		// What went between the list and the look at it is on the next list no more.
		if _, went := fault.(*types.ManagedObjectNotFound); !went || attempt == readAttempts {
			return nil, fault
		}
	}
}

func retrieve(ctx context.Context, c *vim25.Client, s *state, unchanged func(types.ManagedObjectReference) bool) error {
	pc := property.DefaultCollector(c)
	one := func(ref *types.ManagedObjectReference, dst any) func() error {
		return func() error { return pc.RetrieveOne(ctx, *ref, nil, dst) }
	}
	many := func(refs []types.ManagedObjectReference, of []string, dst any) error {
		if len(refs) == 0 {
			return nil
		}
		return pc.Retrieve(ctx, refs, of, dst)
	}
	var of []string
	if !s.whole {
		of = listed
	}
	if err := pc.RetrieveOne(ctx, types.ManagedObjectReference{Type: "HostSystem", Value: "ha-host"}, of, &s.host); err != nil {
		return err
	}
	m := s.host.ConfigManager
	steps := []func() error{
		func() error { return many(s.host.Network, ofNetwork, &s.networks) },
		func() error { return many(s.host.Datastore, ofDatastore, &s.datastores) },
		func() error { return many(slices.DeleteFunc(slices.Clone(s.host.Vm), unchanged), nil, &s.machines) },
		func() error { return many(snapshotsOf(s.machines), nil, &s.snapshots) },
	}
	if s.whole {
		steps = append(steps, one(m.NetworkSystem, &s.network), one(m.DateTimeSystem, &s.time), one(m.ServiceSystem, &s.services),
			one(m.FirewallSystem, &s.firewall), one(m.AutoStartManager, &s.autostart))
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// machineOf is our object for a host's machine, nil where there is none yet.
func (v *VCenter) machineOf(l *link, theirs types.ManagedObjectReference) *simulator.VirtualMachine {
	l.mu.Lock()
	ours := l.maps.toUs[theirs]
	l.mu.Unlock()
	vm, _ := v.reg.Get(ours).(*simulator.VirtualMachine)
	return vm
}

// mirror makes our objects show what a host has.
func (v *VCenter) mirror(ctx *simulator.Context, l *link, facts esx.HostFacts) types.BaseMethodFault {
	whole := l.seen == 0 || facts.Changes.Own != l.own
	s, fault := v.read(l, whole, func(theirs types.ManagedObjectReference) bool {
		last := max(facts.Changes.Any, facts.Changes.Machines[theirs.Value])
		return !whole && last <= l.seen && v.machineOf(l, theirs) != nil
	})
	if fault != nil {
		return fault
	}
	dc := v.datacenterOf(l.ref)
	crEntity, cr := v.computeOf(l.ref)
	if dc == nil || cr == nil {
		return &types.ManagedObjectNotFound{Obj: l.ref}
	}
	v.mirrorTree(l, dc, cr)
	v.mirrorNetworks(ctx, l, dc, s.networks)
	v.mirrorDatastores(ctx, l, dc, s.datastores, facts)
	v.knowSnapshots(ctx, l, s)
	gone := v.mirrorMachines(ctx, l, dc, cr, s)
	v.showSnapshots(ctx, l, s.snapshots)
	if s.whole {
		v.mirrorManagers(ctx, l, s)
	}
	v.mirrorHost(ctx, l, s)
	for _, e := range gone {
		v.drop(ctx, e)
	}
	v.gather(ctx, crEntity, cr)
	v.sweep(ctx, dc)
	v.mirrorLeases(ctx, l)
	return nil
}

// mirrorTree maps what a host has exactly one of.
func (v *VCenter) mirrorTree(l *link, dc *simulator.Datacenter, cr *mo.ComputeResource) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ref := func(kind, value string) types.ManagedObjectReference {
		return types.ManagedObjectReference{Type: kind, Value: value}
	}
	l.maps.put(l.ref, ref("HostSystem", "ha-host"))
	l.maps.put(dc.Self, ref("Datacenter", "ha-datacenter"))
	l.maps.put(dc.VmFolder, ref("Folder", "ha-folder-vm"))
	l.maps.put(*cr.ResourcePool, ref("ResourcePool", "ha-root-pool"))
	l.maps.put(cr.Self, ref("ComputeResource", "ha-compute-res"))
}

// mirrorNetworks: port groups of the same name on several hosts are one
// network.
func (v *VCenter) mirrorNetworks(ctx *simulator.Context, l *link, dc *simulator.Datacenter, networks []mo.Network) {
	present := map[types.ManagedObjectReference]bool{}
	for _, n := range networks {
		ours, ok := v.child(ctx, dc.NetworkFolder, n.Name).(*mo.Network)
		if !ok {
			ours = &mo.Network{}
			ours.Name = n.Name
			ours.ManagedEntity.Name = n.Name
			v.reg.NewEntity(ours)
			ours.Summary = &types.NetworkSummary{Network: &ours.Self, Name: n.Name, Accessible: true}
			v.put(ctx, dc.NetworkFolder, ours)
			ctx.WithLock(dc, func() { dc.Network = with(dc.Network, ours.Self) })
		}
		ctx.WithLock(ours, func() { ours.Host = with(ours.Host, l.ref) })
		present[ours.Self] = true
		l.mu.Lock()
		l.maps.put(ours.Self, n.Self)
		l.mu.Unlock()
	}
	for _, e := range v.children(ctx, dc.NetworkFolder) {
		if n, ok := e.(*mo.Network); ok && !present[n.Self] {
			ctx.WithLock(n, func() { n.Host = without(n.Host, l.ref) })
		}
	}
}

// sweep removes networks and datastores that no host has any more.
func (v *VCenter) sweep(ctx *simulator.Context, dc *simulator.Datacenter) {
	for _, e := range v.children(ctx, dc.NetworkFolder) {
		n, ok := e.(*mo.Network)
		if !ok {
			continue
		}
		empty := false
		ctx.WithLock(n, func() { empty = len(n.Host) == 0 })
		if empty {
			v.drop(ctx, n)
			ctx.WithLock(dc, func() { dc.Network = without(dc.Network, n.Self) })
		}
	}
	for _, e := range v.children(ctx, dc.DatastoreFolder) {
		d, ok := e.(*simulator.Datastore)
		if !ok {
			continue
		}
		empty := false
		ctx.WithLock(d, func() { empty = len(d.Host) == 0 })
		if empty {
			v.drop(ctx, d)
			v.reg.Remove(ctx, d.Browser)
			ctx.WithLock(dc, func() { dc.Datastore = without(dc.Datastore, d.Self) })
			v.mu.Lock()
			delete(v.stores, d.Summary.Url)
			v.mu.Unlock()
		}
	}
}

// gather is what a cluster has of its hosts.
func (v *VCenter) gather(ctx *simulator.Context, entity mo.Entity, cr *mo.ComputeResource) {
	var networks, stores []types.ManagedObjectReference
	summary := types.ComputeResourceSummary{OverallStatus: types.ManagedEntityStatusGreen}
	var hosts []types.ManagedObjectReference
	ctx.WithLock(entity, func() { hosts = slices.Clone(cr.Host) })
	vms := map[types.ManagedObjectReference][]types.ManagedObjectReference{}
	for _, ref := range hosts {
		h, ok := v.reg.Get(ref).(*simulator.HostSystem)
		if !ok {
			continue
		}
		var machines []types.ManagedObjectReference
		ctx.WithLock(h, func() {
			machines = h.Vm
			for _, n := range h.Network {
				networks = with(networks, n)
			}
			for _, d := range h.Datastore {
				stores = with(stores, d)
			}
			if hw := h.Summary.Hardware; hw != nil {
				summary.TotalCpu += int32(hw.CpuMhz) * int32(hw.NumCpuCores)
				summary.TotalMemory += hw.MemorySize
				summary.NumCpuCores += hw.NumCpuCores
				summary.NumCpuThreads += hw.NumCpuThreads
			}
			summary.NumHosts++
			if h.Runtime.ConnectionState == types.HostSystemConnectionStateConnected && !h.Runtime.InMaintenanceMode {
				summary.NumEffectiveHosts++
			}
		})
		for _, m := range machines {
			if vm, ok := v.reg.Get(m).(*simulator.VirtualMachine); ok {
				ctx.WithLock(vm, func() {
					if vm.ResourcePool != nil {
						vms[*vm.ResourcePool] = append(vms[*vm.ResourcePool], m)
					}
				})
			}
		}
	}
	summary.EffectiveCpu, summary.EffectiveMemory = summary.TotalCpu, summary.TotalMemory>>20
	ctx.WithLock(entity, func() {
		cr.Network, cr.Datastore = networks, stores
		if c, ok := cr.Summary.(*types.ClusterComputeResourceSummary); ok {
			next := *c
			next.ComputeResourceSummary = summary
			cr.Summary = &next
		} else {
			cr.Summary = &summary
		}
	})
	for _, p := range v.pools(*cr.ResourcePool) {
		ctx.WithLock(p, func() { p.Vm = vms[p.Self] })
	}
	v.forgetOverrides(ctx, entity)
}

// pools lists a pool and all below it.
func (v *VCenter) pools(root types.ManagedObjectReference) []*simulator.ResourcePool {
	p, ok := v.reg.Get(root).(*simulator.ResourcePool)
	if !ok {
		return nil
	}
	list := []*simulator.ResourcePool{p}
	for _, child := range p.ResourcePool.ResourcePool {
		list = append(list, v.pools(child)...)
	}
	return list
}

// mirrorHost shows the host itself, and that it is there.
func (v *VCenter) mirrorHost(ctx *simulator.Context, l *link, s *state) {
	h, ok := v.reg.Get(l.ref).(*simulator.HostSystem)
	if !ok {
		return
	}
	remote := s.host
	l.translate(&remote, false)
	changes := []types.PropertyChange{{Name: "vm", Val: remote.Vm}}
	if s.whole {
		remote.Summary.Host = &h.Self
		remote.Summary.Config.Name = l.name
		remote.Summary.Config.Port = int32(l.port)
		remote.Summary.ManagementServerIp = v.front.Addr().IP.String()
		remote.Config.Host = h.Self
		remote.Runtime.ConnectionState = types.HostSystemConnectionStateConnected
		changes = append(changes,
			types.PropertyChange{Name: "name", Val: l.name},
			types.PropertyChange{Name: "runtime", Val: remote.Runtime},
			types.PropertyChange{Name: "summary", Val: remote.Summary},
			types.PropertyChange{Name: "config", Val: remote.Config},
		)
	}
	ctx.WithLock(h, func() {
		ctx.Update(h, changes)
		h.Datastore, h.Network = remote.Datastore, remote.Network
		if s.whole {
			h.Hardware, h.Capability = remote.Hardware, remote.Capability
			h.ConfigManager = v.managersOf(l, remote.ConfigManager)
			h.Summary.Runtime = &h.Runtime
		}
	})
	v.showState(ctx, l, types.HostSystemConnectionStateConnected)
}
