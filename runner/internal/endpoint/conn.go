package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// conn is one connection of a lane.
type conn struct {
	net.Conn         // what is written to and read from: TLS over sock, or sock itself
	sock     *socket // the stamping end
	secure   bool
	served   int       // requests answered
	since    time.Time // when it became idle
}

// dial connects, TLS included, within the connect deadline.
func (c *Client) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeouts.Connect)
	defer cancel()
	dial := c.opt.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	raw, err := dial(ctx, "tcp", c.addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.addr, err)
	}
	sock := newSocket(raw, c.opt.Clock)
	if c.url.Scheme != "https" {
		return &conn{Conn: sock, sock: sock, since: time.Now()}, nil
	}
	secured := tls.Client(sock, c.tlsConfig())
	if err := secured.HandshakeContext(ctx); err != nil {
		raw.Close()
		if ctx.Err() != nil { // the handshake reports the closed connection only
			err = ctx.Err()
		}
		return nil, fmt.Errorf("tls with %s: %w", c.addr, err)
	}
	return &conn{Conn: secured, sock: sock, secure: true, since: time.Now()}, nil
}

func (c *Client) tlsConfig() *tls.Config {
	cfg := new(tls.Config)
	if c.opt.TLS != nil {
		cfg = c.opt.TLS.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = c.url.Hostname()
	}
	cfg.NextProtos = []string{"http/1.1"}  // one stream per connection, so that a read's stamp is one stream's
	cfg.DynamicRecordSizingDisabled = true // else half a megabyte begins with a hundred small records
	return cfg
}

// usable tells whether an idle connection can carry the next request.
func (c *conn) usable(idleReuse time.Duration) error {
	if c.served > 0 && time.Since(c.since) > idleReuse {
		return errStale
	}
	if c.secure && c.served == 0 {
		return nil // session tickets may be waiting
	}
	return c.sock.idle()
}

// abort closes the socket at once, without TLS's farewell.
func (c *conn) abort() { c.sock.Conn.Close() }

// isTimeout reports whether err is a deadline of ours.
func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}
