package vcenter

import (
	"context"
	"net/http"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/store"
)

// fileManager answers for FileManager; a host that has the datastore does it.
type fileManager struct {
	*simulator.FileManager
	v *VCenter
}

// keeper finds the host for datastore paths; they must be of one host.
func (v *VCenter) keeper(dc *types.ManagedObjectReference, paths ...string) (*link, types.BaseMethodFault) {
	if dc == nil {
		return nil, &types.InvalidArgument{InvalidProperty: "datacenter"}
	}
	if _, ok := v.reg.Get(*dc).(*simulator.Datacenter); !ok {
		return nil, &types.ManagedObjectNotFound{Obj: *dc}
	}
	var found *link
	for _, s := range paths {
		var p object.DatastorePath
		if !p.FromString(s) {
			return nil, &types.InvalidDatastorePath{DatastorePath: s}
		}
		l := v.linkOfStore(p.Datastore, nil)
		switch {
		case l == nil:
			return nil, &types.InvalidDatastore{Name: p.Datastore}
		case found != nil && found != l:
			return nil, new(types.NotSupported)
		}
		found = l
	}
	return found, nil
}

// theirManagers are a host's own file and disk managers.
var (
	hostFiles = types.ManagedObjectReference{Type: "FileManager", Value: "ha-nfc-file-manager"}
	hostDisks = types.ManagedObjectReference{Type: "VirtualDiskManager", Value: "ha-vdiskmanager"}
)

// ask finds the managers of a host, which are named in its content.
func (v *VCenter) hostManagers(l *link) (files, disks types.ManagedObjectReference) {
	c, fault := v.open(l)
	if fault != nil || c.ServiceContent.FileManager == nil || c.ServiceContent.VirtualDiskManager == nil {
		return hostFiles, hostDisks
	}
	return *c.ServiceContent.FileManager, *c.ServiceContent.VirtualDiskManager
}

// onHost runs a task of a host that has the paths.
func onHost[Req, Res any](v *VCenter, ctx *simulator.Context, name string, dc *types.ManagedObjectReference, paths []string, disks bool,
	req *Req, this *types.ManagedObjectReference, call func(context.Context, soap.RoundTripper, *Req) (*Res, error),
) types.ManagedObjectReference {
	entity := *this
	if dc != nil {
		entity = *dc
	}
	return v.task(ctx, entity, name, func() (types.AnyType, types.BaseMethodFault) {
		l, fault := v.keeper(dc, paths...)
		if fault != nil {
			return nil, fault
		}
		f, d := v.hostManagers(l)
		if *this = f; disks {
			*this = d
		}
		return relayTask(v, l, call, req)
	})
}

func (f *fileManager) DeleteDatastoreFileTask(ctx *simulator.Context, req *types.DeleteDatastoreFile_Task) soap.HasFault {
	return &methods.DeleteDatastoreFile_TaskBody{Res: &types.DeleteDatastoreFile_TaskResponse{
		Returnval: onHost(f.v, ctx, "deleteDatastoreFile", req.Datacenter, []string{req.Name}, false, req, &req.This, methods.DeleteDatastoreFile_Task),
	}}
}

func (f *fileManager) MoveDatastoreFileTask(ctx *simulator.Context, req *types.MoveDatastoreFile_Task) soap.HasFault {
	return &methods.MoveDatastoreFile_TaskBody{Res: &types.MoveDatastoreFile_TaskResponse{
		Returnval: onHost(f.v, ctx, "moveDatastoreFile", req.SourceDatacenter, []string{req.SourceName, req.DestinationName}, false, req, &req.This, methods.MoveDatastoreFile_Task),
	}}
}

func (f *fileManager) CopyDatastoreFileTask(ctx *simulator.Context, req *types.CopyDatastoreFile_Task) soap.HasFault {
	return &methods.CopyDatastoreFile_TaskBody{Res: &types.CopyDatastoreFile_TaskResponse{
		Returnval: onHost(f.v, ctx, "copyDatastoreFile", req.SourceDatacenter, []string{req.SourceName, req.DestinationName}, false, req, &req.This, methods.CopyDatastoreFile_Task),
	}}
}

func (f *fileManager) MakeDirectory(req *types.MakeDirectory) soap.HasFault {
	body := new(methods.MakeDirectoryBody)
	l, fault := f.v.keeper(req.Datacenter, req.Name)
	if fault == nil {
		req.This, _ = f.v.hostManagers(l)
		var res *types.MakeDirectoryResponse
		res, fault = relay(f.v, l, methods.MakeDirectory, req)
		body.Res = res
	}
	body.Fault_ = wrap(fault)
	return body
}

