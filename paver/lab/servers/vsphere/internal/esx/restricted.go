package esx

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// restricted refuses resource settings to anybody but the agent of the vCenter
// that the host names as its manager, which one that left while it was
// disconnected goes on doing.
func (h *Host) restricted(ctx *simulator.Context) types.BaseMethodFault {
	manager := h.host().Summary.ManagementServerIp
	if manager == "" || ctx.Session == nil || h.front.SessionUser(ctx.Session.Key) == AgentUser || !h.refuse.Refuse("managed-resources") {
		return nil
	}
	return &types.HostAccessRestrictedToManagementServer{ManagementServer: manager}
}

// CreateResourcePool is vCenter's alone on a host that it has.
func (p *pool) CreateResourcePool(ctx *simulator.Context, req *types.CreateResourcePool) soap.HasFault {
	if fault := p.host.restricted(ctx); fault != nil {
		return &methods.CreateResourcePoolBody{Fault_: simulator.Fault("", fault)}
	}
	return p.ResourcePool.CreateResourcePool(ctx, req)
}
