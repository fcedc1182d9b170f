// Package store is what hosts and vCenter have in common about datastores,
// which are folders of this machine.
package store

import (
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrFull is an upload that the datastore has no room for.
var ErrFull = errors.New("no space left on the datastore")

// EachFile walks the plain files below a folder.
func EachFile(root string, f func(path string, info fs.FileInfo)) {
	_ = fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // a file that goes while we look is no longer there
		}
		if info, err := d.Info(); err == nil {
			f(path, info)
		}
		return nil
	})
}

// Used is what the files below a folder occupy; a thin disk is a file with
// holes.
func Used(path string) int64 {
	var total int64
	EachFile(path, func(_ string, info fs.FileInfo) {
		size := info.Size()
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			size = min(size, s.Blocks*512)
		}
		total += size
	})
	return total
}

// Pour copies until the source ends or the room does; room < 0 is no limit.
func Pour(dst io.Writer, src io.Reader, room int64) (int64, error) {
	buffer := make([]byte, 1<<20)
	if room < 0 {
		return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, buffer)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{io.LimitReader(src, room)}, buffer)
	if err != nil || n < room {
		return n, err
	}
	var one [1]byte
	k, err := io.ReadFull(src, one[:])
	switch {
	case k > 0:
		return n, ErrFull
	case errors.Is(err, io.EOF):
		return n, nil
	}
	return n, err
}

// Path joins a datastore's folder and a path in it, and never leaves it.
func Path(folder, path string) string { return filepath.Join(folder, filepath.Clean("/"+path)) }

// Serve reads, writes or deletes one file, as /folder does; room is what an
// upload may take.
func Serve(w http.ResponseWriter, r *http.Request, file string, room func() int64) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		Send(w, r, file)
	case http.MethodPut, http.MethodPost:
		receive(w, r, file, room())
	case http.MethodDelete:
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			http.NotFound(w, r)
			return
		}
		if err := os.Remove(file); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// Send answers with a file, or with the names in a folder.
func Send(w http.ResponseWriter, r *http.Request, file string) {
	f, err := os.Open(file)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if !info.IsDir() {
		http.ServeContent(w, r, "", info.ModTime(), f)
		return
	}
	entries, err := f.ReadDir(-1)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for _, e := range entries {
		_, _ = fmt.Fprintf(w, "<a href=\"%[1]s\">%[1]s</a>\n", html.EscapeString(e.Name()))
	}
}

// receive writes an upload. What a broken line has brought stays, as it does
// on a real datastore; a full datastore ends the upload.
func receive(w http.ResponseWriter, r *http.Request, file string, room int64) {
	if info, err := os.Stat(file); err == nil && info.IsDir() || strings.HasSuffix(r.URL.Path, "/") {
		http.Error(w, "is a folder", http.StatusBadRequest)
		return
	}
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	var f *os.File
	if err == nil {
		f, err = os.Create(file)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, err = Pour(f, r.Body, room)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	switch {
	case errors.Is(err, ErrFull):
		w.Header().Set("Connection", "close")
		http.Error(w, err.Error(), http.StatusInsufficientStorage)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusCreated)
	}
}
