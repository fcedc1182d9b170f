package esx

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// fileManager answers for FileManager.
type fileManager struct {
	*simulator.FileManager
	host *Host
}

// checkPath refuses what is no path of this host; the simulator would follow
// ".." out of the datastore.
func (h *Host) checkPath(path string) types.BaseMethodFault {
	var p object.DatastorePath
	if !p.FromString(path) {
		return &types.InvalidDatastorePath{DatastorePath: path}
	}
	if _, ok := h.file(path); !ok {
		return &types.InvalidDatastore{Name: p.Datastore}
	}
	for _, part := range strings.Split(p.Path, "/") {
		if part == ".." {
			return &types.InvalidDatastorePath{DatastorePath: path}
		}
	}
	return nil
}

// locked reports whether a running machine uses a file under the path.
func (h *Host) locked(ctx *simulator.Context, path string) bool {
	file, _ := h.file(path)
	for _, e := range ctx.Map.All("VirtualMachine") {
		machine, ok := e.(*simulator.VirtualMachine)
		if !ok {
			continue
		}
		hit := false
		ctx.WithLock(machine, func() {
			if machine.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
				return
			}
			for _, d := range h.disksOf(machine) {
				descriptor, _ := h.file(d.Path)
				hit = hit || within(file, d.File) || within(file, descriptor)
			}
		})
		if hit {
			return true
		}
	}
	return false
}

func within(folder, file string) bool {
	return folder == file || strings.HasPrefix(file, folder+string(filepath.Separator))
}

func failed(ctx *simulator.Context, fault types.BaseMethodFault, obj types.ManagedObjectReference, name string) types.ManagedObjectReference {
	task := simulator.CreateTask(obj, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) { return nil, fault })
	return task.Run(ctx)
}

// DeleteDatastoreFileTask deletes a file or a folder with all in it.
func (f *fileManager) DeleteDatastoreFileTask(ctx *simulator.Context, req *types.DeleteDatastoreFile_Task) soap.HasFault {
	task := simulator.CreateTask(f.FileManager, "deleteDatastoreFile", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if fault := f.host.checkPath(req.Name); fault != nil {
			return nil, fault
		}
		file, _ := f.host.file(req.Name)
		if _, err := os.Stat(file); err != nil {
			return nil, &types.FileNotFound{FileFault: types.FileFault{File: req.Name}}
		}
		if f.host.locked(ctx, req.Name) && f.host.refuse.Refuse("file-locked") {
			return nil, &types.FileLocked{FileFault: types.FileFault{File: req.Name}}
		}
		if err := os.RemoveAll(file); err != nil {
			return nil, &types.CannotDeleteFile{FileFault: types.FileFault{File: req.Name}}
		}
		return nil, nil
	})
	return &methods.DeleteDatastoreFile_TaskBody{Res: &types.DeleteDatastoreFile_TaskResponse{Returnval: task.Run(ctx)}}
}

// MakeDirectory makes a folder.
func (f *fileManager) MakeDirectory(ctx *simulator.Context, req *types.MakeDirectory) soap.HasFault {
	if fault := f.host.checkPath(req.Name); fault != nil {
		return &methods.MakeDirectoryBody{Fault_: simulator.Fault("", fault)}
	}
	req.Datacenter = nil
	return f.FileManager.MakeDirectory(ctx, req)
}

// MoveDatastoreFileTask moves a file.
func (f *fileManager) MoveDatastoreFileTask(ctx *simulator.Context, req *types.MoveDatastoreFile_Task) soap.HasFault {
	for _, p := range []string{req.SourceName, req.DestinationName} {
		if fault := f.host.checkPath(p); fault != nil {
			return &methods.MoveDatastoreFile_TaskBody{Res: &types.MoveDatastoreFile_TaskResponse{
				Returnval: failed(ctx, fault, f.Self, "moveDatastoreFile"),
			}}
		}
	}
	req.SourceDatacenter, req.DestinationDatacenter = nil, nil
	return f.FileManager.MoveDatastoreFileTask(ctx, req)
}

// CopyDatastoreFileTask copies a file.
func (f *fileManager) CopyDatastoreFileTask(ctx *simulator.Context, req *types.CopyDatastoreFile_Task) soap.HasFault {
	for _, p := range []string{req.SourceName, req.DestinationName} {
		if fault := f.host.checkPath(p); fault != nil {
			return &methods.CopyDatastoreFile_TaskBody{Res: &types.CopyDatastoreFile_TaskResponse{
				Returnval: failed(ctx, fault, f.Self, "copyDatastoreFile"),
			}}
		}
	}
	req.SourceDatacenter, req.DestinationDatacenter = nil, nil
	return f.FileManager.CopyDatastoreFileTask(ctx, req)
}

// diskManager answers for VirtualDiskManager.
type diskManager struct {
	*simulator.VirtualDiskManager
	host *Host
}

// CreateVirtualDiskTask makes a disk that belongs to no machine yet.
func (d *diskManager) CreateVirtualDiskTask(ctx *simulator.Context, req *types.CreateVirtualDisk_Task) soap.HasFault {
	if fault := d.host.checkPath(req.Name); fault != nil {
		return &methods.CreateVirtualDisk_TaskBody{Res: &types.CreateVirtualDisk_TaskResponse{
			Returnval: failed(ctx, fault, d.Self, "createVirtualDisk"),
		}}
	}
	req.Datacenter = nil
	return d.VirtualDiskManager.CreateVirtualDiskTask(ctx, req)
}

// DeleteVirtualDiskTask deletes a disk.
func (d *diskManager) DeleteVirtualDiskTask(ctx *simulator.Context, req *types.DeleteVirtualDisk_Task) soap.HasFault {
	fault := d.host.checkPath(req.Name)
	if fault == nil && d.host.locked(ctx, req.Name) && d.host.refuse.Refuse("disk-locked") {
		fault = &types.FileLocked{FileFault: types.FileFault{File: req.Name}}
	}
	if fault != nil {
		return &methods.DeleteVirtualDisk_TaskBody{Res: &types.DeleteVirtualDisk_TaskResponse{
			Returnval: failed(ctx, fault, d.Self, "deleteVirtualDisk"),
		}}
	}
	req.Datacenter = nil
	return d.VirtualDiskManager.DeleteVirtualDiskTask(ctx, req)
}
