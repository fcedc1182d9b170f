// Package front is the TLS address in front of a simulated vSphere server. It
// traces every call, carries out the faults that a test asked for, and knows
// whose session a request belongs to.
package front

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Files is the kind of what is read and written over HTTP.
const Files = "File"

// Front serves one address.
type Front struct {
	Name        string
	Certificate *Certificate
	Faults      Faults
	// Valid checks a name and password: for HTTP basic authentication.
	Valid func(user, password string) bool
	// Before is called ahead of every SOAP call that reads.
	Before func(method string)
	// Around is called with the path and the method of every call, and makes
	// the call.
	Around func(path, method string, next func())
	// Answer may answer a call that needs no session: with what to put into
	// the body, and its namespace.
	Answer func(path, method string) (body any, namespace string)
	// Changed is called after every call that may have changed something, with
	// the kind and the id of the object that it was made on; for what came over
	// HTTP, with Files and no id.
	Changed func(kind, id string)

	service  *simulator.Service
	sessions *sessions
	trace    *Trace
	server   *http.Server
	listener net.Listener
	lines    lines
}

// New puts a front before a simulator's service and reserves its address, so
// that a name or port in use is reported before anything else happens.
func New(name, listen string, certificate *Certificate, trace *Trace, service *simulator.Service) (*Front, error) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	f := &Front{
		Name:        name,
		Certificate: certificate,
		Valid:       func(string, string) bool { return false },
		Before:      func(string) {},
		Changed:     func(_, _ string) {},
		Around:      func(_, _ string, next func()) { next() },
		Answer:      func(string, string) (any, string) { return nil, "" },
		service:     service,
		sessions:    newSessions(),
		trace:       trace,
		listener:    listener,
	}
	// A user other than the simulator's default makes it ask ValidLogin.
	service.Listen = &url.URL{Scheme: "https", Host: listener.Addr().String(), User: url.UserPassword("nobody", "")}
	return f, nil
}

// Addr is the address that the front listens on.
func (f *Front) Addr() *net.TCPAddr {
	addr, _ := f.listener.Addr().(*net.TCPAddr)
	return addr
}

// Serve answers until Close.
func (f *Front) Serve() {
	f.server = &http.Server{
		Handler:           f,
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          log.New(quiet{}, "", 0),
		ConnState:         f.lines.follow,
	}
	go func() {
		err := f.server.Serve(tls.NewListener(&cuttable{f.listener, &f.lines}, f.Certificate.config()))
		if err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Printf("%s: %s", f.Name, err)
		}
	}()
}

// Close stops listening and lets running calls finish for a moment.
func (f *Front) Close() {
	if f.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		if f.server.Shutdown(ctx) != nil {
			_ = f.server.Close()
		}
	}
	_ = f.listener.Close()
	f.trace.Close()
}

// quiet drops what clients that hang up cause, and passes on the rest.
type quiet struct{}

func (quiet) Write(p []byte) (int, error) {
	for _, common := range []string{"TLS handshake error", "http: URL query", "abort Handler"} {
		if bytes.Contains(p, []byte(common)) {
			return len(p), nil
		}
	}
	return os.Stderr.Write(p)
}

// ExpireSessions ends all sessions, as an idle timeout does.
func (f *Front) ExpireSessions() { f.sessions.expire() }

// UserOf is who a request comes from: by session cookie or basic
// authentication, "" for neither.
func (f *Front) UserOf(r *http.Request) string {
	if user := f.sessions.user(cookieOf(r)); user != "" {
		return user
	}
	if user := f.sessions.user(r.Header.Get("Vmware-Api-Session-Id")); user != "" {
		return user
	}
	return f.BasicUser(r)
}

// BasicUser is who a request names by basic authentication, "" where name and
// password are not right. It is looked at once a request: wrong ones count.
func (f *Front) BasicUser(r *http.Request) string {
	look := func() string {
		user, password, ok := r.BasicAuth()
		if !ok || !f.Valid(user, password) {
			return ""
		}
		return user
	}
	if seen, ok := r.Context().Value(basic{}).(*basicSeen); ok {
		seen.once.Do(func() { seen.user = look() })
		return seen.user
	}
	return look()
}

// basic is the key of what was seen of a request's basic authentication.
type basic struct{}

type basicSeen struct {
	once sync.Once
	user string
}

// Adopt notes a session that was opened without a Login here.
func (f *Front) Adopt(key, user string) { f.sessions.add(key, user) }

// SessionUser is who logged in with this session key.
func (f *Front) SessionUser(key string) string { return f.sessions.user(key) }

func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/sdk") ||
		r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/sso-adminserver/") ||
		r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/sts/") {
		f.serveSOAP(w, r)
		return
	}
	f.serveHTTP(w, r)
}

