package main

import (
	"fmt"
	"net"
	"time"

	"agentwatt/shared/fault"
)

// The settings of what runs beside the samplers.

const day = 24 * time.Hour

// tlsConf is the certificate of a listener, and of those who may connect to it.
type tlsConf struct {
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
	ClientCAFile string `yaml:"client_ca_file"`
}

// given reports whether there is a certificate.
func (t tlsConf) given() bool { return t.CertFile != "" && t.KeyFile != "" }

// statusConf says where meterd is watched.
type statusConf struct {
	Listen    string  `yaml:"listen"`
	TLS       tlsConf `yaml:"tls"`
	TokenFile string  `yaml:"token_file"`
}

// check finds a listener that anybody on the network could read.
func (s statusConf) check() error {
	if s.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(s.Listen)
	switch {
	case err != nil:
		return fmt.Errorf("status.listen: %w", err)
	case loopback(host):
		return nil
	case !s.TLS.given():
		return fault.Hint(fmt.Errorf("status.listen: %s can be reached from other hosts: a certificate is needed", s.Listen), "listen on 127.0.0.1, or set status.tls")
	case s.TokenFile == "" && s.TLS.ClientCAFile == "":
		return fault.Hint(fmt.Errorf("status.listen: %s can be reached from other hosts: it must know who asks", s.Listen),
			"set status.token_file, or status.tls.client_ca_file")
	}
	return nil
}
