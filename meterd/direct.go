package main

import (
	"errors"
	"log/slog"

	"agentwatt/shared/bus"
	"agentwatt/shared/evidence"
	"agentwatt/shared/fault"
)

// directConf says where to publish instead of an embedded bus.
type directConf struct {
	URL             string `yaml:"url"`
	Stream          string `yaml:"stream"`
	CAFile          string `yaml:"ca_file"`
	NKeyFile        string `yaml:"nkey_file"`
	CredentialsFile string `yaml:"credentials_file"`
}

// check finds a cluster that readings would reach unencrypted, or as two users.
func (d directConf) check() error {
	switch {
	case d.URL == "":
		return nil
	case d.Stream == "":
		return errors.New("direct.stream is empty")
	case d.NKeyFile != "" && d.CredentialsFile != "":
		return errors.New("direct: nkey_file and credentials_file are both given: one user is enough")
	}
	if err := bus.CheckHub(d.URL); err != nil {
		return fault.Hint(err, "direct.url: tls://nats.example:4222")
	}
	return nil
}

// openDirect connects to the cluster.
func openDirect(conf directConf, host string, key *evidence.Key, log *slog.Logger) (*bus.Direct, error) {
	return bus.OpenDirect(bus.DirectOptions{
		URL: conf.URL, Stream: conf.Stream, Host: host, Key: key, NKeyFile: conf.NKeyFile, CredentialsFile: conf.CredentialsFile,
		CAFile: conf.CAFile, Log: log,
	})
}
