package vcenter

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/esx"
)

// What the vendor says of vSphere Cluster Services (Broadcom KB 312147,
// 415969; vSphere Resource Management 8, "vSphere Cluster Services"): every
// cluster has them, whatever else it has; up to 8.0.2 as up to three machines
// with a disk, from 8.0.3 on as up to two in the memory of hosts.
const (
	agentsSince   = "7.0.1"
	embeddedSince = "8.0.3"
	agentFolder   = "vCLS"
)

// agents keeps the machines of the cluster services where they are to be. A
// real vCenter looks every half minute; this one whenever something changed,
// and with each of its heartbeats.
type agents struct {
	v    *VCenter
	wake chan struct{}

	mu      sync.Mutex
	placed  map[string]place // by the machine's name
	leaving map[*link]bool   // hosts that are on their way into maintenance mode
}

// place is where an agent was put.
type place struct {
	link   *link
	folder types.ManagedObjectReference
}

func newAgents(v *VCenter) *agents {
	return &agents{v: v, wake: make(chan struct{}, 1), placed: map[string]place{}, leaving: map[*link]bool{}}
}

// tend has the agents looked after soon; it waits for nothing.
func (a *agents) tend() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *agents) run() {
	for {
		select {
		case <-a.v.done:
			return
		case <-a.wake:
			a.look()
		}
	}
}

func (a *agents) look() {
	if newer(agentsSince, a.v.config.Version) {
		return
	}
	facts, err := a.v.facts()
	if err != nil {
		return
	}
	for _, e := range a.v.reg.All("ClusterComputeResource") {
		if c, ok := e.(*simulator.ClusterComputeResource); ok {
			a.attend(c, facts)
		}
	}
}

// attend gives a cluster as many agents as it is to have, on as many hosts.
func (a *agents) attend(c *simulator.ClusterComputeResource, facts map[string]esx.HostFacts) {
	var hosts []types.ManagedObjectReference
	a.v.front.NewContext().WithLock(c, func() { hosts = slices.Clone(c.Host) })
	able, embedded := a.able(hosts)
	wanted := min(len(able), 3)
	if embedded {
		wanted = min(len(able), 2)
	}
	if a.retreats(c) {
		wanted = 0
	}
	carrying := map[*link]bool{}
	for _, ref := range hosts {
		l := a.v.linkOf(ref)
		if l == nil {
			continue
		}
		for _, name := range facts[l.server].Agents {
			switch {
			case !a.on(l, name):
			case slices.Contains(able, l) && len(carrying) < wanted && !carrying[l]:
				carrying[l] = true
			default:
				a.remove(l, name)
			}
		}
	}
	for _, l := range able {
		if len(carrying) < wanted && !carrying[l] {
			carrying[l] = true
			a.put(l, embedded)
		}
	}
}

// able are the hosts that can carry an agent, and whether it lives in their
// memory: it does as soon as one of them is new enough, and then on those.
func (a *agents) able(hosts []types.ManagedObjectReference) (able []*link, embedded bool) {
	var old, recent []*link
	ctx := a.v.front.NewContext()
	for _, ref := range hosts {
		l := a.v.linkOf(ref)
		h, ok := a.v.reg.Get(ref).(*simulator.HostSystem)
		if l == nil || !ok || !l.isConnected() || a.isLeaving(l) {
			continue
		}
		there, version := false, ""
		ctx.WithLock(h, func() {
			there = h.Runtime.ConnectionState == types.HostSystemConnectionStateConnected && !h.Runtime.InMaintenanceMode
			if p := h.Summary.Config.Product; p != nil {
				version = p.Version
			}
		})
		switch {
		case !there || version == "":
		case newer(embeddedSince, version):
			old = append(old, l)
		default:
			recent = append(recent, l)
		}
	}
	if !newer(embeddedSince, a.v.config.Version) && len(recent) > 0 {
		return recent, true
	}
	return append(old, recent...), false
}

// retreats says whether a cluster is to have no agents: by the advanced
// setting of KB 316514, or by its own configuration, which has it since 8.0.2.
func (a *agents) retreats(c *simulator.ClusterComputeResource) bool {
	ctx := a.v.front.NewContext()
	absent := false
	ctx.WithLock(c, func() {
		ex, ok := c.ConfigurationEx.(*types.ClusterConfigInfoEx)
		absent = ok && ex.SystemVMsConfig != nil &&
			ex.SystemVMsConfig.DeploymentMode == string(types.ClusterSystemVMsConfigInfoDeploymentModeABSENT)
	})
	manager := a.v.reg.OptionManager()
	ctx.WithLock(manager, func() {
		for _, o := range manager.Setting {
			if v := o.GetOptionValue(); v.Key == "config.vcls.clusters."+c.Self.Value+".enabled" {
				absent = absent || strings.EqualFold(fmt.Sprint(v.Value), "false")
			}
		}
	})
	return absent
}

