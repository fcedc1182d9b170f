package vcenter

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/store"
)

// createMachine makes a machine on a host of the pool, in a folder of ours.
func (v *VCenter) createMachine(folder types.ManagedObjectReference, req *types.CreateVM_Task) (types.AnyType, types.BaseMethodFault) {
	if fault := v.checkName(folder, req.Config.Name); fault != nil {
		return nil, fault
	}
	if req.Config.Files == nil {
		return nil, &types.InvalidVmConfig{Property: "configSpec.files.vmPathName"}
	}
	var p object.DatastorePath
	if !p.FromString(req.Config.Files.VmPathName) {
		return nil, &types.InvalidDatastorePath{DatastorePath: req.Config.Files.VmPathName}
	}
	l, fault := v.home(req.Pool, req.Host, p.Datastore)
	if fault != nil {
		return nil, fault
	}
	pool := req.Pool
	if req.Pool, fault = v.rootPool(l); fault != nil {
		return nil, fault
	}
	req.This = v.datacenterOf(l.ref).VmFolder
	req.Host = nil
	req.Config.VAppConfig = nil
	result, fault := relayTask(v, l, methods.CreateVM_Task, req)
	if fault != nil {
		return nil, fault
	}
	theirs, ok := result.(types.ManagedObjectReference)
	if !ok {
		return nil, &types.SystemError{Reason: "the host gave no machine"}
	}
	ours, fault := v.settle(l, theirs, folder, pool)
	if fault != nil {
		return nil, fault
	}
	return ours, nil
}

// checkName refuses a name that the folder has already.
func (v *VCenter) checkName(folder types.ManagedObjectReference, name string) types.BaseMethodFault {
	if e := v.child(v.front.NewContext(), folder, name); e != nil {
		return &types.DuplicateName{Name: name, Object: e.Reference()}
	}
	return nil
}

// clone copies a machine's disks and makes a machine with them. The disks of a
// linked clone say whose children they are; here they are copies all the same.
func (v *VCenter) clone(source *simulator.VirtualMachine, req *types.CloneVM_Task) (types.AnyType, types.BaseMethodFault) {
	ctx := v.front.NewContext()
	from := v.linkOfVM(source.Self)
	if from == nil {
		return nil, &types.ManagedObjectNotFound{Obj: source.Self}
	}
	var config *types.VirtualMachineConfigInfo
	var template bool
	var ownPool *types.ManagedObjectReference
	ctx.WithLock(source, func() { config, template, ownPool = source.Config, source.Config.Template, source.ResourcePool })
	linked := req.Spec.Location.DiskMoveType == string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking)
	if ref := req.Spec.Snapshot; ref != nil {
		taken, ok := v.reg.Get(*ref).(*simulator.VirtualMachineSnapshot)
		if !ok || taken.Vm != source.Self {
			return nil, &types.ManagedObjectNotFound{Obj: *ref}
		}
		ctx.WithLock(taken, func() { own := taken.Config; config = &own })
	} else if linked && v.refuse.Refuse("clone-linked") {
		return nil, &types.InvalidArgument{InvalidProperty: "spec.location.diskMoveType"}
	}
	pool := req.Spec.Location.Pool
	if pool == nil {
		// A template has no pool of its own that a clone could take over.
		if template && !req.Spec.Template || ownPool == nil && !req.Spec.Template {
			if v.refuse.Refuse("clone-pool") {
				return nil, &types.InvalidArgument{InvalidProperty: "spec.location.pool"}
			}
		}
		root, fault := v.rootPool(from)
		if fault != nil {
			return nil, fault
		}
		pool = &root
	}
	if fault := v.checkName(req.Folder, req.Name); fault != nil {
		return nil, fault
	}
	var home object.DatastorePath
	home.FromString(config.Files.VmPathName)
	if ref := req.Spec.Location.Datastore; ref != nil {
		ds, ok := v.reg.Get(*ref).(*simulator.Datastore)
		if !ok {
			return nil, &types.ManagedObjectNotFound{Obj: *ref}
		}
		home.Datastore = ds.Name
	}
	l, fault := v.home(*pool, req.Spec.Location.Host, home.Datastore)
	if fault != nil {
		return nil, fault
	}
	home.Path = v.freeFolder(home.Datastore, req.Name)
	spec, copies, fault := cloneSpec(config, req, home, linked)
	if fault != nil {
		return nil, fault
	}
	for _, c := range copies {
		if fault := v.copyDisk(c.from, c.to); fault != nil {
			v.removeFolder(home)
			return nil, fault
		}
	}
	result, fault := v.createMachine(req.Folder, &types.CreateVM_Task{Config: *spec, Pool: *pool, Host: &l.ref})
	if fault != nil {
		v.removeFolder(home)
		return nil, fault
	}
	ours, _ := result.(types.ManagedObjectReference)
	if req.Spec.Template {
		if _, fault := relay(v, l, methods.MarkAsTemplate, &types.MarkAsTemplate{This: ours}); fault != nil {
			return nil, fault
		}
	}
	if req.Spec.PowerOn {
		if _, fault := relayTask(v, l, methods.PowerOnVM_Task, &types.PowerOnVM_Task{This: ours}); fault != nil {
			return nil, fault
		}
	}
	return ours, nil
}

