package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"agentwatt/meterd/internal/ipmi"
	"agentwatt/meterd/internal/redfish"
	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/secret"
	"agentwatt/meterd/internal/snmp"
	"agentwatt/shared/clock"
)

// The devices that are read over the network. Each is a source of its own, with a sampler of its own: one that is dead delays
// nobody. Passwords are in files, named by the settings that end in _file; see secret.Read.

type ipmiConf struct {
	Common   sourceConf `yaml:",inline"`
	Device   string     `yaml:"device"`
	OnlyDCMI bool       `yaml:"only_dcmi"`
	BMCs     []bmcConf  `yaml:"bmcs"`
}

type bmcConf struct {
	Name         string `yaml:"name"`
	Address      string `yaml:"address"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	Cipher       int    `yaml:"cipher"`
	Privilege    string `yaml:"privilege"`
	OnlyDCMI     bool   `yaml:"only_dcmi"`
}

type snmpConf struct {
	Common   sourceConf `yaml:",inline"`
	Profiles []string   `yaml:"profiles"`
	PDUs     []pduConf  `yaml:"pdus"`
}

type pduConf struct {
	Name          string   `yaml:"name"`
	Address       string   `yaml:"address"`
	Version       string   `yaml:"version"`
	CommunityFile string   `yaml:"community_file"`
	User          string   `yaml:"user"`
	Auth          string   `yaml:"auth"`
	AuthFile      string   `yaml:"auth_file"`
	Privacy       string   `yaml:"privacy"`
	PrivacyFile   string   `yaml:"privacy_file"`
	Context       string   `yaml:"context"`
	Levels        []string `yaml:"levels"`
}

type redfishConf struct {
	Common   sourceConf    `yaml:",inline"`
	Services []serviceConf `yaml:"services"`
}

type serviceConf struct {
	Name         string `yaml:"name"`
	URL          string `yaml:"url"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	CAFile       string `yaml:"ca_file"`
	Fingerprint  string `yaml:"fingerprint"`
	Insecure     bool   `yaml:"insecure"`
	Session      bool   `yaml:"session"`
	NoPush       bool   `yaml:"no_push"`
}

// checkRemote wants a name, unlike the others', and an address of every remote device.
func (s sources) checkRemote() error {
	seen := map[string]bool{}
	check := func(list, name, address string) error {
		switch {
		case name == "" || address == "":
			return fmt.Errorf("sources.%s: an entry without a name or an address", list)
		case strings.ContainsAny(name, " \t\n/"):
			return fmt.Errorf("sources.%s: name %q has blanks or slashes", list, name)
		case seen[list+name]:
			return fmt.Errorf("sources.%s: %q is there twice", list, name)
		}
		seen[list+name] = true
		return nil
	}
	for _, b := range s.IPMI.BMCs {
		if err := check("ipmi.bmcs", b.Name, b.Address); err != nil {
			return err
		}
	}
	for _, p := range s.SNMP.PDUs {
		if err := check("snmp.pdus", p.Name, p.Address); err != nil {
			return err
		}
		if p.CommunityFile == "" && p.User == "" {
			return fmt.Errorf("sources.snmp.pdus: %s has neither a community_file (v2c) nor a user (v3)", p.Name)
		}
	}
	for _, r := range s.Redfish.Services {
		if err := check("redfish.services", r.Name, r.URL); err != nil {
			return err
		}
	}
	return nil
}

// remotes lists the devices of the configuration as kinds of source.
func (s sources) remotes(now func() clock.Stamp) (list []kind) {
	add := func(family, name string, settings any, conf sourceConf, access string, open func(context.Context) (sampler.Source, error)) {
		list = append(list, kind{name: family + "/" + name, conf: conf, access: access, open: open, remote: true, slow: true, settings: []any{conf, settings}})
	}
	for _, b := range s.IPMI.BMCs {
		add("ipmi", b.Name, b, s.IPMI.Common, "give this account the privilege user on the BMC", func(ctx context.Context) (sampler.Source, error) {
			return b.open(ctx, now)
		})
	}
	for _, p := range s.SNMP.PDUs {
		add("snmp", p.Name, []any{p, s.SNMP.Profiles}, s.SNMP.Common, "let this community or user read the PDU's tables", func(ctx context.Context) (sampler.Source, error) {
			return p.open(ctx, s.SNMP.Profiles, now)
		})
	}
	for _, r := range s.Redfish.Services {
		add("redfish", r.Name, r, s.Redfish.Common, "give this account the role ReadOnly", func(ctx context.Context) (sampler.Source, error) {
			return r.open(ctx, now)
		})
	}
	return list
}

// optional reads a secret whose file may be left out.
func optional(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	return secret.Read(file)
}

func (b bmcConf) open(ctx context.Context, now func() clock.Stamp) (sampler.Source, error) {
	password, err := optional(b.PasswordFile)
	if err != nil {
		return nil, err
	}
	return ipmi.Open(ctx, ipmi.Options{
		Name: b.Name, Address: b.Address, User: b.User, Password: password, Cipher: b.Cipher, Privilege: b.Privilege,
		OnlyDCMI: b.OnlyDCMI, Now: now,
	})
}

func (p pduConf) open(ctx context.Context, profiles []string, now func() clock.Stamp) (sampler.Source, error) {
	community, err1 := optional(p.CommunityFile)
	auth, err2 := optional(p.AuthFile)
	privacy, err3 := optional(p.PrivacyFile)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return snmp.Open(ctx, snmp.Options{
		Name: p.Name, Address: p.Address, Version: p.Version, Community: community, User: p.User, AuthProtocol: p.Auth, AuthKey: auth,
		PrivProtocol: p.Privacy, PrivKey: privacy, ContextName: p.Context, Profiles: profiles, Levels: p.Levels, Now: now,
	})
}

func (r serviceConf) open(ctx context.Context, now func() clock.Stamp) (sampler.Source, error) {
	password, err := optional(r.PasswordFile)
	if err != nil {
		return nil, err
	}
	return redfish.Open(ctx, redfish.Options{
		Name: r.Name, URL: r.URL, User: r.User, Password: password, CAFile: r.CAFile, Fingerprint: r.Fingerprint, Insecure: r.Insecure,
		Session: r.Session, NoPush: r.NoPush, Now: now,
	})
}