// diskManager answers for VirtualDiskManager.
type diskManager struct {
	*simulator.VirtualDiskManager
	v *VCenter
}

func (d *diskManager) CreateVirtualDiskTask(ctx *simulator.Context, req *types.CreateVirtualDisk_Task) soap.HasFault {
	return &methods.CreateVirtualDisk_TaskBody{Res: &types.CreateVirtualDisk_TaskResponse{
		Returnval: onHost(d.v, ctx, "createVirtualDisk", req.Datacenter, []string{req.Name}, true, req, &req.This, methods.CreateVirtualDisk_Task),
	}}
}

func (d *diskManager) DeleteVirtualDiskTask(ctx *simulator.Context, req *types.DeleteVirtualDisk_Task) soap.HasFault {
	return &methods.DeleteVirtualDisk_TaskBody{Res: &types.DeleteVirtualDisk_TaskResponse{
		Returnval: onHost(d.v, ctx, "deleteVirtualDisk", req.Datacenter, []string{req.Name}, true, req, &req.This, methods.DeleteVirtualDisk_Task),
	}}
}

func (d *diskManager) ExtendVirtualDiskTask(ctx *simulator.Context, req *types.ExtendVirtualDisk_Task) soap.HasFault {
	return &methods.ExtendVirtualDisk_TaskBody{Res: &types.ExtendVirtualDisk_TaskResponse{
		Returnval: onHost(d.v, ctx, "extendVirtualDisk", req.Datacenter, []string{req.Name}, true, req, &req.This, methods.ExtendVirtualDisk_Task),
	}}
}

func (d *diskManager) MoveVirtualDiskTask(ctx *simulator.Context, req *types.MoveVirtualDisk_Task) soap.HasFault {
	return &methods.MoveVirtualDisk_TaskBody{Res: &types.MoveVirtualDisk_TaskResponse{
		Returnval: onHost(d.v, ctx, "moveVirtualDisk", req.SourceDatacenter, []string{req.SourceName, req.DestName}, true, req, &req.This, methods.MoveVirtualDisk_Task),
	}}
}

func (d *diskManager) CopyVirtualDiskTask(ctx *simulator.Context, req *types.CopyVirtualDisk_Task) soap.HasFault {
	return &methods.CopyVirtualDisk_TaskBody{Res: &types.CopyVirtualDisk_TaskResponse{
		Returnval: onHost(d.v, ctx, "copyVirtualDisk", req.SourceDatacenter, []string{req.SourceName, req.DestName}, true, req, &req.This, methods.CopyVirtualDisk_Task),
	}}
}

func (d *diskManager) QueryVirtualDiskUuid(req *types.QueryVirtualDiskUuid) soap.HasFault {
	body := new(methods.QueryVirtualDiskUuidBody)
	l, fault := d.v.keeper(req.Datacenter, req.Name)
	if fault == nil {
		_, req.This = d.v.hostManagers(l)
		var res *types.QueryVirtualDiskUuidResponse
		res, fault = relay(d.v, l, methods.QueryVirtualDiskUuid, req)
		body.Res = res
	}
	body.Fault_ = wrap(fault)
	return body
}

// browser answers for HostDatastoreBrowser; a host that has the datastore
// looks.
type browser struct {
	*simulator.HostDatastoreBrowser
	v *VCenter
}

func (b *browser) SearchDatastoreTask(ctx *simulator.Context, req *types.SearchDatastore_Task) soap.HasFault {
	return &methods.SearchDatastore_TaskBody{Res: &types.SearchDatastore_TaskResponse{
		Returnval: search(b, ctx, "searchDatastore", req.DatastorePath, req, methods.SearchDatastore_Task),
	}}
}

func (b *browser) SearchDatastoreSubFoldersTask(ctx *simulator.Context, req *types.SearchDatastoreSubFolders_Task) soap.HasFault {
	return &methods.SearchDatastoreSubFolders_TaskBody{Res: &types.SearchDatastoreSubFolders_TaskResponse{
		Returnval: search(b, ctx, "searchDatastoreSubFolders", req.DatastorePath, req, methods.SearchDatastoreSubFolders_Task),
	}}
}

