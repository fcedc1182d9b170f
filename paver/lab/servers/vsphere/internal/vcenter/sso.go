package vcenter

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/ssoadmin"
	ssomethods "github.com/vmware/govmomi/ssoadmin/methods"
	ssosim "github.com/vmware/govmomi/ssoadmin/simulator"
	ssotypes "github.com/vmware/govmomi/ssoadmin/types"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/front"
	"paver.lab/vsphere/internal/lockout"
)

// administrators is the group whose members may do everything.
const administrators = "Administrators"

// sso is the accounts of the appliance: govmomi's simulator keeps them, and
// this makes passwords, tokens and rights count.
type sso struct {
	v      *VCenter
	domain string
	admin  string // user@domain
	own    string // a password of the lab's own, for its own looking

	lockout lockout.Book

	mu        sync.Mutex // the simulator's directory has no lock of its own
	registry  *simulator.Registry
	people    *ssosim.PrincipalManagementService
	directory *ssosim.PrincipalDiscoveryService
	simValid  func(*types.Login) bool

	tokenMu sync.Mutex
	tokens  map[string]string // by assertion id
	logins  map[string]bool   // sessions that were opened with a token
}

// startSSO serves the administration of accounts and the token service.
func (v *VCenter) startSSO() {
	name, domain, _ := strings.Cut(strings.ToLower(v.config.SSO.User), "@")
	ssosim.IdentitySources.System = ssotypes.IdentitySource{
		Name: domain, Domains: []ssotypes.Domain{{Name: domain, Alias: strings.ToUpper(domain)}},
	}
	ssosim.IdentitySources.LDAPS = nil
	s := &sso{v: v, domain: domain, admin: name + "@" + domain, own: secret(), tokens: map[string]string{}, logins: map[string]bool{}}
	s.lockout = lockout.Book{Server: v.config.Name, Policy: lockPolicy, Refuses: func() bool { return v.refuse.Refuse("sso-lock") }}
	s.registry = ssosim.New(v.reg, &url.URL{User: url.UserPassword(name, v.config.SSO.Password)})
	s.registry.Path = ssoadmin.Path
	s.simValid = v.reg.SessionManager().ValidLogin
	for _, obj := range s.registry.AllReference("") {
		switch o := obj.(type) {
		case *ssosim.PrincipalManagementService:
			s.people = o
		case *ssosim.PrincipalDiscoveryService:
			s.directory = o
		}
	}
	s.people.CreateLocalGroup(nil, &ssotypes.CreateLocalGroup{GroupName: administrators})
	s.people.AddUsersToLocalGroup(nil, &ssotypes.AddUsersToLocalGroup{
		GroupName: administrators, UserIds: []ssotypes.PrincipalId{{Name: name, Domain: domain}},
	})
	s.registry.Put(&passwordPolicy{
		Self: types.ManagedObjectReference{Type: "SsoAdminPasswordPolicyService", Value: "passwordPolicyService"},
	})
	s.registry.Handler = s.face
	// The appliance's own settings (config.vpxd.sso.admin.uri) name the path with the domain in it.
	v.service.RegisterSDK(s.registry, ssoadmin.SystemPath, ssoadmin.Path+"/"+domain)
	v.service.ServeMux.HandleFunc("/sts/STSService", s.serveSTS)
	v.service.ServeMux.HandleFunc("/sts/STSService/", s.serveSTS)
	v.front.Around = func(path, _ string, next func()) {
		if strings.HasPrefix(path, "/sso-adminserver/") {
			s.mu.Lock()
			defer s.mu.Unlock()
		}
		next()
	}
	v.front.Answer = s.contents
	v.sso = s
}

// lockPolicy is when the domain of a new appliance locks an account. Whether
// the administrator's is one of them, the vendor says both: "not to system
// accounts such as administrator" (vSphere Authentication, Edit the vCenter
// Single Sign-On Lockout Policy), and that it has to be unlocked after wrong
// passwords (Broadcom KB 326186). The lab takes what costs more.
func lockPolicy() lockout.Policy {
	return lockout.Policy{Failures: 5, Within: 3 * time.Minute, For: 5 * time.Minute}
}

