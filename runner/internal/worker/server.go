package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"agentwatt/shared/bus"
)

// Conn is a connection to a NATS server.
type Conn = nats.Conn

// ServerOptions are those of a server that a coordinator runs for its workers.
type ServerOptions struct {
	Listen string   // host:port
	Keys   []string // public keys of workers; needed beyond loopback
	TLS    *tls.Config
}

// Server is a NATS server for one run. Nothing of it outlives Close.
type Server struct {
	srv *server.Server
	dir string
	in  string // the coordinator's password
}

// payload is the largest message: the requests in flight of a worker with some ten thousand agents.
const payload = 8 << 20

// Serve starts a server.
func Serve(o ServerOptions) (*Server, error) {
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for workers: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("listen for workers on %s: the port is no number", o.Listen)
	}
	if number == 0 {
		number = server.RANDOM_PORT
	}
	if ip := net.ParseIP(host); (ip == nil || !ip.IsLoopback()) && host != "localhost" && (len(o.Keys) == 0 || o.TLS == nil) {
		return nil, fmt.Errorf("listen for workers on %s: beyond this host a certificate and the keys of workers are needed", o.Listen)
	}
	dir, err := os.MkdirTemp("", "agentwatt-workers-")
	if err != nil {
		return nil, fmt.Errorf("make room for the messages of workers: %w", err)
	}
	s := &Server{dir: dir, in: nats.NewInbox()}
	opts := &server.Options{
		ServerName: "agentwatt-workers", Host: host, Port: number, JetStream: true, StoreDir: dir, MaxPayload: payload, NoSigs: true, NoLog: true,
		TLSConfig: o.TLS,
	}
	if len(o.Keys) > 0 {
		opts.Users = []*server.User{{Username: "coordinator", Password: s.in, AllowedConnectionTypes: map[string]struct{}{"IN_PROCESS": {}}}}
		for _, key := range o.Keys {
			opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{Nkey: key, Permissions: workerRights()})
		}
	}
	if s.srv, err = server.NewServer(opts); err != nil {
		return nil, errors.Join(fmt.Errorf("start the server for workers: %w", err), os.RemoveAll(dir))
	}
	s.srv.Start()
	if !s.srv.ReadyForConnections(5 * time.Second) {
		s.Close()
		return nil, fmt.Errorf("start the server for workers on %s: it does not come up; is the address in use?", o.Listen)
	}
	return s, nil
}

// workerRights let a worker answer, send beats and records, and read the run's trajectories. It may not make or delete anything in
// JetStream, order other workers about or speak for the coordinator. (Workers of a run could forge each other's records: they are one
// party.)
func workerRights() *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			loadRoot + "*.beat.*", loadRoot + "*.records.*", "_INBOX.>",
			"$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.>", "$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.DELETE.>",
			"$JS.API.CONSUMER.INFO.>", "$JS.FC.>",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{"$SRV.>", workerRoot + ">", loadRoot + "*.lease", "_INBOX.>"}},
	}
}

// URL returns where workers connect to.
func (s *Server) URL() string { return s.srv.ClientURL() }

// Connect returns the coordinator's connection.
func (s *Server) Connect() (*nats.Conn, error) {
	nc, err := nats.Connect("", nats.InProcessServer(s.srv), nats.Name("coordinator"), nats.UserInfo("coordinator", s.in), nats.ErrorHandler(ignore))
	if err != nil {
		return nil, fmt.Errorf("connect to the server for workers: %w", err)
	}
	return nc, nil
}

// Close ends the server and removes what it stored.
func (s *Server) Close() error {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
	return os.RemoveAll(s.dir)
}

// ignore keeps nats from printing errors of the connection, which calls report as far as they concern them.
func ignore(*nats.Conn, *nats.Subscription, error) {}

// Dial connects to a NATS server, and goes on trying until ctx ends if it is not there yet. Once connected the connection comes back
// to a server that went away.
func Dial(ctx context.Context, url string, as bus.Credentials, name string) (*nats.Conn, error) {
	options, err := as.Options()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", bus.Redact(url), err)
	}
	options = append(options, nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second), nats.Timeout(2*time.Second),
		nats.PingInterval(5*time.Second), nats.MaxPingsOutstanding(2), nats.ErrorHandler(ignore))
	for {
		nc, err := nats.Connect(url, options...)
		if err == nil {
			return nc, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to %s: %w", bus.Redact(url), err)
		case <-time.After(time.Second):
		}
	}
}
