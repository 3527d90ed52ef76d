package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/shared/evidence"
)

// ServerOptions say where the bus listens and what it keeps.
type ServerOptions struct {
	Listen   string        // host:port; no host: loopback; port 0: any free one; empty: no socket, in-process only
	Dir      string        // of the store; made with mode 0700 where it is missing
	Host     string        // whose batches these are
	MaxBytes int64         // of the stream on disk; older batches are discarded; 0: 1 GiB
	MaxAge   time.Duration // of a batch; older ones are discarded; 0: 7 days
	Key      *evidence.Key // of the host: signs what is stored, and opens the hub; nil: nothing is signed

	Rollups [3]time.Duration // for which roll-ups of a second, a minute and an hour are kept; 0: 30 days, a year, ten years
	TLS     *TLS             // of the listener; needed beyond loopback
	Readers []string         // public nkeys of those who may read over the network; needed beyond loopback
	Hub     *Hub             // that mirrors what is stored; nil: none
	Log     *slog.Logger     // for what the NATS server says; nil: nowhere

	unsynced bool // acknowledge before the disk has it: only to measure what that saves
}

const (
	defaultMaxBytes = 1 << 30
	defaultMaxAge   = 7 * 24 * time.Hour
	dedupWindow     = 10 * time.Minute // within which a batch that is published again is recognised
	startTimeout    = 30 * time.Second // for recovering a large store
	maxConns        = 256
	maxSubs         = 64 // of one connection
	tlsTimeout      = 5  // s, of a handshake
)

// Server is a NATS server inside this process with the streams of one host.
type Server struct {
	options ServerOptions
	nats    *server.Server
	secret  string
	lock    *os.File
	close   sync.Once
	js      jetstream.JetStream // over a connection within the process
	config  server.JetStreamConfig
	sealers map[string]*sealer // by stream; all who store there share its chain
	health  health
}

// Serve starts a server on the store in o.Dir and returns when it takes batches; ctx bounds only that wait. The caller
// closes the server.
//
// Every stored batch is synced to disk before it is acknowledged (SyncAlways): some tenths of a millisecond on flash,
// some ten milliseconds on a spinning disk, for a few batches a second. The server's default, a sync every two minutes,
// would lose that much measurement in a power cut.
func Serve(ctx context.Context, o ServerOptions) (*Server, error) {
	s, err := serve(ctx, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("serve the bus from %s: %w", o.Dir, err)
	}
	return s, nil
}

