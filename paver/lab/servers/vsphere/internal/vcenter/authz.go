package vcenter

import (
	"slices"
	"strings"
	"sync"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// authz is who may do what. The simulator stores permissions and asks nobody
// for them; here they count.
type authz struct {
	v       *VCenter
	manager *simulator.AuthorizationManager

	mu          sync.Mutex
	permissions map[types.ManagedObjectReference][]types.Permission
	nextRole    int32
	privileges  map[string]bool
}

const adminRole = -1

// moreRights are privileges of today's vCenter that the simulator's list,
// which is of an older one, does not have.
var moreRights = []string{
	"Cryptographer.Access", "InventoryService.Tagging.AttachTag", "InventoryService.Tagging.CreateTag",
	"InventoryService.Tagging.CreateCategory", "InventoryService.Tagging.DeleteTag", "InventoryService.Tagging.DeleteCategory",
	"InventoryService.Tagging.EditTag", "InventoryService.Tagging.ObjectAttachable", "StorageProfile.View", "StorageProfile.Update",
	"VApp.ApplicationConfig", "VApp.Import", "VirtualMachine.Config.ManagedBy", "VirtualMachine.Config.MksControl",
	"VirtualMachine.Config.ReloadFromPath", "VirtualMachine.Config.DiskLease", "VirtualMachine.Config.ChangeTracking",
	"VirtualMachine.Config.Unlock", "VirtualMachine.Provisioning.GetVmFiles", "VirtualMachine.Provisioning.PutVmFiles",
	"VirtualMachine.GuestOperations.Query", "VirtualMachine.GuestOperations.Modify", "VirtualMachine.GuestOperations.Execute",
	"Global.SetCustomField", "Global.ManageCustomFields", "Extension.Register", "Datastore.UpdateVirtualMachineFiles",
	"ContentLibrary.AddLibraryItem", "vSphereDataProtection.Protection",
}

func newAuthz(v *VCenter, ctx *simulator.Context) *authz {
	a := &authz{v: v, permissions: map[types.ManagedObjectReference][]types.Permission{}, nextRole: 1001, privileges: map[string]bool{}}
	ref := ctx.Map.Get(types.ManagedObjectReference{Type: "AuthorizationManager", Value: "AuthorizationManager"})
	a.manager, _ = ref.(*simulator.AuthorizationManager)
	roles := slices.Clone(a.manager.RoleList)
	for i, r := range roles {
		if r.RoleId != adminRole {
			continue
		}
		all := slices.Clone(r.Privilege)
		for _, p := range moreRights {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
		roles[i].Privilege = all
		for _, p := range all {
			a.privileges[p] = true
			group, name, _ := cutLast(p)
			a.manager.PrivilegeList = append(a.manager.PrivilegeList, types.AuthorizationPrivilege{PrivId: p, Name: name, PrivGroupName: group})
		}
	}
	a.manager.RoleList = roles
	root := ctx.Map.Get(types.ManagedObjectReference{Type: "Folder", Value: "group-d1"}).Reference()
	_, domain, _ := strings.Cut(strings.ToUpper(v.config.SSO.User), "@")
	name, _, _ := strings.Cut(v.config.SSO.User, "@")
	a.permissions[root] = []types.Permission{
		{Entity: &root, Principal: domain + `\` + strings.ToLower(name), RoleId: adminRole, Propagate: true},
		{Entity: &root, Principal: domain + `\` + strings.ToLower(administrators), Group: true, RoleId: adminRole, Propagate: true},
	}
	return a
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndex(s, ".")
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// forget drops the permissions on an entity that is gone.
func (a *authz) forget(ref types.ManagedObjectReference) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.permissions, ref)
}

// role gives the privileges of a role.
func (a *authz) role(id int32) []string {
	for _, r := range a.manager.RoleList {
		if r.RoleId == id {
			return r.Privilege
		}
	}
	return nil
}

// part reports whether an entity is a part of a complex one, its parent: it
// has the permissions of the whole, propagated or not, and none of its own.
func (a *authz) part(e mo.Entity) bool {
	parent := e.Entity().Parent
	if parent == nil {
		return false
	}
	switch ref := e.Reference(); ref.Type {
	case "ResourcePool":
		return parent.Type == "ClusterComputeResource" || parent.Type == "ComputeResource"
	case "HostSystem":
		return parent.Type == "ComputeResource"
	case "Folder":
		dc, ok := a.v.reg.Get(*parent).(*simulator.Datacenter)
		return ok && (ref == dc.VmFolder || ref == dc.HostFolder)
	}
	return false
}

// rights are the privileges that an account has on an entity: of the nearest
// permission upward that names the account itself, or else its groups.
func (a *authz) rights(user string, ref types.ManagedObjectReference) []string {
	principal := a.v.sso.principal(user)
	groups := a.v.sso.groupsOf(user)
	for inherited := false; ; {
		a.mu.Lock()
		here := slices.Clone(a.permissions[ref])
		var own, shared []string
		named := false
		for _, p := range here {
			if inherited && !p.Propagate {
				continue
			}
			switch {
			case !p.Group && p.Principal == principal:
				named = true
				own = append(own, a.role(p.RoleId)...)
			case p.Group && slices.Contains(groups, p.Principal):
				shared = append(shared, a.role(p.RoleId)...)
			}
		}
		a.mu.Unlock()
		if named {
			return own
		}
		if len(shared) > 0 {
			return shared
		}
		e, ok := a.v.reg.Get(ref).(mo.Entity)
		if !ok || e.Entity().Parent == nil {
			return nil
		}
		inherited = inherited || !a.part(e)
		ref = *e.Entity().Parent
	}
}

// may reports whether an account has a privilege on an entity.
func (a *authz) may(user string, ref types.ManagedObjectReference, privilege string) bool {
	return a.v.sso.isAdmin(user) || slices.Contains(a.rights(user, ref), privilege)
}

// known reports whether an account has any permission at all; without one it
// can't log in.
func (a *authz) known(user string) bool {
	if a.v.sso.isAdmin(user) {
		return true
	}
	principal := a.v.sso.principal(user)
	groups := a.v.sso.groupsOf(user)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, list := range a.permissions {
		for _, p := range list {
			if !p.Group && p.Principal == principal || p.Group && slices.Contains(groups, p.Principal) {
				return true
			}
		}
	}
	return false
}

// authorization answers for AuthorizationManager.
type authorization struct {
	*simulator.AuthorizationManager
	a *authz
}

// complete adds what every role has, and refuses what is no privilege.
func (m *authorization) complete(ids []string) ([]string, *soap.Fault) {
	out := []string{"System.Anonymous", "System.Read", "System.View"}
	for _, id := range ids {
		if !m.a.privileges[id] && m.a.v.refuse.Refuse("role-privilege") {
			return nil, simulator.Fault("", &types.InvalidArgument{InvalidProperty: "privIds"})
		}
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (m *authorization) setRoles(ctx *simulator.Context, roles []types.AuthorizationRole) {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	ctx.Update(m.AuthorizationManager, []types.PropertyChange{{Name: "roleList", Val: roles}})
}

// AddAuthorizationRole makes a role; the simulator does not say its id.
func (m *authorization) AddAuthorizationRole(ctx *simulator.Context, req *types.AddAuthorizationRole) soap.HasFault {
	body := new(methods.AddAuthorizationRoleBody)
	if object.AuthorizationRoleList(m.RoleList).ByName(req.Name) != nil && m.a.v.refuse.Refuse("role-duplicate") {
		body.Fault_ = simulator.Fault("", &types.AlreadyExists{Name: req.Name})
		return body
	}
	ids, fault := m.complete(req.PrivIds)
	if fault != nil {
		body.Fault_ = fault
		return body
	}
	m.a.mu.Lock()
	id := m.a.nextRole
	m.a.nextRole++
	m.a.mu.Unlock()
	m.setRoles(ctx, append(slices.Clone(m.RoleList), types.AuthorizationRole{
		RoleId: id, Name: req.Name, Privilege: ids, Info: &types.Description{Label: req.Name, Summary: req.Name},
	}))
	body.Res = &types.AddAuthorizationRoleResponse{Returnval: id}
	return body
}

// UpdateAuthorizationRole renames a role and replaces its privileges.
func (m *authorization) UpdateAuthorizationRole(ctx *simulator.Context, req *types.UpdateAuthorizationRole) soap.HasFault {
	body := new(methods.UpdateAuthorizationRoleBody)
	roles := slices.Clone(m.RoleList)
	i := slices.IndexFunc(roles, func(r types.AuthorizationRole) bool { return r.RoleId == req.RoleId })
	switch other := object.AuthorizationRoleList(roles).ByName(req.NewName); {
	case i < 0:
		body.Fault_ = simulator.Fault("", new(types.NotFound))
		return body
	case roles[i].System:
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "roleId"})
		return body
	case other != nil && other.RoleId != req.RoleId:
		body.Fault_ = simulator.Fault("", &types.AlreadyExists{Name: req.NewName})
		return body
	}
	ids, fault := m.complete(req.PrivIds)
	if fault != nil {
		body.Fault_ = fault
		return body
	}
	roles[i].Name, roles[i].Privilege = req.NewName, ids
	roles[i].Info = &types.Description{Label: req.NewName, Summary: req.NewName}
	m.setRoles(ctx, roles)
	body.Res = new(types.UpdateAuthorizationRoleResponse)
	return body
}

// RemoveAuthorizationRole removes a role, and what it was granted for.
func (m *authorization) RemoveAuthorizationRole(ctx *simulator.Context, req *types.RemoveAuthorizationRole) soap.HasFault {
	body := new(methods.RemoveAuthorizationRoleBody)
	roles := slices.Clone(m.RoleList)
	i := slices.IndexFunc(roles, func(r types.AuthorizationRole) bool { return r.RoleId == req.RoleId })
	if i < 0 {
		body.Fault_ = simulator.Fault("", new(types.NotFound))
		return body
	}
	m.a.mu.Lock()
	used := false
	for ref, list := range m.a.permissions {
		kept := slices.DeleteFunc(slices.Clone(list), func(p types.Permission) bool { return p.RoleId == req.RoleId })
		used = used || len(kept) != len(list)
		if !req.FailIfUsed {
			m.a.permissions[ref] = kept
		}
	}
	m.a.mu.Unlock()
	if used && req.FailIfUsed && m.a.v.refuse.Refuse("role-in-use") {
		body.Fault_ = simulator.Fault("", new(types.RemoveFailed))
		return body
	}
	m.setRoles(ctx, slices.Delete(roles, i, i+1))
	body.Res = new(types.RemoveAuthorizationRoleResponse)
	return body
}

// SetEntityPermissions adds or changes permissions; those of others stay,
// where the simulator would replace them all.
func (m *authorization) SetEntityPermissions(req *types.SetEntityPermissions) soap.HasFault {
	body := new(methods.SetEntityPermissionsBody)
	entity, ok := m.a.v.reg.Get(req.Entity).(mo.Entity)
	if !ok {
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.Entity})
		return body
	}
	if m.a.part(entity) && m.a.v.refuse.Refuse("permission-part") {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "entity"})
		return body
	}
	for _, p := range req.Permission {
		if !m.a.v.sso.exists(p.Principal, p.Group) && m.a.v.refuse.Refuse("permission-principal") {
			body.Fault_ = simulator.Fault("", &types.UserNotFound{Principal: p.Principal})
			return body
		}
		if m.a.role(p.RoleId) == nil && m.a.v.refuse.Refuse("permission-role") {
			body.Fault_ = simulator.Fault("", new(types.NotFound))
			return body
		}
	}
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	list := slices.Clone(m.a.permissions[req.Entity])
	for _, p := range req.Permission {
		entity := req.Entity
		p.Entity, p.Principal = &entity, m.a.v.sso.principal(p.Principal)
		list = slices.DeleteFunc(list, func(o types.Permission) bool { return o.Principal == p.Principal && o.Group == p.Group })
		list = append(list, p)
	}
	m.a.permissions[req.Entity] = list
	body.Res = new(types.SetEntityPermissionsResponse)
	return body
}

// RemoveEntityPermission takes a permission away.
func (m *authorization) RemoveEntityPermission(req *types.RemoveEntityPermission) soap.HasFault {
	body := new(methods.RemoveEntityPermissionBody)
	principal := m.a.v.sso.principal(req.User)
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	list := m.a.permissions[req.Entity]
	kept := slices.DeleteFunc(slices.Clone(list), func(p types.Permission) bool { return p.Principal == principal && p.Group == req.IsGroup })
	if len(kept) == len(list) && m.a.v.refuse.Refuse("permission-absent") {
		body.Fault_ = simulator.Fault("", new(types.NotFound))
		return body
	}
	m.a.permissions[req.Entity] = kept
	body.Res = new(types.RemoveEntityPermissionResponse)
	return body
}

// RetrieveEntityPermissions lists the permissions on an entity.
func (m *authorization) RetrieveEntityPermissions(req *types.RetrieveEntityPermissions) soap.HasFault {
	body := new(methods.RetrieveEntityPermissionsBody)
	if _, ok := m.a.v.reg.Get(req.Entity).(mo.Entity); !ok {
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.Entity})
		return body
	}
	body.Res = new(types.RetrieveEntityPermissionsResponse)
	ref := req.Entity
	for inherited := false; ; {
		m.a.mu.Lock()
		for _, p := range m.a.permissions[ref] {
			if !inherited || p.Propagate {
				body.Res.Returnval = append(body.Res.Returnval, p)
			}
		}
		m.a.mu.Unlock()
		e, ok := m.a.v.reg.Get(ref).(mo.Entity)
		if !req.Inherited || !ok || e.Entity().Parent == nil {
			return body
		}
		inherited = inherited || !m.a.part(e)
		ref = *e.Entity().Parent
	}
}

// RetrieveAllPermissions lists all permissions.
func (m *authorization) RetrieveAllPermissions(*types.RetrieveAllPermissions) soap.HasFault {
	return &methods.RetrieveAllPermissionsBody{Res: &types.RetrieveAllPermissionsResponse{
		Returnval: m.a.list(func(types.Permission) bool { return true }),
	}}
}

// RetrieveRolePermissions lists what a role was granted for.
func (m *authorization) RetrieveRolePermissions(req *types.RetrieveRolePermissions) soap.HasFault {
	return &methods.RetrieveRolePermissionsBody{Res: &types.RetrieveRolePermissionsResponse{
		Returnval: m.a.list(func(p types.Permission) bool { return p.RoleId == req.RoleId }),
	}}
}

// list gives permissions in the order of their entities.
func (a *authz) list(wanted func(types.Permission) bool) []types.Permission {
	a.mu.Lock()
	defer a.mu.Unlock()
	refs := make([]types.ManagedObjectReference, 0, len(a.permissions))
	for r := range a.permissions {
		refs = append(refs, r)
	}
	slices.SortFunc(refs, compareRefs)
	var out []types.Permission
	for _, r := range refs {
		for _, p := range a.permissions[r] {
			if wanted(p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// HasPrivilegeOnEntities tells an account what it may do.
func (m *authorization) HasPrivilegeOnEntities(ctx *simulator.Context, req *types.HasPrivilegeOnEntities) soap.HasFault {
	body := &methods.HasPrivilegeOnEntitiesBody{Res: new(types.HasPrivilegeOnEntitiesResponse)}
	for _, e := range req.Entity {
		body.Res.Returnval = append(body.Res.Returnval, m.availability(ctx.Session.UserName, e, req.PrivId))
	}
	return body
}

// HasUserPrivilegeOnEntities tells what another account may do.
func (m *authorization) HasUserPrivilegeOnEntities(req *types.HasUserPrivilegeOnEntities) soap.HasFault {
	body := &methods.HasUserPrivilegeOnEntitiesBody{Res: new(types.HasUserPrivilegeOnEntitiesResponse)}
	for _, e := range req.Entities {
		body.Res.Returnval = append(body.Res.Returnval, m.availability(req.UserName, e, req.PrivId))
	}
	return body
}

func (m *authorization) availability(user string, e types.ManagedObjectReference, ids []string) types.EntityPrivilege {
	out := types.EntityPrivilege{Entity: e}
	for _, id := range ids {
		out.PrivAvailability = append(out.PrivAvailability, types.PrivilegeAvailability{PrivId: id, IsGranted: m.a.may(user, e, id)})
	}
	return out
}

// FetchUserPrivilegeOnEntities lists what an account may do.
func (m *authorization) FetchUserPrivilegeOnEntities(req *types.FetchUserPrivilegeOnEntities) soap.HasFault {
	body := &methods.FetchUserPrivilegeOnEntitiesBody{Res: new(types.FetchUserPrivilegeOnEntitiesResponse)}
	for _, e := range req.Entities {
		rights := m.a.rights(req.UserName, e)
		if m.a.v.sso.isAdmin(req.UserName) {
			rights = m.a.role(adminRole)
		}
		body.Res.Returnval = append(body.Res.Returnval, types.UserPrivilegeResult{Entity: e, Privileges: rights})
	}
	return body
}
