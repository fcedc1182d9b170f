// Package vcenter simulates a vCenter that starts empty and manages the lab's
// simulated hosts. What it does to machines, the hosts do: it asks them over
// their own API, as the real one does through its agent, and shows what they
// then have.
package vcenter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Config is the file that `vsim vcenter --config` reads.
type Config struct {
	Name         string   `json:"name"`
	Listen       string   `json:"listen"`
	Certificate  string   `json:"certificate"`
	Key          string   `json:"key"`
	VMCA         Pair     `json:"vmca"`
	SSO          SSO      `json:"sso"`
	DNS          []string `json:"dns"`
	Version      string   `json:"version"`
	Trace        string   `json:"trace"`
	Control      string   `json:"control"`
	Room         string   `json:"room"`
	HostsControl string   `json:"hosts_control"`
}

// Pair is a certificate and its key, as files.
type Pair struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// SSO is the administrator: user@domain.
type SSO struct {
	User     string `json:"user"`
	Password string `json:"password"`
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
	if c.Name == "" || c.Listen == "" || c.SSO.Password == "" {
		return nil, errors.New("a vCenter needs a name, an address to listen on and an SSO password")
	}
	if c.SSO.User == "" {
		c.SSO.User = "administrator@vsphere.local"
	}
	if !strings.Contains(c.SSO.User, "@") {
		c.SSO.User += "@vsphere.local"
	}
	if c.Version == "" {
		c.Version = "8.0.3"
	}
	return &c, nil
}
