package main

import (
	"agentwatt/shared/bus"
	"agentwatt/shared/fault"
)

// hubConf says where the hub is.
type hubConf struct {
	URL    string `yaml:"url"`
	CAFile string `yaml:"ca_file"`
}

// check finds an address that readings would reach unencrypted.
func (h hubConf) check() error {
	if h.URL == "" {
		return nil
	}
	return fault.Hint(bus.CheckHub(h.URL), "hub.url: tls://hub.example:7422")
}
