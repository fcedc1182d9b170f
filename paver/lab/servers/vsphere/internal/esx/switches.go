package esx

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// checkSwitch refuses a switch that ESXi would refuse: a card that is not
// there or that another switch has, an MTU outside of what ESXi can.
func (n *networkSystem) checkSwitch(info *types.HostNetworkInfo, name string, spec types.HostVirtualSwitchSpec) types.BaseMethodFault {
	if spec.Mtu != 0 && (spec.Mtu < 1280 || spec.Mtu > 9000) && n.host.refuse.Refuse("switch-mtu") {
		return &types.InvalidArgument{InvalidProperty: "spec.mtu"}
	}
	for _, device := range uplinksOf(spec) {
		if !slices.ContainsFunc(info.Pnic, func(p types.PhysicalNic) bool { return p.Device == device }) &&
			n.host.refuse.Refuse("switch-uplink") {
			return &types.NotFound{}
		}
		for _, other := range info.Vswitch {
			if other.Name != name && slices.Contains(uplinksOf(other.Spec), device) && n.host.refuse.Refuse("uplink-in-use") {
				return &types.ResourceInUse{Type: "PhysicalNic", Name: device}
			}
		}
	}
	return nil
}

// AddVirtualSwitch makes a standard switch.
func (n *networkSystem) AddVirtualSwitch(ctx *simulator.Context, req *types.AddVirtualSwitch) soap.HasFault {
	body := new(methods.AddVirtualSwitchBody)
	body.Fault_ = n.change(ctx, func(info *types.HostNetworkInfo) types.BaseMethodFault {
		spec := types.HostVirtualSwitchSpec{NumPorts: 128}
		if req.Spec != nil {
			spec = *req.Spec
		}
		if spec.Policy == nil {
			spec.Policy = defaultPolicy()
		}
		switch {
		case req.VswitchName == "" || len(req.VswitchName) > 31:
			return &types.InvalidArgument{InvalidProperty: "vswitchName"}
		case findSwitch(info, req.VswitchName) != nil:
			return &types.AlreadyExists{Name: req.VswitchName}
		}
		if fault := n.checkSwitch(info, req.VswitchName, spec); fault != nil {
			return fault
		}
		info.Vswitch = append(info.Vswitch, virtualSwitch(req.VswitchName, spec))
		return nil
	})
	if body.Fault_ == nil {
		body.Res = new(types.AddVirtualSwitchResponse)
	}
	return body
}

// UpdateVirtualSwitch replaces the settings of a switch. As on the real host,
// a bridge that is left out takes the cards away.
func (n *networkSystem) UpdateVirtualSwitch(ctx *simulator.Context, req *types.UpdateVirtualSwitch) soap.HasFault {
	body := new(methods.UpdateVirtualSwitchBody)
	body.Fault_ = n.change(ctx, func(info *types.HostNetworkInfo) types.BaseMethodFault {
		sw := findSwitch(info, req.VswitchName)
		if sw == nil {
			return new(types.NotFound)
		}
		if fault := n.checkSwitch(info, req.VswitchName, req.Spec); fault != nil {
			return fault
		}
		spec := req.Spec
		if spec.Policy == nil {
			spec.Policy = sw.Spec.Policy
		}
		sw.Spec = spec
		return nil
	})
	if body.Fault_ == nil {
		body.Res = new(types.UpdateVirtualSwitchResponse)
	}
	return body
}

// RemoveVirtualSwitch removes a switch with its port groups.
func (n *networkSystem) RemoveVirtualSwitch(ctx *simulator.Context, req *types.RemoveVirtualSwitch) soap.HasFault {
	body := new(methods.RemoveVirtualSwitchBody)
	var gone []string
	body.Fault_ = n.change(ctx, func(info *types.HostNetworkInfo) types.BaseMethodFault {
		if findSwitch(info, req.VswitchName) == nil {
			return new(types.NotFound)
		}
		for _, g := range info.Portgroup {
			if g.Spec.VswitchName != req.VswitchName {
				continue
			}
			if n.host.groupInUse(ctx, info, g.Spec.Name) && n.host.refuse.Refuse("switch-in-use") {
				return &types.ResourceInUse{Type: "HostVirtualSwitch", Name: req.VswitchName}
			}
			gone = append(gone, g.Spec.Name)
		}
		info.Portgroup = slices.DeleteFunc(info.Portgroup, func(g types.HostPortGroup) bool { return slices.Contains(gone, g.Spec.Name) })
		info.Vswitch = slices.DeleteFunc(info.Vswitch, func(s types.HostVirtualSwitch) bool { return s.Name == req.VswitchName })
		return nil
	})
	if body.Fault_ == nil {
		for _, name := range gone {
			n.host.removeNetwork(ctx, name)
		}
		body.Res = new(types.RemoveVirtualSwitchResponse)
	}
	return body
}