func (o ServerOptions) withDefaults() ServerOptions {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxAge == 0 {
		o.MaxAge = defaultMaxAge
	}
	for i, k := range kinds {
		if o.Rollups[i] == 0 {
			o.Rollups[i] = k.age
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func serve(ctx context.Context, o ServerOptions) (*Server, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	held, err := lock(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, secret: rand.Text(), lock: held, sealers: map[string]*sealer{}}
	if err := s.start(ctx, o, holdsBatches(o.Dir)); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// holdsBatches reports whether there is something in the store that must not be lost.
func holdsBatches(dir string) bool {
	blocks, _ := filepath.Glob(filepath.Join(dir, streamDir, Power, "msgs", "*.blk")) // the pattern is not malformed
	for _, name := range blocks {
		if info, err := os.Stat(name); err == nil && info.Size() > 0 {
			return true
		}
	}
	return false
}

// start runs the NATS server and makes sure of the stream. used says that the store holds batches.
func (s *Server) start(ctx context.Context, o ServerOptions, used bool) error {
	opts, err := s.natsOptions(o)
	if err != nil {
		return err
	}
	if s.nats, err = server.NewServer(opts); err != nil {
		return err
	}
	log := &serverLog{log: o.Log, alarm: s.health.set}
	s.nats.SetLoggerV2(log, false, false, false)
	s.nats.Start()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.ready(ctx, log); err != nil {
		return err
	}
	s.config = *s.nats.JetStreamConfig()
	s.config.StoreDir = o.Dir // without the folder that the server adds
	nc, err := s.connect()
	if err != nil {
		return err
	}
	if s.js, err = jetstream.New(nc); err != nil {
		nc.Close()
		return err
	}
	if _, err = s.js.Stream(ctx, Power); errors.Is(err, jetstream.ErrStreamNotFound) && used {
		reason, _ := log.complaint()
		return fmt.Errorf("the stored batches cannot be read (%s); they are left as they are: move %s away to begin a new store",
			reason, filepath.Join(o.Dir, streamDir, Power))
	}
	if err := makeStreams(ctx, s.js, o); err != nil {
		return err
	}
	for _, name := range sealed {
		s.sealers[name] = newSealer(wholeStream{s.js, name}, o.Key)
		s.sealers[name].ready = s.health.ready
		s.sealers[name].failed = func(err error) { s.judge(name, err) }
	}
	return nil
}

// ready waits until the server takes connections.
func (s *Server) ready(ctx context.Context, log *serverLog) error {
	for !s.nats.ReadyForConnections(10 * time.Millisecond) {
		reason, fatal := log.complaint()
		if fatal {
			return errors.New(reason)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("wait for the server: %w (%s)", err, reason)
		}
	}
	if !s.nats.JetStreamEnabled() {
		reason, _ := log.complaint()
		return fmt.Errorf("store did not open: %s", reason)
	}
	return nil
}

func (s *Server) natsOptions(o ServerOptions) (*server.Options, error) {
	opts := new(server.Options)
	if err := s.authorize(opts, o); err != nil {
		return nil, err
	}
	opts.ServerName = "meterd-" + token(o.Host)
	opts.NoSigs = true
	opts.JetStream = true
	opts.StoreDir = o.Dir
	opts.SyncAlways = !o.unsynced
	opts.JetStreamMaxMemory = 16 << 20
	opts.JetStreamMaxStore = 1 << 62 // the stream has its own limit, and must fit in when that is lowered, too
	opts.MaxPayload = maxPayload
	opts.MaxConn = maxConns
	opts.MaxSubs = maxSubs
	if o.Hub != nil {
		if err := connectHub(opts, o); err != nil {
			return nil, err
		}
	}
	if o.Listen == "" {
		opts.DontListen = true
		return opts, nil
	}
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", o.Listen, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: port: %w", o.Listen, err)
	}
	if opts.Host = host; host == "" {
		opts.Host = "127.0.0.1"
	}
	if o.TLS != nil {
		if opts.TLSConfig, err = o.TLS.config(); err != nil {
			return nil, err
		}
		opts.TLSTimeout = tlsTimeout
	}
	if opts.Port = int(n); n == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return opts, nil
}

// connect opens a privileged connection within the process.
func (s *Server) connect() (*nats.Conn, error) {
	nc, err := nats.Connect("", nats.InProcessServer(s.nats), nats.UserInfo("meterd", s.secret),
		nats.Name("meterd"), nats.MaxReconnects(-1), nats.ErrorHandler(ignore))
	if err != nil {
		return nil, fmt.Errorf("connect within the process: %w", err)
	}
	return nc, nil
}

// URL returns where others connect, with the actual port; empty if there is no socket.
func (s *Server) URL() string {
	if s.nats.Addr() == nil {
		return ""
	}
	return s.nats.ClientURL()
}

// Dial connects a reader within the process. It may do what any reader may.
func (s *Server) Dial(ctx context.Context) (*Conn, error) {
	return dial(ctx, "the server in this process", "", nats.InProcessServer(s.nats), nats.UserInfo("reader", s.secret))
}

// Publisher stores batches in the stream Power.
func (s *Server) Publisher() (*Publisher, error) { return newPublisher(s.sealers[Power]), nil }

// Writer stores messages in a stream of roll-ups.
func (s *Server) Writer(stream string) (*Writer, error) {
	if stream == Power || s.sealers[stream] == nil {
		return nil, fmt.Errorf("write to stream %q: not a stream of roll-ups", stream)
	}
	return &Writer{s.sealers[stream]}, nil
}

// Close stops the server and waits until it has. What was published is on disk before.
func (s *Server) Close() {
	s.close.Do(func() {
		if s.js != nil {
			s.js.Conn().Close()
		}
		if s.nats != nil {
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
		}
		s.lock.Close()
	})
}
