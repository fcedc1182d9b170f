package esx

import "github.com/vmware/govmomi/vim25/types"

// defaultPolicy is what a standard switch has out of the box.
func defaultPolicy() *types.HostNetworkPolicy {
	no, yes := types.NewBool(false), types.NewBool(true)
	return &types.HostNetworkPolicy{
		Security: &types.HostNetworkSecurityPolicy{AllowPromiscuous: no, MacChanges: no, ForgedTransmits: no},
		NicTeaming: &types.HostNicTeamingPolicy{
			Policy: "loadbalance_srcid", ReversePolicy: yes, NotifySwitches: yes, RollingOrder: no,
			FailureCriteria: &types.HostNicFailureCriteria{CheckBeacon: no},
		},
		OffloadPolicy: &types.HostNetOffloadCapabilities{CsumOffload: yes, TcpSegmentation: yes, ZeroCopyXmit: yes},
		ShapingPolicy: &types.HostNetworkTrafficShapingPolicy{Enabled: no},
	}
}

// computed is a port group's policy with the switch's in place of what the
// group leaves open.
func computed(group types.HostNetworkPolicy, sw *types.HostNetworkPolicy) types.HostNetworkPolicy {
	if sw == nil {
		sw = defaultPolicy()
	}
	out := *sw
	if s := group.Security; s != nil {
		merged := types.HostNetworkSecurityPolicy{}
		if sw.Security != nil {
			merged = *sw.Security
		}
		set(&merged.AllowPromiscuous, s.AllowPromiscuous)
		set(&merged.MacChanges, s.MacChanges)
		set(&merged.ForgedTransmits, s.ForgedTransmits)
		out.Security = &merged
	}
	if t := group.NicTeaming; t != nil {
		merged := types.HostNicTeamingPolicy{}
		if sw.NicTeaming != nil {
			merged = *sw.NicTeaming
		}
		if t.Policy != "" {
			merged.Policy = t.Policy
		}
		if t.NicOrder != nil {
			merged.NicOrder = t.NicOrder
		}
		set(&merged.ReversePolicy, t.ReversePolicy)
		set(&merged.NotifySwitches, t.NotifySwitches)
		set(&merged.RollingOrder, t.RollingOrder)
		out.NicTeaming = &merged
	}
	if s := group.ShapingPolicy; s != nil && s.Enabled != nil {
		out.ShapingPolicy = s
	}
	return out
}

// set replaces a tri-state where the other one says something.
func set(dst **bool, src *bool) {
	if src != nil {
		*dst = src
	}
}
