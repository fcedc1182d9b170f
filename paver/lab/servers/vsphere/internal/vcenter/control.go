package vcenter

import (
	"net/http"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/control"
	"paver.lab/vsphere/internal/esx"
	"paver.lab/vsphere/internal/front"
	"paver.lab/vsphere/internal/lockout"
)

type none struct{}

func (v *VCenter) routes() {
	c := v.control
	control.Handle(c, "POST /guest", func(_ *http.Request, s esx.GuestState) (any, error) {
		return nil, v.hosts.Call("/guest", s, nil)
	})
	control.Handle(c, "POST /fault", func(_ *http.Request, r front.Rule) (any, error) {
		if r.Server != "" && r.Server != v.config.Name {
			return nil, control.NotFound("this is %s", v.config.Name)
		}
		return nil, v.front.Faults.Add(r)
	})
	control.Handle(c, "DELETE /faults", func(*http.Request, none) (any, error) {
		v.front.Faults.Clear()
		return nil, nil
	})
	control.Handle(c, "POST /expire", func(*http.Request, struct {
		Server string `json:"server"`
	},
	) (any, error) {
		v.front.ExpireSessions()
		return nil, nil
	})
	control.Handle(c, "POST /clock", func(_ *http.Request, r lockout.Clock) (any, error) {
		v.sso.lockout.Set(r)
		return nil, nil
	})
	control.Handle(c, "GET /inventory", func(*http.Request, none) (any, error) {
		v.sync()
		return v.inventory(), nil
	})
}

// inventory is all that can be changed about a vCenter, by name and path.
func (v *VCenter) inventory() map[string]any {
	ctx := v.front.NewContext()
	out := map[string]any{
		"kind": "vcenter", "name": v.config.Name, "entities": v.entities(ctx), "roles": v.roles(),
		"permissions": v.permissions(), "attributes": v.attributes(), "users": v.users(), "tags": v.tags(),
	}
	return out
}

// entities lists the tree below the root by path.
func (v *VCenter) entities(ctx *simulator.Context) map[string]any {
	out := map[string]any{}
	names := v.attributeNames()
	for _, e := range v.reg.All("") {
		ref := e.Reference()
		path := v.path(ref)
		if path == "" || ref.Type == "Task" {
			continue
		}
		entry := map[string]any{"type": ref.Type}
		ctx.WithLock(e, func() {
			values := map[string]string{}
			for _, cv := range e.Entity().CustomValue {
				if s, ok := cv.(*types.CustomFieldStringValue); ok && s.Value != "" {
					values[names[s.Key]] = s.Value
				}
			}
			if len(values) > 0 {
				entry["attributes"] = values
			}
			switch o := e.(type) {
			case *simulator.ClusterComputeResource:
				entry["drs"], entry["ha"] = drsOf(o), haOf(o)
				if list := v.overridesOf(o); len(list) > 0 {
					entry["drs_overrides"] = list
				}
			case *simulator.HostSystem:
				entry["state"] = o.Runtime.ConnectionState
				entry["maintenance"] = o.Runtime.InMaintenanceMode
			case *simulator.VirtualMachine:
				entry["power"], entry["template"] = o.Runtime.PowerState, o.Config.Template
			case *mo.Network:
				entry["hosts"] = len(o.Host)
			}
		})
		out[path] = entry
	}
	return out
}

func (v *VCenter) attributeNames() map[int32]string {
	names := map[int32]string{}
	m := v.reg.CustomFieldsManager()
	v.front.NewContext().WithLock(m, func() {
		for _, f := range m.Field {
			names[f.Key] = f.Name
		}
	})
	return names
}

func (v *VCenter) attributes() map[string]any {
	out := map[string]any{}
	m := v.reg.CustomFieldsManager()
	v.front.NewContext().WithLock(m, func() {
		for _, f := range m.Field {
			out[f.Name] = f.ManagedObjectType
		}
	})
	return out
}

func (v *VCenter) roles() map[string]any {
	out := map[string]any{}
	v.front.NewContext().WithLock(v.authz.manager, func() {
		for _, r := range v.authz.manager.RoleList {
			if !r.System {
				out[r.Name] = r.Privilege
			}
		}
	})
	return out
}

func (v *VCenter) permissions() []map[string]any {
	names := map[int32]string{}
	v.front.NewContext().WithLock(v.authz.manager, func() {
		for _, r := range v.authz.manager.RoleList {
			names[r.RoleId] = r.Name
		}
	})
	out := []map[string]any{}
	for _, p := range v.authz.list(func(types.Permission) bool { return true }) {
		path := v.path(*p.Entity)
		if path == "" {
			path = "/"
		}
		out = append(out, map[string]any{"entity": path, "principal": p.Principal, "group": p.Group, "role": names[p.RoleId], "propagate": p.Propagate})
	}
	return out
}

func (v *VCenter) users() []string {
	v.sso.mu.Lock()
	defer v.sso.mu.Unlock()
	names := map[string]bool{}
	for _, p := range v.sso.persons() {
		names[p.Id.Name+"@"+p.Id.Domain] = true
	}
	return sortedKeys(names)
}
