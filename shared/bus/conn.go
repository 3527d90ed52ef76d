package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	dialTimeout    = 2 * time.Second
	requestTimeout = 2 * time.Second        // for the next part of an answer
	reconnectWait  = 250 * time.Millisecond // between attempts to reach a server that went away
)

// Conn reads batches from a bus. It is safe for concurrent use.
type Conn struct {
	nc   *nats.Conn
	name string // of the server, for errors; without credentials
}

// Dial connects to the bus at url, nats://host:port. It gives up after 2 s, but once connected the Conn comes back to a
// server that went away, for as long as it takes.
func Dial(ctx context.Context, url string) (*Conn, error) {
	return dial(ctx, Redact(url), url)
}

func dial(ctx context.Context, name, url string, more ...nats.Option) (*Conn, error) {
	d := &dialer{Dialer: net.Dialer{Timeout: dialTimeout}}
	options := append([]nats.Option{
		nats.Name("reader"), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.Timeout(dialTimeout),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2), nats.SetCustomDialer(d),
		nats.ErrorHandler(ignore),
	}, more...)
	nc, err := nats.Connect(url, options...)
	if err != nil {
		if d.err != nil {
			err = d.err // which says why, where nats says only that no server is available
		}
		return nil, fmt.Errorf("connect to %s: %w", name, err)
	}
	c := &Conn{nc: nc, name: name}
	if _, err := c.info(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect to %s: %w", name, err)
	}
	return c, nil
}

// ignore keeps nats from printing errors of the connection, which calls report as far as they concern them.
func ignore(*nats.Conn, *nats.Subscription, error) {}

// dialer keeps the error of the last attempt.
type dialer struct {
	net.Dialer
	err error
}

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	c, err := d.Dialer.Dial(network, address)
	d.err = err
	return c, err
}

// Connected reports whether the server can be reached just now.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// Close closes the connection. Calls of Follow and Read return.
func (c *Conn) Close() { c.nc.Close() }

// streamInfo is what is used of the server's description of the stream.
type streamInfo struct {
	Created time.Time `json:"created"` // tells a new stream from one that was there before
	Error   *struct {
		Description string `json:"description"`
	} `json:"error"`
}

func (c *Conn) info(ctx context.Context) (streamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var info streamInfo
	m, err := c.nc.RequestWithContext(ctx, infoAPI, nil)
	if errors.Is(err, nats.ErrNoResponders) {
		return info, fmt.Errorf("no stream %s there: not the bus of a meterd", Power)
	}
	if err == nil {
		err = json.Unmarshal(m.Data, &info)
	}
	if err == nil && info.Error != nil {
		err = errors.New(info.Error.Description)
	}
	if err != nil {
		return info, fmt.Errorf("ask for stream %s: %w", Power, err)
	}
	return info, nil
}

// Redact returns a URL, or several with commas between them, without user and password, to be shown.
func Redact(urls string) string {
	parts := strings.Split(urls, ",")
	for i, p := range parts {
		u, err := url.Parse(strings.TrimSpace(p))
		switch {
		case err == nil && u.Host != "":
			parts[i] = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
		case strings.Contains(p, "@"):
			parts[i] = p[strings.LastIndex(p, "@")+1:]
		}
	}
	return strings.Join(parts, ",")
}
