package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// The managers of a host, as a vCenter shows them: reads come from what was
// brought over, and a change is made on the host.

type hostNetwork struct {
	mo.HostNetworkSystem
	v *VCenter
	l *link
}

type hostTime struct {
	mo.HostDateTimeSystem
	v *VCenter
	l *link
}

type hostServices struct {
	mo.HostServiceSystem
	v *VCenter
	l *link
}

type hostFirewall struct {
	mo.HostFirewallSystem
	v *VCenter
	l *link
}

type hostAutoStart struct {
	mo.HostAutoStartManager
	v *VCenter
	l *link
}

// managerRef is our id of a manager of a host: dateTimeSystem-12 of host-12.
func (l *link) managerRef(kind, name string) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: kind, Value: name + "-" + l.ref.Value}
}

// managersOf are the references by which a host's managers are found.
func (v *VCenter) managersOf(l *link, _ types.HostConfigManager) types.HostConfigManager {
	ref := func(kind, name string) *types.ManagedObjectReference {
		r := l.managerRef(kind, name)
		return &r
	}
	return types.HostConfigManager{
		NetworkSystem:    ref("HostNetworkSystem", "networkSystem"),
		DateTimeSystem:   ref("HostDateTimeSystem", "dateTimeSystem"),
		ServiceSystem:    ref("HostServiceSystem", "serviceSystem"),
		FirewallSystem:   ref("HostFirewallSystem", "firewallSystem"),
		AutoStartManager: ref("HostAutoStartManager", "autoStartManager"),
	}
}

// mirrorManagers shows the managers' state.
func (v *VCenter) mirrorManagers(ctx *simulator.Context, l *link, s *state) {
	refs := v.managersOf(l, types.HostConfigManager{})
	l.mu.Lock()
	for ours, theirs := range map[types.ManagedObjectReference]types.ManagedObjectReference{
		*refs.NetworkSystem: s.network.Self, *refs.DateTimeSystem: s.time.Self, *refs.ServiceSystem: s.services.Self,
		*refs.FirewallSystem: s.firewall.Self, *refs.AutoStartManager: s.autostart.Self,
	} {
		l.maps.put(ours, theirs)
	}
	l.mu.Unlock()
	for _, value := range []any{&s.network, &s.time, &s.services, &s.firewall, &s.autostart} {
		l.translate(value, false)
	}
	show(ctx, v, *refs.NetworkSystem, func() *hostNetwork { return &hostNetwork{v: v, l: l} }, func(m *hostNetwork) { m.HostNetworkSystem = s.network })
	show(ctx, v, *refs.DateTimeSystem, func() *hostTime { return &hostTime{v: v, l: l} }, func(m *hostTime) { m.HostDateTimeSystem = s.time })
	show(ctx, v, *refs.ServiceSystem, func() *hostServices { return &hostServices{v: v, l: l} }, func(m *hostServices) { m.HostServiceSystem = s.services })
	show(ctx, v, *refs.FirewallSystem, func() *hostFirewall { return &hostFirewall{v: v, l: l} }, func(m *hostFirewall) { m.HostFirewallSystem = s.firewall })
	show(ctx, v, *refs.AutoStartManager, func() *hostAutoStart { return &hostAutoStart{v: v, l: l} }, func(m *hostAutoStart) { m.HostAutoStartManager = s.autostart })
}

// show sets a manager's state, making the object when it is new.
func show[M mo.Reference](ctx *simulator.Context, v *VCenter, ref types.ManagedObjectReference, fresh func() M, set func(M)) {
	if m, ok := v.reg.Get(ref).(M); ok {
		ctx.WithLock(m, func() { set(m) })
		return
	}
	m := fresh()
	set(m)
	v.reg.Put(m)
}

// dropManagers removes the managers of a host that has left.
func (v *VCenter) dropManagers(ctx *simulator.Context, l *link) {
	refs := v.managersOf(l, types.HostConfigManager{})
	for _, r := range []*types.ManagedObjectReference{refs.NetworkSystem, refs.DateTimeSystem, refs.ServiceSystem, refs.FirewallSystem, refs.AutoStartManager} {
		v.reg.Remove(ctx, *r)
	}
}

