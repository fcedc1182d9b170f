// Package esx simulates bare ESXi hosts: govmomi's simulator with what it
// lacks, and with what it lets pass refused.
package esx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Config is the file that `vsim esx --config` reads.
type Config struct {
	Hosts   []HostConfig `json:"hosts"`
	Control string       `json:"control"`
	Room    string       `json:"room"`
	// Machines holds what belongs to powered-on VMs (their guests' files and
	// credentials); next to the control socket's folder when it is not given.
	Machines string `json:"machines"`
}

// HostConfig is one host.
type HostConfig struct {
	Name        string            `json:"name"`
	Listen      string            `json:"listen"`
	Hostname    string            `json:"hostname"`
	Certificate string            `json:"certificate"`
	Key         string            `json:"key"`
	Users       []User            `json:"users"`
	Datastores  []DatastoreConfig `json:"datastores"`
	Uplinks     []Uplink          `json:"uplinks"`
	Licence     string            `json:"licence"`
	Version     string            `json:"version"`
	Trace       string            `json:"trace"`
	// LeaseTimeoutS is how long an NFC lease lives without progress (300).
	LeaseTimeoutS int `json:"lease_timeout_s"`
}

// User is an account of the host.
type User struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// DatastoreConfig is a datastore and the folder with its files.
type DatastoreConfig struct {
	Name          string `json:"name"`
	Path          string `json:"path"`
	CapacityBytes int64  `json:"capacity_bytes"`
}

// Uplink is a physical network card.
type Uplink struct {
	Device string `json:"device"`
	Up     bool   `json:"up"`
	// Elsewhere is a card with a link into a network that is not the host's.
	Elsewhere bool `json:"elsewhere"`
}

// ReadConfig reads and completes the configuration.
func ReadConfig(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var c Config
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Machines == "" && c.Control != "" {
		c.Machines = filepath.Join(filepath.Dir(filepath.Dir(c.Control)), "machines")
	}
	seen := map[string]bool{}
	for i := range c.Hosts {
		h := &c.Hosts[i]
		if h.Name == "" || h.Listen == "" || len(h.Users) == 0 {
			return nil, errors.New("a host needs a name, an address to listen on and a user")
		}
		if seen[h.Name] {
			return nil, fmt.Errorf("two hosts are called %s", h.Name)
		}
		seen[h.Name] = true
		if h.Hostname == "" {
			h.Hostname = h.Name
		}
		if h.Version == "" {
			h.Version = "8.0.3"
		}
		if h.Licence == "" {
			h.Licence = "evaluation"
		}
		if h.LeaseTimeoutS == 0 {
			h.LeaseTimeoutS = 300
		}
	}
	return &c, nil
}
