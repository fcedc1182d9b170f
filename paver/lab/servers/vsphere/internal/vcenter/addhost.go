package vcenter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/esx"
)

// certificateSince is the version of the API whose HostConnectSpec has a
// certificate beside the thumbprint.
const certificateSince = "9.0.0"

// adding begins the task that takes a host in. Its name is taken from then on.
func (v *VCenter) adding(ctx *simulator.Context, into types.ManagedObjectReference, name string, spec types.HostConnectSpec) types.ManagedObjectReference {
	key := strings.ToLower(spec.HostName)
	count := func(by int) int {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.coming[key] += by
		return v.coming[key]
	}
	if count(1) > 1 && key != "" && v.refuse.Refuse("addhost-duplicate") {
		count(-1)
		return v.failed(ctx, into, name, &types.DuplicateName{Name: spec.HostName, Object: into})
	}
	return v.task(ctx, into, name, func() (types.AnyType, types.BaseMethodFault) {
		defer count(-1)
		return v.addHost(into, spec)
	})
}

// addHost takes a host into a cluster, or into a folder as one of its own:
// name, certificate, password, version and licence are those of the host that
// answers, and it leaves with a new certificate.
func (v *VCenter) addHost(into types.ManagedObjectReference, spec types.HostConnectSpec) (types.AnyType, types.BaseMethodFault) {
	if spec.HostName == "" {
		return nil, &types.NoHost{}
	}
	if fault := v.checkPins(spec); fault != nil {
		return nil, fault
	}
	port := int(spec.Port)
	if port == 0 {
		port = 443
	}
	if fault := v.checkHostName(spec.HostName); fault != nil {
		return nil, fault
	}
	ctx := context.Background()
	address, err := v.resolver.address(ctx, spec.HostName)
	if err != nil {
		return nil, &types.NoHost{Name: spec.HostName}
	}
	c, _, fault := v.callOn(ctx, spec, net.JoinHostPort(address, strconv.Itoa(port)))
	if fault != nil {
		return nil, fault
	}
	uuid, fault := v.checkHost(c)
	if fault != nil {
		return nil, fault
	}
	facts, err := v.facts()
	if err != nil {
		return nil, &types.HostCommunication{}
	}
	for _, f := range facts {
		if f.UUID != uuid {
			continue
		}
		if f.Manager != "" && f.Manager != v.instance && !spec.Force && v.refuse.Refuse("addhost-managed") {
			return nil, &types.AlreadyBeingManaged{IpAddress: f.Address}
		}
		return v.takeIn(into, spec, net.JoinHostPort(address, strconv.Itoa(port)), f, []string{spec.HostName, f.Hostname})
	}
	return nil, &types.NotSupportedHost{}
}

// callOn logs in to a host by the account that was named, if it shows the
// certificate that was named; chained says that the certificate is one of ours.
func (v *VCenter) callOn(ctx context.Context, spec types.HostConnectSpec, where string) (c *vim25.Client, chained bool, fault types.BaseMethodFault) {
	address, service, _ := net.SplitHostPort(where)
	port, _ := strconv.Atoi(service)
	seen, err := v.look(ctx, address, port)
	if err != nil {
		return nil, false, &types.NoHost{Name: spec.HostName}
	}
	trusted := seen.chained || spec.SslThumbprint != "" && seen.matches(spec.SslThumbprint) || seen.is(spec.SslCertificate)
	if !trusted && v.refuse.Refuse("addhost-thumbprint") {
		return nil, false, &types.SSLVerifyFault{SelfSigned: true, Thumbprint: seen.thumbprint()}
	}
	if c, err = v.dial(spec.HostName, port, pinned(seen)); err != nil {
		return nil, false, &types.NoHost{Name: spec.HostName}
	}
	return c, seen.chained, login(c, spec.UserName, spec.Password)
}

// checkPins refuses a host that is named by more than one thing, and by what
// this API does not have yet.
func (v *VCenter) checkPins(spec types.HostConnectSpec) types.BaseMethodFault {
	if spec.SslCertificate == "" {
		return nil
	}
	if newer(certificateSince, v.config.Version) && v.refuse.Refuse("addhost-certificate") {
		return new(types.InvalidRequest)
	}
	if spec.SslThumbprint != "" && v.refuse.Refuse("addhost-both") {
		return &types.InvalidArgument{InvalidProperty: "spec.sslCertificate"}
	}
	return nil
}

// checkHostName refuses a name that is in the inventory already.
func (v *VCenter) checkHostName(name string) types.BaseMethodFault {
	for _, l := range v.allLinks() {
		if strings.EqualFold(l.name, name) && v.refuse.Refuse("addhost-duplicate") {
			return &types.DuplicateName{Name: name, Object: l.ref}
		}
	}
	return nil
}

