package esx

import (
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/ovfspec"
)

// maxExtraConfigValue is what one value in a VMX may hold.
const maxExtraConfigValue = 64 << 10

// folder answers for Folder: the VM folder is where machines are made.
type folder struct {
	*simulator.Folder
	host *Host
}

// CreateVMTask makes a machine after the checks that the simulator leaves out
// (where it would end the process).
func (f *folder) CreateVMTask(ctx *simulator.Context, req *types.CreateVM_Task) soap.HasFault {
	task := simulator.CreateTask(f.Folder, "createVm", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return f.host.createVM(ctx, f.Folder, req)
	})
	return &methods.CreateVM_TaskBody{Res: &types.CreateVM_TaskResponse{Returnval: task.Run(ctx)}}
}

// RegisterVMTask needs a file to register.
func (f *folder) RegisterVMTask(ctx *simulator.Context, req *types.RegisterVM_Task) soap.HasFault {
	path, ok := f.host.file(req.Path)
	if _, err := os.Stat(path); !ok || err != nil || !strings.HasSuffix(req.Path, ".vmx") {
		task := simulator.CreateTask(f.Folder, "registerVm", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
			return nil, new(types.NotFound)
		})
		return &methods.RegisterVM_TaskBody{Res: &types.RegisterVM_TaskResponse{Returnval: task.Run(ctx)}}
	}
	return f.Folder.RegisterVMTask(ctx, req)
}

func (h *Host) createVM(ctx *simulator.Context, f *simulator.Folder, req *types.CreateVM_Task) (types.AnyType, types.BaseMethodFault) {
	spec := &req.Config
	if spec.Name == "" {
		return nil, &types.InvalidVmConfig{Property: "configSpec.name"}
	}
	name := escaped(spec.Name)
	if other := h.vmNamed(ctx, name); other != nil && h.refuse.Refuse("vm-duplicate") {
		return nil, &types.DuplicateName{Name: name, Object: *other}
	}
	if spec.Files == nil || spec.Files.VmPathName == "" {
		return nil, &types.InvalidVmConfig{Property: "configSpec.files.vmPathName"}
	}
	if _, ok := h.file(spec.Files.VmPathName); !ok {
		return nil, &types.InvalidDatastorePath{DatastorePath: spec.Files.VmPathName}
	}
	if p, ok := ctx.Map.Get(req.Pool).(mo.Entity); !ok || p.Reference().Type != "ResourcePool" {
		return nil, &types.InvalidArgument{InvalidProperty: "pool"}
	}
	if req.Host != nil && *req.Host != h.host().Self {
		return nil, &types.InvalidArgument{InvalidProperty: "host"}
	}
	if fault := h.checkConfig(ctx, spec); fault != nil {
		return nil, fault
	}
	if fault := h.checkNewDisks(ctx, spec); fault != nil {
		return nil, fault
	}
	if spec.Uuid == "" {
		spec.Uuid = uuid.NewString()
	}
	if spec.InstanceUuid == "" {
		spec.InstanceUuid = uuid.NewString()
	}
	giveAddresses(spec)
	req.Host = &h.host().Self
	// Of a name with an escape the simulator asks for all devices twice: it learns the name once the machine is there.
	spec.Name = strings.ReplaceAll(name, "%", "_")

	body, _ := f.CreateVMTask(ctx, req).(*methods.CreateVM_TaskBody)
	result, fault := await(ctx, body.Res.Returnval)
	if fault != nil {
		return nil, fault
	}
	ref, _ := result.(types.ManagedObjectReference)
	h.tidy(ctx, ref, name)
	return ref, nil
}

// escaped is a machine's name as it is kept: a percent sign starts an escape, and slashes are written as one
// (vim25, VirtualMachineConfigSpec.name).
func escaped(name string) string {
	var kept strings.Builder
	for i := range len(name) {
		switch rest := strings.ToLower(name[i:]); {
		case name[i] == '/':
			kept.WriteString("%2f")
		case name[i] == '\\':
			kept.WriteString("%5c")
		case name[i] == '%' && !slices.ContainsFunc([]string{"%2f", "%5c", "%25"}, func(e string) bool { return strings.HasPrefix(rest, e) }):
			kept.WriteString("%25")
		default:
			kept.WriteByte(name[i])
		}
	}
	return kept.String()
}

// tidy gives a new machine its name, and takes out what the simulator leaves in it for itself.
func (h *Host) tidy(ctx *simulator.Context, ref types.ManagedObjectReference, name string) {
	machine, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	ctx.WithLock(machine, func() {
		extra := slices.DeleteFunc(slices.Clone(machine.Config.ExtraConfig), func(o types.BaseOptionValue) bool {
			return o.GetOptionValue().Key == "govcsim"
		})
		ctx.Update(machine, []types.PropertyChange{
			{Name: "name", Val: name},
			{Name: "config.name", Val: name},
			{Name: "summary.config.name", Val: name},
			{Name: "config.extraConfig", Val: extra},
			{Name: "config.vAppConfig", Val: nil},
		})
	})
}

func (h *Host) vmNamed(ctx *simulator.Context, name string) *types.ManagedObjectReference {
	for _, e := range ctx.Map.All("VirtualMachine") {
		machine, ok := e.(*simulator.VirtualMachine)
		if !ok {
			continue
		}
		same := false
		ctx.WithLock(machine, func() { same = machine.Name == name })
		if same {
			return &machine.Self
		}
	}
	return nil
}

