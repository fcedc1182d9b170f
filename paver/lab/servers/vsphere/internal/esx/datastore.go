package esx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
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
	d.host.refreshSpace(true)
	return &methods.RefreshDatastoreBody{Res: new(types.RefreshDatastoreResponse)}
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
			DatastoreInfo: types.DatastoreInfo{Name: d.Name, Url: "ds:///vmfs/volumes/" + id + "/"},
			Vmfs: &types.HostVmfsVolume{
				HostFileSystemVolume: types.HostFileSystemVolume{Type: "VMFS", Name: d.Name, Capacity: d.CapacityBytes},
				BlockSizeMb:          1, MajorVersion: 6, Version: "6.82", Uuid: id, Local: types.NewBool(true),
			},
		}
		for i := range ds.Host {
			ds.Host[i].MountInfo.Path = "/vmfs/volumes/" + id
		}
	}
	h.refreshSpace(true)
	return nil
}

// used is what the files in a folder occupy; a thin disk is a file with holes.
func used(path string) int64 {
	var total int64
	eachFile(path, func(_ string, info fs.FileInfo) {
		size := info.Size()
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			size = min(size, s.Blocks*512)
		}
		total += size
	})
	return total
}

// free is the room that a datastore has left.
func (h *Host) free(name string) (int64, bool) {
	for _, d := range h.config.Datastores {
		if d.Name == name {
			return max(0, d.CapacityBytes-used(d.Path)), true
		}
	}
	return 0, false
}

// refreshSpace brings the datastores' figures up to date. Reads come in
// bursts, so it looks again only after a moment, or when it must.
func (h *Host) refreshSpace(now bool) {
	h.mu.Lock()
	stale := now || time.Since(h.freshSpace) > 100*time.Millisecond
	if stale {
		h.freshSpace = time.Now()
	}
	h.mu.Unlock()
	if !stale {
		return
	}
	ctx := h.front.NewContext()
	for _, e := range h.reg.All("Datastore") {
		ds, ok := e.(*simulator.Datastore)
		if !ok {
			continue
		}
		left, known := h.free(ds.Summary.Name)
		if !known {
			continue
		}
		ctx.WithLock(ds, func() {
			capacity := h.capacity(ds.Summary.Name)
			if ds.Summary.FreeSpace == left && ds.Summary.Capacity == capacity {
				return
			}
			if vmfs, ok := ds.Info.(*types.VmfsDatastoreInfo); ok {
				info := *vmfs
				info.FreeSpace, info.MaxFileSize = left, 64<<40
				ds.Info = &info
			}
			ds.Summary.FreeSpace, ds.Summary.Capacity = left, capacity
		})
	}
}

func (h *Host) capacity(name string) int64 {
	for _, d := range h.config.Datastores {
		if d.Name == name {
			return d.CapacityBytes
		}
	}
	return 0
}

// errFull is an upload that the datastore has no room for.
var errFull = errors.New("no space left on the datastore")

// pour writes a body to a file until it ends or the room does.
func (h *Host) pour(dst io.Writer, src io.Reader, datastore string) (int64, error) {
	room, known := h.free(datastore)
	if !known || !h.refuse.Refuse("upload-full") {
		return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 1<<20))
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{io.LimitReader(src, room)}, make([]byte, 1<<20))
	if err != nil || n < room {
		return n, err
	}
	var one [1]byte
	if k, err := io.ReadFull(src, one[:]); k == 0 && errors.Is(err, io.EOF) {
		return n, nil
	} else if err != nil && k == 0 {
		return n, err
	}
	return n, errFull
}
