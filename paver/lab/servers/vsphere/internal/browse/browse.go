// Package browse makes a datastore search complete: what its client leaves
// open ends the simulator's process, or finds nothing.
package browse

import "github.com/vmware/govmomi/vim25/types"

// Spec is the search specification with vSphere's defaults: all files.
func Spec(s *types.HostDatastoreBrowserSearchSpec) *types.HostDatastoreBrowserSearchSpec {
	if s == nil {
		s = &types.HostDatastoreBrowserSearchSpec{}
	}
	if len(s.MatchPattern) == 0 {
		s.MatchPattern = []string{"*"}
	}
	return s
}
