package esx

import (
	"os"
	"path/filepath"

	"github.com/vmware/govmomi/simulator"

	"paver.lab/vsphere/internal/front"
)

// install makes a host what ESXi's installer leaves of it: the same hardware
// with empty disks, the settings of the factory, no vCenter, and a certificate
// that it made for itself.
func (f *Fleet) install(name string, certificate, key []byte) error {
	old, err := f.host(name)
	if err != nil {
		return err
	}
	ctx := old.front.NewContext()
	for _, e := range ctx.Map.All("VirtualMachine") {
		if machine, ok := e.(*simulator.VirtualMachine); ok && machine.Config != nil {
			old.tellPower("destroyed", machine)
		}
	}
	old.close()
	for _, d := range old.config.Datastores {
		files, err := os.ReadDir(d.Path)
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := os.RemoveAll(filepath.Join(d.Path, file.Name())); err != nil {
				return err
			}
		}
	}
	if err := front.Save(old.config.Certificate, old.config.Key, certificate, key); err != nil {
		return err
	}
	h, err := newHost(old.config, old.machines, f.room, old.refuse)
	if err != nil {
		return err
	}
	h.changes.goOn(&old.changes)
	f.mu.Lock()
	f.hosts[name] = h
	for i := range f.order {
		if f.order[i] == old {
			f.order[i] = h
		}
	}
	f.mu.Unlock()
	h.serve()
	return nil
}
