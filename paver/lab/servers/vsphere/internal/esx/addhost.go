package esx

import (
	"net/http"

	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/control"
)

// HostFacts is what a vCenter asks about a host besides what the host's API
// says: on real hardware its agent on the host would know it.
type HostFacts struct {
	Server     string            `json:"server"`
	UUID       string            `json:"uuid"`
	Hostname   string            `json:"hostname"`
	Manager    string            `json:"manager"`
	Address    string            `json:"address"`
	Changes    Changes           `json:"changes"`
	Datastores map[string]Folder `json:"datastores"`
	Agents     []string          `json:"agents"`
	Licence    string            `json:"licence"`
}

// Folder is a datastore's folder on this machine.
type Folder struct {
	Path     string `json:"path"`
	Capacity int64  `json:"capacity"`
}

// vcenterRoutes is the host's side of AddHost: which vCenter has it, the
// account of its agent, and how often it has changed.
func (f *Fleet) vcenterRoutes() {
	control.Handle(f.control, "GET /hosts", func(*http.Request, none) (any, error) {
		facts := []HostFacts{}
		for _, h := range f.all() {
			facts = append(facts, h.facts())
		}
		return facts, nil
	})
	control.Handle(f.control, "POST /manager", func(_ *http.Request, r struct {
		Server   string `json:"server"`
		Manager  string `json:"manager"`
		Address  string `json:"address"`
		Password string `json:"password"`
		Force    bool   `json:"force"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		return nil, h.manage(r.Manager, r.Address, r.Password, r.Force)
	})
	control.Handle(f.control, "POST /ha", func(_ *http.Request, r struct {
		Server string `json:"server"`
		On     bool   `json:"on"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		h.setHA(r.On)
		return nil, nil
	})
	control.Handle(f.control, "POST /licence-key", func(_ *http.Request, r struct {
		Server string `json:"server"`
		Key    string `json:"key"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		h.assignLicence(r.Key)
		return nil, nil
	})
	control.Handle(f.control, "POST /datastore", func(_ *http.Request, r struct {
		Server string `json:"server"`
		Name   string `json:"name"`
		To     string `json:"to"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		return nil, h.renameDatastore(r.Name, r.To)
	})
}

// setHA: in a cluster with HA the cluster starts machines, and the host's own
// way of starting them is off.
func (h *Host) setHA(on bool) {
	h.mu.Lock()
	h.ha = on
	h.mu.Unlock()
	ctx := h.front.NewContext()
	a, ok := h.reg.Get(*h.host().ConfigManager.AutoStartManager).(*autoStart)
	if !ok || !on {
		return
	}
	var config types.HostAutoStartManagerConfig
	ctx.WithLock(a, func() { config = a.Config })
	defaults := *config.Defaults
	defaults.Enabled = types.NewBool(false)
	config.Defaults = &defaults
	a.set(ctx, config)
}

func (h *Host) facts() HostFacts {
	facts := HostFacts{
		Server: h.Name, UUID: identity(h.Name), Hostname: h.host().Name, Changes: h.changes.now(),
		Datastores: map[string]Folder{}, Agents: h.agentsHere(),
	}
	h.mu.Lock()
	facts.Manager, facts.Address, facts.Licence = h.manager, h.host().Summary.ManagementServerIp, h.licence.key
	h.mu.Unlock()
	for _, d := range h.datastores() {
		facts.Datastores[d.Name] = Folder{Path: d.Path, Capacity: d.CapacityBytes}
	}
	return facts
}

// manage gives the host to a vCenter (and its agent an account), or takes it
// back. The agent's account stays, as it does on a real host.
func (h *Host) manage(manager, address, password string, force bool) error {
	ctx := h.front.NewContext()
	host := h.host()
	h.mu.Lock()
	defer h.mu.Unlock()
	if manager != "" && h.manager != "" && h.manager != manager && !force {
		return &control.Error{Status: http.StatusConflict, Text: errHeld.Error()}
	}
	ctx.WithLock(host, func() { host.Summary.ManagementServerIp = address })
	h.manager = manager
	if password != "" {
		h.users[AgentUser] = password
	}
	h.differs()
	return nil
}
