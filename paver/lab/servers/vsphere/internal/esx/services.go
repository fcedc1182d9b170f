package esx

import (
	"slices"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func now() time.Time { return time.Now().UTC() }

// serviceSystem is the manager of the host's services, which the simulator
// does not have.
type serviceSystem struct {
	mo.HostServiceSystem
	host *Host
}

func service(key, label string, running bool, policy types.HostServicePolicy, rulesets ...string) types.HostService {
	return types.HostService{
		Key: key, Label: label, Running: running, Policy: string(policy), Ruleset: rulesets,
		SourcePackage: &types.HostServiceSourcePackage{SourcePackageName: "esx-base", Description: "This VIB contains all of the base functionality of vSphere ESXi."},
	}
}

func (h *Host) newServiceSystem() *serviceSystem {
	const on, off, automatic = types.HostServicePolicyOn, types.HostServicePolicyOff, types.HostServicePolicyAutomatic
	s := &serviceSystem{host: h}
	s.Self = types.ManagedObjectReference{Type: "HostServiceSystem", Value: "serviceSystem"}
	s.ServiceInfo.Service = []types.HostService{
		service("DCUI", "Direct Console UI", true, on),
		service("TSM", "ESXi Shell", false, off),
		service("TSM-SSH", "SSH", false, off, "sshServer"),
		service("ntpd", "NTP Daemon", false, off, "ntpClient"),
		service("ptpd", "PTP Daemon", false, off),
		service("lbtd", "Load-Based Teaming Daemon", true, on),
		service("lwsmd", "Active Directory Service", false, off, "activeDirectoryAll"),
		service("pcscd", "PC/SC Smart Card Daemon", false, off),
		service("sfcbd-watchdog", "CIM Server", false, on, "CIMHttpServer", "CIMHttpsServer"),
		service("slpd", "slpd", false, off, "CIMSLP"),
		service("snmpd", "SNMP Server", false, on, "snmp"),
		service("vmsyslogd", "Syslog Server", true, automatic),
		service("vpxa", "VMware vCenter Agent", false, off, "vpxHeartbeats"),
		service("xorg", "X.Org Server", false, on),
	}
	return s
}

func (h *Host) furnishServices() {
	host := h.host()
	dt := h.newDateTimeSystem()
	ss := h.newServiceSystem()
	as := h.newAutoStart()
	for _, obj := range []mo.Reference{dt, ss, as} {
		h.reg.Put(obj)
	}
	host.ConfigManager.DateTimeSystem = &dt.Self
	host.ConfigManager.ServiceSystem = &ss.Self
	host.ConfigManager.AutoStartManager = &as.Self
	host.Config.DateTimeInfo = &dt.DateTimeInfo
	host.Config.Service = &ss.ServiceInfo
	host.Config.AutoStart = &as.Config
}

// alsoInConfig keeps the copy of a manager's state in the host's config.
func (h *Host) alsoInConfig(ctx *simulator.Context, f func(*types.HostConfigInfo)) {
	host := h.host()
	ctx.WithLock(host, func() {
		config := *host.Config
		f(&config)
		host.Config = &config
	})
	h.differs()
}

// change alters one service; nil when there is none of that key.
func (s *serviceSystem) change(ctx *simulator.Context, key string, f func(*types.HostService)) *soap.Fault {
	info := types.HostServiceInfo{Service: slices.Clone(s.ServiceInfo.Service)}
	i := slices.IndexFunc(info.Service, func(v types.HostService) bool { return v.Key == key })
	if i < 0 {
		return simulator.Fault("", new(types.NotFound))
	}
	f(&info.Service[i])
	ctx.Update(s, []types.PropertyChange{{Name: "serviceInfo", Val: info}})
	s.host.alsoInConfig(ctx, func(c *types.HostConfigInfo) { c.Service = &info })
	return nil
}

func (s *serviceSystem) running(key string) bool {
	return slices.ContainsFunc(s.ServiceInfo.Service, func(v types.HostService) bool { return v.Key == key && v.Running })
}

// StartService starts a service.
func (s *serviceSystem) StartService(ctx *simulator.Context, req *types.StartService) soap.HasFault {
	body := new(methods.StartServiceBody)
	body.Fault_ = s.change(ctx, req.Id, func(v *types.HostService) { v.Running = true })
	if body.Fault_ == nil {
		body.Res = new(types.StartServiceResponse)
	}
	return body
}

// StopService stops a service.
func (s *serviceSystem) StopService(ctx *simulator.Context, req *types.StopService) soap.HasFault {
	body := new(methods.StopServiceBody)
	body.Fault_ = s.change(ctx, req.Id, func(v *types.HostService) { v.Running = false })
	if body.Fault_ == nil {
		body.Res = new(types.StopServiceResponse)
	}
	return body
}

// RestartService restarts a service; one that does not run can't be restarted.
func (s *serviceSystem) RestartService(ctx *simulator.Context, req *types.RestartService) soap.HasFault {
	body := new(methods.RestartServiceBody)
	if known := slices.ContainsFunc(s.ServiceInfo.Service, func(v types.HostService) bool { return v.Key == req.Id }); known &&
		!s.running(req.Id) && s.host.refuse.Refuse("restart-stopped") {
		body.Fault_ = simulator.Fault("", new(types.InvalidState))
		return body
	}
	body.Fault_ = s.change(ctx, req.Id, func(v *types.HostService) { v.Running = true })
	if body.Fault_ == nil {
		body.Res = new(types.RestartServiceResponse)
	}
	return body
}

// UpdateServicePolicy says when a service is started.
func (s *serviceSystem) UpdateServicePolicy(ctx *simulator.Context, req *types.UpdateServicePolicy) soap.HasFault {
	body := new(methods.UpdateServicePolicyBody)
	if !slices.Contains(types.HostServicePolicy("").Strings(), req.Policy) && s.host.refuse.Refuse("service-policy") {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "policy"})
		return body
	}
	body.Fault_ = s.change(ctx, req.Id, func(v *types.HostService) { v.Policy = req.Policy })
	if body.Fault_ == nil {
		body.Res = new(types.UpdateServicePolicyResponse)
	}
	return body
}

// RefreshServices has nothing to refresh.
func (s *serviceSystem) RefreshServices(*types.RefreshServices) soap.HasFault {
	return &methods.RefreshServicesBody{Res: new(types.RefreshServicesResponse)}
}
