package vcenter

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
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
	v *VCenter
}

// CreateImportSpec turns an OVF descriptor into what ImportVApp takes.
func (m *ovfManager) CreateImportSpec(ctx *simulator.Context, req *types.CreateImportSpec) soap.HasFault {
	body := new(methods.CreateImportSpecBody)
	ds, ok := m.v.reg.Get(req.Datastore).(*simulator.Datastore)
	dc := m.v.datacenterOf(req.ResourcePool)
	if !ok || dc == nil {
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.Datastore})
		return body
	}
	var networks []types.ManagedObjectReference
	ctx.WithLock(dc, func() { networks = dc.Network })
	options := types.OvfCreateImportSpecParams{}
	if req.Cisp != nil {
		options = *req.Cisp.GetOvfCreateImportSpecParams()
	}
	result, fault := ovfspec.Build(ovfspec.Params{
		Descriptor: req.OvfDescriptor, Options: options, Pool: req.ResourcePool, Datastore: ds.Name,
		Properties: true, Refuse: m.v.refuse, Newest: ovfspec.NewestHardware(m.v.config.Version),
		Backing: func(ref types.ManagedObjectReference) types.BaseVirtualDeviceBackingInfo {
			if ref.Value == "" && len(networks) > 0 {
				ref = networks[0]
			}
			network, ok := m.v.reg.Get(ref).(*mo.Network)
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

// lease is an import that a host carries out: its URLs name the host.
type lease struct {
	mo.HttpNfcLease
	v      *VCenter
	l      *link
	theirs types.ManagedObjectReference
}

// ImportVApp begins an import on one of the pool's hosts.
func (p *pool) ImportVApp(ctx *simulator.Context, req *types.ImportVApp) soap.HasFault {
	body := new(methods.ImportVAppBody)
	spec, ok := req.Spec.(*types.VirtualMachineImportSpec)
	if !ok || spec.ConfigSpec.Files == nil {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "spec"})
		return body
	}
	dc := p.v.datacenterOf(p.Self)
	target := dc.VmFolder
	if req.Folder != nil {
		target = *req.Folder
	}
	if f, ok := p.v.reg.Get(target).(*simulator.Folder); !ok || !slices.Contains(f.ChildType, "VirtualMachine") {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "folder"})
		return body
	}
	le := &lease{v: p.v}
	le.Self = types.ManagedObjectReference{Type: "HttpNfcLease", Value: "session[" + uuid.NewString() + "]"}
	le.State = types.HttpNfcLeaseStateInitializing
	le.Mode = "pushOrGet"
	p.v.reg.Put(le)
	spec.ConfigSpec.VAppConfig = nil
	p.v.task(ctx, p.Self, "importVApp", func() (types.AnyType, types.BaseMethodFault) {
		fault := le.begin(target, p.Self, spec, req.Host)
		if fault != nil {
			le.set(types.PropertyChange{Name: "error", Val: &types.LocalizedMethodFault{Fault: fault, LocalizedMessage: "The machine could not be made."}},
				types.PropertyChange{Name: "state", Val: types.HttpNfcLeaseStateError})
		}
		return nil, fault
	})
	body.Res = &types.ImportVAppResponse{Returnval: le.Self}
	return body
}

func (le *lease) set(changes ...types.PropertyChange) {
	ctx := le.v.front.NewContext()
	ctx.WithLock(le, func() { ctx.Update(le, changes) })
}

// begin has the host make the machine, and passes on where its disks go.
func (le *lease) begin(folder, poolRef types.ManagedObjectReference, spec *types.VirtualMachineImportSpec, host *types.ManagedObjectReference) types.BaseMethodFault {
	v := le.v
	if fault := v.checkName(folder, spec.ConfigSpec.Name); fault != nil {
		return fault
	}
	var p object.DatastorePath
	if !p.FromString(spec.ConfigSpec.Files.VmPathName) {
		return &types.InvalidDatastorePath{DatastorePath: spec.ConfigSpec.Files.VmPathName}
	}
	l, fault := v.home(poolRef, host, p.Datastore)
	if fault != nil {
		return fault
	}
	root, fault := v.rootPool(l)
	if fault != nil {
		return fault
	}
	spec.ResPoolEntity = nil
	res, fault := relay(v, l, methods.ImportVApp, &types.ImportVApp{This: root, Spec: spec})
	if fault != nil {
		return fault
	}
	le.l, le.theirs = l, res.Returnval
	for {
		remote, fault := le.look()
		if fault != nil {
			return fault
		}
		switch remote.State {
		case types.HttpNfcLeaseStateError:
			return remote.Error.Fault
		case types.HttpNfcLeaseStateReady:
			return le.ready(remote, folder, poolRef)
		}
		time.Sleep(5 * time.Millisecond) // the host is making the machine
	}
}

