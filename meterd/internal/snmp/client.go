package snmp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
)

// client asks one device. It belongs to one goroutine, as gosnmp's do.
type client struct {
	snmp    *gosnmp.GoSNMP
	address string
}

var (
	errSilent  = errors.New("no answer")
	errDenied  = errors.New("not permitted")
	errTooBig  = errors.New("the answer does not fit")
	errGarbled = errors.New("an answer that makes no sense")
)

// connect opens the socket. Nothing is sent yet.
func connect(ctx context.Context, o Options) (*client, error) {
	host, port, err := o.target()
	if err != nil {
		return nil, fmt.Errorf("connect to the PDU at %s: %w", o.Address, err)
	}
	g := &gosnmp.GoSNMP{
		Target: host, Port: port, Transport: "udp", Context: ctx, Version: gosnmp.Version2c, Community: o.Community,
		Timeout: o.Timeout / time.Duration(o.Retries+1), Retries: o.Retries, MaxOids: max(o.MaxOIDs, gosnmp.MaxOids),
	}
	if o.Version == "3" {
		o.secure(g)
	}
	if err := g.Connect(); err != nil {
		return nil, fmt.Errorf("connect to the PDU at %s: %w", o.Address, err)
	}
	return &client{g, o.Address}, nil
}

// secure sets up the user of version 3.
func (o Options) secure(g *gosnmp.GoSNMP) {
	g.Version, g.SecurityModel, g.ContextName = gosnmp.Version3, gosnmp.UserSecurityModel, o.ContextName
	user := &gosnmp.UsmSecurityParameters{UserName: o.User}
	g.MsgFlags = gosnmp.NoAuthNoPriv
	if o.AuthKey != "" {
		g.MsgFlags = gosnmp.AuthNoPriv
		user.AuthenticationProtocol, user.AuthenticationPassphrase = authProtocols[cmp.Or(o.AuthProtocol, "sha256")], o.AuthKey
	}
	if o.PrivKey != "" {
		g.MsgFlags = gosnmp.AuthPriv
		user.PrivacyProtocol, user.PrivacyPassphrase = privProtocols[cmp.Or(o.PrivProtocol, "aes")], o.PrivKey
	}
	g.SecurityParameters = user
}

func (c *client) close() error { return c.snmp.Close() }

// get asks for OIDs in one request and returns their values in the same order. A variable that answers for another OID
// than the one asked has no value.
func (c *client) get(ctx context.Context, oids []string) ([]value, error) {
	p, err := c.exchange(ctx, func() (*gosnmp.SnmpPacket, error) { return c.snmp.Get(oids) })
	if err != nil {
		return nil, err
	}
	if len(p.Variables) != len(oids) {
		return nil, fmt.Errorf("ask %s for %d values: %d came: %w", c.address, len(oids), len(p.Variables), errGarbled)
	}
	values := make([]value, len(oids))
	for i, v := range p.Variables {
		values[i] = value{form: strange}
		if strings.TrimPrefix(v.Name, ".") == oids[i] {
			values[i] = decode(v)
		}
	}
	return values, nil
}

// exchange sends one request and checks the answer. The end of the context ends the wait; gosnmp alone would look at it
// between its attempts only, and give up at its deadline a moment before the context itself has ended.
func (c *client) exchange(ctx context.Context, ask func() (*gosnmp.SnmpPacket, error)) (*gosnmp.SnmpPacket, error) {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c.snmp.Context = inner // gosnmp takes it from there for each request
	conn, done := c.snmp.Conn, make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		cancel()
		_ = conn.SetDeadline(time.Unix(1, 0)) // long ago: whoever waits stops waiting
	})
	defer func() {
		if !stop() {
			<-done // so that it cannot hit the next request
		}
	}()
	p, err := ask()
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, fmt.Errorf("ask %s: %w: %w", c.address, errSilent, ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w", c.address, reason(err))
	case p.PDUType != gosnmp.GetResponse || p.Version != c.snmp.Version || p.RequestID == 0:
		return nil, fmt.Errorf("ask %s: %w", c.address, errGarbled)
	case p.Error != gosnmp.NoError:
		return nil, fmt.Errorf("ask %s: %w", c.address, refusal{p.Error, int(p.ErrorIndex)})
	}
	return p, nil
}

// refusal is an answer with an error status (RFC 3416 3).
type refusal struct {
	status gosnmp.SNMPError
	index  int // of the variable to blame, from 1; 0: none
}

func (r refusal) Error() string { return fmt.Sprintf("the device answers %s", r.status) }

func (r refusal) Unwrap() error {
	switch r.status {
	case gosnmp.TooBig:
		return errTooBig
	case gosnmp.NoAccess, gosnmp.AuthorizationError:
		return errDenied
	}
	return nil
}

// reason says what an error of gosnmp means. Its own text is shortened: a recovered panic comes with a stack.
func reason(err error) error {
	for cause, means := range map[error]string{
		gosnmp.ErrUnknownUsername:      "the device does not know the user",
		gosnmp.ErrWrongDigest:          "the device rejects the authentication key or protocol",
		gosnmp.ErrDecryption:           "the device rejects the privacy key or protocol",
		gosnmp.ErrUnknownSecurityLevel: "the device does not give the user this security level",
	} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%s: %w", means, errDenied)
		}
	}
	if strings.Contains(err.Error(), "not authentic") { // gosnmp drops reports that are not signed with the key, and has no error value for it
		return fmt.Errorf("the device does not accept the user, the authentication key or the protocol: %w", errDenied)
	}
	var socket *net.OpError // a timeout, or a host that refuses or cannot be reached
	if errors.Is(err, gosnmp.ErrMaxRetriesExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &socket) {
		return errSilent
	}
	const most = 160
	s, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%w: %.*s", errGarbled, most, s)
}

// unavailable is the error of Open for a device that could not be asked, with what the user can do.
func unavailable(err error) error {
	err = fmt.Errorf("%w: %w", err, sampler.ErrUnavailable)
	switch {
	case errors.Is(err, errDenied):
		return fault.Hint(err, "compare user, protocols and keys with the PDU's SNMPv3 settings, and give the user read access to all of the tree")
	case errors.Is(err, errSilent):
		return fault.Hint(err, "check the address, that SNMP is on, the version, the community (a wrong one gets no answer), and that this host may ask")
	}
	return err
}
