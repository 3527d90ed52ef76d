// Package ipmi reads the power that a BMC reports: the DCMI power reading of the whole node, and sensors in watts from the
// BMC's sensor records. It speaks to the BMC of this host through /dev/ipmi0, or to any BMC over the network (RMCP+).
//
// Cryptography and message formats of RMCP+ are those of go-ipmi. Its client is not used. It does not check the
// integrity of what it receives, and one malformed datagram ends the process, in a goroutine that nobody else can guard;
// it does not survive a restart of the BMC; in band it subscribes to the BMC's events and so takes them away from whoever
// logs them. The sessions here have one request in flight, own no goroutine, end when their context ends, and trust no
// byte that the session's key does not vouch for.
//
// Nothing is ever written to a BMC, and averages, minima and maxima that it reports are not used: on many BMCs they
// reach back to its last reset.
package ipmi

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"agentwatt/shared/clock"
)

// Options says which BMC to read and how. The zero value reads the BMC of this host.
type Options struct {
	Name      string             // of the node, e.g. its host name: identifies what is metered; empty: the BMC's own GUID
	Address   string             // of the BMC, host or host:port, default port 623; empty: in band, through Device
	Device    string             // in band: the device of the kernel's driver; empty: /dev/ipmi0
	User      string             // over the network: at most 16 bytes
	Password  string             // over the network: at most 20 bytes; never logged
	Cipher    int                // cipher suite, 17 (SHA-256) or 3 (SHA-1); 0: 17, or 3 from a BMC that refuses 17
	Privilege string             // "user" (what reading needs), "operator" or "administrator"; empty: "user"
	Timeout   time.Duration      // of one Read as a whole; 0: 3 s
	OnlyDCMI  bool               // leave the sensor records alone, where reading them costs too much
	Now       func() clock.Stamp // stamps of the reads; nil: the wall clock, unanchored
}

// Privilege levels of IPMI 2.0, table 6-1.
var privileges = map[string]byte{"user": 2, "operator": 3, "administrator": 4}

// Limits of RAKP messages, IPMI 2.0, 13.20 and 13.31.
const (
	longestUser     = 16
	longestPassword = 20
)

// complete fills in the defaults, or says what is wrong.
func (o Options) complete() (Options, error) {
	if o.Now == nil {
		o.Now = func() clock.Stamp { return clock.At(time.Now()) }
	}
	if o.Device == "" {
		o.Device = "/dev/ipmi0"
	}
	if o.Privilege == "" {
		o.Privilege = "user"
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	o.Privilege = strings.ToLower(o.Privilege)
	switch {
	case o.Timeout < 0:
		return o, fmt.Errorf("timeout %v is negative", o.Timeout)
	case privileges[o.Privilege] == 0:
		return o, fmt.Errorf("privilege %q is not user, operator or administrator", o.Privilege)
	case o.Cipher != 0 && o.Cipher != 3 && o.Cipher != 17:
		return o, fmt.Errorf("cipher suite %d is neither 17 nor 3: the others do not encrypt, or do it badly", o.Cipher)
	case strings.ContainsAny(o.Name, " \t\n"):
		return o, fmt.Errorf("name %q has blanks", o.Name)
	case o.Address == "" && (o.User != "" || o.Password != ""):
		return o, errors.New("a user or password without an address: in band there is none")
	case len(o.User) > longestUser:
		return o, fmt.Errorf("user name of %d bytes: IPMI allows %d", len(o.User), longestUser)
	case len(o.Password) > longestPassword:
		return o, fmt.Errorf("password of %d bytes: IPMI allows %d", len(o.Password), longestPassword)
	}
	if o.Address != "" {
		o.Address = withPort(o.Address)
	}
	return o, nil
}

// withPort adds the port of RMCP where address has none.
func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), "623")
}

// target is how errors call the BMC.
func (o Options) target() string {
	if o.Address == "" {
		return o.Device
	}
	return o.Address
}
