// Package redfish reads the power meters of one Redfish service: a rack PDU, a power shelf, or the management controller
// (BMC) of a host.
//
// Open walks the service with gofish and lists what it offers, each joule once. Reads then use plain GETs over one kept
// connection, with small structs, so that a poll costs the device as little as it can. Where the service offers it,
// values that it pushes (server-sent events with metric reports) are added between the polls.
//
// Nothing is ever written to the device except the login of a session, and its end.
package redfish

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"agentwatt/shared/clock"
)

// Options says how to reach one service. URL is required; the zero value of everything else is usable.
type Options struct {
	Name     string // stands for the device in meter IDs, e.g. "pdu-a"; empty: the URL's host
	URL      string // e.g. "https://10.0.0.7"; without https only with Insecure, as the password would travel in clear
	User     string // an account that may only read; empty: no login
	Password string

	CAFile      string // PEM file with the authorities that sign this device's certificate; empty: those of the system
	Fingerprint string // SHA-256 of the device's certificate in hex, with or without colons: accepted instead of a signature
	Insecure    bool   // accept any certificate, and plain http: whoever is in between can read the password and forge values

	Session bool          // log in once and send a token; false: send user and password with each request (Basic)
	Timeout time.Duration // of one request, and of one Read as a whole; 0: 5 s
	Parts   time.Duration // that a Read may spend on parts of a whole, after the totals; 0: 500 ms; negative: parts are not metered
	NoPush  bool          // do not listen to the service's event stream

	Now func() clock.Stamp // stamps of the reads; nil: the wall clock, unanchored
}

// Defaults of Options.
const (
	defaultTimeout = 5 * time.Second
	defaultParts   = 500 * time.Millisecond
)

// complete checks o and fills in its defaults. The address comes back apart, without a path.
func (o Options) complete() (Options, *url.URL, error) {
	base, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return o, nil, errors.New("the URL cannot be parsed") // the parser's error repeats a password in it
	case base.User != nil:
		return o, nil, errors.New("the URL holds a user or password: these have options of their own")
	case base.Host == "" || base.Scheme != "https" && base.Scheme != "http":
		return o, nil, fmt.Errorf("%q is not an address like https://10.0.0.7", o.URL)
	case base.Scheme == "http" && !o.Insecure:
		return o, nil, fmt.Errorf("%s is not encrypted; that needs the option insecure", o.URL)
	}
	base = &url.URL{Scheme: base.Scheme, Host: base.Host}
	o.Name = blanks.Replace(cmp.Or(o.Name, base.Host))
	o.Timeout = cmp.Or(max(o.Timeout, 0), defaultTimeout)
	o.Parts = cmp.Or(o.Parts, defaultParts)
	if o.Now == nil {
		o.Now = func() clock.Stamp { return clock.At(time.Now()) }
	}
	return o, base, nil
}

// blanks keeps white space out of meter IDs.
var blanks = strings.NewReplacer(" ", "-", "\t", "-", "\n", "-", "\r", "-")
