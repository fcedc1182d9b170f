package esx

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // vSphere's manifests are of SHA-1
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/store"
)

// AgentUser is the account by which a vCenter acts on a host.
const AgentUser = "vpxuser"

// sparseMagic begins a VMDK of the sparse formats, streamOptimized among them.
var sparseMagic = []byte("KDMV")

// serveNFC takes a file of an import: /nfc/LEASE/NAME.
func (h *Host) serveNFC(w http.ResponseWriter, r *http.Request) {
	id, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/nfc/"), "/")
	h.mu.Lock()
	l := h.leases[id]
	h.mu.Unlock()
	if l == nil || !l.open() {
		http.NotFound(w, r)
		return
	}
	if !l.byTicket && h.front.UserOf(r) == "" && h.refuse.Refuse("nfc-login") {
		w.Header().Set("WWW-Authenticate", `Basic realm="VMware HTTP server"`)
		http.Error(w, "not authenticated", http.StatusUnauthorized)
		return
	}
	f, ok := l.files[name]
	switch {
	case !ok:
		http.NotFound(w, r)
	case r.Method == http.MethodGet:
		store.Send(w, r, f.file)
	case r.Method == http.MethodPost && !f.disk && h.refuse.Refuse("nfc-image-by-post"):
		// Only disks come as a stream; a file that is created is put.
		http.Error(w, "a file is put, with Overwrite: t", http.StatusMethodNotAllowed)
	case r.Method == http.MethodPost, r.Method == http.MethodPut:
		h.receive(w, r, l, name, f)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// receive writes an upload to the machine's folder. A fault on the way is a
// fault of the lease, as with the real host: there is no resuming.
func (h *Host) receive(w http.ResponseWriter, r *http.Request, l *lease, name string, f leaseFile) {
	ctx := h.front.NewContext()
	refused := func(status int, fault types.BaseMethodFault, message string) {
		l.fail(ctx, fault, message)
		w.Header().Set("Connection", "close")
		http.Error(w, message, status)
	}
	body := bufio.NewReaderSize(r.Body, 1<<20)
	if head, err := body.Peek(len(sparseMagic)); f.disk && err == nil && !bytes.Equal(head, sparseMagic) && h.refuse.Refuse("nfc-disk-format") {
		refused(http.StatusInternalServerError, &types.InvalidDiskFormat{}, "Not a supported disk format: a streamOptimized VMDK is wanted.")
		return
	}
	if err := os.MkdirAll(filepath.Dir(f.file), 0o700); err != nil {
		refused(http.StatusInternalServerError, &types.CannotCreateFile{FileFault: types.FileFault{File: f.path}}, err.Error())
		return
	}
	out, err := os.Create(f.file)
	if err != nil {
		refused(http.StatusInternalServerError, &types.CannotCreateFile{FileFault: types.FileFault{File: f.path}}, err.Error())
		return
	}
	one, two := sha1.New(), sha256.New()
	n, err := store.Pour(io.MultiWriter(out, one, two), body, h.uploadRoom(f.datastore))
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil && r.ContentLength >= 0 && n != r.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	switch {
	case errors.Is(err, store.ErrFull):
		fault := &types.NoDiskSpace{FileFault: types.FileFault{File: f.path}, Datastore: f.datastore}
		refused(http.StatusInsufficientStorage, fault, "Insufficient disk space on datastore '"+f.datastore+"'.")
		return
	case err != nil && h.refuse.Refuse("nfc-short"):
		refused(http.StatusInternalServerError, &types.SystemError{Reason: "transfer ended early"}, "The transfer ended early: "+err.Error())
		return
	}
	sum := hex.EncodeToString(two.Sum(nil))
	h.digests.put(f.file, sum)
	l.mu.Lock()
	l.manifest[name] = types.HttpNfcLeaseManifestEntry{
		Key: f.key, Sha1: hex.EncodeToString(one.Sum(nil)), Checksum: sum, ChecksumType: "sha256",
		Size: n, Disk: f.disk, Capacity: f.capacity,
	}
	l.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}
