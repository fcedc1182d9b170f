package esx

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/room"
)

const (
	managementGroup = "Management Network"
	vmGroup         = "VM Network"
	firstSwitch     = "vSwitch0"
)

// networkSystem answers for HostNetworkSystem. A network's state is replaced
// as a whole, never changed in place: answers that are still being written
// refer to the old one.
type networkSystem struct {
	*simulator.HostNetworkSystem
	host *Host
}

// furnishNetwork gives the host its cards, vSwitch0 with the first of them,
// and the two port groups that a fresh installation has.
func (h *Host) furnishNetwork(ctx *simulator.Context) {
	host := h.host()
	info := types.HostNetworkInfo{IpV6Enabled: types.NewBool(false), AtBootIpV6Enabled: types.NewBool(false)}
	for i, u := range h.config.Uplinks {
		info.Pnic = append(info.Pnic, physicalNIC(h.Name, i, u))
	}
	spec := types.HostVirtualSwitchSpec{NumPorts: 128, Policy: defaultPolicy()}
	if len(h.config.Uplinks) > 0 {
		spec.Bridge = &types.HostVirtualSwitchBondBridge{
			NicDevice:                   []string{h.config.Uplinks[0].Device},
			Beacon:                      &types.HostVirtualSwitchBeaconConfig{Interval: 1},
			LinkDiscoveryProtocolConfig: &types.LinkDiscoveryProtocolConfig{Protocol: "cdp", Operation: "listen"},
		}
	}
	info.Vswitch = []types.HostVirtualSwitch{virtualSwitch(firstSwitch, spec)}
	for _, name := range []string{managementGroup, vmGroup} {
		info.Portgroup = append(info.Portgroup, types.HostPortGroup{
			Key: groupKey(name), Vswitch: switchKey(firstSwitch),
			Spec: types.HostPortGroupSpec{Name: name, VswitchName: firstSwitch},
		})
	}
	address := h.front.Addr().IP.String()
	info.Vnic = []types.HostVirtualNic{{
		Device: "vmk0", Key: "key-vim.host.VirtualNic-vmk0", Portgroup: managementGroup,
		Spec: types.HostVirtualNicSpec{
			Ip:        &types.HostIpConfig{IpAddress: address, SubnetMask: "255.255.255.0"},
			Portgroup: managementGroup, Mac: cardMAC(h.Name, 0), Mtu: 1500,
			NetStackInstanceKey: "defaultTcpipStack",
		},
	}}
	name, domain, _ := strings.Cut(h.config.Hostname, ".")
	info.DnsConfig = &types.HostDnsConfig{HostName: name, DomainName: domain}
	info.IpRouteConfig = &types.HostIpRouteConfig{}

	networks := []types.ManagedObjectReference{{Type: "Network", Value: "HaNetwork-" + vmGroup}}
	cr, _ := h.reg.Get(*host.Parent).(*mo.ComputeResource)
	// The simulator's hosts share their lists until each has its own.
	host.Network = slices.Clone(networks)
	cr.Network = slices.Clone(networks)
	h.datacenter().Network = slices.Clone(networks)
	ns, _ := h.reg.Get(*host.ConfigManager.NetworkSystem).(*simulator.HostNetworkSystem)
	h.setNetwork(ctx, ns, completed(info))
}

// setNetwork makes info the network of the host, everywhere where it shows.
func (h *Host) setNetwork(ctx *simulator.Context, ns *simulator.HostNetworkSystem, info *types.HostNetworkInfo) {
	ctx.WithLock(ns, func() {
		ctx.Update(ns, []types.PropertyChange{
			{Name: "networkInfo", Val: info},
			{Name: "dnsConfig", Val: info.DnsConfig},
			{Name: "ipRouteConfig", Val: info.IpRouteConfig},
		})
	})
	host := h.host()
	ctx.WithLock(host, func() {
		ctx.Update(host, []types.PropertyChange{{Name: "config.network", Val: info}})
		host.Config.Vmotion = nil
	})
	h.network.Store(info)
	h.differs()
}

