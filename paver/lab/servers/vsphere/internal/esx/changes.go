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

// ofHost counts a change of the host itself.
func (c *counter) ofHost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted.All++
	c.counted.Own++
	c.counted.Any = c.counted.All
}

// ofMachines counts a change of nobody knows which machines.
func (c *counter) ofMachines() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted.All++
	c.counted.Any = c.counted.All
}

// ofMachine counts a change of one machine.
func (c *counter) ofMachine(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted.All++
	if c.counted.Machines == nil {
		c.counted.Machines = map[string]uint64{}
	}
	c.counted.Machines[id] = c.counted.All
}

// gone counts the end of a machine.
func (c *counter) gone(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted.All++
	delete(c.counted.Machines, id)
}

// ofNone counts a change of no machine: of files, or of a lease.
func (c *counter) ofNone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted.All++
}

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
