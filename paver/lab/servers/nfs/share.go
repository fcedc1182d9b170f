package main

import (
	"context"
	"log"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/willscott/go-nfs"
)

// share is one exported folder. What it refuses is what exports(5) has by default: paths that are not exported,
// requests from ports above 1023 ("secure"), and, to whoever is nobody here, files that not everybody may read
// ("root_squash"). helpers.CachingHandler keeps the handles.
type share struct {
	export string
	folder string
}

// Mount gives a handle for the exported folder, or one below it.
func (s *share) Mount(_ context.Context, client net.Conn, request nfs.MountRequest) (
	nfs.MountStatus, billy.Filesystem, []nfs.AuthFlavor,
) {
	wanted := path.Clean("/" + string(request.Dirpath))
	status, folder := s.admit(client.RemoteAddr(), wanted)
	log.Printf("mount of %s by %s: status %d", wanted, client.RemoteAddr(), status)
	// The library asks for a handle of what was refused, too.
	return status, readable{osfs.New(folder, osfs.WithBoundOS())}, []nfs.AuthFlavor{nfs.AuthFlavorUnix}
}

func (s *share) admit(client net.Addr, wanted string) (nfs.MountStatus, string) {
	below, inside := strings.CutPrefix(wanted+"/", s.export+"/")
	from, known := client.(*net.TCPAddr)
	if !inside || !known || from.Port >= 1024 {
		return nfs.MountStatusErrAcces, s.folder
	}
	folder := filepath.Join(s.folder, filepath.FromSlash(below))
	info, err := os.Stat(folder)
	switch {
	case err != nil:
		return nfs.MountStatusErrNoEnt, s.folder
	case !info.IsDir():
		return nfs.MountStatusErrNotDir, s.folder
	}
	return nfs.MountStatusOk, folder
}

// Change says that nothing can be changed.
func (s *share) Change(billy.Filesystem) billy.Change { return nil }

// FSStat tells nothing of the room.
func (s *share) FSStat(context.Context, billy.Filesystem, *nfs.FSStat) error { return nil }

// ToHandle is the caching handler's.
func (s *share) ToHandle(billy.Filesystem, []string) []byte { return nil }

// FromHandle is the caching handler's.
func (s *share) FromHandle([]byte) (billy.Filesystem, []string, error) {
	return nil, nil, os.ErrNotExist
}

// InvalidateHandle is the caching handler's.
func (s *share) InvalidateHandle(billy.Filesystem, []byte) error { return nil }

// HandleLimit is the caching handler's.
func (s *share) HandleLimit() int { return handles }

// readable is a file system of which only what everybody may read can be read, and nothing can be written.
type readable struct{ billy.Filesystem }

// Capabilities makes the library refuse every write.
func (readable) Capabilities() billy.Capability { return billy.ReadCapability | billy.SeekCapability }

// Open opens a file that everybody may read.
func (r readable) Open(name string) (billy.File, error) {
	info, err := r.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o004 == 0 {
		return nil, os.ErrPermission
	}
	return r.Filesystem.Open(name)
}