// completed fills in what follows from the rest: which groups and cards a
// switch has, and what policy results for a group.
func completed(info types.HostNetworkInfo) *types.HostNetworkInfo {
	info.Vswitch = slices.Clone(info.Vswitch)
	info.Portgroup = slices.Clone(info.Portgroup)
	slices.SortFunc(info.Portgroup, func(a, b types.HostPortGroup) int { return strings.Compare(a.Key, b.Key) })
	for i := range info.Vswitch {
		sw := &info.Vswitch[i]
		sw.Portgroup, sw.Pnic = nil, nil
		for _, g := range info.Portgroup {
			if g.Spec.VswitchName == sw.Name {
				sw.Portgroup = append(sw.Portgroup, g.Key)
			}
		}
		for _, device := range uplinksOf(sw.Spec) {
			sw.Pnic = append(sw.Pnic, "key-vim.host.PhysicalNic-"+device)
		}
		sw.Mtu = sw.Spec.Mtu
		if sw.Mtu == 0 {
			sw.Mtu = 1500
		}
	}
	for i := range info.Portgroup {
		g := &info.Portgroup[i]
		g.Vswitch = switchKey(g.Spec.VswitchName)
		if sw := findSwitch(&info, g.Spec.VswitchName); sw != nil {
			g.ComputedPolicy = computed(g.Spec.Policy, sw.Spec.Policy)
		}
		g.Port = nil
		for _, v := range info.Vnic {
			if v.Portgroup == g.Spec.Name {
				g.Port = append(g.Port, types.HostPortGroupPort{Mac: []string{v.Spec.Mac}, Type: "host"})
			}
		}
	}
	return &info
}

func groupKey(name string) string  { return "key-vim.host.PortGroup-" + name }
func switchKey(name string) string { return "key-vim.host.VirtualSwitch-" + name }

func findSwitch(info *types.HostNetworkInfo, name string) *types.HostVirtualSwitch {
	i := slices.IndexFunc(info.Vswitch, func(s types.HostVirtualSwitch) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &info.Vswitch[i]
}

func findGroup(info *types.HostNetworkInfo, name string) *types.HostPortGroup {
	i := slices.IndexFunc(info.Portgroup, func(g types.HostPortGroup) bool { return g.Spec.Name == name })
	if i < 0 {
		return nil
	}
	return &info.Portgroup[i]
}

// uplinksOf lists the cards of a switch.
func uplinksOf(spec types.HostVirtualSwitchSpec) []string {
	switch b := spec.Bridge.(type) {
	case *types.HostVirtualSwitchBondBridge:
		return b.NicDevice
	case *types.HostVirtualSwitchSimpleBridge:
		return []string{b.NicDevice}
	case *types.HostVirtualSwitchAutoBridge:
		return b.ExcludedNicDevice[:0]
	}
	return nil
}

func cardMAC(host string, card int) string {
	id := identity(host + fmt.Sprint(card))
	return fmt.Sprintf("00:50:56:%s:%s:%s", id[0:2], id[2:4], id[4:6])
}

func physicalNIC(host string, i int, u Uplink) types.PhysicalNic {
	nic := types.PhysicalNic{
		Key: "key-vim.host.PhysicalNic-" + u.Device, Device: u.Device, Pci: fmt.Sprintf("0000:%02x:00.0", i+11),
		Driver: "nvmxnet3", Mac: cardMAC(host, i), Spec: types.PhysicalNicSpec{Ip: &types.HostIpConfig{}},
	}
	if u.Up {
		nic.LinkSpeed = &types.PhysicalNicLinkInfo{SpeedMb: 10000, Duplex: true}
	}
	return nic
}

func virtualSwitch(name string, spec types.HostVirtualSwitchSpec) types.HostVirtualSwitch {
	return types.HostVirtualSwitch{Name: name, Key: switchKey(name), NumPorts: 1536, NumPortsAvailable: 1530, Spec: spec}
}

// hostChange is a change of the host's network that may be refused.
func (n *networkSystem) change(ctx *simulator.Context, f func(*types.HostNetworkInfo) types.BaseMethodFault) *soap.Fault {
	info := *n.host.network.Load()
	info.Vswitch = slices.Clone(info.Vswitch)
	info.Portgroup = slices.Clone(info.Portgroup)
	info.Pnic = slices.Clone(info.Pnic)
	info.Vnic = slices.Clone(info.Vnic)
	if fault := f(&info); fault != nil {
		return simulator.Fault("", fault)
	}
	next := completed(info)
	n.host.setNetwork(ctx, n.HostNetworkSystem, next)
	n.host.tellWiring(ctx)
	n.host.front.Cut(!n.host.manageable(next))
	return nil
}

// UpdateDnsConfig sets the host's name and the servers that it asks.
func (n *networkSystem) UpdateDnsConfig(ctx *simulator.Context, req *types.UpdateDnsConfig) soap.HasFault {
	body := new(methods.UpdateDnsConfigBody)
	config := *req.Config.GetHostDnsConfig()
	for _, a := range config.Address {
		if net.ParseIP(a) == nil && n.host.refuse.Refuse("dns-address") {
			body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "config.address"})
			return body
		}
	}
	body.Fault_ = n.change(ctx, func(info *types.HostNetworkInfo) types.BaseMethodFault {
		info.DnsConfig = &config
		return nil
	})
	if body.Fault_ == nil {
		n.host.rename(ctx, config)
		body.Res = new(types.UpdateDnsConfigResponse)
	}
	return body
}

