package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/shared/evidence"
)

// DirectOptions say where to publish instead of an embedded server.
type DirectOptions struct {
	URL             string // tls://host:port, or several with commas between them
	Stream          string // that takes in power.<host>.>; it is there already
	Host            string
	Key             *evidence.Key // signs the batches, and is the user where nothing else is given
	NKeyFile        string        // seed of the user
	CredentialsFile string        // or JWT and seed, as nsc writes them
	CAFile          string
	Log             *slog.Logger
}

// Direct publishes to a JetStream cluster. The batches of the host are one chain there, beside those of others.
//
// The client keeps nothing back while the cluster is away: Publish fails, and who publishes has to repeat.
type Direct struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	o      DirectOptions
	sealer *sealer
}

// OpenDirect connects. A cluster that is away is waited for, later: Publish says so. One that refuses the user is an error.
func OpenDirect(o DirectOptions) (*Direct, error) {
	options := []nats.Option{
		nats.Name("meterd " + o.Host), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.Timeout(dialTimeout),
		nats.ReconnectBufSize(-1), // nothing waits in the client unseen
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2), nats.ErrorHandler(ignore),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { o.Log.Warn("the cluster is away", "err", err) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { o.Log.Info("the cluster is there", "url", Redact(nc.ConnectedUrl())) }),
	}
	switch {
	case o.CredentialsFile != "":
		options = append(options, nats.UserCredentials(o.CredentialsFile))
	case o.NKeyFile != "":
		key, err := evidence.ReadKey(o.NKeyFile)
		if err != nil {
			return nil, err
		}
		options = append(options, nats.Nkey(key.Public(), key.Sign))
	case o.Key != nil:
		options = append(options, nats.Nkey(o.Key.Public(), o.Key.Sign))
	}
	if o.CAFile != "" {
		options = append(options, nats.RootCAs(o.CAFile))
	}
	nc, err := nats.Connect(o.URL, options...)
	if err != nil && !refusedUser(err) {
		o.Log.Warn("the cluster is away", "url", Redact(o.URL), "err", err)
		nc, err = nats.Connect(o.URL, append(options, nats.RetryOnFailedConnect(true))...)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster at %s: %w", Redact(o.URL), err)
	}
	d := &Direct{nc: nc, o: o}
	if d.js, err = jetstream.New(nc); err != nil {
		nc.Close()
		return nil, err
	}
	d.sealer = newSealer(hostLedger{d.js, o.Stream, subjectRoot + "." + token(o.Host) + ".>"}, o.Key)
	return d, nil
}

// refusedUser reports whether waiting does not help.
func refusedUser(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrNkeysNotSupported) || errors.Is(err, nats.ErrAuthExpired)
}

// Publisher stores batches in the stream of the cluster.
func (d *Direct) Publisher() *Publisher { return newPublisher(d.sealer) }

// Connected reports whether the cluster can be reached just now.
func (d *Direct) Connected() bool { return d.nc.IsConnected() }

// Last returns the last batch of each source of the host, by the order of their subjects.
func (d *Direct) Last(ctx context.Context) ([]Message, error) {
	f, err := newFetcher(d.nc, directGet(d.o.Stream))
	if err != nil {
		return nil, err
	}
	defer f.close()
	var out []Message
	_, err = f.fetch(ctx, getRequest{MultiLast: []string{subjectRoot + "." + token(d.o.Host) + ".>"}}, func(m Message) error {
		out = append(out, m)
		return nil
	})
	return out, err
}

// Close ends the connection. What Publish has returned for is stored.
func (d *Direct) Close() { d.nc.Close() }

// hostLedger is the part of a stream that one host writes, as a ledger.
type hostLedger struct {
	js      jetstream.JetStream
	stream  string
	subject string // of everything that the host stores
}

func (h hostLedger) end(ctx context.Context) (stored, uint64, error) {
	last, err := lastMessage(ctx, h.js.Conn(), h.stream, h.subject)
	return last, last.sequence, err
}

func (h hostLedger) lastID(ctx context.Context, subject string) (string, error) {
	m, err := lastMessage(ctx, h.js.Conn(), h.stream, subject)
	return m.id, err
}

func (h hostLedger) append(ctx context.Context, m *nats.Msg, after uint64) (uint64, bool, error) {
	ack, err := h.js.PublishMsg(ctx, m, jetstream.WithExpectStream(h.stream), jetstream.WithExpectLastSequenceForSubject(after, h.subject))
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		return 0, false, fmt.Errorf("no stream takes in %s, or this user may not publish there: %w", m.Subject, err)
	}
	if err != nil {
		return 0, false, err
	}
	return ack.Sequence, ack.Duplicate, nil
}
