package front

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Rule is a fault on request: what happens to calls of one method.
type Rule struct {
	Server string `json:"server"`
	// Method is a SOAP method ("PowerOnVM_Task"), an HTTP verb and folder
	// ("POST /nfc", "PUT /folder"), or "*" for all SOAP methods.
	Method string `json:"method"`
	// Target narrows the rule to one managed object by its id.
	Target string `json:"target"`
	// Fault is the fault's type; for an HTTP method it is the status code.
	Fault string `json:"fault"`
	// InTask lets the call pass and the task fail with the fault.
	InTask bool `json:"in_task"`
	// Times is how often the rule acts: 0 means once, -1 for ever.
	Times int `json:"times"`
	// After is how many matching calls pass before the rule acts.
	After int `json:"after"`
	// DelayMS holds the call back.
	DelayMS int `json:"delay_ms"`
	// TaskMS lets the call pass, and vCenter's task take so long before it
	// changes anything, or until the rules are taken out. It stands alone.
	TaskMS int `json:"task_ms"`
	// CutAfterBytes breaks the connection after so many bytes of the body.
	CutAfterBytes int64 `json:"cut_after_bytes"`
	// Drop breaks the connection before an answer; with Late, after the act.
	Drop bool `json:"drop"`
	// Late makes Drop act after the call has been carried out.
	Late bool `json:"late"`
}

// Faults is the set of rules in force at one server.
type Faults struct {
	// Slow says that the server's tasks can take their time.
	Slow bool

	mu      sync.Mutex
	rules   []*Rule
	cleared chan struct{}
}

// Add puts a rule in force.
func (f *Faults) Add(r Rule) error {
	if r.Method == "" {
		return fmt.Errorf("a fault needs a method")
	}
	if r.Fault != "" && !strings.Contains(r.Method, " ") && r.Fault != "SessionExpired" {
		if _, err := NewFault(r.Fault); err != nil {
			return err
		}
	}
	if r.TaskMS > 0 && (!f.Slow || !isTask(r.Method) || r.Fault != "" || r.Drop || r.DelayMS > 0) {
		return fmt.Errorf("only a task of vCenter's can take its time, and then does nothing else")
	}
	if r.Times == 0 {
		r.Times = 1
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &r)
	return nil
}

// Clear takes all rules out.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
	if f.cleared != nil {
		close(f.cleared)
		f.cleared = nil
	}
}

// take returns the rule that acts on this call, if any, and counts it.
func (f *Faults) take(method, target string) *Rule {
	return f.first(method, target, func(r *Rule) bool { return r.TaskMS == 0 })
}

// Work waits as long as the task of a call is to take. The target is the
// entity that the task names.
func (f *Faults) Work(method, target string) {
	r := f.first(method, target, func(r *Rule) bool { return r.TaskMS > 0 })
	if r == nil {
		return
	}
	f.mu.Lock()
	if f.cleared == nil {
		f.cleared = make(chan struct{})
	}
	cleared := f.cleared
	f.mu.Unlock()
	select {
	case <-time.After(time.Duration(r.TaskMS) * time.Millisecond):
	case <-cleared:
	}
}

func (f *Faults) first(method, target string, meant func(*Rule) bool) *Rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		soap := !strings.Contains(method, " ")
		if !meant(r) || r.Method != method && !(r.Method == "*" && soap) || r.Target != "" && r.Target != target || r.Times == 0 {
			continue
		}
		if r.After > 0 {
			r.After--
			continue
		}
		if r.Times > 0 {
			r.Times--
		}
		acting := *r
		return &acting
	}
	return nil
}

// hold waits for the rule's delay or until the client has gone.
func (r *Rule) hold(req *http.Request) {
	if r == nil || r.DelayMS <= 0 {
		return
	}
	select {
	case <-time.After(time.Duration(r.DelayMS) * time.Millisecond):
	case <-req.Context().Done():
	}
}

// cutReader ends a body early, as a line that breaks does.
type cutReader struct {
	io.ReadCloser
	left int64
}

func (c *cutReader) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.ReadCloser.Read(p)
	c.left -= int64(n)
	return n, err
}
