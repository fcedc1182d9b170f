package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// EnterLockdownMode keeps everybody but this vCenter out of the host, who is no
// exception user.
func (h *host) EnterLockdownMode(*simulator.Context, *types.EnterLockdownMode) soap.HasFault {
	body := new(methods.EnterLockdownModeBody)
	if fault := h.lockdown(types.HostLockdownModeLockdownNormal); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	body.Res = new(types.EnterLockdownModeResponse)
	return body
}

// ExitLockdownMode lets the host's own accounts in again.
func (h *host) ExitLockdownMode(*simulator.Context, *types.ExitLockdownMode) soap.HasFault {
	body := new(methods.ExitLockdownModeBody)
	if fault := h.lockdown(types.HostLockdownModeLockdownDisabled); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	body.Res = new(types.ExitLockdownModeResponse)
	return body
}

func (h *host) lockdown(mode types.HostLockdownMode) types.BaseMethodFault {
	l := h.v.linkOf(h.Self)
	if l == nil || !l.isConnected() {
		return &types.HostNotConnected{}
	}
	if h.v.hosts.Call("/lockdown", map[string]any{"server": l.server, "mode": mode}, nil) != nil {
		return &types.HostCommunication{}
	}
	return nil
}
