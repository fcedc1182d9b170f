package esx

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/store"
)

// inventory is all that can be changed about a host, in one fixed order and
// without anything that changes by itself: "the end equals the start".
func (h *Host) inventory() map[string]any {
	ctx := h.front.NewContext()
	info := h.network.Load()
	switches := map[string]any{}
	for _, s := range info.Vswitch {
		switches[s.Name] = map[string]any{
			"uplinks": notNil(uplinksOf(s.Spec)), "mtu": s.Mtu, "policy": policyOf(s.Spec.Policy), "bridge": bridgeOf(s.Spec.Bridge),
		}
	}
	groups := map[string]any{}
	for _, g := range info.Portgroup {
		policy := g.Spec.Policy
		groups[g.Spec.Name] = map[string]any{"switch": g.Spec.VswitchName, "vlan": g.Spec.VlanId, "policy": policyOf(&policy)}
	}
	dns := info.DnsConfig.GetHostDnsConfig()
	uplinks := map[string]bool{}
	for _, p := range info.Pnic {
		uplinks[p.Device] = p.LinkSpeed != nil
	}
	h.mu.Lock()
	users := sortedKeys(h.users)
	licence := h.licence.id
	h.mu.Unlock()

	out := map[string]any{
		"kind":             "esx",
		"name":             h.host().Name,
		"switches":         switches,
		"port_groups":      groups,
		"uplinks":          uplinks,
		"dns":              map[string]any{"hostname": dns.HostName, "domain": dns.DomainName, "servers": notNil(dns.Address), "search": notNil(dns.SearchDomain)},
		"gateway":          info.IpRouteConfig.GetHostIpRouteConfig().DefaultGateway,
		"networks":         h.networkNames(ctx),
		"licence":          licence,
		"certificate":      h.certificateDigest(),
		"users":            users,
		"virtual_machines": h.machinesOf(ctx),
		"datastores":       h.datastoresOf(),
	}
	maps.Copy(out, h.managersOf(ctx))
	return out
}

func (h *Host) certificateDigest() string {
	return sha256Hex(h.front.Certificate.Leaf())
}

// notNil keeps an empty list a list in JSON.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func policyOf(p *types.HostNetworkPolicy) map[string]any {
	out := map[string]any{}
	if p == nil {
		return out
	}
	put := func(name string, v *bool) {
		if v != nil {
			out[name] = *v
		}
	}
	if s := p.Security; s != nil {
		put("promiscuous", s.AllowPromiscuous)
		put("mac_changes", s.MacChanges)
		put("forged_transmits", s.ForgedTransmits)
	}
	if t := p.NicTeaming; t != nil && t.NicOrder != nil {
		out["active"], out["standby"] = notNil(t.NicOrder.ActiveNic), notNil(t.NicOrder.StandbyNic)
	}
	return out
}

// bridgeOf is what a switch's bridge does beside carrying its cards.
func bridgeOf(b types.BaseHostVirtualSwitchBridge) map[string]any {
	out := map[string]any{}
	bond, ok := b.(*types.HostVirtualSwitchBondBridge)
	if !ok {
		return out
	}
	if bond.Beacon != nil {
		out["beacon"] = bond.Beacon.Interval
	}
	if d := bond.LinkDiscoveryProtocolConfig; d != nil {
		out["discovery"] = d.Operation + " " + d.Protocol
	}
	return out
}

func (h *Host) networkNames(ctx *simulator.Context) []string {
	return sortedNames(ctx.Map.All("Network"), func(e mo.Entity) string { return e.Entity().Name })
}

