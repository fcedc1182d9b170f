package esx

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	simesx "github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// firewallSystem answers for HostFirewallSystem; the simulator's hosts share
// one list of rule sets.
type firewallSystem struct {
	*simulator.HostFirewallSystem
	host *Host
}

func (h *Host) furnishFirewall() {
	host := h.host()
	fw, _ := h.reg.Get(*host.ConfigManager.FirewallSystem).(*simulator.HostFirewallSystem)
	info := simesx.HostFirewallInfo
	info.Ruleset = slices.Clone(info.Ruleset)
	for i := range info.Ruleset {
		info.Ruleset[i].AllowedHosts = &types.HostFirewallRulesetIpList{AllIp: true}
	}
	fw.FirewallInfo = &info
	host.Config.Firewall = &info
}

func (s *firewallSystem) change(ctx *simulator.Context, id string, f func(*types.HostFirewallRuleset)) *soap.Fault {
	info := *s.FirewallInfo
	info.Ruleset = slices.Clone(info.Ruleset)
	i := slices.IndexFunc(info.Ruleset, func(r types.HostFirewallRuleset) bool { return r.Key == id })
	if i < 0 {
		return simulator.Fault("", new(types.NotFound))
	}
	f(&info.Ruleset[i])
	ctx.Update(s.HostFirewallSystem, []types.PropertyChange{{Name: "firewallInfo", Val: &info}})
	s.host.alsoInConfig(ctx, func(c *types.HostConfigInfo) { c.Firewall = &info })
	return nil
}

// EnableRuleset opens the firewall for a rule set.
func (s *firewallSystem) EnableRuleset(ctx *simulator.Context, req *types.EnableRuleset) soap.HasFault {
	body := new(methods.EnableRulesetBody)
	body.Fault_ = s.change(ctx, req.Id, func(r *types.HostFirewallRuleset) { r.Enabled = true })
	if body.Fault_ == nil {
		body.Res = new(types.EnableRulesetResponse)
	}
	return body
}

// DisableRuleset closes it.
func (s *firewallSystem) DisableRuleset(ctx *simulator.Context, req *types.DisableRuleset) soap.HasFault {
	body := new(methods.DisableRulesetBody)
	body.Fault_ = s.change(ctx, req.Id, func(r *types.HostFirewallRuleset) { r.Enabled = false })
	if body.Fault_ == nil {
		body.Res = new(types.DisableRulesetResponse)
	}
	return body
}

// UpdateRuleset says from where a rule set may be used.
func (s *firewallSystem) UpdateRuleset(ctx *simulator.Context, req *types.UpdateRuleset) soap.HasFault {
	body := new(methods.UpdateRulesetBody)
	allowed := req.Spec.AllowedHosts
	body.Fault_ = s.change(ctx, req.Id, func(r *types.HostFirewallRuleset) { r.AllowedHosts = &allowed })
	if body.Fault_ == nil {
		body.Res = new(types.UpdateRulesetResponse)
	}
	return body
}

// RefreshFirewall has nothing to refresh.
func (s *firewallSystem) RefreshFirewall(*types.RefreshFirewall) soap.HasFault {
	return &methods.RefreshFirewallBody{Res: new(types.RefreshFirewallResponse)}
}
