package esx

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// dateTimeSystem is the manager of time, which the simulator does not have.
type dateTimeSystem struct {
	mo.HostDateTimeSystem
	host *Host
}

func (h *Host) newDateTimeSystem() *dateTimeSystem {
	d := &dateTimeSystem{host: h}
	d.Self = types.ManagedObjectReference{Type: "HostDateTimeSystem", Value: "dateTimeSystem"}
	d.DateTimeInfo = types.HostDateTimeInfo{
		TimeZone:            types.HostDateTimeSystemTimeZone{Key: "UTC", Name: "UTC", Description: "UTC", GmtOffset: 0},
		SystemClockProtocol: "ntp",
		NtpConfig:           &types.HostNtpConfig{ConfigFile: []string{"restrict default nomodify notrap nopeer noquery"}},
		Enabled:             types.NewBool(false),
	}
	return d
}

// UpdateDateTimeConfig sets the servers of time; a list that is given, if
// empty, replaces the one there was.
func (d *dateTimeSystem) UpdateDateTimeConfig(ctx *simulator.Context, req *types.UpdateDateTimeConfig) soap.HasFault {
	body := new(methods.UpdateDateTimeConfigBody)
	info := d.DateTimeInfo
	if zone := req.Config.TimeZone; zone != "" && zone != "UTC" {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "config.timeZone"})
		return body
	}
	if ntp := req.Config.NtpConfig; ntp != nil {
		config := *info.NtpConfig
		config.Server = slices.Clone(ntp.Server)
		if ntp.ConfigFile != nil {
			config.ConfigFile = slices.Clone(ntp.ConfigFile)
		}
		info.NtpConfig = &config
	}
	if req.Config.Enabled != nil {
		info.Enabled = req.Config.Enabled
	}
	if req.Config.Protocol != "" {
		info.SystemClockProtocol = req.Config.Protocol
	}
	ctx.Update(d, []types.PropertyChange{{Name: "dateTimeInfo", Val: info}})
	d.host.alsoInConfig(ctx, func(c *types.HostConfigInfo) { c.DateTimeInfo = &info })
	body.Res = new(types.UpdateDateTimeConfigResponse)
	return body
}

// QueryDateTime is the host's clock, which may go wrong.
func (d *dateTimeSystem) QueryDateTime(*types.QueryDateTime) soap.HasFault {
	d.host.mu.Lock()
	ahead := d.host.ahead
	d.host.mu.Unlock()
	return &methods.QueryDateTimeBody{Res: &types.QueryDateTimeResponse{Returnval: now().Add(ahead)}}
}

// RefreshDateTimeSystem has nothing to refresh.
func (d *dateTimeSystem) RefreshDateTimeSystem(*types.RefreshDateTimeSystem) soap.HasFault {
	return &methods.RefreshDateTimeSystemBody{Res: new(types.RefreshDateTimeSystemResponse)}
}
