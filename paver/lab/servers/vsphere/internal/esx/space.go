package esx

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const holdTimeout = 5 * time.Second

// space shows how much room the datastores have. The simulator reads its
// datastores without their lock wherever it looks for a file, so the figures
// are changed only while no call and no task is under way.
type space struct {
	calls sync.RWMutex
	tasks atomic.Int64
	dirty atomic.Bool
	last  atomic.Int64 // when it was looked at, in nanoseconds
}

// around holds the figures still while a call is made. Waiting for updates is
// no work, and would hold them still for ever.
func (s *space) around(_, method string, next func()) {
	if !strings.HasPrefix(method, "WaitForUpdates") {
		s.calls.RLock()
		defer s.calls.RUnlock()
	}
	next()
}

func (s *space) begin() { s.tasks.Add(1) }

// follow sees tasks end, and says whether this one did.
func (s *space) follow(changes []types.PropertyChange) bool {
	for _, c := range changes {
		if c.Name != "info.state" {
			continue
		}
		if c.Val == types.TaskInfoStateSuccess || c.Val == types.TaskInfoStateError {
			s.tasks.Add(-1)
			s.stale()
			return true
		}
	}
	return false
}

// stale says that the figures may be wrong from now on.
func (s *space) stale() { s.dirty.Store(true) }

// refresh looks again when it is time and nobody is at work.
func (s *space) refresh(h *Host) {
	old := time.Since(time.Unix(0, s.last.Load())) > time.Second
	if !old && !s.dirty.Load() || s.tasks.Load() > 0 || !s.calls.TryLock() {
		return
	}
	defer s.calls.Unlock()
	if s.tasks.Load() == 0 {
		s.dirty.Store(false)
		s.show(h)
	}
}

// hold keeps calls and tasks away until the caller unlocks them; it gives up
// on a host that is at work for long.
func (s *space) hold() bool {
	for deadline := time.Now().Add(holdTimeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if !s.calls.TryLock() {
			continue
		}
		if s.tasks.Load() == 0 {
			return true
		}
		s.calls.Unlock()
	}
	return false
}

// show takes the figures from the folders.
func (s *space) show(h *Host) {
	s.last.Store(time.Now().UnixNano())
	ctx := h.front.NewContext()
	for _, e := range h.reg.All("Datastore") {
		ds, ok := e.(*simulator.Datastore)
		if !ok {
			continue
		}
		left, known := h.free(ds.Name)
		if !known {
			continue
		}
		ctx.WithLock(ds, func() {
			if ds.Summary.FreeSpace == left {
				return
			}
			if vmfs, ok := ds.Info.(*types.VmfsDatastoreInfo); ok {
				info := *vmfs
				info.FreeSpace, info.MaxFileSize = left, 64<<40
				ds.Info = &info
			}
			ds.Summary.FreeSpace, ds.Summary.Capacity = left, h.capacity(ds.Name)
		})
	}
}
