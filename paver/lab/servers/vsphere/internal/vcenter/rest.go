package vcenter

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	vapi "github.com/vmware/govmomi/vapi/simulator"
)

// startREST serves what paver and its users ask of a vCenter over REST. Tags
// are the simulator's own.
func (v *VCenter) startREST(mux *http.ServeMux) {
	patterns, handler := vapi.New(v.service.Listen, v.reg)
	v.rest = handler
	old := newer(apiSince, v.config.Version) && v.refuse.Refuse("api-before")
	for _, p := range patterns {
		if old && p == "/api/" {
			mux.HandleFunc(p, http.NotFound)
			continue
		}
		mux.Handle(p, handler)
	}
	mux.HandleFunc("POST "+oldSession, func(w http.ResponseWriter, r *http.Request) {
		if v.front.BasicUser(r) == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		v.adopt(r, rec)
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
	if old {
		return
	}
	mux.HandleFunc("/api/session", func(w http.ResponseWriter, r *http.Request) { v.serveSession(w, r, handler) })
	signedIn := func(answer any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !v.inSession(r, handler) {
				answerJSON(w, http.StatusUnauthorized, map[string]any{"error_type": "UNAUTHENTICATED", "messages": []any{}})
				return
			}
			answerJSON(w, http.StatusOK, answer)
		}
	}
	mux.HandleFunc("GET /api/appliance/health/system", signedIn("green"))
	mux.HandleFunc("GET /api/appliance/system/version", signedIn(map[string]string{
		"version": v.config.Version + ".00000", "product": "VMware vCenter Server", "build": "24022515",
		"type": "vCenter Server with an embedded Platform Services Controller", "summary": "", "releasedate": "June 25, 2024",
		"install_time": "",
	}))
	mux.HandleFunc("GET /api/appliance/health/database-storage", signedIn("green"))
	mux.HandleFunc("GET /api/appliance/local-accounts/{name}", func(w http.ResponseWriter, r *http.Request) {
		if !v.inSession(r, handler) {
			answerJSON(w, http.StatusUnauthorized, map[string]any{"error_type": "UNAUTHENTICATED", "messages": []any{}})
			return
		}
		v.serveAccount(w, r)
	})
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

const (
	// apiSince is the version from which on the REST API lies below /api.
	apiSince   = "7.0.2"
	oldSession = "/rest/com/vmware/cis/session"
	sessionID  = "Vmware-Api-Session-Id"
)

// serveSession opens and closes sessions. They are the same ones as those of
// the older path, so that a token works for both.
func (v *VCenter) serveSession(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	switch r.Method {
	case http.MethodPost:
		user, password, ok := r.BasicAuth()
		if !ok || v.front.BasicUser(r) == "" {
			answerJSON(w, http.StatusUnauthorized, map[string]any{"error_type": "UNAUTHENTICATED", "messages": []any{}})
			return
		}
		inner := httptest.NewRequest(http.MethodPost, oldSession, nil)
		inner.SetBasicAuth(user, password)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, inner)
		id := v.adopt(r, rec)
		if id == "" {
			http.Error(w, "no session", http.StatusInternalServerError)
			return
		}
		answerJSON(w, http.StatusCreated, id)
	case http.MethodDelete, http.MethodGet:
		if !v.inSession(r, handler) {
			answerJSON(w, http.StatusUnauthorized, map[string]any{"error_type": "UNAUTHENTICATED", "messages": []any{}})
			return
		}
		inner := httptest.NewRequest(r.Method, oldSession, nil)
		inner.Header.Set(sessionID, r.Header.Get(sessionID))
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, inner)
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		var answer map[string]json.RawMessage
		_ = json.Unmarshal(rec.Body.Bytes(), &answer)
		answerJSON(w, http.StatusOK, answer["value"])
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// adopt notes whose a new session is, and gives its id.
func (v *VCenter) adopt(r *http.Request, rec *httptest.ResponseRecorder) string {
	var answer struct {
		Value string `json:"value"`
	}
	user, _, ok := r.BasicAuth()
	if !ok || rec.Code != http.StatusOK || json.Unmarshal(rec.Body.Bytes(), &answer) != nil {
		return ""
	}
	v.front.Adopt(answer.Value, user)
	return answer.Value
}

// inSession asks the simulator whether it knows the session.
func (v *VCenter) inSession(r *http.Request, handler http.Handler) bool {
	id := strings.TrimSpace(r.Header.Get(sessionID))
	if id == "" {
		return false
	}
	inner := httptest.NewRequest(http.MethodGet, oldSession, nil)
	inner.Header.Set(sessionID, id)
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, inner)
	return rec.Code == http.StatusOK
}

// serveAccount tells of an account of the appliance's own system: there is
// root, whose password was set when this vCenter began.
func (v *VCenter) serveAccount(w http.ResponseWriter, r *http.Request) {
	switch {
	case !v.sso.isAdmin(v.front.UserOf(r)) && v.refuse.Refuse("appliance-admin"):
		answerJSON(w, http.StatusForbidden, map[string]any{"error_type": "UNAUTHORIZED", "messages": []any{}})
	case r.PathValue("name") != "root":
		answerJSON(w, http.StatusNotFound, map[string]any{"error_type": "NOT_FOUND", "messages": []any{}})
	default:
		set := v.began.UTC()
		answerJSON(w, http.StatusOK, map[string]any{
			"fullname": "root", "roles": []string{"superAdmin"}, "enabled": true, "has_password": true,
			"last_password_change":             set.Format(stamp),
			"password_expires_at":              set.AddDate(0, 0, passwordDays).Format(stamp),
			"min_days_between_password_change": 0, "max_days_between_password_change": passwordDays,
			"warn_days_before_password_expiration": 7,
		})
	}
}

const tagging = "/rest/com/vmware/cis/tagging"

// tags lists categories with their tags, by name.
func (v *VCenter) tags() map[string][]string {
	login := httptest.NewRequest(http.MethodPost, oldSession, nil)
	login.SetBasicAuth(v.sso.admin, v.sso.own)
	rec := httptest.NewRecorder()
	v.rest.ServeHTTP(rec, login)
	var session struct{ Value string }
	_ = json.Unmarshal(rec.Body.Bytes(), &session)
	get := func(path string, value any) {
		r := httptest.NewRequest(http.MethodGet, tagging+path, nil)
		r.Header.Set(sessionID, session.Value)
		w := httptest.NewRecorder()
		v.rest.ServeHTTP(w, r)
		_ = json.Unmarshal(w.Body.Bytes(), value)
	}
	var categories, tags struct{ Value []string }
	get("/category", &categories)
	get("/tag", &tags)
	out, names := map[string][]string{}, map[string]string{}
	for _, id := range categories.Value {
		var category struct{ Value struct{ Name string } }
		get("/category/id:"+id, &category)
		names[id] = category.Value.Name
		out[category.Value.Name] = []string{}
	}
	for _, id := range tags.Value {
		var tag struct {
			Value struct {
				Name     string
				Category string `json:"category_id"`
			}
		}
		get("/tag/id:"+id, &tag)
		category := names[tag.Value.Category]
		out[category] = append(out[category], tag.Value.Name)
		slices.Sort(out[category])
	}
	return out
}
