// Package ovfspec makes an import specification of an OVF descriptor, as
// OvfManager.CreateImportSpec does. The simulator's own version panics on a
// disk without a file and on a descriptor that is none.
package ovfspec

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/refusals"
)

// NewestHardware is the newest virtual hardware of a product's version: that of
// the last update that brought one; of a release that is not known, an ESXi 8's.
func NewestHardware(product string) int {
	var major, minor, update int
	_, _ = fmt.Sscanf(product, "%d.%d.%d", &major, &minor, &update)
	for ; update >= 0; update-- {
		if version, err := types.ParseESXiVersion(fmt.Sprintf("%d.%d.%d", major, minor, update)); err == nil {
			return int(version.HardwareVersion())
		}
	}
	return int(types.VMX21)
}

// Params is where and how the descriptor is to be deployed.
type Params struct {
	Descriptor string
	Options    types.OvfCreateImportSpecParams
	Pool       types.ManagedObjectReference
	Datastore  string
	// Backing gives the backing of a card on a network, nil for an unknown one;
	// for the zero reference, on the network that is the default.
	Backing func(types.ManagedObjectReference) types.BaseVirtualDeviceBackingInfo
	// Properties says whether there is a store of OVF properties: a vCenter
	// has one, a bare host doesn't.
	Properties bool
	// Newest is the newest virtual hardware that there is.
	Newest int
	Refuse *refusals.Switches
}

// builder carries one conversion.
type builder struct {
	Params
	env    *ovf.Envelope
	result types.OvfCreateImportSpecResult
	spec   types.VirtualMachineConfigSpec
	device object.VirtualDeviceList
	parts  map[string]types.BaseVirtualDevice // by the item's instance id
	disks  int
	images int
}

// Build makes the specification. A descriptor that can't be read at all is a
// fault; what can't be deployed stands in the result's errors.
func Build(p Params) (*types.OvfCreateImportSpecResult, types.BaseMethodFault) {
	env, err := ovf.Unmarshal(strings.NewReader(p.Descriptor))
	if err != nil || env.VirtualSystem == nil {
		return nil, &types.InvalidArgument{InvalidProperty: "ovfDescriptor"}
	}
	b := &builder{Params: p, env: env, parts: map[string]types.BaseVirtualDevice{}}
	name := p.Options.EntityName
	if name == "" {
		name = env.VirtualSystem.ID
	}
	b.Options.EntityName = name
	b.spec = types.VirtualMachineConfigSpec{
		Name: name, Version: "vmx-13", GuestId: string(types.VirtualMachineGuestOsIdentifierOtherGuest),
		Files:   &types.VirtualMachineFileInfo{VmPathName: (&object.DatastorePath{Datastore: p.Datastore}).String()},
		NumCPUs: 1, NumCoresPerSocket: 1, MemoryMB: 32,
	}
	if len(env.VirtualSystem.VirtualHardware) == 0 {
		b.fail(&types.OvfMissingElement{OvfElement: types.OvfElement{Name: "VirtualHardwareSection"}}, "no virtual hardware")
		return &b.result, nil
	}
	hardware := env.VirtualSystem.VirtualHardware[0]
	b.chooseConfiguration()
	b.system(hardware)
	for _, m := range p.Options.NetworkMapping {
		if b.Backing(m.Network) == nil && p.Refuse.Refuse("ovf-network") {
			return nil, &types.ManagedObjectNotFound{Obj: m.Network}
		}
	}
	b.properties()
	for _, item := range hardware.Item {
		if item.ResourceType != nil && b.applies(item.Configuration) {
			b.item(item)
		}
	}
	b.spec.DeviceChange, err = b.device.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	if err != nil {
		return nil, &types.InvalidArgument{InvalidProperty: "ovfDescriptor"}
	}
	if len(b.result.Error) > 0 && p.Refuse.Refuse("ovf-errors") {
		return &b.result, nil
	}
	b.result.ImportSpec = &types.VirtualMachineImportSpec{ConfigSpec: b.spec, ResPoolEntity: &p.Pool}
	return &b.result, nil
}

func (b *builder) fail(fault types.BaseMethodFault, format string, args ...any) {
	b.result.Error = append(b.result.Error, types.LocalizedMethodFault{Fault: fault, LocalizedMessage: fmt.Sprintf(format, args...)})
}

func (b *builder) warn(fault types.BaseMethodFault, format string, args ...any) {
	b.result.Warning = append(b.result.Warning, types.LocalizedMethodFault{Fault: fault, LocalizedMessage: fmt.Sprintf(format, args...)})
}

