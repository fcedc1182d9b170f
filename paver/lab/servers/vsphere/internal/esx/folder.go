package esx

import (
	"errors"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"fmt"
)

// serveFolder is /folder/PATH?dcPath=ha-datacenter&dsName=NAME: the files of
// a datastore over HTTP.
func (h *Host) serveFolder(w http.ResponseWriter, r *http.Request) {
	if h.front.UserOf(r) == "" && h.refuse.Refuse("folder-login") {
		w.Header().Set("WWW-Authenticate", `Basic realm="VMware HTTP server"`)
		http.Error(w, "not authenticated", http.StatusUnauthorized)
		return
	}
	q := r.URL.Query()
	name := q.Get("dsName")
	path := strings.TrimPrefix(r.URL.Path, "/folder/")
	file, ok := h.file("[" + name + "] " + path)
	if dc := q.Get("dcPath"); !ok || dc != "" && dc != "ha-datacenter" {
		http.NotFound(w, r)
		return
	}
	ServeFile(w, r, file, func(w http.ResponseWriter) { h.putFile(w, r, name, file) })
}

// ServeFile reads, deletes or (by put) writes one file of a datastore.
func ServeFile(w http.ResponseWriter, r *http.Request, file string, put func(http.ResponseWriter)) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		serveDatastoreFile(w, r, file)
	case http.MethodPut, http.MethodPost:
		put(w)
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

func serveDatastoreFile(w http.ResponseWriter, r *http.Request, file string) {
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
	entries, _ := f.ReadDir(-1)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for _, e := range entries {
		_, _ = fmt.Fprintf(w, "<a href=\"%[1]s\">%[1]s</a>\n", html.EscapeString(e.Name()))
	}
}

// putFile writes an upload. What a broken line has brought stays, as it does
// on a real datastore; a full datastore ends the upload.
func (h *Host) putFile(w http.ResponseWriter, r *http.Request, datastore, file string) {
	if info, err := os.Stat(file); err == nil && info.IsDir() || strings.HasSuffix(r.URL.Path, "/") {
		http.Error(w, "is a folder", http.StatusBadRequest)
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	f, err := os.Create(file)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, err = h.pour(f, r.Body, datastore)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	switch {
	case errors.Is(err, errFull):
		w.Header().Set("Connection", "close")
		http.Error(w, err.Error(), http.StatusInsufficientStorage)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusCreated)
	}
}
