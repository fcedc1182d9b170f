package esx

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// hostSystem answers for HostSystem.
type hostSystem struct {
	*simulator.HostSystem
	host *Host
}

// EnterMaintenanceModeTask needs a host on which nothing runs: there is
// nothing here that would move machines away. The real one waits for it.
func (s *hostSystem) EnterMaintenanceModeTask(ctx *simulator.Context, req *types.EnterMaintenanceMode_Task) soap.HasFault {
	if s.host.running(ctx) && s.host.refuse.Refuse("maintenance-running") {
		task := simulator.CreateTask(s.HostSystem, "enterMaintenanceMode", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
			return nil, new(types.Timedout)
		})
		return &methods.EnterMaintenanceMode_TaskBody{Res: &types.EnterMaintenanceMode_TaskResponse{Returnval: task.Run(ctx)}}
	}
	return s.HostSystem.EnterMaintenanceModeTask(ctx, req)
}

// running reports whether the host has a machine that is on.
func (h *Host) running(ctx *simulator.Context) bool {
	for _, e := range h.reg.All("VirtualMachine") {
		machine, ok := e.(*simulator.VirtualMachine)
		if !ok {
			continue
		}
		on := false
		ctx.WithLock(machine, func() { on = machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn })
		if on {
			return true
		}
	}
	return false
}