// chooseConfiguration takes the default deployment option where none is named.
func (b *builder) chooseConfiguration() {
	section := b.env.DeploymentOption
	if section == nil {
		return
	}
	known := slices.ContainsFunc(section.Configuration, func(c ovf.DeploymentOptionConfiguration) bool { return c.ID == b.Options.DeploymentOption })
	if b.Options.DeploymentOption == "" {
		for i, c := range section.Configuration {
			if i == 0 || c.Default != nil && *c.Default {
				b.Options.DeploymentOption = c.ID
			}
		}
	} else if !known {
		b.fail(&types.OvfUnknownEntity{}, "no deployment option %q", b.Options.DeploymentOption)
	}
}

// applies reports whether an element belongs to the chosen deployment option;
// its attribute is a list of options.
func (b *builder) applies(configuration *string) bool {
	return configuration == nil || slices.Contains(strings.Fields(*configuration), b.Options.DeploymentOption)
}

// system takes the guest, the hardware version and the vendor's settings.
func (b *builder) system(hardware ovf.VirtualHardwareSection) {
	if os := b.env.VirtualSystem.OperatingSystem; os != nil && os.OSType != nil {
		b.spec.GuestId = *os.OSType
	}
	if hardware.System != nil && hardware.System.VirtualSystemType != nil {
		family, _, _ := strings.Cut(*hardware.System.VirtualSystemType, ",")
		version, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(family), "vmx-"))
		if (err != nil || version > b.Newest) && b.Refuse.Refuse("ovf-hardware") {
			b.fail(&types.OvfNoSupportedHardwareFamily{Version: family}, "Unsupported hardware family '%s'.", family)
		} else if err == nil {
			b.spec.Version = strings.TrimSpace(family)
		}
	}
	for _, c := range hardware.ExtraConfig {
		b.spec.ExtraConfig = append(b.spec.ExtraConfig, &types.OptionValue{Key: c.Key, Value: c.Value})
	}
	power := types.VirtualMachineDefaultPowerOpInfo{}
	for _, c := range hardware.Config {
		switch c.Key {
		case "firmware":
			b.spec.Firmware = c.Value
		case "powerOpInfo.powerOffType":
			power.PowerOffType = c.Value
		case "powerOpInfo.resetType":
			power.ResetType = c.Value
		case "powerOpInfo.suspendType":
			power.SuspendType = c.Value
		case "powerOpInfo.standbyAction":
			power.StandbyAction = c.Value
		}
	}
	if power != (types.VirtualMachineDefaultPowerOpInfo{}) {
		b.spec.PowerOpInfo = &power
	}
}

// network is what an OVF's network is mapped to; one without a mapping goes
// to the default network, as the server (unlike ovftool) has it.
func (b *builder) network(name string) types.BaseVirtualDeviceBackingInfo {
	i := slices.IndexFunc(b.Options.NetworkMapping, func(m types.OvfNetworkMapping) bool { return m.Name == name })
	if i < 0 {
		return b.Backing(types.ManagedObjectReference{})
	}
	return b.Backing(b.Options.NetworkMapping[i].Network)
}