// put has a host carry an agent, and shows it before anybody can part the two.
func (a *agents) put(l *link, embedded bool) {
	dc := a.v.datacenterOf(l.ref)
	if dc == nil {
		return
	}
	folder, ok := a.folder(dc)
	if !ok {
		return
	}
	a.v.syncMu.Lock()
	defer a.v.syncMu.Unlock()
	if !l.isConnected() || a.isLeaving(l) {
		return
	}
	name := "vCLS-" + uuid.NewString()
	a.mu.Lock()
	a.placed[name] = place{link: l, folder: folder}
	a.mu.Unlock()
	if a.v.hosts.Call("/agent", map[string]any{"server": l.server, "name": name, "embedded": embedded}, nil) != nil {
		a.mu.Lock()
		delete(a.placed, name)
		a.mu.Unlock()
		return
	}
	a.v.bring([]*link{l})
}

func (a *agents) remove(l *link, name string) {
	a.v.syncMu.Lock()
	defer a.v.syncMu.Unlock()
	if !l.isConnected() {
		return
	}
	if a.v.hosts.Call("/agent/gone", map[string]any{"server": l.server, "name": name}, nil) != nil {
		return
	}
	a.v.bring([]*link{l})
	a.mu.Lock()
	delete(a.placed, name)
	a.mu.Unlock()
}

// folder is where a datacenter's agents lie; it stays when they are gone.
func (a *agents) folder(dc *simulator.Datacenter) (types.ManagedObjectReference, bool) {
	ctx := a.v.front.NewContext()
	if e := a.v.child(ctx, dc.VmFolder, agentFolder); e != nil {
		return e.Reference(), e.Reference().Type == "Folder"
	}
	parent, ok := a.v.reg.Get(dc.VmFolder).(*simulator.Folder)
	if !ok {
		return types.ManagedObjectReference{}, false
	}
	body, ok := parent.CreateFolder(ctx, &types.CreateFolder{This: parent.Self, Name: agentFolder}).(*methods.CreateFolderBody)
	if !ok || body.Res == nil {
		return types.ManagedObjectReference{}, false
	}
	return body.Res.Returnval, true
}

// home is the folder of a machine that is an agent of ours.
func (a *agents) home(name string) (types.ManagedObjectReference, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.placed[name]
	return p.folder, ok
}

// on says whether a machine is an agent that we put on a host.
func (a *agents) on(l *link, name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.placed[name]
	return ok && p.link == l
}

// forget makes strangers of the agents on a host that has left: they stay on it.
func (a *agents) forget(l *link) {
	a.mu.Lock()
	for name, p := range a.placed {
		if p.link == l {
			delete(a.placed, name)
		}
	}
	a.mu.Unlock()
	a.tend()
}

func (a *agents) isLeaving(l *link) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaving[l]
}

// leave takes the agents off a host that is to enter maintenance mode, as a
// vCenter does by itself (KB 403400); the result lets them come back.
func (a *agents) leave(l *link) (stay func()) {
	a.mu.Lock()
	a.leaving[l] = true
	var names []string
	for name, p := range a.placed {
		if p.link == l {
			names = append(names, name)
		}
	}
	a.mu.Unlock()
	for _, name := range names {
		a.remove(l, name)
	}
	return func() {
		a.v.sync()
		a.mu.Lock()
		delete(a.leaving, l)
		a.mu.Unlock()
		a.tend()
	}
}

// options answers for the vCenter's own advanced settings.
type options struct {
	*simulator.OptionManager
	v *VCenter
}

// UpdateOptions sets options; one that is new has to lie below "config.".
func (o *options) UpdateOptions(ctx *simulator.Context, req *types.UpdateOptions) soap.HasFault {
	var body soap.HasFault
	ctx.WithLock(o.OptionManager, func() {
		for _, change := range req.ChangedValue {
			key := change.GetOptionValue().Key
			known := slices.ContainsFunc(o.Setting, func(s types.BaseOptionValue) bool { return s.GetOptionValue().Key == key })
			if !known && !strings.HasPrefix(key, "config.") && o.v.refuse.Refuse("option-name") {
				body = &methods.UpdateOptionsBody{Fault_: simulator.Fault("", &types.InvalidName{Name: key})}
				return
			}
		}
		body = o.OptionManager.UpdateOptions(req)
	})
	o.v.agents.tend()
	return body
}

// inhabited says whether machines lie in a folder or below it.
func (v *VCenter) inhabited(ctx *simulator.Context, folder types.ManagedObjectReference) bool {
	return slices.ContainsFunc(v.children(ctx, folder), func(e mo.Entity) bool {
		return e.Reference().Type != "Folder" || v.inhabited(ctx, e.Reference())
	})
}
