package front

import (
	"net/http"
	"strings"
	"sync"

	"github.com/vmware/govmomi/vim25/soap"
)

// sessions knows who stands behind a session cookie, for the trace and for
// uploads, which the simulator itself would take from anyone.
type sessions struct {
	mu      sync.Mutex
	users   map[string]string
	expired map[string]bool
}

func newSessions() *sessions {
	return &sessions{users: map[string]string{}, expired: map[string]bool{}}
}

func cookieOf(r *http.Request) string {
	c, err := r.Cookie(soap.SessionCookieName)
	if err != nil {
		return ""
	}
	return strings.Trim(c.Value, `"`)
}

func (s *sessions) user(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expired[id] {
		return ""
	}
	return s.users[id]
}

func (s *sessions) add(id, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[id] = user
}

func (s *sessions) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, id)
}

// expire ends every session of now; the client sees NotAuthenticated.
func (s *sessions) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.users {
		s.expired[id] = true
	}
}

func (s *sessions) isExpired(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expired[id]
}
