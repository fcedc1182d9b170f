package esx

import (
	"crypto/sha1" //nolint:gosec // vSphere's thumbprints are of SHA-1
	"encoding/pem"
	"fmt"
	"strings"

	"paver.lab/vsphere/internal/front"
)

// Thumbprint is the SHA-1 of a certificate as vSphere writes it.
func Thumbprint(der []byte) string {
	sum := sha1.Sum(der) //nolint:gosec // see above
	return colons(sum[:])
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}

func (h *Host) thumbprint() string { return Thumbprint(h.front.Certificate.Leaf()) }

// showCertificate makes the certificate in use readable.
func (h *Host) showCertificate() {
	host := h.host()
	ctx := h.front.NewContext()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.front.Certificate.Leaf()})
	ctx.WithLock(host, func() {
		config := *host.Config
		config.Certificate = text
		host.Config = &config
		host.Summary.Config.SslThumbprint = h.thumbprint()
	})
}

// replaceCertificate puts in what a vCenter's VMCA has issued, and keeps it.
func (h *Host) replaceCertificate(certificatePEM, keyPEM []byte) error {
	if err := h.front.Certificate.Replace(certificatePEM, keyPEM); err != nil {
		return err
	}
	h.showCertificate()
	h.differs()
	return front.Save(h.config.Certificate, h.config.Key, certificatePEM, keyPEM)
}
