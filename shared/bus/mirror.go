package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/shared/evidence"
)

// Warden looks after a hub: it makes a mirror of each stream of each host, and signs what the mirrors hold. Everything that it
// needs to know is in the hub's store, so it may end and begin at any time.
type Warden struct {
	options HubOptions
	key     *evidence.Key
	log     *slog.Logger
	nc      *nats.Conn
	js      jetstream.JetStream
	walks   map[string]*walk // by mirror

	moved atomic.Int64 // when something was looked at, Unix time in ns

	mu   sync.Mutex
	said map[string]string // what was logged last
}

// OpenWarden connects to the NATS server of the hub, which runs with the configuration of o, as the one who runs it.
func OpenWarden(ctx context.Context, url, caFile string, key *evidence.Key, o HubOptions, log *slog.Logger) (*Warden, error) {
	options := []nats.Option{
		nats.Name("warden"), nats.Nkey(key.Public(), key.Sign), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait),
		nats.Timeout(dialTimeout), nats.ErrorHandler(ignore),
	}
	if caFile != "" {
		options = append(options, nats.RootCAs(caFile))
	}
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to the hub at %s: %w", Redact(url), err)
	}
	w := &Warden{options: o, key: key, log: log, nc: nc, said: map[string]string{}, walks: map[string]*walk{}}
	w.moved.Store(time.Now().UnixNano())
	if w.js, err = jetstream.New(nc); err == nil {
		err = w.makeWitness(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("look after the hub at %s: %w", Redact(url), err)
	}
	return w, nil
}

// Alive reports that the warden has not moved for a while: whoever started it should start another one.
func (w *Warden) Alive(now time.Time) error {
	if last := time.Unix(0, w.moved.Load()); now.Sub(last) > stillLimit {
		return fmt.Errorf("no mirror was looked at for %v", now.Sub(last).Round(time.Second))
	}
	return nil
}

// stillLimit is well beyond the pauses of the warden and what one request may take.
const stillLimit = 2 * time.Minute

// Close ends the connection.
func (w *Warden) Close() { w.nc.Close() }

const (
	mirrorsEvery = 10 * time.Second
	retryEvery   = 2 * time.Second
	createdKey   = "agentwatt.created" // metadata of a mirror: when the stream of the host was made
)

// Run looks after the hub until ctx ends.
func (w *Warden) Run(ctx context.Context) {
	var hosts sync.WaitGroup
	defer hosts.Wait()
	for _, h := range w.options.Hosts {
		hosts.Go(func() {
			for ctx.Err() == nil {
				err := w.mirrors(ctx, h.Name)
				w.report(ctx, "host "+h.Name, err)
				if err != nil {
					pause(ctx, retryEvery)
				} else {
					pause(ctx, mirrorsEvery)
				}
			}
		})
	}
	for ; ctx.Err() == nil; pause(ctx, witnessEvery) {
		w.report(ctx, Witness, w.Witness(ctx))
	}
}

// mirrors makes sure of the mirrors of one host.
func (w *Warden) mirrors(ctx context.Context, host string) error {
	for _, stream := range sealed {
		if err := w.mirror(ctx, host, stream); err != nil {
			return err
		}
	}
	return nil
}

// report logs what is wrong with something once, and when it is well again.
func (w *Warden) report(ctx context.Context, what string, err error) {
	w.moved.Store(time.Now().UnixNano())
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if w.said[what] != "" {
			w.log.Info("well again", "what", what)
			delete(w.said, what)
		}
	case w.said[what] != err.Error():
		w.said[what] = err.Error()
		w.log.Warn("not well", "what", what, "err", err)
	}
}

// mirrorName is that of a mirror of a stream of a host. A generation above 1 is for a store that the host made anew.
func mirrorName(stream, host string, generation int) string {
	name := stream + "-" + token(host)
	if generation > 1 {
		name += "~" + strconv.Itoa(generation)
	}
	return name
}

// mirror makes sure that there is a mirror of the stream that the host has now. What was mirrored of another, which the host
// has lost, stays.
func (w *Warden) mirror(ctx context.Context, host, stream string) error {
	created, err := w.created(ctx, host, stream)
	if err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	for generation := 1; ; generation++ {
		name := mirrorName(stream, host, generation)
		have, err := w.js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return w.makeMirror(ctx, host, stream, name, created)
		}
		if err != nil {
			return err
		}
		config := have.CachedInfo().Config
		if config.Metadata[createdKey] == created {
			return w.limits(ctx, stream, config)
		}
		if err := w.endMirror(ctx, config); err != nil {
			return err
		}
	}
}

// created asks the host when its stream was made.
func (w *Warden) created(ctx context.Context, host, stream string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := w.nc.RequestWithContext(ctx, hostAPI(host)+".STREAM.INFO."+stream, nil)
	if err != nil {
		return "", err
	}
	var info streamInfo
	if err := json.Unmarshal(m.Data, &info); err != nil || info.Created.IsZero() {
		return "", fmt.Errorf("stream %s is not there", stream)
	}
	return info.Created.UTC().Format(time.RFC3339Nano), nil
}

func (w *Warden) makeMirror(ctx context.Context, host, stream, name, created string) error {
	c := fileStream(name, "mirror of "+stream+" of "+host, "")
	c.Subjects = nil
	c.Metadata = map[string]string{createdKey: created}
	c.Mirror = &jetstream.StreamSource{
		Name:     stream,
		External: &jetstream.ExternalStream{APIPrefix: hostAPI(host), DeliverPrefix: mirrorRoot + domain(host) + "." + stream},
	}
	w.bound(stream, &c)
	if _, err := w.js.CreateStream(ctx, c); err != nil {
		return fmt.Errorf("make mirror %s: %w", name, err)
	}
	w.log.Info("mirror made", "stream", name)
	return nil
}

// bound sets the limits of a mirror. At the hub the oldest goes without a record: the host's word for what it discarded is about
// the host, and whoever reads the hub sees where a mirror begins.
func (w *Warden) bound(stream string, c *jetstream.StreamConfig) {
	c.MaxBytes, c.MaxAge = -1, 0
	if stream != Power {
		return
	}
	if c.MaxAge = w.options.MaxAge; w.options.MaxBytes > 0 {
		c.MaxBytes = w.options.MaxBytes
	}
}

// limits brings the limits of a mirror up to date.
func (w *Warden) limits(ctx context.Context, stream string, c jetstream.StreamConfig) error {
	want := c
	if w.bound(stream, &want); want.MaxBytes == c.MaxBytes && want.MaxAge == c.MaxAge {
		return nil
	}
	if _, err := w.js.UpdateStream(ctx, want); err != nil {
		return fmt.Errorf("set the limits of mirror %s: %w", c.Name, err)
	}
	return nil
}

// endMirror keeps a mirror as it is from now on: the host's stream of that name is another one.
func (w *Warden) endMirror(ctx context.Context, c jetstream.StreamConfig) error {
	if c.Mirror == nil {
		return nil
	}
	c.Mirror, c.Subjects = nil, []string{"ended." + strings.ReplaceAll(c.Name, "~", "_")}
	if _, err := w.js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("end mirror %s, of a stream that the host made anew: %w", c.Name, err)
	}
	w.log.Warn("the host made its store anew: the mirror stays as it is, and another one begins", "stream", c.Name)
	return nil
}
