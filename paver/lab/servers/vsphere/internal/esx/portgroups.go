package esx

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// maxVLAN is "all VLANs, to the guest"; 0 is untagged.
const maxVLAN = 4095

// checkGroup refuses a port group that ESXi would refuse.
func (n *networkSystem) checkGroup(info *types.HostNetworkInfo, spec types.HostPortGroupSpec) types.BaseMethodFault {
	switch {
	case spec.Name == "":
		return &types.InvalidArgument{InvalidProperty: "portgrp.name"}
	case (spec.VlanId < 0 || spec.VlanId > maxVLAN) && n.host.refuse.Refuse("vlan-range"):
		return &types.InvalidArgument{InvalidProperty: "portgrp.vlanId"}
	case findSwitch(info, spec.VswitchName) == nil && n.host.refuse.Refuse("portgroup-switch"):
		return new(types.NotFound)
	}
	return nil
}

// AddPortGroup makes a port group and the network that VMs see.
func (n *networkSystem) AddPortGroup(ctx *simulator.Context, req *types.AddPortGroup) soap.HasFault {
	body := new(methods.AddPortGroupBody)
	body.Fault_ = n.change(ctx, func(info *types.HostNetworkInfo) types.BaseMethodFault {
		if fault := n.checkGroup(info, req.Portgrp); fault != nil {
			return fault
		}
		if findGroup(info, req.Portgrp.Name) != nil && n.host.refuse.Refuse("portgroup-duplicate") {
			return &types.AlreadyExists{Name: req.Portgrp.Name}
		}
		info.Portgroup = append(info.Portgroup, types.HostPortGroup{Key: groupKey(req.Portgrp.Name), Spec: req.Portgrp})
		return nil
	})
	if body.Fault_ == nil {
		n.host.addNetwork(ctx, req.Portgrp.Name)
		body.Res = new(types.AddPortGroupResponse)
	}
	return body
}

// UpdatePortGroup replaces the settings of a port group.
func (n *networkSystem) UpdatePortGroup(ctx *simulator.Context, req *types.UpdatePortGroup) soap.HasFault {
	body := new(methods.UpdatePortGroupBody)
	renamed := req.Portgrp.Name != req.PgName
	body.Fault_ = n.change(ctx, func(info *types.HostNetworkInfo) types.BaseMethodFault {
		group := findGroup(info, req.PgName)
		if group == nil {
			return new(types.NotFound)
		}
		if fault := n.checkGroup(info, req.Portgrp); fault != nil {
			return fault
		}
		if renamed {
			if findGroup(info, req.Portgrp.Name) != nil {
				return &types.AlreadyExists{Name: req.Portgrp.Name}
			}
			if n.host.groupInUse(ctx, info, req.PgName) {
				return &types.ResourceInUse{Type: "HostPortGroup", Name: req.PgName}
			}
			group.Key = groupKey(req.Portgrp.Name)
		}
		group.Spec = req.Portgrp
		return nil
	})
	if body.Fault_ == nil {
		if renamed {
			n.host.removeNetwork(ctx, req.PgName)
			n.host.addNetwork(ctx, req.Portgrp.Name)
		}
		body.Res = new(types.UpdatePortGroupResponse)
	}
	return body
}

// RemovePortGroup removes a port group that nothing is attached to.
func (n *networkSystem) RemovePortGroup(ctx *simulator.Context, req *types.RemovePortGroup) soap.HasFault {
	body := new(methods.RemovePortGroupBody)
	body.Fault_ = n.change(ctx, func(info *types.HostNetworkInfo) types.BaseMethodFault {
		if findGroup(info, req.PgName) == nil {
			return new(types.NotFound)
		}
		if n.host.groupInUse(ctx, info, req.PgName) && n.host.refuse.Refuse("portgroup-in-use") {
			return &types.ResourceInUse{Type: "HostPortGroup", Name: req.PgName}
		}
		info.Portgroup = slices.DeleteFunc(info.Portgroup, func(g types.HostPortGroup) bool { return g.Spec.Name == req.PgName })
		return nil
	})
	if body.Fault_ == nil {
		n.host.removeNetwork(ctx, req.PgName)
		body.Res = new(types.RemovePortGroupResponse)
	}
	return body
}

// groupInUse reports whether a kernel interface or a VM is attached.
func (h *Host) groupInUse(ctx *simulator.Context, info *types.HostNetworkInfo, name string) bool {
	if slices.ContainsFunc(info.Vnic, func(v types.HostVirtualNic) bool { return v.Portgroup == name }) {
		return true
	}
	for _, e := range ctx.Map.All("VirtualMachine") {
		machine, ok := e.(*simulator.VirtualMachine)
		if !ok {
			continue
		}
		used := false
		ctx.WithLock(machine, func() {
			for _, nic := range nicsOf(machine) {
				used = used || nic.PortGroup == name
			}
		})
		if used {
			return true
		}
	}
	return false
}

// addNetwork makes the Network object by which VMs name a port group.
func (h *Host) addNetwork(ctx *simulator.Context, name string) {
	network := &mo.Network{}
	network.Self = types.ManagedObjectReference{Type: "Network", Value: "HaNetwork-" + name}
	network.Name = name
	network.ManagedEntity.Name = name
	network.Host = []types.ManagedObjectReference{h.host().Self}
	network.Summary = &types.NetworkSummary{Network: &network.Self, Name: name, Accessible: true}
	if ctx.Map.Get(network.Self) != nil {
		return
	}
	parent := h.datacenter().NetworkFolder
	network.Parent = &parent
	ctx.Map.Put(network)
	h.eachNetworkList(ctx, func(list *[]types.ManagedObjectReference) {
		*list = append(slices.Clone(*list), network.Self)
	})
}

func (h *Host) removeNetwork(ctx *simulator.Context, name string) {
	ref := types.ManagedObjectReference{Type: "Network", Value: "HaNetwork-" + name}
	ctx.Map.Remove(ctx, ref)
	h.eachNetworkList(ctx, func(list *[]types.ManagedObjectReference) {
		*list = slices.DeleteFunc(slices.Clone(*list), func(r types.ManagedObjectReference) bool { return r == ref })
	})
}

// eachNetworkList goes through all lists in which a network stands.
func (h *Host) eachNetworkList(ctx *simulator.Context, f func(*[]types.ManagedObjectReference)) {
	host, dc := h.host(), h.datacenter()
	cr, _ := ctx.Map.Get(*host.Parent).(*mo.ComputeResource)
	folder, _ := ctx.Map.Get(dc.NetworkFolder).(*simulator.Folder)
	ctx.WithLock(host, func() { f(&host.Network) })
	ctx.WithLock(cr, func() { f(&cr.Network) })
	ctx.WithLock(dc, func() { f(&dc.Network) })
	ctx.WithLock(folder, func() { f(&folder.ChildEntity) })
}