// checkHost looks at what has answered: its identity, version and licence.
func (v *VCenter) checkHost(c *vim25.Client) (string, types.BaseMethodFault) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	about := c.ServiceContent.About
	if newer(about.Version, v.config.Version) && v.refuse.Refuse("addhost-newer") {
		return "", &types.NotSupportedHost{ProductName: about.Name, ProductVersion: about.Version}
	}
	pc := property.DefaultCollector(c)
	var licences mo.LicenseManager
	if err := pc.RetrieveOne(ctx, *c.ServiceContent.LicenseManager, []string{"licenses"}, &licences); err != nil {
		return "", faultOf(err)
	}
	for _, l := range licences.Licenses {
		if l.EditionKey == "esxBasic" && v.refuse.Refuse("addhost-free") {
			return "", &types.NotEnoughLicenses{}
		}
	}
	var host mo.HostSystem
	ref := types.ManagedObjectReference{Type: "HostSystem", Value: "ha-host"}
	if err := pc.RetrieveOne(ctx, ref, []string{"summary.hardware"}, &host); err != nil {
		return "", faultOf(err)
	}
	uuid := host.Summary.Hardware.Uuid
	for _, l := range v.allLinks() {
		if l.uuid == uuid && v.refuse.Refuse("addhost-connected") {
			return "", &types.AlreadyConnected{Name: l.name}
		}
	}
	return uuid, nil
}

// newer compares versions by their numbers.
func newer(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i])
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return m > n
		}
	}
	return false
}

// takeIn is the part of AddHost that changes things.
func (v *VCenter) takeIn(into types.ManagedObjectReference, spec types.HostConnectSpec, where string, host esx.HostFacts, names []string) (types.AnyType, types.BaseMethodFault) {
	_, service, _ := net.SplitHostPort(where)
	port, _ := strconv.Atoi(service)
	l := &link{server: host.Server, uuid: host.UUID, name: spec.HostName, port: port, where: where, password: secret(), connected: true, maps: newRefMap()}
	if fault := v.putAgent(l, l.password); fault != nil {
		return nil, fault
	}
	if fault := v.issue(l, names); fault != nil {
		return nil, fault
	}
	entity, fault := v.plant(into, l)
	if fault != nil {
		return nil, fault
	}
	v.mu.Lock()
	v.links[l.ref] = l
	v.mu.Unlock()
	v.takeLicence(l, host.Licence)
	v.sync()
	if c, ok := entity.(*simulator.ClusterComputeResource); ok {
		v.tellHA(c)
		return l.ref, nil
	}
	return entity.Reference(), nil
}

