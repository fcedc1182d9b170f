// Package control is the unix socket by which the lab steers a simulator:
// HTTP with JSON, for the supervisor and for tests. It is no part of vSphere.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Server answers on the socket.
type Server struct {
	Mux    *http.ServeMux
	server *http.Server
	path   string
}

// Listen makes the socket, replacing one that a killed process left behind.
func Listen(path string) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, err
	}
	s := &Server{Mux: http.NewServeMux(), path: path}
	s.server = &http.Server{Handler: s.Mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := s.server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Printf("control socket: %s", err)
		}
	}()
	return s, nil
}

// Close removes the socket.
func (s *Server) Close() {
	_ = s.server.Close()
	_ = os.Remove(s.path)
}

// Handle answers a JSON request with a JSON reply; an error is a 400 with its
// text, or the status that it carries.
func Handle[Req any](s *Server, pattern string, f func(*http.Request, Req) (any, error)) {
	s.Mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var req Req
		if r.Method == http.MethodPost {
			dec := json.NewDecoder(r.Body)
			dec.DisallowUnknownFields()
			if err := dec.Decode(&req); err != nil && !errors.Is(err, io.EOF) {
				reply(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
				return
			}
		}
		answer, err := f(r, req)
		if err != nil {
			status := http.StatusBadRequest
			var coded *Error
			if errors.As(err, &coded) {
				status = coded.Status
			}
			reply(w, status, map[string]string{"error": err.Error()})
			return
		}
		if answer == nil {
			answer = struct{}{}
		}
		reply(w, http.StatusOK, answer)
	})
}

// Error is an error with a status of its own.
type Error struct {
	Status int
	Text   string
}

func (e *Error) Error() string { return e.Text }

// NotFound says that something named in a request is not there.
func NotFound(format string, args ...any) error {
	return &Error{Status: http.StatusNotFound, Text: fmt.Sprintf(format, args...)}
}

func reply(w http.ResponseWriter, status int, answer any) {
	raw, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n'))
}

// Client speaks to a socket of this kind.
type Client struct {
	http *http.Client
}

// Dial prepares a client; nothing is connected before the first call.
func Dial(path string) *Client {
	dialer := &net.Dialer{}
	return &Client{http: &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", path)
			},
		},
	}}
}

// Call sends a request (nil body: GET) and decodes the reply into answer.
func (c *Client) Call(path string, body, answer any) error {
	method, payload := http.MethodGet, []byte(nil)
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		method, payload = http.MethodPost, raw
	}
	req, err := http.NewRequestWithContext(context.Background(), method, "http://lab"+path, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return &Error{Status: res.StatusCode, Text: res.Status + ": " + strings.TrimSpace(string(raw))}
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(raw, answer)
}