// managersOf is the state of time, services, firewall and autostart.
func (h *Host) managersOf(ctx *simulator.Context) map[string]any {
	host := h.host()
	out := map[string]any{}
	if d, ok := ctx.Map.Get(*host.ConfigManager.DateTimeSystem).(*dateTimeSystem); ok {
		ctx.WithLock(d, func() {
			out["ntp"] = map[string]any{
				"servers": notNil(d.DateTimeInfo.NtpConfig.Server), "enabled": d.DateTimeInfo.Enabled != nil && *d.DateTimeInfo.Enabled,
				"protocol": d.DateTimeInfo.SystemClockProtocol,
			}
		})
	}
	if s, ok := ctx.Map.Get(*host.ConfigManager.ServiceSystem).(*serviceSystem); ok {
		services := map[string]any{}
		ctx.WithLock(s, func() {
			for _, v := range s.ServiceInfo.Service {
				services[v.Key] = map[string]any{"running": v.Running, "policy": v.Policy}
			}
		})
		out["services"] = services
	}
	if f, ok := ctx.Map.Get(*host.ConfigManager.FirewallSystem).(*simulator.HostFirewallSystem); ok {
		rules := map[string]any{}
		ctx.WithLock(f, func() {
			for _, r := range f.FirewallInfo.Ruleset {
				allowed := []string{"all"}
				if r.AllowedHosts != nil && !r.AllowedHosts.AllIp {
					allowed = allowedOf(r.AllowedHosts)
				}
				rules[r.Key] = map[string]any{"enabled": r.Enabled, "allowed": allowed}
			}
		})
		out["firewall"] = rules
	}
	if a, ok := ctx.Map.Get(*host.ConfigManager.AutoStartManager).(*autoStart); ok {
		ctx.WithLock(a, func() {
			entries := []map[string]any{}
			for _, p := range a.Config.PowerInfo {
				entries = append(entries, map[string]any{"vm": p.Key.Value, "order": p.StartOrder, "delay": p.StartDelay, "action": p.StartAction})
			}
			out["autostart"] = map[string]any{"enabled": a.Config.Defaults.Enabled != nil && *a.Config.Defaults.Enabled, "machines": entries}
		})
	}
	return out
}

func allowedOf(l *types.HostFirewallRulesetIpList) []string {
	out := slices.Clone(notNil(l.IpAddress))
	for _, n := range l.IpNetwork {
		out = append(out, fmt.Sprintf("%s/%d", n.Network, n.PrefixLength))
	}
	slices.Sort(out)
	return out
}

// machinesOf lists the machines by name. Ids, UUIDs and addresses that are
// drawn anew each time would be volatile, and stay out.
func (h *Host) machinesOf(ctx *simulator.Context) map[string]any {
	out := map[string]any{}
	for _, e := range ctx.Map.All("VirtualMachine") {
		machine, ok := e.(*simulator.VirtualMachine)
		if !ok {
			continue
		}
		ctx.WithLock(machine, func() {
			if machine.Config == nil {
				return
			}
			nics := []map[string]any{}
			for _, n := range nicsOf(machine) {
				nics = append(nics, map[string]any{"port_group": n.PortGroup, "connected": n.Connected})
			}
			disks := []map[string]any{}
			for _, d := range h.disksOf(machine) {
				disks = append(disks, map[string]any{"path": d.Path, "capacity": d.Capacity})
			}
			out[machine.Name] = map[string]any{
				"power": machine.Runtime.PowerState, "cpus": machine.Config.Hardware.NumCPU, "memory_mb": machine.Config.Hardware.MemoryMB,
				"extra_config": extraConfigOf(machine), "nics": nics, "disks": disks, "annotation": machine.Config.Annotation,
				"template": machine.Config.Template,
			}
		})
	}
	return out
}

// datastoresOf lists the files of each datastore with their digests; a log
// grows by itself and is named only.
func (h *Host) datastoresOf() map[string]any {
	out := map[string]any{}
	for _, d := range h.datastores() {
		files := map[string]any{}
		store.EachFile(d.Path, func(path string, _ fs.FileInfo) {
			if len(path) > 4 && path[len(path)-4:] == ".log" {
				files[path] = map[string]any{}
				return
			}
			size, sum := h.digests.of(d.Path + "/" + path)
			files[path] = map[string]any{"bytes": size, "sha256": sum}
		})
		out[d.Name] = map[string]any{"capacity": d.CapacityBytes, "files": files}
	}
	return out
}
