package vcenter

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver asks the appliance's own DNS servers and nobody else: a name that
// only this machine's hosts file knows does not exist. (Go's own resolver
// would look there first.)
type resolver struct{ servers []string }

// attempts is how often a server that is silent is asked, patience how long each
// time: one question or answer may be lost on the way.
const (
	attempts = 3
	patience = 3 * time.Second
)

var errNoName = errors.New("no such host")

func newResolver(servers []string) *resolver {
	r := &resolver{}
	for _, s := range servers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			s = net.JoinHostPort(s, "53")
		}
		r.servers = append(r.servers, s)
	}
	return r
}

// address gives the address of a host's name.
func (r *resolver) address(ctx context.Context, host string) (string, error) {
	if net.ParseIP(host) != nil {
		return host, nil
	}
	err := fmt.Errorf("%s: %w: no DNS server is configured", host, errNoName)
	for range attempts {
		for _, server := range r.servers {
			var found string
			if found, err = ask(ctx, server, host); err == nil {
				return found, nil
			}
			// A server that answers "no" has answered; only a silent one is skipped.
			if errors.Is(err, errNoName) {
				return "", err
			}
		}
	}
	return "", err
}

// ask puts one question of type A to one server.
func ask(ctx context.Context, server, host string) (string, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
	if err != nil {
		return "", err
	}
	var id [2]byte
	_, _ = rand.Read(id[:])
	query := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: binary.BigEndian.Uint16(id[:]), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	packet, err := query.Pack()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", server)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(packet); err != nil {
		return "", err
	}
	buffer := make([]byte, 4096)
	n, err := conn.Read(buffer)
	if err != nil {
		return "", err
	}
	var answer dnsmessage.Message
	if err := answer.Unpack(buffer[:n]); err != nil {
		return "", err
	}
	if answer.ID != query.ID {
		return "", fmt.Errorf("%s answered another question", server)
	}
	for _, a := range answer.Answers {
		if body, ok := a.Body.(*dnsmessage.AResource); ok {
			return net.IP(body.A[:]).String(), nil
		}
	}
	return "", fmt.Errorf("%s: %w", host, errNoName)
}
