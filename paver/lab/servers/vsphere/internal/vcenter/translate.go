package vcenter

import (
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/rewrite"
)

// translate rewrites, in place, all references and datastore paths in a value:
// into the host's (out) or into ours. What is not known stays as it is.
func (l *link) translate(value any, out bool) {
	if value == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	names := rewrite.Names{Refs: l.maps.toUs, Stores: l.maps.storeUs}
	if out {
		names = rewrite.Names{Refs: l.maps.toHost, Stores: l.maps.storeHost}
	}
	names.In(value)
}

// ours is a value of the host's with our references and names.
func (l *link) ours(value types.AnyType) types.AnyType {
	if value == nil {
		return nil
	}
	l.translate(&value, false)
	return value
}