func (h *Host) rename(ctx *simulator.Context, config types.HostDnsConfig) {
	name := config.HostName
	if config.DomainName != "" {
		name += "." + config.DomainName
	}
	host := h.host()
	ctx.WithLock(host, func() {
		if name != host.Name && config.HostName != "" {
			ctx.Update(host, []types.PropertyChange{{Name: "name", Val: name}, {Name: "summary.config.name", Val: name}})
		}
	})
}

// UpdateIpRouteConfig sets the default gateway.
func (n *networkSystem) UpdateIpRouteConfig(ctx *simulator.Context, req *types.UpdateIpRouteConfig) soap.HasFault {
	body := new(methods.UpdateIpRouteConfigBody)
	config := *req.Config.GetHostIpRouteConfig()
	body.Fault_ = n.change(ctx, func(info *types.HostNetworkInfo) types.BaseMethodFault {
		info.IpRouteConfig = &config
		return nil
	})
	if body.Fault_ == nil {
		body.Res = new(types.UpdateIpRouteConfigResponse)
	}
	return body
}

// RefreshNetworkSystem has nothing to refresh.
func (n *networkSystem) RefreshNetworkSystem(*types.RefreshNetworkSystem) soap.HasFault {
	return &methods.RefreshNetworkSystemBody{Res: new(types.RefreshNetworkSystemResponse)}
}

// UpdateNetworkConfig would take many changes at once. Saying so is better
// than the simulator's way, which says OK and does nothing.
func (n *networkSystem) UpdateNetworkConfig(*types.UpdateNetworkConfig) soap.HasFault {
	return &methods.UpdateNetworkConfigBody{Fault_: simulator.Fault("not simulated", new(types.NotSupported))}
}

// setUplink plugs a card in or out.
func (h *Host) setUplink(device string, up bool) error {
	ctx := h.front.NewContext()
	ns, _ := h.reg.Get(*h.host().ConfigManager.NetworkSystem).(*simulator.HostNetworkSystem)
	info := *h.network.Load()
	info.Pnic = slices.Clone(info.Pnic)
	i := slices.IndexFunc(info.Pnic, func(p types.PhysicalNic) bool { return p.Device == device })
	if i < 0 {
		return fmt.Errorf("%s has no card %s", h.Name, device)
	}
	info.Pnic[i] = physicalNIC(h.Name, i, Uplink{Device: device, Up: up})
	next := completed(info)
	h.setNetwork(ctx, ns, next)
	h.tellWiring(ctx)
	if h.manageable(next) {
		h.front.Cut(false)
	}
	return nil
}

// wire says what stands behind a VM's card.
func (h *Host) wire(nic room.NIC) room.NIC {
	info := h.network.Load()
	group := findGroup(info, nic.PortGroup)
	if group == nil {
		return nic
	}
	nic.VLAN = group.Spec.VlanId
	nic.Switch = group.Spec.VswitchName
	sw := findSwitch(info, nic.Switch)
	if sw == nil {
		return nic
	}
	for _, device := range uplinksOf(sw.Spec) {
		if slices.ContainsFunc(info.Pnic, func(p types.PhysicalNic) bool { return p.Device == device && p.LinkSpeed != nil }) {
			nic.UplinksUp++
		}
	}
	return nic
}
