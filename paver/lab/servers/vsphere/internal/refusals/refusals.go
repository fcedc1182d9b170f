// Package refusals is the one table of what the real vSphere refuses and the
// simulator underneath would let pass. Each row can be taken out for a test
// (`vsim … --allow ID`), which is how the tests show that they would notice.
package refusals

import (
	"fmt"
	"slices"
)

// Row is one thing that the real system refuses.
type Row struct {
	ID      string `json:"id"`
	Where   string `json:"where"` // esx, vcenter
	Refuses string `json:"refuses"`
	Fault   string `json:"fault"`
	Source  string `json:"source"`
}

// Switches says which rows have been taken out. The zero value refuses all.
type Switches struct{ allowed map[string]bool }

// Allow builds the switches from the ids given on the command line.
func Allow(ids []string) (*Switches, error) {
	allowed := map[string]bool{}
	for _, id := range ids {
		if !slices.ContainsFunc(Table, func(r Row) bool { return r.ID == id }) {
			return nil, fmt.Errorf("no refusal has the id %q", id)
		}
		allowed[id] = true
	}
	return &Switches{allowed: allowed}, nil
}

// Refuse reports whether the row is in force. An id that is not in the table
// is a programming error: a refusal that nobody could switch off or test.
func (s *Switches) Refuse(id string) bool {
	if !slices.ContainsFunc(Table, func(r Row) bool { return r.ID == id }) {
		panic("refusal without a row in the table: " + id)
	}
	return s == nil || !s.allowed[id]
}
