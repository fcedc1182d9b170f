package vcenter

import (
	"reflect"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// pyVmomi calls a reference so where any type may stand, as in a removeKey, and
// a vCenter takes it.
func init() {
	types.Add("ManagedObject", reflect.TypeFor[types.ManagedObjectReference]())
}

// overridden is what DRS may do with single machines, with changes laid over
// it: to add takes the place of what is there, to edit and to remove need it.
func (v *VCenter) overridden(list []types.ClusterDrsVmConfigInfo, specs []types.ClusterDrsVmConfigSpec, inside []types.ManagedObjectReference) ([]types.ClusterDrsVmConfigInfo, types.BaseMethodFault) {
	invalid := &types.InvalidArgument{InvalidProperty: "spec.drsVmConfigSpec"}
	list = slices.Clone(list)
	for _, spec := range specs {
		key, ok := spec.RemoveKey.(types.ManagedObjectReference)
		removes := spec.Operation == types.ArrayUpdateOperationRemove
		if !removes && spec.Info != nil {
			key, ok = spec.Info.Key, true
		}
		if !ok || !removes && spec.Info == nil {
			return nil, invalid
		}
		at := slices.IndexFunc(list, func(o types.ClusterDrsVmConfigInfo) bool { return o.Key == key })
		if at < 0 && spec.Operation != types.ArrayUpdateOperationAdd && v.refuse.Refuse("drs-override-absent") {
			return nil, invalid
		}
		if !removes && !slices.Contains(inside, key) && v.refuse.Refuse("drs-override-elsewhere") {
			return nil, invalid
		}
		switch {
		case removes && at >= 0:
			list = slices.Delete(list, at, at+1)
		case removes:
		case at < 0:
			list = append(list, *spec.Info)
		case spec.Operation == types.ArrayUpdateOperationAdd:
			list[at] = *spec.Info
		default:
			set(&list[at].Enabled, spec.Info.Enabled)
			if spec.Info.Behavior != "" {
				list[at].Behavior = spec.Info.Behavior
			}
		}
	}
	return list, nil
}

func set(to **bool, value *bool) {
	if value != nil {
		*to = value
	}
}

// machinesIn lists the machines on hosts.
func (v *VCenter) machinesIn(ctx *simulator.Context, hosts []types.ManagedObjectReference) []types.ManagedObjectReference {
	var list []types.ManagedObjectReference
	for _, ref := range hosts {
		if h, ok := v.reg.Get(ref).(*simulator.HostSystem); ok {
			ctx.WithLock(h, func() { list = append(list, h.Vm...) })
		}
	}
	return list
}

// forgetOverrides drops those of machines that have left a cluster.
func (v *VCenter) forgetOverrides(ctx *simulator.Context, entity mo.Entity) {
	c, ok := entity.(*simulator.ClusterComputeResource)
	if !ok {
		return
	}
	inside := v.machinesIn(ctx, c.Host)
	ctx.WithLock(c, func() {
		old, ok := c.ConfigurationEx.(*types.ClusterConfigInfoEx)
		if !ok || !slices.ContainsFunc(old.DrsVmConfig, func(o types.ClusterDrsVmConfigInfo) bool { return !slices.Contains(inside, o.Key) }) {
			return
		}
		next := *old
		next.DrsVmConfig = slices.DeleteFunc(slices.Clone(old.DrsVmConfig), func(o types.ClusterDrsVmConfigInfo) bool { return !slices.Contains(inside, o.Key) })
		ctx.Update(c, []types.PropertyChange{{Name: "configurationEx", Val: &next}})
		c.Configuration = deprecated(&next)
	})
}

// overridesOf is what DRS may do with single machines, by their paths.
func (v *VCenter) overridesOf(c *simulator.ClusterComputeResource) map[string]any {
	out := map[string]any{}
	if ex, ok := c.ConfigurationEx.(*types.ClusterConfigInfoEx); ok {
		for _, o := range ex.DrsVmConfig {
			out[v.path(o.Key)] = o.Enabled == nil || *o.Enabled
		}
	}
	return out
}
