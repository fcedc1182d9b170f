package vcenter

import (
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/front"
)

// face decides what answers a call; see the same function of a host.
func (v *VCenter) face(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil {
		return nil, v.checkLogin(ctx, m)
	}
	if fault := v.permit(ctx, m); fault != nil {
		return nil, fault
	}
	obj, fault := v.cover(m)
	if fault != nil || obj == nil {
		return nil, fault
	}
	m.This.Value = "lab:" + m.This.Value
	return obj, nil
}

// checkLogin refuses forged tokens, and accounts that have no permission
// anywhere: those can't log in to a real vCenter either.
func (v *VCenter) checkLogin(ctx *simulator.Context, m *simulator.Method) types.BaseMethodFault {
	switch req := m.Body.(type) {
	case *types.Login:
		if v.sso.right(req.UserName, req.Password) && !v.authz.known(req.UserName) && v.refuse.Refuse("login-permission") {
			return &types.NoPermission{Object: &m.This, PrivilegeId: "System.View"}
		}
	case *types.LoginByToken:
		if v.sso.bearer(ctx) == "" && v.refuse.Refuse("login-token") {
			return new(types.InvalidLogin)
		}
	case *types.LoginExtensionByCertificate, *types.CloneSession:
		return new(types.InvalidLogin)
	}
	return nil
}

// cover puts our object before the simulator's. What shows a host's things
// must never change by itself: writes that nobody carries there are refused.
func (v *VCenter) cover(m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	refused := func(known []string) types.BaseMethodFault {
		if front.Reading(m.Name) || slices.Contains(known, m.Name) {
			return nil
		}
		return new(types.NotSupported)
	}
	switch o := v.reg.Get(m.This).(type) {
	case *simulator.Folder:
		return &folder{Folder: o, v: v}, nil
	case *simulator.Datacenter:
		return &datacenter{Datacenter: o, v: v}, nil
	case *simulator.ClusterComputeResource:
		return &cluster{ClusterComputeResource: o, v: v}, nil
	case *mo.ComputeResource:
		return &standalone{ComputeResource: o, v: v}, nil
	case *simulator.ResourcePool:
		return &pool{ResourcePool: o, v: v}, nil
	case *simulator.HostSystem:
		return &host{HostSystem: o, v: v}, refused(hostMethods)
	case *simulator.VirtualMachine:
		l := v.linkOfVM(o.Self)
		if l == nil {
			return nil, &types.ManagedObjectNotFound{Obj: o.Self}
		}
		if v.agents.on(l, o.Name) {
			return &machine{VirtualMachine: o, v: v, l: l}, refused(nil)
		}
		return &machine{VirtualMachine: o, v: v, l: l}, refused(machineMethods)
	case *simulator.Datastore:
		return &datastore{Datastore: o, v: v}, refused([]string{"Rename_Task", "Destroy_Task", "SetCustomValue"})
	case *simulator.HostDatastoreBrowser:
		return &browser{HostDatastoreBrowser: o, v: v}, nil
	case *simulator.FileManager:
		return &fileManager{FileManager: o, v: v}, nil
	case *simulator.VirtualDiskManager:
		return &diskManager{VirtualDiskManager: o, v: v}, nil
	case *simulator.OvfManager:
		return &ovfManager{OvfManager: o, v: v}, nil
	case *simulator.GuestFileManager:
		return &guestFiles{GuestFileManager: o, v: v}, refused([]string{"InitiateFileTransferToGuest"})
	case *simulator.CustomFieldsManager:
		// The simulator would end with its lock held.
		if req, ok := m.Body.(*types.SetField); ok {
			if _, entity := v.reg.Get(req.Entity).(mo.Entity); !entity {
				return nil, &types.ManagedObjectNotFound{Obj: req.Entity}
			}
		}
		return &attributes{CustomFieldsManager: o}, nil
	case *simulator.OptionManager:
		return &options{OptionManager: o, v: v}, nil
	case *simulator.LicenseManager:
		return &licenceManager{LicenseManager: o, v: v}, nil
	case *simulator.LicenseAssignmentManager:
		return &assignments{LicenseAssignmentManager: o, v: v}, nil
	case *simulator.AuthorizationManager:
		return &authorization{AuthorizationManager: o, a: v.authz}, nil
	}
	if strings.HasPrefix(m.This.Type, "Guest") && !front.Reading(m.Name) {
		return nil, new(types.OperationNotSupportedByGuest)
	}
	return nil, nil
}