// passwordDays is how long a password holds in a vCenter that nobody told
// otherwise.
const passwordDays = 90

// passwordPolicy answers for what passwords of the domain are held to.
type passwordPolicy struct {
	Self types.ManagedObjectReference
}

// Reference is what it is known by.
func (p *passwordPolicy) Reference() types.ManagedObjectReference { return p.Self }

// GetLocalPasswordPolicy tells the lifetime.
func (p *passwordPolicy) GetLocalPasswordPolicy(*simulator.Context, *ssotypes.GetLocalPasswordPolicy) soap.HasFault {
	return &ssomethods.GetLocalPasswordPolicyBody{Res: &ssotypes.GetLocalPasswordPolicyResponse{
		Returnval: ssotypes.AdminPasswordPolicy{PasswordLifetimeDays: passwordDays},
	}}
}

// contents are what a client asks for before it can log in.
func (s *sso) contents(path, method string) (any, string) {
	if !strings.HasPrefix(path, "/sso-adminserver/") {
		return nil, ""
	}
	for _, obj := range s.registry.AllReference("") {
		switch o := obj.(type) {
		case *ssosim.ServiceInstance:
			if method == "SsoAdminServiceInstance" {
				body, _ := o.SsoAdminServiceInstance(nil, nil).(*ssomethods.SsoAdminServiceInstanceBody)
				return body.Res, "urn:" + ssoadmin.Namespace
			}
		case *ssosim.GroupcheckServiceInstance:
			if method == "SsoGroupcheckServiceInstance" {
				body, _ := o.SsoGroupcheckServiceInstance(nil, nil).(*ssomethods.SsoGroupcheckServiceInstanceBody)
				return body.Res, "urn:" + ssoadmin.Namespace
			}
		}
	}
	return nil, ""
}

