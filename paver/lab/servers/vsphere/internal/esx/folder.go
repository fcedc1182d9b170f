package esx

import (
	"net/http"
	"strings"

	"paver.lab/vsphere/internal/store"
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
	file, ok := h.file("[" + name + "] " + strings.TrimPrefix(r.URL.Path, "/folder/"))
	if dc := strings.Trim(q.Get("dcPath"), "/"); !ok || dc != "" && dc != "ha-datacenter" {
		http.NotFound(w, r)
		return
	}
	store.Serve(w, r, file, func() int64 { return h.uploadRoom(name) })
}

// uploadRoom is what an upload to a datastore may take.
func (h *Host) uploadRoom(datastore string) int64 {
	left, known := h.free(datastore)
	if !known || !h.refuse.Refuse("upload-full") {
		return -1
	}
	return left
}