// guestSince is the first virtual hardware that knows a guest: the hardware of
// the ESXi release that brought it. What is not listed is older than all.
var guestSince = map[string]int{
	string(types.VirtualMachineGuestOsIdentifierDebian11Guest):    17,
	string(types.VirtualMachineGuestOsIdentifierDebian11_64Guest): 17,
	string(types.VirtualMachineGuestOsIdentifierDebian12Guest):    20,
	string(types.VirtualMachineGuestOsIdentifierDebian12_64Guest): 20,
}

// checkConfig checks what a new machine and a change have in common.
func (h *Host) checkConfig(ctx *simulator.Context, spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	for _, o := range spec.ExtraConfig {
		v := o.GetOptionValue()
		text, ok := v.Value.(string)
		if !ok && v.Value != nil {
			return &types.InvalidArgument{InvalidProperty: "configSpec.extraConfig"}
		}
		if len(text) > maxExtraConfigValue && h.refuse.Refuse("extra-config-size") {
			return &types.InvalidVmConfig{Property: "configSpec.extraConfig"}
		}
	}
	if spec.CpuAllocation != nil || spec.MemoryAllocation != nil {
		if fault := h.restricted(ctx); fault != nil {
			return fault
		}
	}
	if spec.VAppConfig != nil && h.refuse.Refuse("bare-vapp") {
		return new(types.NotSupported)
	}
	if version, ok := strings.CutPrefix(spec.Version, "vmx-"); ok {
		if n, err := strconv.Atoi(version); (err != nil || n > ovfspec.NewestHardware(h.config.Version)) && h.refuse.Refuse("vm-hardware") {
			return &types.InvalidVmConfig{Property: "configSpec.version"}
		} else if n < guestSince[spec.GuestId] && h.refuse.Refuse("vm-guest") {
			return &types.InvalidArgument{InvalidProperty: "configSpec.guestId"}
		}
	}
	for i, c := range spec.DeviceChange {
		change := c.GetVirtualDeviceConfigSpec()
		if change.Device == nil {
			return &types.InvalidDeviceSpec{DeviceIndex: int32(i)}
		}
		if fault := h.checkDevice(ctx, i, change); fault != nil {
			return fault
		}
	}
	return nil
}

func (h *Host) checkDevice(ctx *simulator.Context, i int, change *types.VirtualDeviceConfigSpec) types.BaseMethodFault {
	if change.Operation == types.VirtualDeviceConfigSpecOperationRemove {
		return nil
	}
	device := change.Device.GetVirtualDevice()
	switch b := device.Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		// Without a network there is nothing to attach the card to; the
		// simulator would end here, so this one can't be switched off.
		if ctx.Map.Get(types.ManagedObjectReference{Type: "Network", Value: "HaNetwork-" + b.DeviceName}) == nil {
			fault := &types.InvalidDeviceBacking{}
			fault.DeviceIndex = int32(i)
			fault.Property = "virtualDeviceSpec.device.backing"
			return fault
		}
	case types.BaseVirtualDeviceFileBackingInfo:
		path := b.GetVirtualDeviceFileBackingInfo().FileName
		if path == "" {
			return nil
		}
		if _, ok := h.file(path); !ok {
			return &types.InvalidDatastorePath{DatastorePath: path}
		}
	}
	return nil
}

// checkNewDisks refuses disks that the datastore has no room for: thick ones
// take their whole capacity at once.
func (h *Host) checkNewDisks(_ *simulator.Context, spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	for _, c := range spec.DeviceChange {
		change := c.GetVirtualDeviceConfigSpec()
		disk, ok := change.Device.(*types.VirtualDisk)
		if !ok || change.Operation != types.VirtualDeviceConfigSpecOperationAdd || change.FileOperation == "" {
			continue
		}
		backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
		if !ok || backing.ThinProvisioned != nil && *backing.ThinProvisioned {
			continue
		}
		need := disk.CapacityInBytes
		if need == 0 {
			need = disk.CapacityInKB * 1024
		}
		var p object.DatastorePath
		name := backing.FileName
		if name == "" && spec.Files != nil {
			name = spec.Files.VmPathName
		}
		if !p.FromString(name) {
			continue
		}
		if free, known := h.free(p.Datastore); known && need > free && h.refuse.Refuse("datastore-full") {
			return &types.NoDiskSpace{FileFault: types.FileFault{File: name}, Datastore: p.Datastore}
		}
	}
	return nil
}

// giveAddresses gives new cards a MAC address of their own: the simulator
// makes one of three characters of the UUID, which soon repeats.
func giveAddresses(spec *types.VirtualMachineConfigSpec) {
	for _, c := range spec.DeviceChange {
		change := c.GetVirtualDeviceConfigSpec()
		card, ok := change.Device.(types.BaseVirtualEthernetCard)
		if !ok || change.Operation != types.VirtualDeviceConfigSpecOperationAdd {
			continue
		}
		nic := card.GetVirtualEthernetCard()
		if nic.MacAddress == "" {
			var b [3]byte
			_, _ = rand.Read(b[:])
			nic.MacAddress = fmt.Sprintf("00:0c:29:%02x:%02x:%02x", b[0], b[1], b[2])
			nic.AddressType = "generated"
		}
	}
}
