// Package room tells the lab's supervisor what happens to machines. Events
// leave in order, one after another, and never hold up a vSphere call.
package room

import (
	"errors"
	"log"
	"sync"
	"time"

	"paver.lab/vsphere/internal/control"
)

// Machine names a VM.
type Machine struct {
	UUID string `json:"uuid"`
	Name string `json:"name"`
	Moid string `json:"moid"`
}

// NIC is a network card and what stands behind it: the supervisor brings an
// address up only where there is a live uplink and the right VLAN.
type NIC struct {
	Key       int32  `json:"key"`
	MAC       string `json:"mac"`
	PortGroup string `json:"port_group"`
	VLAN      int32  `json:"vlan"`
	Switch    string `json:"switch"`
	UplinksUp int    `json:"uplinks_up"`
	Connected bool   `json:"connected"`
}

// Disk is a disk and the file with its content as it was uploaded: none of an
// empty one, whatever its capacity in bytes.
type Disk struct {
	Label    string `json:"label"`
	Path     string `json:"path"`
	File     string `json:"file"`
	Capacity int64  `json:"capacity"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
}

// Power is the event POST /power: a machine went on, off or out of the world.
type Power struct {
	Server      string            `json:"server"`
	State       string            `json:"state"`
	VM          Machine           `json:"vm"`
	ExtraConfig map[string]string `json:"extra_config"`
	NICs        []NIC             `json:"nics"`
	Disks       []Disk            `json:"disks"`
	Boot        string            `json:"boot"` // which time this was; what ends it names it again
}

// Wiring is the event POST /wiring: the NICs of the machines that are on,
// after something in a host's network has changed.
type Wiring struct {
	Server   string  `json:"server"`
	Machines []Wired `json:"machines"`
}

// Wired is one machine with its NICs.
type Wired struct {
	VM   Machine `json:"vm"`
	NICs []NIC   `json:"nics"`
}

type event struct {
	path string
	make func() any
}

// Room is the supervisor; a nil Room hears nothing.
type Room struct {
	client *control.Client
	mu     sync.Mutex
	queue  []event
	wake   chan struct{}
	done   chan struct{}
	once   sync.Once
}

// Dial prepares the connection to the supervisor's socket.
func Dial(socket string) *Room {
	if socket == "" {
		return nil
	}
	r := &Room{client: control.Dial(socket), wake: make(chan struct{}, 1), done: make(chan struct{})}
	go r.run()
	return r
}

// Tell queues an event. The event is made when its turn comes, so that slow
// parts such as a disk's digest are not computed under a simulator's lock.
func (r *Room) Tell(path string, build func() any) {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.queue = append(r.queue, event{path, build})
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Close drops what has not been sent.
func (r *Room) Close() {
	if r != nil {
		r.once.Do(func() { close(r.done) })
	}
}

func (r *Room) run() {
	for {
		select {
		case <-r.done:
			return
		case <-r.wake:
		}
		for {
			r.mu.Lock()
			if len(r.queue) == 0 {
				r.mu.Unlock()
				break
			}
			next := r.queue[0]
			r.queue = r.queue[1:]
			r.mu.Unlock()
			r.send(next)
		}
	}
}

// send tries for a while: the supervisor may be restarting.
func (r *Room) send(e event) {
	body := e.make()
	for attempt := 1; ; attempt++ {
		err := r.client.Call(e.path, body, nil)
		if err == nil {
			return
		}
		var answered *control.Error
		if errors.As(err, &answered) || attempt == 5 {
			log.Printf("room: POST %s: %s", e.path, err)
			return
		}
		select {
		case <-r.done:
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}
