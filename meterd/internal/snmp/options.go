// Package snmp reads rack power distribution units (PDUs) over SNMP v2c and v3: power and energy of inlets and cords, and of
// the phases, banks and outlets behind them.
//
// What a PDU offers is data: one table per family of devices in profiles/, and files in the same format that a user adds.
// Open asks the device what it is, takes the profile that fits, walks the profile's tables once to find the rows, and from
// then on one Read is one GET of numeric OIDs with sysUpTime in it. Nothing is ever written to a device.
package snmp

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"

	"agentwatt/shared/clock"
)

// Options say which PDU to read and how. Keys are the secrets themselves: whoever calls Open has read them from files.
type Options struct {
	Name    string // what people call this PDU; part of every meter's ID; empty: the address
	Address string // host or host:port; port 161 if none is given

	Version      string // "2c" or "3"; empty: 3 where User is set, else 2c
	Community    string // v2c
	User         string // v3, as the fields below
	AuthProtocol string // "md5", "sha", "sha224", "sha256", "sha384", "sha512"; empty: sha256
	AuthKey      string // empty: noAuthNoPriv
	PrivProtocol string // "des", "aes", "aes192", "aes256", "aes192c", "aes256c"; empty: aes
	PrivKey      string // empty: authNoPriv
	ContextName  string

	Timeout  time.Duration      // the most that one Read waits for the PDU; 0: 2 s
	Retries  int                // requests after the first within Timeout; 0: 1; negative: none
	MaxOIDs  int                // the most values in one request; 0: 60, or what the PDU takes
	Profiles []string           // files and folders with profiles of the user, before the built-in ones
	Levels   []string           // "phase", "bank", "outlet", ... to read beside the whole; empty: all but outlets
	Now      func() clock.Stamp // stamps of the reads; nil: the wall clock, unanchored
}

// Defaults and bounds of Options.
const (
	defaultTimeout = 2 * time.Second
	defaultMaxOIDs = gosnmp.MaxOids
	shortestKey    = 8 // RFC 3414 11.2: passwords of at least 8 characters
)

var authProtocols = map[string]gosnmp.SnmpV3AuthProtocol{
	"md5": gosnmp.MD5, "sha": gosnmp.SHA, "sha224": gosnmp.SHA224, "sha256": gosnmp.SHA256, "sha384": gosnmp.SHA384,
	"sha512": gosnmp.SHA512,
}

var privProtocols = map[string]gosnmp.SnmpV3PrivProtocol{
	"des": gosnmp.DES, "aes": gosnmp.AES, "aes192": gosnmp.AES192, "aes256": gosnmp.AES256, "aes192c": gosnmp.AES192C,
	"aes256c": gosnmp.AES256C,
}

// settled fills in the defaults and says what cannot be meant.
func (o Options) settled() (Options, error) {
	if o.Address == "" {
		return o, errors.New("no address is given")
	}
	if o.Name == "" {
		o.Name = o.Address
	}
	o.Name = strings.Join(strings.Fields(o.Name), "-")
	if o.Now == nil {
		o.Now = func() clock.Stamp { return clock.At(time.Now()) }
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	switch {
	case o.Retries == 0:
		o.Retries = 1
	case o.Retries < 0:
		o.Retries = 0
	}
	if o.MaxOIDs <= 0 {
		o.MaxOIDs = defaultMaxOIDs
	}
	o.MaxOIDs = max(o.MaxOIDs, 2) // sysUpTime and a value
	if o.Version == "" {
		o.Version = "2c"
		if o.User != "" {
			o.Version = "3"
		}
	}
	for _, l := range o.Levels {
		if !slices.Contains(levelNames, l) {
			return o, fmt.Errorf("level %q is not one of %q", l, levelNames)
		}
	}
	return o, o.checkAccess()
}

func (o Options) checkAccess() error {
	switch o.Version {
	case "2c":
		if o.Community == "" {
			return errors.New("version 2c needs a community")
		}
		return nil
	case "3":
	default:
		return fmt.Errorf("version %q is neither 2c nor 3", o.Version)
	}
	_, auth := authProtocols[o.AuthProtocol]
	_, priv := privProtocols[o.PrivProtocol]
	switch {
	case o.User == "":
		return errors.New("version 3 needs a user")
	case o.AuthProtocol != "" && !auth:
		return fmt.Errorf("authentication protocol %q is not known", o.AuthProtocol)
	case o.PrivProtocol != "" && !priv:
		return fmt.Errorf("privacy protocol %q is not known", o.PrivProtocol)
	case o.PrivKey != "" && o.AuthKey == "":
		return errors.New("a privacy key needs an authentication key")
	case o.AuthKey != "" && len(o.AuthKey) < shortestKey, o.PrivKey != "" && len(o.PrivKey) < shortestKey:
		return fmt.Errorf("a key is shorter than %d characters", shortestKey)
	}
	return nil
}

// target splits the address.
func (o Options) target() (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(o.Address)
	if err != nil { // no port
		return strings.Trim(o.Address, "[]"), 161, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q is not a port", text)
	}
	return host, uint16(n), nil
}

// includes reports whether the parts of this level are to be read.
func (o Options) includes(level string) bool {
	if len(o.Levels) == 0 {
		return level != "outlet"
	}
	return slices.Contains(o.Levels, level)
}