func secret() string {
	var raw [24]byte
	_, _ = rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

// putAgent puts the agent onto a host, with an account of its own.
func (v *VCenter) putAgent(l *link, password string) types.BaseMethodFault {
	manager := map[string]any{"server": l.server, "manager": v.instance, "address": v.front.Addr().IP.String(), "password": password, "force": true}
	if err := v.hosts.Call("/manager", manager, nil); err != nil {
		return &types.AlreadyBeingManaged{IpAddress: l.name}
	}
	return nil
}

// issue gives a host a certificate of the vCenter's own authority.
func (v *VCenter) issue(l *link, names []string) types.BaseMethodFault {
	certificate, key, err := v.vmca.issue(names)
	if err != nil {
		return &types.SystemError{Reason: err.Error()}
	}
	pair := map[string]string{"server": l.server, "certificate": string(certificate), "key": string(key)}
	if err := v.hosts.Call("/certificate", pair, nil); err != nil {
		return &types.HostCommunication{}
	}
	return nil
}

// takeBack connects a host by an account, as it was taken in: one that was
// installed anew knows neither the agent nor this vCenter's authority.
func (v *VCenter) takeBack(l *link, spec types.HostConnectSpec) types.BaseMethodFault {
	if fault := v.checkPins(spec); fault != nil {
		return fault
	}
	spec.HostName = l.name
	c, chained, fault := v.callOn(context.Background(), spec, l.where)
	if fault != nil {
		return fault
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	var host mo.HostSystem
	ref := types.ManagedObjectReference{Type: "HostSystem", Value: "ha-host"}
	if err := property.DefaultCollector(c).RetrieveOne(ctx, ref, []string{"name", "summary.hardware"}, &host); err != nil {
		return faultOf(err)
	}
	if host.Summary.Hardware.Uuid != l.uuid {
		return &types.NotSupportedHost{}
	}
	password := secret()
	if fault := v.putAgent(l, password); fault != nil {
		return fault
	}
	l.mu.Lock()
	l.password = password
	l.mu.Unlock()
	if chained {
		return nil
	}
	return v.issue(l, []string{l.name, host.Name})
}

// plant makes the host's object, and for a host of its own all around it.
func (v *VCenter) plant(into types.ManagedObjectReference, l *link) (mo.Entity, types.BaseMethodFault) {
	ctx := v.front.NewContext()
	host := &simulator.HostSystem{}
	host.Name = l.name
	v.reg.NewEntity(host)
	l.ref = host.Self
	host.Summary.Host = &host.Self
	host.Summary.Config.Name = l.name
	host.Config = &types.HostConfigInfo{Host: host.Self}
	host.Runtime.ConnectionState = types.HostSystemConnectionStateConnected
	host.Summary.Runtime = &host.Runtime
	if c, ok := v.reg.Get(into).(*simulator.ClusterComputeResource); ok {
		v.reg.PutEntity(c, host)
		ctx.WithLock(c, func() {
			ctx.Update(c, []types.PropertyChange{{Name: "host", Val: with(c.Host, host.Self)}})
		})
		v.announce(host)
		return c, nil
	}
	if f, ok := v.reg.Get(into).(*simulator.Folder); !ok || v.datacenterOf(f.Self) == nil {
		return nil, new(types.NotSupported)
	}
	cr := &mo.ComputeResource{}
	cr.Name = l.name
	v.reg.NewEntity(cr)
	cr.Summary = &types.ComputeResourceSummary{}
	cr.ConfigurationEx = &types.ComputeResourceConfigInfo{VmSwapPlacement: "vmDirectory"}
	root := v.newPool(ctx, "Resources", cr.Self)
	v.reg.PutEntity(cr, root)
	cr.ResourcePool = &root.Self
	cr.Host = []types.ManagedObjectReference{host.Self}
	v.reg.PutEntity(cr, host)
	v.put(ctx, into, cr)
	return cr, nil
}

// host answers for HostSystem.
type host struct {
	*simulator.HostSystem
	v *VCenter
}

var hostMethods = []string{
	"DisconnectHost_Task", "ReconnectHost_Task", "Destroy_Task", "EnterMaintenanceMode_Task", "ExitMaintenanceMode_Task", "SetCustomValue",
	"EnterLockdownMode", "ExitLockdownMode",
}

// DisconnectHostTask leaves a host alone, as it is.
func (h *host) DisconnectHostTask(ctx *simulator.Context, _ *types.DisconnectHost_Task) soap.HasFault {
	return &methods.DisconnectHost_TaskBody{Res: &types.DisconnectHost_TaskResponse{Returnval: h.v.task(ctx, h.Self, "disconnect",
		func() (types.AnyType, types.BaseMethodFault) {
			l := h.v.linkOf(h.Self)
			if l == nil {
				return nil, &types.ManagedObjectNotFound{Obj: h.Self}
			}
			if !l.isConnected() {
				return nil, new(types.InvalidState)
			}
			h.v.syncMu.Lock()
			defer h.v.syncMu.Unlock()
			l.setConnected(false)
			h.v.showState(h.v.front.NewContext(), l, types.HostSystemConnectionStateDisconnected)
			return nil, nil
		})}}
}

// ReconnectHostTask takes up with a host again, by its agent or by an account.
func (h *host) ReconnectHostTask(ctx *simulator.Context, req *types.ReconnectHost_Task) soap.HasFault {
	return &methods.ReconnectHost_TaskBody{Res: &types.ReconnectHost_TaskResponse{Returnval: h.v.task(ctx, h.Self, "reconnect",
		func() (types.AnyType, types.BaseMethodFault) {
			l := h.v.linkOf(h.Self)
			if l == nil {
				return nil, &types.ManagedObjectNotFound{Obj: h.Self}
			}
			if spec := req.CnxSpec; spec != nil && spec.UserName != "" {
				if fault := h.v.takeBack(l, *spec); fault != nil {
					return nil, fault
				}
			}
			l.setConnected(true)
			if _, fault := h.v.open(l); fault != nil {
				l.setConnected(false)
				return nil, fault
			}
			h.v.sync()
			return nil, nil
		})}}
}

// EnterMaintenanceModeTask has the host enter it, on which nothing may run then
// but the agents, which go first; nothing here would move machines away.
func (h *host) EnterMaintenanceModeTask(ctx *simulator.Context, req *types.EnterMaintenanceMode_Task) soap.HasFault {
	return &methods.EnterMaintenanceMode_TaskBody{Res: &types.EnterMaintenanceMode_TaskResponse{Returnval: h.v.task(ctx, h.Self, "enterMaintenanceMode",
		func() (types.AnyType, types.BaseMethodFault) {
			l := h.v.linkOf(h.Self)
			if l == nil {
				return nil, &types.ManagedObjectNotFound{Obj: h.Self}
			}
			defer h.v.agents.leave(l)()
			return relayTask(h.v, l, methods.EnterMaintenanceMode_Task, req)
		})}}
}

// ExitMaintenanceModeTask ends it.
func (h *host) ExitMaintenanceModeTask(ctx *simulator.Context, req *types.ExitMaintenanceMode_Task) soap.HasFault {
	return &methods.ExitMaintenanceMode_TaskBody{Res: &types.ExitMaintenanceMode_TaskResponse{Returnval: h.v.task(ctx, h.Self, "exitMaintenanceMode",
		func() (types.AnyType, types.BaseMethodFault) {
			l := h.v.linkOf(h.Self)
			if l == nil {
				return nil, &types.ManagedObjectNotFound{Obj: h.Self}
			}
			return relayTask(h.v, l, methods.ExitMaintenanceMode_Task, req)
		})}}
}

// DestroyTask lets a host go; its machines stay on it.
func (h *host) DestroyTask(ctx *simulator.Context, _ *types.Destroy_Task) soap.HasFault {
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: h.v.task(ctx, h.Self, "destroy",
		func() (types.AnyType, types.BaseMethodFault) {
			parent, _ := h.v.computeOf(h.Self)
			_, clustered := parent.(*simulator.ClusterComputeResource)
			return nil, h.v.removeHost(h.HostSystem, clustered)
		})}}
}

