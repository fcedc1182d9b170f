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
		if there, sure := l.answers(); sure {
			v.heard(l, there)
		}
	}
}

// answers says whether somebody is at a host's address, and whether that is
// sure: a machine that has much to do is no host that is lost.
func (l *link) answers() (there, sure bool) {
	conn, err := net.DialTimeout("tcp", l.where, heartbeatInterval)
	if err == nil {
		conn.Close()
		return true, true
	}
	var slow net.Error
	return false, !errors.As(err, &slow) || !slow.Timeout()
}

// hear notes whether a host is there, and says whether that is news; the
// caller holds syncMu. Neither the one that is gone nor the one that has come
// back goes on with the session of before: whoever asked there would wait in vain.
func (l *link) hear(there bool) bool {
	if l.lost == !there {
		return false
	}
	l.lost = !there
	l.hangUp()
	return true
}

func (v *VCenter) heard(l *link, there bool) {
	v.syncMu.Lock()
	defer v.syncMu.Unlock()
	if !l.isConnected() || !l.hear(there) {
		return
	}
	if l.lost {
		v.showState(v.front.NewContext(), l, types.HostSystemConnectionStateNotResponding)
		return
	}
	// What it has is brought over anew, and with it that it is connected.
	l.seen = 0
}
