package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"agentwatt/shared/evidence"
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

// Credentials are what a reader shows beyond loopback. Files: the seed of an nkey; and PEM.
type Credentials struct {
	NKeyFile          string // whose public key the bus lists; empty: without a name
	CAFile            string // authority that signed the server's certificate; empty: those of the system
	CertFile, KeyFile string // certificate of the reader, where the server wants one
}

// Options turns the files into what the connection needs.
func (c Credentials) Options() ([]nats.Option, error) {
	var out []nats.Option
	if c.NKeyFile != "" {
		key, err := evidence.ReadKey(c.NKeyFile)
		if err != nil {
			return nil, err
		}
		out = append(out, nats.Nkey(key.Public(), key.Sign))
	}
	if c.CAFile != "" {
		out = append(out, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" || c.KeyFile != "" {
		out = append(out, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	return out, nil
}

// Dial connects to the bus of a meterd, or to a hub, at url, nats://host:port or tls://host:port. It gives up after 2 s, but
// once connected the Conn comes back to a server that went away, for as long as it takes.
func Dial(ctx context.Context, url string, as Credentials) (*Conn, error) {
	name := Redact(url)
	options, err := as.Options()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", name, err)
	}
	return dial(ctx, name, url, options...)
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
	if _, err := c.Streams(ctx); err != nil {
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

// Ask sends a request and returns the answer, or an error if none comes until ctx ends, 2 s at most.
func (c *Conn) Ask(ctx context.Context, subject string, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, subject, request)
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", c.name, subject, err)
	}
	return m.Data, nil
}

// ask sends a request about streams, and decodes the answer.
func (c *Conn) ask(ctx context.Context, subject string, request, answer any) error {
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if data, err = c.Ask(ctx, subject, data); errors.Is(err, nats.ErrNoResponders) {
		return errors.New("no such streams there: neither the bus of a meterd nor a hub")
	}
	if err != nil {
		return err
	}
	var failed struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(data, &failed); err != nil {
		return fmt.Errorf("ask for %s: %w", subject, err)
	}
	if failed.Error != nil {
		return fmt.Errorf("ask for %s: %s", subject, failed.Error.Description)
	}
	return json.Unmarshal(data, answer)
}

const mostStreams = 1 << 14

// Streams lists the streams of the server, in alphabetical order: those of one meterd, or of a hub those of many, each named
// after the host's and then, behind a "-", the host.
func (c *Conn) Streams(ctx context.Context) ([]string, error) {
	var out []string
	for {
		var page struct {
			Total   int      `json:"total"`
			Streams []string `json:"streams"`
		}
		if err := c.ask(ctx, namesAPI, map[string]int{"offset": len(out)}, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Streams...)
		if len(page.Streams) == 0 || len(out) >= min(page.Total, mostStreams) {
			slices.Sort(out)
			return out, nil
		}
	}
}

// powerStreams lists those with batches.
func (c *Conn) powerStreams(ctx context.Context) ([]string, error) {
	all, err := c.Streams(ctx)
	return slices.DeleteFunc(all, func(s string) bool { return s != Power && !strings.HasPrefix(s, Power+"-") }), err
}

// streamInfo is what is used of the server's description of a stream.
type streamInfo struct {
	Created time.Time `json:"created"` // tells a new stream from one that was there before
}

func (c *Conn) info(ctx context.Context, stream string) (info streamInfo, err error) {
	return info, c.ask(ctx, infoAPI+stream, struct{}{}, &info)
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
