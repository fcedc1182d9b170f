package esx

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/ovfspec"
)

// ovfManager answers for OvfManager.
type ovfManager struct {
	*simulator.OvfManager
	host *Host
}

// CreateImportSpec turns an OVF descriptor into what ImportVApp takes.
func (m *ovfManager) CreateImportSpec(ctx *simulator.Context, req *types.CreateImportSpec) soap.HasFault {
	body := new(methods.CreateImportSpecBody)
	ds, ok := ctx.Map.Get(req.Datastore).(*simulator.Datastore)
	if !ok {
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.Datastore})
		return body
	}
	options := types.OvfCreateImportSpecParams{}
	if req.Cisp != nil {
		options = *req.Cisp.GetOvfCreateImportSpecParams()
	}
	result, fault := ovfspec.Build(ovfspec.Params{
		Descriptor: req.OvfDescriptor, Options: options, Pool: req.ResourcePool, Datastore: ds.Summary.Name,
		Refuse: m.host.refuse, Newest: ovfspec.NewestHardware(m.host.config.Version),
		Backing: func(ref types.ManagedObjectReference) types.BaseVirtualDeviceBackingInfo {
			if dc := m.host.datacenter(); ref.Value == "" && len(dc.Network) > 0 {
				ref = dc.Network[0]
			}
			network, ok := ctx.Map.Get(ref).(*mo.Network)
			if !ok {
				return nil
			}
			return &types.VirtualEthernetCardNetworkBackingInfo{
				VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: network.Name},
			}
		},
	})
	if fault != nil {
		body.Fault_ = simulator.Fault("The OVF descriptor can't be read.", fault)
		return body
	}
	body.Res = &types.CreateImportSpecResponse{Returnval: *result}
	return body
}
