package esx

import (
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// autoStart is the manager that starts VMs with the host; the simulator has
// none.
type autoStart struct {
	mo.HostAutoStartManager
	host *Host
}

func (h *Host) newAutoStart() *autoStart {
	a := &autoStart{host: h}
	a.Self = types.ManagedObjectReference{Type: "HostAutoStartManager", Value: "ha-autostart-mgr"}
	a.Config.Defaults = &types.AutoStartDefaults{
		Enabled: types.NewBool(false), StartDelay: 120, StopDelay: 120,
		WaitForHeartbeat: types.NewBool(false), StopAction: "PowerOff",
	}
	return a
}

// ReconfigureAutostart sets the defaults and the machines that are given.
func (a *autoStart) ReconfigureAutostart(ctx *simulator.Context, req *types.ReconfigureAutostart) soap.HasFault {
	body := new(methods.ReconfigureAutostartBody)
	a.host.mu.Lock()
	ha := a.host.ha
	a.host.mu.Unlock()
	if d := req.Spec.Defaults; ha && d != nil && d.Enabled != nil && *d.Enabled && a.host.refuse.Refuse("autostart-ha") {
		body.Fault_ = simulator.Fault("HA starts this host's machines.", new(types.NotSupported))
		return body
	}
	config := types.HostAutoStartManagerConfig{Defaults: a.Config.Defaults, PowerInfo: slices.Clone(a.Config.PowerInfo)}
	if d := req.Spec.Defaults; d != nil {
		merged := *config.Defaults
		set(&merged.Enabled, d.Enabled)
		set(&merged.WaitForHeartbeat, d.WaitForHeartbeat)
		if d.StartDelay != 0 {
			merged.StartDelay = d.StartDelay
		}
		if d.StopDelay != 0 {
			merged.StopDelay = d.StopDelay
		}
		if d.StopAction != "" {
			merged.StopAction = d.StopAction
		}
		config.Defaults = &merged
	}
	for _, info := range req.Spec.PowerInfo {
		if ctx.Map.Get(info.Key) == nil && a.host.refuse.Refuse("autostart-vm") {
			body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: info.Key})
			return body
		}
		config.PowerInfo = slices.DeleteFunc(config.PowerInfo, func(p types.AutoStartPowerInfo) bool { return p.Key == info.Key })
		if !placed(info, len(config.PowerInfo)+1) && a.host.refuse.Refuse("autostart-order") {
			body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "spec.powerInfo.startOrder"})
			return body
		}
		// An order of -1 with no action is how a machine is taken out again.
		if info.StartOrder >= 0 || !strings.EqualFold(info.StartAction, "none") {
			config.PowerInfo = append(config.PowerInfo, info)
		}
	}
	a.set(ctx, config)
	body.Res = new(types.ReconfigureAutostartResponse)
	return body
}

// placed says whether a machine's place in the order of starting can be: -1 is
// any, and nobody is further behind than there are machines.
func placed(info types.AutoStartPowerInfo, machines int) bool {
	if strings.EqualFold(info.StartAction, "none") {
		return info.StartOrder == -1
	}
	return info.StartOrder == -1 || info.StartOrder > 0 && int(info.StartOrder) <= machines
}

func (a *autoStart) set(ctx *simulator.Context, config types.HostAutoStartManagerConfig) {
	ctx.WithLock(a, func() { ctx.Update(a, []types.PropertyChange{{Name: "config", Val: config}}) })
	a.host.alsoInConfig(ctx, func(c *types.HostConfigInfo) { c.AutoStart = &config })
}

// forget takes a VM that is gone out of the list.
func (h *Host) forgetAutoStart(ctx *simulator.Context, ref types.ManagedObjectReference) {
	a, ok := ctx.Map.Get(*h.host().ConfigManager.AutoStartManager).(*autoStart)
	if !ok || !slices.ContainsFunc(a.Config.PowerInfo, func(p types.AutoStartPowerInfo) bool { return p.Key == ref }) {
		return
	}
	config := a.Config
	config.PowerInfo = slices.DeleteFunc(slices.Clone(config.PowerInfo), func(p types.AutoStartPowerInfo) bool { return p.Key == ref })
	a.set(ctx, config)
}
