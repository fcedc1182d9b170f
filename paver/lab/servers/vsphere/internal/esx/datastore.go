package esx

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"

	"paver.lab/vsphere/internal/browse"
	"paver.lab/vsphere/internal/control"
	"paver.lab/vsphere/internal/rewrite"
	"paver.lab/vsphere/internal/store"
)

// datastoreSystem answers for HostDatastoreSystem.
type datastoreSystem struct {
	*simulator.HostDatastoreSystem
	host *Host
}

// CreateLocalDatastore is for another product; a host has VMFS and NFS.
func (s *datastoreSystem) CreateLocalDatastore(*simulator.Context, *types.CreateLocalDatastore) soap.HasFault {
	return &methods.CreateLocalDatastoreBody{Fault_: simulator.Fault("", new(types.NotSupported))}
}

// datastore answers for Datastore.
type datastore struct {
	*simulator.Datastore
	host *Host
}

// RefreshDatastore looks at the folder; the simulator says a terabyte.
func (d *datastore) RefreshDatastore(*simulator.Context, *types.RefreshDatastore) soap.HasFault {
	d.host.space.stale()
	return &methods.RefreshDatastoreBody{Res: new(types.RefreshDatastoreResponse)}
}

// browser answers for HostDatastoreBrowser.
type browser struct {
	*simulator.HostDatastoreBrowser
}

// SearchDatastoreTask lists one folder.
func (b *browser) SearchDatastoreTask(ctx *simulator.Context, req *types.SearchDatastore_Task) soap.HasFault {
	req.SearchSpec = browse.Spec(req.SearchSpec)
	return b.HostDatastoreBrowser.SearchDatastoreTask(ctx, req)
}

// SearchDatastoreSubFoldersTask lists a folder and all below it.
func (b *browser) SearchDatastoreSubFoldersTask(ctx *simulator.Context, req *types.SearchDatastoreSubFolders_Task) soap.HasFault {
	req.SearchSpec = browse.Spec(req.SearchSpec)
	return b.HostDatastoreBrowser.SearchDatastoreSubFoldersTask(ctx, req)
}

// DestroyTask would leave the host without its files.
func (d *datastore) DestroyTask(ctx *simulator.Context, _ *types.Destroy_Task) soap.HasFault {
	task := simulator.CreateTask(d.Datastore, "destroy", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return nil, &types.ResourceInUse{Type: "Datastore", Name: d.Name}
	})
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: task.Run(ctx)}}
}

func (h *Host) furnishDatastores(ctx *simulator.Context) error {
	system, _ := h.reg.Get(*h.host().ConfigManager.DatastoreSystem).(*simulator.HostDatastoreSystem)
	for _, d := range h.datastores() {
		if err := os.MkdirAll(d.Path, 0o700); err != nil {
			return err
		}
		body, _ := system.CreateLocalDatastore(ctx, &types.CreateLocalDatastore{Name: d.Name, Path: d.Path}).(*methods.CreateLocalDatastoreBody)
		if body.Fault_ != nil {
			return fmt.Errorf("datastore %s: %s", d.Name, body.Fault_.String)
		}
		ds, _ := h.reg.Get(body.Res.Returnval).(*simulator.Datastore)
		id := identity(h.Name + "/" + d.Name)
		ds.Summary.Type = string(types.HostFileSystemVolumeFileSystemTypeVMFS)
		ds.Summary.MultipleHostAccess = types.NewBool(false)
		ds.Info = &types.VmfsDatastoreInfo{
			DatastoreInfo: types.DatastoreInfo{Name: d.Name, Url: d.Path},
			Vmfs: &types.HostVmfsVolume{
				HostFileSystemVolume: types.HostFileSystemVolume{Type: "VMFS", Name: d.Name, Capacity: d.CapacityBytes},
				BlockSizeMb:          1, MajorVersion: 6, Version: "6.82", Uuid: id, Local: types.NewBool(true),
			},
		}
		for i := range ds.Host {
			ds.Host[i].MountInfo.Path = "/vmfs/volumes/" + id
		}
	}
	h.space.show(h)
	return nil
}

