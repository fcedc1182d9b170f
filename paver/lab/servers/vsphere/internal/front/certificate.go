package front

import (
	"crypto/tls"
	"os"
	"sync/atomic"
)

// Certificate is what a server shows; it can change while the server runs, as
// a host's does when a vCenter takes it in.
type Certificate struct {
	current atomic.Pointer[tls.Certificate]
}

// LoadCertificate reads a certificate (or chain) and its key from PEM files.
func LoadCertificate(certificate, key string) (*Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	c := &Certificate{}
	c.current.Store(&pair)
	return c, nil
}

// Replace puts another certificate in use for connections from now on.
func (c *Certificate) Replace(certificatePEM, keyPEM []byte) error {
	pair, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		return err
	}
	c.current.Store(&pair)
	return nil
}

// Save writes a replaced certificate where the server would read it again.
func Save(certificate, key string, certificatePEM, keyPEM []byte) error {
	if err := os.WriteFile(key, keyPEM, 0o600); err != nil {
		return err
	}
	return os.WriteFile(certificate, certificatePEM, 0o600)
}

// Leaf is the DER form of the certificate in use.
func (c *Certificate) Leaf() []byte { return c.current.Load().Certificate[0] }

func (c *Certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}
