package esx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"paver.lab/vsphere/internal/control"
	"paver.lab/vsphere/internal/front"
	"paver.lab/vsphere/internal/lockout"
	"paver.lab/vsphere/internal/refusals"
	"paver.lab/vsphere/internal/room"
)

func sha256Hex(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Fleet is all hosts of one process.
type Fleet struct {
	mu    sync.RWMutex
	hosts map[string]*Host
	order []*Host

	room    *room.Room
	control *control.Server
}

// Start brings the hosts and the control socket up.
func Start(c *Config, refuse *refusals.Switches) (*Fleet, error) {
	f := &Fleet{hosts: map[string]*Host{}, room: room.Dial(c.Room)}
	for _, hc := range c.Hosts {
		h, err := newHost(hc, c.Machines, f.room, refuse)
		if err != nil {
			f.Close()
			return nil, err
		}
		f.hosts[h.Name] = h
		f.order = append(f.order, h)
	}
	if c.Control != "" {
		server, err := control.Listen(c.Control)
		if err != nil {
			f.Close()
			return nil, err
		}
		f.control = server
		f.routes()
	}
	for _, h := range f.order {
		h.serve()
	}
	return f, nil
}

// Close ends all hosts and removes the socket.
func (f *Fleet) Close() {
	if f.control != nil {
		f.control.Close()
	}
	for _, h := range f.all() {
		h.close()
	}
	f.room.Close()
}

// all is every host, in the order of the configuration.
func (f *Fleet) all() []*Host {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.Clone(f.order)
}

func (f *Fleet) host(name string) (*Host, error) {
	f.mu.RLock()
	h, ok := f.hosts[name]
	f.mu.RUnlock()
	if !ok {
		return nil, control.NotFound("there is no host %q", name)
	}
	return h, nil
}

// some gives one host by name, or all when no name is given.
func (f *Fleet) some(name string) ([]*Host, error) {
	if name == "" {
		return f.all(), nil
	}
	h, err := f.host(name)
	return []*Host{h}, err
}

type none struct{}

type serverOnly struct {
	Server string `json:"server"`
}

func (f *Fleet) routes() {
	c := f.control
	control.Handle(c, "POST /guest", func(_ *http.Request, s GuestState) (any, error) {
		hosts, err := f.some(s.Host)
		if err != nil {
			return nil, err
		}
		for _, h := range hosts {
			if machine := h.findVM(h.front.NewContext(), s.VM); machine != nil {
				h.setGuest(machine, s)
				return nil, nil
			}
		}
		return nil, control.NotFound("there is no machine %s", s.VM)
	})
	control.Handle(c, "POST /fault", func(_ *http.Request, r front.Rule) (any, error) {
		hosts, err := f.some(r.Server)
		if err != nil {
			return nil, err
		}
		for _, h := range hosts {
			if err := h.front.Faults.Add(r); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	control.Handle(c, "DELETE /faults", func(*http.Request, none) (any, error) {
		for _, h := range f.all() {
			h.front.Faults.Clear()
		}
		return nil, nil
	})
	control.Handle(c, "POST /expire", func(_ *http.Request, r serverOnly) (any, error) {
		hosts, err := f.some(r.Server)
		for _, h := range hosts {
			h.front.ExpireSessions()
		}
		return nil, err
	})
	control.Handle(c, "POST /clock", func(_ *http.Request, r struct {
		Server string `json:"server"`
		lockout.Clock
	}) (any, error) {
		hosts, err := f.some(r.Server)
		for _, h := range hosts {
			h.lockout.Set(r.Clock)
		}
		return nil, err
	})
	control.Handle(c, "POST /time", func(_ *http.Request, r struct {
		Server string `json:"server"`
		AheadS int    `json:"ahead_s"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		h.mu.Lock()
		h.ahead = time.Duration(r.AheadS) * time.Second
		h.mu.Unlock()
		return nil, nil
	})
	control.Handle(c, "POST /lockdown", func(_ *http.Request, r struct {
		Server     string   `json:"server"`
		Mode       string   `json:"mode"`
		Exceptions []string `json:"exceptions"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		return nil, h.setLockdown(r.Mode, r.Exceptions)
	})
	control.Handle(c, "GET /inventory", func(r *http.Request, _ none) (any, error) {
		if name := r.URL.Query().Get("server"); name != "" {
			h, err := f.host(name)
			if err != nil {
				return nil, err
			}
			return h.inventory(), nil
		}
		all := map[string]any{}
		for _, h := range f.all() {
			all[h.Name] = h.inventory()
		}
		return all, nil
	})
	control.Handle(c, "POST /uplink", func(_ *http.Request, r struct {
		Server string `json:"server"`
		Device string `json:"device"`
		Up     bool   `json:"up"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		return nil, h.setUplink(r.Device, r.Up)
	})
	control.Handle(c, "POST /manifest", func(_ *http.Request, r struct {
		Server string `json:"server"`
		Silent bool   `json:"silent"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		h.mu.Lock()
		h.silent = r.Silent
		h.mu.Unlock()
		return nil, nil
	})
	control.Handle(c, "POST /licence", func(_ *http.Request, r struct {
		Server  string `json:"server"`
		Licence string `json:"licence"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		return nil, h.setLicence(r.Licence)
	})
	control.Handle(c, "POST /certificate", func(_ *http.Request, r struct {
		Server      string `json:"server"`
		Certificate string `json:"certificate"`
		Key         string `json:"key"`
	}) (any, error) {
		h, err := f.host(r.Server)
		if err != nil {
			return nil, err
		}
		return nil, h.replaceCertificate([]byte(r.Certificate), []byte(r.Key))
	})
	control.Handle(c, "POST /install", func(_ *http.Request, r struct {
		Server      string `json:"server"`
		Certificate string `json:"certificate"`
		Key         string `json:"key"`
	}) (any, error) {
		return nil, f.install(r.Server, []byte(r.Certificate), []byte(r.Key))
	})
	f.vcenterRoutes()
	f.agentRoutes()
}

var errHeld = errors.New("the host belongs to another vCenter")