// properties go into the store where there is one.
func (b *builder) properties() {
	if !b.Properties {
		if len(b.Options.PropertyMapping) > 0 {
			section := &types.OvfUnsupportedSection{Info: "OVF properties need a vCenter"}
			section.Name = "ProductSection"
			b.warn(section, "A bare host keeps no OVF properties.")
		}
		return
	}
	vapp := &types.VAppConfigSpec{}
	key := int32(0)
	for i, product := range b.env.VirtualSystem.Product {
		vapp.Product = append(vapp.Product, types.VAppProductSpec{
			ArrayUpdateSpec: types.ArrayUpdateSpec{Operation: types.ArrayUpdateOperationAdd},
			Info: &types.VAppProductInfo{
				Key: int32(i), ClassId: text(product.Class), InstanceId: text(product.Instance),
				Name: product.Product, Vendor: product.Vendor, Version: product.Version,
			},
		})
		for _, p := range product.Property {
			value := ""
			for _, m := range b.Options.PropertyMapping {
				if m.Key == product.Key(p) {
					value = m.Value
				}
			}
			vapp.Property = append(vapp.Property, types.VAppPropertySpec{
				ArrayUpdateSpec: types.ArrayUpdateSpec{Operation: types.ArrayUpdateOperationAdd},
				Info: &types.VAppPropertyInfo{
					Key: key, ClassId: text(product.Class), InstanceId: text(product.Instance), Id: p.Key,
					Category: product.Category, Label: text(p.Label), Type: p.Type, UserConfigurable: p.UserConfigurable,
					DefaultValue: text(p.Default), Value: value, Description: text(p.Description),
				},
			})
			key++
		}
	}
	if len(vapp.Product) > 0 {
		b.spec.VAppConfig = vapp
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func quantity(q *uint) int64 {
	if q == nil {
		return 0
	}
	return int64(*q)
}

// kinds of hardware items, from CIM_ResourceAllocationSettingData.
const (
	itemOther      = 1
	itemCPU        = 3
	itemMemory     = 4
	itemIDE        = 5
	itemSCSI       = 6
	itemEthernet   = 10
	itemFloppy     = 14
	itemCDROM      = 15
	itemDVD        = 16
	itemDisk       = 17
	itemController = 20
	itemUSB        = 23
	itemVideo      = 24
)

// item adds one piece of hardware.
func (b *builder) item(item ovf.ResourceAllocationSettingData) {
	sub := strings.ToLower(text(item.ResourceSubType))
	switch int(*item.ResourceType) {
	case itemOther, itemFloppy, itemUSB, itemVideo:
	case itemCPU:
		b.spec.NumCPUs = int32(quantity(item.VirtualQuantity))
		if item.CoresPerSocket != nil {
			b.spec.NumCoresPerSocket = item.CoresPerSocket.Value
		}
		b.spec.CpuAllocation = allocation(item)
	case itemMemory:
		b.spec.MemoryAllocation = allocation(item)
		b.spec.MemoryMB = quantity(item.VirtualQuantity) * units(item.AllocationUnits, 1<<20) >> 20
	case itemIDE:
		b.controller(item, func() (types.BaseVirtualDevice, error) { return b.device.CreateIDEController() })
	case itemSCSI:
		b.controller(item, func() (types.BaseVirtualDevice, error) { return b.device.CreateSCSIController(sub) })
	case itemController:
		if strings.Contains(sub, "nvme") {
			b.controller(item, func() (types.BaseVirtualDevice, error) { return b.device.CreateNVMEController() })
			return
		}
		b.controller(item, func() (types.BaseVirtualDevice, error) { return b.device.CreateSATAController() })
	case itemEthernet:
		b.ethernet(item, sub)
	case itemCDROM, itemDVD:
		b.cdrom(item)
	case itemDisk:
		b.disk(item)
	default:
		b.unsupported(item, "unsupported kind of hardware %d", *item.ResourceType)
	}
}

// allocation is what an item asks for beyond its quantity, nil for nothing.
func allocation(item ovf.ResourceAllocationSettingData) *types.ResourceAllocationInfo {
	if item.Reservation == nil && item.Limit == nil && item.Weight == nil {
		return nil
	}
	asked := &types.ResourceAllocationInfo{}
	if r := item.Reservation; r != nil {
		asked.Reservation = types.NewInt64(int64(*r))
	}
	if l := item.Limit; l != nil {
		asked.Limit = types.NewInt64(int64(*l))
	}
	if w := item.Weight; w != nil {
		asked.Shares = &types.SharesInfo{Level: types.SharesLevelCustom, Shares: int32(*w)}
	}
	return asked
}

func (b *builder) unsupported(item ovf.ResourceAllocationSettingData, format string, args ...any) {
	b.fail(&types.OvfUnsupportedType{
		Name: item.ElementName, InstanceId: item.InstanceID, DeviceType: int32(*item.ResourceType),
	}, format, args...)
}

func (b *builder) controller(item ovf.ResourceAllocationSettingData, create func() (types.BaseVirtualDevice, error)) {
	d, err := create()
	if err != nil {
		b.unsupported(item, "%s", err)
		return
	}
	b.device = append(b.device, d)
	b.parts[item.InstanceID] = d
}

func (b *builder) ethernet(item ovf.ResourceAllocationSettingData, kind string) {
	if len(item.Connection) == 0 {
		return
	}
	backing := b.network(item.Connection[0])
	if backing == nil {
		return
	}
	if kind == "" {
		kind = "vmxnet3"
	}
	d, err := b.device.CreateEthernetCard(kind, backing)
	if err != nil {
		b.unsupported(item, "%s", err)
		return
	}
	b.device = append(b.device, d)
}

// file finds what an item refers to: ovf:/disk/ID or ovf:/file/ID.
func (b *builder) file(resource []string) (*ovf.VirtualDiskDesc, *ovf.File) {
	if len(resource) == 0 {
		return nil, nil
	}
	id := resource[0][strings.LastIndex(resource[0], "/")+1:]
	var disk *ovf.VirtualDiskDesc
	fileID := id
	if b.env.Disk != nil && strings.Contains(resource[0], "/disk/") {
		for i := range b.env.Disk.Disks {
			if b.env.Disk.Disks[i].DiskID == id {
				disk = &b.env.Disk.Disks[i]
				fileID = text(disk.FileRef)
			}
		}
	}
	for i := range b.env.References {
		if fileID != "" && b.env.References[i].ID == fileID {
			return disk, &b.env.References[i]
		}
	}
	return disk, nil
}

func (b *builder) upload(item ovf.ResourceAllocationSettingData, device types.BaseVirtualDevice, n int, f *ovf.File, create bool) {
	b.result.FileItem = append(b.result.FileItem, types.OvfFileItem{
		DeviceId: fmt.Sprintf("/%s/%s:%d", b.Options.EntityName, b.device.Type(device), n),
		Path:     f.Href, Size: int64(f.Size), CimType: int32(*item.ResourceType), Create: create,
	})
}

func (b *builder) cdrom(item ovf.ResourceAllocationSettingData) {
	ide, ok := b.parts[text(item.Parent)].(*types.VirtualIDEController)
	if !ok {
		return
	}
	d, err := b.device.CreateCdrom(ide)
	if err != nil {
		b.unsupported(item, "%s", err)
		return
	}
	if _, f := b.file(item.HostResource); f != nil {
		path := object.DatastorePath{Datastore: b.Datastore, Path: fmt.Sprintf("%s/_deviceImage%d.iso", b.Options.EntityName, b.images)}
		b.device.InsertIso(d, path.String())
		b.upload(item, d, b.images, f, true)
		b.images++
	}
	b.device = append(b.device, d)
}

func (b *builder) disk(item ovf.ResourceAllocationSettingData) {
	controller, ok := b.parts[text(item.Parent)].(types.BaseVirtualController)
	desc, f := b.file(item.HostResource)
	if !ok || desc == nil {
		b.fail(&types.OvfMissingElement{OvfElement: types.OvfElement{Name: "Disk"}}, "item %s has no disk or no controller", item.InstanceID)
		return
	}
	if desc.FileRef != nil && f == nil {
		b.fail(&types.OvfMissingElement{OvfElement: types.OvfElement{Name: "File"}}, "disk %s has no file", desc.DiskID)
		return
	}
	d := b.device.CreateDisk(controller, types.ManagedObjectReference{}, "")
	backing, _ := d.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	switch types.OvfCreateImportSpecParamsDiskProvisioningType(b.Options.DiskProvisioning) {
	case "", types.OvfCreateImportSpecParamsDiskProvisioningTypeThin:
	case types.OvfCreateImportSpecParamsDiskProvisioningTypeThick, types.OvfCreateImportSpecParamsDiskProvisioningTypeFlat,
		types.OvfCreateImportSpecParamsDiskProvisioningTypeMonolithicFlat:
		backing.ThinProvisioned = types.NewBool(false)
	case types.OvfCreateImportSpecParamsDiskProvisioningTypeEagerZeroedThick:
		backing.ThinProvisioned, backing.EagerlyScrub = types.NewBool(false), types.NewBool(true)
	default:
		b.fail(&types.OvfUnsupportedDiskProvisioning{DiskProvisioning: b.Options.DiskProvisioning},
			"Disk provisioning type not supported: %s", b.Options.DiskProvisioning)
	}
	d.DeviceInfo = &types.Description{Label: item.ElementName}
	d.CapacityInBytes = b.capacity(desc)
	d.CapacityInKB = d.CapacityInBytes / 1024
	if f != nil {
		b.upload(item, d, b.disks, f, false)
	}
	b.device = append(b.device, d)
	b.disks++
}

// units reads "byte * 2^20"; without a unit it is what the field means by default.
func units(s *string, otherwise int64) int64 {
	if s == nil {
		return otherwise
	}
	switch strings.ToLower(*s) {
	case "megabytes", "mb":
		return 1 << 20
	case "gigabytes", "gb":
		return 1 << 30
	}
	factor := int64(1)
	for _, part := range strings.Split(*s, "*") {
		part = strings.TrimSpace(part)
		base, power, ok := strings.Cut(part, "^")
		n, err := strconv.ParseFloat(strings.TrimSpace(base), 64)
		if err != nil {
			continue
		}
		e := 1.0
		if ok {
			if e, err = strconv.ParseFloat(strings.TrimSpace(power), 64); err != nil {
				continue
			}
		}
		factor *= int64(math.Pow(n, e))
	}
	return factor
}
