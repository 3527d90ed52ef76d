package main

import (
	"errors"
	"time"
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

// hubConf says where the hub is.
type hubConf struct {
	URL    string `yaml:"url"`
	CAFile string `yaml:"ca_file"`
}

func (h hubConf) check() error { return nil }

// directConf says where to publish instead of an embedded bus.
type directConf struct {
	URL             string `yaml:"url"`
	Stream          string `yaml:"stream"`
	CAFile          string `yaml:"ca_file"`
	NKeyFile        string `yaml:"nkey_file"`
	CredentialsFile string `yaml:"credentials_file"`
}

func (d directConf) check() error { return nil }

// rollupConf says how long roll-ups are kept.
type rollupConf struct {
	Second span `yaml:"second"`
	Minute span `yaml:"minute"`
	Hour   span `yaml:"hour"`
}

// statusConf says where meterd is watched.
type statusConf struct {
	Listen    string  `yaml:"listen"`
	TLS       tlsConf `yaml:"tls"`
	TokenFile string  `yaml:"token_file"`
}

func (s statusConf) check() error {
	if s.TLS.CertFile != "" && s.TLS.KeyFile == "" {
		return errors.New("status.tls: a certificate without a key")
	}
	return nil
}
