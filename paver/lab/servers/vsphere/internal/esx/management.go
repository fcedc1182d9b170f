package esx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// manageable reports whether the host can still be reached with this network:
// its kernel interface's group is untagged, as the lab's wire is, and one of
// the group's uplinks has a link into the host's network. A bare ESXi undoes
// nothing by itself (networking rollback is vCenter's), so the line is cut.
// A host that came without any card is reached all the same.
func (h *Host) manageable(info *types.HostNetworkInfo) bool {
	if len(h.config.Uplinks) == 0 {
		return true
	}
	group := findGroup(info, info.Vnic[0].Portgroup)
	if group == nil || group.Spec.VlanId != 0 {
		return false
	}
	sw := findSwitch(info, group.Spec.VswitchName)
	if sw == nil {
		return false
	}
	uplinks := uplinksOf(sw.Spec)
	if teaming := group.Spec.Policy.NicTeaming; teaming != nil && teaming.NicOrder != nil {
		own := slices.Concat(teaming.NicOrder.ActiveNic, teaming.NicOrder.StandbyNic)
		uplinks = slices.DeleteFunc(slices.Clone(uplinks), func(d string) bool { return !slices.Contains(own, d) })
	}
	return slices.ContainsFunc(uplinks, func(device string) bool { return h.hears(info, device) })
}

// hears reports whether a card has a link into the host's own network.
func (h *Host) hears(info *types.HostNetworkInfo, device string) bool {
	return slices.ContainsFunc(info.Pnic, func(p types.PhysicalNic) bool {
		return p.Device == device && p.LinkSpeed != nil
	}) && !slices.ContainsFunc(h.config.Uplinks, func(u Uplink) bool { return u.Device == device && u.Elsewhere })
}

// QueryNetworkHint says what networks were heard on cards that have a link.
func (n *networkSystem) QueryNetworkHint(req *types.QueryNetworkHint) soap.HasFault {
	info := n.host.network.Load()
	address := info.Vnic[0].Spec.Ip.IpAddress
	own := address[:strings.LastIndex(address, ".")]
	res := new(types.QueryNetworkHintResponse)
	for _, p := range info.Pnic {
		if len(req.Device) > 0 && !slices.Contains(req.Device, p.Device) {
			continue
		}
		hint := types.PhysicalNicHintInfo{Device: p.Device}
		if n.host.hears(info, p.Device) {
			hint.Subnet = []types.PhysicalNicIpHint{{IpSubnet: fmt.Sprintf("%s.1-%s.254", own, own)}}
		} else if p.LinkSpeed != nil {
			hint.Subnet = []types.PhysicalNicIpHint{{IpSubnet: "192.0.2.1-192.0.2.254"}}
		}
		res.Returnval = append(res.Returnval, hint)
	}
	return &methods.QueryNetworkHintBody{Res: res}
}
