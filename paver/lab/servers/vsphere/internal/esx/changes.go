package esx

import (
	"maps"
	"sync"
)

// Changes are those of a host so far, so that a vCenter knows when to look
// again, and at what: a machine that has not changed need not be read.
type Changes struct {
	All      uint64            `json:"all"`      // how many there were
	Own      uint64            `json:"own"`      // of these, how many changed more than machines
	Any      uint64            `json:"any"`      // which one of all was the last that may have changed any machine
	Machines map[string]uint64 `json:"machines"` // and which the last of each machine, by its id
}

// counter counts them.
type counter struct {
	mu      sync.Mutex
	counted Changes
}

// count counts one, and notes what it was of.
func (c *counter) count(of func(*Changes)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted.All++
	of(&c.counted)
}

// ofHost counts a change of the host itself.
func (c *counter) ofHost() {
	c.count(func(n *Changes) {
		n.Own++
		n.Any = n.All
	})
}

// ofMachines counts a change of nobody knows which machines.
func (c *counter) ofMachines() { c.count(func(n *Changes) { n.Any = n.All }) }

// ofMachine counts a change of one machine.
func (c *counter) ofMachine(id string) {
	c.count(func(n *Changes) {
		if n.Machines == nil {
			n.Machines = map[string]uint64{}
		}
		n.Machines[id] = n.All
	})
}

// gone counts the end of a machine.
func (c *counter) gone(id string) { c.count(func(n *Changes) { delete(n.Machines, id) }) }

// ofNone counts a change of no machine: of files, or of a lease.
func (c *counter) ofNone() { c.count(func(*Changes) {}) }

// goOn counts on from what a host had counted before it was installed anew: a vCenter that had it sees that it is not as
// it was.
func (c *counter) goOn(old *counter) {
	before := old.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted.All += before.All + 1
	c.counted.Own += before.Own + 1
	c.counted.Any = c.counted.All
}

// now is what has been counted.
func (c *counter) now() Changes {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.counted
	n.Machines = maps.Clone(n.Machines)
	return n
}