func search[Req, Res any](b *browser, ctx *simulator.Context, name, path string, req *Req, call func(context.Context, soap.RoundTripper, *Req) (*Res, error)) types.ManagedObjectReference {
	return b.v.task(ctx, b.Datastore[0], name, func() (types.AnyType, types.BaseMethodFault) {
		dc := b.v.datacenterOf(b.Datastore[0])
		if dc == nil {
			return nil, &types.ManagedObjectNotFound{Obj: b.Self}
		}
		l, fault := b.v.keeper(&dc.Self, path)
		if fault != nil {
			return nil, fault
		}
		result, fault := relayTask(b.v, l, call, req)
		return l.ours(result), fault
	})
}

// datastore answers for Datastore.
type datastore struct {
	*simulator.Datastore
	v *VCenter
}

// RefreshDatastore is done with every read.
func (d *datastore) RefreshDatastore(*simulator.Context, *types.RefreshDatastore) soap.HasFault {
	return &methods.RefreshDatastoreBody{Res: new(types.RefreshDatastoreResponse)}
}

// RenameTask gives a datastore another name in our inventory.
func (d *datastore) RenameTask(ctx *simulator.Context, _ *types.Rename_Task) soap.HasFault {
	return &methods.Rename_TaskBody{Res: &types.Rename_TaskResponse{Returnval: d.v.failed(ctx, d.Self, "rename", new(types.NotSupported))}}
}

// DestroyTask would leave hosts without their files.
func (d *datastore) DestroyTask(ctx *simulator.Context, _ *types.Destroy_Task) soap.HasFault {
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{
		Returnval: d.v.failed(ctx, d.Self, "destroy", &types.ResourceInUse{Type: "Datastore", Name: d.Name}),
	}}
}

// serveFolder is /folder/PATH?dcPath=DATACENTER&dsName=NAME.
func (v *VCenter) serveFolder(w http.ResponseWriter, r *http.Request) {
	user := v.front.UserOf(r)
	if user == "" && v.refuse.Refuse("vc-folder-login") {
		w.Header().Set("WWW-Authenticate", `Basic realm="VMware HTTP server"`)
		http.Error(w, "not authenticated", http.StatusUnauthorized)
		return
	}
	q := r.URL.Query()
	ds := v.storeAt(strings.Trim(q.Get("dcPath"), "/"), q.Get("dsName"))
	if ds == nil {
		http.NotFound(w, r)
		return
	}
	privilege := "Datastore.FileManagement"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		privilege = "Datastore.Browse"
	}
	if !v.authz.may(user, ds.Self, privilege) {
		http.Error(w, privilege, http.StatusForbidden)
		return
	}
	store.Serve(w, r, store.Path(ds.Summary.Url, strings.TrimPrefix(r.URL.Path, "/folder/")), func() int64 {
		return max(0, ds.Summary.Capacity-store.Used(ds.Summary.Url))
	})
}

// storeAt finds a datastore by the path of its datacenter and its name.
func (v *VCenter) storeAt(dcPath, name string) *simulator.Datastore {
	for _, e := range v.reg.All("Datastore") {
		ds, ok := e.(*simulator.Datastore)
		if !ok || ds.Name != name {
			continue
		}
		dc := v.datacenterOf(ds.Self)
		if dc != nil && (dcPath == "" || strings.Trim(v.path(dc.Self), "/") == dcPath) {
			return ds
		}
	}
	return nil
}

// guestFiles answers for GuestFileManager: the host reaches into the guest.
type guestFiles struct {
	*simulator.GuestFileManager
	v *VCenter
}

func (g *guestFiles) InitiateFileTransferFromGuest(req *types.InitiateFileTransferFromGuest) soap.HasFault {
	body := new(methods.InitiateFileTransferFromGuestBody)
	l := g.v.linkOfVM(req.Vm)
	if l == nil {
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.Vm})
		return body
	}
	req.This = types.ManagedObjectReference{Type: "GuestFileManager", Value: "guestOperationsFileManager"}
	res, fault := relay(g.v, l, methods.InitiateFileTransferFromGuest, req)
	if fault == nil {
		res.Returnval.Url = l.named(res.Returnval.Url)
	}
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}

func (g *guestFiles) InitiateFileTransferToGuest(req *types.InitiateFileTransferToGuest) soap.HasFault {
	body := new(methods.InitiateFileTransferToGuestBody)
	l := g.v.linkOfVM(req.Vm)
	if l == nil {
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.Vm})
		return body
	}
	req.This = types.ManagedObjectReference{Type: "GuestFileManager", Value: "guestOperationsFileManager"}
	res, fault := relay(g.v, l, methods.InitiateFileTransferToGuest, req)
	if fault == nil {
		res.Returnval = l.named(res.Returnval)
	}
	body.Res, body.Fault_ = res, wrap(fault)
	return body
}
