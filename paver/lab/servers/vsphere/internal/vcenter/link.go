package vcenter

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // vSphere's thumbprints are of SHA-1
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/esx"
)

// callTimeout bounds a call to a host, which does not respond when it is silent
// for longer; taskTimeout bounds what a host does for a call.
const (
	callTimeout = 30 * time.Second
	taskTimeout = time.Hour
)

// link is one host that this vCenter manages: how to reach it, and which of
// our objects stands for which of its.
type link struct {
	server   string // the host's name in the lab
	uuid     string
	name     string // as it was added
	port     int
	where    string // address and port
	password string // of the agent's account
	ref      types.ManagedObjectReference

	mu     sync.Mutex
	client *vim25.Client
	// seen is how many of the host's changes our objects show, own how many of
	// them were of more than machines; nothing was seen yet where seen is 0.
	seen, own uint64
	// lost is a host that is to be connected and is not there; held by syncMu.
	lost      bool
	connected bool
	licence   string // the key that is assigned to the host
	maps      refMap
}

// refMap translates references and datastore names between us and a host.
type refMap struct {
	toHost    map[types.ManagedObjectReference]types.ManagedObjectReference
	toUs      map[types.ManagedObjectReference]types.ManagedObjectReference
	storeHost map[string]string // our name → the host's
	storeUs   map[string]string
}

func newRefMap() refMap {
	return refMap{
		toHost:    map[types.ManagedObjectReference]types.ManagedObjectReference{},
		toUs:      map[types.ManagedObjectReference]types.ManagedObjectReference{},
		storeHost: map[string]string{},
		storeUs:   map[string]string{},
	}
}

func (m *refMap) put(ours, theirs types.ManagedObjectReference) {
	m.toHost[ours] = theirs
	m.toUs[theirs] = ours
}

// shown is what a server shows when it is dialled: its certificate.
type shown struct {
	leaf    []byte
	chained bool // issued by this vCenter's own authority
}

// look dials a host and takes its certificate as it comes.
func (v *VCenter) look(ctx context.Context, address string, port int) (*shown, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // looked at, then compared
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	secured, ok := conn.(*tls.Conn)
	if !ok || len(secured.ConnectionState().PeerCertificates) == 0 {
		return nil, errors.New("no certificate was shown")
	}
	leaf := secured.ConnectionState().PeerCertificates[0]
	return &shown{leaf: leaf.Raw, chained: leaf.CheckSignatureFrom(v.vmca.root) == nil}, nil
}

// matches compares a thumbprint of either kind, with or without colons.
func (s *shown) matches(thumbprint string) bool {
	plain := strings.ToUpper(strings.NewReplacer(":", "", " ", "").Replace(thumbprint))
	one, two := sha1.Sum(s.leaf), sha256.Sum256(s.leaf) //nolint:gosec // see above
	return plain == fmt.Sprintf("%X", one) || plain == fmt.Sprintf("%X", two)
}

// is says whether a certificate in PEM is the one that was shown.
func (s *shown) is(certificate string) bool {
	block, _ := pem.Decode([]byte(certificate))
	return block != nil && bytes.Equal(block.Bytes, s.leaf)
}

func (s *shown) thumbprint() string { return esx.Thumbprint(s.leaf) }

// dial makes a client that reaches a host by our own DNS and trusts what
// verify lets pass.
func (v *VCenter) dial(host string, port int, config *tls.Config) (*vim25.Client, error) {
	u := &url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(port)), Path: vim25.Path}
	sc := soap.NewClient(u, false)
	sc.Timeout = callTimeout
	sc.Namespace = "urn:" + vim25.Namespace
	sc.Version = "8.0.3.0"
	t := sc.DefaultTransport()
	t.Proxy = nil
	t.TLSClientConfig = config
	t.TLSHandshakeTimeout = callTimeout
	t.DialTLSContext = nil
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		address, err := v.resolver.address(ctx, host)
		if err != nil {
			return nil, err
		}
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, net.JoinHostPort(address, strconv.Itoa(port)))
	}
	return vim25.NewClient(context.Background(), sc)
}