type diskCopy struct{ from, to string }

// cloneSpec is a machine like the source, with disks of its own and the changes
// that the clone asks for.
func cloneSpec(config *types.VirtualMachineConfigInfo, req *types.CloneVM_Task, home object.DatastorePath, linked bool) (*types.VirtualMachineConfigSpec, []diskCopy, types.BaseMethodFault) {
	vmx := object.DatastorePath{Datastore: home.Datastore, Path: path.Join(home.Path, req.Name+".vmx")}
	spec := &types.VirtualMachineConfigSpec{
		Name: req.Name, GuestId: config.GuestId, Version: config.Version, Firmware: config.Firmware, Annotation: config.Annotation,
		NumCPUs: config.Hardware.NumCPU, NumCoresPerSocket: config.Hardware.NumCoresPerSocket, MemoryMB: int64(config.Hardware.MemoryMB),
		Files: &types.VirtualMachineFileInfo{VmPathName: vmx.String()}, ExtraConfig: slices.Clone(config.ExtraConfig),
	}
	var copies []diskCopy
	for _, d := range config.Hardware.Device {
		switch device := d.(type) {
		case *types.VirtualDisk:
			backing, ok := device.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
			if !ok {
				return nil, nil, &types.NotSupported{}
			}
			name := req.Name + ".vmdk"
			if len(copies) > 0 {
				name = fmt.Sprintf("%s_%d.vmdk", req.Name, len(copies))
			}
			to := object.DatastorePath{Datastore: home.Datastore, Path: path.Join(home.Path, name)}
			copies = append(copies, diskCopy{backing.FileName, to.String()})
			disk, fresh := *device, *backing
			fresh.FileName, fresh.Datastore, fresh.Parent, fresh.BackingObjectId = to.String(), nil, nil, ""
			if linked {
				fresh.Parent = &types.VirtualDiskFlatVer2BackingInfo{DiskMode: backing.DiskMode}
				fresh.Parent.FileName = backing.FileName
			}
			disk.Backing, disk.VDiskId = &fresh, nil
			spec.DeviceChange = append(spec.DeviceChange, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: &disk})
		case types.BaseVirtualSCSIController, types.BaseVirtualSATAController, *types.VirtualNVMEController:
			spec.DeviceChange = append(spec.DeviceChange, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: d})
		case types.BaseVirtualEthernetCard:
			// The card is taken over; its address is not.
			device.GetVirtualEthernetCard().MacAddress = ""
			spec.DeviceChange = append(spec.DeviceChange, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: d})
		}
	}
	if change := req.Spec.Config; change != nil {
		if change.NumCPUs != 0 {
			spec.NumCPUs = change.NumCPUs
		}
		if change.MemoryMB != 0 {
			spec.MemoryMB = change.MemoryMB
		}
		spec.ManagedBy = change.ManagedBy
		spec.ExtraConfig = append(spec.ExtraConfig, change.ExtraConfig...)
		spec.DeviceChange = changedDevices(spec.DeviceChange, change.DeviceChange)
	}
	return spec, copies, nil
}

