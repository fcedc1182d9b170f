package ovfspec

import (
	"regexp"
	"strconv"

	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/vim25/types"
)

// largest is what a virtual disk has at most: 62 TB, of the configuration maximums.
const largest = 62 << 40

var (
	reference = regexp.MustCompile(`^\$\{([^}]+)\}$`)
	bound     = regexp.MustCompile(`(Min|Max)Value\(\s*(-?\d+)\s*\)`)
)

// capacity is how many bytes a disk has. An empty one may have it by a property
// (DSP0243, 9.1: "${KEY}"): as it is mapped, its default where it is not.
func (b *builder) capacity(desc *ovf.VirtualDiskDesc) int64 {
	text := desc.Capacity
	fail := func(fault types.BaseMethodFault) int64 {
		if b.Refuse.Refuse("ovf-capacity") {
			b.fail(fault, "disk %s has no capacity: %s", desc.DiskID, text)
		}
		return 0
	}
	attribute := types.OvfInvalidValue{Value: text}
	attribute.ElementName, attribute.AttributeName = "Disk", "capacity"
	kind := ""
	if found := reference.FindStringSubmatch(text); found != nil {
		property := b.property(found[1])
		if property == nil || desc.FileRef != nil {
			return fail(&types.OvfInvalidValueReference{OvfInvalidValue: attribute})
		}
		kind, text = property.Type, b.valueOf(found[1], property)
		if !within(text, property.Qualifiers) {
			return fail(&types.OvfPropertyValue{OvfProperty: types.OvfProperty{Type: kind, Value: text}})
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	unit := units(desc.CapacityAllocationUnits, 1)
	switch {
	case err == nil && n >= 0 && unit > 0 && n <= largest/unit:
		return n * unit
	case kind != "":
		return fail(&types.OvfPropertyValue{OvfProperty: types.OvfProperty{Type: kind, Value: text}})
	}
	return fail(&types.OvfInvalidValueFormatMalformed{OvfInvalidValue: attribute})
}

// property finds one by its whole key: with its product's class and instance.
func (b *builder) property(key string) *ovf.Property {
	for _, product := range b.env.VirtualSystem.Product {
		for i := range product.Property {
			if product.Key(product.Property[i]) == key {
				return &product.Property[i]
			}
		}
	}
	return nil
}

// valueOf is what a property comes to: one that nobody may set keeps its default.
func (b *builder) valueOf(key string, p *ovf.Property) string {
	if p.UserConfigurable != nil && *p.UserConfigurable {
		for _, m := range b.Options.PropertyMapping {
			if m.Key == key {
				return m.Value
			}
		}
	}
	return text(p.Default)
}

// within holds a number to "MinValue(8),MaxValue(4096)".
func within(value string, qualifiers *string) bool {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return false
	}
	for _, found := range bound.FindAllStringSubmatch(text(qualifiers), -1) {
		limit, err := strconv.ParseInt(found[2], 10, 64)
		if err != nil || found[1] == "Min" && n < limit || found[1] == "Max" && n > limit {
			return false
		}
	}
	return true
}
