// Package lockout counts wrong passwords and locks accounts, by a clock that
// can be set forward and be held: nobody has to wait for a lock to end, or to
// be quicker than it ends.
package lockout

import (
	"log"
	"sync"
	"time"
)

// Policy is when an account is locked, and for how long.
type Policy struct {
	Failures int           // wrong passwords that lock; 0 locks nobody
	Within   time.Duration // in what time they count; 0 is any
	For      time.Duration // counted from the last wrong one
}

// Book is the accounts of one server.
type Book struct {
	// Policy tells what holds now.
	Policy func() Policy
	// Refuses says whether a lock counts.
	Refuses func() bool
	// Server is whose accounts they are, for the log.
	Server string

	mu    sync.Mutex
	ahead time.Duration
	stood time.Time // since when the clock stands still; zero while it goes
	wrong map[string][]time.Time
}

// Clock is how the clock is to be set.
type Clock struct {
	Forward int  `json:"forward_seconds"`
	Still   bool `json:"still"` // from now on it goes only where it is set forward
}

// Set sets the clock.
func (b *Book) Set(c Clock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead += time.Duration(c.Forward) * time.Second
	if c.Still && b.stood.IsZero() {
		b.stood = time.Now()
	}
}

// Try counts a login with the right or a wrong password, and says whether it
// is let in. A locked account is not let in by the right one either, and each
// wrong one begins its time anew.
func (b *Book) Try(account string, right bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wrong == nil {
		b.wrong = map[string][]time.Time{}
	}
	locked := b.locked(account)
	if right {
		if !locked {
			delete(b.wrong, account)
		}
		return !locked
	}
	policy := b.Policy()
	b.wrong[account] = append(recent(b.wrong[account], b.now(), policy.Within), b.now())
	if n := len(b.wrong[account]); policy.Failures > 0 && n >= policy.Failures {
		log.Printf("%s: remote access for the account '%s' has been locked for %.0f seconds after %d failed login attempts",
			b.Server, account, policy.For.Seconds(), n)
	}
	return false
}

// Locked reports whether an account is locked now.
func (b *Book) Locked(account string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.locked(account)
}

func (b *Book) locked(account string) bool {
	policy, wrong := b.Policy(), b.wrong[account]
	if policy.Failures <= 0 || len(wrong) < policy.Failures {
		return false
	}
	if !b.now().Before(wrong[len(wrong)-1].Add(policy.For)) {
		delete(b.wrong, account)
		return false
	}
	return b.Refuses()
}

func (b *Book) now() time.Time {
	if b.stood.IsZero() {
		return time.Now().Add(b.ahead)
	}
	return b.stood.Add(b.ahead)
}

func recent(all []time.Time, now time.Time, within time.Duration) []time.Time {
	if within <= 0 {
		return all
	}
	var kept []time.Time
	for _, t := range all {
		if now.Sub(t) <= within {
			kept = append(kept, t)
		}
	}
	return kept
}