func (n *hostNetwork) AddPortGroup(req *types.AddPortGroup) soap.HasFault {
	body := new(methods.AddPortGroupBody)
	res, fault := relay(n.v, n.l, methods.AddPortGroup, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (n *hostNetwork) UpdatePortGroup(req *types.UpdatePortGroup) soap.HasFault {
	body := new(methods.UpdatePortGroupBody)
	res, fault := relay(n.v, n.l, methods.UpdatePortGroup, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (n *hostNetwork) RemovePortGroup(req *types.RemovePortGroup) soap.HasFault {
	body := new(methods.RemovePortGroupBody)
	res, fault := relay(n.v, n.l, methods.RemovePortGroup, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (n *hostNetwork) AddVirtualSwitch(req *types.AddVirtualSwitch) soap.HasFault {
	body := new(methods.AddVirtualSwitchBody)
	res, fault := relay(n.v, n.l, methods.AddVirtualSwitch, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (n *hostNetwork) UpdateVirtualSwitch(req *types.UpdateVirtualSwitch) soap.HasFault {
	body := new(methods.UpdateVirtualSwitchBody)
	res, fault := relay(n.v, n.l, methods.UpdateVirtualSwitch, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (n *hostNetwork) RemoveVirtualSwitch(req *types.RemoveVirtualSwitch) soap.HasFault {
	body := new(methods.RemoveVirtualSwitchBody)
	res, fault := relay(n.v, n.l, methods.RemoveVirtualSwitch, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (n *hostNetwork) UpdateDnsConfig(req *types.UpdateDnsConfig) soap.HasFault {
	body := new(methods.UpdateDnsConfigBody)
	res, fault := relay(n.v, n.l, methods.UpdateDnsConfig, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (t *hostTime) UpdateDateTimeConfig(req *types.UpdateDateTimeConfig) soap.HasFault {
	body := new(methods.UpdateDateTimeConfigBody)
	res, fault := relay(t.v, t.l, methods.UpdateDateTimeConfig, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (t *hostTime) QueryDateTime(req *types.QueryDateTime) soap.HasFault {
	body := new(methods.QueryDateTimeBody)
	res, fault := relay(t.v, t.l, methods.QueryDateTime, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (s *hostServices) StartService(req *types.StartService) soap.HasFault {
	body := new(methods.StartServiceBody)
	res, fault := relay(s.v, s.l, methods.StartService, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (s *hostServices) StopService(req *types.StopService) soap.HasFault {
	body := new(methods.StopServiceBody)
	res, fault := relay(s.v, s.l, methods.StopService, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (s *hostServices) RestartService(req *types.RestartService) soap.HasFault {
	body := new(methods.RestartServiceBody)
	res, fault := relay(s.v, s.l, methods.RestartService, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (s *hostServices) UpdateServicePolicy(req *types.UpdateServicePolicy) soap.HasFault {
	body := new(methods.UpdateServicePolicyBody)
	res, fault := relay(s.v, s.l, methods.UpdateServicePolicy, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (f *hostFirewall) EnableRuleset(req *types.EnableRuleset) soap.HasFault {
	body := new(methods.EnableRulesetBody)
	res, fault := relay(f.v, f.l, methods.EnableRuleset, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (f *hostFirewall) DisableRuleset(req *types.DisableRuleset) soap.HasFault {
	body := new(methods.DisableRulesetBody)
	res, fault := relay(f.v, f.l, methods.DisableRuleset, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (a *hostAutoStart) ReconfigureAutostart(req *types.ReconfigureAutostart) soap.HasFault {
	body := new(methods.ReconfigureAutostartBody)
	res, fault := relay(a.v, a.l, methods.ReconfigureAutostart, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

// wrap makes a fault an answer; no fault is no answer of that kind.
func wrap(fault types.BaseMethodFault) *soap.Fault {
	if fault == nil {
		return nil
	}
	return simulator.Fault("", fault)
}
