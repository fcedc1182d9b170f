package front

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Line is one call in the lab's trace. It holds names, never arguments, so no
// secret can get into it.
type Line struct {
	Time   string  `json:"time"`
	Server string  `json:"server"`
	Client string  `json:"client"`
	User   string  `json:"user"`
	Kind   string  `json:"kind"` // soap, http
	Method string  `json:"method"`
	Target string  `json:"target"`
	Write  bool    `json:"write"`
	Fault  *string `json:"fault"`
	MS     int64   `json:"ms"`
}

// Trace appends lines to a file; a nil Trace drops them.
type Trace struct {
	mu   sync.Mutex
	file *os.File
}

// OpenTrace opens the file for appending, readable by its owner alone.
func OpenTrace(path string) (*Trace, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no trace wanted is a valid choice
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &Trace{file: f}, nil
}

// Add writes one line with a single write, so that readers never see half of one.
func (t *Trace) Add(start time.Time, l Line) {
	if t == nil {
		return
	}
	l.Time = start.UTC().Format("2006-01-02T15:04:05.000000Z")
	l.MS = time.Since(start).Milliseconds()
	raw, err := json.Marshal(l)
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.file.Write(append(raw, '\n')); err != nil {
		fmt.Fprintln(os.Stderr, "vsim: trace:", err)
	}
}

// Close closes the file.
func (t *Trace) Close() {
	if t != nil {
		_ = t.file.Close()
	}
}