// changedDevices are the devices that a clone takes over, but for those that it
// wants otherwise, and its own.
func changedDevices(over, changes []types.BaseVirtualDeviceConfigSpec) []types.BaseVirtualDeviceConfigSpec {
	for _, c := range changes {
		change := *c.GetVirtualDeviceConfigSpec()
		at := slices.IndexFunc(over, func(o types.BaseVirtualDeviceConfigSpec) bool {
			return o.GetVirtualDeviceConfigSpec().Device.GetVirtualDevice().Key == change.Device.GetVirtualDevice().Key
		})
		switch {
		case change.Operation == types.VirtualDeviceConfigSpecOperationAdd:
			over = append(over, &change)
		case at >= 0 && change.Operation == types.VirtualDeviceConfigSpecOperationRemove:
			over = slices.Delete(over, at, at+1)
		case at >= 0:
			change.Operation = types.VirtualDeviceConfigSpecOperationAdd
			over[at] = &change
		}
	}
	return over
}

// file is where a path of one of our datastores lies on this machine.
func (v *VCenter) file(p string) (string, types.BaseMethodFault) {
	var parsed object.DatastorePath
	if !parsed.FromString(p) {
		return "", &types.InvalidDatastorePath{DatastorePath: p}
	}
	for _, e := range v.reg.All("Datastore") {
		if ds, ok := e.(*simulator.Datastore); ok && ds.Name == parsed.Datastore {
			return store.Path(ds.Summary.Url, parsed.Path), nil
		}
	}
	return "", &types.InvalidDatastore{Name: parsed.Datastore}
}

// freeFolder is a folder for a machine, named after it.
func (v *VCenter) freeFolder(datastore, name string) string {
	p := object.DatastorePath{Datastore: datastore, Path: name}
	for n := 1; ; n++ {
		file, fault := v.file(p.String())
		if fault != nil {
			return name
		}
		if _, err := os.Stat(file); os.IsNotExist(err) {
			return p.Path
		}
		p.Path = fmt.Sprintf("%s_%d", name, n)
	}
}

func (v *VCenter) removeFolder(p object.DatastorePath) {
	if file, fault := v.file(p.String()); fault == nil && p.Path != "" {
		_ = os.RemoveAll(file)
	}
}

// copyDisk copies a disk's descriptor and its content.
func (v *VCenter) copyDisk(from, to string) types.BaseMethodFault {
	src, fault := v.file(from)
	if fault != nil {
		return fault
	}
	dst, fault := v.file(to)
	if fault != nil {
		return fault
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
		return &types.CannotCreateFile{FileFault: types.FileFault{File: to}}
	}
	for _, pair := range [][2]string{{src, dst}, {simulator.VirtualDiskBackingFileName(src), simulator.VirtualDiskBackingFileName(dst)}} {
		if err := copyFile(pair[0], pair[1]); err != nil {
			return &types.CannotAccessFile{FileFault: types.FileFault{File: from}}
		}
	}
	// The copy's descriptor names its own content.
	raw, err := os.ReadFile(dst)
	if err == nil {
		own := filepath.Base(simulator.VirtualDiskBackingFileName(dst))
		other := filepath.Base(simulator.VirtualDiskBackingFileName(src))
		err = os.WriteFile(dst, []byte(strings.ReplaceAll(string(raw), other, own)), 0o600)
	}
	if err != nil {
		return &types.CannotCreateFile{FileFault: types.FileFault{File: to}}
	}
	return nil
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		_ = dst.Close()
		return err
	}
	return dst.Close()
}
