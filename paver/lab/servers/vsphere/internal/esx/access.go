package esx

import (
	"slices"
	"time"

	"github.com/vmware/govmomi/simulator"
	simesx "github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/control"
	"paver.lab/vsphere/internal/lockout"
)

// A host's own settings of when it locks an account out ("ESXi Passwords and
// Account Lockout", vSphere Security), as they are out of the box.
const (
	lockFailures = "Security.AccountLockFailures"
	unlockTime   = "Security.AccountUnlockTime"
)

// furnishAccess puts the settings of lockout and lockdown in.
func (h *Host) furnishAccess() {
	host := h.host()
	if options := h.options(); options != nil {
		options.Setting = append(options.Setting,
			&types.OptionValue{Key: lockFailures, Value: int64(5)}, &types.OptionValue{Key: unlockTime, Value: int64(900)})
		host.Config.Option = options.Setting
	}
	host.Config.LockdownMode = types.HostLockdownModeLockdownDisabled
	h.lockout = &lockout.Book{
		Server: h.Name, Policy: h.lockPolicy, Refuses: func() bool { return h.refuse.Refuse("account-lock") },
	}
}

func (h *Host) options() *simulator.OptionManager {
	ref := h.host().ConfigManager.AdvancedOption
	if ref == nil {
		return nil
	}
	options, _ := h.reg.Get(*ref).(*simulator.OptionManager)
	return options
}

// lockPolicy is what the host's advanced settings say now.
func (h *Host) lockPolicy() lockout.Policy {
	policy := lockout.Policy{}
	options := h.options()
	if options == nil {
		return policy
	}
	h.front.NewContext().WithLock(options, func() {
		for _, o := range options.Setting {
			value := o.GetOptionValue()
			switch n := number(value.Value); value.Key {
			case lockFailures:
				policy.Failures = n
			case unlockTime:
				policy.For = time.Duration(n) * time.Second
			}
		}
	})
	return policy
}

func number(value types.AnyType) int {
	switch n := value.(type) {
	case int32:
		return int(n)
	case int64:
		return int(n)
	}
	return 0
}

// knows reports whether a name and password are right, and counts nothing.
func (h *Host) knows(user, password string) (there, right bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known, ok := h.users[user]
	return ok, ok && known == password
}

// valid checks an account of the host, and counts a wrong password. The agent
// of a vCenter is let in by its own account, which is no person's.
func (h *Host) valid(user, password string) bool {
	there, right := h.knows(user, password)
	switch {
	case !there:
		return false
	case user == AgentUser:
		return right
	}
	return h.lockout.Try(user, right)
}

// admits checks a login beside SOAP, which knows no faults.
func (h *Host) admits(user, password string) bool {
	return h.valid(user, password) && !h.lockedDown(user)
}

// lockedDown reports whether lockdown mode keeps an account out.
func (h *Host) lockedDown(user string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lockdown != types.HostLockdownModeLockdownDisabled && h.lockdown != "" && user != AgentUser &&
		!slices.Contains(h.exceptions, user) && h.refuse.Refuse("lockdown")
}

// checkLogin refuses who has no access though the password is right: all but
// vCenter's agent and the exception users in lockdown mode.
func (h *Host) checkLogin(m *simulator.Method) types.BaseMethodFault {
	login, ok := m.Body.(*types.Login)
	if !ok {
		return nil
	}
	_, right := h.knows(login.UserName, login.Password)
	if !right || h.lockout.Locked(login.UserName) || !h.lockedDown(login.UserName) {
		return nil
	}
	return &types.NoPermission{Object: &simesx.RootFolder.Self, PrivilegeId: "System.View"}
}

// setLockdown is what a vCenter, or somebody at the console, turns on and off.
func (h *Host) setLockdown(mode string, exceptions []string) error {
	wanted := types.HostLockdownMode(mode)
	if !slices.Contains(wanted.Values(), wanted) {
		return control.NotFound("there is no lockdown mode %q", mode)
	}
	h.mu.Lock()
	h.lockdown, h.exceptions = wanted, exceptions
	h.mu.Unlock()
	on := wanted != types.HostLockdownModeLockdownDisabled
	h.alsoInConfig(h.front.NewContext(), func(c *types.HostConfigInfo) {
		c.LockdownMode, c.AdminDisabled = wanted, types.NewBool(on)
	})
	return nil
}