// normal gives an account's name one form: user@domain, in small letters.
func (s *sso) normal(user string) string {
	user = strings.ToLower(strings.TrimSpace(user))
	if domain, name, ok := strings.Cut(user, `\`); ok {
		return name + "@" + domain
	}
	if !strings.Contains(user, "@") {
		return user + "@" + s.domain
	}
	return user
}

// principal is an account's name as permissions show it: DOMAIN\user.
func (s *sso) principal(name string) string {
	user, domain, _ := strings.Cut(s.normal(name), "@")
	return strings.ToUpper(domain) + `\` + user
}

// right checks a name, in any of its forms, and a password, and counts nothing;
// a locked account has no right one.
func (s *sso) right(user, password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.simValid(&types.Login{UserName: s.normal(user), Password: password}) && !s.lockout.Locked(s.normal(user))
}

// valid checks a login, and counts a wrong password of an account that is there.
func (s *sso) valid(user, password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	user = s.normal(user)
	if s.simValid(&types.Login{UserName: user, Password: password}) {
		return s.lockout.Try(user, true)
	}
	if s.isThere(user) {
		s.lockout.Try(user, false)
	}
	return false
}

// exists reports whether there is a person or group of that name; the caller
// holds no lock.
func (s *sso) exists(name string, group bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, domain, _ := strings.Cut(s.normal(name), "@")
	if group {
		for _, g := range s.groups() {
			if strings.EqualFold(g.Id.Name, user) && strings.EqualFold(g.Id.Domain, domain) {
				return true
			}
		}
		return false
	}
	return s.isThere(user + "@" + domain)
}

// isThere reports whether there is a person of that normal name; the caller
// holds the lock.
func (s *sso) isThere(normal string) bool {
	return slices.ContainsFunc(s.persons(), func(p ssotypes.AdminPersonUser) bool { return p.Id.Name+"@"+p.Id.Domain == normal })
}

func (s *sso) persons() []ssotypes.AdminPersonUser {
	body, _ := s.directory.FindPersonUsers(nil, &ssotypes.FindPersonUsers{}).(*ssomethods.FindPersonUsersBody)
	return body.Res.Returnval
}

func (s *sso) groups() []ssotypes.AdminGroup {
	body, _ := s.directory.FindGroups(nil, &ssotypes.FindGroups{}).(*ssomethods.FindGroupsBody)
	return body.Res.Returnval
}

// groupsOf lists the groups that an account belongs to.
func (s *sso) groupsOf(user string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, domain, _ := strings.Cut(s.normal(user), "@")
	check, ok := s.registry.Get(types.ManagedObjectReference{Type: "SsoGroupcheckGroupCheckService", Value: "groupCheckService"}).(*ssosim.GroupcheckService)
	if !ok {
		return nil
	}
	body, _ := check.FindAllParentGroups(nil, &ssotypes.FindAllParentGroups{UserId: ssotypes.PrincipalId{Name: name, Domain: domain}}).(*ssomethods.FindAllParentGroupsBody)
	if body.Res == nil {
		return nil
	}
	names := []string{}
	for _, g := range body.Res.Returnval {
		names = append(names, s.principal(g.Name+"@"+g.Domain))
	}
	return names
}

// isAdmin reports whether an account may do everything.
func (s *sso) isAdmin(user string) bool {
	return s.normal(user) == s.admin || slices.Contains(s.groupsOf(user), s.principal(administrators))
}

// face stands before the administration service: a session of vCenter itself
// is none here, and only administrators change accounts.
func (s *sso) face(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if m.Name == "Login" && m.This.Type == "SsoSessionManager" {
		return nil, s.login(ctx)
	}
	if ctx.Session == nil {
		return nil, nil
	}
	s.tokenMu.Lock()
	own := s.logins[ctx.Session.Key]
	s.tokenMu.Unlock()
	denied := &types.NotAuthenticated{NoPermission: types.NoPermission{Object: &m.This, PrivilegeId: "System.View"}}
	if !own && s.v.refuse.Refuse("sso-own-login") {
		return nil, denied
	}
	if !front.Reading(m.Name) && s.v.refuse.Refuse("sso-admin") {
		// The directory's lock is held for the whole call.
		admin := s.normal(ctx.Session.UserName) == s.admin
		if !admin {
			return nil, &types.NoPermission{Object: &m.This, PrivilegeId: "SsoAdmin"}
		}
	}
	if people, ok := ctx.Map.Get(m.This).(*ssosim.PrincipalManagementService); ok {
		m.This.Value = "lab:" + m.This.Value
		return &persons{PrincipalManagementService: people, sso: s}, nil
	}
	return nil, nil
}

// login opens a session for whoever holds a token that was issued here.
func (s *sso) login(ctx *simulator.Context) types.BaseMethodFault {
	user := s.bearer(ctx)
	if user == "" {
		if !s.v.refuse.Refuse("sso-token") {
			user = s.admin
		} else {
			return new(types.InvalidLogin)
		}
	}
	now := time.Now().UTC()
	key := uuid.NewString()
	vim := ctx.For(vim25.Path)
	vim.SetSession(simulator.Session{
		UserSession: types.UserSession{Key: key, UserName: user, FullName: user, LoginTime: now, LastActiveTime: now, Locale: "en_US", MessageLocale: "en_US"},
		Registry:    simulator.NewRegistry(), Map: ctx.Map,
	}, true)
	s.tokenMu.Lock()
	s.logins[key] = true
	s.tokenMu.Unlock()
	s.v.front.Adopt(key, user)
	return nil
}

// bearer is whom the token in a request's header was issued to.
func (s *sso) bearer(ctx *simulator.Context) string {
	element, ok := ctx.Header.Security.(*simulator.Element)
	if !ok {
		return ""
	}
	var header struct {
		Assertion struct {
			ID     string `xml:"ID,attr"`
			NameID string `xml:"Subject>NameID"`
		} `xml:"Assertion"`
	}
	// The element's own end is not part of what was kept, so this always ends
	// with an error; what is missing is seen below.
	_ = element.Decode(&header)
	s.tokenMu.Lock()
	defer s.tokenMu.Unlock()
	user := s.tokens[header.Assertion.ID]
	if user == "" || user != s.normal(header.Assertion.NameID) {
		return ""
	}
	return user
}

// SsoAdminFaultPasswordPolicyViolation is a fault that govmomi has no type for;
// its name on the wire is that of the type.
type SsoAdminFaultPasswordPolicyViolation struct{ types.MethodFault }

// persons answers for PrincipalManagementService.
type persons struct {
	*ssosim.PrincipalManagementService
	sso *sso
}

// weak reports whether a password breaks the policy of a new appliance: 8 to
// 20 characters, of all four kinds.
func weak(password string) bool {
	if len(password) < 8 || len(password) > 20 {
		return true
	}
	var upper, lower, digit, special bool
	for _, r := range password {
		switch {
		case r > unicode.MaxASCII:
			return true
		case unicode.IsUpper(r):
			upper = true
		case unicode.IsLower(r):
			lower = true
		case unicode.IsDigit(r):
			digit = true
		default:
			special = true
		}
	}
	return !(upper && lower && digit && special)
}

// adjacent reports whether a character stands more than three times in a row,
// which the policy of a new appliance's directory does not take.
func adjacent(password string) bool {
	var last rune
	row := 0
	for _, r := range password {
		if r != last {
			last, row = r, 0
		}
		if row++; row > 3 {
			return true
		}
	}
	return false
}

// against reports whether the policy refuses a password.
func (p *persons) against(password string) bool {
	return weak(password) && p.sso.v.refuse.Refuse("sso-password") ||
		adjacent(password) && p.sso.v.refuse.Refuse("sso-password-row")
}

func (p *persons) CreateLocalPersonUser(ctx *simulator.Context, req *ssotypes.CreateLocalPersonUser) soap.HasFault {
	if p.against(req.Password) {
		return &ssomethods.CreateLocalPersonUserBody{Fault_: simulator.Fault("The password does not meet the policy.", &SsoAdminFaultPasswordPolicyViolation{})}
	}
	req.UserName = strings.ToLower(req.UserName)
	return p.PrincipalManagementService.CreateLocalPersonUser(ctx, req)
}

// ResetLocalPersonUserPassword sets a new password; the simulator's sets that
// of a copy.
func (p *persons) ResetLocalPersonUserPassword(ctx *simulator.Context, req *ssotypes.ResetLocalPersonUserPassword) soap.HasFault {
	body := new(ssomethods.ResetLocalPersonUserPasswordBody)
	name, domain, _ := strings.Cut(p.sso.normal(req.UserName), "@")
	// Once: a directory lists its persons in another order each time.
	persons := p.sso.persons()
	i := slices.IndexFunc(persons, func(u ssotypes.AdminPersonUser) bool { return u.Id.Name == name && u.Id.Domain == domain })
	switch {
	case i < 0:
		body.Fault_ = simulator.Fault("", new(types.NotFound))
		return body
	case p.against(req.NewPassword):
		body.Fault_ = simulator.Fault("The password does not meet the policy.", &SsoAdminFaultPasswordPolicyViolation{})
		return body
	}
	details := persons[i].Details
	p.DeleteLocalPrincipal(ctx, &ssotypes.DeleteLocalPrincipal{PrincipalName: name + "@" + domain})
	p.PrincipalManagementService.CreateLocalPersonUser(ctx, &ssotypes.CreateLocalPersonUser{UserName: name, UserDetails: details, Password: req.NewPassword})
	body.Res = new(ssotypes.ResetLocalPersonUserPasswordResponse)
	return body
}
