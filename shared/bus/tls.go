package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS is the certificate of the listener, and of those who may connect to it. Files are PEM.
type TLS struct {
	CertFile     string
	KeyFile      string
	ClientCAFile string // who signs the certificates of clients; empty: clients show none
}

// config reads the files. Nothing below TLS 1.3 is spoken: both ends are ours.
func (t *TLS) config() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the listener: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	if t.ClientCAFile == "" {
		return c, nil
	}
	if c.ClientCAs, err = authorities(t.ClientCAFile); err != nil {
		return nil, err
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	return c, nil
}

// authorities reads the certificates of those who sign others.
func authorities(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the certificates of authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("read the certificates of authorities in %s: %w", file, errors.New("no certificate in it"))
	}
	return pool, nil
}
