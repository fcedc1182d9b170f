package front

import (
	"net"
	"net/http"
	"sync"
)

// lines are the connections to one address. While they are cut, none stands
// and none is accepted. A dead network would be silent: hanging up at once
// spares those who wait for it.
type lines struct {
	mu   sync.Mutex
	cut  bool
	open map[net.Conn]struct{}
}

// Cut breaks all connections, also the one whose request asked for it, and
// refuses new ones until it is taken back.
func (f *Front) Cut(cut bool) {
	f.lines.mu.Lock()
	defer f.lines.mu.Unlock()
	f.lines.cut = cut
	for c := range f.lines.open {
		if cut {
			_ = c.Close()
		}
	}
}

func (l *lines) follow(c net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch state {
	case http.StateNew:
		if l.open == nil {
			l.open = map[net.Conn]struct{}{}
		}
		l.open[c] = struct{}{}
		if l.cut {
			_ = c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		delete(l.open, c)
	}
}

func (l *lines) areCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

// cuttable is a listener that hangs up on whoever calls while the lines are cut.
type cuttable struct {
	net.Listener
	lines *lines
}

func (c *cuttable) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil || !c.lines.areCut() {
			return conn, err
		}
		_ = conn.Close()
	}
}
