package esx

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// accounts answers for HostLocalAccountManager.
type accounts struct {
	*simulator.HostLocalAccountManager
	host *Host
}

// CreateUser makes an account that can log in.
func (a *accounts) CreateUser(_ *simulator.Context, req *types.CreateUser) soap.HasFault {
	body := new(methods.CreateUserBody)
	spec := req.User.GetHostAccountSpec()
	a.host.mu.Lock()
	defer a.host.mu.Unlock()
	if _, ok := a.host.users[spec.Id]; ok && a.host.refuse.Refuse("account-duplicate") {
		body.Fault_ = simulator.Fault("", &types.AlreadyExists{Name: spec.Id})
		return body
	}
	a.host.users[spec.Id] = spec.Password
	body.Res = new(types.CreateUserResponse)
	return body
}

// UpdateUser changes an account's password.
func (a *accounts) UpdateUser(_ *simulator.Context, req *types.UpdateUser) soap.HasFault {
	body := new(methods.UpdateUserBody)
	spec := req.User.GetHostAccountSpec()
	a.host.mu.Lock()
	defer a.host.mu.Unlock()
	if _, ok := a.host.users[spec.Id]; !ok {
		body.Fault_ = simulator.Fault("", new(types.UserNotFound))
		return body
	}
	if spec.Password != "" {
		a.host.users[spec.Id] = spec.Password
	}
	body.Res = new(types.UpdateUserResponse)
	return body
}

// RemoveUser removes an account; root stays.
func (a *accounts) RemoveUser(_ *simulator.Context, req *types.RemoveUser) soap.HasFault {
	body := new(methods.RemoveUserBody)
	a.host.mu.Lock()
	defer a.host.mu.Unlock()
	_, ok := a.host.users[req.UserName]
	switch {
	case !ok:
		body.Fault_ = simulator.Fault("", new(types.UserNotFound))
	case req.UserName == "root":
		body.Fault_ = simulator.Fault("", new(types.SecurityError))
	default:
		delete(a.host.users, req.UserName)
		body.Res = new(types.RemoveUserResponse)
	}
	return body
}