// pinned trusts exactly the certificate that was shown before.
func pinned(s *shown) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // the callback verifies
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 || string(raw[0]) != string(s.leaf) {
				return errors.New("the host's certificate has changed")
			}
			return nil
		},
	}
}

// login opens a session; the second result is the fault to report.
func login(c *vim25.Client, user, password string) types.BaseMethodFault {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	err := session.NewManager(c).Login(ctx, url.UserPassword(user, password))
	return faultOf(err)
}

// faultOf is the vSphere fault in an error; a broken line is a fault as well.
func faultOf(err error) types.BaseMethodFault {
	if err == nil {
		return nil
	}
	if soap.IsSoapFault(err) {
		return pointerFault(soap.ToSoapFault(err).VimFault())
	}
	if soap.IsVimFault(err) {
		return soap.ToVimFault(err)
	}
	var failed task.Error
	if errors.As(err, &failed) && failed.LocalizedMethodFault != nil {
		return failed.LocalizedMethodFault.Fault
	}
	return &types.HostCommunication{}
}

// pointerFault turns a decoded fault, which is a value, into what the
// simulator wants.
func pointerFault(value any) types.BaseMethodFault {
	if value == nil {
		return &types.SystemError{Reason: "a fault without detail"}
	}
	if f, ok := value.(types.BaseMethodFault); ok {
		return f
	}
	p := reflect.New(reflect.TypeOf(value))
	p.Elem().Set(reflect.ValueOf(value))
	if f, ok := p.Interface().(types.BaseMethodFault); ok {
		return f
	}
	return &types.SystemError{Reason: fmt.Sprintf("%T", value)}
}

// open gives the agent's session with the host, opening it when there is none.
func (v *VCenter) open(l *link) (*vim25.Client, types.BaseMethodFault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.connected {
		return nil, &types.HostNotConnected{}
	}
	if l.client != nil {
		return l.client, nil
	}
	c, err := v.dial(l.name, l.port, &tls.Config{RootCAs: v.vmca.pool(), MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, &types.HostCommunication{}
	}
	if fault := login(c, esx.AgentUser, l.password); fault != nil {
		return nil, fault
	}
	l.client = c
	return c, nil
}

// hangUp forgets the session, so that the next call opens a new one.
func (l *link) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.client = nil
}

func (l *link) isConnected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.connected
}

func (l *link) setConnected(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connected = on
	l.client = nil
	l.seen = 0
}

// relay makes a call on the host: references and datastore names in the
// request become the host's, those in the answer ours.
func relay[Req, Res any](v *VCenter, l *link, call func(context.Context, soap.RoundTripper, *Req) (*Res, error), req *Req) (*Res, types.BaseMethodFault) {
	l.translate(req, true)
	for attempt := 1; ; attempt++ {
		c, fault := v.open(l)
		if fault != nil {
			return nil, fault
		}
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		res, err := call(ctx, c, req)
		cancel()
		if err == nil {
			l.translate(res, false)
			return res, nil
		}
		fault = faultOf(err)
		if _, expired := fault.(*types.NotAuthenticated); expired && attempt == 1 {
			l.hangUp()
			continue
		}
		l.translate(fault, false)
		return nil, fault
	}
}

// relayTask makes a call that starts a task on the host, and waits for it.
func relayTask[Req, Res any](v *VCenter, l *link, call func(context.Context, soap.RoundTripper, *Req) (*Res, error), req *Req) (types.AnyType, types.BaseMethodFault) {
	res, fault := relay(v, l, call, req)
	if fault != nil {
		return nil, fault
	}
	ref, ok := reflect.ValueOf(res).Elem().FieldByName("Returnval").Interface().(types.ManagedObjectReference)
	if !ok {
		return nil, &types.SystemError{Reason: "the host gave no task"}
	}
	c, fault := v.open(l)
	if fault != nil {
		return nil, fault
	}
	ctx, cancel := context.WithTimeout(context.Background(), taskTimeout)
	defer cancel()
	info, err := object.NewTask(c, ref).WaitForResult(ctx)
	if err != nil {
		fault = faultOf(err)
		l.translate(fault, false)
		return nil, fault
	}
	return info.Result, nil
}
