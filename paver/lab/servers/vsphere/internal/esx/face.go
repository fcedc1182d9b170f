package esx

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/front"
)

// face decides what answers a call. The simulator's own code asserts the
// types of what is in the registry, so its objects stay there, and for the
// duration of a call an object of ours that embeds one stands before it.
func (h *Host) face(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil {
		return nil, h.checkLogin(m)
	}
	if fault := h.refuseByLicence(m.Name); fault != nil {
		return nil, fault
	}
	if fault := h.refuseOnBareHost(ctx, m); fault != nil {
		return nil, fault
	}
	obj := h.cover(ctx.Map.Get(m.This))
	if obj == nil {
		return nil, nil
	}
	// The simulator prefers the session's own view of an object to the
	// handler's answer; under a name that no session knows it keeps ours.
	m.This.Value = "lab:" + m.This.Value
	return obj, nil
}

// cover puts our object before the simulator's, nil where its own will do.
func (h *Host) cover(obj mo.Reference) mo.Reference {
	switch o := obj.(type) {
	case *simulator.HostSystem:
		return &hostSystem{HostSystem: o, host: h}
	case *simulator.HostNetworkSystem:
		return &networkSystem{HostNetworkSystem: o, host: h}
	case *simulator.HostFirewallSystem:
		return &firewallSystem{HostFirewallSystem: o, host: h}
	case *simulator.HostDatastoreSystem:
		return &datastoreSystem{HostDatastoreSystem: o, host: h}
	case *simulator.Datastore:
		return &datastore{Datastore: o, host: h}
	case *simulator.HostDatastoreBrowser:
		return &browser{HostDatastoreBrowser: o}
	case *simulator.HostLocalAccountManager:
		return &accounts{HostLocalAccountManager: o, host: h}
	case *simulator.LicenseManager:
		return &licenceManager{LicenseManager: o, host: h}
	case *simulator.OvfManager:
		return &ovfManager{OvfManager: o, host: h}
	case *simulator.ResourcePool:
		return &pool{ResourcePool: o, host: h}
	case *simulator.Folder:
		return &folder{Folder: o, host: h}
	case *simulator.VirtualMachine:
		return &vm{VirtualMachine: o, host: h}
	case *simulator.GuestFileManager:
		return &guestFiles{GuestFileManager: o, host: h}
	case *simulator.FileManager:
		return &fileManager{FileManager: o, host: h}
	case *simulator.VirtualDiskManager:
		return &diskManager{VirtualDiskManager: o, host: h}
	}
	return nil
}

// refuseByLicence: the free licence makes the API read-only; a licence can
// still be put on.
func (h *Host) refuseByLicence(method string) types.BaseMethodFault {
	h.mu.Lock()
	readOnly := h.licence.readOnly
	h.mu.Unlock()
	if !readOnly || front.Reading(method) || method == "UpdateLicense" || !h.refuse.Refuse("licence-free") {
		return nil
	}
	return &types.RestrictedVersion{}
}
