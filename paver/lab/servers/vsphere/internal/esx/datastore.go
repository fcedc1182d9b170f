package esx

import (
	"fmt"
	"os"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/browse"
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
	for _, d := range h.config.Datastores {
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

// free is the room that a datastore has left.
func (h *Host) free(name string) (int64, bool) {
	for _, d := range h.config.Datastores {
		if d.Name == name {
			return max(0, d.CapacityBytes-store.Used(d.Path)), true
		}
	}
	return 0, false
}

func (h *Host) capacity(name string) int64 {
	for _, d := range h.config.Datastores {
		if d.Name == name {
			return d.CapacityBytes
		}
	}
	return 0
}
