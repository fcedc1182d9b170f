package vcenter

import (
	"errors"
	"net"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// heartbeatInterval is how often a host is heard of. A real vCenter waits for
// a minute before it says that one does not respond.
const heartbeatInterval = 2 * time.Second

// heartbeats tells hosts that are there from those that are not. It knows them
// by their addresses: a host's own heartbeats need no name either.
func (v *VCenter) heartbeats() {
	for _, l := range v.allLinks() {
		if !l.isConnected() {
			continue
		}
		conn, err := net.DialTimeout("tcp", l.where, heartbeatInterval)
		if err == nil {
			conn.Close()
		}
		var slow net.Error
		if errors.As(err, &slow) && slow.Timeout() {
			// A machine that has much to do is no host that is lost.
			continue
		}
		v.heard(l, err == nil)
	}
}

func (v *VCenter) heard(l *link, there bool) {
	v.syncMu.Lock()
	defer v.syncMu.Unlock()
	if l.lost == !there || !l.isConnected() {
		return
	}
	l.lost = !there
	if l.lost {
		v.showState(v.front.NewContext(), l, types.HostSystemConnectionStateNotResponding)
		return
	}
	// What it has is brought over anew, and with it that it is connected.
	l.hangUp()
	l.seen = 0
}
