package vcenter

import (
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func compareRefs(a, b types.ManagedObjectReference) int {
	if c := strings.Compare(a.Type, b.Type); c != 0 {
		return c
	}
	// Ids are a word and a number; shorter numbers come first.
	if c := len(a.Value) - len(b.Value); c != 0 {
		return c
	}
	return strings.Compare(a.Value, b.Value)
}

// with and without give a new list: one that was handed out never changes.
func with(list []types.ManagedObjectReference, ref types.ManagedObjectReference) []types.ManagedObjectReference {
	if slices.Contains(list, ref) {
		return list
	}
	return append(slices.Clone(list), ref)
}

func without(list []types.ManagedObjectReference, ref types.ManagedObjectReference) []types.ManagedObjectReference {
	return slices.DeleteFunc(slices.Clone(list), func(r types.ManagedObjectReference) bool { return r == ref })
}

// nameOf is an entity's name; networks keep theirs elsewhere.
func nameOf(e mo.Entity) string {
	if n, ok := e.(*mo.Network); ok {
		return n.Name
	}
	return e.Entity().Name
}

// put adds an entity to a folder.
func (v *VCenter) put(ctx *simulator.Context, folder types.ManagedObjectReference, e mo.Entity) {
	f, ok := v.reg.Get(folder).(*simulator.Folder)
	if !ok {
		return
	}
	v.reg.PutEntity(f, e)
	ctx.WithLock(f, func() {
		ctx.Update(f, []types.PropertyChange{{Name: "childEntity", Val: with(f.ChildEntity, e.Reference())}})
	})
	v.announce(e)
}

// announce tells the views of clients that an entity, and what it was born
// with, is there now: when it was made, no path led to it yet.
func (v *VCenter) announce(e mo.Entity) {
	v.reg.Put(e)
	c := compute(e)
	if c == nil {
		return
	}
	for _, ref := range append(slices.Clone(c.Host), *c.ResourcePool) {
		if o, ok := v.reg.Get(ref).(mo.Entity); ok {
			v.reg.Put(o)
		}
	}
}

// drop removes an entity from its folder and from the inventory.
func (v *VCenter) drop(ctx *simulator.Context, e mo.Entity) {
	ref := e.Reference()
	if parent := e.Entity().Parent; parent != nil {
		if f, ok := v.reg.Get(*parent).(*simulator.Folder); ok {
			ctx.WithLock(f, func() {
				ctx.Update(f, []types.PropertyChange{{Name: "childEntity", Val: without(f.ChildEntity, ref)}})
			})
		}
	}
	v.reg.Remove(ctx, ref)
	v.authz.forget(ref)
}

// children are the members of a folder.
func (v *VCenter) children(ctx *simulator.Context, folder types.ManagedObjectReference) []mo.Entity {
	f, ok := v.reg.Get(folder).(*simulator.Folder)
	if !ok {
		return nil
	}
	var refs []types.ManagedObjectReference
	ctx.WithLock(f, func() { refs = slices.Clone(f.ChildEntity) })
	list := make([]mo.Entity, 0, len(refs))
	for _, r := range refs {
		if e, ok := v.reg.Get(r).(mo.Entity); ok {
			list = append(list, e)
		}
	}
	return list
}

// child finds a member of a folder by name.
func (v *VCenter) child(ctx *simulator.Context, folder types.ManagedObjectReference, name string) mo.Entity {
	for _, e := range v.children(ctx, folder) {
		if nameOf(e) == name {
			return e
		}
	}
	return nil
}

// above climbs from an entity to the first ancestor (or itself) of a type.
func (v *VCenter) above(ref types.ManagedObjectReference, kind string) mo.Entity {
	for {
		e, ok := v.reg.Get(ref).(mo.Entity)
		if !ok {
			return nil
		}
		if ref.Type == kind {
			return e
		}
		if e.Entity().Parent == nil {
			return nil
		}
		ref = *e.Entity().Parent
	}
}

func (v *VCenter) datacenterOf(ref types.ManagedObjectReference) *simulator.Datacenter {
	dc, _ := v.above(ref, "Datacenter").(*simulator.Datacenter)
	return dc
}

// compute is what a cluster and a standalone host have in common.
func compute(obj mo.Reference) *mo.ComputeResource {
	switch c := obj.(type) {
	case *simulator.ClusterComputeResource:
		return &c.ComputeResource
	case *mo.ComputeResource:
		return c
	}
	return nil
}

// computeOf finds the cluster or standalone host of a pool, host or machine.
func (v *VCenter) computeOf(ref types.ManagedObjectReference) (mo.Entity, *mo.ComputeResource) {
	for {
		e, ok := v.reg.Get(ref).(mo.Entity)
		if !ok {
			return nil, nil
		}
		if c := compute(e); c != nil {
			return e, c
		}
		if e.Entity().Parent == nil {
			return nil, nil
		}
		ref = *e.Entity().Parent
	}
}

// path is the inventory path of an entity: /north/vm/jumpbox.
func (v *VCenter) path(ref types.ManagedObjectReference) string {
	e, ok := v.reg.Get(ref).(mo.Entity)
	if !ok {
		return ""
	}
	if e.Entity().Parent == nil {
		return ""
	}
	return v.path(*e.Entity().Parent) + "/" + nameOf(e)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