// look reads the host's lease.
func (le *lease) look() (*mo.HttpNfcLease, types.BaseMethodFault) {
	c, fault := le.v.open(le.l)
	if fault != nil {
		return nil, fault
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	remote := &mo.HttpNfcLease{}
	if err := property.DefaultCollector(c).RetrieveOne(ctx, le.theirs, nil, remote); err != nil {
		return nil, faultOf(err)
	}
	return remote, nil
}

func (le *lease) ready(remote *mo.HttpNfcLease, folder, poolRef types.ManagedObjectReference) types.BaseMethodFault {
	info := *remote.Info
	ours, fault := le.v.settle(le.l, info.Entity, folder, poolRef)
	if fault != nil {
		return fault
	}
	info.Lease, info.Entity = le.Self, ours
	for i := range info.DeviceUrl {
		info.DeviceUrl[i].Url = le.l.named(info.DeviceUrl[i].Url)
	}
	le.v.mu.Lock()
	le.v.leases[le.Self.Value] = le
	le.v.mu.Unlock()
	le.set(types.PropertyChange{Name: "info", Val: &info}, types.PropertyChange{Name: "initializeProgress", Val: int32(100)},
		types.PropertyChange{Name: "state", Val: types.HttpNfcLeaseStateReady})
	return nil
}

// named puts the host's name where the host itself says "*".
func (l *link) named(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	u.Host = l.name
	if l.port != 443 {
		u.Host = net.JoinHostPort(l.name, strconv.Itoa(l.port))
	}
	return u.String()
}

// mirrorLeases shows what has become of the imports on a host.
func (v *VCenter) mirrorLeases(_ *simulator.Context, l *link) {
	v.mu.Lock()
	var mine []*lease
	for _, le := range v.leases {
		if le.l == l {
			mine = append(mine, le)
		}
	}
	v.mu.Unlock()
	for _, le := range mine {
		remote, fault := le.look()
		if fault != nil {
			continue
		}
		changes := []types.PropertyChange{{Name: "transferProgress", Val: remote.TransferProgress}}
		if remote.Error != nil {
			changes = append(changes, types.PropertyChange{Name: "error", Val: remote.Error})
		}
		le.set(append(changes, types.PropertyChange{Name: "state", Val: remote.State})...)
		if remote.State == types.HttpNfcLeaseStateDone || remote.State == types.HttpNfcLeaseStateError {
			v.mu.Lock()
			delete(v.leases, le.Self.Value)
			v.mu.Unlock()
		}
	}
}

// early is the fault for a call before the host has made the machine.
func (le *lease) early() *soap.Fault {
	if le.State == types.HttpNfcLeaseStateInitializing || le.l == nil {
		return simulator.Fault("", new(types.InvalidState))
	}
	return nil
}

func (le *lease) HttpNfcLeaseComplete(req *types.HttpNfcLeaseComplete) soap.HasFault {
	body := new(methods.HttpNfcLeaseCompleteBody)
	if body.Fault_ = le.early(); body.Fault_ != nil {
		return body
	}
	req.This = le.theirs
	res, fault := relay(le.v, le.l, methods.HttpNfcLeaseComplete, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (le *lease) HttpNfcLeaseAbort(req *types.HttpNfcLeaseAbort) soap.HasFault {
	body := new(methods.HttpNfcLeaseAbortBody)
	if body.Fault_ = le.early(); body.Fault_ != nil {
		return body
	}
	req.This = le.theirs
	res, fault := relay(le.v, le.l, methods.HttpNfcLeaseAbort, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (le *lease) HttpNfcLeaseProgress(req *types.HttpNfcLeaseProgress) soap.HasFault {
	body := new(methods.HttpNfcLeaseProgressBody)
	if body.Fault_ = le.early(); body.Fault_ != nil {
		return body
	}
	req.This = le.theirs
	res, fault := relay(le.v, le.l, methods.HttpNfcLeaseProgress, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (le *lease) HttpNfcLeaseGetManifest(req *types.HttpNfcLeaseGetManifest) soap.HasFault {
	body := new(methods.HttpNfcLeaseGetManifestBody)
	if body.Fault_ = le.early(); body.Fault_ != nil {
		return body
	}
	req.This = le.theirs
	res, fault := relay(le.v, le.l, methods.HttpNfcLeaseGetManifest, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (le *lease) HttpNfcLeaseSetManifestChecksumType(req *types.HttpNfcLeaseSetManifestChecksumType) soap.HasFault {
	body := new(methods.HttpNfcLeaseSetManifestChecksumTypeBody)
	if body.Fault_ = le.early(); body.Fault_ != nil {
		return body
	}
	req.This = le.theirs
	res, fault := relay(le.v, le.l, methods.HttpNfcLeaseSetManifestChecksumType, req)
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}