// datastores are the folders by the names that they have now.
func (h *Host) datastores() []DatastoreConfig {
	if renamed := h.renamed.Load(); renamed != nil {
		return *renamed
	}
	return h.config.Datastores
}

// renameDatastore gives a datastore another name, as the agent of a vCenter
// does that has one of that name already: all paths of machines change.
func (h *Host) renameDatastore(name, to string) error {
	now := slices.Clone(h.datastores())
	at := slices.IndexFunc(now, func(d DatastoreConfig) bool { return d.Name == name })
	if at < 0 || slices.ContainsFunc(now, func(d DatastoreConfig) bool { return d.Name == to }) {
		return control.NotFound("%s cannot call %q %q", h.Name, name, to)
	}
	if !h.space.hold() {
		return &control.Error{Status: http.StatusConflict, Text: h.Name + " is at work"}
	}
	defer h.space.calls.Unlock()
	ctx := h.front.NewContext()
	for _, e := range h.reg.All("Datastore") {
		ds, ok := e.(*simulator.Datastore)
		if !ok || ds.Name != name {
			continue
		}
		ctx.WithLock(ds, func() {
			summary := ds.Summary
			summary.Name = to
			changes := []types.PropertyChange{{Name: "name", Val: to}, {Name: "summary", Val: summary}}
			if vmfs, ok := ds.Info.(*types.VmfsDatastoreInfo); ok {
				info := *vmfs
				volume := *vmfs.Vmfs
				info.Name, volume.Name, info.Vmfs = to, to, &volume
				changes = append(changes, types.PropertyChange{Name: "info", Val: &info})
			}
			ctx.Update(ds, changes)
		})
	}
	names := rewrite.Names{Stores: map[string]string{name: to}}
	for _, e := range h.reg.All("VirtualMachine") {
		machine, ok := e.(*simulator.VirtualMachine)
		if !ok {
			continue
		}
		var err error
		ctx.WithLock(machine, func() { err = movePaths(ctx, machine, names) })
		if err != nil {
			return err
		}
	}
	now[at].Name = to
	h.renamed.Store(&now)
	h.differs()
	return nil
}

// movePaths changes what a machine says of its files, in copies: what was
// handed out stays as it was.
func movePaths(ctx *simulator.Context, machine *simulator.VirtualMachine, names rewrite.Names) error {
	var next mo.VirtualMachine
	next.Config, next.Layout, next.LayoutEx, next.Summary = machine.Config, machine.Layout, machine.LayoutEx, machine.Summary
	var buffer bytes.Buffer
	if err := xml.NewEncoder(&buffer).Encode(&next); err != nil {
		return err
	}
	decoder := xml.NewDecoder(&buffer)
	decoder.TypeFunc = types.TypeFunc()
	var copied mo.VirtualMachine
	if err := decoder.Decode(&copied); err != nil {
		return err
	}
	names.In(&copied)
	for i, url := range copied.Config.DatastoreUrl {
		if to, ok := names.Stores[url.Name]; ok {
			copied.Config.DatastoreUrl[i].Name = to
		}
	}
	ctx.Update(machine, []types.PropertyChange{
		{Name: "config", Val: copied.Config},
		{Name: "layout", Val: copied.Layout},
		{Name: "layoutEx", Val: copied.LayoutEx},
		{Name: "summary", Val: copied.Summary},
	})
	return nil
}

// free is the room that a datastore has left.
func (h *Host) free(name string) (int64, bool) {
	for _, d := range h.datastores() {
		if d.Name == name {
			return max(0, d.CapacityBytes-store.Used(d.Path)), true
		}
	}
	return 0, false
}

func (h *Host) capacity(name string) int64 {
	for _, d := range h.datastores() {
		if d.Name == name {
			return d.CapacityBytes
		}
	}
	return 0
}