func (f *Front) serveSOAP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	body, err := readAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c, err := parseCall(body)
	if err != nil {
		writeFault(w, &types.InvalidRequest{}, err.Error())
		return
	}
	cookie := cookieOf(r)
	line := Line{
		Server: f.Name, Client: client(r), User: f.sessions.user(cookie), Kind: "soap",
		Method: c.method, Target: c.target, Write: !Reading(c.method),
	}
	if c.method == "Login" {
		line.User = c.login
	}
	if f.sessions.isExpired(cookie) {
		r.Header.Del("Cookie")
		cookie = ""
	}
	if strings.HasPrefix(r.URL.Path, "/sts/") {
		line.Write = false
	}
	rec := &recorder{ResponseWriter: w}
	defer func() {
		if rec.fault != "" {
			line.Fault = &rec.fault
		}
		f.trace.Add(start, line)
	}()

	rule := f.Faults.take(c.method, c.target)
	rule.hold(r)
	if rule != nil {
		switch {
		case rule.Drop && !rule.Late:
			rec.fault = "dropped"
			panic(http.ErrAbortHandler)
		case rule.Fault == "SessionExpired":
			f.sessions.expire()
			r.Header.Del("Cookie")
		case rule.Fault != "" && rule.InTask && isTask(c.method):
			writeTask(w, c.method, f.failedTask(c, rule.Fault))
			return
		case rule.Fault != "":
			fault, ferr := NewFault(rule.Fault)
			if ferr == nil {
				writeFault(rec, fault, "fault on request: "+rule.Fault)
				return
			}
		}
	}

	if body, namespace := f.Answer(r.URL.Path, c.method); body != nil {
		writeAnswer(rec, body, namespace)
		return
	}
	f.Before(c.method)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if rule != nil && rule.Drop && rule.Late {
		rec.ResponseWriter = discard{header: http.Header{}}
	}
	f.Around(r.URL.Path, c.method, func() { f.service.ServeMux.ServeHTTP(rec, r) })
	rec.finish()
	f.follow(c, cookie, rec)
	if line.Write || refreshes(c.method) {
		f.Changed(c.kind, c.target)
	}
	if rule != nil && rule.Drop && rule.Late {
		rec.fault = "dropped"
		panic(http.ErrAbortHandler)
	}
}

// follow keeps the list of sessions in step with logins and logouts.
func (f *Front) follow(c call, cookie string, rec *recorder) {
	if rec.fault != "" {
		return
	}
	switch c.method {
	case "Login", "LoginByToken", "CloneSession":
		if c.login == "" {
			return // whoever opened the session knows whose it is
		}
		for _, set := range (&http.Response{Header: rec.Header()}).Cookies() {
			if set.Name == soap.SessionCookieName {
				f.sessions.add(strings.Trim(set.Value, `"`), c.login)
			}
		}
	case "Logout":
		f.sessions.remove(cookie)
	}
}

// failedTask makes a task that has failed, for faults that real servers report
// in the task and not in the call.
func (f *Front) failedTask(c call, name string) types.ManagedObjectReference {
	ctx := f.NewContext()
	ref := types.ManagedObjectReference{Type: c.kind, Value: c.target}
	task := simulator.CreateTask(ref, c.method, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		fault, err := NewFault(name)
		if err != nil {
			fault = &types.SystemError{}
		}
		return nil, fault
	})
	return task.Run(ctx)
}

// NewContext is a context of its own for work that no request asked for: the
// simulator's locks are held by contexts, so sharing one would share locks.
func (f *Front) NewContext() *simulator.Context {
	ctx := *f.service.Context
	return &ctx
}

func (f *Front) serveHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	r = r.WithContext(context.WithValue(r.Context(), basic{}, &basicSeen{}))
	method := r.Method + " " + folderOf(r.URL.Path)
	line := Line{
		Server: f.Name, Client: client(r), User: f.UserOf(r), Kind: "http", Method: r.Method + " " + r.URL.Path,
		Target: r.URL.Query().Get("dsName"), Write: writesHTTP(r),
	}
	rec := &recorder{ResponseWriter: w}
	defer func() {
		if rec.status >= 400 {
			rec.fault = strconv.Itoa(rec.status)
		}
		if rec.fault != "" {
			line.Fault = &rec.fault
		}
		f.trace.Add(start, line)
		if line.Write {
			f.Changed(Files, "")
		}
	}()
	rule := f.Faults.take(method, "")
	rule.hold(r)
	if rule != nil {
		if rule.Drop {
			rec.fault = "dropped"
			panic(http.ErrAbortHandler)
		}
		if rule.CutAfterBytes > 0 {
			r.Body = &cutReader{ReadCloser: r.Body, left: rule.CutAfterBytes}
			f.service.ServeMux.ServeHTTP(rec, r)
			rec.fault = "cut"
			panic(http.ErrAbortHandler)
		}
		if status, err := strconv.Atoi(rule.Fault); err == nil {
			http.Error(rec, "fault on request", status)
			return
		}
	}
	f.service.ServeMux.ServeHTTP(rec, r)
}

// writesHTTP reports whether a request changes something. REST reads lists by
// POST as well, and sessions are nobody's state.
func writesHTTP(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.URL.Path == "/api/session" || r.URL.Path == "/rest/com/vmware/cis/session" {
		return false
	}
	action := r.URL.Query().Get("~action") + r.URL.Query().Get("action")
	for _, reading := range []string{"list", "get", "find", "query"} {
		if strings.HasPrefix(action, reading) {
			return false
		}
	}
	return true
}

// folderOf is the first element of a path: /nfc/52…/disk-0.vmdk gives /nfc.
func folderOf(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return "/" + first
}

func client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// recorder notes the status of an answer and, for SOAP, its fault.
type recorder struct {
	http.ResponseWriter
	status int
	fault  string
	head   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status >= 400 && r.head.Len() < 4096 {
		r.head.Write(p[:min(len(p), 4096)])
	}
	return r.ResponseWriter.Write(p)
}

func (r *recorder) finish() {
	if r.status >= 400 {
		r.fault = faultOf(r.head.Bytes())
		if r.fault == "" {
			r.fault = strconv.Itoa(r.status)
		}
	}
}

// discard swallows an answer that the client will never see.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)               {}