// removeHost takes a host out of the inventory. A cluster lets go only of one
// that is disconnected or in maintenance mode.
func (v *VCenter) removeHost(h *simulator.HostSystem, clustered bool) types.BaseMethodFault {
	l := v.linkOf(h.Self)
	if l == nil {
		return &types.ManagedObjectNotFound{Obj: h.Self}
	}
	ctx := v.front.NewContext()
	busy := false
	ctx.WithLock(h, func() {
		// One that does not respond is still meant to be connected.
		busy = h.Runtime.ConnectionState != types.HostSystemConnectionStateDisconnected && !h.Runtime.InMaintenanceMode
	})
	if clustered && busy && v.refuse.Refuse("host-remove-connected") {
		return new(types.InvalidState)
	}
	v.syncMu.Lock()
	defer v.syncMu.Unlock()
	_ = v.hosts.Call("/ha", map[string]any{"server": l.server, "on": false}, nil)
	if l.isConnected() {
		// One that is disconnected is not told: its agent goes on believing that it is managed.
		_ = v.hosts.Call("/manager", map[string]any{"server": l.server}, nil)
	}
	v.mu.Lock()
	delete(v.links, l.ref)
	v.mu.Unlock()
	l.setConnected(false)
	v.agents.forget(l)

	dc := v.datacenterOf(l.ref)
	entity, cr := v.computeOf(l.ref)
	l.mu.Lock()
	var machines []types.ManagedObjectReference
	for ours := range l.maps.toHost {
		if ours.Type == "VirtualMachine" {
			machines = append(machines, ours)
		}
	}
	l.mu.Unlock()
	for _, ref := range machines {
		if vm, ok := v.reg.Get(ref).(*simulator.VirtualMachine); ok {
			v.drop(ctx, vm)
		}
	}
	v.forgetSnapshots(ctx, l, nil, nil)
	for _, e := range v.children(ctx, dc.DatastoreFolder) {
		if d, ok := e.(*simulator.Datastore); ok {
			v.unmount(ctx, d, l)
		}
	}
	for _, e := range v.children(ctx, dc.NetworkFolder) {
		if n, ok := e.(*mo.Network); ok {
			ctx.WithLock(n, func() { n.Host = without(n.Host, l.ref) })
		}
	}
	ctx.WithLock(entity, func() {
		ctx.Update(entity, []types.PropertyChange{{Name: "host", Val: without(cr.Host, l.ref)}})
	})
	v.dropManagers(ctx, l)
	v.reg.Remove(ctx, l.ref)
	v.authz.forget(l.ref)
	v.gather(ctx, entity, cr)
	v.sweep(ctx, dc)
	if own, ok := entity.(*mo.ComputeResource); ok {
		for _, p := range v.pools(*own.ResourcePool) {
			v.reg.Remove(ctx, p.Self)
		}
		v.drop(ctx, own)
	}
	return nil
}
